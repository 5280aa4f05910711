//! What must hold of the kinds that come with the program.

use jiff::civil::date;
use serde_json::{Map, Value, json};

use super::*;
use crate::statement::{Digest, Refused, Salt, Statement, Subject};

fn penalty() -> Value {
    json!({
        "name": "马鞍山示例建材有限公司", "party": "法人及非法人组织", "uscc": "91350100M000100Y43",
        "number": "马市监罚决〔2024〕1号", "violation": "发布虚假广告", "facts": "经查，当事人发布虚假广告。",
        "basis": "《中华人民共和国广告法》第五十五条", "category": ["罚款"], "content": "罚款，罚款0.5万元", "fine": "0.5",
        "decided": "2024-03-05", "valid_until": "2027-03-05", "authority": "马鞍山市市场监督管理局",
        "authority_uscc": "91350100M000100Y43", "source": "马鞍山市市场监督管理局", "source_uscc": "91350100M000100Y43",
    })
}

fn statement(kind: &Kind, body: Value) -> Statement {
    let Value::Object(body) = body else { unreachable!("bodies are objects") };
    Statement {
        typ: kind.typ.clone(),
        iss: "340500".parse().unwrap(),
        iat: 1_750_000_000,
        aud: Audience::Everyone,
        salt: Salt([7; 16]),
        sub: kind.subject_of(&body),
        prev: None,
        refs: Vec::new(),
        body,
    }
}

fn refusal(change: impl FnOnce(&mut Value)) -> Option<String> {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let mut body = penalty();
    change(&mut body);
    kind.validate(&statement(kind, body), date(2025, 6, 15)).err().map(|refused| refused.to_string())
}

#[test]
fn the_ten_record_kinds_come_with_the_program() {
    let kinds = Kinds::builtin().unwrap();
    let records: Vec<&str> = kinds.all().filter(|k| k.is_record).map(|k| k.typ.kind.as_str()).collect();
    assert_eq!(
        records,
        [
            "commitment",
            "contract",
            "grade",
            "honour",
            "judgment",
            "licence",
            "listing",
            "penalty",
            "registration",
            "voluntary"
        ]
    );
    for kind in kinds.all().filter(|k| k.is_record) {
        assert!(kind.layouts.iter().all(|layout| !layout.columns.is_empty()), "{:?}", kind.typ);
        assert!(kind.members.iter().filter(|m| m.personal).all(|m| m.upload_only), "{:?}", kind.typ);
    }
}

#[test]
fn a_sound_penalty_is_valid_and_each_broken_rule_is_named() {
    assert_eq!(refusal(|_| ()), None);
    for (member, value, expected) in [
        ("uscc", json!("91350100M000100Y44"), "E202 at uscc"),
        ("uscc", json!("91350100M000100YO4"), "E201 at uscc"),
        ("decided", json!("2024-02-30"), "E104 at decided"),
        ("decided", json!("2025-06-16"), "E105 at decided"),
        ("valid_until", json!("2024-03-04"), "E105 at valid_until"),
        ("party", Value::Null, "type at /party"),
        ("category", json!(["口头教育"]), "enum at /category/0"),
        ("fine", json!("0.50"), "pattern at /fine"),
        ("person_id", json!("11010519491231002X"), "additionalProperties at /"),
        ("name", json!("长".repeat(201)), "maxLength at /name"),
    ] {
        let refused = refusal(|body| body[member] = value.clone()).unwrap_or_default();
        assert!(refused.ends_with(expected), "{member} = {value}: {refused}");
    }
    let missing = refusal(|body| drop(body.as_object_mut().unwrap().remove("uscc")));
    assert!(missing.unwrap().ends_with("E101 at uscc"));
}

#[test]
fn a_subject_that_is_not_the_body_s_is_refused() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let mut lie = statement(kind, penalty());
    lie.sub =
        Some(Subject::Enterprise { uscc: "91350100M000100Y43".to_owned(), name: "另一家示例公司".to_owned() });
    assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
    lie.sub = Some(Subject::Person { person: "1.x".to_owned(), name: "马鞍山示例建材有限公司".to_owned() });
    assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
    lie.sub = None;
    assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
}

