//! `kaopu key`: the keys of real nodes, replaced while they run.

use kaopu::statement::Unverified;
use kaopu::store::Db;
use kaopu::store::statement::Body;
use kaopu::trust::descriptor::{Descriptor, KeyState, Purpose};
use kaopu::trust::keys::{KeyStore, Passphrases};

use crate::ceremony::{done_by, persons, refused};
use crate::federation::{Federation, Node, said, until};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/honour.jsonl");
/// A subject of that.
const SUBJECT: &str = "91310107MA1K8P2606";

/// Takes the next step, which must succeed.
fn rotate(node: &Node, of: &str, root: &str) -> serde_json::Value {
    let root = node.dir.join("keys").join(root).display().to_string();
    node.json(&["key", "rotate", of, "--root", &root])
}

/// Takes the first step, which must succeed.
fn begin(node: &Node, of: &str) -> serde_json::Value {
    let root = node.dir.join("keys/root.pem").display().to_string();
    node.json(&["key", "rotate", of, "--begin", "--root", &root])
}

/// The states of a node's keys of a use.
fn states(node: &Node, of: &str) -> Vec<String> {
    let list = node.json(&["key", "list"]);
    let of_use = list["keys"].as_array().unwrap().iter().filter(|key| key["use"] == of);
    of_use.map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the other has said that it holds the newest descriptor of this one.
fn until_picked_up(node: &Node) {
    until("the peer says that it holds the newest descriptor", || {
        let list = node.json(&["key", "list"]);
        list["peers"][0]["holds"] == list["descriptor"]
    });
}

#[test]
fn each_key_is_announced_then_active_beside_the_old_one_then_alone_and_peers_follow() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    let mut descriptor = 1;
    for of in ["sign", "log-records", "log-exchange", "witness", "seal"] {
        for (action, now) in [
            ("announce", vec!["active", "next"]),
            ("activate", vec!["active", "active"]),
            ("retire", vec!["retired", "active"]),
        ] {
            let taken = if action == "announce" { begin(here, of) } else { rotate(here, of, "root.pem") };
            descriptor += 1;
            assert_eq!((&taken["action"], &taken["descriptor"]), (&action.into(), &descriptor.into()), "{taken}");
            assert_eq!(states(here, of), now, "{of}");
        }
    }
    // the running server publishes under the new keys what another process says, and so does that process
    here.done(&["import", SAMPLE, "--kind", "honour"]);
    federation.until_in_step();
    until_picked_up(here);
    let file = std::fs::read_to_string(here.descriptor()).unwrap();
    let (_, newest) = Descriptor::open(file.trim()).unwrap();
    assert_eq!(newest.sequence, descriptor);
    // what was sealed to the key before still comes and is kept: it is opened behind the one that others seal to now
    let store = KeyStore::open(&here.dir.join("keys"), Passphrases::of_node(None));
    let opening: Vec<_> = store.seal(&newest).unwrap().iter().map(|key| key.public().kid().to_owned()).collect();
    let seal = |state| newest.keys.iter().find(|key| key.purpose == Purpose::Seal && key.state == state).unwrap();
    assert_eq!(opening, [KeyState::Active, KeyState::Retired].map(|state| seal(state).key.kid()));
    let held = peer.json(&["peer", "list"]);
    assert_eq!(held[0]["descriptor"], descriptor);
    for key in here.json(&["key", "list"])["keys"].as_array().unwrap() {
        assert_eq!(key["private"], "here", "{key}");
    }
}

#[test]
fn an_authority_is_active_only_when_every_peer_knows_it_or_somebody_says_why_not() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.nodes[0].start();
    let [here, peer] = &mut federation.nodes[..] else { unreachable!() };
    begin(here, "ca");
    let root = here.dir.join("keys/root.pem").display().to_string();
    let refused = here.run(&["key", "rotate", "ca", "--root", &root]);
    assert!(said(&refused).contains("310107 would no longer take this node's certificate"), "{}", said(&refused));
    assert_eq!(refused.status.code(), Some(1));
    peer.start();
    until_picked_up(here);
    let old = std::fs::read(here.dir.join("certs/node.pem")).unwrap();
    assert_eq!(rotate(here, "ca", "root.pem")["action"], "activate");
    assert_ne!(std::fs::read(here.dir.join("certs/node.pem")).unwrap(), old, "a certificate of the new authority");
    assert_eq!(rotate(here, "ca", "root.pem")["action"], "retire");
    here.done(&["import", SAMPLE, "--kind", "honour"]);
    until_picked_up(here);
    here.done(&["key", "rotate", "certificate"]);

    // the peer is away while the next authority takes the place of this one at once: it finds its way back
    peer.signal("-TERM");
    begin(here, "ca");
    here.done(&["key", "rotate", "ca", "--root", &root, "--force", "--reason", "示例: 密钥泄露"]);
    // that waits until the running server shows the certificate of the new authority, which the peer does not know
    rotate(here, "ca", "root.pem");
    peer.start();
    until_picked_up(here);
    federation.until_in_step();
}

