//! Mirrors of one log come to the same end, whatever its owner wrote into it, and whatever the order is in which clocks,
//! kinds and chunks let them judge, also where a key turns out to be compromised.

mod told;

use std::sync::atomic::{AtomicU32, Ordering};

use kaopu::clock::Clock;
use kaopu::exchange::fetch::Chunk;
use kaopu::exchange::judge::Judge;
use kaopu::exchange::keys::Keys;
use kaopu::exchange::{Fault, apply, held};
use kaopu::log::Origin;
use kaopu::statement::{Audience, Kinds, Salt, Statement, Typ};
use kaopu::store::Db;
use kaopu::trust::compromise;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use self::told::{Act, Compromise, End, Flaw, Known, MIRRORS, Prev, Told, Written, city, model, stories, write};
use crate::city::NOW;
use crate::database::on_both;

/// Every clock is past every `iat` by then.
const END: i64 = NOW + 100_000;

struct Mirror<'a> {
    db: &'a Db,
    origin: Origin,
    log: &'a [Written],
    confirmed: String,
    known: &'a Known,
    kinds: Kinds,
    now: i64,
}

impl Mirror<'_> {
    async fn keys(&self, log: i64) -> Keys {
        let accepted = self.db.descriptors(log).await.unwrap();
        if accepted.is_empty() {
            return Keys::new(&self.confirmed, vec![]);
        }
        Keys::with(&self.confirmed, &accepted).unwrap()
    }

    async fn does(&mut self, act: &Act) {
        let mut row = self.db.create_log(&self.origin, false).await.unwrap();
        match act {
            Act::Void(rows) => drop(compromise::void_some(self.db, &self.kinds, row, *rows).await.unwrap()),
            Act::Clock(at) => self.now = self.now.max(NOW + at),
            Act::Learn => self.kinds = self.known.all.clone(),
            Act::Take(count) => {
                row = compromise::void(self.db, &self.kinds, row).await.unwrap();
                let first = row.size as usize;
                let entries: Vec<_> =
                    self.log[first..].iter().take(*count).map(|(entry, line, ..)| (*entry, line.clone())).collect();
                if entries.is_empty() {
                    return;
                }
                let leaves = entries.iter().map(|(entry, _)| entry.leaf_hash()).collect();
                let mut judge = Judge {
                    kinds: self.kinds.clone(),
                    clock: Clock::fixed(self.now * 1000),
                    origin: self.origin.clone(),
                    keys: self.keys(row.id).await,
                    edge: row.edge.clone(),
                    max_iat: row.max_iat,
                    descriptors: u32::MAX,
                    unvoided: None,
                };
                let judged = match judge.chunk(&Chunk { first: row.size, entries, leaves }, "") {
                    Ok(judged) | Err((Some(judged), Fault::Voids)) => judged,
                    Err((_, fault)) => panic!("{fault}"),
                };
                apply::apply(self.db, row, &self.kinds, judged, None, 1).await.unwrap();
            }
            Act::Retry => {
                row = compromise::void(self.db, &self.kinds, row).await.unwrap();
                let clock = Clock::fixed(self.now * 1000);
                held::retry(self.db, &row, &self.keys(row.id).await, &self.kinds, &clock).await.unwrap();
            }
        }
    }

    /// When everything is known and every time has come.
    async fn ends(&mut self) -> End {
        // the first may end behind a descriptor
        for act in [Act::Take(usize::MAX), Act::Take(usize::MAX), Act::Clock(END - NOW), Act::Learn, Act::Retry] {
            Box::pin(self.does(&act)).await;
        }
        let log = self.db.log(&self.origin).await.unwrap().unwrap();
        assert_eq!(log.size as usize, self.log.len());
        let verdicts = self.db.statements(log.id, 0, log.size).await.unwrap().into_iter().map(|row| row.verdict);
        // of refusals that would hold alike the first one found may differ
        let verdicts = verdicts.map(|verdict| verdict.split(':').next().unwrap_or_default().to_owned()).collect();
        let mut current = Vec::new();
        let identities: Vec<[u8; 32]> = (0..3).map(|record| self.identity(record)).collect();
        for kind in ["note", "novelty"] {
            let found = self.db.current(&self.origin.node, kind, &identities).await.unwrap();
            current.extend(identities.iter().map(|identity| found.get(identity).map(|current| current.digest)));
        }
        (verdicts, current, log.max_iat)
    }

    fn identity(&self, record: u8) -> [u8; 32] {
        let kind = self.known.all.find(&Typ::first("note")).unwrap();
        let Value::Object(body) = json!({"number": format!("示例{record}号")}) else { unreachable!() };
        let statement = Statement {
            typ: Typ::first("note"),
            iss: self.origin.node.clone(),
            iat: NOW,
            aud: Audience::Everyone,
            salt: Salt([0; 16]),
            sub: None,
            prev: None,
            refs: vec![],
            body,
        };
        kind.identity_of(&statement).unwrap()
    }
}

