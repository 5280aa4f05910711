//! Looking up: all that the own log and the mirrors hold about a subject (一企一档).

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::status::time;
use super::view::View;
use crate::log::Origin;
use crate::log::event::{Life, RecordPlace, Said, place_of};
use crate::record::identifier::{self, UNKNOWN, Uscc};
use crate::record::{Standing, Status, name};
use crate::statement::{Audience, Digest, Kinds, NodeId, Statement, Unverified};
use crate::store::statement::{Body, StatementRow};
use crate::store::{Db, LogRow, LogState, StoreError};

/// So many statements about one subject are shown of each log at most, the newest.
pub const MOST: u32 = 1000;

/// A record about a subject, as it stands in a log.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Its digest.
    pub digest: Digest,
    /// The log that it stands in.
    pub origin: Origin,
    /// At which index.
    pub index: u64,
    /// Its kind.
    pub kind: String,
    /// The version of that.
    pub version: u32,
    /// The Chinese title of the kind; the kind itself where it is not known here any more.
    pub title: String,
    /// How the record stands today, for this node.
    pub status: Status,
    /// Why, in Chinese.
    pub why: String,
    /// The same in full: whether it may be shown, shared and used, why and until when, its severity and marks.
    pub standing: Standing,
    /// It is a version of a record that is not shared any more: repaired, shielded, expired or withdrawn. Auditors alone see
    /// it, with the reason.
    pub ended: bool,
    /// Who states it.
    pub issuer: NodeId,
    /// When, RFC 3339.
    pub issued: String,
    /// The subject's key.
    pub subject: String,
    /// The subject's name as stated here.
    pub name: String,
    /// The version that it replaces.
    pub replaces: Option<Digest>,
    /// Its signature was verified, and its place in the log is proven up to the checkpoint.
    pub verified: bool,
    /// When its issuer was revoked at this node, RFC 3339: it was said before that.
    pub issuer_revoked: Option<String>,
    /// What it says.
    pub body: Map<String, Value>,
    /// What was said about the record since, whichever of its versions that names, by issuer in order.
    pub said: Vec<SaidOf>,
    /// The newest checkpoint of its log of which everything is here.
    pub checkpoint: Option<CheckpointAge>,
}

/// An event about a record.
#[derive(Clone, Debug, Serialize)]
pub struct SaidOf {
    /// Its digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: String,
    /// The version of that.
    pub version: u32,
    /// The Chinese title of the kind.
    pub title: String,
    /// The statement that it names.
    pub about: Option<Digest>,
    /// Who states it.
    pub issuer: NodeId,
    /// When, RFC 3339.
    pub issued: String,
    /// Who may read it.
    #[serde(skip)]
    pub aud: Audience,
    /// What it says.
    pub body: Map<String, Value>,
}

/// How much of a log is here, and how old that is.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointAge {
    /// Entries.
    pub size: u64,
    /// Seconds since it came, or was signed here.
    pub age: i64,
}

/// The key of a subject from what a person types: a 统一社会信用代码, or a 工商注册号 of 15 digits, in any width and case;
/// or a key as a look-up by name prints it.
pub fn subject_key(typed: &str) -> Result<String, String> {
    let key = typed.trim();
    let typed = match key.split_once(':') {
        Some(("person", hash)) if !hash.is_empty() => return Ok(key.to_owned()),
        Some(("name", name)) if !name::fold(name).is_empty() => return Ok(format!("name:{}", name::fold(name))),
        // an older one has no check digit
        Some(("reg", number)) if !number.is_empty() && identifier::registration_number_checks(number).is_none() => {
            return Ok(key.to_owned());
        }
        Some(("reg", number)) => number,
        _ => key,
    };
    let code: String = typed.chars().map(name::half_width).filter(|c| !c.is_whitespace()).collect();
    let code = code.to_uppercase();
    if code == UNKNOWN {
        return Err("this code stands for unknown and is nobody's; look for the name with --name".to_owned());
    }
    match (Uscc::parse(&code), identifier::registration_number_checks(&code)) {
        (Ok(_), _) => Ok(code),
        (_, Some(true)) => Ok(format!("reg:{code}")),
        (_, Some(false)) => {
            Err("the check digit of this 工商注册号 is wrong; look for the name with --name".to_owned())
        }
        (Err(error), None) => Err(format!("{error}; give a 统一社会信用代码, or look for the name with --name")),
    }
}

