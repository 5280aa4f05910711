//! `kaopu key`: the keys of real nodes, replaced while they run.

use kaopu::trust::descriptor::Descriptor;

use crate::federation::{Federation, Node, said, until};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/honour.jsonl");

/// Takes the next step, which must succeed.
fn rotate(node: &Node, of: &str, root: &str) -> serde_json::Value {
    let root = node.dir.join("keys").join(root).display().to_string();
    node.json(&["key", "rotate", of, "--root", &root])
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
            let taken = rotate(here, of, "root.pem");
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
    rotate(here, "ca", "root.pem");
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
    rotate(here, "ca", "root.pem");
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
    rotate(here, "sign", "root-next.pem");
    rotate(here, "root", &next);
    here.done(&["key", "renew", "--root", &key(&next)]);
    until_picked_up(here);
}
