//! Trust taken back between running nodes: at once, in both directions, and without touching what was said before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ceremony::{done_by, enrol, persons};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, free_port, until};
use crate::reload::Asker;

/// A subject of the sample that Putuo publishes.
const SUBJECT: &str = "91310107MA1K8P2606";

fn import(node: &Node, sample: &str, kind: &str) {
    let file = format!("{}/config/demo/310107/{sample}", env!("CARGO_MANIFEST_DIR"));
    node.run(&["import", &file, "--kind", kind]);
}

/// How much of a peer's records a node holds, and how that mirror stands.
fn mirror(node: &Node, of: &Node) -> (u64, String) {
    let status = node.json(&["status"]);
    let peer = status["peers"].as_array().unwrap().iter().find(|peer| peer["node"] == of.id.as_str()).unwrap().clone();
    (peer["size"].as_u64().unwrap(), peer["log_state"].as_str().unwrap().to_owned())
}

fn own_size(node: &Node) -> u64 {
    crate::federation::records(&node.json(&["status"]))["size"].as_u64().unwrap()
}

/// Connections that a node's process has to a port of this machine.
fn connections(node: &Node, port: u16) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap();
    let sockets: HashSet<String> = files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let to_port = format!(":{port:04X}");
    // columns: number, local, remote, state (01: established) … inode
    rows.filter(|row| row[2].ends_with(&to_port) && row[3] == "01" && sockets.contains(row[9])).count()
}

