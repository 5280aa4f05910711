//! The monthly figures of data quality, from uploads of which it is known what must come out.

use kaopu::import::upload::Origin;
use kaopu::node::quality::{Quality, Rate};
use kaopu::statement::Kinds;
use kaopu::store::quality::Tally;
use serde_json::{Value, json};

use crate::database::on_both;
use crate::federation::{Federation, kaopu, said};
use crate::upload::{Station, text as penalties};

const HEADER: &str = "CF_XDR_MC,CF_XDR_LB,CF_XDR_SHXYM,CF_WSH,CF_WFXW,CF_SY,CF_YJ,CF_CFLB,CF_NR,CF_NR_FK,CF_JDRQ,CF_YXQ,\
     CF_CFJG,CF_CFJGDM,CF_SJLY,CF_SJLYDM\n";

/// A penalty decided on a day of September 2026; what is empty is missing.
fn row(number: u64, violation: &str, fine: &str, day: u64, source: &str) -> String {
    format!(
        "示例商贸有限公司,法人及非法人组织,91350100M000100Y43,示罚〔2026〕{number}号,{violation},示例,示例,罚款,罚款,{fine},\
         2026-09-{day:02},2029-01-15,示例机关,91350100M000100Y43,{source},91350100M000100Y43\n"
    )
}

/// The rows come on Monday 21 September; Sunday the 20th was worked. Seven working days before: Friday the 11th.
fn september() -> String {
    let person = row(5, "示例", "1", 21, "示例乙局")
        .replace("示例商贸有限公司,法人及非法人组织,91350100M000100Y43", "示例某,自然人,");
    [
        HEADER.to_owned(),
        row(1, "示例", "1", 11, "示例甲局"),
        row(2, "示例", "1", 10, "示例甲局"),
        row(3, "示例", "叁万元整", 11, "示例甲局"),
        row(4, "", "1", 11, "示例甲局").replace(",示例,罚款", ",,罚款"),
        person,
        row(1, "示例", "9", 11, "示例乙局"),
        row(6, "示例", "1", 21, ""),
    ]
    .concat()
}

async fn tally(station: &Station, department: &str) -> Tally {
    let tallied = station.import.db.quality("2026-09").await.unwrap();
    tallied.into_iter().find(|tallied| tallied.department == department).map(|tallied| tallied.tally).unwrap()
}

on_both! {
    async fn each_row_counts_for_its_source_as_its_fate_has_it(database: Database) {
        let station = Station::new(database.open().await).await;
        let upload = station.run(&station.sheet(&september())).await.unwrap();
        assert_eq!((upload.counts.published, upload.counts.refused), (3, 4));
        // 14 values are required of each row in this layout, and of an enterprise its code
        let first = Tally { submitted: 4, valid: 2, unchanged: 0, required: 60, given: 58, first: 2, in_time: 1 };
        assert_eq!(tally(&station, "示例甲局").await, first);
        let other = Tally { submitted: 2, valid: 1, unchanged: 0, required: 29, given: 29, first: 1, in_time: 1 };
        assert_eq!(tally(&station, "示例乙局").await, other);
        let unnamed = Tally { submitted: 1, required: 15, given: 14, ..Tally::default() };
        assert_eq!(tally(&station, "示例机关").await, unnamed, "without a source the authority stands for it");

        // the same again: what is unchanged is submitted by nobody
        station.run(&station.sheet(&september())).await.unwrap();
        let again = Tally { submitted: 6, valid: 2, unchanged: 2, required: 90, given: 86, ..first };
        assert_eq!(tally(&station, "示例甲局").await, again);

        // a correction is valid, and publishes nothing for the first time
        let corrected = format!("{HEADER}{}", row(2, "示例", "2", 10, "示例甲局"));
        station.run(&station.sheet(&corrected)).await.unwrap();
        let now = Tally { submitted: 7, valid: 3, required: 105, given: 101, ..again };
        assert_eq!(tally(&station, "示例甲局").await, now);

        // the upload's department goes before what the rows say
        let origin = Origin { file: "示例.csv".into(), department: Some("示例丙局".into()), operator: "示例".into() };
        let sheet = station.sheet(&format!("{HEADER}{}", row(7, "示例", "1", 21, "示例甲局")));
        station.import.run(&sheet, &origin, |_| ()).await.unwrap();
        assert_eq!(tally(&station, "示例甲局").await, now);
        let named = Tally { submitted: 1, valid: 1, unchanged: 0, required: 15, given: 15, first: 1, in_time: 1 };
        assert_eq!(tally(&station, "示例丙局").await, named);

        let quality = Quality::of(&station.import.db, &Kinds::builtin().unwrap(), "2026-09").await.unwrap();
        let total = quality.total.unwrap();
        assert_eq!(total.timeliness, Rate { part: 3, whole: 4 });
        assert_eq!(quality.departments.len(), 8, "each of four departments over both kinds, and by kind");
    }
}

#[test]
fn the_command_shows_a_month_and_writes_it_for_a_spreadsheet() {
    let federation = Federation::of_strangers(&["340500"]);
    let city = &federation.nodes[0];
    let (file, honours) = (federation.folder.path().join("a.csv"), federation.folder.path().join("b.csv"));
    std::fs::write(&file, penalties(40, "1")).unwrap();
    std::fs::write(&honours, "主体名称,荣誉名称,授予日期,认定单位\n示例公司,示例,2026-01-15,示例局\n").unwrap();
    for (file, kind) in [(&file, "penalty"), (&honours, "honour")] {
        city.done(&["import", file.to_str().unwrap(), "--kind", kind, "--department", "示例甲局"]);
    }
    let csv = federation.folder.path().join("quality.csv");
    let quality = city.json(&["quality", "--csv", csv.to_str().unwrap()]);
    let month = quality["month"].as_str().unwrap().to_owned();
    let of = |figures: &Value, members: &[&str]| -> Value { members.iter().map(|m| figures[*m].clone()).collect() };
    let shown = &quality["departments"][1];
    let members = ["department", "kind", "title", "submitted", "valid", "first", "in_time", "required", "given"];
    assert_eq!(of(shown, &members), json!(["示例甲局", "penalty", "行政处罚", 40, 36, 36, 0, 600, 600]));
    assert_eq!(shown["accuracy"], json!({"percent": 90.0, "full_marks": false, "score": 94.73}));
    assert_eq!(shown["completeness"], json!({"percent": 100.0, "full_marks": true, "score": 100.0}));
    assert_eq!(shown["timeliness"]["percent"], json!(0.0));
    assert_eq!(quality["others"][0]["title"], "诚实守信荣誉");
    assert_eq!(city.json(&["quality", "--month", &month]), quality);

    let text = std::fs::read_to_string(&csv).unwrap();
    assert!(text.contains(&format!("{month},示例甲局,行政处罚,40,36,0,36,0,600,600,0.00,90.00,100.00,")), "{text}");
    let table = city.done(&["quality", "--month", &month]);
    assert!(table.contains("90.00 %") && table.contains("100.00 %*") && table.contains("其他类别"), "{table}");
    let none = city.json(&["quality", "--month", "2001-01"]);
    assert_eq!((&none["departments"], &none["total"]), (&json!([]), &Value::Null));
    let wrong = kaopu().args(["quality", "--month", "2026-13", "-c"]).arg(city.config()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("2026-06 is expected"), "{}", said(&wrong));
}
