//! A node as the witness of its peers: over real connections, on both databases, with two processes at once.

use std::sync::Arc;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use kaopu::exchange::Witness;
use kaopu::exchange::witness::NotCosigned;
use kaopu::http::Limits;
use kaopu::log::merkle::{empty_root, leaf_hash, root_of};
use kaopu::log::witness::Submitted;
use kaopu::log::{Checkpoint, Cosignature, Hash, Origin, WitnessKey, cosignature, proof};
use kaopu::statement::SigningKey;
use kaopu::store::ceremony::Step;
use kaopu::store::peer_state::PeerState;
use kaopu::store::pending::Change;
use kaopu::store::{LogState, StoreError};
use kaopu::trust::registry::Peer;
use kaopu::trust::tls;
use reqwest::{Client, Response};

use crate::city::{City, NOW};
use crate::database::on_both;
use crate::line::{Office, place, publish};

/// A history of an exchange log, as hashes alone: nobody but its owner sees more of it.
#[derive(Clone)]
struct History {
    origin: Origin,
    key: Arc<SigningKey>,
    leaves: Vec<Hash>,
}

impl History {
    fn of(city: &City, size: u64) -> Self {
        let leaves = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        Self { origin: city.exchange(), key: Arc::clone(&city.exchange_key), leaves }
    }

    /// Another one, that parts from this at an entry.
    fn parting_at(&self, entry: usize) -> Self {
        let mut other = self.clone();
        for leaf in &mut other.leaves[entry..] {
            leaf[0] ^= 1;
        }
        other
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: self.origin.clone(), size, root: root_of(&self.leaves[..size as usize]) }
    }

    fn note(&self, size: u64) -> String {
        self.checkpoint(size).sign(&self.key).unwrap()
    }

    fn submitted(&self, old: u64, new: u64) -> Submitted {
        let read = |node: proof::Node| {
            let first = (node.index << node.level) as usize;
            Ok::<_, ()>(root_of(&self.leaves[first..first + (1 << node.level)]))
        };
        Submitted { old, proof: proof::consistency(old, new, read).unwrap(), note: self.note(new) }
    }

    fn push(&self, old: u64, new: u64) -> String {
        self.submitted(old, new).encode()
    }
}

fn key_of(city: &City) -> WitnessKey {
    WitnessKey { name: cosignature::name_of(&city.node), key: city.witness.public().ed25519_bytes().unwrap() }
}

/// What a peer sends and gets, byte by byte.
struct Wire {
    http: Client,
    url: String,
}

impl Wire {
    fn from(caller: &City, server: &City) -> Self {
        let peer = Arc::new(Peer::of(server.peer_row()).unwrap());
        let mut config = tls::client_tls(&caller.identity, &peer).unwrap().config;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let http = Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
        Self { http, url: server.descriptor.endpoints[0].clone() }
    }

    async fn push(&self, body: impl Into<reqwest::Body>) -> Response {
        self.http.post(format!("{}/v1/add-checkpoint", self.url)).body(body).send().await.unwrap()
    }

    /// The status, and the name of the problem.
    async fn refused(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        problem(self.push(body).await).await
    }

    /// The size that is held there.
    async fn conflict(&self, body: impl Into<reqwest::Body>) -> String {
        let response = self.push(body).await;
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/x.tlog.size");
        response.text().await.unwrap()
    }

    async fn held(&self, origin: &Origin) -> Response {
        self.http.get(format!("{}/v1/{}/checkpoint", self.url, origin.hash())).send().await.unwrap()
    }
}

async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: serde_json::Value = response.json().await.unwrap();
    let name = problem["type"].as_str().unwrap().strip_prefix("urn:kaopu:problem:").unwrap().to_owned();
    (status, name)
}

