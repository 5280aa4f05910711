//! Those who follow a subject are told once of each statement about it, whoever tells and whenever it is judged.

mod delivered;
mod processes;
mod receiver;
mod repaired;

use std::collections::BTreeMap;
use std::sync::Arc;

use kaopu::clock::Clock;
use kaopu::exchange::tell::{Stepped, Teller};
use kaopu::record::Purpose;
use kaopu::statement::Digest;
use kaopu::store::append::{Early, Stored};
use kaopu::store::inbox::NoticeRow;
use kaopu::store::notice::Step;
use kaopu::store::revise::{Revised, Revision, Verdict};
use kaopu::store::watch::{Followed, Following, Which};
use kaopu::store::{Append, Db, LogRow, NewEntry};
use tokio::sync::Notify;

use crate::database::on_both;
use crate::growth::{again, append, entry, event, log, penalty, statement};

const OWN: &str = "kaopu/310107/records/1";
const MIRROR: &str = "kaopu/340500/records/1";
/// Before any real clock: what is due then is due now.
const NOW: i64 = 1_700_000_000_000;

fn teller(db: &Db) -> Teller {
    Teller { db: db.clone(), clock: Clock::fixed(NOW), keep_days: 730, deliveries: Arc::new(Notify::new()) }
}

async fn tell_all(db: &Db) {
    let teller = teller(db);
    while teller.step().await.unwrap() == Stepped::More {}
}

async fn follow(db: &Db, follower: &str, subjects: &[String], until_ms: Option<i64>, webhook: Option<i64>) -> u64 {
    let following = Following {
        follower,
        purpose: Purpose::Supervision,
        until_ms,
        webhook,
        added_by: "示例",
        allowed_by: None,
        now_ms: NOW,
    };
    let subjects: Vec<_> = subjects.iter().map(|key| Followed { subject: key.clone(), name: None }).collect();
    db.follow(&following, &subjects.iter().collect::<Vec<_>>()).await.unwrap()
}

async fn inbox(db: &Db) -> Vec<NoticeRow> {
    db.inbox(None, false, 0, 1_000_000).await.unwrap()
}

/// The subject of a penalty of this number, as `penalty` has it.
fn subject(n: u64) -> String {
    format!("91340500MA{:08}", n / 3)
}

fn penalties(of: &LogRow, numbers: std::ops::Range<u64>) -> Vec<NewEntry> {
    numbers.map(|n| penalty(&of.origin, n)).collect()
}

