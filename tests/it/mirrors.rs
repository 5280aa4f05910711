//! Mirrors of one log come to the same end, whatever its owner wrote into it, and whatever the order is in which clocks,
//! kinds and chunks let them judge, also where a key turns out to be compromised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use kaopu::clock::Clock;
use kaopu::exchange::client::Line;
use kaopu::exchange::fetch::Chunk;
use kaopu::exchange::judge::Judge;
use kaopu::exchange::keys::Keys;
use kaopu::exchange::{Fault, apply, held};
use kaopu::log::{Entry, Origin};
use kaopu::statement::{Audience, Digest, Kinds, Reader, Salt, SigningKey, Statement, Suite, Typ, Verified, envelope};
use kaopu::store::Db;
use kaopu::trust::compromise;
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, Purpose, ValidBelow};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::city::{City, NOW};
use crate::database::on_both;

/// Every clock is past every `iat` by then.
const END: i64 = NOW + 100_000;

/// One entry of a log, as its owner may write it.
#[derive(Clone, Debug)]
struct Told {
    /// Of [`TYPS`].
    typ: usize,
    record: u8,
    prev: Prev,
    /// Seconds from [`NOW`].
    iat: i64,
    flaw: Flaw,
    /// Signed by the key that may be declared compromised.
    stolen: bool,
}

/// A descriptor behind so many entries declares a key compromised from an index on.
type Compromise = Option<(usize, u64)>;

#[derive(Clone, Copy, Debug)]
enum Prev {
    None,
    /// What an honest owner names: the last one of this record and kind.
    Last,
    /// So many entries back.
    Back(usize),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    Signature,
    Schema,
    Withheld,
    /// The entry before it once more.
    Twice,
}

/// The first is known to all from the beginning, the others are learnt.
const TYPS: [(&str, u32); 3] = [("note", 1), ("note", 2), ("novelty", 1)];

fn told() -> impl Strategy<Value = Told> {
    let prev = prop_oneof![
        3 => Just(Prev::Last),
        2 => Just(Prev::None),
        3 => (1..6_usize).prop_map(Prev::Back),
        1 => Just(Prev::Unknown),
    ];
    let iat = prop_oneof![4 => Just(0), 2 => 0..900_i64, 1 => -400..0_i64, 2 => Just(2_000)];
    let flaw = prop_oneof![
        12 => Just(Flaw::None),
        1 => Just(Flaw::Signature),
        1 => Just(Flaw::Schema),
        2 => Just(Flaw::Withheld),
        1 => Just(Flaw::Twice),
    ];
    let typ = prop_oneof![4 => Just(0_usize), 2 => Just(1), 1 => Just(2)];
    (typ, 0..3_u8, prev, iat, flaw, any::<bool>()).prop_map(|(typ, record, prev, iat, flaw, stolen)| Told {
        typ,
        record,
        prev,
        iat,
        flaw,
        stolen,
    })
}

/// What a mirror does.
#[derive(Clone, Debug)]
enum Act {
    /// Takes in so many more entries.
    Take(usize),
    /// Its clock goes on to so many seconds from [`NOW`].
    Clock(i64),
    /// Hears of the other kinds.
    Learn,
    /// Tries again what it holds.
    Retry,
    /// Takes back what a compromised key signed among so many rows, and is killed.
    Void(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..5_usize).prop_map(Act::Take),
        2 => (0..2_500_i64).prop_map(Act::Clock),
        1 => Just(Act::Learn),
        2 => Just(Act::Retry),
        2 => (1..4_u32).prop_map(Act::Void),
    ];
    prop::collection::vec(act, 0..12)
}

/// A log, and what each of some mirrors does with it.
fn stories() -> impl Strategy<Value = (Vec<Told>, Compromise, Vec<Vec<Act>>)> {
    let compromise = prop::option::weighted(0.6, (1..14_usize, 0..12_u64));
    (prop::collection::vec(told(), 1..16), compromise, prop::collection::vec(acts(), MIRRORS))
}

const MIRRORS: usize = 3;

/// The kinds that a mirror knows.
struct Known {
    few: Kinds,
    all: Kinds,
}

impl Known {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let with = |typs: &[(&str, u32)]| {
            for (name, version) in typs {
                let schema = json!({
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "title": "示例", "type": "object", "additionalProperties": false,
                    "x-kind": {"name": name, "version": version, "record": true},
                    "x-audience": ["*"], "x-sharing": "unconditional",
                    "x-identity": ["number"],
                    "required": ["number"],
                    "properties": {"number": {"title": "文号", "type": "string"}, "text": {"title": "内容", "type": "string"}},
                });
                let file = folder.path().join(format!("{name}-{version}.json"));
                std::fs::write(file, serde_json::to_string(&schema).unwrap()).unwrap();
            }
            Kinds::builtin().unwrap().with_folder(folder.path()).unwrap()
        };
        Self { few: with(&TYPS[..1]), all: with(&TYPS) }
    }
}

/// An entry as it is served, and what it was told as: None for a descriptor.
type Written = (Entry, Line, Option<Told>, Option<Digest>);

/// A city whose statements two keys sign, the second of which is the one that may be declared compromised.
fn city(node: &str) -> (City, SigningKey) {
    let mut city = City::new(node, "https://127.0.0.1:1");
    let stolen = SigningKey::from_seed(Suite::EdDsa, &[77; 32]).unwrap();
    let (key, state) = (stolen.public().clone(), KeyState::Active);
    city.descriptor.keys.push(KeyEntry { key, purpose: Purpose::Sign, state, valid_below: None });
    city.first = city.descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(1)).unwrap();
    (city, stolen)
}

