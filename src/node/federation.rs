//! A federation's member lists at a node: drawn up from its peers, signed by it, taken by it.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::accounts::Person;
use super::peers::{Listed, Peers, PeersError};
use super::{Node, NodeError, own_log, rng};
use crate::config::{Config, Federation};
use crate::log::appender::AppendError;
use crate::log::origin::LogName;
use crate::statement::{Audience, Digest, NodeId, Reader, Salt, Statement, Typ, Verified};
use crate::store::member_list::{Done, MemberListRow};
use crate::store::{Db, StoreError};
use crate::trust::descriptor::{Descriptor, DescriptorError, spoken, thumbprint};
use crate::trust::member_list::{ListError, Member, MemberList, SignedList, Signers};
use crate::trust::state::PeerState;

/// So many members are asked at once.
const AT_ONCE: usize = 16;

/// What a new list is to be.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its sequence; without it the one after the newest that this node knows.
    pub sequence: Option<u64>,
    /// For how many days it may be taken.
    pub days: u32,
    /// Nodes that are no peers here, by their descriptors.
    pub with: Vec<Descriptor>,
    /// Peers that are not to be on it.
    pub without: Vec<NodeId>,
}

/// A list that was taken: only [`take`] makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Taken {
    /// Who stands by it.
    pub signers: Signers,
    /// Whether it was taken before.
    pub again: bool,
}

/// Where a member of a list, or a peer that is on none, stands at this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "standing", content = "state")]
pub enum Standing {
    /// It is this node.
    Own,
    /// It is known here, under the list's root, in this state.
    Known(PeerState),
    /// It is known here under a root that the list does not name.
    OtherRoot(PeerState),
    /// It is not known here.
    Unknown,
    /// It is a peer here and not on the list.
    NotListed(PeerState),
}

