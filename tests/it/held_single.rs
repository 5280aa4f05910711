//! What a clerk says about a record by command, held for a second clerk: nothing is published until that one has approved it.

use std::fs;

use kaopu::config::Config;
use kaopu::import::upload::hold::change;
use kaopu::store::Db;
use serde_json::{Value, json};

use crate::acts::{penalties::row, publish};
use crate::ceremony::{done_by, persons, refused, secret_of};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, kaopu, records, said};

const CODE: &str = "91350100M000100Y43";
const REPAIR: [&str; 9] =
    ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正", "--decided", "2026-09-20"];

fn size(node: &Node) -> u64 {
    records(&node.json(&["status"]))["size"].as_u64().unwrap()
}

/// A command about the record of a number.
fn about<'a>(command: &[&'a str], number: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [command, &["--number", number, "--code", CODE], more].concat()
}

/// The number under which somebody holds something.
fn held_by(node: &Node, name: &str, args: &[&str]) -> String {
    done_by(node, name, args)["hold"]["upload"].to_string()
}

fn status(node: &Node, number: &str) -> Value {
    let found = node.json(&["record", CODE, "--all"]);
    let of = found["counts"].as_array().unwrap().iter().find(|record| record["body"]["number"] == number);
    of.unwrap()["status"].clone()
}

fn is_held(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(kind));
    let federation = Federation::on(database.url(), &["340500", "310107"]);
    let city = &federation.nodes[0];
    let penalties: Vec<String> = (1..=4).map(|number| row(number, "2026-01-15", CODE)).collect();
    publish(city, &penalties);
    let repair = about(&REPAIR, "示罚〔2026〕1号", &["--hold"]);
    assert!(said(&city.run(&repair)).contains("kaopu user add"), "a node without accounts has no two persons");
    persons(city);
    assert!(said(&city.run(&repair)).contains("--as"));
    let before = size(city);

    // what may not be said is not held
    let unknown = about(&REPAIR, "示罚〔2026〕9号", &["--hold"]);
    refused(city, "li", &unknown, "未找到相符的记录");
    let held = done_by(city, "li", &repair);
    let told = (&held["digest"], &held["hold"]["state"], &held["hold"]["held_by"], &held["hold"]["upload"]);
    assert_eq!(told, (&Value::Null, &json!("held"), &json!("li"), &json!(2)));
    assert_eq!(size(city), before, "nothing is published");
    assert!(city.done(&["upload", "list"]).contains("示罚〔2026〕1号"));
    let shown: Value = serde_json::from_str(&city.done(&["upload", "show", "2", "--rows"])).unwrap();
    assert_eq!((&shown["about"]["digest"], &shown["about"]["record"]), (&held["about"], &json!("penalty")));
    assert_eq!((&shown["body"]["reason"], &shown["body"]["type"]), (&json!("已纠正"), &json!("终止公示")));
    for again in ["li", "wang"] {
        refused(city, again, &repair, "待复核");
    }
    refused(city, "li", &["upload", "approve", "2"], "须由另一人复核");
    let approved = done_by(city, "wang", &["upload", "approve", "2"]);
    assert_eq!((&approved["published"], &approved["refused"], size(city)), (&json!(1), &json!(0), before + 1));
    assert_eq!(status(city, "示罚〔2026〕1号"), "repaired");
    let operators = city.json(&["record", CODE, "--all"])["operators"].clone();
    let of_repair = operators.as_object().unwrap().values().find(|operator| operator["upload"] == 2).unwrap();
    assert_eq!((&of_repair["operator"], &of_repair["approved_by"]), (&json!("li"), &json!("wang")));
    assert_eq!(done_by(city, "wang", &["upload", "approve", "2"])["published"], 1, "once more is the same receipt");
    refused(city, "wang", &repair, "已修复");
    assert_eq!(size(city), before + 1);

    // what another has made impossible meanwhile is sent back; two decisions of one record are two things to look at
    let withdraw = |reason| about(&["withdraw", "--reason", reason, "--hold"], "示罚〔2026〕2号", &[]);
    let (one, other) = (held_by(city, "li", &withdraw("误报")), held_by(city, "wang", &withdraw("重复")));
    assert_eq!(done_by(city, "wang", &["upload", "approve", &one])["published"], 1);
    let late = done_by(city, "li", &["upload", "approve", &other]);
    assert_eq!(
        (&late["published"], &late["refused"], &late["faults"][0]["code"]),
        (&json!(0), &json!(1), &json!("E403"))
    );
    assert!(late["faults"][0]["message"].as_str().unwrap().contains("撤回"), "{late:#}");
    assert_eq!(size(city), before + 2);

    // refused, it may be held again; approved and cut off, it goes on
    let revoke = about(&["repair", "revoke", "--reason", "不实承诺", "--hold"], "示罚〔2026〕1号", &[]);
    let first = held_by(city, "li", &revoke);
    assert_eq!(
        done_by(city, "wang", &["upload", "refuse", &first, "--reason", "材料不全"])["hold"]["state"],
        "refused"
    );
    let again = held_by(city, "li", &revoke);
    assert_ne!(again, first);
    runtime.block_on(async {
        let db = Db::open(Config::load(&city.config()).unwrap().store.expose()).await.unwrap();
        let approve = change(&again, "approve held", "wang", None, 1);
        assert!(db.approve_hold(again.parse().unwrap(), &approve).await.unwrap());
        db.close().await;
    });
    assert_eq!(size(city), before + 2);
    assert_eq!(done_by(city, "wang", &["upload", "approve", &again])["published"], 1);
    assert_eq!((status(city, "示罚〔2026〕1号"), size(city)), (json!("published"), before + 3));
}