/// Plays a story: in the end all mirrors hold the same, which is what judging all at once in the end comes to.
async fn play(dbs: &[Db], known: &Known, node: &str, (told, compromise): (&[Told], Compromise), mirrors: &[Vec<Act>]) {
    let (city, stolen) = city(node);
    let log = write(&city, &stolen, told, compromise);
    let mirror = |db| Mirror {
        db,
        origin: city.records(),
        log: &log,
        confirmed: city.first.jws().to_owned(),
        known,
        kinds: known.few.clone(),
        now: NOW,
    };
    let mut late = mirror(&dbs[0]);
    (late.kinds, late.now) = (known.all.clone(), END);
    let end = Box::pin(late.ends()).await;
    assert_eq!(end, model(&log), "{told:?} {compromise:?}");
    for (db, acts) in dbs[1..].iter().zip(mirrors) {
        let mut mirror = mirror(db);
        for act in acts {
            Box::pin(mirror.does(act)).await;
        }
        assert_eq!(Box::pin(mirror.ends()).await, end, "{acts:?} of {told:?} {compromise:?}");
    }
}

/// A few that are known to be hard.
fn hard() -> Vec<(Vec<Told>, Vec<Act>)> {
    let entry = |typ, iat, prev, flaw| Told { typ, record: 0, prev, iat, flaw, stolen: false };
    let good = |iat, prev| entry(0, iat, prev, Flaw::None);
    vec![
        // the early first version is overtaken by another first one
        (
            vec![good(2_000, Prev::None), good(1_800, Prev::None)],
            vec![Act::Take(2), Act::Take(1), Act::Clock(1_600), Act::Retry],
        ),
        // two that replace the same one, the earlier early
        (
            vec![good(0, Prev::None), good(900, Prev::Back(1)), good(700, Prev::Back(2))],
            vec![Act::Take(2), Act::Take(1), Act::Take(1), Act::Clock(450), Act::Retry],
        ),
        // one of a version of the kind that is not known yet
        (
            vec![entry(1, 0, Prev::None, Flaw::None), good(0, Prev::None), good(0, Prev::Back(1))],
            vec![Act::Take(2), Act::Take(9), Act::Retry],
        ),
        // a held one that replaces what is withheld
        (
            vec![good(0, Prev::None), entry(0, 0, Prev::Back(1), Flaw::Withheld), good(900, Prev::Back(1))],
            vec![Act::Take(9), Act::Retry],
        ),
        // a superseded one far ahead, and one that is backdated against it
        (
            vec![good(0, Prev::None), good(900, Prev::None), good(500, Prev::Back(2))],
            vec![Act::Clock(2_000), Act::Take(3), Act::Take(1)],
        ),
        // the same statement twice
        (vec![good(0, Prev::None), entry(0, 0, Prev::None, Flaw::Twice)], vec![Act::Take(2), Act::Take(1)]),
    ]
}

async fn stores(count: usize, open: impl AsyncFn() -> Db) -> Vec<Db> {
    let mut dbs = Vec::new();
    for _ in 0..count {
        dbs.push(open().await);
    }
    dbs
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_agree_whatever_was_written_and_whenever_they_could_judge_it() {
    let known = Known::new();
    let folder = tempfile::tempdir().unwrap();
    let count = AtomicU32::new(0);
    let dbs = stores(1 + MIRRORS, async || {
        let n = count.fetch_add(1, Ordering::Relaxed);
        Db::open(&format!("sqlite:{}", folder.path().join(format!("{n}.db")).display())).await.unwrap()
    });
    let dbs = dbs.await;
    let cases = AtomicU32::new(0);
    tokio::task::block_in_place(|| {
        let config = Config { cases: 160, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        TestRunner::new(config)
            .run(&stories(), |(told, compromise, mirrors)| {
                let node = format!("340500.c{}", cases.fetch_add(1, Ordering::Relaxed));
                Handle::current().block_on(play(&dbs, &known, &node, (&told, compromise), &mirrors));
                Ok(())
            })
            .unwrap();
    });
}

on_both! {
    async fn mirrors_agree_on_what_a_compromised_key_leaves(database: Database) {
        let known = Known::new();
        let other = Database::new(Kind::Sqlite).await;
        let dbs = [other.open().await, database.open().await];
        let version = |stolen, prev| Told { typ: 0, record: 0, prev, iat: 0, flaw: Flaw::None, stolen };
        // the thief replaces what stands, others replace his version and the true one, and then the theft is declared
        let told = [
            version(false, Prev::None),
            version(true, Prev::Last),
            version(false, Prev::Last),
            version(false, Prev::Back(3)),
            version(true, Prev::Back(1)),
            version(false, Prev::Back(3)),
        ];
        for below in 0..7 {
            for at in 1..6 {
                let acts = vec![Act::Take(3), Act::Take(9), Act::Void(1), Act::Void(1), Act::Take(1), Act::Retry];
                let node = format!("340500.v{below}{at}");
                play(&dbs, &known, &node, (&told, Some((at, below))), &[acts]).await;
            }
        }
    }

    async fn mirrors_agree_where_an_early_one_could_be_overtaken(database: Database) {
        let known = Known::new();
        let other = Database::new(Kind::Sqlite).await;
        let dbs = [other.open().await, database.open().await];
        for (n, (told, acts)) in hard().into_iter().enumerate() {
            play(&dbs, &known, &format!("340500.h{n}"), (&told, None), &[acts]).await;
        }
    }
}
