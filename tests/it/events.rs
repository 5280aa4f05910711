//! Events about records: whatever their issuer wrote, and whatever the order in which clocks and chunks let a mirror judge
//! it, all mirrors come to the same end, which is what judging the log once from its beginning comes to.

use std::sync::atomic::{AtomicU32, Ordering};

use kaopu::clock::Clock;
use kaopu::exchange::client::Line;
use kaopu::exchange::fetch::Chunk;
use kaopu::exchange::judge::Judge;
use kaopu::exchange::keys::Keys;
use kaopu::exchange::{apply, held};
use kaopu::log::appender::AppendError;
use kaopu::log::{Entry, Origin};
use kaopu::statement::{Audience, Digest, Kinds, NotAbout, Reader, Refused, Salt, Statement, Typ, Verified};
use kaopu::store::Db;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::city::{City, NOW};
use crate::database::Kind;
use crate::line::{Office, place, publish, until};

/// Every clock is past every `iat` by then.
const END: i64 = NOW + 100_000;
const EVENTS: [&str; 4] = ["withdrawal", "repair", "repair-revocation", "dispute"];

/// One entry, as its owner may write it.
#[derive(Clone, Debug)]
struct Told {
    /// The record of this number, or one of [`EVENTS`].
    what: Result<u8, usize>,
    /// So many entries back is what an event is about; 0: nothing that there is.
    about: usize,
    iat: i64,
    withheld: bool,
}

fn told() -> impl Strategy<Value = Told> {
    let what = prop_oneof![3 => (0..2_u8).prop_map(Ok), 5 => (0..EVENTS.len()).prop_map(Err)];
    let iat = prop_oneof![5 => Just(0), 2 => 0..900_i64, 1 => Just(2_000)];
    let about = prop_oneof![6 => 1..4_usize, 3 => 4..9_usize, 1 => Just(0)];
    (what, about, iat, prop::bool::weighted(0.1)).prop_map(|(what, about, iat, withheld)| {
        // the versions of records are another test's
        let withheld = withheld && what.is_err();
        Told { what, about, iat, withheld }
    })
}

#[derive(Clone, Debug)]
enum Act {
    Take(usize),
    Clock(i64),
    Retry,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..5_usize).prop_map(Act::Take),
        2 => (0..2_500_i64).prop_map(Act::Clock),
        2 => Just(Act::Retry),
    ];
    prop::collection::vec(act, 0..12)
}

struct Written {
    entry: Entry,
    line: Line,
    told: Option<Told>,
    about: Option<Digest>,
}

fn body_of(kind: &str) -> Value {
    let day = "2026-09-01";
    match kind {
        "withdrawal" => json!({"decided": day, "reason": "示例"}),
        "repair" => {
            json!({"type": "终止公示", "decided": day, "effective": day, "authority": "示例局", "reason": "示例"})
        }
        "repair-revocation" => json!({"decided": day, "effective": day, "reason": "示例"}),
        "recognition" => {
            json!({"outcome": "recognised", "effective": day, "policies": ["示例"], "policy_set": Digest([1; 32]).to_string()})
        }
        _ => json!({"raised": day, "reason": "示例"}),
    }
}

fn event(city: &City, kind: &str, about: Digest, salt: u8) -> Statement {
    let Value::Object(body) = body_of(kind) else { unreachable!() };
    Statement {
        typ: Typ::first(kind),
        iss: city.node.clone(),
        iat: NOW,
        aud: Audience::Everyone,
        salt: Salt([salt; 16]),
        sub: None,
        prev: None,
        refs: vec![about],
        body,
    }
}

