//! A further kind of record is a file and no code: from a department's spreadsheet at one node to the look-up at another.

use std::fs;

use serde_json::{Value, json};

use crate::federation::{Federation, Node, until};

/// 抽查检查: no kind that comes with the program.
const INSPECTION: &str = include_str!("eleventh_kind/inspection.json");

const SUBJECT: &str = "91350100M000100Y43";

const ROWS: &str = "\
被检查单位,统一社会信用代码,检查文号,检查日期,整改期限,检查结果,是否公开,问题数,整改措施,检查机关,检查人员
示例食品有限公司,91350100M000100Y43,马检[2024]1号,2024年3月5日,2024/4/5,不合格,是,2,更换冷柜,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检[2024]2号,2024-03-05,2024-03-04,合格,否,0,无需,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检[2024]3号,2024-03-05,,优秀,否,0,无需,马鞍山市示例局,示例人员
示例食品有限公司,91350100M000100Y43,马检（2024）1号,2024-03-05,,合格,是,0,无需,马鞍山市示例局,示例人员
";

#[test]
fn a_kind_is_added_with_a_file_alone() {
    let mut federation = Federation::new(&["340500", "310107", "110000"]);
    federation.nodes.iter().for_each(teach);
    federation.start();
    let [city, partner, stranger] = &federation.nodes[..] else { unreachable!("there are three") };

    let upload = federation.folder.path().join("inspections.csv");
    fs::write(&upload, ROWS).unwrap();
    let receipt = city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    let counts = ["read", "published", "skipped", "refused"].map(|count| receipt[count].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 0, 3], "{receipt:#}");
    let faults: Vec<(u64, Option<&str>, &str)> = receipt["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["row"].as_u64().unwrap(), fault["column"].as_str(), fault["code"].as_str().unwrap()))
        .collect();
    assert_eq!(faults, [(2, Some("整改期限"), "E105"), (3, Some("检查结果"), "E103"), (4, None, "E301")]);

    let found = await_records(partner, 1);
    let record = &found[0];
    assert_eq!(record["kind"], "inspection");
    assert_eq!(record["title"], "抽查检查");
    assert_eq!(record["origin"], "kaopu/340500/records/1");
    assert_eq!((&record["status"], &record["verified"]), (&json!("published"), &json!(true)));
    assert_eq!(
        record["body"],
        json!({
            "name": "示例食品有限公司", "uscc": "91350100M000100Y43", "number": "马检〔2024〕1号",
            "inspected": "2024-03-05", "corrected": "2024-04-05", "result": "责令改正", "open": true, "findings": 2,
            "measures": "更换冷柜", "authority": "马鞍山市示例局",
        })
    );
    assert!(record["checkpoint"]["size"].as_u64() > record["index"].as_u64());
    let by_name = partner.json(&["record", "--name", "示例食品（有限"]);
    assert_eq!(by_name, json!([]), "brackets are no ornament where there are none");
    let by_name = partner.json(&["record", "--name", "食品有限"]);
    assert_eq!(by_name[0]["digest"], record["digest"], "{by_name:#}");

    // the same file again changes nothing; a change becomes a new version there too
    let again = city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    assert_eq!((&again["published"], &again["skipped"]), (&json!(0), &json!(1)), "{again:#}");
    fs::write(&upload, ROWS.replace("更换冷柜", "更换冷柜并复查")).unwrap();
    city.json(&["import", upload.to_str().unwrap(), "--kind", "inspection"]);
    let both = await_records(partner, 2);
    assert_eq!((&both[0]["status"], &both[1]["status"]), (&json!("published"), &json!("superseded")), "{both:#}");
    assert_eq!(both[0]["replaces"], both[1]["digest"]);

    // who is not of the group has the whole log, but not what it says
    federation.until_in_step();
    assert_eq!(stranger.json(&["record", SUBJECT]), json!([]));
}

/// Gives a node the file of the further kind.
fn teach(node: &Node) {
    fs::create_dir(node.dir.join("schemas")).unwrap();
    fs::write(node.dir.join("schemas/inspection.json"), INSPECTION).unwrap();
    let settings = fs::read_to_string(node.config()).unwrap();
    let changed = settings.replace("# schemas = \"schemas\"", "schemas = \"schemas\"");
    assert_ne!(changed, settings, "the sample names the folder of schemas");
    fs::write(node.config(), changed).unwrap();
}

/// What is known of the subject at a node, once there is so much of it.
fn await_records(node: &Node, count: usize) -> Value {
    let mut found = Value::Null;
    until("the records are there", || {
        found = node.json(&["record", SUBJECT]);
        found.as_array().unwrap().len() == count
    });
    found
}
