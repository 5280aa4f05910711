//! Statements that came early are tried again: at start, with each new head, and from time to time.

use std::collections::HashSet;

use super::Fault;
use super::judge;
use super::keys::Keys;
use crate::clock::Clock;
use crate::log::judge::Place;
use crate::statement::{Digest, Kinds, Refused, Unverified};
use crate::store::append::Stored;
use crate::store::statement::{Body, StatementRow};
use crate::store::{AppendError, Db, LogRow};

/// How many are read from the store in one go.
const AT_ONCE: u32 = 500;

/// Tries the held statements of a log again, all of them in order; gives how many are settled now.
pub async fn retry(db: &Db, log: &LogRow, keys: &Keys, kinds: &Kinds, clock: &Clock) -> Result<usize, Fault> {
    let mut settled = 0;
    let mut first = 0;
    // those that stay held: what replaces one of them is as early as it is
    let mut early: HashSet<Digest> = HashSet::new();
    loop {
        let rows = db.held(log.id, first, AT_ONCE).await?;
        for row in &rows {
            first = row.index + 1;
            tokio::task::yield_now().await;
            let stored = again(log, row, keys, kinds, clock).filter(|stored| !replaces(stored, &early));
            let Some(stored) = stored else {
                early.insert(row.entry.digest);
                continue;
            };
            match db.settle(log.id, row.index, &stored).await {
                Ok(()) => {}
                Err(AppendError::Superseded(_)) => {
                    let refused = Stored::Refused(body(row), Refused::Prev.to_string());
                    db.settle(log.id, row.index, &refused).await.map_err(fault)?;
                }
                Err(error) => return Err(fault(error)),
            }
            settled += 1;
        }
        if rows.len() < AT_ONCE as usize {
            return Ok(settled);
        }
    }
}

/// Whether a record replaces one of these versions.
fn replaces(stored: &Stored, versions: &HashSet<Digest>) -> bool {
    matches!(stored, Stored::Accepted(_, projection) if projection.prev.is_some_and(|prev| versions.contains(&prev)))
}

/// The verdict of today; None while it is still early.
fn again(log: &LogRow, row: &StatementRow, keys: &Keys, kinds: &Kinds, clock: &Clock) -> Option<Stored> {
    let unverified = Unverified::parse(&body(row));
    if unverified.as_ref().is_ok_and(|unverified| kinds.find(&unverified.statement().typ).is_none()) {
        return None; // and its signature need not be verified once more to see that
    }
    let verified = unverified.and_then(|unverified| unverified.verify(keys.at(row.index).ok_or(Refused::UnknownKey)?));
    let verified = match verified {
        Ok(verified) => verified,
        Err(refused) => return Some(Stored::Refused(body(row), refused.to_string())),
    };
    // its iat was held against those before it when it came
    let place = Place { owner: &log.origin.node, log: log.origin.log, max_iat: i64::MIN, now: clock.now() };
    match judge::settle(kinds, &place, row.entry.class, verified) {
        Stored::Held(..) => None,
        settled => Some(settled),
    }
}

fn body(row: &StatementRow) -> String {
    if let Body::Here(jws) = &row.body { jws.clone() } else { String::new() }
}

fn fault(error: AppendError) -> Fault {
    match error {
        AppendError::Store(error) => Fault::Store(error),
        other => Fault::Damaged(other.to_string()),
    }
}