fn write(city: &City, told: &[Told]) -> Vec<Written> {
    let first = &city.first;
    let line = Line::Body(first.jws().to_owned());
    let mut log = vec![Written { entry: crate::sample_log::entry(first), line, told: None, about: None }];
    let mut last: [Option<Digest>; 2] = [None; 2];
    for (n, told) in told.iter().enumerate() {
        let about = match told.about {
            0 => Digest([9; 32]),
            back => log[log.len().saturating_sub(back)].entry.digest,
        };
        let mut statement = event(city, "dispute", about, n as u8);
        statement.iat = NOW + told.iat;
        if told.withheld {
            statement.aud = Audience::Named(vec![Reader::Node("310107".parse().unwrap())]);
        }
        match told.what {
            Err(kind) => {
                statement.typ = Typ::first(EVENTS[kind]);
                let Value::Object(body) = body_of(EVENTS[kind]) else { unreachable!() };
                statement.body = body;
            }
            Ok(record) => {
                statement.typ = Typ::first("note");
                statement.refs = Vec::new();
                statement.prev = last[usize::from(record)];
                let Value::Object(body) = json!({"number": format!("示例{record}号"), "text": format!("{n}")})
                else {
                    unreachable!()
                };
                statement.body = body;
            }
        }
        let verified = city.say(statement);
        let entry = crate::sample_log::entry(&verified);
        if let Ok(record) = told.what {
            last[usize::from(record)] = Some(entry.digest);
        }
        let line = if told.withheld { Line::Withheld } else { Line::Body(verified.jws().to_owned()) };
        log.push(Written { entry, line, about: told.what.is_err().then_some(about), told: Some(told.clone()) });
    }
    log
}

/// What must come of a log by the words of the protocol: each entry's verdict, judged once and in order.
fn model(log: &[Written]) -> Vec<&'static str> {
    let mut verdicts: Vec<&'static str> = Vec::new();
    // of what is accepted: of which record it is, or which it is about, and its place
    let mut record_of: Vec<Option<u8>> = Vec::new();
    let mut version = [0_usize; 2];
    let mut max_iat = NOW;
    for (index, written) in log.iter().enumerate() {
        let (verdict, record) = 'judged: {
            let Some(told) = &written.told else { break 'judged ("accepted", None) };
            if told.withheld {
                break 'judged ("unread", None);
            }
            let backdated = NOW + told.iat < max_iat - 300;
            max_iat = max_iat.max(NOW + told.iat);
            if let (false, Ok(record)) = (backdated, told.what) {
                // a version follows the one before, unless that one was refused
                let of_record = |w: &Written| w.told.as_ref().is_some_and(|t| t.what == Ok(record));
                let before = (0..index).rev().find(|at| of_record(&log[*at]));
                let stands = before.is_none_or(|at| verdicts[at] == "accepted");
                if stands {
                    version[usize::from(record)] = index;
                }
                break 'judged (if stands { "accepted" } else { "refused" }, Some(record));
            }
            if backdated {
                break 'judged ("refused", None);
            }
            let Err(kind) = told.what else { unreachable!() };
            let target = log[..index].iter().position(|before| Some(before.entry.digest) == written.about);
            let Some(target) = target else {
                // what anybody may say waits: the statement may be another's
                break 'judged (if EVENTS[kind] == "dispute" { "held" } else { "refused" }, None);
            };
            if verdicts[target] != "accepted" {
                break 'judged (if verdicts[target] == "refused" { "refused" } else { "held" }, None);
            }
            let Some(record) = record_of[target] else { break 'judged ("refused", None) };
            let of = |at: &usize| log[*at].told.as_ref().and_then(|told| told.what.err()).map(|kind| EVENTS[kind]);
            let said = |kind: &str| -> Vec<usize> {
                let is_one = |at: &usize| of(at) == Some(kind) && record_of[*at] == Some(record);
                (0..index).filter(is_one).filter(|at| verdicts[*at] == "accepted").collect()
            };
            let revocations = said("repair-revocation");
            let revoked = |repair: usize| revocations.iter().any(|at| log[*at].about == Some(log[repair].entry.digest));
            let withdrawn = said("withdrawal").into_iter().any(|at| at > version[usize::from(record)]);
            let repaired = said("repair").into_iter().any(|at| !revoked(at));
            let good = match (EVENTS[kind], of(&target)) {
                ("withdrawal", None) => !withdrawn,
                ("repair", None) => !withdrawn && !repaired,
                ("repair-revocation", Some("repair")) => !revoked(target),
                ("dispute", None) => true,
                _ => false,
            };
            (if good { "accepted" } else { "refused" }, Some(record))
        };
        verdicts.push(verdict);
        record_of.push(if verdict == "accepted" { record } else { None });
    }
    verdicts
}

struct Mirror<'a> {
    db: &'a Db,
    city: &'a City,
    log: &'a [Written],
    kinds: &'a Kinds,
    now: i64,
}

