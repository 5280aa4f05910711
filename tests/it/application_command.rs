//! A repair asked for at another city's window, by the commands as clerks of both cities know them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::acts::{penalties::row, publish};
use crate::federation::{Federation, Node, said, until};
use crate::figures::local;

const CODE: &str = "91350100M000100Y43";

fn refused(node: &Node, args: &[&str]) -> String {
    let output = node.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
    said(&output)
}

fn stage(node: &Node, application: &str) -> Value {
    let shown = node.run(&["application", "show", application, "--json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
    shown["stage"].clone()
}

#[test]
fn a_clerk_files_what_a_clerk_of_another_city_decides() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    let [decider, window] = &federation.nodes[..] else { unreachable!() };
    publish(decider, &[row(1, "2026-01-15", CODE), row(2, "2026-01-15", CODE)]);
    until("the record is at the window", || window.json(&["record", CODE]).as_array().unwrap().len() == 2);

    let scan = window.dir.join("扫描.pdf");
    fs::write(&scan, "示例文件".repeat(1000)).unwrap();
    let attach = format!("信用承诺书={}", scan.display());
    let file = ["application", "file", "--number", "示罚[2026]1号", "--code", CODE, "--type", "终止公示"];
    let with = |more: &[&'static str]| file.iter().chain(more).copied().collect::<Vec<_>>();
    let none =
        refused(window, &["application", "file", "--number", "示罚〔2026〕9号", "--code", CODE, "--type", "终止公示"]);
    assert!(none.contains("未找到相符的记录"), "{none}");
    assert!(refused(window, &with(&["--attach", "/nowhere"])).contains("cannot be read"));
    let rehearsed = window.json(&with(&["--dry-run"]));
    assert_eq!(rehearsed["digest"], Value::Null);
    let mut args = with(&["--window", "示例政务服务中心"]);
    args.extend(["--attach", &attach]);
    let filed = window.json(&args);
    let application = filed["digest"].as_str().unwrap();
    assert_eq!(filed["body"]["attachments"][0]["name"], "信用承诺书");
    assert!(refused(window, &file).contains("该信息已有办理中的申请"));

    // the other city sees it, whose turn it is, and has the file
    until("the application is at the other city", || stage(decider, application) == "filed");
    let listed = decider.json(&["application", "list", "--mine"]);
    assert_eq!((&listed[0]["digest"], &listed[0]["role"]), (&filed["digest"], &json!("decider")));
    assert_eq!((&listed[0]["next"], &listed[0]["late"]), (&json!("340500"), &json!(false)));
    assert_eq!(window.json(&["application", "list", "--mine"]), json!([]));
    let status = decider.json(&["status"])["applications"].clone();
    assert_eq!((&status["waiting"], &status["late"]), (&json!(1), &json!(0)));
    let shown = || decider.json(&["application", "show", application]);
    until("the file is at the other city", || shown()["attachments"][0]["state"] == "here");
    let digest = shown()["attachments"][0]["digest"].as_str().unwrap().to_owned();
    let out = decider.dir.join("取回.pdf");
    let open = ["application", "attachment", &digest, "--out", out.to_str().unwrap()];
    let theirs = window.run(&open);
    assert!(said(&theirs).contains("只有决定机关可以打开") && !out.exists(), "{}", said(&theirs));
    assert_eq!(decider.json(&open)["bytes"], fs::metadata(&scan).unwrap().len());
    assert_eq!(fs::read(&out).unwrap(), fs::read(&scan).unwrap());
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused(decider, &open).contains("a file that is not there yet"), "a file is never overwritten");

    let say = |node: &Node, what: &str, more: &[&str]| {
        let args: Vec<&str> = ["application", what, application].into_iter().chain(more.iter().copied()).collect();
        node.json(&args)
    };
    let decide = ["--authority", "示例局", "--reason", "已履行"];
    let early: Vec<&str> = ["application", "decide", application].into_iter().chain(decide).collect();
    assert!(refused(decider, &early).contains("该申请尚未受理"));
    let over = ["application", "more", application, "--reason", "请补充缴款凭证", "--until", "2020-01-01"];
    assert!(refused(decider, &over).contains("期限已过"));
    say(decider, "more", &["--reason", "请补充缴款凭证"]);
    until("the window is asked", || stage(window, application) == "more");
    assert!(refused(window, &["application", "supply", application]).contains("nothing is supplied"));
    say(window, "supply", &["--attach", scan.to_str().unwrap()]);
    until("it was supplied", || stage(decider, application) == "supplied");
    say(decider, "accept", &[]);
    say(decider, "extend", &["--reason", "案情复杂"]);

    // where there are accounts a person does it
    let secret = decider.dir.join("secret");
    fs::write(&secret, "correct horse battery staple").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    decider.done(&["user", "add", "wang.wu", "--new-secret-file", secret.to_str().unwrap()]);
    for args in [&early[..], &["application", "attachment", &digest, "--out", "/tmp/never-written"]] {
        assert!(refused(decider, args).contains("--as NAME"));
    }
    let by = ["--as", "wang.wu", "--secret-file", secret.to_str().unwrap()];
    let decided = say(decider, "decide", &[&decide[..], &by[..]].concat());
    assert_eq!(decided["application"]["body"]["repair"], decided["repair"]["digest"]);
    until("both see the end of it", || [window, decider].iter().all(|node| stage(node, application) == "decided"));
    let end = window.json(&["application", "show", application]);
    assert_eq!((&end["repair"], &end["next"]), (&decided["repair"]["digest"], &Value::Null));
    let stages: Vec<&str> =
        end["steps"].as_array().unwrap().iter().map(|step| step["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["filed", "more", "supplied", "accepted", "extended", "decided"]);
    assert_eq!(window.json(&["application", "list"]), json!([]));
    assert_eq!(window.json(&["application", "list", "--all"]).as_array().unwrap().len(), 1);
    let told = window.done(&["application", "show", application]);
    assert!(told.contains("已修复") && told.contains("信用承诺书"), "{told}");
    assert!(refused(window, &["application", "show", &digest]).contains("未找到该申请"));
    let back = ["application", "withdraw", application, "--reason", "申请人撤回"];
    assert!(refused(window, &back).contains("该申请已办结"));

    // an enterprise that changes its mind
    let file = ["application", "file", "--number", "示罚〔2026〕2号", "--code", CODE, "--type", "终止公示"];
    let other = window.json(&file)["digest"].as_str().unwrap().to_owned();
    until("the second one is at the other city", || stage(decider, &other) == "filed");
    let by = ["--as", "wang.wu", "--secret-file", secret.to_str().unwrap()];
    let theirs = [&["application", "withdraw", &other, "--reason", "示例"][..], &by].concat();
    assert!(refused(decider, &theirs).contains("只有受理窗口可以补正或撤回"));
    let waits = |node: &Node| {
        let status = node.json(&["status"])["applications"].clone();
        (status["waiting"].clone(), status["elsewhere"].clone())
    };
    assert_eq!((waits(window), waits(decider)), ((json!(0), json!(1)), (json!(1), json!(0))));
    assert_eq!(window.run(&["application", "withdraw", &other]).status.code(), Some(2), "without a reason");
    let taken = window.json(&["application", "withdraw", &other, "--reason", "申请人撤回"]);
    assert_eq!(taken["body"]["stage"], "withdrawn");
    until("the other city knows", || stage(decider, &other) == "withdrawn");
    assert_eq!((waits(window), waits(decider)), ((json!(0), json!(0)), (json!(0), json!(0))));
    for node in [window, decider] {
        assert_eq!(node.json(&["application", "list"]), json!([]));
        assert!(local(node, "/metrics").lines().any(|line| line == "kaopu_applications_waiting 0"));
    }
    let behind = [&["application", "accept", &other][..], &by].concat();
    assert!(refused(decider, &behind).contains("申请人已撤回该申请"));
    assert!(window.done(&["application", "show", &other]).contains("已撤回"));
}
