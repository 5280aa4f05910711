//! Held uploads that nobody has decided on and that are not over yet: how many, and which.

use sqlx::FromRow;

use crate::store::db::{nat, on};
use crate::store::{Db, StoreError};

/// A held upload that nobody has decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub upload: i64,
    /// Its kind.
    pub kind: String,
    /// Its file's name.
    pub file: String,
    /// Who holds it.
    pub held_by: String,
    /// Rows are still to come.
    pub unfinished: bool,
    /// When that began, milliseconds since 1970.
    pub since_ms: i64,
    /// When it is dropped.
    pub until_ms: i64,
}

/// Moments by which they are counted, milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// The present: what is over is not counted, since nobody can decide on it any more.
    pub now_ms: i64,
    /// What is dropped before this is soon.
    pub soon_ms: i64,
    /// What was begun before this has waited for long.
    pub long_ms: i64,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingCounts {
    /// All.
    pub waiting: u64,
    /// Dropped soon.
    pub expiring: u64,
    /// Waiting for long.
    pub long: u64,
    /// Either.
    pub due: u64,
    /// When the next one is dropped.
    pub next_ms: Option<i64>,
}

const COUNT: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN h.until_ms < $2 THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN u.begun_ms < $3 THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN h.until_ms < $2 OR u.begun_ms < $3 THEN 1 ELSE 0 END), 0), MIN(h.until_ms) \
     FROM upload_hold h JOIN upload u ON u.id = h.upload WHERE h.state IN ('holding', 'held') AND h.until_ms > $1";
const FIRST: &str = "SELECT h.upload, u.kind, u.file, h.held_by, h.state, u.begun_ms, h.until_ms \
     FROM upload_hold h JOIN upload u ON u.id = h.upload WHERE h.state IN ('holding', 'held') AND h.until_ms > $1 \
     ORDER BY h.until_ms, h.upload LIMIT $2";

impl Db {
    /// How many wait.
    pub async fn waiting_holds_counted(&self, by: &Until) -> Result<WaitingCounts, StoreError> {
        let (waiting, expiring, long, due, next_ms): (i64, i64, i64, i64, Option<i64>) = on!(read self, c => sqlx::query_as(COUNT)
                .bind(by.now_ms)
                .bind(by.soon_ms)
                .bind(by.long_ms)
                .fetch_one(c))?;
        Ok(WaitingCounts {
            waiting: nat(waiting)?,
            expiring: nat(expiring)?,
            long: nat(long)?,
            due: nat(due)?,
            next_ms,
        })
    }

    /// Those that are dropped first.
    pub async fn waiting_holds(&self, now_ms: i64, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        let rows: Vec<Row> =
            on!(read self, c => sqlx::query_as(FIRST).bind(now_ms).bind(i64::from(limit)).fetch_all(c))?;
        Ok(rows.into_iter().map(Row::read).collect())
    }
}

#[derive(FromRow)]
struct Row {
    upload: i64,
    kind: String,
    file: String,
    held_by: String,
    state: String,
    begun_ms: i64,
    until_ms: i64,
}

impl Row {
    fn read(self) -> Waiting {
        Waiting {
            upload: self.upload,
            kind: self.kind,
            file: self.file,
            held_by: self.held_by,
            unfinished: self.state == "holding",
            since_ms: self.begun_ms,
            until_ms: self.until_ms,
        }
    }
}