impl Mirror<'_> {
    async fn does(&mut self, act: &Act) {
        let row = self.db.create_log(&self.city.records(), false).await.unwrap();
        let accepted = self.db.descriptors(row.id).await.unwrap();
        let confirmed = self.city.first.jws();
        let keys =
            if accepted.is_empty() { Keys::new(confirmed, vec![]) } else { Keys::with(confirmed, &accepted).unwrap() };
        match act {
            Act::Clock(at) => self.now = self.now.max(NOW + at),
            Act::Take(count) => {
                let entries = self.log[row.size as usize..].iter().take(*count);
                let entries: Vec<_> = entries.map(|written| (written.entry, written.line.clone())).collect();
                if entries.is_empty() {
                    return;
                }
                let leaves = entries.iter().map(|(entry, _)| entry.leaf_hash()).collect();
                let mut judge = Judge {
                    kinds: self.kinds.clone(),
                    clock: Clock::fixed(self.now * 1000),
                    origin: self.city.records(),
                    keys,
                    edge: row.edge.clone(),
                    max_iat: row.max_iat,
                    descriptors: u32::MAX,
                    unvoided: None,
                };
                let chunk = Chunk { first: row.size, entries, leaves };
                let judged = judge.chunk(&chunk, "").unwrap_or_else(|(_, fault)| panic!("{fault}"));
                apply::apply(self.db, row, self.kinds, judged, None, 1).await.unwrap();
            }
            Act::Retry => {
                let clock = Clock::fixed(self.now * 1000);
                held::retry(self.db, &row, &keys, self.kinds, &clock).await.unwrap();
            }
        }
    }

    /// When every time has come.
    async fn ends(&mut self) -> Vec<String> {
        for act in [Act::Take(usize::MAX), Act::Clock(END - NOW), Act::Retry] {
            Box::pin(self.does(&act)).await;
        }
        let log = self.db.log(&self.city.records()).await.unwrap().unwrap();
        let rows = self.db.statements(log.id, 0, log.size).await.unwrap().into_iter();
        rows.map(|row| row.verdict.split(':').next().unwrap().to_owned()).collect()
    }
}