#[test]
fn the_next_root_takes_the_roots_place_and_only_the_root_signs() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    let key = |name: &str| here.dir.join("keys").join(name).display().to_string();
    let other = peer.dir.join("keys/root.pem").display().to_string();
    for (args, advice) in [
        (vec!["key", "rotate", "sign"], "only the root key signs it"),
        (vec!["key", "rotate", "sign", "--root", &key("root-next.pem")], "it only takes the root's place"),
        (vec!["key", "rotate", "sign", "--root", &other], "is signed by the root key"),
        (vec!["key", "rotate", "root", "--root", &key("root.pem")], "is not the next root"),
        (vec!["key", "rotate", "ca", "--root", &key("nowhere.pem")], "the root key could not be opened"),
    ] {
        let refused = here.run(&args);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(advice), "{}", said(&refused));
    }
    let before = here.json(&["key", "list"]);
    let taken = rotate(here, "root", "root-next.pem");
    let now = here.json(&["key", "list"]);
    assert_eq!((&now["root"], now["next_root"] == before["next_root"]), (&before["next_root"], false));
    until_picked_up(here);
    let next = std::path::Path::new(taken["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
    here.done(&["key", "rotate", "sign", "--begin", "--root", &key("root-next.pem")]);
    rotate(here, "root", &next);
    here.done(&["key", "renew", "--root", &key(&next)]);
    until_picked_up(here);
}

#[test]
fn an_auditor_sees_what_was_taken_back_and_why_and_nobody_else_does() {
    let federation = Federation::of_strangers(&["310107"]);
    let node = &federation.nodes[0];
    node.done(&["import", SAMPLE, "--kind", "honour"]);
    // what has ended is shown to auditors alone, too
    let all = node.json(&["record", SUBJECT, "--all"]);
    let found = all["counts"].clone();
    let (digest, index) = (found[0]["digest"].clone(), found[0]["index"].clone());
    assert!(digest.is_string());
    assert_eq!(all["aside"], serde_json::json!([]));

    let list = node.json(&["key", "list"]);
    let kid = list["keys"].as_array().unwrap().iter().find(|key| key["use"] == "sign").unwrap()["kid"].clone();
    let root = node.dir.join("keys/root.pem").display().to_string();
    let below = "records=1,exchange=1";
    node.done(&[
        "key",
        "compromise",
        kid.as_str().unwrap(),
        "--valid-below",
        below,
        "--root",
        &root,
        "--reason",
        "示例",
    ]);
    assert_eq!(node.json(&["record", SUBJECT]), serde_json::json!([]));
    let all = node.json(&["record", SUBJECT, "--all"]);
    assert_eq!(all["counts"], serde_json::json!([]));
    let aside = &all["aside"][0];
    assert_eq!((&aside["digest"], &aside["index"], &aside["standing"]), (&digest, &index, &"void".into()));
    assert_eq!(aside["said"]["body"], found[0]["body"]);
    let shown = node.done(&["record", SUBJECT, "--all"]);
    for words in ["void 签名密钥失控，作废", "why: signed by a key that was compromised by then", "nothing is known"]
    {
        assert!(shown.contains(words), "no {words} in\n{shown}");
    }
    assert!(!node.done(&["record", SUBJECT]).contains("void"));
}

#[test]
fn a_call_too_many_begins_nothing_and_a_second_beginning_goes_on_with_nothing() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    let root = node.dir.join("keys/root.pem").display().to_string();
    let refused = |args: &[&str], reason: &str| {
        let before = node.json(&["key", "list"]);
        let output = node.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(said(&output).contains(reason), "{}", said(&output));
        assert_eq!(node.json(&["key", "list"]), before, "{args:?}");
    };
    for of in ["sign", "ca"] {
        refused(&["key", "rotate", of, "--root", &root], &format!("no rotation of {of} is under way"));
        begin(node, of);
        refused(&["key", "rotate", of, "--begin", "--root", &root], "its next step, which is to activate");
        rotate(node, of, "root.pem");
        refused(&["key", "rotate", of, "--begin", "--root", &root], "its next step, which is to retire");
        assert!(rotate(node, of, "root.pem")["next"].as_str().unwrap().contains("the rotation is complete"));
        refused(&["key", "rotate", of, "--root", &root], "--begin begins another");
    }
    refused(&["key", "rotate", "certificate", "--begin"], "certificate is replaced in one step");
}

#[test]
fn where_there_are_persons_one_of_them_changes_keys() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    persons(node);
    let root = node.dir.join("keys/root.pem").display().to_string();
    let kid = node.json(&["key", "list"])["keys"][0]["kid"].as_str().unwrap().to_owned();
    for args in [
        &["key", "rotate", "sign", "--begin", "--root", &root] as &[&str],
        &["key", "rotate", "certificate"],
        &["key", "renew", "--root", &root],
        &["key", "compromise", &kid, "--root", &root],
    ] {
        let output = node.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(said(&output).contains("a person does this: say --as NAME"), "{}", said(&output));
        refused(node, "zhao", args, "the name or the secret is wrong");
    }
    assert_eq!(node.json(&["key", "list"])["descriptor"], 1);
    done_by(node, "li", &["key", "rotate", "sign", "--begin", "--root", &root, "--reason", "示例"]);
    done_by(node, "wang", &["key", "rotate", "certificate"]);
    let done = changes(node, "key");
    let said: Vec<_> = done.iter().map(|change| [&change["action"], &change["by"]]).collect();
    assert_eq!(said, [["announce", "li"], ["renew", "wang"]]);
}

/// What the exchange log of a node has of changes of this kind: their bodies.
pub fn changes(node: &Node, of: &str) -> Vec<serde_json::Value> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async {
        let db = Db::open(&format!("sqlite:{}", node.dir.join("data/kaopu.db").display())).await.unwrap();
        let log = db.log(&format!("kaopu/{}/exchange/1", node.id).parse().unwrap()).await.unwrap().unwrap();
        db.statements(log.id, 1, 100).await.unwrap()
    });
    let bodies = rows.iter().map(|row| match &row.body {
        Body::Here(jws) => serde_json::Value::Object(Unverified::parse(jws).unwrap().statement().body.clone()),
        body => panic!("{body:?}"),
    });
    bodies.filter(|body| body["of"] == of).collect()
}
