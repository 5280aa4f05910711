//! `kaopu import` and `kaopu upload` as a clerk knows them: receipts, refusals, and a process that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::federation::{Federation, Node, kaopu, said, until};
use crate::upload::text as penalties;

const HEADER: &str = "企业名称,统一社会信用代码,注册日期,DFBM\n";

/// A city and a file in its folder.
fn city_with(text: &str) -> (Federation, PathBuf) {
    let federation = Federation::of_strangers(&["340500"]);
    let file = federation.folder.path().join("示例.csv");
    fs::write(&file, text).unwrap();
    (federation, file)
}

fn import(node: &Node, file: &Path, more: &[&str]) -> std::process::Output {
    kaopu()
        .arg("import")
        .arg("-c")
        .arg(node.config())
        .arg(file)
        .args(["--kind", "registration"])
        .args(more)
        .output()
        .unwrap()
}

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

#[test]
fn a_receipt_has_what_scripts_rely_on_and_refused_rows_can_be_sent_again() {
    let rows = "示例一,91350100M000100Y43,2024/3/5,1\n示例二,91350100M000100Y44,,2\n,, ,\n示例三,91350100m000100y43,,3\n示例四,9.13E+17,去年,4\n";
    let (federation, file) = city_with(&format!("{HEADER}{rows}"));
    let city = &federation.nodes[0];

    let rehearsed = import(city, &file, &["--dry-run", "--json"]);
    assert_eq!(city.json(&["upload", "list"]), json!([]), "a rehearsal leaves nothing");
    let csv = federation.folder.path().join("receipt.csv");
    let output = import(city, &file, &["--json", "--receipt", csv.to_str().unwrap()]);
    assert!(output.status.success(), "a file with refused rows is done: {}", said(&output));
    let receipt = json_of(&output);
    assert_eq!(receipt, json_of(&rehearsed));
    for (member, expected) in [
        ("file", json!("示例.csv")),
        ("kind", json!("registration")),
        ("layout", json!("chinese")),
        ("encoding", json!("utf-8")),
        ("read", json!(4)),
        ("published", json!(1)),
        ("skipped", json!(0)),
        ("warned", json!(0)),
        ("refused", json!(3)),
        ("unknown_columns", json!(["DFBM"])),
    ] {
        assert_eq!(receipt[member], expected, "{member}");
    }
    let faults: Vec<Value> =
        receipt["faults"].as_array().unwrap().iter().map(|f| json!([f["row"], f["column"], f["code"]])).collect();
    let code = "统一社会信用代码";
    assert_eq!(
        faults,
        [json!([2, code, "E202"]), json!([3, null, "E301"]), json!([4, code, "E201"]), json!([4, "注册日期", "E104"])]
    );
    assert!(receipt["faults"].as_array().unwrap().iter().all(|f| !f["message"].as_str().unwrap().is_ascii()));

    let shown = city.json(&["upload", "show", "1"]);
    assert_eq!(shown, receipt);
    let bad = fs::read_to_string(&csv).unwrap();
    assert_eq!(bad.lines().count(), 4, "{bad}");
    assert!(bad.lines().nth(3).unwrap().starts_with("示例四,9.13E+17,去年,4,4,E201；E104,"), "{bad}");
    fs::write(&csv, bad.replace("9.13E+17,去年", "91340500D2143569XT,2024.3.5")).unwrap();
    let again = json_of(&import(city, &csv, &["--json"]));
    // the row that repeated another one is alone in this file: a new version of that record
    assert_eq!((&again["read"], &again["published"]), (&json!(3), &json!(2)), "{again:#}");
    assert_eq!(again["unknown_columns"], json!(["DFBM"]));
}

#[test]
fn what_is_no_upload_gets_a_sentence_and_changes_nothing() {
    let (federation, file) = city_with("甲,乙\n1,2\n");
    let city = &federation.nodes[0];
    let output = import(city, &file, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    assert!(said(&output).contains("找不到“登记注册”的表头"), "{}", said(&output));
    assert_eq!(city.json(&["upload", "list"]), json!([]));
    for wrong in [&["--receipt", "x.pdf"][..], &["--kind", "nothing"]] {
        let output = kaopu()
            .arg("import")
            .arg("-c")
            .arg(city.config())
            .arg(&file)
            .args(["--kind", "penalty"])
            .args(wrong)
            .output();
        assert_eq!(output.unwrap().status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_killed_import_goes_on_and_ends_in_one_receipt() {
    let (federation, file) = city_with(&penalties(6050, "1"));
    let city = &federation.nodes[0];
    let mut command = kaopu();
    command.arg("import").arg("-c").arg(city.config()).arg(&file).args(["--kind", "penalty", "--json"]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    until("some rows are in", || city.json(&["upload", "list"])[0]["next_row"].as_u64() > Some(0));
    child.kill().unwrap();
    child.wait().unwrap();
    let receipt = json_of(&command.stdout(Stdio::piped()).output().unwrap());
    let counts = ["read", "published", "skipped", "refused"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [6050, 5445, 0, 605], "one receipt for the whole file");
    assert_eq!(receipt["faults"].as_array().unwrap().len(), 605);
    let uploads = city.json(&["upload", "list"]);
    assert_eq!(uploads.as_array().unwrap().len(), 1, "{uploads:#}");
}