/// A witness that serves, and a peer of it.
async fn scene(limits: Limits) -> (Office, City, Wire) {
    let (tcp, url) = place().await;
    let mut witness = Office::new(City::new("340500", &url)).await;
    let owner = City::new("310107", "https://127.0.0.1:1");
    let _ = witness.publishes().await;
    witness.knows(&[&owner]).await;
    witness.serve_within(tcp, limits);
    let wire = Wire::from(&owner, &witness.city);
    (witness, owner, wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_continues_the_head_is_cosigned_and_becomes_it() {
    let (mut witness, owner, wire) = scene(Limits::default()).await;
    let log = History::of(&owner, 12);
    assert_eq!(problem(wire.held(&log.origin).await).await, (404, "unknown-log".to_owned()));
    for (old, new) in [(0, 3), (3, 3), (3, 4), (4, 11)] {
        let response = wire.push(log.push(old, new)).await;
        assert_eq!(response.status(), StatusCode::OK, "{old} {new}");
        let lines = response.text().await.unwrap();
        let text = log.checkpoint(new).text();
        let read = Cosignature::read_all(&text, &lines, &[key_of(&witness.city)]).unwrap().unwrap();
        assert_eq!(read.at, NOW);
        let held = wire.held(&log.origin).await.text().await.unwrap();
        assert_eq!(held, format!("{}{lines}", log.note(new)));
    }
    let kept = witness.copy(&log.origin).await.unwrap();
    assert_eq!((kept.size, kept.head.as_ref().unwrap().size, kept.complete), (0, 11, None), "witnessed, not mirrored");
    // what strangers sign beneath it is not kept
    let mut strange = log.submitted(11, 12);
    strange.note.push_str(&Cosignature::sign("another\n", "stranger", &owner.sign, 1).unwrap().line);
    strange.note.push('\n');
    assert_eq!(wire.push(strange.encode()).await.status(), StatusCode::OK);
    assert_eq!(witness.copy(&log.origin).await.unwrap().head.unwrap().note, log.note(12));

    // a restart forgets nothing
    witness.close().await;
    let (tcp, url) = place().await;
    let mut again = Office::beside(&witness).await;
    again.serve(tcp);
    let wire = Wire { url, ..wire };
    assert_eq!(wire.conflict(log.push(0, 12)).await, "12\n");
    assert_eq!(wire.push(log.push(12, 12)).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_checkpoint_is_refused_each_with_its_status() {
    let (witness, owner, wire) = scene(Limits { body_bytes: 8192, ..Limits::default() }).await;
    let log = History::of(&owner, 20);
    assert_eq!(wire.push(log.push(0, 7)).await.status(), StatusCode::OK);
    let refused = |status, name: &str| (status, name.to_owned());

    // no submission, no checkpoint, or not of the sizes that it says
    let submitted = log.push(7, 9);
    for bad in [
        String::new(),
        "old 7\n".to_owned(),
        submitted.replacen("old 7", "old 07", 1),
        submitted.replacen("old 7\n", "old 7\nAAAA\n", 1),
        format!("old 7\n{}\n\n{}", vec!["PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="; 64].join("\n"), log.note(9)),
        submitted.trim_end().to_owned(),
        "old 7\n\n\n\n".to_owned(),
        Submitted { old: 10, ..log.submitted(7, 9) }.encode(),
    ] {
        assert_eq!(wire.refused(bad.clone()).await, refused(400, "malformed"), "{bad:?}");
    }
    assert_eq!(wire.refused(vec![0xff; 9]).await, refused(400, "malformed"));
    assert_eq!(wire.refused(vec![b'x'; 9000]).await, refused(413, "too-large"));

    // a log that nobody here knows, or that is this node's own
    let of = |origin: &str| {
        let checkpoint = Checkpoint { origin: origin.parse().unwrap(), ..log.checkpoint(9) };
        Submitted { note: checkpoint.sign(&owner.exchange_key).unwrap(), ..log.submitted(7, 9) }.encode()
    };
    for origin in ["kaopu/341200/records/1", "kaopu/310107/exchange/2", "kaopu/340500/records/1"] {
        assert_eq!(wire.refused(of(origin)).await, refused(404, "unknown-log"), "{origin}");
    }
    let foreign = submitted.replace("kaopu/310107/exchange/1", "example.com/behind-the-sofa");
    assert_eq!(wire.refused(foreign).await, refused(404, "unknown-log"));
    assert_eq!(problem(wire.held(&witness.city.records()).await).await, refused(404, "unknown-log"));

    // signed by another key, the log's other one among them, or by none as it stands
    for key in [&owner.log_key, &owner.witness] {
        let note = log.checkpoint(9).sign(key).unwrap();
        let forged = Submitted { note, ..log.submitted(7, 9) }.encode();
        assert_eq!(wire.refused(forged).await, refused(403, "not-signed"));
    }
    let altered = submitted.replacen("\n9\n", "\n10\n", 1);
    assert_eq!(wire.refused(altered).await, refused(403, "not-signed"));

    // replayed, rolled back, or from another size
    for (old, new) in [(0, 7), (3, 7), (0, 4), (4, 4), (0, 12), (8, 12)] {
        assert_eq!(wire.conflict(log.push(old, new)).await, "7\n", "{old} {new}");
    }

    // a proof that does not hold proves nothing: the log goes on
    let mut unproven = vec![
        Submitted { proof: Vec::new(), ..log.submitted(7, 9) },
        Submitted { proof: log.submitted(6, 9).proof, ..log.submitted(7, 9) },
        Submitted { proof: vec![[1; 32]], ..log.submitted(7, 7) },
    ];
    let mut flipped = log.submitted(7, 9);
    flipped.proof[0][5] ^= 1;
    unproven.push(flipped);
    for submitted in unproven {
        assert_eq!(wire.refused(submitted.encode()).await, refused(422, "not-consistent"));
    }
    let nothing = Checkpoint { root: [1; 32], size: 0, ..log.checkpoint(9) }.sign(&owner.exchange_key).unwrap();
    let nothing = Submitted { old: 0, proof: Vec::new(), note: nothing };
    assert_eq!(wire.refused(nothing.encode()).await, refused(422, "not-consistent"));
    let empty = Checkpoint { root: empty_root(), size: 0, ..log.checkpoint(9) }.sign(&owner.exchange_key).unwrap();
    assert_eq!(wire.conflict(Submitted { old: 0, proof: Vec::new(), note: empty }.encode()).await, "7\n");
    let kept = witness.copy(&log.origin).await.unwrap();
    assert_eq!((kept.state, kept.head.unwrap().size), (LogState::Open, 7));
    assert!(witness.db.evidence(kept.id).await.unwrap().is_empty());
    assert_eq!(wire.push(log.push(7, 20)).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_proven_by_what_was_pushed_and_stops_the_log() {
    for (held, at, old, new) in [(7, 2, 7, 7), (7, 2, 7, 12), (7, 2, 0, 7)] {
        let (witness, owner, wire) = scene(Limits::default()).await;
        let log = History::of(&owner, 12);
        let other = log.parting_at(at);
        assert_eq!(wire.push(log.push(0, held)).await.status(), StatusCode::OK);
        assert_eq!(wire.refused(other.push(old, new)).await, (422, "fork".to_owned()), "{old} {new}");
        let kept = witness.copy(&log.origin).await.unwrap();
        assert_eq!((kept.state, kept.head.unwrap().size), (LogState::Frozen, held));
        let evidence = witness.db.evidence(kept.id).await.unwrap();
        let proof: serde_json::Value = serde_json::from_slice(&evidence[0].1).unwrap();
        assert_eq!((evidence.len(), proof["fault"].as_str()), (1, Some("fork")));
        assert_eq!((&proof["held"], &proof["served"]), (&log.note(held).into(), &other.note(new).into()));
        // and neither history is cosigned any more
        for history in [&log, &other] {
            assert_eq!(wire.refused(history.push(held, 12)).await, (422, "log-stopped".to_owned()));
        }
        assert_eq!(witness.db.evidence(kept.id).await.unwrap().len(), 1);
    }
    // where the proof says nothing of the old tree it is no evidence, and no cosignature either
    let (witness, owner, wire) = scene(Limits::default()).await;
    let log = History::of(&owner, 12);
    assert_eq!(wire.push(log.push(0, 8)).await.status(), StatusCode::OK);
    assert_eq!(wire.refused(log.parting_at(2).push(8, 12)).await, (422, "not-consistent".to_owned()));
    assert_eq!(witness.copy(&log.origin).await.unwrap().state, LogState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_checkpoint_that_contradicts_a_mirror_stops_it_too() {
    let (tcp, url) = place().await;
    let mut owner = Office::new(City::new("310107", &url)).await;
    let appender = owner.publishes().await;
    publish(&appender, (1..10).map(|n| owner.city.penalty(n)).collect()).await;
    let (witness_tcp, url) = place().await;
    let mut witness = Office::new(City::new("340500", &url)).await;
    let _ = witness.publishes().await;
    owner.knows(&[&witness.city]).await;
    witness.knows(&[&owner.city]).await;
    owner.serve(tcp);
    witness.serve(witness_tcp);
    witness.pull();
    let origin = owner.city.records();
    witness.holds(&origin, 10).await;
    let wire = Wire::from(&owner.city, &witness.city);
    // the head that the pull moved is cosigned when it is asked for
    let held = wire.held(&origin).await.text().await.unwrap();
    let checkpoint = Checkpoint::open(&held, &origin, &[owner.city.verifier()]).unwrap();
    assert_eq!(checkpoint.size, 10);
    let line = held.lines().last().unwrap();
    assert!(Cosignature::read(&checkpoint.text(), line, &[key_of(&witness.city)]).unwrap().is_some());

    let forged = Checkpoint { origin: origin.clone(), size: 6, root: [6; 32] }.sign(&owner.city.log_key).unwrap();
    let submitted = Submitted { old: 0, proof: Vec::new(), note: forged };
    assert_eq!(wire.refused(submitted.encode()).await, (422, "fork".to_owned()));
    assert!(witness.freezes(&origin).await.contains("two histories"));
    assert_eq!(wire.held(&origin).await.text().await.unwrap(), held, "what was cosigned stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_logs_of_active_peers_are_witnessed_and_only_peers_may_ask() {
    let (witness, owner, wire) = scene(Limits::default()).await;
    let log = History::of(&owner, 12);
    let bringer = City::new("341200", "https://127.0.0.1:1");
    let stranger = City::new("320100", "https://127.0.0.1:1");
    witness.knows(&[&bringer]).await;
    // whoever of the peers brings it
    let brought = Wire::from(&bringer, &witness.city);
    assert_eq!(brought.push(log.push(0, 5)).await.status(), StatusCode::OK);
    let outside = Wire::from(&stranger, &witness.city);
    let post = outside.http.post(format!("{}/v1/add-checkpoint", outside.url)).body(log.push(5, 6));
    assert!(post.send().await.is_err(), "no handshake");

    let change = |about, action| Change {
        about,
        subject: owner.node.as_str(),
        action,
        by: "示例",
        reason: Some("示例"),
        digest: None,
        at_ms: NOW * 1000,
    };
    assert!(witness.db.add_account("示例", "no secret", &change("account", "add")).await.unwrap());
    let (descriptor, suspend) = (owner.first.jws(), change("peer", "suspend"));
    assert!(witness.db.step_peer(Step::Suspend, &owner.node, descriptor, &suspend).await.unwrap());
    witness.registry.refresh().await.unwrap();
    assert_eq!(witness.registry.standing(&owner.node).unwrap().state, PeerState::Suspended);
    assert_eq!(brought.refused(log.push(5, 6)).await, (404, "unknown-log".to_owned()));
    assert_eq!(wire.refused(log.push(5, 6)).await, (403, "suspended".to_owned()));
}

on_both! {
    async fn of_two_processes_that_cosign_at_once_one_goes_first(database: Database) {
        let database = Arc::new(database);
        let city = Arc::new(City::new("340500", "https://127.0.0.1:1"));
        let owner = City::new("310107", "https://127.0.0.1:1");
        let one = Office::on(Arc::clone(&city), Arc::clone(&database)).await;
        let _ = one.publishes().await;
        one.knows(&[&owner]).await;
        let other = Office::beside(&one).await;
        let witnesses: [Witness; 2] = [one.witness(), other.witness()];
        let log = History::of(&owner, 200);
        let mut held = 0;
        for round in 1..=20 {
            let sizes = [held + 1 + round % 3, held + 2 + round % 5];
            let texts = sizes.map(|size| log.push(held, size));
            let (a, b) = tokio::join!(witnesses[0].add_checkpoint(&texts[0]), witnesses[1].add_checkpoint(&texts[1]));
            let head = one.copy(&log.origin).await.unwrap().head.unwrap();
            let won: Vec<u64> = sizes.iter().zip([&a, &b]).filter(|(_, got)| got.is_ok()).map(|(size, _)| *size).collect();
            if sizes[0] == sizes[1] {
                assert!(!won.is_empty(), "{a:?} {b:?}");
            } else {
                assert_eq!(won, [head.size], "{a:?} {b:?}");
                let lost = [a, b].into_iter().find_map(Result::err).unwrap();
                assert!(matches!(lost, NotCosigned::Elsewhere(size) if size == head.size), "{lost:?}");
            }
            assert_eq!(head.root, log.checkpoint(head.size).root);
            let rows = one.db.cosignatures(one.copy(&log.origin).await.unwrap().id).await.unwrap();
            assert_eq!((rows.len(), rows[0].size, rows[0].own), (1, head.size, false));
            held = head.size;
        }
    }

    async fn a_head_and_its_cosignature_are_kept_together_and_never_go_back(database: Database) {
        let db = database.open().await;
        let log = db.create_log(&"kaopu/310107/exchange/1".parse().unwrap(), false).await.unwrap();
        let head = |size: u64, root: u8| kaopu::store::Head { size, root: [root; 32], note: format!("note {size}"), seen_ms: 7 };
        let by = |at: i64| Cosignature { witness: "kaopu/340500/witness".to_owned(), at, line: format!("line {at}") };
        assert!(db.cosign(log.id, None, &head(3, 3), &by(10)).await.unwrap());
        assert!(db.cosign(log.id, Some(3), &head(3, 3), &by(11)).await.unwrap(), "again where it stands");
        for (old, head) in [(None, head(4, 4)), (Some(2), head(4, 4)), (Some(3), head(2, 2)), (Some(3), head(3, 9))] {
            assert!(!db.cosign(log.id, old, &head, &by(12)).await.unwrap());
        }
        let rows = db.cosignatures(log.id).await.unwrap();
        assert_eq!((rows[0].size, &rows[0].cosignature, rows[0].given), (3, &by(11), 2));
        db.freeze(log.id, "示例", b"{}", 1).await.unwrap();
        assert!(!db.cosign(log.id, Some(3), &head(4, 4), &by(13)).await.unwrap());

        // of an own log the newest of each witness counts, in whatever order they come
        let own = db.create_log(&"kaopu/340500/records/1".parse().unwrap(), true).await.unwrap();
        for (size, at) in [(5, 20), (4, 21), (5, 19), (5, 20), (6, 18)] {
            db.put_cosignature(own.id, size, &by(at)).await.unwrap();
        }
        let all: Result<Vec<_>, StoreError> = db.all_cosignatures().await;
        let newest = all.unwrap().into_iter().find(|row| row.own).unwrap();
        assert_eq!((newest.size, newest.cosignature.at, newest.given), (6, 18, 3));
    }
}
