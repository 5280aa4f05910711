//! `kaopu import --hold`, `kaopu upload approve` and `refuse` as two clerks know them, and who had what said.

use std::fs;
use std::process::Output;

use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::acts::{penalties, publish};
use crate::ceremony::{by, done_by, persons, refused, secret_of};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, kaopu, records, said, until};

const CODE: &str = "91350100M000100Y43";

/// Writes penalties of these numbers to a file.
pub fn file(node: &Node, name: &str, numbers: std::ops::RangeInclusive<u32>) -> String {
    let rows: String = numbers.map(|number| penalties::row(number, "2026-01-15", CODE)).collect();
    let path = node.dir.join(name);
    fs::write(&path, format!("{}{rows}", penalties::HEADER)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn size(node: &Node) -> u64 {
    records(&node.json(&["status"]))["size"].as_u64().unwrap()
}

/// By somebody, with everything in the journal and results for people.
fn told(node: &Node, name: &str, args: &[&str]) -> Output {
    let mut command = kaopu();
    command.args(args).args(["--as", name, "-c"]).arg(node.config());
    command.env("KAOPU_SECRET", secret_of(name)).env("KAOPU_LOG", "kaopu=trace").output().unwrap()
}

fn is_held_and_published(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(kind));
    let mut federation = Federation::on(database.url(), &["340500", "310107"]);
    let city = &federation.nodes[0];
    let upload = file(city, "示例.csv", 1..=30);
    let import = ["import", &upload, "--kind", "penalty", "--hold"];
    let nobody = city.run(&import);
    assert_eq!(nobody.status.code(), Some(1), "a node without accounts has no two persons");
    assert!(said(&nobody).contains("kaopu user add"), "{}", said(&nobody));
    persons(city);
    assert!(said(&city.run(&import)).contains("--as"));
    let before = size(city);

    let held = told(city, "li", &import);
    assert!(held.status.success(), "{}", said(&held));
    let shown = String::from_utf8(held.stdout.clone()).unwrap();
    assert!(shown.contains("would be published") && shown.contains("kaopu upload approve 1"), "{shown}");
    assert_eq!(size(city), before, "nothing is published");
    let listed = city.json(&["upload", "list"]);
    assert_eq!((&listed[0]["hold"]["state"], &listed[0]["operator"]), (&"held".into(), &"li".into()));
    assert!(city.done(&["upload", "list"]).contains("待复核"));
    assert!(city.done(&["upload", "show", "1"]).contains("held as upload 1 by li"));
    let rows = city.done(&["upload", "show", "1", "--rows"]);
    assert_eq!(rows.lines().count(), 30);
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!((&first["row"], &first["subject"]["uscc"]), (&1.into(), &CODE.into()));
    assert_eq!(first["body"]["number"], "示罚〔2026〕1号");

    refused(city, "li", &["upload", "approve", "1"], "须由另一人复核");
    refused(city, "wang", &["upload", "approve", "9"], "没有该待复核批次");
    refused(city, "wang", &["import", &upload, "--kind", "penalty"], "待复核");
    let approved = told(city, "wang", &["upload", "approve", "1"]);
    assert!(approved.status.success(), "{}", said(&approved));
    for output in [&held, &approved] {
        let journal = said(output);
        assert!(!journal.contains("示例商贸") && !journal.contains(CODE), "no body in the journal: {journal}");
    }
    assert_eq!(size(city), before + 30);
    assert_eq!(done_by(city, "wang", &["upload", "approve", "1"])["published"], 30, "once more is the same receipt");
    assert!(city.done(&["upload", "show", "1"]).contains("approved by wang"));
    refused(city, "li", &["upload", "refuse", "1", "--reason", "误传"], "已处理");
    let found = city.json(&["record", CODE, "--all"]);
    let who = found["operators"].as_object().unwrap();
    assert_eq!(who.len(), 30);
    for operator in who.values() {
        let told = (&operator["operator"], &operator["upload"], &operator["approved_by"]);
        assert_eq!(told, (&"li".into(), &1.into(), &"wang".into()));
    }

    // what is said about records, too
    let repairs = city.dir.join("修复.csv");
    let header = "修复类型,决定书文号,统一社会信用代码,修复决定机关,修复决定日期,生效日期,理由\n";
    let row = format!("终止公示,示罚〔2026〕1号,{CODE},示例局,2026-09-20,2026-09-20,已纠正\n");
    fs::write(&repairs, format!("{header}{row}")).unwrap();
    let list = ["import", repairs.to_str().unwrap(), "--kind", "repair", "--hold"];
    assert_eq!(done_by(city, "wang", &list)["published"], 1);
    assert_eq!(city.done(&["upload", "show", "2", "--rows"]).matches("示罚〔2026〕1号").count(), 1);
    assert_eq!(done_by(city, "li", &["upload", "refuse", "2", "--reason", "材料不全"])["hold"]["state"], "refused");
    refused(city, "li", &["upload", "approve", "2"], "refused by li (材料不全)");
    assert_eq!(done_by(city, "wang", &list)["hold"]["upload"], 3, "it may be held again");
    assert_eq!(done_by(city, "li", &["upload", "approve", "3"])["published"], 1);
    assert_eq!(size(city), before + 31);

    federation.start();
    federation.until_in_step();
    let changes = || {
        let logs = federation.nodes[0].json(&["status"]);
        let exchange =
            logs["logs"].as_array().unwrap().iter().find(|log| log["origin"].as_str().unwrap().contains("/exchange/"));
        exchange.unwrap()["size"].as_u64().unwrap()
    };
    // hold, approve; hold, refuse; hold, approve; and two accounts
    until("each step is in the exchange log", || changes() >= 1 + 6 + 2);
}

#[test]
fn an_upload_is_held_by_one_person_and_published_by_another_on_sqlite() {
    is_held_and_published(Kind::Sqlite);
}

#[test]
fn an_upload_is_held_by_one_person_and_published_by_another_on_postgres() {
    is_held_and_published(Kind::Postgres);
}

#[test]
fn where_a_node_demands_it_every_upload_is_held_and_what_nobody_decides_on_is_dropped() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    persons(city);
    let config = fs::read_to_string(city.config()).unwrap();
    assert!(config.contains("\nhold = false\n"));
    fs::write(city.config(), config.replace("\nhold = false\n", "\nhold = true\n")).unwrap();
    let upload = file(city, "示例.csv", 1..=3);
    let import = ["import", &upload, "--kind", "penalty"];
    let output = city.run(&import);
    assert!(output.status.code() == Some(1) && said(&output).contains("--as"), "{}", said(&output));
    assert_eq!(
        city.json(&["import", &upload, "--kind", "penalty", "--dry-run"])["published"],
        3,
        "a rehearsal needs nobody"
    );
    assert_eq!(done_by(city, "li", &import)["hold"]["state"], "held");

    // as if a month had passed
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}", city.dir.join("data/kaopu.db").display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("UPDATE upload_hold SET until_ms = 1").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
    let late = by(city, "wang", &["upload", "approve", "1"]);
    assert_eq!(late.status.code(), Some(1));
    let journal = said(&late);
    assert!(journal.contains("a held upload was dropped") && journal.contains("upload=1"), "{journal}");
    assert!(journal.contains("upload 1 is expired"), "{journal}");
    assert!(city.done(&["upload", "list"]).contains("expired"));
    assert_eq!(done_by(city, "li", &import)["hold"]["upload"], 2, "and may be held again");
}

#[test]
fn who_had_a_single_event_said_is_kept() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    publish(city, &[penalties::row(1, "2026-01-15", CODE), penalties::row(2, "2026-01-15", CODE)]);
    let withdrawn = city.json(&[
        "withdraw",
        "--number",
        "示罚〔2026〕1号",
        "--code",
        CODE,
        "--reason",
        "误报",
        "--operator",
        "赵经办",
    ]);
    let found = city.json(&["record", CODE, "--all"]);
    let operator = |digest: &Value| &found["operators"][digest.as_str().unwrap()];
    assert_eq!(operator(&withdrawn["digest"])["operator"], "赵经办");
    assert!(operator(&withdrawn["digest"])["upload"].is_null());
    assert_eq!(
        (&operator(&withdrawn["about"])["operator"], &operator(&withdrawn["about"])["upload"]),
        (&"示例".into(), &1.into())
    );
    let shown = city.done(&["record", CODE, "--all"]);
    assert!(shown.contains("operator 经办 赵经办\n") && shown.contains("operator 经办 示例, upload 1\n"), "{shown}");
    assert!(!city.done(&["record", CODE]).contains("经办"), "for auditors alone");
}
