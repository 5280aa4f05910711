//! `kaopu query` between real processes, and what is left when one of them is killed.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kaopu::config::Config;
use kaopu::statement::Unverified;
use kaopu::store::Db;
use kaopu::store::statement::Body;
use serde_json::Value;

use crate::asking::{CLEAN, USCC};
use crate::federation::{Federation, Node, kaopu};

/// Three cities, of which the second has a penalty of the enterprise.
fn three() -> Federation {
    let federation = Federation::new(&["310107", "340500", "341200"]);
    let upload = federation.folder.path().join("示例.csv");
    let header = "CF_XDR_MC,CF_XDR_SHXYM,CF_WSH,CF_CFMC,CF_SY,CF_YJ,CF_CFLB1,CF_JG,CF_JDRQ,CF_XZJG\n";
    let row = "示例有限公司,91340500MA2EXAMP5W,示例罚字〔2025〕第1号,示例违法行为,示例事实,示例依据,1,罚款,2026-10-15,示例市场监督管理局\n";
    std::fs::write(&upload, format!("{header}{row}")).unwrap();
    federation.nodes[1].done(&["import", upload.to_str().unwrap(), "--kind", "penalty"]);
    federation
}

fn query<'a>(subject: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["query", subject, "--purpose", "finance", "--basis", "示例条例"];
    args.extend(more);
    args
}

fn regions(result: &Value) -> Vec<(&str, &str)> {
    let regions = result["regions"].as_array().unwrap();
    regions.iter().map(|region| (region["node"].as_str().unwrap(), region["result"].as_str().unwrap())).collect()
}

/// The kinds in a node's exchange log behind its descriptor, with what each refers to.
fn exchanged(node: &Node) -> Vec<(String, Vec<String>)> {
    let config = Config::load(&node.config()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let db = Db::open(config.store.expose()).await.unwrap();
        let log = db.log(&format!("kaopu/{}/exchange/1", node.id).parse().unwrap()).await.unwrap().unwrap();
        let mut said = Vec::new();
        for row in db.statements(log.id, 1, log.size).await.unwrap() {
            let Body::Here(jws) = row.body else { panic!("no body") };
            let read = Unverified::parse(&jws).unwrap();
            let statement = read.statement();
            // of peers
            if statement.typ.kind == "change" {
                continue;
            }
            if statement.typ.kind == "answer" {
                // the row beside the log, and the answer in it
                let query = statement.refs[0];
                assert_eq!(statement.aud, kaopu::statement::Audience::Named(vec!["310107".parse().unwrap()]));
                said.push(("answer".to_owned(), vec![query.to_string()]));
            } else {
                said.push((statement.typ.kind.clone(), statement.refs.iter().map(ToString::to_string).collect()));
            }
        }
        db.close().await;
        said
    })
}

