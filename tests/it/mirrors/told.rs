//! What the owner of a log may write into it, what mirrors may do meanwhile, and what must come of it.

use std::collections::BTreeMap;

use kaopu::exchange::client::Line;
use kaopu::log::Entry;
use kaopu::statement::{Audience, Digest, Kinds, Reader, Salt, SigningKey, Statement, Suite, Typ, Verified, envelope};
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, Purpose, ValidBelow};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::city::{City, NOW};

/// One entry of a log, as its owner may write it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Of [`TYPS`].
    pub typ: usize,
    pub record: u8,
    pub prev: Prev,
    /// Seconds from [`NOW`].
    pub iat: i64,
    pub flaw: Flaw,
    /// Signed by the key that may be declared compromised.
    pub stolen: bool,
}

/// A descriptor behind so many entries declares a key compromised from an index on.
pub type Compromise = Option<(usize, u64)>;

#[derive(Clone, Copy, Debug)]
pub enum Prev {
    None,
    /// What an honest owner names: the last one of this record and kind.
    Last,
    /// So many entries back.
    Back(usize),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    None,
    Signature,
    Schema,
    Withheld,
    /// The entry before it once more.
    Twice,
}

/// The first is known to all from the beginning, the others are learnt.
pub const TYPS: [(&str, u32); 3] = [("note", 1), ("note", 2), ("novelty", 1)];

pub fn told() -> impl Strategy<Value = Told> {
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
pub enum Act {
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

pub fn acts() -> impl Strategy<Value = Vec<Act>> {
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
pub fn stories() -> impl Strategy<Value = (Vec<Told>, Compromise, Vec<Vec<Act>>)> {
    let compromise = prop::option::weighted(0.6, (1..14_usize, 0..12_u64));
    (prop::collection::vec(told(), 1..16), compromise, prop::collection::vec(acts(), MIRRORS))
}

pub const MIRRORS: usize = 3;

/// The kinds that a mirror knows.
pub struct Known {
    pub few: Kinds,
    pub all: Kinds,
}

impl Known {
    pub fn new() -> Self {
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
pub type Written = (Entry, Line, Option<Told>, Option<Digest>);

/// A city whose statements two keys sign, the second of which is the one that may be declared compromised.
pub fn city(node: &str) -> (City, SigningKey) {
    let mut city = City::new(node, "https://127.0.0.1:1");
    let stolen = SigningKey::from_seed(Suite::EdDsa, &[77; 32]).unwrap();
    let (key, state) = (stolen.public().clone(), KeyState::Active);
    city.descriptor.keys.push(KeyEntry { key, purpose: Purpose::Sign, state, valid_below: None });
    city.first = city.descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(1)).unwrap();
    (city, stolen)
}

/// The descriptor that declares it so.
pub fn declare(city: &City, below: u64) -> Verified {
    let mut next = city.descriptor.clone();
    next.sequence = 2;
    let stolen = next.keys.last_mut().unwrap();
    stolen.state = KeyState::Compromised;
    stolen.valid_below = Some(ValidBelow::Each([(city.records(), below)].into()));
    next.sign_after(Some(&city.first), &city.root, NOW, &mut StdRng::seed_from_u64(2)).unwrap()
}

/// The log as it is served.
pub fn write(city: &City, stolen: &SigningKey, told: &[Told], compromise: Compromise) -> Vec<Written> {
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

/// Verdict of each entry, the current version of each record, and the highest `iat`.
pub type End = (Vec<String>, Vec<Option<Digest>>, i64);

/// What must come of a log when all is known, by the words of the protocol: judged once, in order, and as if it had been
/// known from the beginning which key is compromised.
pub fn model(log: &[Written]) -> End {
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

pub fn below_of((_, line, ..): &Written) -> u64 {
    let Line::Body(jws) = line else { unreachable!() };
    let (_, descriptor) = Descriptor::open(jws).unwrap();
    let origin = descriptor.logs[0].origin.clone();
    descriptor.keys.last().unwrap().valid_below.as_ref().unwrap().of(&origin)
}