fn port(node: &Node) -> u16 {
    let url = node.json(&["status"])["url"].as_str().unwrap().to_owned();
    url.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_revoked_peer_is_out_within_a_second_in_both_directions_and_what_it_said_before_stands() {
    let mut federation = Federation::of_strangers(&["340500", "310107", "341200"]);
    federation.nodes.iter().for_each(persons);
    federation.start();
    let [here, peer, third] = &federation.nodes[..] else { unreachable!() };
    enrol(here, peer);
    enrol(here, third);
    enrol(peer, third);
    import(peer, "honour.jsonl", "honour");
    let said = own_size(peer);
    assert!(said > 1);
    until("both hold what it said", || [here, third].iter().all(|node| mirror(node, peer).0 == said));
    // what has ended is shown to auditors alone
    let before = here.json(&["record", SUBJECT, "--all"]);
    assert!(before["counts"][0]["digest"].is_string());
    assert_eq!(before["counts"][0]["issuer_revoked"], serde_json::Value::Null);

    // the peer has a request held open here, and this node pulls from it
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asker = Arc::new(runtime.block_on(Asker::new(peer, here)));
    let client = asker.client();
    let held = runtime.spawn({
        let (asker, client) = (Arc::clone(&asker), client.clone());
        async move {
            let held = asker.hold_open(&client).await;
            (held, Instant::now())
        }
    });
    runtime.block_on(asker.ask(&client)).unwrap();
    let to_peer = port(peer);
    assert!(connections(here, to_peer) > 0, "this node pulls from it");

    done_by(here, "li", &["peer", "revoke", "310107", "--reason", "示例：私钥外泄"]);
    let revoked = Instant::now();
    // the next request, and one on a new connection
    assert!(runtime.block_on(asker.ask(&client)).is_err());
    assert!(runtime.block_on(asker.ask(&asker.client())).is_err());
    let (held, ended) = runtime.block_on(held).unwrap();
    assert!(held.is_err(), "it is cut off");
    let took = ended.saturating_duration_since(revoked);
    assert!(took < Duration::from_secs(1), "the live connection was closed after {took:?}");
    while connections(here, to_peer) > 0 {
        assert!(revoked.elapsed() < Duration::from_secs(1), "this node still pulls from it");
    }
    until("it is told why", || {
        // its request may break off before the alert is read, so it asks more than once
        runtime.block_on(asker.ask(&asker.client())).unwrap_err().contains("CertificateRevoked")
    });
    assert!(here.journal_text().contains("310107 was revoked here"), "the reason is logged");

    // what it says later is taken by others, and by nobody's relay here
    import(peer, "licence.csv", "licence");
    let later = own_size(peer);
    assert!(later > said);
    until("the third holds what it said later", || mirror(third, peer).0 == later);
    import(third, "honour.jsonl", "honour");
    let of_third = own_size(third);
    until("the feed of the third goes on here", || mirror(here, third).0 == of_third);
    assert_eq!(mirror(here, peer), (said, "closed".to_owned()));

    // what it said before stands, and is marked
    let record = here.json(&["record", SUBJECT, "--all"]);
    let its = record["counts"].as_array().unwrap().iter().filter(|found| found["issuer"] == "310107");
    let its: Vec<_> = its.collect();
    assert!(!its.is_empty());
    for found in its {
        assert_eq!(found["verified"], true);
        assert!(found["issuer_revoked"].as_str().unwrap().starts_with("20"), "{found}");
    }
    assert!(here.done(&["record", SUBJECT, "--all"]).contains("issuer revoked 20"));
    let report = here.run(&["doctor", "310107"]);
    assert!(String::from_utf8_lossy(&report.stdout).contains("310107 was revoked here, and is not asked any more"));
}

#[test]
fn what_one_process_revokes_is_out_of_every_server_on_one_postgresql_within_a_second() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(Kind::Postgres));
    let mut federation = Federation::of_strangers(&["310107"]);
    let folder = federation.folder.path().to_owned();
    let first = Node::init(&folder, "340500", &["--store", database.url()]);
    // the second server has the same keys and store, and an address of its own
    let second = Node::at(folder.join("second"));
    assert!(std::process::Command::new("cp").arg("-r").arg(&first.dir).arg(&second.dir).status().unwrap().success());
    let config = std::fs::read_to_string(first.config()).unwrap();
    let own = config.lines().find_map(|line| line.strip_prefix("peer = ")).unwrap().trim_matches('"').to_owned();
    let other = format!("127.0.0.1:{}", free_port());
    let moved = config.replace(&format!("peer = \"{own}\""), &format!("peer = \"{other}\""));
    std::fs::write(second.config(), moved).unwrap();
    federation.nodes.extend([first, second]);
    federation.nodes[..2].iter().for_each(persons);
    federation.start();
    let [peer, first, second] = &federation.nodes[..] else { unreachable!() };
    enrol(first, peer);

    let askers = [&own, &other]
        .map(|address| Arc::new(runtime.block_on(Asker::new(peer, first)).at(&format!("https://{address}"))));
    let held = askers.each_ref().map(|asker| {
        let (asker, client) = (Arc::clone(asker), asker.client());
        // both servers have taken the enrolment in
        until("it is let in", || runtime.block_on(asker.ask(&client)).is_ok());
        runtime.spawn(async move {
            let held = asker.hold_open(&client).await;
            (held, Instant::now())
        })
    });
    runtime.block_on(async {
        // the requests are under way once later ones are answered
        for asker in &askers {
            asker.ask(&asker.client()).await.unwrap();
        }
    });
    done_by(first, "li", &["peer", "revoke", "310107", "--reason", "示例：私钥外泄"]);
    let revoked = Instant::now();
    for (held, asker) in held.into_iter().zip(&askers) {
        let (held, ended) = runtime.block_on(held).unwrap();
        assert!(held.is_err(), "it is cut off");
        let took = ended.saturating_duration_since(revoked);
        assert!(took < Duration::from_secs(1), "the live connection was closed after {took:?}");
        let refused = runtime.block_on(asker.ask(&asker.client())).unwrap_err();
        assert!(refused.contains("CertificateRevoked"), "{refused}");
    }
    for server in [first, second] {
        assert!(server.journal_text().contains("310107 was revoked here"), "the reason is logged");
    }
}