/// Why a list was not drawn up, signed or taken.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// No federation is configured.
    #[error("this node belongs to no federation: node.toml has no section [federation]")]
    None,
    /// This node may not sign.
    #[error("{0} is not among the administrators that node.toml names, so its signature would count for nothing")]
    NoAdministrator(NodeId),
    /// The list.
    #[error(transparent)]
    List(#[from] ListError),
    /// Another list stands in its way.
    #[error("list {0} is not {1}: a newer one was before, or another one with the same sequence")]
    Older(u64, &'static str),
    /// The own descriptor, or a peer's.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The exchange log.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The federation that a node is configured for.
pub fn of(config: &Config) -> Result<&Federation, FederationError> {
    config.federation.as_ref().ok_or(FederationError::None)
}

/// Draws up a list: this node, its active peers, and who is named beside them.
pub async fn draft(node: &Node, wanted: &Draft) -> Result<SignedList, FederationError> {
    let federation = of(&node.config)?;
    let (_, own) = own_log(&node.db, &node.id, LogName::Records).await?;
    let peers = node.registry.peers();
    let descriptors = peers.iter().map(|peer| &peer.descriptor).chain([&own]).chain(&wanted.with);
    // who is named by hand, with a newer descriptor it may be, takes the place of the peer
    let members: BTreeMap<NodeId, Member> = descriptors
        .filter(|descriptor| !wanted.without.contains(&descriptor.node))
        .map(|descriptor| (descriptor.node.clone(), member(descriptor)))
        .collect();
    let sequence = match wanted.sequence {
        Some(sequence) => sequence,
        None => 1 + newest(&node.db, &federation.name).await?.map_or(0, |row| row.sequence),
    };
    let list = MemberList {
        federation: federation.name.clone(),
        sequence,
        valid_until: node.clock.now() + i64::from(wanted.days) * 86_400,
        members: members.into_values().collect(),
    };
    Ok(SignedList::unsigned(&list)?)
}

fn member(descriptor: &Descriptor) -> Member {
    Member {
        node: descriptor.node.clone(),
        name: descriptor.name.clone(),
        url: descriptor.endpoints.first().cloned().unwrap_or_default(),
        root: thumbprint(&descriptor.root),
        fingerprint: descriptor.fingerprint(),
    }
}

/// Stands by a list: says so in the exchange log, and adds the statement to the list.
///
/// What it stands by is kept before it is said: after a crash between the two the same list may be signed again, and no
/// other of its sequence ever.
pub async fn sign(node: &Node, list: &mut SignedList) -> Result<Verified, FederationError> {
    let federation = of(&node.config)?;
    if !federation.administrators.contains(&node.id) {
        return Err(FederationError::NoAdministrator(node.id.clone()));
    }
    let (found, expected) = (&list.list().federation, &federation.name);
    if found != expected {
        return Err(ListError::Federation { found: found.clone(), expected: expected.clone() }.into());
    }
    if list.list().valid_until < node.clock.now() {
        return Err(ListError::Expired(list.list().sequence).into());
    }
    keep(node, list, Done::Signed).await?;
    let statement = list.statement(node.id.clone(), node.clock.now(), Salt::random(&mut rng()));
    let (signed, _) = node.exchange.say(statement).await?;
    list.add(signed.jws());
    keep(node, list, Done::Signed).await?;
    Ok(signed)
}

/// Takes a list that enough administrators stand by, and notes so in the exchange log. It adds no peer by itself.
pub async fn take(node: &Node, by: &str, list: &SignedList) -> Result<Taken, FederationError> {
    let federation = of(&node.config)?;
    let signers = verify(node, list).await?;
    let before = node.db.member_list(&federation.name, Done::Taken).await?;
    let again = before.is_some_and(|row| row.digest == list.digest());
    keep(node, list, Done::Taken).await?;
    if !again {
        let reason = format!("list {} of {}", list.list().sequence, list.list().federation);
        node.exchange.say(change(node, by, reason, list.digest())).await?;
    }
    Ok(Taken { signers, again })
}

/// Fetches the members of a list that are not known here, and holds them against it: each stays `fetched`, as a proposal.
/// Only where this node's own policy says so does the list count as the fingerprint that a person would have typed.
pub async fn propose(
    node: &Node,
    list: &SignedList,
    _taken: &Taken,
    by: &Person,
) -> Result<Vec<Listed>, FederationError> {
    let federation = of(&node.config)?;
    let peers = Peers::of(node);
    let MemberList { federation: name, sequence, members, .. } = list.list();
    let standing: BTreeMap<NodeId, Standing> = standing(&node.db, &node.id, list.list()).await?.into_iter().collect();
    let stands = |member: &&Member, as_this: fn(&Standing) -> bool| standing.get(&member.node).is_some_and(as_this);
    let unknown = members.iter().filter(|member| stands(member, |standing| *standing == Standing::Unknown));
    // many at once: one that does not answer holds up no other
    let ask = async |member| (member, peers.ask_member(member).await);
    let asked: Vec<_> = stream::iter(unknown).map(|member| Box::pin(ask(member))).buffered(AT_ONCE).collect().await;
    let because = format!("named by list {sequence} of {name}");
    let mut listed = Vec::new();
    for (member, found) in asked {
        let kept = match found {
            Ok(found) => Box::pin(peers.keep_member(member, found, by, &because)).await,
            Err(error) => Err(error),
        };
        listed.push(kept.unwrap_or_else(|error| Listed::failed(member, &error)));
    }
    if !federation.confirms {
        return Ok(listed);
    }
    let because = format!("list {sequence} of {name} counts as the fingerprint typed in, as node.toml says");
    for member in members.iter().filter(|member| member.node != node.id) {
        let outcome = match peers.confirm_by_list(member, by, &because).await {
            Ok(None) | Err(PeersError::Unknown(_) | PeersError::Revoked(_)) => continue,
            Ok(Some(row)) => Ok(row.state),
            Err(error) => Err(error),
        };
        listed.retain(|listed| listed.node != member.node);
        let fingerprint = spoken(&member.fingerprint);
        listed.push(match outcome {
            Ok(state) => Listed {
                node: member.node.clone(),
                state: Some(state),
                listed: fingerprint.clone(),
                fetched: Some(fingerprint),
                error: None,
            },
            Err(error) => Listed::failed(member, &error),
        });
    }
    listed.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(listed)
}

/// Verifies a list under the keys of this node and of its active peers.
pub async fn verify(node: &Node, list: &SignedList) -> Result<Signers, FederationError> {
    let (_, own) = own_log(&node.db, &node.id, LogName::Records).await?;
    let keys = |signer: &NodeId| match node.registry.peer(signer) {
        _ if *signer == node.id => Some(own.key_ring()),
        peer => peer.map(|peer| peer.key_ring.clone()),
    };
    Ok(list.verify(&of(&node.config)?.quorum(), keys, node.clock.now())?)
}

/// The newest list that this node took, or signed.
pub async fn newest(db: &Db, federation: &str) -> Result<Option<MemberListRow>, StoreError> {
    let taken = db.member_list(federation, Done::Taken).await?;
    let signed = db.member_list(federation, Done::Signed).await?;
    Ok(taken.into_iter().chain(signed).max_by_key(|row| row.sequence))
}

/// Where each member of a list stands here, and which peers are not on it.
pub async fn standing(db: &Db, own: &NodeId, list: &MemberList) -> Result<Vec<(NodeId, Standing)>, FederationError> {
    let mut peers: BTreeMap<NodeId, (Digest, PeerState)> = BTreeMap::new();
    // of who is only invited nothing is here yet
    for row in db.peers().await?.into_iter().filter(|row| row.state != PeerState::Invited) {
        let (_, descriptor) = Descriptor::open(&row.descriptor)?;
        peers.insert(row.node, (thumbprint(&descriptor.root), row.state));
    }
    let mut standing: Vec<(NodeId, Standing)> = Vec::new();
    for member in &list.members {
        let here = match peers.remove(&member.node) {
            _ if member.node == *own => Standing::Own,
            None => Standing::Unknown,
            Some((root, state)) if root == member.root => Standing::Known(state),
            Some((_, state)) => Standing::OtherRoot(state),
        };
        standing.push((member.node.clone(), here));
    }
    standing.extend(peers.into_iter().map(|(node, (_, state))| (node, Standing::NotListed(state))));
    Ok(standing)
}

async fn keep(node: &Node, list: &SignedList, done: Done) -> Result<(), FederationError> {
    let row = MemberListRow {
        federation: list.list().federation.clone(),
        done,
        sequence: list.list().sequence,
        digest: list.digest(),
        file: list.to_file(),
        at_ms: node.clock.now_ms(),
    };
    if node.db.put_member_list(&row).await? {
        return Ok(());
    }
    Err(FederationError::Older(row.sequence, if done == Done::Signed { "signed" } else { "taken" }))
}

/// The statement that the exchange log keeps of a list that was taken.
fn change(node: &Node, by: &str, reason: String, list: Digest) -> Statement {
    let members = [
        ("of", "federation".into()),
        ("subject", of(&node.config).map_or_else(|_| String::new(), |federation| federation.name.clone())),
        ("action", "take".into()),
        ("by", by.into()),
        ("reason", reason),
        ("digest", list.to_string()),
    ];
    Statement {
        typ: Typ::first("change"),
        iss: node.id.clone(),
        iat: node.clock.now(),
        aud: Audience::Named(vec![Reader::Node(node.id.clone())]),
        salt: Salt::random(&mut rng()),
        sub: None,
        prev: None,
        refs: Vec::new(),
        body: members.map(|(name, value): (&str, String)| (name.to_owned(), value.into())).into_iter().collect(),
    }
}