#[test]
fn what_identifies_a_record_and_what_it_says_are_two_things() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let before = statement(kind, penalty());
    let mut after = before.clone();
    after.body["content"] = json!("罚款，罚款0.6万元");
    (after.iat, after.salt) = (1_760_000_000, Salt([8; 16]));
    assert_eq!(kind.identity_of(&before), kind.identity_of(&after));
    assert_ne!(kind.content_of(&before), kind.content_of(&after));
    after.body["content"] = before.body["content"].clone();
    after.body = after.body.into_iter().rev().collect();
    assert_eq!(kind.content_of(&before), kind.content_of(&after));
    after.body["number"] = json!("马市监罚决〔2024〕2号");
    assert_ne!(kind.identity_of(&before), kind.identity_of(&after));
}

#[test]
fn an_upload_is_held_to_its_layout() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let Value::Object(mut body) = penalty() else { unreachable!() };
    for member in ["party", "valid_until", "authority_uscc", "source", "source_uscc"] {
        body.remove(member);
    }
    let codes = |layout: &str, at_fault: &[&str]| {
        let layout = kind.layouts.iter().find(|l| l.name == layout).unwrap();
        let faults = kind.faults(&body, at_fault, Some(layout), date(2025, 6, 15));
        faults.into_iter().map(|f| (f.member, f.code.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(codes("older", &[]), []);
    let missing: Vec<String> = codes("chinese", &["source"]).into_iter().map(|(member, _)| member).collect();
    assert_eq!(missing, ["party", "valid_until", "authority_uscc", "source_uscc"]);
}

#[test]
fn nothing_is_compared_with_a_date_that_is_itself_at_fault() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let layout = kind.layouts.iter().find(|l| l.name == "code");
    let Value::Object(mut body) = penalty() else { unreachable!() };
    body["decided"] = json!("2093-01-05");
    let faults = kind.faults(&body, &[], layout, date(2025, 6, 15));
    assert_eq!(faults.iter().map(|f| f.member.as_str()).collect::<Vec<_>>(), ["decided"]);
    body.remove("decided");
    assert_eq!(kind.faults(&body, &["decided"], layout, date(2025, 6, 15)), []);
}

/// A penalty upon a natural person, as an import makes it.
fn upon_a_person(kind: &Kind) -> Statement {
    let Value::Object(mut body) = penalty() else { unreachable!("bodies are objects") };
    body.remove("uscc");
    body["party"] = json!("自然人");
    body["name"] = json!("示*");
    let person = format!("1.{}", Digest::of(b"a person"));
    Statement { sub: Some(Subject::Person { person, name: "示*".to_owned() }), ..statement(kind, Value::Object(body)) }
}

#[test]
fn a_statement_about_a_natural_person_tells_nobody_who_it_is() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let refusal = |change: fn(&mut Statement)| {
        let mut statement = upon_a_person(kind);
        change(&mut statement);
        kind.validate(&statement, date(2025, 6, 15)).err().map(|refused| refused.to_string()).unwrap_or_default()
    };
    assert_eq!(refusal(|_| ()), "");
    type Change = fn(&mut Statement);
    let changes: [(Change, &str); 6] = [
        (|s| s.sub = Some(Subject::Named { name: "示*".to_owned() }), "not the body's"),
        (|s| s.sub = None, "not the body's"),
        (|s| s.body["name"] = json!("示例"), "not the body's"),
        (
            |s| {
                s.body["name"] = json!("示例");
                let Some(Subject::Person { name, .. }) = &mut s.sub else { unreachable!() };
                "示例".clone_into(name);
            },
            "not masked",
        ),
        (|s| drop(s.body.insert("tax_number".to_owned(), json!("11010519491231002X"))), "tells who"),
        (|s| drop(s.body.insert("person_id".to_owned(), json!("11010519491231002X"))), "additionalProperties"),
    ];
    for (change, expected) in changes {
        let refused = refusal(change);
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
}

#[test]
fn a_sole_trader_without_a_code_gives_its_registration_number() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let faults = |change: fn(&mut Map<String, Value>), at_fault: &[&str]| {
        let Value::Object(mut body) = penalty() else { unreachable!("bodies are objects") };
        body["party"] = json!("个体工商户");
        change(&mut body);
        let faults = kind.faults(&body, at_fault, Some(&kind.layouts[0]), date(2025, 6, 15));
        faults.into_iter().map(|f| (f.member, f.code.as_str())).collect::<Vec<_>>()
    };
    let missing = vec![("registration_number".to_owned(), "E101")];
    assert_eq!(faults(|body| drop(body.remove("uscc")), &[]), missing);
    assert_eq!(faults(|body| body["uscc"] = json!("00000000000000000X"), &[]), missing);
    // of a code that could not be read nobody knows whether it is missing
    assert_eq!(faults(|body| drop(body.remove("uscc")), &["uscc"]), []);
    assert_eq!(faults(|body| body["uscc"] = json!("91350100M000100Y44"), &[]), [("uscc".to_owned(), "E202")]);
}

