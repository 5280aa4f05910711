//! What is overdue between two cities, as their administrators hear of it some days on: an application at another city's
//! window, and a repair on which partners have not decided.

use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::doctor::{Check, Verdict, examine};
use kaopu::node::metrics;
use kaopu::node::settings::Settings;
use kaopu::node::status::Status;
use kaopu::store::Db;

use crate::acts::{penalties, publish};
use crate::federation::{Federation, Node, until};

const CODE: &str = "91350100M000100Y43";
const DAY_MS: i64 = 86_400_000;

/// More than any holidays, and less than anything here lasts otherwise.
fn later() -> Clock {
    Clock::fixed(Clock::System.now_ms() + 25 * DAY_MS)
}

/// What doctor finds wrong then, by name.
async fn found(node: &Node, clock: &Clock, name: &str) -> Vec<String> {
    let config = Config::load(&node.config()).unwrap();
    let report = Box::pin(examine(&config, clock, None)).await;
    let checks = report.own.iter().chain(report.peers.iter().flat_map(|peer| &peer.checks));
    let of_name = |check: &&Check| check.name == name && check.verdict == Verdict::Warning;
    checks.filter(of_name).map(|check| check.words.clone()).collect()
}

/// How it stands then, and its figures.
async fn stands(node: &Node, clock: &Clock) -> (Status, String) {
    let config = Config::load(&node.config()).unwrap();
    let db = Db::open(config.store.expose()).await.unwrap();
    let status = Status::of(&db, &config, &Settings::readable(&config).unwrap(), clock).await.unwrap();
    db.close().await;
    let figures = metrics::render(&status, &status.ends, clock.now());
    (status, figures)
}

#[test]
fn what_is_overdue_is_told_with_what_to_do_at_both_ends() {
    let mut federation = Federation::new(&["340500", "310107", "341200"]);
    // the third never serves
    federation.nodes[..2].iter_mut().for_each(Node::start);
    let [decider, window, _] = &federation.nodes[..] else { unreachable!() };
    let serious = penalties::row(2, "2024-01-15", CODE).replace("罚款,罚款,1,", "吊销许可证件,吊销,,");
    publish(decider, &[penalties::row(1, "2026-01-15", CODE), serious]);
    until("the records are at the window", || window.json(&["record", CODE]).as_array().unwrap().len() == 2);
    let number = |n| ["--code", CODE, "--number", if n == 1 { "示罚〔2026〕1号" } else { "示罚〔2026〕2号" }];
    let filed = window.json(&[&["application", "file", "--type", "终止公示"][..], &number(1)].concat());
    let application = filed["digest"].as_str().unwrap();
    until("the application is at the other city", || {
        decider.json(&["application", "list"])[0]["digest"] == application
    });
    let repair = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正"];
    let repair = decider.json(&[&repair[..], &number(2)].concat());
    let repair = repair["digest"].as_str().unwrap();
    let shown = || decider.json(&["recognise", "show", repair])["partners"][0]["outcome"].clone();
    until("the partner has left it to a person, and that is heard", || shown() == "pending");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clock = later();
    runtime.block_on(async {
        // the city that decides is told what to do, the window whom to ask
        let [there, here] = [found(decider, &clock, "applications").await, found(window, &clock, "applications").await];
        assert!(there[0].contains("异地修复: 1 late 逾期; "), "{there:?}");
        let what = format!("`kaopu application accept {application}`, `more` or `reject`");
        assert!(there[0].contains(&what) && there[0].contains("was due on 20"), "{there:?}");
        assert!(here[0].contains("340500 is late: ask there"), "{here:?}");

        // so is the city whose repair has no effect elsewhere, of each partner; and that partner itself
        let partners = found(decider, &clock, "recognition").await;
        assert_eq!(partners.len(), 2, "{partners:?}");
        assert!(partners[0].contains(&format!("310107 has not decided on the repair {repair}")), "{partners:?}");
        assert!(partners[0].contains("待对方人工决定"), "{partners:?}");
        assert!(partners[1].contains("341200") && partners[1].contains("未答复"), "{partners:?}");
        let waits = found(window, &clock, "recognition").await;
        assert!(waits[0].contains("1 late 逾期") && waits[0].contains("`kaopu recognise list`"), "{waits:?}");
        let only = examine(&Config::load(&decider.config()).unwrap(), &clock, Some(&"310107".parse().unwrap())).await;
        let of_one = only.peers.iter().flat_map(|peer| &peer.checks).filter(|check| check.name == "recognition");
        assert_eq!(of_one.count(), 1);

        let (status, figures) = stands(decider, &clock).await;
        assert_eq!((status.applications.late, status.late_partners.partners.len()), (1, 2));
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["late_partners"]["partners"][0]["first"], repair);
        for line in [
            "kaopu_partners_late 2",
            r#"kaopu_partner_late_repairs{node="310107"} 1"#,
            r#"kaopu_partner_late_repairs{node="341200"} 1"#,
            "kaopu_applications_late 1",
        ] {
            assert!(figures.lines().any(|found| found == line), "no {line} in\n{figures}");
        }
        // today nobody is late
        let (today, figures) = stands(decider, &Clock::System).await;
        assert_eq!((today.applications.late, today.late_partners.words), (0, None));
        assert!(figures.contains("kaopu_partners_late 0") && !figures.contains("kaopu_partner_late_repairs{"));
    });
    assert!(!decider.done(&["status"]).contains("对方互认逾期"));
}
