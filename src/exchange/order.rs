//! What depends on the entries before: versions of records ([`crate::log::version`]) and events ([`crate::log::event`]),
//! gone through in the order of the log, as if they came one by one.

use std::collections::{HashMap, HashSet};

use super::Fault;
use crate::log::event::{At, Lives, RecordPlace, Target, named};
use crate::log::judge::NotAccepted;
use crate::log::version::{Identified, Step, Waiting, step};
use crate::statement::kind::By;
use crate::statement::{Digest, Kind, Kinds, Verified};
use crate::store::append::{Early, Projection, Stored};
use crate::store::{Db, LogRow, NewEntry};

/// Why a statement is held that is not early itself.
pub const BEHIND: &str = "what stands before it at its record's place is held itself";

/// Kinds of events that only a record's issuer may say: they wait for each other.
const ISSUERS: [&str; 4] = ["withdrawal", "repair", "repair-revocation", "dispute-answer"];

/// Whether an entry is an event that is accepted or held.
pub fn is_event(kinds: &Kinds, new: &NewEntry) -> bool {
    new.typ().and_then(|typ| kinds.find(typ)).is_some_and(|kind| kind.about.is_some())
}

/// Goes through the records and events of a chunk in order.
pub async fn order(db: &Db, log: &LogRow, kinds: &Kinds, entries: &[NewEntry]) -> Result<Vec<NewEntry>, Fault> {
    let mut before = Before::of(db, log, entries).await?;
    let mut events = Events::of(db, log, kinds, entries).await?;
    let mut ordered = Vec::with_capacity(entries.len());
    for (index, new) in (log.size..).zip(entries) {
        let mut new = new.clone();
        if let Stored::Accepted(verified, projection) = &new.stored
            && let Some(key) = &projection.record
        {
            let place = (verified.statement().typ.kind.clone(), key.identity);
            new.stored = before.place(db, log, index, verified.clone(), projection.clone(), place).await?;
        } else if is_event(kinds, &new) {
            new.stored = events.judge(index, new.stored, &before.waiting);
        }
        match &new.stored {
            Stored::Held(verified, early) => before.waiting.add(&verified.statement().typ.kind, early.identity),
            Stored::Withheld | Stored::Erased => drop(before.gaps.insert(new.entry.digest)),
            _ => {}
        }
        events.pass(index, &new);
        ordered.push(new);
    }
    Ok(ordered)
}

/// What events of a chunk are judged by.
struct Events<'a> {
    kinds: &'a Kinds,
    log: &'a LogRow,
    /// What the events of the chunk name.
    named: HashSet<Digest>,
    /// The records that they are about.
    places: HashSet<RecordPlace>,
    lives: Lives,
    /// What was held before the chunk.
    waiting: Waiting,
}

impl<'a> Events<'a> {
    async fn of(db: &Db, log: &'a LogRow, kinds: &'a Kinds, entries: &[NewEntry]) -> Result<Self, Fault> {
        let statements = entries.iter().filter_map(|new| match &new.stored {
            Stored::Accepted(verified, _) | Stored::Held(verified, _) => Some(verified.statement()),
            _ => None,
        });
        let named: HashSet<Digest> =
            statements.filter_map(|statement| named(kinds.find(&statement.typ)?, statement)).collect();
        if named.is_empty() {
            let (places, lives, waiting) = Default::default();
            return Ok(Self { kinds, log, named, places, lives, waiting });
        }
        let records = entries.iter().filter(|new| named.contains(&new.entry.digest));
        let records: HashSet<RecordPlace> = records.filter_map(|new| record_place(log, &new.stored)).collect();
        let digests: Vec<Digest> = named.iter().copied().collect();
        let lives = db.lives(&digests, &records).await?;
        let places = lives.lives.keys().chain(&records).chain(digests.iter().filter_map(|d| lives.place_of(d)));
        let places: HashSet<RecordPlace> = places.cloned().collect();
        let waiting = db.waiting(log.id, &waits_for(places.iter())).await?;
        Ok(Self { kinds, log, named, places, lives, waiting })
    }