/// The descriptor that declares it so.
fn declare(city: &City, below: u64) -> Verified {
    let mut next = city.descriptor.clone();
    next.sequence = 2;
    let stolen = next.keys.last_mut().unwrap();
    stolen.state = KeyState::Compromised;
    stolen.valid_below = Some(ValidBelow::Each([(city.records(), below)].into()));
    next.sign_after(Some(&city.first), &city.root, NOW, &mut StdRng::seed_from_u64(2)).unwrap()
}

/// The log as it is served.
fn write(city: &City, stolen: &SigningKey, told: &[Told], compromise: Compromise) -> Vec<Written> {
    let descriptor = |it: &Verified| (crate::sample_log::entry(it), Line::Body(it.jws().to_owned()), None, None);
    let mut log: Vec<Written> = vec![descriptor(&city.first)];
    let mut last: BTreeMap<(&str, u8), Digest> = BTreeMap::new();
    for (n, told) in told.iter().enumerate() {
        if let Some((at, below)) = compromise
            && at == n
        {
            log.push(descriptor(&declare(city, below)));
        }
        if told.flaw == Flaw::Twice {
            if log.last().unwrap().2.is_some() {
                log.push(log.last().unwrap().clone());
            }
            continue;
        }
        let (kind, version) = TYPS[told.typ];
        let mut body = json!({"number": format!("示例{}号", told.record), "text": format!("{n}")});
        if told.flaw == Flaw::Schema {
            body["text"] = 7.into();
        }
        let Value::Object(body) = body else { unreachable!() };
        let addressed = vec![Reader::Node("310107".parse().unwrap())];
        let prev = match told.prev {
            Prev::None => None,
            Prev::Last => last.get(&(kind, told.record)).copied(),
            Prev::Back(back) => log.get(log.len().saturating_sub(back)).map(|(entry, ..)| entry.digest),
            Prev::Unknown => Some(Digest([9; 32])),
        };
        let statement = Statement {
            typ: Typ { kind: kind.to_owned(), version },
            iss: city.node.clone(),
            iat: NOW + told.iat,
            aud: if told.flaw == Flaw::Withheld { Audience::Named(addressed) } else { Audience::Everyone },
            salt: Salt([n as u8; 16]),
            sub: None,
            prev,
            refs: vec![],
            body,
        };
        let verified = if told.stolen { envelope::sign(statement, stolen).unwrap() } else { city.say(statement) };
        let mut jws = verified.jws().to_owned();
        let mut entry = crate::sample_log::entry(&verified);
        if told.flaw == Flaw::Signature {
            let at = jws.len() - 40;
            let letter = if jws.as_bytes()[at] == b'A' { "B" } else { "A" };
            jws.replace_range(at..=at, letter);
            entry.digest = Digest::of(jws.as_bytes());
        }
        last.insert((kind, told.record), entry.digest);
        let line = if told.flaw == Flaw::Withheld { Line::Withheld } else { Line::Body(jws) };
        log.push((entry, line, Some(told.clone()), prev));
    }
    log
}

/// What must come of a log when all is known, by the words of the protocol: judged once, in order, and as if it had been
/// known from the beginning which key is compromised.
fn model(log: &[Written]) -> End {
    let declared = (1..log.len()).find(|index| log[*index].2.is_none());
    let (mut verdicts, mut current) = (Vec::new(), BTreeMap::new());
    let (mut gaps, mut filled) = (Vec::new(), Vec::new());
    let mut max_iat = NOW;
    for (index, (entry, _, told, prev)) in log.iter().enumerate() {
        let Some(told) = told else {
            verdicts.push("accepted".to_owned());
            continue;
        };
        if told.flaw == Flaw::Withheld {
            gaps.push(entry.digest);
            verdicts.push("unread".to_owned());
            continue;
        }
        let stolen_after = told.stolen && declared.is_some_and(|declared| declared < index);
        if told.flaw == Flaw::Signature || stolen_after {
            verdicts.push("refused".to_owned());
            continue;
        }
        let iat = NOW + told.iat;
        let backdated = iat < max_iat - 300;
        max_iat = max_iat.max(iat);
        let void = told.stolen && declared.is_some_and(|declared| index as u64 >= below_of(&log[declared]));
        let place = (TYPS[told.typ].0, told.record);
        let over_gap = prev.is_some_and(|prev| gaps.contains(&prev) && !filled.contains(&(place, prev)));
        let next = *prev == current.get(&place).copied();
        if backdated || told.flaw == Flaw::Schema || void || !(next || over_gap) {
            verdicts.push("refused".to_owned());
            continue;
        }
        if !next {
            filled.extend(prev.map(|prev| (place, prev)));
        }
        current.insert(place, entry.digest);
        verdicts.push("accepted".to_owned());
    }
    let places = ["note", "novelty"].into_iter().flat_map(|kind| (0..3).map(move |record| (kind, record)));
    (verdicts, places.map(|place| current.get(&place).copied()).collect(), max_iat)
}

fn below_of((_, line, ..): &Written) -> u64 {
    let Line::Body(jws) = line else { unreachable!() };
    let (_, descriptor) = Descriptor::open(jws).unwrap();
    let origin = descriptor.logs[0].origin.clone();
    descriptor.keys.last().unwrap().valid_below.as_ref().unwrap().of(&origin)
}

struct Mirror<'a> {
    db: &'a Db,
    origin: Origin,
    log: &'a [Written],
    confirmed: String,
    known: &'a Known,
    kinds: Kinds,
    now: i64,
}

/// Verdict of each entry, the current version of each record, and the highest `iat`.
type End = (Vec<String>, Vec<Option<Digest>>, i64);

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
                apply::apply(self.db, row, judged, None, 1).await.unwrap();
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
