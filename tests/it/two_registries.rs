//! Two nodes' registries under random lists of operations: whatever administrators, the line and the other side do, nobody
//! is active without two persons and a confirmed fingerprint, and what was revoked is never accepted again.
//!
//! Real nodes on real stores by the face that the command line and the local API call; messages are handed over or lost.

use std::collections::{BTreeSet, HashMap};

use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::exchange::standing::{Introduction, PullStanding, Standing};
use kaopu::node::accounts::Person;
use kaopu::node::peers::{Peers, enrol};
use kaopu::node::{Node, rng};
use kaopu::statement::{SigningKey, Suite, Verified};
use kaopu::store::peer::PeerRow;
use kaopu::store::peer_state::PeerState;
use kaopu::trust::Descriptor;
use kaopu::trust::descriptor::{spoken, thumbprint};
use kaopu::trust::invitation::Invitation;
use kaopu::trust::keys::{Passphrases, RootKeys, read_key};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use crate::federation::{self, Federation};

/// One of the two.
type Side = usize;
/// One of the persons of a side.
type Who = usize;

const PERSONS: [&str; 3] = ["li", "wang", "zhao"];

#[derive(Clone, Debug)]
enum Op {
    Invite(Side, Who),
    /// The last invitation of the other side is answered; the introduction may be lost, or come twice.
    Answer(Side, Who, usize),
    /// A descriptor of the other side comes by hand.
    Add(Side, Who),
    /// Somebody in the line hands in a descriptor of his own for the other node.
    Forge(Side, Who),
    Confirm(Side, Who),
    /// With one digit misheard.
    Mistype(Side, Who),
    /// Somebody takes a confirmation back.
    TakeBack(Side, Who),
    Approve(Side, Who),
    /// Asks how it stands on the other side; the answer may be lost.
    Ask(Side, bool),
    /// The other side says whatever suits it.
    Lie(Side),
    Rotate(Side),
    RotateRoot(Side),
    Suspend(Side, Who),
    Resume(Side, Who),
    Revoke(Side, Who),
    Restart(Side),
}

fn op() -> impl Strategy<Value = Op> {
    let (side, who) = (0..2_usize, 0..PERSONS.len());
    let both = (side.clone(), who);
    prop_oneof![
        2 => both.clone().prop_map(|(s, w)| Op::Invite(s, w)),
        3 => (both.clone(), 0..3_usize).prop_map(|((s, w), times)| Op::Answer(s, w, times)),
        2 => both.clone().prop_map(|(s, w)| Op::Add(s, w)),
        1 => both.clone().prop_map(|(s, w)| Op::Forge(s, w)),
        5 => both.clone().prop_map(|(s, w)| Op::Confirm(s, w)),
        1 => both.clone().prop_map(|(s, w)| Op::Mistype(s, w)),
        1 => both.clone().prop_map(|(s, w)| Op::TakeBack(s, w)),
        6 => both.clone().prop_map(|(s, w)| Op::Approve(s, w)),
        6 => (side.clone(), prop::bool::weighted(0.8)).prop_map(|(s, heard)| Op::Ask(s, heard)),
        1 => side.clone().prop_map(Op::Lie),
        1 => side.clone().prop_map(Op::Rotate),
        1 => side.clone().prop_map(Op::RotateRoot),
        1 => both.clone().prop_map(|(s, w)| Op::Suspend(s, w)),
        1 => both.clone().prop_map(|(s, w)| Op::Resume(s, w)),
        1 => both.prop_map(|(s, w)| Op::Revoke(s, w)),
        1 => side.prop_map(Op::Restart),
    ]
}

/// One node, its persons, and what they have truly done with the other.
struct City {
    folder: federation::Node,
    node: Option<Node>,
    persons: Vec<Person>,
    root: SigningKey,
    next: SigningKey,
    newest: (Verified, Descriptor),
    invitation: Option<Invitation>,
    /// Who has confirmed and approved, in this ceremony.
    confirmed: Option<Who>,
    approved: Option<Who>,
    /// Root keys that were revoked here.
    revoked: BTreeSet<String>,
    /// How the other node stood here before the last operation.
    was: Option<PeerState>,
}

impl City {
    async fn open(folder: federation::Node) -> Self {
        let key = |name: &str| read_key(&folder.dir.join("keys").join(name), &Passphrases::of_node(None)).unwrap();
        let jws = std::fs::read_to_string(folder.descriptor()).unwrap();
        let mut city = Self {
            root: key("root.pem"),
            next: key("root-next.pem"),
            newest: Descriptor::open(jws.trim()).unwrap(),
            folder,
            node: None,
            persons: Vec::new(),
            invitation: None,
            confirmed: None,
            approved: None,
            revoked: BTreeSet::new(),
            was: None,
        };
        city.start().await;
        let peers = city.peers();
        for name in PERSONS {
            let secret = format!("{name}-示例密码-123");
            peers.add_account(name, &secret, city.persons.first()).await.unwrap();
            city.persons.push(peers.person(name, &secret).await.unwrap());
        }
        city
    }