    /// What becomes of an event, after all that stands before it.
    fn judge(&mut self, index: u64, stored: Stored, waiting: &Waiting) -> Stored {
        let at = (self.log.origin.generation, index);
        match stored {
            Stored::Accepted(verified, projection) => {
                let Some(kind) = self.kinds.find(&verified.statement().typ) else {
                    return Stored::Accepted(verified, projection);
                };
                judge_one(kind, &self.lives, &[&self.waiting, waiting], at, verified, projection)
            }
            Stored::Held(verified, early) => {
                let place = verified.statement().refs.first().and_then(|digest| self.lives.place_of(digest));
                let identity = place.map(|place| place.identity);
                Stored::Held(verified, Early { identity, ..early })
            }
            other => other,
        }
    }

    /// An entry was judged: what comes behind it may be about it.
    fn pass(&mut self, index: u64, new: &NewEntry) {
        let (at, digest) = ((self.log.origin.generation, index), new.entry.digest);
        match &new.stored {
            Stored::Accepted(verified, Projection { about: Some(place), .. }) => {
                self.lives.take(digest, verified.statement(), RecordPlace::clone(place), at);
            }
            stored if !self.named.contains(&digest) => {
                let record = matches!(stored, Stored::Accepted(..)).then(|| record_place(self.log, stored)).flatten();
                if let Some(place) = record.filter(|place| self.places.contains(place)) {
                    self.lives.take_version(place, at);
                }
            }
            Stored::Accepted(verified, _) => match record_place(self.log, &new.stored) {
                Some(place) => self.lives.take_record(digest, verified.statement(), place, at),
                None => drop(self.lives.targets.insert(digest, Target::Other)),
            },
            Stored::Held(..) | Stored::Withheld | Stored::Erased => {
                self.lives.targets.insert(digest, Target::Early);
            }
            Stored::Refused(..) | Stored::Superseded(..) => drop(self.lives.targets.insert(digest, Target::Refused)),
        }
    }
}

/// An event by itself: what only an issuer may say waits for what is held of the same record.
fn judge_one(
    kind: &Kind,
    lives: &Lives,
    waiting: &[&Waiting],
    at: At,
    verified: Verified,
    projection: Projection,
) -> Stored {
    let Some(about) = &kind.about else { return Stored::Accepted(verified, projection) };
    let statement = verified.statement();
    let place = statement.refs.first().and_then(|digest| lives.place_of(digest));
    let held = |why: String, identity| Early { why, identity };
    if let Some(place) = place.filter(|_| about.by == By::Issuer) {
        let of = |waiting: &&Waiting| {
            let kinds = ISSUERS.iter().copied().chain([place.kind.as_str()]);
            kinds.into_iter().any(|kind| waiting.holds(kind, place.identity))
        };
        if waiting.iter().any(of) {
            let identity = Some(place.identity);
            return Stored::Held(verified, held(BEHIND.to_owned(), identity));
        }
    }
    let identity = place.map(|place| place.identity);
    match lives.judge(about, statement, at) {
        Ok(place) => Stored::Accepted(verified, Projection { about: Some(Box::new(place)), ..projection }),
        Err(NotAccepted::Held(why)) => Stored::Held(verified, held(why, identity)),
        Err(NotAccepted::Refused(refused)) => Stored::Refused(verified.jws().to_owned(), refused.to_string()),
    }
}

/// Where something may be held that events about these records wait for.
fn waits_for<'p>(places: impl Iterator<Item = &'p RecordPlace>) -> HashSet<Identified> {
    places
        .flat_map(|place| {
            let kinds = ISSUERS.iter().copied().chain([place.kind.as_str()]);
            kinds.map(|kind| (kind.to_owned(), place.identity)).collect::<Vec<_>>()
        })
        .collect()
}

/// The place of an accepted record.
fn record_place(log: &LogRow, stored: &Stored) -> Option<RecordPlace> {
    let (kind, identity) = place_of(stored)?;
    Some(RecordPlace { issuer: log.origin.node.clone(), kind, identity })
}

