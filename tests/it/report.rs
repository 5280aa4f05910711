//! Credit reports: what is in them, and that nobody can change a byte of one, or of its evidence, without being found out.

use std::sync::LazyLock;

use kaopu::exchange::finding::Finding;
use kaopu::node::report::{ReportError, Wanted, make};
use kaopu::node::view::View;
use kaopu::policy::Groups;
use kaopu::record::{Purpose, Rules};
use kaopu::report::check::{Checked, Fault, check};
use kaopu::report::model::{Item, Report, qr_text};
use kaopu::report::page::page;
use kaopu::report::{Evidence, Source};
use kaopu::statement::{Audience, Digest, Kinds, Reader, Salt, Statement, Subject, Typ, Verified};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::asking::{Pair, USCC, about};
use crate::city::{City, NOW, clock};
use crate::federation::{Federation, kaopu};
use crate::line::{Office, publish};

static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::builtin().unwrap());
static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::built_in().unwrap());
/// The name that a hostile enterprise took.
const NAME: &str = "<script>alert('示例')</script>&\"有限公司";

fn wanted(purpose: Purpose) -> Wanted {
    Wanted {
        subject: USCC.to_owned(),
        purpose,
        basis: "示例条例<b>第一条</b>".to_owned(),
        authorisation: None,
        operator: "示例经办人".to_owned(),
    }
}

async fn report_of(office: &Office, purpose: Purpose, findings: Option<&[Finding]>) -> (Report, Evidence) {
    let clock = clock();
    let view = View { node: &office.city.node, kinds: &KINDS, rules: &RULES, clock: &clock };
    make(&office.db, &view, &Groups::default(), &wanted(purpose), findings).await.unwrap()
}

fn checked(evidence: &Evidence) -> Checked {
    check(&evidence.file, Some(&evidence.digest), &[], &KINDS)
}

fn penalty(city: &City, number: u64, name: &str) -> Statement {
    let mut penalty = city.penalty_of(USCC, number);
    penalty.body.insert("name".to_owned(), name.into());
    penalty.sub = Some(Subject::Enterprise { uscc: USCC.to_owned(), name: name.to_owned() });
    penalty
}

fn event(city: &City, kind: &str, of: &Verified, body: &Value) -> Verified {
    let Value::Object(body) = body.clone() else { panic!("no object") };
    city.say(Statement {
        typ: Typ::first(kind),
        iss: city.node.clone(),
        iat: NOW,
        aud: Audience::Everyone,
        salt: Salt([7; 16]),
        sub: of.statement().sub.clone(),
        prev: None,
        refs: vec![of.digest()],
        body,
    })
}

fn repair(city: &City, of: &Verified) -> Verified {
    let day = "2026-09-01";
    let body = json!({"type": "终止公示", "decided": day, "effective": day, "authority": "示例局", "reason": "示例"});
    event(city, "repair", of, &body)
}

/// A city whose mirror holds four penalties of another: a plain one, one disputed, one under repair, one repaired.
async fn mirrored() -> (Pair, Verified) {
    let mut pair = Pair::new(|_| Vec::new()).await;
    let city = &pair.asked.city;
    let penalties: Vec<Verified> = (1..=4).map(|number| city.say(penalty(city, number, NAME))).collect();
    let dispute = event(city, "dispute", &penalties[1], &json!({"raised": "2026-09-10", "reason": "示例异议"}));
    let (open, done) = (repair(city, &penalties[2]), repair(city, &penalties[3]));
    let said = [&penalties[..], &[dispute, open, done.clone()]].concat();
    publish(&pair.records, said).await;
    // some more, so that proofs have some length
    publish(&pair.records, (10..300).map(|number| city.penalty(number)).collect()).await;
    pair.asker.pull();
    pair.asker.holds(&pair.asked.city.records(), 298).await;
    pair.asker.rest().await;
    let recognition = json!({
        "outcome": "recognised", "effective": "2026-09-02", "policies": ["示例"],
        "policy_set": Digest([1; 32]).to_string(),
    });
    let recognition = event(&pair.asker.city, "recognition", &done, &recognition);
    publish(&pair.asker.publishes().await, vec![recognition]).await;
    (pair, done)
}

