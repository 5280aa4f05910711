//! What offices do with records after they are published, by the commands as a clerk knows them: repairs, withdrawals,
//! disputes, one by one.

use std::fs;

use serde_json::Value;

use self::penalties::row;
use crate::federation::{Federation, Node, said, until};

const CODE: &str = "91350100M000100Y43";
const OFFICE: &str = "91340500D2143569XT";

/// Penalties as a file has them.
pub mod penalties {
    /// The columns.
    pub const HEADER: &str = "CF_XDR_MC,CF_XDR_LB,CF_XDR_SHXYM,CF_WSH,CF_WFXW,CF_SY,CF_YJ,CF_CFLB,CF_NR,CF_NR_FK,CF_JDRQ,\
         CF_YXQ,CF_CFJG,CF_CFJGDM,CF_SJLY,CF_SJLYDM\n";

    /// The penalty of a number, decided on a day by an office of a code.
    pub fn row(number: u32, decided: &str, office: &str) -> String {
        let code = super::CODE;
        format!(
            "示例商贸有限公司,法人及非法人组织,{code},示罚〔2026〕{number}号,示例,示例,示例,罚款,罚款,1,{decided},\
             2029-01-15,示例局,{office},示例局,{code}\n"
        )
    }
}

/// Imports penalties.
pub fn publish(node: &Node, rows: &[String]) {
    let file = node.dir.join("示例.csv");
    fs::write(&file, format!("{}{}", penalties::HEADER, rows.concat())).unwrap();
    let receipt = node.json(&["import", file.to_str().unwrap(), "--kind", "penalty"]);
    assert_eq!(receipt["published"], rows.len(), "{receipt:#}");
}

fn refused(node: &Node, args: &[&str]) -> String {
    let output = node.run(args);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    said(&output)
}

const REPAIR: [&str; 7] = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正"];

fn with<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    command.iter().chain(more).copied().collect()
}

#[test]
fn a_record_is_repaired_once_by_what_offices_name_it_by_and_stands_again_after_a_revocation() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    let [city, peer] = &federation.nodes[..] else { unreachable!() };
    let today = kaopu::clock::Clock::System.today().to_string();
    publish(
        city,
        &[row(1, "2026-01-15", CODE), row(2, &today, CODE), row(3, "2026-01-15", CODE), row(3, "2026-01-15", OFFICE)],
    );

    let one = ["--number", "示罚[2026]1号", "--code", CODE];
    let rehearsed = city.json(&with(&with(&REPAIR, &one), &["--dry-run"]));
    assert_eq!((&rehearsed["digest"], &rehearsed["record"]), (&Value::Null, &Value::from("penalty")));
    let size = crate::federation::records(&city.json(&["status"]))["size"].clone();
    let repaired = city.json(&with(&REPAIR, &one));
    assert_eq!((&repaired["about"], &repaired["index"]), (&rehearsed["about"], &size), "a rehearsal wrote nothing");
    assert_eq!(repaired["body"]["decided"], repaired["body"]["effective"]);
    assert!(refused(city, &with(&REPAIR, &one)).contains("该信息已修复"));

    let early = refused(city, &with(&REPAIR, &["--number", "示罚〔2026〕2号", "--code", CODE]));
    assert!(early.contains("it can be repaired from 20") && early.contains("起方可修复"), "{early}");
    let several = refused(city, &with(&REPAIR, &["--number", "示罚〔2026〕3号", "--name", "示例商贸有限公司"]));
    assert!(several.contains("有多条记录相符") && several.lines().count() == 3, "{several}");
    let by_office = with(&REPAIR, &["--number", "示罚〔2026〕3号", "--code", CODE, "--found-by", OFFICE]);
    let other = city.json(&by_office);
    assert!(several.contains(other["about"].as_str().unwrap()));
    let none = refused(city, &with(&REPAIR, &["--number", "示罚〔2026〕9号", "--code", CODE]));
    assert!(none.contains("未找到相符的记录"), "{none}");
    let late = refused(city, &with(&with(&REPAIR, &one), &["--decided", "2093-01-05"]));
    assert!(late.contains("E105"), "{late}");

    until("the repair is at the peer", || {
        peer.json(&["record", CODE, "--all"]).to_string().contains(repaired["digest"].as_str().unwrap())
    });
    // what was found and repaired by one is not another's to repair
    let theirs = refused(peer, &with(&REPAIR, &[repaired["about"].as_str().unwrap()]));
    assert!(theirs.contains("谁认定谁修复"), "{theirs}");

    let revoke = ["repair", "revoke", "--reason", "隐瞒事实"];
    let revoked = city.json(&with(&revoke, &one));
    assert_eq!(revoked["about"], repaired["digest"], "the record leads to its repair");
    assert!(refused(city, &with(&revoke, &[repaired["digest"].as_str().unwrap()])).contains("该修复已撤销"));
    assert_ne!(city.json(&with(&REPAIR, &one))["digest"], repaired["digest"]);

    // what is decided and has no effect yet is marked
    assert!(!city.done(&["record", CODE]).contains("信用修复办理中"));
    let coming = ["--number", "示罚〔2026〕3号", "--code", CODE, "--found-by", CODE, "--effective", "2093-01-05"];
    city.done(&with(&REPAIR, &coming));
    assert!(city.done(&["record", CODE]).contains("信用修复办理中"));
}

