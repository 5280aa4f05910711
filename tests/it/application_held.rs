//! An application for a repair, decided by a city where a second person looks at each repair: filed at one window, held and approved
//! by two clerks of the other, and at its end at both. Real processes that serve each other.

use std::fs;

use serde_json::{Value, json};

use crate::acts::{penalties::row, publish};
use crate::ceremony::{by, done_by, persons, refused};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, records, said, until};

const CODE: &str = "91350100M000100Y43";
const GRANTED: [&str; 4] = ["--authority", "示例局", "--reason", "已履行"];

fn size(node: &Node) -> u64 {
    records(&node.json(&["status"]))["size"].as_u64().unwrap()
}

fn shown(node: &Node, application: &str) -> Value {
    let shown = node.run(&["application", "show", application, "--json"]);
    serde_json::from_slice(&shown.stdout).unwrap_or_default()
}

/// Files an application about the record of a number, and waits until the other city has accepted it.
fn accepted(window: &Node, decider: &Node, number: &str) -> String {
    let commitment = window.dir.join("承诺书.pdf");
    fs::write(&commitment, number).unwrap();
    let commitment = commitment.to_str().unwrap();
    let file = ["application", "file", "--number", number, "--code", CODE, "--type", "终止公示"];
    let filed = window.json(&[&file[..], &["--commitment", commitment, "--attach", commitment]].concat());
    let application = filed["digest"].as_str().unwrap().to_owned();
    until("the application is at the other city", || shown(decider, &application)["stage"] == "filed");
    done_by(decider, "li", &["application", "accept", &application]);
    application
}

fn is_decided_by_two(kind: Kind) {
    let database = tokio::runtime::Runtime::new().unwrap().block_on(Database::new(kind));
    let mut federation = Federation::on(database.url(), &["340500", "310107"]);
    publish(&federation.nodes[0], &(1..=2).map(|number| row(number, "2026-01-15", CODE)).collect::<Vec<_>>());
    persons(&federation.nodes[0]);
    let config = federation.nodes[0].config();
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\nhold = false\n", "\nhold = true\n")).unwrap();
    federation.start();
    let [decider, window] = &federation.nodes[..] else { unreachable!() };
    until("the records are at the window", || window.json(&["record", CODE]).as_array().unwrap().len() == 2);

    // the decision holds the repair alone, with what the application says of it
    let application = accepted(window, decider, "示罚〔2026〕1号");
    let decide = [&["application", "decide", &application][..], &GRANTED].concat();
    let nobody = decider.run(&decide);
    assert!(nobody.status.code() == Some(1) && said(&nobody).contains("--as"), "{}", said(&nobody));
    let before = size(decider);
    let rehearsed = done_by(decider, "li", &[&decide[..], &["--dry-run"]].concat());
    assert_eq!((&rehearsed["repair"]["digest"], &rehearsed["hold"]), (&Value::Null, &Value::Null));
    let held = done_by(decider, "li", &decide);
    assert_eq!((&held["application"], &held["hold"]["state"]), (&Value::Null, &json!("held")), "{held:#}");
    let (body, filed) = (&held["repair"]["body"], shown(window, &application));
    assert_eq!((&body["type"], &body["reason"]), (&json!("终止公示"), &json!("已履行")));
    assert_eq!(body["evidence"][0], filed["attachments"][0]["digest"]);
    assert!(body["commitment"].is_string() && body["applied"].is_string() && body["accepted"].is_string(), "{body}");
    assert_eq!(
        (size(decider), &shown(decider, &application)["stage"]),
        (before, &json!("accepted")),
        "nothing is said"
    );
    let id = held["hold"]["upload"].to_string();
    refused(decider, "li", &decide, "待复核");
    refused(decider, "li", &["upload", "approve", &id], "须由另一人复核");

    // approved by another, it is said, and ends the application by its digest
    let approved = done_by(decider, "wang", &["upload", "approve", &id]);
    let repair = approved["said"].as_str().unwrap();
    assert_eq!((size(decider), &shown(decider, &application)["stage"]), (before + 1, &json!("accepted")));
    assert_eq!(decider.json(&["upload", "show", &id])["said"], repair);
    assert!(decider.done(&["upload", "show", &id]).contains(&format!("said 已发布: {repair}")));
    let again = said(&by(decider, "li", &decide));
    assert!(again.contains("已修复") && again.contains(&format!("decide {application} --repair {repair}")), "{again}");
    refused(decider, "li", &["application", "decide", &application, "--repair", &application], "不是该信息的有效修复");
    let decided = done_by(decider, "li", &["application", "decide", &application, "--repair", repair]);
    assert_eq!(decided["application"]["body"]["repair"], repair);
    let ends = |application: &str, repair: &str| {
        until("both see the end of it", || {
            [window, decider].iter().all(|node| shown(node, application)["stage"] == "decided")
        });
        let end = shown(window, application);
        assert_eq!((&end["repair"], &end["next"], &end["late"]), (&json!(repair), &Value::Null, &json!(false)));
        until("the window recognises it", || {
            let shown = window.run(&["recognise", "show", repair, "--json"]);
            let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
            shown["partners"][0]["outcome"] == "recognised"
        });
    };
    ends(&application, repair);
    assert_eq!(window.json(&["record", CODE]).as_array().unwrap().len(), 1, "it has its effect there");

    // refused by the second person nothing is said; and the repair may be said by its own command too
    let application = accepted(window, decider, "示罚〔2026〕2号");
    let decide = [&["application", "decide", &application][..], &GRANTED].concat();
    let id = done_by(decider, "li", &decide)["hold"]["upload"].to_string();
    done_by(decider, "wang", &["upload", "refuse", &id, "--reason", "材料不全"]);
    assert_eq!(decider.json(&["upload", "show", &id])["said"], Value::Null);
    assert_eq!(shown(decider, &application)["stage"], "accepted");
    let repair = ["repair", "--number", "示罚〔2026〕2号", "--code", CODE, "--type", "终止公示"];
    let id = done_by(decider, "li", &[&repair[..], &GRANTED].concat())["hold"]["upload"].to_string();
    let approved = done_by(decider, "wang", &["upload", "approve", &id]);
    let repair = approved["said"].as_str().unwrap();
    done_by(decider, "wang", &["application", "decide", &application, "--repair", repair]);
    ends(&application, repair);
}

#[test]
fn a_city_where_two_persons_repair_decides_on_an_application_on_sqlite() {
    is_decided_by_two(Kind::Sqlite);
}

#[test]
fn a_city_where_two_persons_repair_decides_on_an_application_on_postgres() {
    is_decided_by_two(Kind::Postgres);
}