on_both! {
    async fn each_statement_is_told_once_however_many_processes_tell(database: Database) {
        let db = database.open().await;
        let (mut own, mut mirror) = (log(&db, OWN, true).await, log(&db, MIRROR, false).await);
        own = append(&db, &own, &penalties(&own, 0..30), &[]).await.unwrap();
        let followed: Vec<String> = [3, 30, 33, 300, 900].map(subject).to_vec();
        assert_eq!(follow(&db, "商务委", &followed, None, None).await, 5);
        assert_eq!(follow(&db, "商务委", &followed, None, None).await, 0, "as before");
        assert_eq!(follow(&db, "司法局", &followed[1..2], None, None).await, 1);

        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut telling = Vec::new();
        for _ in 0..3 {
            let (other, stop) = (database.open().await, Arc::clone(&stop));
            telling.push(tokio::spawn(async move {
                let teller = teller(&other);
                loop {
                    let last = stop.load(std::sync::atomic::Ordering::Relaxed);
                    let stepped = teller.step().await.unwrap();
                    if last && stepped == Stepped::Whole {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            }));
        }
        // the first thirty of the own log stood there before anybody followed anything
        for begin in (30..930).step_by(30) {
            own = append(&db, &own, &penalties(&own, begin..begin + 30), &[]).await.unwrap();
            mirror = append(&db, &mirror, &penalties(&mirror, begin - 30..begin), &[]).await.unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for task in telling {
            task.await.unwrap();
        }
        let told = inbox(&db).await;
        let of = |origin: &str, follower: &str| -> Vec<u64> {
            told.iter().filter(|it| it.origin == origin && it.follower == follower).map(|it| it.index).collect()
        };
        let expected = |numbers: &[u64]| -> Vec<u64> { numbers.iter().flat_map(|n| *n..n + 3).collect() };
        assert_eq!(of(OWN, "商务委"), expected(&[30, 33, 300, 900]), "in the order of the log, from when it was followed");
        assert_eq!(of(MIRROR, "商务委"), expected(&[3, 30, 33, 300]));
        assert_eq!(of(OWN, "司法局"), expected(&[30]));
        assert_eq!(of(MIRROR, "司法局"), expected(&[30]));
        let one = &told[0];
        assert_eq!((one.kind.as_str(), one.version, one.stands, one.iat), ("penalty", 1, true, 1_800_000_000));
        assert!(one.name.starts_with("示例") && one.purpose == "supervision");
        let row = &db.find(&one.digest).await.unwrap()[0];
        assert_eq!(row.index, one.index);
    }

    async fn a_step_from_where_nobody_stands_writes_nothing(database: Database) {
        let db = database.open().await;
        let own = log(&db, OWN, true).await;
        follow(&db, "商务委", &[subject(0)], None, None).await;
        let own = append(&db, &own, &penalties(&own, 0..3), &[]).await.unwrap();
        let stale = [
            Step { followed: vec![(own.id, None, 3)], ..Step::default() },
            Step { followed: vec![(own.id, Some(1), 3)], ..Step::default() },
            Step { followed: vec![(own.id, Some(0), 3)], turns: vec![7], ..Step::default() },
        ];
        for step in stale {
            assert!(!db.tell(&step, NOW).await.unwrap());
        }
        assert_eq!(db.behind().await.unwrap()[0].followed, Some(0));
        tell_all(&db).await;
        assert_eq!((inbox(&db).await.len(), db.behind().await.unwrap().len()), (3, 0));
    }

    async fn a_statement_that_was_held_is_told_of_when_it_is_settled(database: Database) {
        let db = database.open().await;
        let mirror = log(&db, MIRROR, false).await;
        let early = |salt| {
            let said = statement(&mirror.origin, "novelty", salt, None);
            let why = Early { why: "示例".to_owned(), identity: None };
            (entry(Stored::Held(said.clone(), why)), event(said))
        };
        // all of one subject
        let (first, settled_first) = early(0);
        let (second, settled_second) = early(7);
        let Stored::Accepted(said, _) = &settled_first else { unreachable!() };
        let subject = said.statement().sub.as_ref().unwrap().key();
        follow(&db, "商务委", std::slice::from_ref(&subject), None, None).await;
        let accepted = entry(event(statement(&mirror.origin, "note", 14, None)));
        let mirror = append(&db, &mirror, &[first, second, accepted], &[]).await.unwrap();
        // one is settled before the log is followed past it, the other after it
        db.settle(mirror.id, 0, &settled_first).await.unwrap();
        tell_all(&db).await;
        let told = |notices: &[NoticeRow]| -> Vec<u64> { notices.iter().map(|it| it.index).collect() };
        tell_all(&db).await;
        assert_eq!(told(&inbox(&db).await), [2, 0]);
        db.settle(mirror.id, 1, &settled_second).await.unwrap();
        db.settle(mirror.id, 1, &settled_second).await.unwrap();
        tell_all(&db).await;
        tell_all(&db).await;
        assert_eq!(told(&inbox(&db).await), [2, 0, 1]);
    }

    async fn what_turns_out_to_be_void_is_told_of_again(database: Database) {
        let db = database.open().await;
        let mirror = log(&db, MIRROR, false).await;
        follow(&db, "商务委", &[subject(0)], None, None).await;
        let mirror = append(&db, &mirror, &penalties(&mirror, 0..2), &[]).await.unwrap();
        tell_all(&db).await;
        let mut edge = mirror.edge.clone();
        let next = penalty(&mirror.origin, 90);
        edge.push(next.entry.leaf_hash(), &mut Vec::new());
        let voids = Append {
            log: &mirror, entries: &[next], edge: &edge, tiles: &[], head: None, uploads: &[], exchanged: &[], said: &[],
            unvoided: Some(1), max_iat: 1_800_000_000, now_ms: 1,
        };
        db.append(&voids).await.unwrap();
        let mirror = again(&db, &mirror).await;
        let row = Revised {
            log: mirror.id,
            index: 1,
            was: "accepted".to_owned(),
            becomes: Verdict::Void("示例".to_owned()),
            refs: Vec::new(),
            subject: Some((subject(0), "示例0有限公司".to_owned())),
        };
        db.revise(&mirror, &[Revision { place: None, rows: vec![row] }], None).await.unwrap();
        tell_all(&db).await;
        tell_all(&db).await;
        let told: Vec<_> = inbox(&db).await.iter().map(|it| (it.index, it.stands)).collect();
        assert_eq!(told, [(0, true), (1, true), (1, false)]);
    }

    async fn a_watch_tells_from_its_beginning_to_its_end(database: Database) {
        let db = database.open().await;
        let own = log(&db, OWN, true).await;
        follow(&db, "过去", &[subject(0)], Some(NOW), None).await;
        follow(&db, "现在", &[subject(0)], Some(NOW + 1), None).await;
        let own = append(&db, &own, &penalties(&own, 0..1), &[]).await.unwrap();
        tell_all(&db).await;
        let which = Which { follower: Some("现在".to_owned()), ..Which::default() };
        assert_eq!(db.unfollow(&which).await.unwrap(), 1);
        append(&db, &own, &penalties(&own, 1..2), &[]).await.unwrap();
        tell_all(&db).await;
        let told: Vec<_> = inbox(&db).await.into_iter().map(|it| (it.follower, it.index)).collect();
        assert_eq!(told, [("现在".to_owned(), 0)]);
        for which in [
            Which { subject: Some(subject(0)), ..Which::default() },
            Which { follower: Some("过去".to_owned()), purpose: Some(Purpose::Supervision), ..Which::default() },
            Which::default(),
        ] {
            assert_eq!(db.watches(&which, 0, 9).await.unwrap().len(), 1);
        }
        let none = Which { purpose: Some(Purpose::Award), subject: Some(subject(0)), ..Which::default() };
        assert!(db.watches(&none, 0, 9).await.unwrap().is_empty());
    }

    async fn a_log_that_is_new_here_is_told_from_its_beginning(database: Database) {
        let db = database.open().await;
        follow(&db, "商务委", &[subject(0), subject(3)], None, None).await;
        let mirror = log(&db, MIRROR, false).await;
        append(&db, &mirror, &penalties(&mirror, 0..3), &[]).await.unwrap();
        // questions and answers are nobody's news
        let exchange = log(&db, "kaopu/340500/exchange/1", false).await;
        append(&db, &exchange, &penalties(&exchange, 3..6), &[]).await.unwrap();
        tell_all(&db).await;
        assert_eq!(inbox(&db).await.len(), 3);
    }

    async fn an_inbox_is_acknowledged_and_cleared(database: Database) {
        let db = database.open().await;
        let own = log(&db, OWN, true).await;
        let hook = db.webhook("https://a.example/", NOW).await.unwrap();
        follow(&db, "商务委", &[subject(0)], None, None).await;
        follow(&db, "司法局", &[subject(3)], None, Some(hook)).await;
        append(&db, &own, &penalties(&own, 0..6), &[]).await.unwrap();
        tell_all(&db).await;
        let first = inbox(&db).await[0].clone();
        assert!(!db.seen(Some("司法局"), first.id, NOW).await.unwrap(), "another's");
        assert!(db.seen(Some("商务委"), first.id, NOW).await.unwrap());
        assert!(!db.seen(None, first.id, NOW).await.unwrap(), "once");
        assert_eq!(db.inbox(Some("商务委"), true, 0, 9).await.unwrap().len(), 2);
        assert_eq!((db.unread().await.unwrap(), db.seen_up_to(Some("商务委"), i64::MAX, NOW).await.unwrap()), (5, 2));
        assert_eq!(db.drop_old_notices(NOW).await.unwrap(), 0, "none is older than now");
        assert_eq!(db.drop_old_notices(NOW + 1).await.unwrap(), 3, "what is still to be delivered stays");
        let queues = db.queues().await.unwrap();
        assert_eq!((queues.len(), queues[0].waiting, queues[0].oldest_ms), (1, 3, NOW));
        assert!(db.drop_webhook(hook).await.unwrap() && !db.drop_webhook(hook).await.unwrap());
        assert!(db.queues().await.unwrap().is_empty());
        assert_eq!(db.drop_old_notices(NOW + 1).await.unwrap(), 3);
        assert_eq!(db.watches(&Which::default(), 0, 9).await.unwrap().len(), 2);
    }
}

/// What was told, by subject in the order of telling: the ids.
fn by_subject(notices: &[NoticeRow]) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for notice in notices {
        all.entry(notice.subject.clone()).or_default().push(notice.id);
    }
    assert!(notices.iter().all(|notice| notice.digest != Digest([0; 32])));
    all
}
