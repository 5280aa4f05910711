//! Whoever follows a subject hears of its repair and of what other cities make of that, and follows as policies let them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::processes::{may_call_here, public_key};
use super::receiver::{Answer, Got, Receiver, verifies};
use crate::acts::{penalties, publish};
use crate::federation::{Federation, Node, said, until};

const CODE: &str = "91350100M000100Y43";

/// Kind, issuer and what it is about, of notices.
fn told(notices: &[Value]) -> BTreeSet<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    notices.iter().map(|notice| [text(&notice["kind"]), text(&notice["issuer"]), text(&notice["ref"][0])]).collect()
}

fn inbox(node: &Node) -> Vec<Value> {
    node.json(&["watch", "inbox", "--follower", "商务委", "--limit", "1000"]).as_array().unwrap().clone()
}

#[test]
fn a_follower_hears_of_a_repair_and_of_each_city_that_recognises_it() {
    let runtime = Runtime::new().unwrap();
    let receiver = runtime.block_on(Receiver::new(|_: &Got| Answer::Take));
    // who follows is at 310107; 340500 repairs; 341200 recognises too, and 341000 does not
    let mut federation = Federation::new(&["310107", "340500", "341200", "341000"]);
    let refuses = &federation.nodes[3];
    refuses.done(&["policy", "export", refuses.dir.join("policy").to_str().unwrap()]);
    let config = fs::read_to_string(refuses.config()).unwrap();
    fs::write(refuses.config(), format!("policy = \"policy\"\n{config}")).unwrap();
    let forbid = "@id(\"none\")\n@reason(\"示例\")\nforbid (principal, action == Action::\"recognise\", resource);\n";
    fs::write(refuses.dir.join("policy/more.cedar"), forbid).unwrap();
    may_call_here(&federation.nodes[0]);
    let follow = ["watch", "add", CODE, "--follower", "商务委", "--purpose", "supervision", "--webhook", &receiver.url];
    assert_eq!(federation.nodes[0].json(&follow)["added"], 1);
    federation.start();
    let [here, issuer, ..] = &federation.nodes[..] else { unreachable!() };

    publish(issuer, &[penalties::row(1, "2026-01-15", CODE)]);
    let repair = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正", "--code", CODE];
    let repaired = issuer.json(&[&repair[..], &["--number", "示罚〔2026〕1号"]].concat());
    let (record, repair) = (repaired["about"].as_str().unwrap(), repaired["digest"].as_str().unwrap());
    let notice = |kind: &str, issuer: &str, about: &str| [kind, issuer, about].map(str::to_owned);
    let mut expected = BTreeSet::from([
        notice("penalty", "340500", ""),
        notice("repair", "340500", record),
        notice("recognition", "310107", repair),
        notice("recognition", "341200", repair),
        notice("recognition", "341000", repair),
    ]);
    until("the inbox has all", || told(&inbox(here)) == expected);

    let revoked = issuer.json(&["repair", "revoke", "--reason", "隐瞒事实", repair]);
    let revocation = revoked["digest"].as_str().unwrap();
    expected.insert(notice("repair-revocation", "340500", repair));
    for city in ["310107", "341200", "341000"] {
        expected.insert(notice("recognition", city, revocation));
    }
    until("it is told of the revocation", || told(&inbox(here)) == expected);
    assert_eq!(inbox(here).len(), expected.len(), "each once");
    assert!(inbox(here).iter().all(|notice| notice["subject"] == CODE && notice.get("body").is_none()));
    let titles: BTreeSet<_> = inbox(here).iter().map(|notice| notice["title"].as_str().unwrap().to_owned()).collect();
    assert!(titles.is_superset(&BTreeSet::from(["信用修复".to_owned(), "修复互认".to_owned()])), "{titles:?}");

    // the webhook was told the same, signed
    let delivered = || -> Vec<Value> { receiver.taken().iter().map(|got| got.payload["statement"].clone()).collect() };
    until("the webhook has all", || told(&delivered()) == expected);
    let key = public_key(here);
    for got in receiver.taken() {
        assert!(verifies(&got.jws, &key));
        assert_eq!((&got.payload["follower"], &got.payload["purpose"]), (&"商务委".into(), &"supervision".into()));
        assert_eq!(got.payload["subject"]["key"], CODE);
    }
    // what a notice names can be looked up: how it stands now, and what each city said
    let found = here.json(&["record", CODE]);
    assert_eq!((&found[0]["digest"], &found[0]["status"]), (&record.into(), &"published".into()), "{found:#}");
    runtime.block_on(async move { drop(receiver) });
}

