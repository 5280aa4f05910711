//! A judged chunk goes into the store, together with the cursor, in one transaction: a kill at any point neither loses
//! nor repeats an entry.

use super::Fault;
use super::judge::Judged;
use super::order::{is_event, order};
use crate::statement::Kinds;
use crate::store::append::Stored;
use crate::store::{Append, AppendError, Db, Head, LogRow};

/// Appends a chunk to a mirror and gives the log as it stands then. `complete` is the checkpoint that the mirror holds in
/// full once the chunk is in.
pub async fn apply(
    db: &Db,
    log: LogRow,
    kinds: &Kinds,
    judged: Judged,
    complete: Option<&Head>,
    now_ms: i64,
) -> Result<LogRow, Fault> {
    if judged.first != log.size {
        return Err(Fault::Moved);
    }
    let depends = judged.entries.iter().any(|new| matches!(new.stored, Stored::Held(..)) || is_event(kinds, new));
    let mut ordered =
        if depends || db.any_held(log.id).await? { Some(order(db, &log, kinds, &judged.entries).await?) } else { None };
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
            said: &[],
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
            Err(AppendError::Superseded(_)) => ordered = Some(order(db, &log, kinds, &judged.entries).await?),
            Err(error @ (AppendError::Overtaken(_) | AppendError::Repeated(_))) => {
                return Err(Fault::Damaged(error.to_string()));
            }
        }
    }
    Err(Fault::Moved)
}