#[test]
fn what_is_said_by_command_may_wait_for_a_second_person_on_sqlite() {
    is_held(Kind::Sqlite);
}

#[test]
fn what_is_said_by_command_may_wait_for_a_second_person_on_postgres() {
    is_held(Kind::Postgres);
}

#[test]
fn where_a_node_demands_it_all_that_is_said_by_command_is_held() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    publish(city, &[row(1, "2026-01-15", CODE), row(2, "2026-01-15", CODE)]);
    persons(city);
    let config = fs::read_to_string(city.config()).unwrap();
    fs::write(city.config(), config.replace("\nhold = false\n", "\nhold = true\n")).unwrap();
    let before = size(city);
    let raise = about(&["dispute", "raise", "--reason", "有异议"], "示罚〔2026〕1号", &[]);
    let answer = about(&["dispute", "answer", "--outcome", "更正", "--reason", "属实"], "示罚〔2026〕1号", &[]);
    let output = city.run(&raise);
    assert!(output.status.code() == Some(1) && said(&output).contains("--as"), "{}", said(&output));
    let rehearsed = city.json(&[&raise[..], &["--dry-run"]].concat());
    assert_eq!((&rehearsed["digest"], &rehearsed["hold"]), (&Value::Null, &Value::Null), "a rehearsal needs nobody");

    let raised = held_by(city, "li", &raise);
    assert_eq!(size(city), before);
    refused(city, "wang", &answer, "没有待处理的事项");
    assert_eq!(done_by(city, "wang", &["upload", "approve", &raised])["published"], 1);
    let told = |args: &[&str]| {
        let mut command = kaopu();
        command.args(args).args(["--as", "li", "-c"]).arg(city.config()).env("KAOPU_SECRET", secret_of("li"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let held = told(&answer);
    let answered = city.json(&["upload", "list"])[0]["id"].to_string();
    assert!(held.contains(&format!("kaopu upload approve {answered} ")) && held.contains("尚未发布"), "{held}");
    assert!(!held.contains("import the corrected record now"), "not before it is said: {held}");
    done_by(city, "wang", &["upload", "approve", &answered]);
    assert_eq!(size(city), before + 2);
    assert_eq!(city.json(&["dispute", "list"]), json!([]));
}
