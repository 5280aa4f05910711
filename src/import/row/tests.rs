//! Each mending and each fault of a row, on rows of the built-in kinds.

use std::sync::LazyLock;

use jiff::civil::date;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::statement::Kinds;

const UNDER_TEST: &[(&str, &str)] = &[
    ("CF_XDR_MC", "示例商贸有限公司"),
    ("CF_XDR_LB", "法人及非法人组织"),
    ("CF_XDR_SHXYM", "91350100M000100Y43"),
    ("CF_XDR_GSZC", ""),
    ("CF_XDR_ZJHM", ""),
    ("CF_WSH", "示市监罚决〔2024〕1号"),
    ("CF_WFXW", "发布虚假广告"),
    ("CF_SY", "经查，当事人发布虚假广告。"),
    ("CF_YJ", "《中华人民共和国广告法》第五十五条"),
    ("CF_CFLB", "罚款"),
    ("CF_NR", "罚款0.5万元"),
    ("CF_NR_FK", "0.5"),
    ("CF_JDRQ", "2024-03-05"),
    ("CF_YXQ", "2027-03-05"),
    ("CF_CFJG", "示例市市场监督管理局"),
    ("CF_CFJGDM", "91350100M000100Y43"),
    ("CF_SJLY", "示例市市场监督管理局"),
    ("CF_SJLYDM", "91350100M000100Y43"),
    ("BZ", ""),
];

const OLDER: &[(&str, &str)] = &[
    ("CF_XDR_MC", "示例商贸有限公司"),
    ("CF_XDR_SHXYM", "91350100M000100Y43"),
    ("CF_WSH", "示市监罚决〔2024〕1号"),
    ("CF_CFMC", "发布虚假广告"),
    ("CF_SY", "经查，当事人发布虚假广告。"),
    ("CF_YJ", "《中华人民共和国广告法》第五十五条"),
    ("CF_CFLB1", "1"),
    ("CF_CFLB2", ""),
    ("CF_JG", "罚款0.5万元"),
    ("CF_JDRQ", "2024-03-05"),
    ("CF_XZJG", "示例市市场监督管理局"),
    ("CF_ZT", "0"),
    ("CF_XDR_SFZ", "never published"),
];

/// The built-in kinds, read once: schemas take their time.
static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::builtin().unwrap());

