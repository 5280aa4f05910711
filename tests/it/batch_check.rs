//! `kaopu check`: a list comes back with what is known of each, and of whom nothing is known nothing is counted.

use calamine::{Data, Reader as _, Xlsx, open_workbook};
use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::check::covered;
use kaopu::node::view::View;
use kaopu::record::Rules;
use kaopu::statement::Kinds;
use kaopu::store::Db;
use serde_json::Value;

use crate::asking::{CLEAN, USCC};
use crate::ceremony::{done_by, persons};
use crate::federation::Federation;

/// A city that has published a penalty, a licence-free enterprise more, and two of one name.
fn city() -> Federation {
    let federation = Federation::of_strangers(&["310107"]);
    let today = Clock::System.today();
    let header = "CF_XDR_MC,CF_XDR_SHXYM,CF_WSH,CF_CFMC,CF_SY,CF_YJ,CF_CFLB1,CF_JG,CF_JDRQ,CF_XZJG\n";
    let row = |name: &str, code: &str, number: u8| {
        format!("{name},{code},示例罚字〔2026〕第{number}号,示例,示例,示例,1,罚款,{today},示例局\n")
    };
    let rows = [
        row("示例有限公司", USCC, 1),
        row("示例（上海）有限公司", USCC, 2),
        row("同名公司", "91110000802100433B", 3),
        row("同名公司", "91310000MA1FL0AL5K", 4),
    ];
    let upload = federation.folder.path().join("示例.csv");
    std::fs::write(&upload, format!("{header}{}", rows.concat())).unwrap();
    let said = federation.nodes[0].done(&["import", upload.to_str().unwrap(), "--kind", "penalty"]);
    assert!(said.contains("已共享"), "{said}");
    federation
}

const ROWS: [(&str, &str, &str); 7] = [
    ("示例有限公司", USCC, "已匹配"),
    ("别的名称", USCC, "已匹配"),
    ("示例(上海)有限公司", "", "仅名称匹配"),
    ("未知公司", "", "未查到"),
    ("未知公司", CLEAN, "未查到"),
    ("示例有限公司", "91340500MA2EXAMP5X", "代码有误"),
    ("=HYPERLINK(\"http://示例\")", "９１３４0500ma2examp5w", "已匹配"),
];

#[test]
fn a_csv_comes_back_with_what_is_known_of_each_row() {
    let federation = city();
    let list = federation.folder.path().join("名单.csv");
    let mut writer = csv::Writer::from_path(&list).unwrap();
    writer.write_record(["序号", "名称", "统一社会信用代码"]).unwrap();
    for (number, (name, code, _)) in (1..).zip(ROWS) {
        writer.write_record([&number.to_string(), name, code]).unwrap();
    }
    writer.flush().unwrap();
    let args = ["check", list.to_str().unwrap(), "--purpose", "award", "--basis", "示例条例"];
    let in_its_place = federation.nodes[0].run(&[&args[..], &["--out", list.to_str().unwrap()]].concat());
    assert!(in_its_place.status.code() == Some(1) && !list.with_extension("csv.part").exists(), "{in_its_place:?}");
    let tally = federation.nodes[0].json(&args);
    let counts = ["rows", "matched", "by_name", "unknown", "broken"].map(|name| tally[name].as_u64().unwrap());
    assert_eq!(counts, [7, 3, 1, 2, 1], "{tally}");
    let out = std::fs::read_to_string(list.with_extension("checked.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(out.strip_prefix('\u{FEFF}').unwrap().as_bytes());
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for (row, (name, _, result)) in rows.iter().zip(ROWS) {
        assert_eq!(&row[at("核查结果")], result, "{name}");
        assert_eq!((&row[at("核查用途")], &row[at("覆盖地区")]), ("表彰评优", "310107"));
        let known = matches!(result, "已匹配" | "仅名称匹配");
        assert_eq!(&row[at("行政处罚数")], if known { "2" } else { "" }, "{name}");
        assert_eq!(&row[at("最高严重程度")], if known { "一般" } else { "" }, "{name}");
    }
    assert!(rows[1][at("核查说明")].contains("名称不一致"));
    assert_eq!(&rows[2][at("匹配代码")], USCC);
    assert!(rows[6][at("名称")].starts_with("'="), "no spreadsheet runs it");
    assert!(!list.with_extension("checked.csv.part").exists());
}

#[test]
fn a_workbook_comes_back_as_one_with_its_codes_as_text() {
    let federation = city();
    let list = federation.folder.path().join("名单.xlsx");
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "评优名单").unwrap();
    for (column, header) in (0..).zip(["企业名称", "统一社会信用代码", "人数"]) {
        sheet.write_string(1, column, header).unwrap();
    }
    sheet.write_string(2, 0, "=1+1").unwrap();
    sheet.write_string(2, 1, "110000802100433000").unwrap();
    sheet.write_number(2, 2, 12).unwrap();
    sheet.write_string(3, 0, "同名公司").unwrap();
    sheet.write_string(4, 0, "示例有限公司").unwrap();
    sheet.write_number(4, 1, 913_405_000_000_000_000_f64).unwrap();
    workbook.save(&list).unwrap();
    let args = ["check", list.to_str().unwrap(), "--purpose", "award", "--basis", "示例条例"];
    let tally: Value = federation.nodes[0].json(&args);
    assert_eq!((&tally["rows"], &tally["broken"]), (&Value::from(3), &Value::from(2)), "{tally}");
    let mut out: Xlsx<_> = open_workbook(list.with_extension("checked.xlsx")).unwrap();
    let range = out.worksheet_range_at(0).unwrap().unwrap();
    assert_eq!(range.get((1, 0)), Some(&Data::String("=1+1".to_owned())));
    assert_eq!(range.get((1, 1)), Some(&Data::String("110000802100433000".to_owned())));
    assert_eq!(range.get((1, 2)), Some(&Data::Float(12.0)));
    assert_eq!(range.get((1, 3)), Some(&Data::String("代码有误".to_owned())));
    assert!(matches!(range.get((3, 1)), Some(Data::String(_))));
    let nobody = federation.nodes[0].run(&["check", list.to_str().unwrap(), "--purpose", "gossip", "--basis", "x"]);
    assert_eq!(nobody.status.code(), Some(2));
}

#[test]
fn a_region_that_is_silent_is_marked_and_a_revoked_one_is_not_covered() {
    let mut federation = Federation::new(&["310107", "340500"]);
    federation.start();
    federation.until_in_step();
    let node = &federation.nodes[0];
    let regions = |days: i64| -> Vec<String> {
        let config = Config::load(&node.config()).unwrap();
        let clock = Clock::fixed(Clock::System.now_ms() + days * 86_400_000);
        let (kinds, rules) = (Kinds::builtin().unwrap(), Rules::built_in().unwrap());
        let view = View { node: &config.node.id, kinds: &kinds, rules: &rules, clock: &clock };
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let db = Db::open(config.store.expose()).await.unwrap();
            let found = covered(&db, &view).await.unwrap();
            db.close().await;
            found.iter().map(ToString::to_string).collect()
        })
    };
    assert_eq!(regions(0), ["310107", "340500"]);
    let today = Clock::System.today();
    let silent = regions(2);
    assert_eq!(silent[0], "310107", "a node hears of itself");
    assert!(
        [today, today.yesterday().unwrap()].iter().any(|day| silent[1] == format!("340500（{day}起未更新）")),
        "{silent:?}"
    );
    persons(node);
    done_by(node, "li", &["peer", "revoke", "340500", "--reason", "示例"]);
    assert_eq!(regions(0), ["310107"]);
}