#[test]
fn all_peers_are_asked_at_once_and_each_has_its_word() {
    let mut federation = three();
    federation.nodes[0].start();
    federation.nodes[1].start();
    // 341200 does not run
    let asked = federation.nodes[0].run(&[&query(USCC, &["--all", "--deadline", "5s"])[..], &["--json"]].concat());
    assert_eq!(asked.status.code(), Some(1), "one city did not answer");
    let result: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(regions(&result), [("340500", "yes"), ("341200", "unavailable")]);
    let yes = &result["regions"][0];
    assert_eq!(yes["statements"][0]["body"]["number"], "示例罚字〔2025〕第1号");
    assert_eq!((&yes["complete"], yes["coverage"]["size"].as_u64()), (&Value::Bool(true), Some(2)));
    assert!(result["regions"][1]["reason"].as_str().unwrap().contains("cannot be reached"));

    // what its issuer marks as disputed is shown as that
    let dispute = ["dispute", "raise", yes["statements"][0]["digest"].as_str().unwrap(), "--reason", "金额有误"];
    let dispute = federation.nodes[1].json(&dispute);
    let marked = federation.nodes[0].json(&query(USCC, &["--peer", "340500"]));
    let marked = &marked["regions"][0]["statements"][0];
    assert_eq!((&marked["disputed"], &marked["events"][0]["digest"]), (&Value::Bool(true), &dispute["digest"]));
    assert_eq!(
        (&yes["statements"][0]["disputed"], &yes["statements"][0]["events"]),
        (&false.into(), &Value::Array(vec![]))
    );

    // one alone, beside no server of its own
    federation.nodes[0].signal("-TERM");
    let clean = federation.nodes[0].json(&query(CLEAN, &["--peer", "340500"]));
    assert_eq!(regions(&clean), [("340500", "none")]);
    let text = federation.nodes[0].done(&query(USCC, &["--peer", "340500", "--kinds", "penalty"]));
    for words in ["融资授信", "有记录", "示例罚字〔2025〕第1号", "looked through 3 entries", "异议中", "金额有误"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    // what was not asked for is not missing
    let text = federation.nodes[0].done(&query(USCC, &["--peer", "340500", "--kinds", "licence"]));
    assert!(text.contains("本地镜像: 0") && !text.contains("答复中没有"), "{text}");
    // a kind goes by its title too, and once
    let kinds = ["--peer", "340500", "--kinds", "行政处罚,penalty"];
    assert_eq!(regions(&federation.nodes[0].json(&query(USCC, &kinds))), [("340500", "yes")]);
    let unknown = federation.nodes[0].run(&query(USCC, &["--kinds", "penaltys"]));
    assert_eq!(unknown.status.code(), Some(2), "no city is called silent for it");
    // wrong usage
    for args in [
        vec!["query", USCC, "--purpose", "gossip", "--basis", "x"],
        vec!["query", USCC, "--basis", "x"],
        vec!["query", USCC, "--purpose", "finance"],
        vec!["query", "91340500MA2EXAMP5X", "--purpose", "finance", "--basis", "x"],
    ] {
        assert_eq!(federation.nodes[0].run(&args).status.code(), Some(2), "{args:?}");
    }
    let stranger = federation.nodes[0].run(&query(USCC, &["--peer", "340100"]));
    assert_eq!(stranger.status.code(), Some(1));
}

/// A command that asks, running.
fn asking(node: &Node, subject: &str) -> Child {
    kaopu()
        .args(query(subject, &["--peer", "340500", "--deadline", "20s", "--json"]))
        .arg("-c")
        .arg(node.config())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn who_is_killed_while_it_asks_leaves_a_query_of_which_nothing_was_heard() {
    let mut federation = three();
    federation.nodes[1].start();
    // the asked one stands still: it takes the connection and does not answer
    let stop = |signal: &str, pid: u32| {
        let done = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
        assert!(done.success());
    };
    let pid = federation.nodes[1].pid();
    stop("-STOP", pid);
    let mut child = asking(&federation.nodes[0], USCC);
    crate::federation::until("the query is logged", || {
        exchanged(&federation.nodes[0]).iter().any(|(kind, _)| kind == "query")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    stop("-CONT", pid);
    assert_eq!(exchanged(&federation.nodes[0]).len(), 1);
    let again = federation.nodes[0].json(&query(USCC, &["--peer", "340500"]));
    assert_eq!(regions(&again), [("340500", "yes")]);
    let kinds: Vec<String> = exchanged(&federation.nodes[0]).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["query", "query", "receipt"]);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test of processes has no runtime to block; it kills at random moments"
)]
fn who_is_killed_while_it_answers_has_logged_each_answer_with_its_receipt_or_nothing() {
    let mut federation = three();
    let begun = Instant::now();
    let mut asked = 0;
    while begun.elapsed() < Duration::from_secs(8) {
        federation.nodes[1].start();
        let mut children: Vec<Child> = (0..3).map(|_| asking(&federation.nodes[0], USCC)).collect();
        std::thread::sleep(Duration::from_millis(40 + 97 * (asked % 7)));
        federation.nodes[1].signal("-KILL");
        asked += 3;
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    let said = exchanged(&federation.nodes[1]);
    for pair in said.chunks(2) {
        let [(first, receipt_of), (second, answer_to)] = pair else { panic!("half of it") };
        assert_eq!((first.as_str(), second.as_str(), receipt_of), ("receipt", "answer", answer_to));
    }
    federation.nodes[1].start();
    let result = federation.nodes[0].json(&query(USCC, &["--peer", "340500"]));
    assert_eq!(regions(&result), [("340500", "yes")]);
}

#[test]
fn a_natural_person_is_asked_about_by_a_number_that_nobody_reads_on_its_way() {
    let mut federation = three();
    let maanshan = &federation.nodes[1];
    let number = "11010519491231002X";
    let upload = federation.folder.path().join("示例自然人.csv");
    let header = "CF_XDR_MC,CF_XDR_LB,CF_XDR_SHXYM,CF_XDR_ZJLX,CF_XDR_ZJHM,CF_WSH,CF_WFXW,CF_SY,CF_YJ,CF_CFLB,CF_NR,CF_JDRQ,CF_YXQ,\
                  CF_CFJG,CF_CFJGDM,CF_SJLY,CF_SJLYDM\n";
    let office = "示例市场监督管理局,91340500MA2EXAMP5W";
    let row = format!(
        "张示例,自然人,,身份证,{number},示例罚字〔2026〕第9号,示例行为,示例事实,示例依据,罚款,罚款,2026-01-15,2027-01-15,{office},{office}\n"
    );
    std::fs::write(&upload, format!("{header}{row}")).unwrap();
    maanshan.done(&["import", upload.to_str().unwrap(), "--kind", "penalty"]);
    federation.nodes[1].start();
    let authorisation = "A".repeat(43);
    let ask = |name: &str, number: &str, authorised: bool| {
        let mut command = kaopu();
        command.args([
            "query",
            "--person",
            name,
            "--purpose",
            "approval",
            "--basis",
            "示例条例",
            "--peer",
            "340500",
            "--json",
        ]);
        if authorised {
            command.args(["--authorisation", &authorisation]);
        }
        command.arg("-c").arg(federation.nodes[0].config()).env("KAOPU_PERSON_ID", number).output().unwrap()
    };
    let result = |output: &std::process::Output| -> Value { serde_json::from_slice(&output.stdout).unwrap() };
    let found = result(&ask("张示例", number, true));
    assert_eq!(regions(&found), [("340500", "yes")], "{found}");
    let statement = &found["regions"][0]["statements"][0];
    assert_eq!((&statement["body"]["name"], &statement["kind"]), (&"张**".into(), &"penalty".into()));
    let dispute = ["dispute", "raise", statement["digest"].as_str().unwrap(), "--reason", "示例异议"];
    let dispute = federation.nodes[1].json(&dispute);
    let marked = result(&ask("张示例", number, true));
    assert_eq!(marked["regions"][0]["statements"][0]["events"][0]["digest"], dispute["digest"], "{marked}");
    assert_eq!(regions(&result(&ask("张示例", "110105194912310038", true))), [("340500", "none")]);
    let mistyped = ask("张示例", "110105194912310029", true);
    assert!(mistyped.status.code() == Some(1) && mistyped.stdout.is_empty(), "no city calls a slip of the pen clean");
    assert!(!String::from_utf8_lossy(&mistyped.stderr).contains("110105194912310029"), "it is not repeated either");
    assert_eq!(ask("张示例", number, false).status.code(), Some(2), "not without an authorisation");
    // neither of the logs has the number, nor the name
    for node in &federation.nodes[..2] {
        let config = Config::load(&node.config()).unwrap();
        let store = std::fs::read(config.store.expose().strip_prefix("sqlite:").unwrap()).unwrap();
        for secret in [number.as_bytes(), "张示例".as_bytes()] {
            assert!(!store.windows(secret.len()).any(|bytes| bytes == secret));
        }
    }
}
