//! Repairs of partners that wait for a person, as an administrator hears of them before their deadline: in the journal, in
//! `status`, by the doctor and in the figures.

use std::fs;

use serde_json::Value;

use crate::acts::{penalties, publish};
use crate::federation::{Federation, until};
use crate::figures::local;

const RULES: &str = include_str!("../../config/rules.toml");
const CODE: &str = "91350100M000100Y43";

#[test]
fn what_is_due_is_told_at_every_place_until_it_is_decided() {
    let mut federation = Federation::new(&["340500", "310107"]);
    let config = fs::read_to_string(federation.nodes[1].config()).unwrap();
    fs::write(federation.nodes[1].config(), format!("rules = \"rules.toml\"\n{config}")).unwrap();
    // what is not decided on the day on which it came is late
    fs::write(federation.nodes[1].dir.join("rules.toml"), RULES.replace("recognise = 3", "recognise = 0")).unwrap();
    federation.start();
    let [issuer, partner] = &federation.nodes[..] else { unreachable!() };
    assert_eq!(partner.json(&["status"])["recognition"]["words"], Value::Null);

    publish(issuer, &[penalties::row(1, "2024-01-15", CODE).replace("罚款,罚款,1,", "吊销许可证件,吊销,,")]);
    let repair = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正", "--code", CODE];
    let repair = issuer.json(&[&repair[..], &["--number", "示罚〔2026〕1号"]].concat());
    let waiting = || partner.json(&["status"])["recognition"].clone();
    until("it waits for a person", || waiting()["pending"] == 1);
    let told = waiting();
    assert_eq!((&told["due"], &told["first"][0]["digest"]), (&1.into(), &repair["digest"]), "{told:#}");
    let words = told["words"].as_str().unwrap();
    assert!(words.starts_with("1 repair of partners waits to be decided here 待办互认: 1 due by 20"), "{words}");
    assert!(partner.done(&["status"]).contains(&format!("! {words}")));
    let doctor = partner.run(&["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(1));
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let check = doctor["own"].as_array().unwrap().iter().find(|check| check["name"] == "recognition").unwrap();
    assert_eq!((&check["verdict"], &check["words"]), (&"warning".into(), &words.into()));
    let figures = local(partner, "/metrics");
    for (figure, value) in [("waiting", 1), ("due", 1), ("late", 0), ("failing", 0)] {
        let line = format!("kaopu_recognitions_{figure} {value}");
        assert!(figures.lines().any(|found| found == line), "no {line} in\n{figures}");
    }

    let digest = repair["digest"].as_str().unwrap();
    partner.done(&["recognise", "decide", digest, "recognised", "--operator", "王五"]);
    assert_eq!((&waiting()["waiting"], &waiting()["words"]), (&0.into(), &Value::Null));

    // who decided is kept beside the log, as of any other event by command
    let shown = partner.json(&["recognise", "show", digest]);
    assert_eq!(
        (&shown["partners"][0]["by"], &shown["partners"][0]["operator"]["operator"]),
        (&"王五".into(), &"王五".into())
    );
    assert!(partner.done(&["recognise", "show", digest]).contains("operator 经办 王五\n"));
    let operators = partner.json(&["record", CODE, "--all"])["operators"].clone();
    let own: Vec<&Value> = operators.as_object().unwrap().values().map(|operator| &operator["operator"]).collect();
    assert_eq!(own, [&Value::from("王五")], "what partners said has none here");
    assert!(issuer.json(&["recognise", "show", digest])["partners"][0]["operator"].is_null());
}