#[test]
fn the_code_for_unknown_is_no_subject() {
    let kinds = Kinds::builtin().unwrap();
    let subject = |kind: &str, body: Value| {
        let Value::Object(body) = body else { unreachable!("bodies are objects") };
        kinds.newest(kind).unwrap().subject_of(&body)
    };
    let name = || "示例小店".to_owned();
    let unknown = "00000000000000000X";
    assert_eq!(
        subject("penalty", json!({"name": name(), "uscc": unknown, "registration_number": "340500600123456"})),
        Some(Subject::Registered { registration: "340500600123456".to_owned(), name: name() })
    );
    assert_eq!(subject("penalty", json!({"name": name(), "uscc": unknown})), Some(Subject::Named { name: name() }));
    let registration = kinds.newest("registration").unwrap();
    let Value::Object(body) = json!({"name": name(), "uscc": unknown}) else { unreachable!("bodies are objects") };
    let faults = registration.faults(&body, &[], None, date(2025, 6, 15));
    assert_eq!(faults.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), ["E101"]);
}

#[test]
fn ornament_makes_no_other_record() {
    let kinds = Kinds::builtin().unwrap();
    let kind = kinds.newest("penalty").unwrap();
    let plain = statement(kind, penalty());
    let identity = |change: fn(&mut Map<String, Value>)| {
        let mut body = plain.body.clone();
        change(&mut body);
        kind.identity_of(&statement(kind, Value::Object(body)))
    };
    assert_eq!(identity(|body| body["number"] = json!("马市监罚决[2024]1号")), identity(|_| ()));
    assert_eq!(
        identity(|body| body["name"] = json!("马鞍山示例建材公司")),
        identity(|_| ()),
        "the code is the subject"
    );
    assert_ne!(identity(|body| drop(body.remove("authority_uscc"))), identity(|_| ()), "named, not coded");
    assert_ne!(identity(|body| body["number"] = json!("马市监罚决〔2024〕11号")), identity(|_| ()));
}

