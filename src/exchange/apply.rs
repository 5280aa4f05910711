//! A judged chunk goes into the store, together with the cursor, in one transaction: a kill at any point neither loses
//! nor repeats an entry.

use std::collections::{HashMap, HashSet};

use super::Fault;
use super::judge::Judged;
use crate::statement::{Digest, Refused};
use crate::store::append::{Projection, Stored};
use crate::store::statement::Body;
use crate::store::{Append, AppendError, Db, Head, LogRow};

/// Appends a chunk to a mirror and gives the log as it stands then. `complete` is the checkpoint that the mirror holds in
/// full once the chunk is in.
pub async fn apply(
    db: &Db,
    log: LogRow,
    mut judged: Judged,
    complete: Option<&Head>,
    now_ms: i64,
) -> Result<LogRow, Fault> {
    if judged.first != log.size {
        return Err(Fault::Moved);
    }
    // the second time round what is no longer current was taken out; a third may be needed beside another process
    for _ in 0..3 {
        let append = Append {
            log: &log,
            entries: &judged.entries,
            edge: &judged.edge,
            tiles: &judged.tiles,
            head: complete,
            uploads: &[],
            now_ms,
        };
        match Box::pin(db.append(&append)).await {
            Ok(()) => {
                let log = db.log(&log.origin).await?.ok_or_else(|| Fault::Stopped("the log is gone".to_owned()))?;
                // refusals here may have lowered the highest iat, and what follows must be judged against that
                return if log.max_iat == judged.max_iat { Ok(log) } else { Err(Fault::Moved) };
            }
            Err(AppendError::Moved) => return Err(Fault::Moved),
            Err(AppendError::Store(error)) => return Err(error.into()),
            // the owner let a version chain fork: the log goes on without the losers
            Err(AppendError::Superseded(_)) => refuse_superseded(db, &log, &mut judged).await?,
            Err(error @ AppendError::Overtaken(_)) => return Err(Fault::Damaged(error.to_string())),
        }
    }
    Err(Fault::Moved)
}

/// Goes through the records of a chunk in order, as if they came one by one, and refuses each that does not replace the
/// version current at its place: so every mirror refuses the same ones, wherever its chunks end. One that replaces a
/// version that is held is held with it. One that replaces a version whose body is not here (it was withheld from this
/// node, or erased) takes the place of whatever is current: what the gap said is not known, but that it was replaced is.
async fn refuse_superseded(db: &Db, log: &LogRow, judged: &mut Judged) -> Result<(), Fault> {
    let mut identities: HashMap<String, Vec<[u8; 32]>> = HashMap::new();
    for (kind, projection) in judged.entries.iter().filter_map(|entry| record(&entry.stored)) {
        if let Some(key) = &projection.record {
            identities.entry(kind.to_owned()).or_default().push(key.identity);
        }
    }
    let mut current: HashMap<(String, [u8; 32]), Digest> = HashMap::new();
    for (kind, identities) in identities {
        for (identity, version) in db.current(&log.origin.node, &kind, &identities).await? {
            current.insert((kind.clone(), identity), version.digest);
        }
    }
    let (mut held, mut gaps): (HashSet<Digest>, HashSet<Digest>) = Default::default();
    for entry in &mut judged.entries {
        match entry.stored {
            Stored::Held(..) => drop(held.insert(entry.entry.digest)),
            Stored::Withheld | Stored::Erased => drop(gaps.insert(entry.entry.digest)),
            _ => {}
        }
        let Some((kind, projection)) = record(&entry.stored) else { continue };
        let Some(key) = &projection.record else { continue };
        let place = (kind.to_owned(), key.identity);
        if projection.prev == current.get(&place).copied() {
            current.insert(place, entry.entry.digest);
            continue;
        }
        let replaced = match projection.prev {
            Some(prev) if held.contains(&prev) => Replaced::Held,
            Some(prev) if gaps.contains(&prev) => Replaced::Gap,
            Some(prev) => replaced(db, log, &prev).await?,
            None => Replaced::Known,
        };
        if let Stored::Accepted(verified, projection) = &entry.stored {
            entry.stored = if replaced == Replaced::Gap {
                let before = current.insert(place, entry.entry.digest);
                Stored::Accepted(verified.clone(), Projection { prev: before, ..projection.clone() })
            } else if replaced == Replaced::Held {
                held.insert(entry.entry.digest);
                Stored::Held(verified.clone(), "what it replaces is held itself".to_owned())
            } else {
                Stored::Refused(verified.jws().to_owned(), Refused::Prev.to_string())
            };
        }
    }
    Ok(())
}

/// What this node knows of a version that is not the current one and that another replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaced {
    /// It is early here: another node, whose clock is ahead or whose kinds are newer, may have accepted it, so what
    /// replaces it must not be refused for that.
    Held,
    /// It stands in the log, but its body is not here.
    Gap,
    /// It was replaced before, or never stood in this log.
    Known,
}

async fn replaced(db: &Db, log: &LogRow, version: &Digest) -> Result<Replaced, Fault> {
    let found = db.find(version).await?;
    let Some(row) = found.iter().find(|row| row.log == log.id) else { return Ok(Replaced::Known) };
    Ok(match row.body {
        Body::Here(_) if row.verdict.starts_with("held") => Replaced::Held,
        Body::Here(_) => Replaced::Known,
        Body::Withheld | Body::Erased => Replaced::Gap,
    })
}

/// Kind and projection of an accepted statement.
fn record(stored: &Stored) -> Option<(&str, &Projection)> {
    let Stored::Accepted(verified, projection) = stored else { return None };
    Some((&verified.statement().typ.kind, projection))
}
