use jiff::civil::date;
use serde_json::{Map, Value, json};

use super::*;
use crate::record::terms::{Course, SeverityFrom, Terms};
use crate::record::{Facts, Place};

fn built_in() -> Rules {
    Rules::built_in().unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "a body is written down where it is used")]
fn facts(kind: &str, body: Value) -> Facts {
    let body: Map<String, Value> = body.as_object().unwrap().clone();
    Facts::of(kind, &"340500".parse().unwrap(), Place { generation: 1, index: 0 }, &body, true)
}

fn terms(kind: &str, body: Value, day: Date) -> Option<Terms> {
    Course::of(&facts(kind, body), &built_in()).on(day)
}

#[test]
fn a_severity_is_given_or_derived_and_the_answer_says_which() {
    let category = |value: &str| SeverityFrom::Category(value.to_owned());
    let cases = [
        (json!({"category": ["警告"]}), Severity::Minor, category("警告")),
        (json!({"category": ["警告", "通报批评"]}), Severity::Minor, category("警告")),
        (json!({"category": ["警告", "罚款"], "fine": "0.5"}), Severity::General, category("罚款")),
        (json!({"category": ["罚款"], "fine": "99.999999"}), Severity::General, category("罚款")),
        (json!({"category": ["罚款"], "fine": "100"}), Severity::Serious, SeverityFrom::Amount("100".to_owned())),
        (json!({"category": ["罚款", "责令停产停业"]}), Severity::Serious, category("责令停产停业")),
        (json!({"category": ["其他"]}), Severity::General, category("其他")),
        (
            json!({"category": ["罚款"], "content": "当场处罚，罚款50元"}),
            Severity::Minor,
            SeverityFrom::Summary("当场处罚".to_owned()),
        ),
        (json!({"category": ["责令关闭"], "content": "当场处罚"}), Severity::Serious, category("责令关闭")),
        (json!({"category": ["警告"], "severity": "严重"}), Severity::Serious, SeverityFrom::Authority),
        (json!({"category": ["责令关闭"], "severity": "minor"}), Severity::Minor, SeverityFrom::Authority),
    ];
    for (mut body, severity, from) in cases {
        body["decided"] = json!("2026-05-01");
        let terms = terms("penalty", body.clone(), date(2026, 6, 1)).unwrap();
        assert_eq!((terms.severity, terms.from), (severity, from), "{body}");
    }
    let listing = |list: &str| terms("listing", json!({"list": list, "listed": "2026-05-01"}), date(2026, 6, 1));
    assert_eq!(listing("严重失信主体名单").unwrap().severity, Severity::Serious);
    assert_eq!(listing("经营异常名录").unwrap().severity, Severity::General);
    assert_eq!(listing("白名单"), None);
    assert_eq!(terms("licence", json!({"category": "普通", "decided": "2026-05-01"}), date(2026, 6, 1)), None);
}

#[test]
fn publicity_is_that_of_the_order_of_the_decision() {
    let fine = |decided: &str, violation: &str| json!({"category": ["罚款"], "fine": "2", "decided": decided, "violation": violation});
    let before = date(2026, 3, 31);
    for (decided, violation, day, rules, from, until) in [
        ("2026-03-31", "超限运输", before, "order-58", date(2026, 6, 30), date(2029, 3, 31)),
        ("2025-06-30", "生产不符合食品安全标准的食品", before, "order-58", date(2026, 6, 30), date(2028, 6, 30)),
        (
            "2026-04-01",
            "生产不符合食品安全标准的食品",
            date(2026, 4, 1),
            "order-36",
            date(2026, 7, 1),
            date(2027, 4, 1),
        ),
        ("2026-11-30", "超限运输", date(2026, 12, 1), "order-36", date(2027, 2, 28), date(2027, 11, 30)),
    ] {
        let terms = terms("penalty", fine(decided, violation), day).unwrap();
        assert_eq!((terms.rules.as_str(), terms.kinder), (rules, None), "{decided}");
        assert_eq!((terms.repairable_from, terms.public_until), (Some(from), Some(until)), "{decided}");
        assert!(terms.public);
    }
}

#[test]
fn newer_rules_are_followed_where_they_are_kinder_from_the_day_they_are_in_force() {
    let food = || json!({"category": ["罚款"], "decided": "2025-06-30", "basis": "《中华人民共和国食品安全法》"});
    let old = terms("penalty", food(), date(2026, 3, 31)).unwrap();
    assert_eq!((old.repairable_from, old.public_until), (Some(date(2026, 6, 30)), Some(date(2028, 6, 30))));
    let new = terms("penalty", food(), date(2026, 4, 1)).unwrap();
    assert_eq!((new.rules.as_str(), new.kinder.as_deref()), ("order-58", Some("order-36")));
    assert_eq!((new.repairable_from, new.public_until), (Some(date(2025, 9, 30)), Some(date(2026, 6, 30))));
    // the newer ones would keep it shown for a year at the least: the older are kinder in that
    let closed =
        terms("penalty", json!({"category": ["责令关闭"], "decided": "2025-06-30"}), date(2026, 6, 1)).unwrap();
    assert_eq!((closed.kinder, closed.repairable_from), (None, Some(date(2025, 9, 30))));
}