#[test]
fn disputes_wait_until_they_are_answered_and_a_withdrawn_record_is_not_repaired() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    let [city, peer] = &federation.nodes[..] else { unreachable!() };
    publish(city, &[row(1, "2026-01-15", CODE), row(2, "2026-01-15", CODE)]);
    let raise = ["dispute", "raise", "--reason", "金额有误", "--raised", "2026-06-01"];
    let two = ["--number", "示罚〔2026〕2号", "--code", CODE];
    let own = city.json(&with(&raise, &two));
    let open = city.json(&["dispute", "list"]);
    assert_eq!((&open[0]["digest"], &open[0]["record"]), (&own["digest"], &own["about"]));
    // 2026-06-01 is a Monday, and no holiday follows in that week
    assert_eq!((&open[0]["deadline"], &open[0]["late"]), (&Value::from("2026-06-08"), &Value::from(true)));

    let told = String::from_utf8(city.run(&["doctor"]).stdout).unwrap();
    assert!(told.contains("1 of 1 disputes") && told.contains("kaopu dispute list"), "{told}");

    // what another node claims counts once the record's issuer states it
    let about = |number: &str| {
        let found = city.json(&["record", CODE]);
        let it = found.as_array().unwrap().iter().find(|it| it["body"]["number"] == number).unwrap();
        it["digest"].as_str().unwrap().to_owned()
    };
    let (one, old) = (about("示罚〔2026〕1号"), about("示罚〔2026〕2号"));
    until("the peer has the record", || {
        peer.json(&["record", CODE]).as_array().unwrap().iter().any(|it| it["digest"] == one.as_str())
    });
    let claim = peer.json(&with(&raise, &[&one]));
    until("the claim is here", || city.json(&["dispute", "list"]).as_array().unwrap().len() == 2);
    let claimed = city.json(&["dispute", "list"]);
    let waiting = claimed.as_array().unwrap().iter().find(|it| it["digest"] == claim["digest"]).unwrap();
    assert_eq!((&waiting["stated"], &waiting["record"]), (&Value::from(false), &Value::from(one.as_str())));
    let taken = city.json(&with(&raise, &[claim["digest"].as_str().unwrap()]));
    let answer = ["dispute", "answer", "--outcome", "维持", "--reason", "属实"];
    let not_stated = refused(city, &with(&answer, &[claim["digest"].as_str().unwrap()]));
    assert!(not_stated.contains("谁认定谁修复"), "{not_stated}");
    assert_eq!(city.json(&with(&answer, &[taken["digest"].as_str().unwrap()]))["about"], taken["digest"]);
    city.done(&with(&answer, &two));
    assert_eq!(city.json(&["dispute", "list"]), serde_json::json!([]));
    assert!(refused(city, &with(&answer, &two)).contains("没有待处理的事项"));

    let withdraw = ["withdraw", "--reason", "误报"];
    city.done(&with(&withdraw, &two));
    for command in [&with(&withdraw, &two), &with(&REPAIR, &two)] {
        assert!(refused(city, command).contains("该信息已撤回"));
    }
    // published anew it stands, and its older version is named no more
    publish(city, &[row(2, "2026-01-15", CODE).replace("罚款,1,", "罚款,2,")]);
    assert!(refused(city, &with(&withdraw, &[&old])).contains("a later version stands"));
    city.done(&with(&REPAIR, &two));
}