fn kinds() -> Kinds {
    let folder = tempfile::tempdir().unwrap();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "示例", "type": "object", "additionalProperties": false,
        "x-kind": {"name": "note", "version": 1, "record": true},
        "x-audience": ["*"], "x-sharing": "unconditional", "x-identity": ["number"], "required": ["number"],
        "properties": {"number": {"title": "文号", "type": "string"}, "text": {"title": "内容", "type": "string"}},
    });
    std::fs::write(folder.path().join("note.json"), schema.to_string()).unwrap();
    Kinds::builtin().unwrap().with_folder(folder.path()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_agree_on_events_whenever_they_could_judge_them() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = kinds();
    let mut dbs = Vec::new();
    for n in 0..3 {
        dbs.push(Db::open(&format!("sqlite:{}", folder.path().join(format!("{n}.db")).display())).await.unwrap());
    }
    let cases = AtomicU32::new(0);
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();
    let story = (prop::collection::vec(told(), 1..20), prop::collection::vec(acts(), 2));
    tokio::task::block_in_place(|| {
        let config = Config { cases: 160, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        let counted = std::cell::RefCell::new(&mut seen);
        TestRunner::new(config)
            .run(&story, |(told, mirrors)| {
                let node = format!("340500.e{}", cases.fetch_add(1, Ordering::Relaxed));
                let city = City::new(&node, "https://127.0.0.1:1");
                let log = write(&city, &told);
                let expected = model(&log);
                expected.iter().for_each(|verdict| *counted.borrow_mut().entry(verdict).or_default() += 1);
                let acts = std::iter::once(Vec::new()).chain(mirrors);
                for (n, (db, acts)) in dbs.iter().zip(acts).enumerate() {
                    let now = if n == 0 { END } else { NOW };
                    let mut mirror = Mirror { db, city: &city, log: &log, kinds: &kinds, now };
                    let end = Handle::current().block_on(async {
                        for act in &acts {
                            Box::pin(mirror.does(act)).await;
                        }
                        Box::pin(mirror.ends()).await
                    });
                    prop_assert_eq!(&end, &expected, "{:?}", acts);
                }
                Ok(())
            })
            .unwrap();
    });
    // the stories told of everything
    for verdict in ["accepted", "refused", "held", "unread"] {
        assert!(seen.get(verdict).is_some_and(|count| *count > 20), "{seen:?}");
    }
}

fn about(statement: &Verified, city: &City, kind: &str, salt: u8) -> Verified {
    let said = event(city, kind, statement.digest(), salt);
    city.say(Statement { sub: statement.statement().sub.clone(), ..said })
}

async fn an_own_log_takes_no_event_that_may_not_be_said(kind: Kind) {
    let (_, url) = place().await;
    let office = Office::in_a(kind, City::new("340500", &url)).await;
    let city = &office.city;
    let appender = office.publishes().await;
    let record = city.penalty(1);
    publish(&appender, vec![record.clone()]).await;
    let refused = async |statement: &Verified| match appender
        .append(kaopu::log::appender::Submission { statements: vec![statement.clone()], uploads: vec![] })
        .await
    {
        Ok(_) => None,
        Err(AppendError::Refused(_, Refused::Event(why))) => Some(why),
        Err(other) => panic!("{other}"),
    };
    let repair = about(&record, city, "repair", 1);
    assert_eq!(refused(&about(&repair, city, "repair-revocation", 9)).await, Some(NotAbout::Nothing));
    assert_eq!(refused(&repair).await, None);
    assert_eq!(refused(&about(&record, city, "repair", 2)).await, Some(NotAbout::Repaired));
    assert_eq!(refused(&about(&record, city, "recognition", 3)).await, Some(NotAbout::Kind));
    assert_eq!(refused(&about(&repair, city, "recognition", 3)).await, Some(NotAbout::Own));
    assert_eq!(refused(&about(&repair, city, "repair-revocation", 4)).await, None);
    assert_eq!(refused(&about(&repair, city, "repair-revocation", 5)).await, Some(NotAbout::Revoked));
    // two that stand in each other's way and come at once: one goes in
    let rivals: Vec<_> = (10..20).map(|salt| about(&record, city, "repair", salt)).collect();
    let outcomes = futures_util::future::join_all(rivals.iter().map(refused)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "{outcomes:?}");
    let origin: Origin = city.records();
    let verdicts = office.statements(&origin).await.into_iter().map(|row| row.verdict);
    assert!(verdicts.into_iter().all(|verdict| verdict == "accepted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_log_on_sqlite_takes_no_event_that_may_not_be_said() {
    an_own_log_takes_no_event_that_may_not_be_said(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_log_on_postgres_takes_no_event_that_may_not_be_said() {
    an_own_log_takes_no_event_that_may_not_be_said(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_says_waits_until_what_it_is_about_is_seen() {
    let (tcp, url) = place().await;
    let mut partner = Office::new(City::new("341200", &url)).await;
    let (issuer_tcp, issuer_url) = place().await;
    let mut issuer = Office::new(City::new("340500", &issuer_url)).await;
    let (_, url) = place().await;
    let mut third = Office::new(City::new("310107", &url)).await;
    issuer.knows(&[&partner.city, &third.city]).await;
    partner.knows(&[&issuer.city, &third.city]).await;
    third.knows(&[&issuer.city, &partner.city]).await;
    let (record, to) = (issuer.city.penalty(1), issuer.publishes().await);
    let repair = about(&record, &issuer.city, "repair", 1);
    publish(&to, vec![record.clone(), repair.clone()]).await;
    // the partner pulls and recognises; the third hears of that first
    issuer.serve(issuer_tcp);
    partner.pull();
    partner.holds(&issuer.city.records(), 3).await;
    let recognition = about(&repair, &partner.city, "recognition", 2);
    publish(&partner.publishes().await, vec![recognition.clone()]).await;
    issuer.close().await;
    partner.rest().await;
    partner.serve(tcp);
    let verdict = async |office: &Office, statement: &Verified| {
        office.db.find(&statement.digest()).await.unwrap().first().map(|row| row.verdict.clone()).unwrap_or_default()
    };
    // the partner would hand on the issuer's log too
    third.db.create_log(&issuer.city.records(), false).await.unwrap();
    third.pull();
    until("the recognition is here", async || !verdict(&third, &recognition).await.is_empty()).await;
    until("both are accepted in the end", async || {
        verdict(&third, &recognition).await == "accepted" && verdict(&third, &repair).await == "accepted"
    })
    .await;
}