/// DOMAIN's columns of the two kinds of 双公示, in each layout.
#[test]
fn every_column_of_the_national_tables_is_known() {
    let kinds = Kinds::builtin().unwrap();
    let subject =
        "XDR_MC XDR_LB XDR_SHXYM XDR_GSZC XDR_ZZJG XDR_SWDJ XDR_SYDW XDR_SHZZ FRDB FR_ZJLX FR_ZJHM XDR_ZJLX XDR_ZJHM";
    let of = |prefix: &str| subject.split(' ').map(move |c| format!("{prefix}_{c}")).collect::<Vec<_>>().join(" ");
    let chinese = "行政相对人名称 行政相对人类别 行政相对人代码_1(统一社会信用代码) 行政相对人代码_2(工商注册号) \
        行政相对人代码_3(组织机构代码) 行政相对人代码_4(税务登记号) 行政相对人代码_5(事业单位证书号) \
        行政相对人代码_6(社会组织登记证号) 法定代表人 法定代表人证件类型 证件号码 数据来源单位 数据来源单位统一社会信用代码 备注";
    for (kind, layout, headers) in [
        ("penalty", "code", of("CF").as_str()),
        (
            "penalty",
            "code",
            "CF_WSH CF_WFXW CF_SY CF_YJ CF_CFLB CF_NR CF_NR_FK CF_NR_WFFF CF_NR_ZKDX CF_JDRQ CF_YXQ CF_GSJZQ CF_CFJG \
             CF_CFJGDM CF_SJLY CF_SJLYDM BZ",
        ),
        ("penalty", "chinese", chinese),
        (
            "penalty",
            "chinese",
            "行政处罚决定书文号 违法行为类型 违法事实 处罚依据 处罚类别 处罚内容 罚款金额(万元) \
             没收违法所得、没收非法财物的金额(万元) 暂扣或吊销证照名称及编号 处罚决定日期 处罚有效期 公示截止期 处罚机关 \
             处罚机关统一社会信用代码",
        ),
        (
            "penalty",
            "older",
            "CF_XDR_MC CF_XDR_SHXYM CF_WSH CF_CFMC CF_CFLB1 CF_CFLB2 CF_SY CF_YJ CF_JG CF_JDRQ CF_XZJG CF_ZT GSQX BZ",
        ),
        ("licence", "code", of("XK").as_str()),
        (
            "licence",
            "code",
            "XK_XKWS XK_WSH XK_XKLB XK_XKZS XK_XKBH XK_NR XK_JDRQ XK_YXQZ XK_YXQZI XK_XKJG XK_XKJGDM XK_ZT XK_LYDW \
             XK_LYDWDM BZ",
        ),
        ("licence", "chinese", chinese),
        (
            "licence",
            "chinese",
            "行政许可决定文书名称 行政许可决定文书号 许可类别 许可证书名称 许可编号 许可内容 许可决定日期 有效期自 有效期至 许可机关 \
             许可机关统一社会信用代码 当前状态",
        ),
        ("licence", "older", "XK_XDR XK_XDR_SHXYM XK_XMMC XK_WSH XK_SPLB XK_NR XK_JDRQ XK_JZQ XK_XZJG XK_ZT BZ"),
        (
            "registration",
            "chinese",
            "企业名称 统一社会信用代码 注册日期 企业类型 注册资金 经营范围 所在省份 地区 注册地址",
        ),
    ] {
        let kind = kinds.newest(kind).unwrap();
        let layout = kind.layouts.iter().find(|l| l.name == layout).unwrap();
        for header in headers.split_whitespace() {
            let known = layout.columns.iter().filter(|(_, headers)| headers.iter().any(|h| h == header)).count();
            assert_eq!(known, 1, "{header} in {} of {}", layout.name, kind.title);
        }
    }
}

#[test]
fn a_row_that_peers_would_refuse_is_sent_back() {
    let flat = r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "示例", "type": "object",
        "additionalProperties": false, "x-kind": {"name": "example", "version": 1, "record": true}, "x-identity": ["a"],
        "x-layouts": [{"name": "code"}], "required": ["a"], "properties": {
            "a": {"title": "甲", "type": "integer", "minimum": 1, "x-columns": {"code": ["A"]}},
            "b": {"title": "乙", "type": "string", "pattern": "^B", "x-columns": {"code": ["B"]}}},
        "x-upload-only": {"c": {"title": "丙", "type": "string", "x-columns": {"code": ["C"]}}}}"#;
    let whole = flat.replacen('{', r#"{"dependentRequired": {"b": ["a"]}, "#, 1);
    for text in [flat, whole.as_str()] {
        let kind = schema_file::read(text).unwrap();
        let faults = |body: Value| {
            let Value::Object(body) = body else { unreachable!("bodies are objects") };
            let faults = kind.faults(&body, &[], Some(&kind.layouts[0]), date(2025, 6, 15));
            faults.into_iter().map(|f| (f.member, f.code.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(faults(json!({"a": 1, "b": "B1", "c": "C"})), []);
        assert_eq!(faults(json!({"a": 0, "b": "B1", "c": "C"})), [("a".to_owned(), "E103")]);
        assert_eq!(faults(json!({"a": 1, "b": "b"})), [("b".to_owned(), "E103")]);
    }
}
