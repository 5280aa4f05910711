//! A whole wrong upload taken back by two persons.

use serde_json::json;

use crate::acts::{penalties, publish};
use crate::ceremony::{done_by, persons, refused};
use crate::database::{Database, Kind};
use crate::federation::{Federation, records, until};

const CODE: &str = "91350100M000100Y43";

#[test]
fn a_wrong_upload_is_taken_back_by_two_persons_and_nothing_else_with_it_on_sqlite() {
    is_taken_back(Kind::Sqlite);
}

#[test]
fn a_wrong_upload_is_taken_back_by_two_persons_and_nothing_else_with_it_on_postgres() {
    is_taken_back(Kind::DurablePostgres);
}

fn is_taken_back(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(kind));
    let mut federation = Federation::on(database.url(), &["340500", "310107"]);
    let row = |number: u32, fine: &str| {
        penalties::row(number, "2026-01-15", CODE).replace("罚款,1,", &format!("罚款,{fine},"))
    };
    let city = &federation.nodes[0];
    publish(city, &(1..=600).map(|number| row(number, "1")).collect::<Vec<_>>());
    publish(city, &(601..=700).map(|number| row(number, "1")).collect::<Vec<_>>());
    // one of it was corrected since, and one withdrawn
    publish(city, &[row(7, "2")]);
    city.done(&["withdraw", "--number", "示罚〔2026〕8号", "--code", CODE, "--reason", "误报"]);

    let propose = ["upload", "withdraw", "1", "--reason", "误传"];
    let approve = ["upload", "withdraw", "1", "--approve"];
    let output = city.run(&propose);
    assert_eq!(output.status.code(), Some(1), "a node without accounts has no two persons");
    persons(city);
    refused(city, "li", &approve, "尚未提出整批撤回");
    refused(city, "li", &["upload", "withdraw", "9", "--reason", "误传"], "没有该批次");
    assert_eq!(done_by(city, "li", &propose)["proposed_by"], "li");
    assert_eq!(city.json(&["upload", "list"]).as_array().unwrap().last().unwrap()["withdrawal"]["reason"], "误传");
    assert!(city.done(&["upload", "show", "1"]).contains("待另一人批准"));
    refused(city, "li", &approve, "须由另一人批准");
    refused(city, "wang", &propose, "已提出，请由另一人批准");
    let size = || records(&city.json(&["status"]))["size"].as_u64().unwrap();
    let before = size();

    // killed as soon as something is withdrawn
    let mut command = crate::federation::kaopu();
    command.args(approve).args(["--as", "wang", "--json", "-c"]).arg(city.config()).stdout(std::process::Stdio::null());
    let mut child = command.env("KAOPU_SECRET", crate::ceremony::secret_of("wang")).spawn().unwrap();
    until("some records are withdrawn", || size() > before);
    // it may have ended already
    let _ = child.kill();
    child.wait().unwrap();
    let done = done_by(city, "wang", &approve);
    assert_eq!(done["replaced"], 1);
    assert_eq!(done["withdrawn"].as_u64().unwrap() + done["before"].as_u64().unwrap(), 599);
    assert_eq!(size() - before, 598, "each once, and the one that was withdrawn before not again");
    assert_eq!(done_by(city, "wang", &approve), json!({"withdrawn": 0, "before": 599, "replaced": 1}));
    assert!(city.done(&["upload", "list"]).contains("(taken back 已整批撤回)"));
    assert_eq!(city.json(&["upload", "show", "1"])["withdrawal"]["approved_by"], "wang");
    let other = ["--number", "示罚〔2026〕650号", "--code", CODE, "--type", "终止公示", "--authority", "示例局"];
    city.done(&[&["repair", "--reason", "已纠正"][..], &other].concat());

    let who = &city.json(&["record", CODE, "--all"])["operators"];
    let told: Vec<&str> = who.as_object().unwrap().values().map(|who| who["operator"].as_str().unwrap()).collect();
    assert!(told.contains(&"wang"), "whoever approved had them withdrawn");

    federation.start();
    federation.until_in_step();
}