/// Judges a row of a kind: these cells, with some changed.
fn judge(kind: &str, row: &[(&str, &str)], changed: &[(&str, Cell)]) -> Judged {
    let kind = KINDS.newest(kind).unwrap();
    let columns =
        Columns::recognise(kind, &row.iter().map(|(header, _)| (*header).to_owned()).collect::<Vec<_>>()).unwrap();
    let persons = PersonKey::from_text("1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let judge = Judge::new(kind, &columns, date(2026, 11, 25), &persons);
    for (header, _) in changed {
        assert!(row.iter().any(|(h, _)| h == header), "{header} is a column");
    }
    let cell = |header: &str, text: &str| {
        changed.iter().find(|(h, _)| *h == header).map_or_else(|| Cell::from(text), |(_, cell)| cell.clone())
    };
    let cells = row.iter().map(|(header, text)| cell(header, text)).collect();
    judge.row(&SourceRow { number: 7, cells, surplus: Vec::new() })
}

fn penalty(changed: &[(&str, &str)]) -> Judged {
    let changed: Vec<(&str, Cell)> = changed.iter().map(|(header, text)| (*header, Cell::from(*text))).collect();
    judge("penalty", UNDER_TEST, &changed)
}

fn codes(judged: &Judged) -> Vec<(&str, &str)> {
    judged.faults.iter().map(|f| (f.code.as_str(), f.column.as_deref().unwrap_or(""))).collect()
}

/// The value of a member of a good row.
fn value(judged: &Judged, member: &str) -> Value {
    assert_eq!(codes(judged), [], "{:?}", judged.faults);
    judged.good.as_ref().unwrap().body.get(member).cloned().unwrap_or(Value::Null)
}

#[test]
fn a_sound_row_becomes_a_body_without_what_is_not_given() {
    let judged = penalty(&[]);
    let good = judged.good.unwrap();
    assert_eq!(judged.faults, []);
    assert_eq!(good.body["category"], json!(["罚款"]));
    assert!(!good.body.contains_key("remark"));
    assert_eq!(good.subject.unwrap().key(), "91350100M000100Y43");
}

#[test]
fn each_fault_is_told_with_its_column() {
    for (column, text, code) in [
        ("CF_WSH", "", "E101"),
        ("CF_CFLB", "— —", "E101"),
        ("CF_XDR_SHXYM", "无", "E101"),
        ("CF_CFJGDM", "NULL", "E101"),
        ("CF_XDR_MC", &"长".repeat(201), "E102"),
        ("CF_NR_FK", "1234567890123", "E102"),
        ("CF_CFLB", "口头教育", "E103"),
        ("CF_XDR_LB", "其它", "E103"),
        ("CF_JDRQ", "2024-02-30", "E104"),
        ("CF_JDRQ", "去年三月", "E104"),
        ("CF_JDRQ", "2093-01-05", "E105"),
        ("CF_YXQ", "1998-01-01", "E105"),
        ("CF_NR_FK", "叁万元整", "E106"),
        ("CF_XDR_SHXYM", "123456789012345", "E201"),
        ("CF_XDR_SHXYM", "91350100M000100Y43X", "E201"),
        ("CF_XDR_SHXYM", "9.13E+17", "E201"),
        ("CF_XDR_SHXYM", "91350100M000100Y44", "E202"),
        ("CF_XDR_GSZC", "110108000000017", "E203"),
        ("CF_XDR_ZJHM", "110105194912310021", "E203"),
    ] {
        let judged = penalty(&[(column, text)]);
        assert_eq!(codes(&judged), [(code, column)], "{column} = {text}");
        assert_eq!(judged.good, None);
        assert!(!judged.faults[0].message.is_ascii(), "a sentence in Chinese");
        assert_eq!(judged.faults[0].row, 7);
    }
}

#[test]
fn a_warning_is_published() {
    for (column, text, code) in [("CF_NR_FK", "1000", "W102"), ("CF_XDR_SHXYM", "91340500D214356914", "W201")] {
        let judged = penalty(&[(column, text)]);
        assert_eq!(codes(&judged), [(code, column)]);
        assert!(judged.good.is_some());
    }
    assert_eq!(value(&penalty(&[("CF_NR_FK", "999.999999")]), "fine"), json!("999.999999"));
}

#[test]
fn a_number_cell_in_a_code_column_is_never_turned_back() {
    let number = |value: f64| Cell::Number { text: value.to_string(), serial: Some(value) };
    for column in ["CF_XDR_SHXYM", "CF_XDR_GSZC", "CF_CFJGDM"] {
        let judged = judge("penalty", UNDER_TEST, &[(column, number(110108000000016.0))]);
        assert_eq!(codes(&judged), [("E201", column)]);
        assert!(judged.faults[0].message.contains("Excel"), "{:?}", judged.faults);
    }
    // any other text column: only where digits were lost
    assert_eq!(value(&judge("penalty", UNDER_TEST, &[("BZ", number(12.0))]), "remark"), json!("12"));
    assert_eq!(codes(&judge("penalty", UNDER_TEST, &[("BZ", number(1e17))])), [("E201", "BZ")]);
    assert_eq!(codes(&penalty(&[("CF_WSH", "2.02403050001234E+17")])), [("E201", "CF_WSH")]);
}

#[test]
fn a_formula_that_failed_is_a_fault_wherever_it_stands() {
    for column in ["CF_NR_FK", "BZ", "CF_XDR_GSZC", "CF_JDRQ"] {
        assert_eq!(codes(&penalty(&[(column, "#REF!")])), [("E103", column)]);
    }
}

#[test]
fn what_is_mended_is_no_fault() {
    for (column, came, member, mended) in [
        ("CF_JDRQ", "2024/3/5", "decided", json!("2024-03-05")),
        ("CF_JDRQ", "2024.03.05", "decided", json!("2024-03-05")),
        ("CF_JDRQ", "20240305", "decided", json!("2024-03-05")),
        ("CF_JDRQ", "2024年3月5日", "decided", json!("2024-03-05")),
        ("CF_JDRQ", "２０２４－３－５", "decided", json!("2024-03-05")),
        ("CF_XDR_SHXYM", "91350100m000100y43", "uscc", json!("91350100M000100Y43")),
        ("CF_XDR_SHXYM", "９１３５０１００Ｍ０００１００Ｙ４３", "uscc", json!("91350100M000100Y43")),
        ("CF_XDR_MC", "  示例(上海)有限公司\u{3000}", "name", json!("示例(上海)有限公司")),
        ("CF_WSH", "示市监罚决[2024]1号", "number", json!("示市监罚决〔2024〕1号")),
        ("CF_NR_FK", "１２０．５００", "fine", json!("120.5")),
        ("CF_CFLB", "没收违法所得；罚款", "category", json!(["罚款", "没收违法所得、没收非法财物"])),
        ("CF_NR", "一、罚款\n二、没收", "content", json!("一、罚款 二、没收")),
        ("BZ", "--", "remark", Value::Null),
    ] {
        assert_eq!(value(&penalty(&[(column, came)]), member), mended, "{came}");
    }
    let serial = Cell::Number { text: "45356".into(), serial: Some(45356.0) };
    assert_eq!(value(&judge("penalty", UNDER_TEST, &[("CF_JDRQ", serial)]), "decided"), json!("2024-03-05"));
    let sum = Cell::Number { text: (0.1 + 0.2).to_string(), serial: Some(0.1 + 0.2) };
    assert_eq!(value(&judge("penalty", UNDER_TEST, &[("CF_NR_FK", sum)]), "fine"), json!("0.3"));
}

#[test]
fn a_value_is_not_compared_with_one_at_fault() {
    let judged = penalty(&[("CF_JDRQ", "2093-01-05"), ("CF_YXQ", "1998-01-01")]);
    assert_eq!(codes(&judged), [("E105", "CF_JDRQ")]);
    // nor is anything required because of one
    assert_eq!(codes(&penalty(&[("CF_XDR_LB", "其它"), ("CF_XDR_SHXYM", "")])), [("E103", "CF_XDR_LB")]);
}

#[test]
fn the_older_layout_demands_no_more_than_it_has() {
    let judged = judge("penalty", OLDER, &[]);
    assert_eq!(value(&judged, "category"), json!(["罚款"]));
    assert_eq!(value(&judged, "violation"), json!("发布虚假广告"));
    let body = judged.good.unwrap().body;
    assert!(!body.contains_key("older_state") && !body.values().any(|v| v == "never published"));
    let both = judge("penalty", OLDER, &[("CF_CFLB2", Cell::from("2"))]);
    assert_eq!(value(&both, "category"), json!(["罚款", "没收违法所得、没收非法财物"]));
    let withdrawn = judge("penalty", OLDER, &[("CF_ZT", Cell::from("1"))]);
    assert_eq!(codes(&withdrawn), [("E103", "CF_ZT")]);
    assert!(withdrawn.faults[0].message.contains("撤回"), "{:?}", withdrawn.faults);
    assert_eq!(codes(&judge("penalty", OLDER, &[("CF_ZT", Cell::Blank)])), []);
}

#[test]
fn a_column_that_the_file_lacks_is_named_as_the_layout_prints_it() {
    let row: Vec<(&str, &str)> = UNDER_TEST.iter().copied().filter(|(header, _)| *header != "CF_YXQ").collect();
    assert_eq!(codes(&judge("penalty", &row, &[])), [("E101", "CF_YXQ")]);
}

#[test]
fn a_code_that_stands_for_unknown_is_no_subject() {
    let trader = [("CF_XDR_LB", "个体工商户"), ("CF_XDR_SHXYM", "00000000000000000X")];
    assert_eq!(codes(&penalty(&trader)), [("E101", "CF_XDR_GSZC")]);
    let judged = penalty(&[trader[0], trader[1], ("CF_XDR_GSZC", "110108000000016")]);
    assert_eq!(judged.good.unwrap().subject.unwrap().key(), "reg:110108000000016");
}

#[test]
fn a_natural_person_is_masked_and_personal_members_never_enter_a_body() {
    let person = [("CF_XDR_MC", "示某某"), ("CF_XDR_LB", "自然人"), ("CF_XDR_SHXYM", "")];
    let judged = penalty(&[person[0], person[1], person[2], ("CF_XDR_ZJHM", "11010519491231002x")]);
    let good = judged.good.unwrap();
    assert_eq!(good.body["name"], "示**");
    assert!(matches!(&good.subject, Some(Subject::Person { name, .. }) if name == "示**"));
    assert!(!serde_json::to_string(&good.body).unwrap().contains("11010519491231002"));
    // without a number too, and in a layout that cannot say what a party is
    let nameless = penalty(&person).good.unwrap();
    assert!(matches!(nameless.subject, Some(Subject::Person { .. })));
    let older = judge("penalty", OLDER, &[("CF_XDR_MC", Cell::from("示某某")), ("CF_XDR_SHXYM", Cell::Blank)]);
    let good = older.good.unwrap();
    assert_eq!((&good.body["name"], &good.body["party"]), (&json!("示**"), &json!("自然人")));
    let company = judge("penalty", OLDER, &[("CF_XDR_SHXYM", Cell::Blank)]).good.unwrap();
    assert_eq!(company.subject.unwrap().key(), "name:示例商贸有限公司");
}

#[test]
fn a_persons_row_in_a_layout_without_a_party_is_never_published_in_clear() {
    let older = |changed: &[(&str, &str)]| {
        let mut row: Vec<(&str, &str)> = OLDER.to_vec();
        row.extend([("CF_XDR_ZDM", ""), ("CF_XDR_SWDJ", "")]);
        let mut cells = vec![("CF_XDR_SHXYM", Cell::Blank)];
        cells.extend(changed.iter().map(|(header, text)| (*header, Cell::from(*text))));
        judge("penalty", &row, &cells).good.unwrap()
    };
    for name in ["示 某", "示\u{3000}某", "欧阳示例", "买买提江", "阿不都•示例"] {
        let good = older(&[("CF_XDR_MC", name)]);
        assert_eq!(good.body["party"], "自然人", "{name}");
        let masked = good.body["name"].as_str().unwrap();
        assert!(masked.chars().skip(1).all(|c| c == '*') && !masked.contains(name), "{masked}");
    }
    // a number in the column that no layout takes tells as much, and is not published
    for number in ["11010519491231002X", "110105********0021", "9.13E+17 123456", "E12345678"] {
        let good = older(&[("CF_XDR_MC", "示例之某人某氏"), ("CF_XDR_SFZ", number)]);
        assert_eq!((&good.body["party"], &good.body["name"]), (&json!("自然人"), &json!("示******")), "{number}");
        assert!(!serde_json::to_string(&good.body).unwrap().contains(number));
    }
    // whatever code an organisation has, it is none
    for (column, code) in [("CF_XDR_ZDM", "D2143569X"), ("CF_XDR_SWDJ", "310107132333454")] {
        let good = older(&[("CF_XDR_MC", "示例厂"), (column, code), ("CF_XDR_SFZ", "11010519491231002X")]);
        assert_eq!((&good.body["name"], good.body.get("party")), (&json!("示例厂"), None));
        assert!(good.body.values().any(|value| value == code));
    }
}

#[test]
fn no_resident_id_and_no_persons_name_leaves_in_another_member() {
    let id = "11010519491231002X";
    let trader = penalty(&[
        ("CF_XDR_LB", "个体工商户"),
        ("CF_XDR_GSZC", id),
        ("CF_SY", "经营者示某某（11010519491231002x）发布虚假广告。"),
    ]);
    let body = trader.good.unwrap().body;
    assert_eq!(body.get("registration_number"), None);
    assert_eq!(body["facts"], "经营者示某某（******************）发布虚假广告。");
    let person = penalty(&[
        ("CF_XDR_MC", "示某某"),
        ("CF_XDR_LB", "自然人"),
        ("CF_XDR_SHXYM", ""),
        ("CF_XDR_ZJHM", "E12345678"),
        ("CF_SY", "示某某（护照e12345678）发布虚假广告。"),
        ("CF_CFJG", "示某某市市场监督管理局"),
        ("BZ", id),
    ]);
    let body = person.good.unwrap().body;
    assert_eq!(body["facts"], "示**（护照*********）发布虚假广告。");
    assert_eq!(body["authority"], "示某某市市场监督管理局");
    assert_eq!(body.get("remark"), None);
}

#[test]
fn a_code_that_is_not_listed_is_told_what_the_layout_takes() {
    let row = [("XK_XDR", "示例商贸有限公司"), ("XK_WSH", "1"), ("XK_ZT", "有效")];
    let judged = judge("licence", &row, &[]);
    let sentence = &judged.faults.iter().find(|fault| fault.code == "E103").unwrap().message;
    assert!(sentence.ends_with("可填：0 正常；1 撤销；2 异议；3 其他"), "{sentence}");
}

#[test]
fn two_columns_of_a_member_say_the_same_or_the_row_is_sent_back() {
    let twice = |first: &str, second: &str| {
        let mut row = UNDER_TEST.to_vec();
        row.retain(|(header, _)| *header != "CF_JDRQ");
        row.extend([("CF_JDRQ", first), ("*CF_JDRQ", second)]);
        judge("penalty", &row, &[])
    };
    for (first, second) in [("--", "2024-03-05"), ("2024-03-05", "无"), ("2024/3/5", "20240305")] {
        assert_eq!(value(&twice(first, second), "decided"), json!("2024-03-05"), "{first} {second}");
    }
    assert_eq!(codes(&twice("2024-03-05", "2024-03-06")), [("E102", "*CF_JDRQ")]);
}

#[test]
fn cells_beyond_the_header_are_a_fault_of_the_row() {
    let kind = KINDS.newest("penalty").unwrap();
    let headers: Vec<String> = UNDER_TEST.iter().map(|(header, _)| (*header).to_owned()).collect();
    let columns = Columns::recognise(kind, &headers).unwrap();
    let persons = PersonKey::from_text("1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    let judge = Judge::new(kind, &columns, date(2026, 11, 25), &persons);
    let cells = UNDER_TEST.iter().map(|(_, text)| Cell::from(*text)).collect();
    let judged = judge.row(&SourceRow { number: 1, cells, surplus: vec![Cell::from("x")] });
    assert_eq!(codes(&judged), [("E102", "")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_stands_in_a_cell_a_good_row_is_valid(at in 0usize..19, text in "\\PC{0,30}|[0-9./年月日-]{0,12}|.{0,10}") {
        let kind = KINDS.newest("penalty").unwrap();
        let judged = penalty(&[(UNDER_TEST[at].0, &text)]);
        prop_assert_eq!(judged.good.is_some(), judged.faults.iter().all(|f| f.code.starts_with('W')));
        if let Some(good) = judged.good {
            let statement = crate::statement::Statement {
                typ: kind.typ.clone(),
                iss: "340500".parse().unwrap(),
                iat: 0,
                aud: kind.audience.clone(),
                salt: crate::statement::Salt([0; 16]),
                sub: good.subject,
                prev: None,
                refs: Vec::new(),
                body: good.body,
            };
            prop_assert!(kind.validate(&statement, date(2026, 11, 25)).is_ok());
        }
    }
}