fn item(report: &Report, number: u64) -> Option<&Item> {
    let number = format!("示例罚字〔2026〕第{number}号");
    report.items().find(|item| item.stated.body["number"] == *number)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_what_may_be_shared_and_says_how_it_stands() {
    let (pair, repaired) = mirrored().await;
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, None).await;
    let faults = checked(&evidence).faults;
    assert!(faults.is_empty(), "{faults:?}");
    let marks = |number| item(&report, number).map(|item| (item.disputed, item.under_repair, item.proven));
    assert_eq!(marks(1), Some((false, false, true)));
    assert_eq!(marks(2), Some((true, false, true)));
    assert_eq!(marks(3), Some((false, true, true)));
    assert_eq!(marks(4), None, "what was repaired and recognised is shown to nobody");
    assert!(!evidence.file.contains(&repaired.digest().to_string()), "nor is its repair");
    assert_eq!(report.repairs.len(), 1);
    assert_eq!(report.repairs[0].silent, std::slice::from_ref(&pair.asker.city.node));
    let covered: Vec<_> = report.regions.iter().map(|it| (it.node.as_str(), it.items, it.covered)).collect();
    assert_eq!(covered, [("310107", 0, true), ("340500", 3, true)]);
    assert_eq!(report.regions[1].logs[0].size, Some(298));

    // the subject is told of the repair and who recognised it, not of the record
    let (own, evidence) = report_of(&pair.asker, Purpose::Own, None).await;
    assert_eq!(checked(&evidence).faults, []);
    assert_eq!((own.items().count(), own.repairs.len()), (3, 2));
    let done = own.repairs.iter().find(|it| it.repair.digest == repaired.digest()).unwrap();
    assert_eq!((done.recognitions.len(), done.silent.len()), (1, 0));
    assert!(!evidence.file.contains("第4号"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_silent_on_a_repair_that_is_not_addressed_to_them() {
    let pair = Pair::new(|_| Vec::new()).await;
    let city = &pair.asked.city;
    let other = City::new("341200", "https://127.0.0.1:1");
    pair.asked.knows(&[&other]).await;
    let one = Audience::Named(vec![Reader::Node(pair.asker.city.node.clone())]);
    let said = [(1, Audience::Everyone), (2, one)].map(|(number, aud)| {
        let penalty = city.say(Statement { aud: aud.clone(), ..penalty(city, number, NAME) });
        let repair = repair(city, &penalty).statement().clone();
        [penalty, city.say(Statement { aud, ..repair })]
    });
    publish(&pair.records, said.concat()).await;
    let (report, _) = report_of(&pair.asked, Purpose::Own, None).await;
    let silent = |at: usize| {
        let repair = report.repairs.iter().find(|it| it.repair.digest == said[at][1].digest());
        repair.unwrap().silent.iter().map(|node| node.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((silent(0), silent(1)), (vec!["310107", "341200"], vec!["310107"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_well_formed_whole_in_itself_and_says_nothing_but_text() {
    let (pair, _) = mirrored().await;
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, None).await;
    let html = page(&report, &evidence.digest, "示例.evidence.jsonl", &KINDS).unwrap();
    assert!(!html.contains("<script") && !html.contains("<b>") && html.contains("&#60;script&#62;"));
    for elsewhere in ["http://", "https://", "src=", "href=", "url("] {
        let html = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
    let mut reader = quick_xml::Reader::from_str(&html);
    let (mut texts, mut open) = (String::new(), 0_i32);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(_) => open += 1,
            quick_xml::events::Event::End(_) => open -= 1,
            quick_xml::events::Event::Text(text) => texts += &text,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0);
    for words in ["信用报告", "融资授信", "示例市340500", "处罚决定书文号", "异议处理中", "尚未回应", "核验方法"]
    {
        assert!(texts.contains(words), "{words}");
    }
    assert!(html.contains("<strong><em>示例罚字〔2026〕第2号</em></strong>"));
    assert!(html.contains("<s>示例罚字〔2026〕第3号</s>"));
    assert!(html.contains(&kaopu::report::qr::svg(&qr_text(&evidence.digest)).unwrap()));
    assert!(qr_text(&evidence.digest).starts_with("kaopu:report:"));
    // a name is read in the order in which it is written
    let turned = Report { names: vec!["示例\u{202E}司公限有".to_owned()], ..report };
    let html = page(&turned, &evidence.digest, "示例.evidence.jsonl", &KINDS).unwrap();
    assert!(html.contains("示例〔U+202E〕司公限有") && !html.contains('\u{202E}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_byte_is_changed_the_check_finds_it() {
    let (pair, _) = mirrored().await;
    let (_, evidence) = report_of(&pair.asker, Purpose::Finance, None).await;
    let first = evidence.line.len();
    let flipped = (any::<prop::sample::Index>(), 0..8_u8);
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let found = runner.run(&flipped, |(at, bit)| {
        let mut bytes = evidence.file.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // what is no text any more is no evidence file
        if let Ok(file) = String::from_utf8(bytes) {
            prop_assert!(!check(&file, Some(&evidence.digest), &[], &KINDS).faults.is_empty(), "byte {}", at);
            // without the code, all but the report itself is still bound to it
            prop_assert!(at < first || !check(&file, None, &[], &KINDS).faults.is_empty(), "byte {}", at);
        }
        Ok(())
    });
    found.unwrap();
}

/// A file as somebody forged it who made all digests fit, and the reader has no QR code to compare with.
fn forged(evidence: &Evidence, forge: impl FnOnce(&mut Report, &mut Vec<Source>)) -> Vec<Fault> {
    let mut report: Report = serde_json::from_str(&evidence.line).unwrap();
    let mut sources: Vec<Source> =
        evidence.file.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    forge(&mut report, &mut sources);
    let forged = Evidence::write(&mut report, &sources).unwrap();
    let compared = check(&forged.file, Some(&evidence.digest), &[], &KINDS).faults;
    assert_eq!(compared.contains(&Fault::Digest(forged.digest)), forged.digest != evidence.digest);
    check(&forged.file, Some(&forged.digest), &[], &KINDS).faults
}

#[tokio::test(flavor = "multi_thread")]
async fn who_forges_a_report_and_all_its_digests_is_found_by_the_cities_signatures() {
    let (pair, _) = mirrored().await;
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, None).await;
    assert_eq!(forged(&evidence, |_, _| ()), []);
    let digest = report.sections[0].items[0].stated.digest;
    let misquoted = forged(&evidence, |report, _| {
        report.sections[0].items[0].stated.body.insert("fine".to_owned(), "0.1".into());
    });
    assert_eq!(misquoted, [Fault::Misquoted(digest, "what it says")]);
    let left_out = forged(&evidence, |report, _| drop(report.sections[0].items.remove(0)));
    assert_eq!(left_out, [Fault::Unquoted(digest)]);
    let renamed = forged(&evidence, |report, _| report.subject = "91350100M000100Y43".to_owned());
    assert!(renamed.len() >= 3 && renamed.iter().all(|fault| matches!(fault, Fault::Misquoted(_, "about whom it is"))));
    let gone = forged(&evidence, |_, sources| sources[0].statements.clear());
    assert!(gone.contains(&Fault::Missing(digest)));
    let statement = |fault: &Fault| matches!(fault, Fault::Statement(..));
    assert!(forged(&evidence, |_, sources| sources[0].statements[0].index += 1).iter().any(statement));
    assert!(forged(&evidence, |_, sources| sources[0].statements[0].proof[0] = Digest([9; 32])).iter().any(statement));
    let other = City::new("340500", "https://127.0.0.1:1");
    let by_another = forged(&evidence, |_, sources| sources[0].descriptors[0].jws = other.first.jws().to_owned() + "A");
    assert!(matches!(by_another[0], Fault::Source(..)));
    let without_log = forged(&evidence, |_, sources| sources[0].log = None);
    assert!(!without_log.is_empty());
    let root = pair.asked.city.descriptor.fingerprint().to_string();
    let known = check(&evidence.file, None, &[root], &KINDS);
    assert!(known.cities.iter().all(|city| city.trusted) && known.proven >= 5 && known.signed == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_person_needs_an_authorisation_whatever_it_is_for() {
    let pair = Pair::new(|_| Vec::new()).await;
    let clock = clock();
    let view = View { node: &pair.asker.city.node, kinds: &KINDS, rules: &RULES, clock: &clock };
    for purpose in Purpose::ALL {
        for authorisation in [None, Some(Digest::of(b"an authorisation"))] {
            let subject = "person:1.AbC".to_owned();
            let wanted = Wanted { subject, authorisation, ..wanted(purpose) };
            let made = make(&pair.asker.db, &view, &Groups::default(), &wanted, None).await;
            match made {
                Ok((report, _)) => assert_eq!((report.authorisation, authorisation.is_some()), (authorisation, true)),
                Err(error) => {
                    assert!(matches!(error, ReportError::Unauthorised) && authorisation.is_none(), "{error}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_city_that_was_asked_and_did_not_answer_is_never_clean() {
    let mut pair = Pair::new(|city| vec![city.penalty_of(USCC, 1)]).await;
    let heard = pair.ask(&about(USCC)).await;
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, Some(&[heard])).await;
    let checks = checked(&evidence);
    assert_eq!((checks.faults, checks.proven, checks.signed), (vec![], 0, 1));
    let region = &report.regions[1];
    assert_eq!((region.items, region.covered, region.logs.len()), (1, true, 0));
    assert!(!item(&report, 1).unwrap().proven);

    pair.asked.close().await;
    let silent = pair.ask(&about(USCC)).await;
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, Some(&[silent])).await;
    assert_eq!((report.regions[1].covered, report.items().count()), (false, 0));
    let html = page(&report, &evidence.digest, "x", &KINDS).unwrap();
    assert!(html.contains("不可据此认定其无记录") && html.contains("未能答复"));
    assert_eq!(checked(&evidence).faults, []);
    // and one that nobody asked and that is not mirrored
    let (report, _) = report_of(&pair.asker, Purpose::Finance, None).await;
    assert!(!report.regions[1].covered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_marks_as_disputed_is_shown_as_that_though_no_mirror_knows_it() {
    let mut pair = Pair::new(|_| Vec::new()).await;
    let city = &pair.asked.city;
    let penalties: Vec<Verified> = (1..=2).map(|number| city.say(penalty(city, number, NAME))).collect();
    publish(&pair.records, vec![penalties[0].clone()]).await;
    // the mirror has the first, and nothing that comes later
    pair.asker.pull();
    pair.asker.holds(&pair.asked.city.records(), 2).await;
    pair.asker.rest().await;
    let city = &pair.asked.city;
    let said = json!({"raised": "2026-09-10", "reason": "示例异议"});
    let disputes: Vec<Verified> = penalties.iter().map(|penalty| event(city, "dispute", penalty, &said)).collect();
    publish(&pair.records, [&penalties[1..], &disputes[..]].concat()).await;

    let before = report_of(&pair.asker, Purpose::Finance, None).await.0;
    assert!(!item(&before, 1).unwrap().disputed && item(&before, 2).is_none());
    let finding = pair.ask(&about(USCC)).await;
    assert!(finding.statements.iter().all(|stated| stated.is_disputed()), "{:?}", finding.reason);
    let (report, evidence) = report_of(&pair.asker, Purpose::Finance, Some(&[finding])).await;
    for (number, dispute) in [(1, &disputes[0]), (2, &disputes[1])] {
        let item = item(&report, number).unwrap();
        let said: Vec<_> = item.said.iter().map(|said| said.digest).collect();
        assert_eq!((item.disputed, item.proven, said), (true, number == 1, vec![dispute.digest()]));
    }
    assert_eq!(item(&report, 2).unwrap().status, "disputed");
    let faults = checked(&evidence).faults;
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_report_is_made_and_checked_from_the_command_line() {
    let federation = Federation::new(&["310107", "340500"]);
    let upload = federation.folder.path().join("示例.csv");
    let header = "CF_XDR_MC,CF_XDR_SHXYM,CF_WSH,CF_CFMC,CF_SY,CF_YJ,CF_CFLB1,CF_JG,CF_JDRQ,CF_XZJG\n";
    let today = kaopu::clock::Clock::System.today();
    let row = format!(
        "示例有限公司,91340500MA2EXAMP5W,示例罚字〔2026〕第1号,示例违法行为,示例事实,示例依据,1,罚款,{today},示例市场监督管理局\n"
    );
    std::fs::write(&upload, format!("{header}{row}")).unwrap();
    let node = &federation.nodes[0];
    node.done(&["import", upload.to_str().unwrap(), "--kind", "penalty"]);
    let html = federation.folder.path().join("报告.html");
    let args = ["report", USCC, "--purpose", "finance", "--basis", "示例条例", "--html", html.to_str().unwrap()];
    let text = node.done(&args);
    let code = text.lines().find(|line| line.starts_with("kaopu:report:")).unwrap();
    let twice = node.run(&[&args[..], &["--evidence", html.to_str().unwrap()]].concat());
    assert!(twice.status.code() == Some(1) && std::fs::read_to_string(&html).unwrap().starts_with("<!DOCTYPE"));
    let evidence = html.with_extension("evidence.jsonl");
    let check = |more: &[&str]| kaopu().args(["audit", "report"]).arg(&evidence).args(more).output().unwrap();
    let good = check(&["--digest", code]);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stdout));
    let told: Value = serde_json::from_slice(&check(&["--json"]).stdout).unwrap();
    assert_eq!((&told["proven"], &told["faults"], &told["compared"]), (&json!(1), &json!([]), &json!(false)));
    assert_eq!(check(&["--digest", &Digest([3; 32]).to_string()]).status.code(), Some(1));
    assert_eq!(check(&["--root", "00000 00000 00000 00000 00000 00000"]).status.code(), Some(1));
    assert_eq!(check(&["--digest", "gossip"]).status.code(), Some(2));
    let file = std::fs::read_to_string(&evidence).unwrap();
    std::fs::write(&evidence, file.replacen("示例违法行为", "示例守法行为", 1)).unwrap();
    assert_eq!(check(&["--digest", code]).status.code(), Some(1));
    // nobody was reached: the report says so
    let asked =
        node.run(&["report", USCC, "--purpose", "finance", "--basis", "示例", "--ask", "--deadline", "2s", "--json"]);
    assert_eq!(asked.status.code(), Some(1));
    let report: Report = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((report.regions[0].covered, report.regions[1].covered), (true, false));
}