/// What stands before an entry of a chunk, at the places of the chunk's records.
struct Before {
    current: HashMap<Identified, Digest>,
    waiting: Waiting,
    /// Entries of the chunk whose bodies are not here.
    gaps: HashSet<Digest>,
    /// Which of them, or of those before the chunk, something in it has replaced at a place.
    filled: HashSet<(Identified, Digest)>,
}

impl Before {
    async fn of(db: &Db, log: &LogRow, entries: &[NewEntry]) -> Result<Self, Fault> {
        let places: HashSet<Identified> = entries.iter().filter_map(|new| place_of(&new.stored)).collect();
        let mut identities: HashMap<&str, Vec<[u8; 32]>> = HashMap::new();
        for (kind, identity) in &places {
            identities.entry(kind).or_default().push(*identity);
        }
        let mut current = HashMap::new();
        for (kind, identities) in identities {
            for (identity, version) in db.current(&log.origin.node, kind, &identities).await? {
                current.insert((kind.to_owned(), identity), version.digest);
            }
        }
        let waiting = db.waiting(log.id, &places).await?;
        Ok(Self { current, waiting, gaps: HashSet::new(), filled: HashSet::new() })
    }

    /// What becomes of a record that would be accepted but for what stands before it.
    async fn place(
        &mut self,
        db: &Db,
        log: &LogRow,
        index: u64,
        verified: Verified,
        mut projection: Projection,
        place: Identified,
    ) -> Result<Stored, Fault> {
        if self.waiting.keeps(&place.0, place.1) {
            return Ok(Stored::Held(verified, Early { why: BEHIND.to_owned(), identity: Some(place.1) }));
        }
        let current = self.current.get(&place).copied();
        let prev = verified.statement().prev;
        let gap = match prev {
            Some(prev) if Some(prev) != current => {
                !self.filled.contains(&(place.clone(), prev))
                    && (self.gaps.contains(&prev) || db.gap(log.id, &prev, (index, index), &place).await?)
            }
            _ => false,
        };
        match step(current, prev, gap) {
            Step::Next => {}
            Step::OverGap => {
                projection.prev = current;
                self.filled.extend(prev.map(|prev| (place.clone(), prev)));
            }
            Step::Refused => return Ok(Stored::Superseded(verified, place.1)),
        }
        self.current.insert(place, verified.digest());
        Ok(Stored::Accepted(verified, projection))
    }
}

/// Kind and identity of an accepted record.
fn place_of(stored: &Stored) -> Option<Identified> {
    let Stored::Accepted(verified, projection) = stored else { return None };
    projection.record.map(|key| (verified.statement().typ.kind.clone(), key.identity))
}

/// The same for one record or event that was held until now: what becomes of it, now that all before it at its place is
/// settled. `waiting` is what stays held before it.
pub async fn place_one(
    db: &Db,
    log: &LogRow,
    kinds: &Kinds,
    waiting: &Waiting,
    index: u64,
    verified: Verified,
    mut projection: Projection,
) -> Result<Stored, Fault> {
    if let Some(kind) = kinds.find(&verified.statement().typ).filter(|kind| kind.about.is_some()) {
        let named: Vec<Digest> = verified.statement().refs.iter().take(1).copied().collect();
        let lives = db.lives(&named, &HashSet::new()).await?;
        let at = (log.origin.generation, index);
        return Ok(judge_one(kind, &lives, &[waiting], at, verified, projection));
    }
    let Some(key) = projection.record else { return Ok(Stored::Accepted(verified, projection)) };
    let place = (verified.statement().typ.kind.clone(), key.identity);
    let found = db.current(&log.origin.node, &place.0, &[key.identity]).await?;
    let current = found.get(&key.identity).map(|current| current.digest);
    let prev = verified.statement().prev;
    let gap = match prev {
        Some(prev) if Some(prev) != current => db.gap(log.id, &prev, (index, index), &place).await?,
        _ => false,
    };
    match step(current, prev, gap) {
        Step::Next => {}
        Step::OverGap => projection.prev = current,
        Step::Refused => return Ok(Stored::Superseded(verified, place.1)),
    }
    Ok(Stored::Accepted(verified, projection))
}