#[test]
fn who_follows_is_asked_of_the_policies_and_persons_need_their_authorisation() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    let (person, authorisation) = ("person:1.AbC", "A".repeat(43));
    let add = |who: &str, more: &[&str]| {
        let args =
            [&["watch", "add", CODE, person, "--follower", who, "--purpose", "finance", "--json"][..], more].concat();
        let output = node.run(&args);
        let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        (output.status.code().unwrap(), result)
    };
    let set = node.json(&["policy", "show"])["digest"].clone();
    let (code, result) = add("示例银行", &[]);
    assert_eq!((code, &result["subjects"], &result["added"]), (1, &1.into(), &1.into()), "{result:#}");
    let refused = json!([{
        "subject": person, "policies": ["follow-person-authorised"], "reason": "关注自然人须提供授权书摘要",
    }]);
    assert_eq!((&result["refused"], &result["policy_set"]), (&refused, &set));
    let printed = node.run(&["watch", "add", person, "--follower", "示例银行", "--purpose", "finance"]);
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.contains("不予关注: 关注自然人须提供授权书摘要 (follow-person-authorised)"), "{printed}");
    let listed = || node.json(&["watch", "list"]);
    assert_eq!(listed().as_array().unwrap().len(), 1);
    let first = &listed()[0];
    assert_eq!((&first["subject"], &first["policies"]), (&CODE.into(), &json!(["follow-stated"])));
    assert_eq!((&first["policy_set"], &first["authorisation"]), (&set, &Value::Null));

    let (code, result) = add("示例银行", &["--authorisation", &authorisation]);
    assert_eq!((code, &result["added"], &result["refused"]), (0, &1.into(), &json!([])), "{result:#}");
    assert_eq!(listed()[1]["authorisation"], authorisation.as_str());

    // policies of one's own narrow it, and each watch keeps what it rested on
    node.done(&["policy", "export", node.dir.join("policy").to_str().unwrap()]);
    let config = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), format!("policy = \"policy\"\n{config}")).unwrap();
    let forbid = "@id(\"banks\")\n@reason(\"须先备案\")\nforbid (principal == Follower::\"第二银行\", action == Action::\"follow\", resource);\n";
    fs::write(node.dir.join("policy/more.cedar"), forbid).unwrap();
    let (code, result) = add("第二银行", &["--authorisation", &authorisation]);
    assert_eq!((code, &result["subjects"]), (1, &0.into()));
    assert!(result["refused"].as_array().unwrap().iter().all(|it| it["reason"] == "须先备案"), "{result:#}");
    let (code, result) = add("商务委", &["--authorisation", &authorisation]);
    assert_eq!((code, &result["added"]), (0, &2.into()));
    assert_ne!(result["policy_set"], set);
    let sets: BTreeSet<_> = listed().as_array().unwrap().iter().map(|it| it["policy_set"].to_string()).collect();
    assert_eq!((listed().as_array().unwrap().len(), sets.len()), (4, 2));
    // a fault in them stops it
    fs::write(node.dir.join("policy/more.cedar"), forbid.replace("follow", "folow")).unwrap();
    let output = node.run(&["watch", "add", CODE, "--follower", "商务委", "--purpose", "award"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("more.cedar:3:"), "{}", said(&output));
}
