//! Policies of a node that runs: taken anew when they change, kept when the change has a fault.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use kaopu::config::Config;
use kaopu::statement::{Digest, Statement, Unverified};
use kaopu::store::Db;
use kaopu::store::pending::Change;
use kaopu::store::statement::Body;
use serde_json::{Value, json};

use crate::asking::USCC;
use crate::database::on_both;
use crate::federation::{Federation, Node, kaopu, said, until};

const MORE: &str = "@id(\"no-repairs-of-huangshan\")\n@reason(\"黄山市的修复暂不认可\")\n\
     forbid (principal in Region::\"341000\", action == Action::\"recognise\", resource);\n";

/// A node with a folder of its own for policies.
fn node() -> Federation {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    node.done(&["policy", "export", node.dir.join("policy").to_str().unwrap()]);
    let config = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), format!("policy = \"policy\"\n{config}")).unwrap();
    federation
}

fn digest(node: &Node) -> String {
    node.json(&["policy", "show"])["digest"].as_str().unwrap().to_owned()
}

/// The changes of policies in the exchange log.
fn changes(node: &Node) -> Vec<Statement> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async {
        let db = Db::open(Config::load(&node.config()).unwrap().store.expose()).await.unwrap();
        let log = db.log(&format!("kaopu/{}/exchange/1", node.id).parse().unwrap()).await.unwrap().unwrap();
        let rows = db.statements(log.id, 1, 100).await.unwrap();
        db.close().await;
        rows
    });
    let said = rows.into_iter().filter_map(|row| match row.body {
        Body::Here(jws) => Some(Unverified::parse(&jws).unwrap().statement().clone()),
        _ => None,
    });
    said.filter(|statement| statement.body.get("of") == Some(&json!("policy"))).collect()
}

on_both! {
    async fn a_set_comes_into_force_once_and_can_be_read_later(database: Database) {
        let db = database.open().await;
        let change = |at_ms| Change {
            about: "policy", subject: "policies", action: "in-force", by: "示例", reason: None, digest: None, at_ms,
        };
        let [one, other] = [Digest([1; 32]), Digest([2; 32])];
        assert_eq!(db.policies_in_force().await.unwrap(), None);
        // whoever sees it second does not tell it again
        assert!(db.put_policies(one, b"{}", &change(1)).await.unwrap());
        assert!(!db.put_policies(one, b"{}", &change(2)).await.unwrap());
        assert!(db.put_policies(other, b"[]", &change(3)).await.unwrap());
        assert!(db.put_policies(one, b"{}", &change(4)).await.unwrap());
        assert_eq!(db.policies_in_force().await.unwrap(), Some(one.to_string()));
        assert_eq!(db.policy_files(other).await.unwrap().as_deref(), Some(&b"[]"[..]));
        assert_eq!(db.policy_files(Digest([3; 32])).await.unwrap(), None);
        let mut told = Vec::new();
        while let Some(change) = db.take_change(10).await.unwrap() {
            told.push(change.at_ms);
            db.end_change(change.id).await.unwrap();
        }
        assert_eq!(told, [1, 3, 4]);
    }
}

#[test]
fn policies_are_taken_anew_and_a_fault_keeps_the_old() {
    let mut federation = node();
    let node = &mut federation.nodes[0];
    let first = digest(node);
    node.start();
    until("the first set is told", || changes(node).len() == 1);
    let file = node.dir.join("policy/more.cedar");
    let told = |text: &str| node.journal_text().lines().filter(|line| line.contains(text)).count();

    // a slip of the pen, then another: each is told once, with its place
    for (good, bad, place) in [("action ==", "action", "more.cedar:3:47"), ("Region::", "Regio::", "more.cedar:3:22")] {
        fs::write(&file, MORE.replace(good, bad)).unwrap();
        until("the fault is told", || told(place) > 0);
        let checked = node.run(&["policy", "check"]);
        assert_eq!(checked.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&checked.stdout).contains(place), "{checked:?}");
        assert!(node.json(&["status"])["fault"].as_str().unwrap().contains(place));
        let doctor = node.run(&["doctor"]);
        assert!(String::from_utf8_lossy(&doctor.stdout).contains("FAULT policies"), "{doctor:?}");
    }
    // what does not matter is not taken for a change
    fs::write(node.dir.join("policy/notes.txt"), "示例").unwrap();
    fs::write(&file, MORE).unwrap();
    until("the mended set is taken", || told("took in the changed policies") == 1);
    assert_eq!((told("more.cedar:3:47"), told("more.cedar:3:22")), (1, 1), "{}", node.journal_text());
    assert!(node.json(&["status"])["fault"].is_null());
    until("the second set is told", || changes(node).len() == 2);
    let second = digest(node);
    let digests: Vec<_> = changes(node).iter().map(|change| change.body["digest"].clone()).collect();
    assert_eq!(digests, [first.as_str(), second.as_str()]);

    // what was in force can be read when it is no longer
    let old = node.json(&["policy", "show", "--set", &first]);
    assert!(old["files"]["recognise.cedar"].as_str().unwrap().contains("serious-by-person"));
    assert!(old["files"].get("more.cedar").is_none());
    assert!(!node.run(&["policy", "show", "--set", &"A".repeat(43)]).status.success());

    // the same set at the next start is no change; one with a fault stops it
    assert!(node.signal("-TERM"));
    node.start();
    assert!(node.signal("-TERM"));
    assert_eq!(changes(node).len(), 2);
    fs::write(&file, MORE.replace("recognise", "recognize")).unwrap();
    let refused = node.run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = said(&refused);
    assert!(refused.contains("more.cedar:3:50") && refused.contains("recognize"), "{refused}");
}

