//! Repairs and revocations of others that this node has to decide on.
//!
//! A row comes with the statement, in the transaction that takes it from a peer, and goes with this node's own
//! `recognition`, in the transaction that logs that: so none is forgotten and none is decided twice, whatever is killed.
//! One on which nothing can be decided is tried again, less and less often, and holds up none behind it.

use sqlx::FromRow;

use super::db::{clean, hash, nat, on};
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
    /// Why nothing could be decided when that was tried last.
    pub fault: Option<String>,
}

/// One that is not decided for good, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// It.
    pub waiting: ToRecognise,
    /// Who said it.
    pub issuer: String,
    /// When, seconds since 1970.
    pub iat: i64,
}

/// How many are not decided for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndecidedCounts {
    /// All.
    pub waiting: u64,
    /// Left to a person.
    pub pending: u64,
    /// Said before the first moment that was asked for.
    pub before_first: u64,
    /// Said before the second.
    pub before_second: u64,
    /// Those on which nothing could be decided when that was tried.
    pub failing: u64,
}

const LIST: &str =
    "SELECT q.digest, q.came_ms, q.state, q.fault FROM recognising q ORDER BY q.came_ms, q.digest LIMIT $1";
// Whoever takes it has some time for it; then another process may.
const TAKE: &str = "UPDATE recognising SET taken_ms = $1 WHERE digest = $2 AND state = 'new' \
     AND (taken_ms IS NULL OR taken_ms < $3) AND (next_ms IS NULL OR next_ms <= $1)";
const NEW: &str = "SELECT q.digest, q.came_ms, q.state, q.fault FROM recognising q WHERE q.state = 'new' \
     AND (q.taken_ms IS NULL OR q.taken_ms < $1) AND (q.next_ms IS NULL OR q.next_ms <= $3) \
     ORDER BY q.came_ms, q.digest LIMIT $2";
const FAILURES: &str = "SELECT failures FROM recognising WHERE digest = $1";
const FAILED: &str = "UPDATE recognising SET failures = failures + 1, fault = $1, next_ms = $2, taken_ms = NULL \
     WHERE digest = $3 AND state = 'new'";
// A statement stands once more where its issuer's log has gone on in another generation.
const UNDECIDED: &str = "SELECT q.digest, q.came_ms, q.state, q.fault, MIN(l.node) AS issuer, MIN(s.iat) AS iat \
     FROM recognising q JOIN statement s ON s.digest = q.digest AND s.verdict = 'accepted' JOIN log l ON l.id = s.log \
     GROUP BY q.digest, q.came_ms, q.state, q.fault ORDER BY iat, q.digest LIMIT $1";
const COUNT: &str = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN iat < $1 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN iat < $2 THEN 1 ELSE 0 END), 0), \
     COALESCE(SUM(CASE WHEN fault IS NOT NULL THEN 1 ELSE 0 END), 0) FROM \
     (SELECT q.state, q.fault, MIN(s.iat) AS iat FROM recognising q \
     JOIN statement s ON s.digest = q.digest AND s.verdict = 'accepted' GROUP BY q.digest, q.state, q.fault) undecided";
const DROP: &str = "DELETE FROM recognising WHERE digest = $1";

/// How long a process may take over one, in milliseconds.
const PATIENCE: i64 = 30_000;
/// One that failed is tried again after this, in milliseconds, and after twice as long each time, up to the second number.
const RETRY: (i64, i64) = (60_000, 3_600_000);

impl Db {
    /// Those that nobody has looked at, the oldest first.
    pub async fn new_to_recognise(&self, now_ms: i64, limit: u32) -> Result<Vec<ToRecognise>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(NEW)
            .bind(now_ms - PATIENCE)
            .bind(i64::from(limit))
            .bind(now_ms)
            .fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Nothing could be decided on one: it is tried again later, and stands in nobody's way until then. Gives when, in
    /// milliseconds since 1970.
    pub async fn failed_to_recognise(&self, digest: &Digest, fault: &str, now_ms: i64) -> Result<i64, StoreError> {
        let failures: Option<(i64,)> =
            on!(read self, c => sqlx::query_as(FAILURES).bind(&digest.0[..]).fetch_optional(c))?;
        let doublings = failures.map_or(0, |(failures,)| failures).clamp(0, 16);
        let next_ms = now_ms + (RETRY.0 << doublings).min(RETRY.1);
        let fault = clean(fault);
        on!(write self, c => sqlx::query(FAILED).bind(&fault).bind(next_ms).bind(&digest.0[..]).execute(c))?;
        Ok(next_ms)
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

    /// The same, those first that were said first.
    pub async fn undecided(&self, limit: u32) -> Result<Vec<Undecided>, StoreError> {
        let rows: Vec<UndecidedRow> =
            on!(read self, c => sqlx::query_as(UNDECIDED).bind(i64::from(limit)).fetch_all(c))?;
        let read = |row: UndecidedRow| Ok(Undecided { waiting: row.waiting.read()?, issuer: row.issuer, iat: row.iat });
        rows.into_iter().map(read).collect()
    }

    /// How many there are, and how many of them were said before two moments, in seconds since 1970.
    pub async fn undecided_counted(&self, before: [i64; 2]) -> Result<UndecidedCounts, StoreError> {
        let [first, second] = before;
        let (waiting, pending, before_first, before_second, failing): (i64, i64, i64, i64, i64) =
            on!(read self, c => sqlx::query_as(COUNT).bind(first).bind(second).fetch_one(c))?;
        Ok(UndecidedCounts {
            waiting: nat(waiting)?,
            pending: nat(pending)?,
            before_first: nat(before_first)?,
            before_second: nat(before_second)?,
            failing: nat(failing)?,
        })
    }
}

#[derive(FromRow)]
struct UndecidedRow {
    #[sqlx(flatten)]
    waiting: Row,
    issuer: String,
    iat: i64,
}

#[derive(FromRow)]
struct Row {
    digest: Vec<u8>,
    came_ms: i64,
    state: String,
    fault: Option<String>,
}

impl Row {
    fn read(self) -> Result<ToRecognise, StoreError> {
        let digest = Digest(hash(&self.digest)?);
        Ok(ToRecognise { digest, came_ms: self.came_ms, pending: self.state == "pending", fault: self.fault })
    }
}
