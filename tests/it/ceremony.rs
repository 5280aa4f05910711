//! Two cities that take each other as peers by the true ceremony, as their administrators do it: real processes, real
//! connections, two persons on each side.

use std::process::Output;

use serde_json::Value;

use crate::federation::{Federation, Node, kaopu, said, until};

/// The secret of an account, by its name.
pub fn secret_of(name: &str) -> String {
    format!("{name}-的示例密码-12345")
}

/// Gives a node its two persons, li and wang.
pub fn persons(node: &Node) {
    for (name, by) in [("li", None), ("wang", Some("li"))] {
        let mut command = kaopu();
        command.args(["user", "add", name]).env("KAOPU_NEW_SECRET", secret_of(name));
        if let Some(by) = by {
            command.args(["--as", by]).env("KAOPU_SECRET", secret_of(by));
        }
        let output = command.arg("-c").arg(node.config()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// A command that somebody runs under a name.
pub fn by(node: &Node, name: &str, args: &[&str]) -> Output {
    let mut command = kaopu();
    command.args(args).args(["--as", name, "--json", "-c"]).arg(node.config()).env("KAOPU_SECRET", secret_of(name));
    command.output().unwrap()
}

/// The same where it must succeed.
pub fn done_by(node: &Node, name: &str, args: &[&str]) -> Value {
    let output = by(node, name, args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn refused(node: &Node, name: &str, args: &[&str], reason: &str) {
    let output = by(node, name, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    assert!(said(&output).contains(reason), "{args:?}: {}", said(&output));
}

pub fn fingerprint(node: &Node) -> String {
    node.json(&["status"])["fingerprint"].as_str().unwrap().to_owned()
}

pub fn shown(node: &Node, of: &Node) -> Value {
    node.json(&["peer", "show", &of.id])
}

/// The whole ceremony between two nodes that run.
pub fn enrol(one: &Node, other: &Node) {
    let invitation = done_by(one, "li", &["peer", "invite", &other.id]);
    done_by(other, "li", &["peer", "add", invitation["invitation"].as_str().unwrap()]);
    for (here, there) in [(one, other), (other, one)] {
        done_by(here, "li", &["peer", "confirm", &there.id, &fingerprint(there)]);
        done_by(here, "wang", &["peer", "approve", &there.id]);
    }
    until("both are active", || {
        [(one, other), (other, one)].iter().all(|(here, there)| shown(here, there)["state"] == "active")
    });
}

fn two() -> Federation {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.nodes.iter().for_each(persons);
    federation.start();
    federation
}

#[test]
fn two_administrators_on_each_side_take_each_other_as_peers() {
    let federation = two();
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    let invitation = done_by(one, "li", &["peer", "invite", "310107"]);
    assert_eq!(one.json(&["peer", "list"])[0]["state"], "invited");
    let text = invitation["invitation"].as_str().unwrap();
    let added = done_by(other, "wang", &["peer", "add", text]);
    assert_eq!((&added[0]["state"], &added[0]["introduced"]["done"]), (&"fetched".into(), &true.into()));
    assert_eq!(shown(one, other)["state"], "fetched");
    // the same text again, as after an answer that was lost, changes nothing there
    let again = done_by(other, "wang", &["peer", "add", text]);
    assert_eq!((&again[0]["outcome"], &again[0]["introduced"]["done"]), (&"unchanged".into(), &true.into()));
    assert_eq!(shown(one, other)["state"], "fetched");

    // what somebody mishears, or mistypes
    let right = fingerprint(other);
    let wrong = format!("{}{}", &right[..right.len() - 1], if right.ends_with('7') { '8' } else { '7' });
    refused(one, "li", &["peer", "confirm", "310107", &wrong], "are not the fingerprint");
    refused(one, "li", &["peer", "confirm", "310107", "12345"], "30 digits; 5 were given");
    refused(one, "li", &["peer", "approve", "310107"], "310107 is fetched here");
    done_by(one, "li", &["peer", "confirm", "310107", &right.replace(' ', "-")]);
    refused(one, "li", &["peer", "approve", "310107"], "another person does");
    refused(one, "zhao", &["peer", "approve", "310107"], "the name or the secret is wrong");
    // a confirmation that was a mistake is taken back, and then another one may confirm: still two persons
    let undo = ["peer", "confirm", "310107", "--undo", "--reason", "示例：听错了"];
    assert_eq!(done_by(one, "li", &undo)["state"], "fetched");
    refused(one, "li", &undo, "310107 is fetched here");
    refused(one, "wang", &["peer", "approve", "310107"], "310107 is fetched here");
    done_by(one, "li", &["peer", "confirm", "310107", &right]);
    done_by(one, "wang", &["peer", "approve", "310107"]);
    refused(one, "li", &undo, "310107 is approved here");

    // one side is done, and says what is missing on the other
    until("what is missing there is known", || {
        let peer = shown(one, other);
        peer["state"] == "approved" && peer["missing_there"] == serde_json::json!(["confirm", "approve"])
    });
    assert!(shown(one, other)["next"].as_str().unwrap().contains("missing there: confirm, approve"));
    let peer = &one.json(&["status"])["peers"][0];
    assert!(peer["summary"].as_str().unwrap().contains("missing there: confirm, approve"), "{peer}");

    done_by(other, "wang", &["peer", "confirm", "340500", &fingerprint(one)]);
    done_by(other, "li", &["peer", "approve", "340500"]);
    until("both are active", || shown(one, other)["state"] == "active" && shown(other, one)["state"] == "active");
    federation.until_in_step();
    let peer = shown(other, one);
    assert_eq!(
        (&peer["proposed_by"], &peer["approved_by"], &peer["by_file"]),
        (&"wang".into(), &"li".into(), &false.into())
    );

    // out again, and never back
    done_by(one, "wang", &["peer", "suspend", "310107", "--reason", "示例"]);
    refused(one, "wang", &["peer", "suspend", "310107", "--reason", "示例"], "310107 is suspended here");
    done_by(one, "li", &["peer", "resume", "310107"]);
    done_by(one, "li", &["peer", "revoke", "310107", "--reason", "示例"]);
    refused(one, "li", &["peer", "resume", "310107"], "was revoked here");
    refused(one, "li", &["peer", "add", other.descriptor().to_str().unwrap()], "was revoked here");
    let again = done_by(one, "li", &["peer", "invite", "310107"]);
    refused(other, "li", &["peer", "add", again["invitation"].as_str().unwrap()], "");
    assert_eq!(shown(one, other)["state"], "revoked");
}

#[test]
fn where_there_are_persons_nobody_adds_a_peer_without_them() {
    let federation = Federation::of_strangers(&["340500", "310107"]);
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    let file = other.descriptor().display().to_string();
    // before that there is no address and no invitation either
    let output = one.run(&["peer", "add", "https://127.0.0.1:1"]);
    assert!(said(&output).contains("this node has no accounts yet"), "{}", said(&output));
    persons(one);
    let output = one.run(&["peer", "add", &file]);
    assert!(said(&output).contains("say --as NAME"), "{}", said(&output));
    let added = done_by(one, "li", &["peer", "add", &file]);
    assert_eq!(added[0]["state"], "fetched");
    let output = one.run(&["user", "add", "zhao"]);
    assert!(!output.status.success());
    done_by(one, "li", &["user", "disable", "wang"]);
    refused(one, "wang", &["peer", "approve", "310107"], "the name or the secret is wrong, or the account is disabled");
    let accounts = one.json(&["user", "list"]);
    assert_eq!((&accounts[1]["name"], &accounts[1]["state"]), (&"wang".into(), &"disabled".into()));
}

#[test]
fn a_ceremony_goes_on_after_a_restart_in_each_state() {
    let mut federation = two();
    let steps: &[(&str, &str, &str)] = &[("li", "confirm", "confirmed"), ("wang", "approve", "approved")];
    {
        let [one, other] = &federation.nodes[..] else { unreachable!() };
        let invitation = done_by(one, "li", &["peer", "invite", "310107"]);
        done_by(other, "li", &["peer", "add", invitation["invitation"].as_str().unwrap()]);
    }
    for (name, step, state) in steps {
        for node in &mut federation.nodes {
            assert!(node.signal("-TERM"));
            node.start();
        }
        let [one, other] = &federation.nodes[..] else { unreachable!() };
        for (here, there) in [(one, other), (other, one)] {
            let digits = fingerprint(there);
            let mut args = vec!["peer", step, &there.id];
            if *step == "confirm" {
                args.push(&digits);
            }
            let peer = done_by(here, name, &args);
            assert!(peer["state"] == *state || peer["state"] == "active", "{peer}");
        }
    }
    federation.until_in_step();
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    until("both are active", || shown(one, other)["state"] == "active" && shown(other, one)["state"] == "active");
}
