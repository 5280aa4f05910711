//! Events about records: whatever their issuer wrote, and whatever the order in which clocks and chunks let a mirror judge
//! it, all mirrors come to the same end, which is what judging the log once from its beginning comes to, and what an audit finds.

mod told;

use std::sync::atomic::{AtomicU32, Ordering};

use kaopu::audit::verify::News;
use kaopu::audit::{self, Folder, Trust};
use kaopu::clock::Clock;
use kaopu::exchange::client::Line;
use kaopu::exchange::fetch::Chunk;
use kaopu::exchange::judge::Judge;
use kaopu::exchange::keys::Keys;
use kaopu::exchange::{apply, held};
use kaopu::log::Origin;
use kaopu::log::appender::AppendError;
use kaopu::statement::{Kinds, NotAbout, Refused, Statement, Verified};
use kaopu::store::Db;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use tokio::runtime::Handle;

use self::told::{Act, Told, Written, acts, event, model, published_anew, told, write};
use crate::city::{City, NOW};
use crate::database::Kind;
use crate::line::{Office, place, publish, until};
use crate::sample_log;

/// Every clock is past every `iat` by then.
const END: i64 = NOW + 100_000;
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
        let check = |(told, mirrors): (Vec<Told>, Vec<Vec<Act>>)| {
            let node = format!("340500.e{}", cases.fetch_add(1, Ordering::Relaxed));
            let city = City::new(&node, "https://127.0.0.1:1");
            let log = write(&city, &told);
            let expected = model(&log);
            if !expected.contains(&"unread") {
                // without them an audit may take a version over the gap
                let (refused, unjudged) = audited(&city, &log, &kinds);
                let of = |verdict: &str| {
                    expected.iter().zip(0..).filter(|(v, _)| **v == verdict).map(|(_, at)| at).collect::<Vec<u64>>()
                };
                prop_assert_eq!(refused, of("refused"));
                prop_assert_eq!(unjudged, of("held").len() as u64);
            }
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
        };
        check((published_anew(), vec![Vec::new(), Vec::new()])).unwrap();
        TestRunner::new(config).run(&story, check).unwrap();
    });
    // the stories told of everything
    for verdict in ["accepted", "refused", "held", "unread"] {
        assert!(seen.get(verdict).is_some_and(|count| *count > 5), "{seen:?}");
    }
}

/// What an audit of the log finds wrong, and how many events it could not judge.
fn audited(city: &City, log: &[Written], kinds: &Kinds) -> (Vec<u64>, u64) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path());
    let line = |written: &'_ Written| match &written.line {
        Line::Body(jws) => jws.clone(),
        _ => "withheld".to_owned(),
    };
    let lines: Vec<String> = log.iter().map(line).collect();
    let entries = log.iter().zip(&lines).map(|(written, line)| (written.entry, audit::folder::Line::parse(line)));
    sample_log::write(&folder, &city.records(), &city.log_key, &entries.collect::<Vec<_>>());
    let mut wrong = Vec::new();
    let report = audit::verify(&folder, &Trust::default(), kinds, END, 1, &mut |news| {
        if let News::Fault(fault) = news {
            wrong.push(fault.index.unwrap());
        }
    });
    wrong.sort_unstable();
    (wrong, report.unjudged.values().sum())
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
