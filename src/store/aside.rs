//! What a log holds about a subject and does not count: held, refused, void, or without a body.

use super::db::on;
use super::statement::{Row, StatementRow};
use super::{Db, StoreError};
use crate::statement::Refused;

/// Why a statement that stands in a log does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Early: it is tried again.
    Held,
    /// Refused for good.
    Refused,
    /// Signed by a key that was compromised by then.
    Void,
    /// A version whose `prev` was not the current one.
    Superseded,
    /// Its body was erased.
    Erased,
    /// Whoever served it withheld the body.
    Withheld,
}

/// A statement that does not count.
#[derive(Clone, Debug)]
pub struct AsideRow {
    /// What is there of it.
    pub statement: StatementRow,
    /// Why it does not count.
    pub standing: Standing,
    /// The same in words, as they were written when it was judged.
    pub reason: Option<String>,
}

// The newest of each log: one that has much to say about a subject must not hide the others.
const ASIDE: &str = "SELECT s.log, s.idx, s.class, s.digest, s.verdict, s.reason, s.body, s.jws FROM statement s \
     JOIN (SELECT log, idx, ROW_NUMBER() OVER (PARTITION BY log ORDER BY idx DESC) AS place FROM statement \
     WHERE subject = $1 AND (verdict <> 'accepted' OR body <> 'here')) newest \
     ON newest.log = s.log AND newest.idx = s.idx WHERE newest.place <= $2 ORDER BY s.log, s.idx";

impl Db {
    /// The newest statements about a subject that do not count, at most `limit` of each log, by log and index.
    ///
    /// A statement is found by its subject once it could be read, whatever came of it, and whether or not its signature
    /// is good: that it stands in the log is its owner's doing, who signed the checkpoint.
    pub async fn aside(&self, subject: &str, limit: u32) -> Result<Vec<AsideRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ASIDE)
            .bind(subject)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(AsideRow::try_from).collect()
    }
}

impl TryFrom<Row> for AsideRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let reason = row.reason.clone();
        let standing = match (row.verdict.as_str(), row.body.as_str(), reason.as_deref()) {
            (_, "erased", _) => Standing::Erased,
            (_, "withheld", _) => Standing::Withheld,
            ("held", ..) => Standing::Held,
            // the two reasons after which what a statement says may still count for others
            (_, _, Some(why)) if why == Refused::Compromised.to_string() => Standing::Void,
            (_, _, Some(why)) if why == Refused::Prev.to_string() => Standing::Superseded,
            _ => Standing::Refused,
        };
        Ok(Self { statement: row.try_into()?, standing, reason })
    }
}