    async fn start(&mut self) {
        let config = Config::load(&self.folder.config()).unwrap();
        self.node = Some(Box::pin(Node::open(config, Clock::System)).await.unwrap());
    }

    fn peers(&self) -> Peers {
        Peers::of(self.node.as_ref().unwrap())
    }

    fn jws(&self) -> &str {
        self.newest.0.jws()
    }

    /// What others are given from now on.
    fn describe(&mut self, new_root: bool) {
        let (before, descriptor) = &self.newest;
        let mut descriptor = Descriptor { sequence: descriptor.sequence + 1, ..descriptor.clone() };
        if new_root {
            std::mem::swap(&mut self.root, &mut self.next);
            self.next = RootKeys::generate(Suite::EdDsa, &mut rng()).root;
            descriptor.root = self.root.public().clone();
            descriptor.next_root = thumbprint(self.next.public());
        }
        let signed = descriptor.sign_after(Some(before), &self.root, Clock::System.now(), &mut rng()).unwrap();
        self.newest = (signed, descriptor);
    }

    /// How the other node stands here.
    async fn row(&self, other: &Self) -> Option<PeerRow> {
        self.peers().find(&other.newest.1.node).await.unwrap()
    }

    async fn stands(&self, other: &Self) -> Option<PeerState> {
        self.row(other).await.map(|row| row.state)
    }
}

struct World {
    cities: [City; 2],
    /// Whether the last operation was a lie about how somebody stands.
    lied: bool,
}

impl World {
    async fn act(&mut self, op: &Op) {
        self.lied = matches!(op, Op::Lie(_));
        let here_is = match op {
            Op::Invite(s, _) | Op::Answer(s, ..) | Op::Add(s, _) | Op::Forge(s, _) | Op::Confirm(s, _) => *s,
            Op::Mistype(s, _) | Op::TakeBack(s, _) | Op::Approve(s, _) | Op::Ask(s, _) | Op::Lie(s) | Op::Rotate(s) => {
                *s
            }
            Op::RotateRoot(s) | Op::Suspend(s, _) | Op::Resume(s, _) | Op::Revoke(s, _) | Op::Restart(s) => *s,
        };
        let [first, second] = &mut self.cities;
        let (here, there) = if here_is == 0 { (first, second) } else { (second, first) };
        let (peers, node) = (here.peers(), there.newest.1.node.clone());
        let before = here.row(there).await;
        match *op {
            Op::Invite(_, who) => {
                if let Ok(invitation) = peers.invite(&node, 60_000, &here.persons[who]).await {
                    here.invitation = Some(invitation);
                }
            }
            Op::Answer(_, who, times) => {
                let Some(invitation) = there.invitation.clone() else { return };
                if peers.add_by_file(there.jws(), None, Some(&here.persons[who]), "", None).await.is_err() {
                    return;
                }
                let introduction =
                    Introduction { invitation: invitation.secret.to_string(), descriptor: here.jws().to_owned() };
                let (db, own) = (there.peers().db, node);
                let mut stood = None;
                for _ in 0..times {
                    let now_ms = Clock::System.now_ms();
                    if Box::pin(enrol(&db, &own, now_ms, &introduction)).await.is_ok() {
                        let stands = there.row(here).await;
                        assert!(
                            stood.is_none() || stood == stands,
                            "an invitation is used once: again changes nothing"
                        );
                        stood = stands;
                    }
                }
            }
            Op::Add(_, who) => drop(peers.add_by_file(there.jws(), None, Some(&here.persons[who]), "", None).await),
            Op::Forge(_, who) => {
                let roots = RootKeys::generate(Suite::EdDsa, &mut rng());
                let forged = Descriptor {
                    sequence: there.newest.1.sequence + 1,
                    root: roots.root.public().clone(),
                    next_root: thumbprint(roots.next.public()),
                    ..there.newest.1.clone()
                };
                let forged = forged.sign(&roots.root, Clock::System.now(), &mut rng()).unwrap();
                let added = peers.add_by_file(forged.jws(), None, Some(&here.persons[who]), "", None).await;
                let open = before.is_none_or(|row| matches!(row.state, PeerState::Fetched | PeerState::Revoked));
                assert!(added.is_err() || open, "a peer that somebody has confirmed is not replaced");
            }
            Op::Confirm(_, who) => {
                // what the other side reads out is of its own newest descriptor
                let said = spoken(&there.newest.1.fingerprint()).parse().unwrap();
                if peers.confirm(&node, &said, &here.persons[who]).await.is_ok() {
                    here.confirmed = Some(who);
                }
            }
            Op::Mistype(_, who) => {
                let said = spoken(&there.newest.1.fingerprint());
                let other = if said.starts_with('1') { '2' } else { '1' };
                let typed = format!("{other}{}", &said[1..]).parse().unwrap();
                assert!(peers.confirm(&node, &typed, &here.persons[who]).await.is_err());
            }
            Op::TakeBack(_, who) => {
                let taken_back = peers.take_back(&node, &here.persons[who], None).await.is_ok();
                assert_eq!(taken_back, before.is_some_and(|row| row.state == PeerState::Confirmed));
            }
            Op::Approve(_, who) => {
                if peers.approve(&node, &here.persons[who]).await.is_ok() {
                    assert!(here.confirmed.is_some_and(|proposer| proposer != who), "the proposer approves");
                    here.approved = Some(who);
                }
            }
            Op::Ask(_, heard) => {
                let there_row = there.row(here).await.filter(|row| row.state != PeerState::Revoked);
                if let (Some(row), Some(theirs)) = (before, there_row.filter(|_| heard)) {
                    peers.heard(&row, &Standing::of(node, &theirs, Clock::System.now())).await.unwrap();
                }
            }
            Op::Lie(_) => {
                let pull = PullStanding::default();
                let (missing, clock) = (Vec::new(), Clock::System.now());
                let lie =
                    Standing { node, state: PeerState::Approved, missing, holds: 9, clock, pull, refused: Vec::new() };
                if let Some(row) = before {
                    peers.heard(&row, &lie).await.unwrap();
                }
            }
            Op::Rotate(_) => here.describe(false),
            Op::RotateRoot(_) => here.describe(true),
            Op::Suspend(_, who) => drop(peers.suspend(&node, &here.persons[who], "示例").await),
            Op::Resume(_, who) => drop(peers.resume(&node, &here.persons[who], None).await),
            Op::Revoke(_, who) => {
                if peers.revoke(&node, &here.persons[who], "示例").await.is_ok() {
                    let (_, held) = Descriptor::open(&before.unwrap().descriptor).unwrap();
                    here.revoked.extend([thumbprint(&held.root).to_string(), held.next_root.to_string()]);
                }
            }
            Op::Restart(_) => {
                drop(peers);
                here.node.take().unwrap().close().await;
                here.start().await;
            }
        }
    }

