//! Repairs and revocations of others that this node has to decide on.
//!
//! A row comes with the statement, in the transaction that takes it from a peer, and goes with this node's own
//! `recognition`, in the transaction that logs that: so none is forgotten and none is decided twice, whatever is killed.

use sqlx::FromRow;

use super::db::{hash, on};
use super::{Db, StoreError};
use crate::statement::Digest;

/// A repair or revocation that is not decided for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToRecognise {
    /// Its digest.
    pub digest: Digest,
    /// When it came, milliseconds since 1970.
    pub came_ms: i64,
    /// A person is to decide; else nobody has looked at it yet.
    pub pending: bool,
}

const LIST: &str = "SELECT q.digest, q.came_ms, q.state FROM recognising q ORDER BY q.came_ms, q.digest LIMIT $1";
// Whoever takes it has some time for it; then another process may.
const TAKE: &str = "UPDATE recognising SET taken_ms = $1 WHERE digest = $2 AND state = 'new' \
     AND (taken_ms IS NULL OR taken_ms < $3)";
const NEW: &str = "SELECT q.digest, q.came_ms, q.state FROM recognising q WHERE q.state = 'new' \
     AND (q.taken_ms IS NULL OR q.taken_ms < $1) ORDER BY q.came_ms, q.digest LIMIT $2";
const DROP: &str = "DELETE FROM recognising WHERE digest = $1";

/// How long a process may take over one, in milliseconds.
const PATIENCE: i64 = 30_000;

impl Db {
    /// Those that nobody has looked at, the oldest first.
    pub async fn new_to_recognise(&self, now_ms: i64, limit: u32) -> Result<Vec<ToRecognise>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(NEW)
            .bind(now_ms - PATIENCE)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Takes one, so that no other process does; false where another has it.
    pub async fn take_to_recognise(&self, digest: &Digest, now_ms: i64) -> Result<bool, StoreError> {
        let taken = on!(write self, c => sqlx::query(TAKE)
            .bind(now_ms)
            .bind(&digest.0[..])
            .bind(now_ms - PATIENCE)
            .execute(c))?;
        Ok(taken == 1)
    }

    /// It is no more: what it is about was taken back.
    pub async fn drop_to_recognise(&self, digest: &Digest) -> Result<(), StoreError> {
        on!(write self, c => sqlx::query(DROP).bind(&digest.0[..]).execute(c))?;
        Ok(())
    }

    /// All that is not decided for good, the oldest first.
    pub async fn to_recognise(&self, limit: u32) -> Result<Vec<ToRecognise>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(LIST).bind(i64::from(limit)).fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }
}

#[derive(FromRow)]
struct Row {
    digest: Vec<u8>,
    came_ms: i64,
    state: String,
}

impl Row {
    fn read(self) -> Result<ToRecognise, StoreError> {
        let digest = Digest(hash(&self.digest)?);
        Ok(ToRecognise { digest, came_ms: self.came_ms, pending: self.state == "pending" })
    }
}
