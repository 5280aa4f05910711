//! What PostgreSQL believes about what it holds. A database that was filled in one go is planned as if it were empty, look-ups of
//! lists as scans, until its autovacuum has looked, some minute later; the whole of a partitioned table it never looks at.
//! So a process that has taken in many rows asks it to look, beside whoever goes on writing. SQLite needs none of that: it
//! goes by the indexes there are.
//!
//! Nothing that is written depends on it, nothing waits for it but the end of an upload, and what fails is only told.

use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::PgPool;
use tokio::sync::Mutex;

use super::db::{Pools, nat};
use super::{Db, StoreError};

/// So many entries a process takes in before it asks whether PostgreSQL should look, and so many more than it knew of make
/// it. It looks again when there are twice as many: a first filling costs a handful of looks, a large database none.
pub const LOOK_AFTER: u64 = 20_000;

// What the program's logs hold, what the planner goes by (-1 before it has looked), and whether this user may have it look.
const BELIEVED: &str = "SELECT (SELECT COALESCE(SUM(l.size), 0) FROM log l)::BIGINT, c.reltuples::BIGINT, \
     pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = to_regclass('statement')";
// Tables that grow with a log. Whoever else looks at one of them, autovacuum perhaps, is not waited for.
const LOOK: &str =
    "ANALYZE (SKIP_LOCKED) log, statement, reference, record, subject, event, tile, upload_span, said_by";

/// What this process has taken in.
#[derive(Debug, Default)]
pub(super) struct Growth {
    entries: AtomicU64,
    /// Whoever asks holds it, one at a time.
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    /// Entries when PostgreSQL last looked for this process.
    there: u64,
    /// It failed, which was told; it is not tried again.
    in_vain: bool,
}

impl Db {
    /// So many entries were appended. Many together have PostgreSQL look, beside the caller.
    pub(super) fn note_growth(&self, entries: usize) {
        if let Pools::Sqlite { .. } = self.pools {
            return;
        }
        let entries = entries as u64;
        let before = self.growth.entries.fetch_add(entries, Ordering::Relaxed);
        if before / LOOK_AFTER != (before + entries) / LOOK_AFTER {
            let db = self.clone();
            tokio::spawn(async move { db.look_at_growth().await });
        }
    }

    /// Has PostgreSQL look at what it holds where that is much more than it knows of, and waits for it. What fails is told in the
    /// journal: autovacuum looks too.
    pub async fn look_at_growth(&self) {
        let Pools::Postgres(pool) = &self.pools else { return };
        let mut asked = self.growth.asked.lock().await;
        if asked.in_vain {
            return;
        }
        let why = match look(pool, &mut asked).await {
            Ok(true) => return,
            Ok(false) => "this user does not own its tables".to_owned(),
            // the process ends
            Err(_) if pool.is_closed() => return,
            Err(error) => error.to_string(),
        };
        asked.in_vain = true;
        tracing::warn!(
            why,
            "could not have PostgreSQL look at what was taken in: until its autovacuum has, look-ups may be slow (docs/OPERATIONS.md)"
        );
    }
}

/// False where it may not.
async fn look(pool: &PgPool, asked: &mut Asked) -> Result<bool, StoreError> {
    let (there, known, _) = believed(pool).await?;
    let last = known.max(asked.there);
    if there < last.saturating_mul(2) || there - last < LOOK_AFTER {
        return Ok(true);
    }
    sqlx::query(LOOK).execute(pool).await?;
    asked.there = there;
    let (_, knows, may) = believed(pool).await?;
    tracing::debug!(there, knew = known, knows, "PostgreSQL looked at what it holds");
    Ok(may || knows != known)
}

async fn believed(pool: &PgPool) -> Result<(u64, u64, bool), StoreError> {
    let (there, known, may): (i64, i64, bool) = sqlx::query_as(BELIEVED).fetch_one(pool).await?;
    Ok((nat(there)?, nat(known.max(0))?, may))
}
