//! Rules and calendar of a node that runs: taken anew when their files change, kept when the change has a fault.

use std::fs;

use jiff::ToSpan as _;
use kaopu::clock::Clock;
use serde_json::Value;

use crate::acts::{penalties, publish};
use crate::asking::USCC;
use crate::federation::{Federation, Node, said, until};
use crate::figures::local;

const RULES: &str = include_str!("../../config/rules.toml");
const CALENDAR: &str = include_str!("../../config/calendar.toml");
const CODE: &str = "91350100M000100Y43";

/// Two nodes with files of their own; of the first, which issues, nothing has to be shown for long before it is repaired.
fn two() -> Federation {
    let federation = Federation::new(&["340500", "310107"]);
    for node in &federation.nodes {
        let config = fs::read_to_string(node.config()).unwrap();
        fs::write(node.config(), format!("rules = \"rules.toml\"\ncalendar = \"calendar.toml\"\n{config}")).unwrap();
        fs::write(node.dir.join("rules.toml"), RULES).unwrap();
        fs::write(node.dir.join("calendar.toml"), CALENDAR).unwrap();
    }
    fs::write(federation.nodes[0].dir.join("rules.toml"), at_once()).unwrap();
    federation
}

/// Rules by which everything can be repaired at once, and a listing is shown for twelve years.
fn at_once() -> String {
    let general = "general = { public = true, least = \"0 days\", most = \"12 years\" }";
    let shipped = ["3 years", "1 year"]
        .map(|most| format!("general = {{ public = true, least = \"3 months\", most = \"{most}\" }}"));
    assert!(shipped.iter().all(|shipped| RULES.contains(shipped)));
    shipped.iter().fold(RULES.to_owned(), |rules, shipped| rules.replace(shipped, general))
}

/// What the server itself says, not a command beside it.
fn status(node: &Node) -> Value {
    serde_json::from_str(&local(node, "/status")).unwrap()
}

fn told(node: &Node, text: &str) -> usize {
    node.journal_text().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn rules_are_taken_anew_and_a_fault_keeps_the_old() {
    let mut federation = two();
    federation.start();
    let [issuer, partner] = &federation.nodes[..] else { unreachable!() };
    let recently = Clock::System.today().saturating_sub(20.days()).to_string();
    publish(issuer, &(1..=3).map(|number| penalties::row(number, &recently, CODE)).collect::<Vec<_>>());
    // the partner's word on a repair of one of them
    let word = |number: u32| {
        let number = format!("示罚〔2026〕{number}号");
        let repair = ["repair", "--type", "终止公示", "--authority", "示例局", "--reason", "已纠正", "--code", CODE];
        let repair = issuer.json(&[&repair[..], &["--number", &number]].concat());
        let digest = repair["digest"].as_str().unwrap().to_owned();
        let mut word = String::new();
        until("the partner decides", || {
            let partners = issuer.json(&["recognise", "show", &digest])["partners"].clone();
            partners[0]["outcome"].as_str().unwrap().clone_into(&mut word);
            word != "silent"
        });
        word
    };
    assert_eq!(word(1), "refused", "before the least publicity");

    // a slip of the pen is told once, with its place, by the journal, the server, a command and the doctor
    let rules = partner.dir.join("rules.toml");
    fs::write(&rules, at_once().replace("\"0 days\", most", "\"0 dayz\", most")).unwrap();
    let line = at_once().lines().position(|line| line.starts_with("general =")).unwrap() + 1;
    let place = format!("rules.toml, line {line}, column 36: \\\"0 dayz\\\" is no period");
    until("the fault is told", || told(partner, &place) == 1);
    let place = place.replace('\\', "");
    assert!(status(partner)["fault"].as_str().unwrap().contains(&place), "{:#}", status(partner)["fault"]);
    assert!(partner.done(&["status"]).contains(&place));
    let doctor = partner.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains(&place), "{doctor:?}");
    assert_eq!(word(2), "refused", "the old ones go on");

    fs::write(&rules, at_once()).unwrap();
    until("the mended rules are taken", || told(partner, "took in what has changed") == 1);
    assert_eq!(status(partner)["fault"], Value::Null);
    assert_eq!(word(3), "recognised");
    assert_eq!(told(partner, "0 dayz"), 1, "{}", partner.journal_text());

    // no file is a fault as well, and at the next start one
    fs::remove_file(&rules).unwrap();
    until("that there is none is told", || told(partner, "cannot read ") == 1);
    assert!(federation.nodes[1].signal("-TERM"));
    let refused = federation.nodes[1].run(&["serve"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("rules.toml"), "{}", said(&refused));
    fs::write(&rules, RULES).unwrap();
}

#[test]
fn what_is_shared_follows_the_rules_of_the_server_that_answers() {
    let mut federation = two();
    let listed = Clock::System.today().saturating_sub(5.years()).to_string();
    let asked = &federation.nodes[1];
    let file = asked.dir.join("示例.csv");
    let head = "主体名称,主体类别,统一社会信用代码,名单名称,列入事由,列入日期,认定单位,认定单位统一社会信用代码";
    let row = format!("示例有限公司,法人及非法人组织,{USCC},经营异常名录,示例,{listed},示例局,00000000000000000X");
    fs::write(&file, format!("{head}\n{row}\n")).unwrap();
    assert_eq!(asked.json(&["import", file.to_str().unwrap(), "--kind", "listing"])["published"], 1);
    federation.nodes[1].start();
    let [asker, asked] = &federation.nodes[..] else { unreachable!() };
    let query = ["query", USCC, "--purpose", "finance", "--basis", "示例条例", "--peer", "310107"];
    let result = || asker.json(&query)["regions"][0]["result"].clone();
    assert_eq!(result(), "none", "it has been shown for as long as it may be");
    fs::write(asked.dir.join("rules.toml"), at_once()).unwrap();
    until("the rules are taken", || told(asked, "took in what has changed") == 1);
    assert_eq!(result(), "yes");
}

#[test]
fn the_calendar_is_taken_anew_and_a_fault_keeps_the_old() {
    let mut federation = two();
    let node = &mut federation.nodes[1];
    let year = Clock::System.today().year();
    // of this year and the next, with one holiday each
    let of = |year: i16, day: &str| {
        let holiday = format!("{{ name = \"元旦\", from = {year}-01-01, to = {year}-01-{day} }}");
        format!("[[year]]\nyear = {year}\nnotice = \"示例\"\nholiday = [{holiday}]\n")
    };
    let calendar = node.dir.join("calendar.toml");
    fs::write(&calendar, of(year - 1, "01")).unwrap();
    node.start();
    assert_eq!(status(node)["calendar"]["year"], year);
    fs::write(&calendar, of(year, "01") + &of(year + 1, "1")).unwrap();
    until("the fault is told", || told(node, "calendar.toml, line 8, column ") == 1);
    assert_eq!(status(node)["calendar"]["year"], year);
    fs::write(&calendar, of(year, "01") + &of(year + 1, "01")).unwrap();
    until("the calendar is taken", || told(node, "took in what has changed") == 1);
    assert_eq!(status(node)["calendar"], Value::Null);
}
