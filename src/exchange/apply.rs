//! A judged chunk goes into the store, together with the cursor, in one transaction: a kill at any point neither loses
//! nor repeats an entry.

use std::collections::{HashMap, HashSet};

use super::Fault;
use super::judge::Judged;
use crate::log::version::{Identified, Step, Waiting, step};
use crate::statement::{Digest, NodeId, Verified};
use crate::store::append::{Early, Projection, Stored};
use crate::store::{Append, AppendError, Db, Head, LogRow, NewEntry};

/// Why a record is held that is not early itself.
pub const BEHIND: &str = "what stands before it at its record's place is held itself";

/// Appends a chunk to a mirror and gives the log as it stands then. `complete` is the checkpoint that the mirror holds in
/// full once the chunk is in.
pub async fn apply(
    db: &Db,
    log: LogRow,
    judged: Judged,
    complete: Option<&Head>,
    now_ms: i64,
) -> Result<LogRow, Fault> {
    if judged.first != log.size {
        return Err(Fault::Moved);
    }
    let early = judged.entries.iter().any(|new| matches!(new.stored, Stored::Held(..)));
    let mut ordered =
        if early || db.any_held(log.id).await? { Some(order(db, &log, &judged.entries).await?) } else { None };
    // a second time where a version is in the way; a third may be needed beside another process
    for _ in 0..3 {
        let append = Append {
            log: &log,
            entries: ordered.as_ref().unwrap_or(&judged.entries),
            edge: &judged.edge,
            tiles: &judged.tiles,
            head: complete,
            uploads: &[],
            exchanged: &[],
            unvoided: judged.unvoided,
            max_iat: judged.max_iat,
            now_ms,
        };
        match Box::pin(db.append(&append)).await {
            Ok(()) => {
                return db.log(&log.origin).await?.ok_or_else(|| Fault::Stopped("the log is gone".to_owned()));
            }
            Err(AppendError::Moved) => return Err(Fault::Moved),
            Err(AppendError::Store(error)) => return Err(error.into()),
            // the owner let a version chain fork, or names versions that are not here: the log goes on without the losers
            Err(AppendError::Superseded(_)) => ordered = Some(order(db, &log, &judged.entries).await?),
            Err(error @ (AppendError::Overtaken(_) | AppendError::Repeated(_))) => {
                return Err(Fault::Damaged(error.to_string()));
            }
        }
    }
    Err(Fault::Moved)
}

/// Goes through the records of a chunk in order, as if they came one by one (see [`crate::log::version`]).
async fn order(db: &Db, log: &LogRow, entries: &[NewEntry]) -> Result<Vec<NewEntry>, Fault> {
    let mut before = Before::of(db, log, entries).await?;
    let mut ordered = Vec::with_capacity(entries.len());
    for (index, new) in (log.size..).zip(entries) {
        let mut new = new.clone();
        if let Stored::Accepted(verified, projection) = &new.stored
            && let Some(key) = &projection.record
        {
            let place = (verified.statement().typ.kind.clone(), key.identity);
            new.stored = before.place(db, log, index, verified.clone(), projection.clone(), place).await?;
        }
        match &new.stored {
            Stored::Held(verified, early) => before.waiting.add(&verified.statement().typ.kind, early.identity),
            Stored::Withheld | Stored::Erased => drop(before.gaps.insert(new.entry.digest)),
            _ => {}
        }
        ordered.push(new);
    }
    Ok(ordered)
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

/// The same for one record that was held until now: what becomes of it, now that all before it at its place is settled.
pub async fn place_one(
    db: &Db,
    log: i64,
    issuer: &NodeId,
    index: u64,
    verified: Verified,
    mut projection: Projection,
) -> Result<Stored, Fault> {
    let Some(key) = projection.record else { return Ok(Stored::Accepted(verified, projection)) };
    let place = (verified.statement().typ.kind.clone(), key.identity);
    let found = db.current(issuer, &place.0, &[key.identity]).await?;
    let current = found.get(&key.identity).map(|current| current.digest);
    let prev = verified.statement().prev;
    let gap = match prev {
        Some(prev) if Some(prev) != current => db.gap(log, &prev, (index, index), &place).await?,
        _ => false,
    };
    match step(current, prev, gap) {
        Step::Next => {}
        Step::OverGap => projection.prev = current,
        Step::Refused => return Ok(Stored::Superseded(verified, place.1)),
    }
    Ok(Stored::Accepted(verified, projection))
}