#[test]
fn publicity_ends_when_the_authority_says_but_not_after_the_most_unless_duties_are_unperformed() {
    let day = date(2026, 6, 1);
    let ends = |more: Value| {
        let mut body = json!({"category": ["罚款"], "decided": "2026-04-10"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        terms("penalty", body, day).unwrap().public_until
    };
    assert_eq!(ends(json!({})), Some(date(2027, 4, 10)));
    assert_eq!(ends(json!({"publicity_until": "2026-08-01"})), Some(date(2026, 8, 1)));
    assert_eq!(ends(json!({"publicity_until": "2029-04-10"})), Some(date(2027, 4, 10)));
    assert_eq!(ends(json!({"publicity_until": "2029-04-10", "performed": "全部履行"})), Some(date(2027, 4, 10)));
    assert_eq!(ends(json!({"publicity_until": "2029-04-10", "performed": "部分履行"})), Some(date(2029, 4, 10)));
    assert_eq!(ends(json!({"performed": "未履行"})), None);
}

#[test]
fn faulty_rules_are_refused_with_their_line() {
    let sound = BUILT_IN;
    let line_of = |needle: &str| sound.lines().position(|line| line.starts_with(needle)).unwrap() + 1;
    for (from, to, line, reason) in [
        ("accept = 2", "accept = 2\naccpet = 3", line_of("accept = 2") + 1, "unknown field `accpet`"),
        ("accept = 2", "accept = -2", line_of("accept = 2"), ""),
        ("accept = 2", "accept = 2000", line_of("[deadlines]"), "365"),
        ("accept = 2\n", "\n", line_of("[deadlines]"), "missing field `accept`"),
        ("special_least = \"1 year\"", "special_least = \"1 yaer\"", line_of("special_least"), "no period"),
        ("special_least = \"1 year\"", "", line_of("special_words"), "special_least"),
        ("from = 2026-04-01", "", line_of("id = \"order-36\"") - 1, "`from`"),
        ("from = 2026-04-01", "from = 2026-04-31", line_of("from = "), ""),
        (
            "id = \"order-58\"",
            "id = \"order-58\"\nfrom = 2023-05-01",
            line_of("id = \"order-58\"") + 1,
            "first version",
        ),
        ("id = \"order-36\"", "id = \"order-58\"", line_of("id = \"order-36\""), "names no version"),
        ("most = \"3 months\" }", "most = \"3 months\", mots = \"1 year\" }", 0, "unknown field `mots`"),
        (
            "serious = { public = true, least = \"1 year\", most = \"3 years\" }",
            "serious = { public = true, least = \"1 year\", most = \"3 months\" }",
            0,
            "longer than the most",
        ),
        ("\"责令关闭\" = \"serious\"", "\"责令关闭\" = \"grave\"", line_of("\"责令关闭\""), "grave"),
        (
            "[version.severity.listing.list]",
            "[version.severity.listing.lists]",
            line_of("[version.severity.listing.list]"),
            "is none of category",
        ),
        ("very_large_fine = \"100\"", "very_large_fine = \"1 million\"", line_of("very_large_fine"), "no amount"),
        ("summary_words = [\"简易程序\"", "summary_words = [\"\"", line_of("summary_words"), "empty word"),
    ] {
        assert!(sound.contains(from), "{from}");
        let fault = Rules::parse("rules.toml", &sound.replacen(from, to, 1)).unwrap_err();
        assert!(fault.reason.contains(reason), "{to}: {fault}");
        assert!(line == 0 || fault.line == line, "{to}: line {line} is expected: {fault}");
        assert!(
            fault.to_string().starts_with(&format!("rules.toml, line {}, column {}: ", fault.line, fault.column)),
            "{fault}"
        );
    }
}

#[test]
fn the_deadlines_are_those_of_the_field() {
    let Deadlines { accept, decide, extend, supply, share, recognise, answer, publish } = built_in().deadlines;
    assert_eq!([accept, decide, extend, supply, share, recognise, answer, publish], [2, 10, 10, 10, 3, 3, 5, 7]);
    // a city's own file may be from before
    let older = BUILT_IN.replacen("supply = 10\n", "", 1);
    assert_eq!(Rules::parse("rules.toml", &older).unwrap().deadlines, built_in().deadlines);
}

#[test]
fn a_record_may_be_held_back_by_its_kind_and_value() {
    let text = format!("{BUILT_IN}\n[grace.judgment.category]\n\"失信被执行人\" = \"30 days\"\n");
    let rules = Rules::parse("rules.toml", &text).unwrap();
    let shown = |body| Course::of(&facts("judgment", body), &rules).shown_from;
    assert_eq!(shown(json!({"category": "失信被执行人", "decided": "2026-05-01"})), Some(date(2026, 5, 31)));
    assert_eq!(shown(json!({"category": "判决", "decided": "2026-05-01"})), None);
    let given = json!({"category": "失信被执行人", "decided": "2026-05-01", "published_from": "2026-05-10"});
    assert_eq!(shown(given), Some(date(2026, 5, 10)));
}