    async fn check(&mut self) {
        for side in [0, 1] {
            let (here, there) = (&self.cities[side], &self.cities[1 - side]);
            let row = here.row(there).await;
            let state = row.as_ref().map(|row| row.state);
            if let Some(row) = &row {
                let (_, held) = Descriptor::open(&row.descriptor).unwrap();
                let root = thumbprint(&held.root).to_string();
                assert!(row.state == PeerState::Revoked || !here.revoked.contains(&root), "a revoked root is accepted");
                assert!(!row.by_file);
            }
            let taken = matches!(state, Some(PeerState::Approved | PeerState::Active | PeerState::Suspended));
            if taken {
                let (proposed, approved) = (here.confirmed.unwrap(), here.approved.unwrap());
                assert_ne!(proposed, approved);
                let row = row.unwrap();
                assert_eq!(row.proposed_by.as_deref(), Some(PERSONS[proposed]));
                assert_eq!(row.approved_by.as_deref(), Some(PERSONS[approved]));
                // what is held leads to the other node's own root, not to somebody in the line
                let (_, held) = Descriptor::open(&row.descriptor).unwrap();
                assert!(held.sequence <= there.newest.1.sequence, "a forged descriptor is trusted");
            }
            // in the moment it becomes active; later the other side may revoke and begin anew, unheard
            if state == Some(PeerState::Active) && here.was != state {
                let resumed = here.was == Some(PeerState::Suspended);
                assert!(resumed || here.was == Some(PeerState::Approved), "active from {:?}", here.was);
                let theirs = there.stands(here).await;
                let approved = matches!(theirs, Some(PeerState::Approved | PeerState::Active));
                assert!(resumed || self.lied || approved, "active, though the other side has not approved: {theirs:?}");
            }
            self.cities[side].was = state;
            // a new ceremony begins with nobody
            if matches!(state, None | Some(PeerState::Fetched)) {
                self.cities[side].confirmed = None;
                self.cities[side].approved = None;
            }
        }
    }
}

#[test]
fn whatever_happens_nobody_is_active_without_two_persons_and_what_was_revoked_stays_so() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seen = std::cell::RefCell::new(HashMap::<PeerState, usize>::new());
    let cases = Cases { cases: 24, max_shrink_iters: 40, failure_persistence: None, ..Cases::default() };
    TestRunner::new(cases)
        .run(&prop::collection::vec(op(), 20..90), |ops| {
            let mut federation = Federation::of_strangers(&["340500", "310107"]);
            let mut folders = std::mem::take(&mut federation.nodes).into_iter();
            let [first, second] = [folders.next().unwrap(), folders.next().unwrap()];
            runtime.block_on(async {
                let cities = [Box::pin(City::open(first)).await, Box::pin(City::open(second)).await];
                let mut world = World { cities, lied: false };
                for op in &ops {
                    Box::pin(world.act(op)).await;
                    world.check().await;
                    for side in [0, 1] {
                        if let Some(state) = world.cities[side].stands(&world.cities[1 - side]).await {
                            *seen.borrow_mut().entry(state).or_default() += 1;
                        }
                    }
                }
                for city in world.cities {
                    city.node.unwrap().close().await;
                }
            });
            Ok(())
        })
        .unwrap();
    // the lists must have led somewhere, or the property says nothing
    for state in [PeerState::Confirmed, PeerState::Approved, PeerState::Active, PeerState::Revoked] {
        assert!(seen.borrow().contains_key(&state), "no list has led to {state}");
    }
}
