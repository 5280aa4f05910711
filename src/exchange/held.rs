//! Statements that came early are tried again, in the order of the log: at start, with each new head, and from time to
//! time. One that stays early keeps the records behind it at its place waiting ([`crate::log::version`]).

use super::Fault;
use super::judge;
use super::keys::Keys;
use super::order::place_one;
use crate::clock::Clock;
use crate::log::judge::Place;
use crate::log::version::Waiting;
use crate::statement::{Kinds, Refused, Typ, Unverified};
use crate::store::append::Stored;
use crate::store::statement::{Body, StatementRow};
use crate::store::{AppendError, Db, LogRow};

/// How many are read from the store in one go.
const AT_ONCE: u32 = 500;

/// Tries the held statements of a log again, all of them in order; gives how many are settled now.
///
/// Each is settled in a transaction of its own. A kill between two leaves the later ones held, and the next try goes on
/// there.
pub async fn retry(db: &Db, log: &LogRow, keys: &Keys, kinds: &Kinds, clock: &Clock) -> Result<usize, Fault> {
    let mut settled = 0;
    let mut first = 0;
    let mut waiting = Waiting::default();
    loop {
        let rows = db.held(log.id, first, AT_ONCE).await?;
        for row in &rows {
            first = row.index + 1;
            tokio::task::yield_now().await;
            match again(log, row, keys, kinds, clock) {
                Again::Unknown(typ) => waiting.add(&typ.kind, None),
                Again::Judged(Stored::Held(verified, early)) => {
                    waiting.add(&verified.statement().typ.kind, early.identity);
                }
                Again::Judged(stored) if must_wait(&stored, &waiting) => {}
                Again::Judged(stored) => match Box::pin(settle(db, log, kinds, &waiting, row.index, stored)).await? {
                    Stored::Held(verified, early) => waiting.add(&verified.statement().typ.kind, early.identity),
                    _ => settled += 1,
                },
            }
        }
        if rows.len() < AT_ONCE as usize {
            return Ok(settled);
        }
    }
}

/// Whether something stays held before this one that it may depend on.
fn must_wait(stored: &Stored, waiting: &Waiting) -> bool {
    let Stored::Accepted(verified, projection) = stored else { return false };
    projection.record.is_some_and(|key| waiting.keeps(&verified.statement().typ.kind, key.identity))
}

/// Settles one, or finds that it stays held.
async fn settle(
    db: &Db,
    log: &LogRow,
    kinds: &Kinds,
    waiting: &Waiting,
    index: u64,
    stored: Stored,
) -> Result<Stored, Fault> {
    // again beside another process, which may settle the same ones
    for _ in 0..3 {
        let placed = match &stored {
            Stored::Accepted(verified, projection) => {
                place_one(db, log, kinds, waiting, index, verified.clone(), projection.clone()).await?
            }
            other => other.clone(),
        };
        if matches!(placed, Stored::Held(..)) {
            return Ok(placed);
        }
        match db.settle(log.id, index, &placed).await {
            Ok(()) => return Ok(placed),
            Err(AppendError::Superseded(_)) => {}
            Err(AppendError::Moved) => return Err(Fault::Moved),
            Err(AppendError::Store(error)) => return Err(error.into()),
            Err(other) => return Err(Fault::Damaged(other.to_string())),
        }
    }
    Err(Fault::Moved)
}

/// What becomes of a held statement today.
enum Again {
    Judged(Stored),
    /// Its kind is still not known; its signature need not be verified once more to see that.
    Unknown(Typ),
}

fn again(log: &LogRow, row: &StatementRow, keys: &Keys, kinds: &Kinds, clock: &Clock) -> Again {
    let refused = |refused: Refused| Again::Judged(Stored::Refused(body(row), refused.to_string()));
    let unverified = match Unverified::parse(&body(row)) {
        Ok(unverified) => unverified,
        Err(why) => return refused(why),
    };
    let typ = &unverified.statement().typ;
    if kinds.find(typ).is_none() {
        return Again::Unknown(typ.clone());
    }
    let verified = match keys.at(row.index).ok_or(Refused::UnknownKey).and_then(|ring| unverified.verify(ring)) {
        Ok(verified) => verified,
        Err(why) => return refused(why),
    };
    // its iat was held against those before it when it came
    let place = Place { owner: &log.origin.node, log: log.origin.log, max_iat: i64::MIN, now: clock.now() };
    Again::Judged(judge::settle(kinds, &place, row.entry.class, verified))
}

fn body(row: &StatementRow) -> String {
    if let Body::Here(jws) = &row.body { jws.clone() } else { String::new() }
}