#[test]
fn a_case_is_tried_without_a_server() {
    let federation = node();
    let node = &federation.nodes[0];
    fs::write(node.dir.join("policy/more.cedar"), MORE).unwrap();
    let tried = |case: Value| -> Value {
        let mut command = kaopu();
        command.args(["policy", "try", "-", "--json", "-c", node.config().to_str().unwrap()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(case.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{case}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let repair = |by: &str, severity: &str| {
        json!({"by": by, "kind": "penalty", "severity": severity, "fine": "1200.5", "repair_type": "终止公示",
               "record_decided": "2026-04-01", "decided": "2026-09-01", "effective": "2026-09-02"})
    };
    for (case, outcome, policy) in [
        (json!({"repair": repair("341200", "general")}), "recognised", "recognise-own"),
        (json!({"repair": repair("341200", "serious")}), "pending", "serious-by-person"),
        (json!({"repair": repair("341000", "general")}), "refused", "no-repairs-of-huangshan"),
        (json!({"revocation": repair("341000", "general")}), "recognised", "recognise-revocation-of-own"),
        (json!({"hold": {"by": "341200", "issuer": "340500", "kind": "contract"}}), "allowed", "hold-addressed"),
        (json!({"ask": {"by": "341200", "purpose": "self", "kinds": ["penalty"]}}), "allowed", "ask-unconditional"),
        (
            json!({"ask": {"by": "341200", "purpose": "self", "person": true, "kinds": ["penalty"]}}),
            "denied",
            "ask-person-authorised",
        ),
    ] {
        let told = tried(case.clone());
        assert_eq!(told[0]["outcome"], outcome, "{case}");
        assert!(told[0]["policies"].as_array().unwrap().contains(&json!(policy)), "{case} {told}");
    }
    let examples = include_str!("../../docs/POLICY.md");
    let policies = examples.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    fs::write(node.dir.join("policy/more.cedar"), policies.collect::<String>()).unwrap();
    let checked = node.run(&["policy", "check"]);
    assert!(checked.status.success(), "the examples of the documentation: {checked:?}");
}

#[test]
fn a_policy_withholds_a_body_from_whom_its_audience_names() {
    let mut federation = Federation::new(&["340500", "310107"]);
    let issuer = &federation.nodes[0];
    issuer.done(&["policy", "export", issuer.dir.join("policy").to_str().unwrap()]);
    let config = fs::read_to_string(issuer.config()).unwrap();
    fs::write(issuer.config(), format!("policy = \"policy\"\n{config}")).unwrap();
    federation.start();

    // contracts are shared on conditions, and addressed to the Delta
    let publish = |number: &str| {
        let issuer = &federation.nodes[0];
        let file = issuer.dir.join(format!("{number}.csv"));
        let head = "主体名称,主体类别,统一社会信用代码,合同编号,合同相对方,签订日期,履行情况,认定单位统一社会信用代码";
        let row =
            format!("示例有限公司,法人及非法人组织,{USCC},{number},示例甲方,2026-03-01,已履行,00000000000000000X");
        fs::write(&file, format!("{head}\n{row}\n")).unwrap();
        issuer.done(&["import", file.to_str().unwrap(), "--kind", "contract", "--department", "示例局"]);
        federation.until_in_step();
    };
    let known = |number: &str| federation.nodes[1].json(&["record", USCC]).to_string().contains(number);
    publish("示例-1");
    until("what is addressed is held", || known("示例-1"));

    let forbid = "@id(\"not-to-putuo\")\nforbid (principal in Region::\"310107\", action == Action::\"hold\", resource)\n\
                  when { resource.kind == Kind::\"contract\" };\n";
    fs::write(federation.nodes[0].dir.join("policy/more.cedar"), forbid).unwrap();
    until("the policy is in force", || federation.nodes[0].journal_text().contains("took in the changed policies"));
    publish("示例-2");
    assert!(known("示例-1") && !known("示例-2"));
    assert!(federation.nodes[0].json(&["record", USCC]).to_string().contains("示例-2"));
}
