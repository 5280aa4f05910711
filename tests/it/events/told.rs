//! What an issuer may write into its log, what mirrors may do meanwhile, and what must come of it.

use kaopu::exchange::client::Line;
use kaopu::log::Entry;
use kaopu::statement::{Audience, Digest, Reader, Salt, Statement, Typ};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::city::{City, NOW};

const EVENTS: [&str; 4] = ["withdrawal", "repair", "repair-revocation", "dispute"];

/// One entry, as its owner may write it.
#[derive(Clone, Debug)]
pub struct Told {
    /// The record of this number, or one of [`EVENTS`].
    what: Result<u8, usize>,
    /// So many entries back is what an event is about; 0: nothing that there is.
    about: usize,
    iat: i64,
    withheld: bool,
}

pub fn told() -> impl Strategy<Value = Told> {
    let what = prop_oneof![3 => (0..2_u8).prop_map(Ok), 5 => (0..EVENTS.len()).prop_map(Err)];
    let iat = prop_oneof![5 => Just(0), 2 => 0..900_i64, 1 => Just(2_000)];
    let about = prop_oneof![6 => 1..4_usize, 3 => 4..9_usize, 1 => Just(0)];
    (what, about, iat, prop::bool::weighted(0.1)).prop_map(|(what, about, iat, withheld)| {
        // the versions of records are another test's
        let withheld = withheld && what.is_err();
        Told { what, about, iat, withheld }
    })
}

/// A record that is withdrawn, published anew, and withdrawn by the name of its first version: nothing names the second.
pub fn published_anew() -> Vec<Told> {
    let (record, withdrawal) = (Ok(0), Err(0));
    let told = [(record, 0), (withdrawal, 1), (record, 0), (withdrawal, 3)];
    told.map(|(what, about)| Told { what, about, iat: 0, withheld: false }).to_vec()
}

#[derive(Clone, Debug)]
pub enum Act {
    Take(usize),
    Clock(i64),
    Retry,
}

pub fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (1..5_usize).prop_map(Act::Take),
        2 => (0..2_500_i64).prop_map(Act::Clock),
        2 => Just(Act::Retry),
    ];
    prop::collection::vec(act, 0..12)
}

pub struct Written {
    pub entry: Entry,
    pub line: Line,
    told: Option<Told>,
    about: Option<Digest>,
}

pub fn body_of(kind: &str) -> Value {
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

pub fn event(city: &City, kind: &str, about: Digest, salt: u8) -> Statement {
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

pub fn write(city: &City, told: &[Told]) -> Vec<Written> {
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
pub fn model(log: &[Written]) -> Vec<&'static str> {
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