/// Every record about a subject that this node may rely on, newest first, with what was said about it.
pub async fn about(db: &Db, view: &View<'_>, subject: &str) -> Result<Vec<Found>, StoreError> {
    let logs: HashMap<i64, LogRow> = db.logs().await?.into_iter().map(|log| (log.id, log)).collect();
    let mut records = Vec::new();
    for (row, current) in db.about(subject, MOST).await? {
        // a body that was erased says nothing any more
        let Body::Here(jws) = &row.body else { continue };
        let log = logs.get(&row.log).ok_or_else(|| StoreError::Corrupt(format!("no log {}", row.log)))?;
        let read = Unverified::parse(jws)
            .map_err(|error| StoreError::Corrupt(format!("{} index {}: {error}", log.origin, row.index)))?;
        let statement = read.statement().clone();
        let kind = view.kinds.find(&statement.typ);
        // events stand with the records that they are about
        if kind.is_none_or(|kind| kind.about.is_none()) {
            let place = kind.and_then(|kind| place_of(kind, &statement));
            records.push(Record { row, current, statement, log, place });
        }
    }
    let places: HashSet<RecordPlace> = records.iter().filter_map(|record| record.place.clone()).collect();
    let lives = db.said_of(&places).await?;
    let mut found: Vec<Found> = records.iter().map(|record| Found::of(record, &lives, view)).collect();
    let of = |record: &Record<'_>, found: &Found| record.place.clone().filter(|_| found.has_ended());
    let ended: HashSet<RecordPlace> =
        records.iter().zip(&found).filter_map(|(record, found)| of(record, found)).collect();
    for (record, found) in records.iter().zip(&mut found) {
        // its earlier versions with it
        found.ended = found.has_ended() || record.place.as_ref().is_some_and(|place| ended.contains(place));
    }
    found.sort_by(|a, b| (&b.issued, &b.origin.node, b.index).cmp(&(&a.issued, &a.origin.node, a.index)));
    Ok(found)
}

/// A record as it is stored.
struct Record<'a> {
    row: StatementRow,
    current: bool,
    statement: Statement,
    log: &'a LogRow,
    place: Option<RecordPlace>,
}

impl Found {
    fn of(record: &Record<'_>, lives: &HashMap<RecordPlace, Life>, view: &View<'_>) -> Self {
        let Record { row, current, statement, log, place } = record;
        let none = Life::default();
        let life = place.as_ref().and_then(|place| lives.get(place)).unwrap_or(&none);
        let standing = view.standing(statement, (log.origin.generation, row.index), *current, life);
        let complete = log.complete.as_ref();
        Self {
            digest: row.entry.digest,
            origin: log.origin.clone(),
            index: row.index,
            title: title(view.kinds, statement),
            kind: statement.typ.kind.clone(),
            version: statement.typ.version,
            status: standing.status,
            why: standing.reason.title(),
            standing,
            ended: false,
            issuer: statement.iss.clone(),
            issued: statement.iat.checked_mul(1000).and_then(time).unwrap_or_default(),
            subject: statement.sub.as_ref().map(|sub| sub.key()).unwrap_or_default(),
            name: statement.sub.as_ref().map(|sub| sub.name().to_owned()).unwrap_or_default(),
            replaces: statement.prev,
            // only what was verified is accepted; a log that was caught lying proves nothing
            verified: log.state != LogState::Frozen && complete.is_some_and(|head| row.index < head.size),
            issuer_revoked: log.revoked_ms.and_then(time),
            body: statement.body.clone(),
            said: life.said.iter().map(|said| SaidOf::of(said, view.kinds)).collect(),
            checkpoint: complete.map(|head| CheckpointAge {
                size: head.size,
                age: view.clock.now_ms().saturating_sub(head.seen_ms).max(0) / 1000,
            }),
        }
    }

    /// Whether this version itself has come to an end. One that was replaced has not: the version in its place says.
    fn has_ended(&self) -> bool {
        matches!(self.status, Status::Expired | Status::Shielded | Status::Repaired | Status::Withdrawn)
    }
}

impl SaidOf {
    fn of(said: &Said, kinds: &Kinds) -> Self {
        let statement = &said.statement;
        Self {
            digest: said.digest,
            kind: statement.typ.kind.clone(),
            version: statement.typ.version,
            title: title(kinds, statement),
            about: statement.refs.first().copied(),
            issuer: statement.iss.clone(),
            issued: statement.iat.checked_mul(1000).and_then(time).unwrap_or_default(),
            aud: statement.aud.clone(),
            body: statement.body.clone(),
        }
    }
}

fn title(kinds: &Kinds, statement: &Statement) -> String {
    let kind = kinds.find(&statement.typ).map(|kind| kind.title.clone());
    kind.unwrap_or_else(|| statement.typ.kind.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_looked_up_by_what_a_person_types() {
        for (typed, key) in [
            ("91350100M000100Y43", Ok("91350100M000100Y43")),
            (" ９１３５０１００m000100y43\u{3000}", Ok("91350100M000100Y43")),
            ("110108000000016", Ok("reg:110108000000016")),
            ("reg:110108000000016", Ok("reg:110108000000016")),
            ("reg:110108000000017", Err("check digit")),
            ("reg:企合皖总字第000001号", Ok("reg:企合皖总字第000001号")),
            ("reg:", Err("--name")),
            (" name:示例公司", Ok("name:示例公司")),
            ("name:示例（上海）ＡＢＣ公司", Ok("name:示例(上海)abc公司")),
            ("person:1.AbC", Ok("person:1.AbC")),
            ("name:", Err("--name")),
            ("110108000000017", Err("check digit")),
            ("91350100M000100Y44", Err("check digit")),
            ("示例公司", Err("--name")),
            (UNKNOWN, Err("--name")),
        ] {
            match (subject_key(typed), key) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{typed}"),
                (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{typed}: {reason}"),
                (found, _) => panic!("{typed}: {found:?}"),
            }
        }
    }
}
