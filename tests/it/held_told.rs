//! Held uploads that nobody has decided on, as an administrator hears of them before they are dropped: in `status`, by the doctor
//! and in the figures.

use std::fs;

use serde_json::Value;

use crate::ceremony::{done_by, persons};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node};
use crate::figures::local;
use crate::held_command::file;

/// What the doctor finds of it.
fn found(node: &Node) -> Option<Value> {
    let doctor: Value = serde_json::from_slice(&node.run(&["doctor", "--json"]).stdout).unwrap();
    doctor["own"].as_array().unwrap().iter().find(|check| check["name"] == "held").cloned()
}

/// The figures of uploads that wait: all, those due, and the seconds until the next is dropped.
fn figures(node: &Node) -> [Option<f64>; 3] {
    let figures = local(node, "/metrics");
    ["waiting", "due", "expiry_seconds"].map(|figure| {
        let name = format!("kaopu_held_uploads_{figure} ");
        figures.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok())
    })
}

fn is_told(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(kind));
    let mut federation = Federation::on(database.url(), &["340500", "310107"]);
    persons(&federation.nodes[0]);
    federation.nodes[0].start();
    let city = &federation.nodes[0];
    let held = || city.json(&["status"])["held"].clone();
    assert_eq!((&held()["waiting"], figures(city)), (&0.into(), [Some(0.0), Some(0.0), None]));

    let hold = |name: &str, numbers| {
        let file = file(city, name, numbers);
        done_by(city, "li", &["import", &file, "--kind", "penalty", "--hold"])
    };
    hold("示例.csv", 1..=3);
    let one = held();
    assert_eq!((&one["waiting"], &one["due"], &one["words"]), (&1.into(), &0.into(), &Value::Null), "{one:#}");
    assert_eq!((&one["first"][0]["upload"], &one["first"][0]["held_by"]), (&1.into(), &"li".into()));
    assert!(city.done(&["status"]).contains("wait for a second person 待复核: 1, the first until "));
    assert_eq!(found(city), None, "that it waits is no fault");
    let [waiting, due, seconds] = figures(city);
    assert_eq!((waiting, due), (Some(1.0), Some(0.0)));
    let days = seconds.unwrap() / 86_400.0;
    assert!((29.0..=30.0).contains(&days), "{days}");

    // what is dropped within a day is told at every place
    let config = fs::read_to_string(city.config()).unwrap();
    fs::write(city.config(), config.replace("\nhold_days = 30\n", "\nhold_days = 1\n")).unwrap();
    hold("另一.csv", 4..=5);
    let two = held();
    let words = two["words"].as_str().unwrap();
    assert!(words.starts_with("2 held uploads wait for a second person 待复核: 1 dropped by 20"), "{words}");
    assert!(words.contains("first, upload 2 (penalty, 另一.csv), held by li since 20"), "{words}");
    assert!(words.contains("`kaopu upload approve 2`, or `kaopu upload refuse 2 --reason TEXT`"), "{words}");
    assert_eq!((&two["due"], &two["expiring"], &two["long"]), (&1.into(), &1.into(), &0.into()));
    assert!(city.done(&["status"]).contains(&format!("! {words}")));
    let check = found(city).unwrap();
    assert_eq!((&check["verdict"], &check["words"]), (&"warning".into(), &words.into()));
    let [waiting, due, seconds] = figures(city);
    assert_eq!((waiting, due), (Some(2.0), Some(1.0)));
    assert!((1.0..=86_400.0).contains(&seconds.unwrap()), "{seconds:?}");

    // until somebody has decided
    done_by(city, "wang", &["upload", "approve", "2"]);
    assert_eq!((&held()["waiting"], &held()["words"], found(city)), (&1.into(), &Value::Null, None));
    done_by(city, "wang", &["upload", "refuse", "1", "--reason", "误传"]);
    assert_eq!((&held()["waiting"], figures(city)), (&0.into(), [Some(0.0), Some(0.0), None]));
}

#[test]
fn an_upload_that_waits_for_a_second_person_is_told_until_one_has_decided_on_sqlite() {
    is_told(Kind::Sqlite);
}

#[test]
fn an_upload_that_waits_for_a_second_person_is_told_until_one_has_decided_on_postgres() {
    is_told(Kind::Postgres);
}
