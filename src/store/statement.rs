//! Statements by place and by digest.

use super::{Db, StoreError};
use crate::log::Entry;
use crate::statement::Digest;

/// What there is of a statement at a place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The compact JWS.
    Here(String),
    /// Withheld by whoever served it.
    Withheld,
    /// Erased.
    Erased,
}

/// A stored statement.
#[derive(Clone, Debug)]
pub struct StatementRow {
    /// Log number.
    pub log: i64,
    /// Index in the log.
    pub index: u64,
    /// Entry.
    pub entry: Entry,
    /// Body.
    pub body: Body,
    /// `accepted`, `held: …` or `refused: …`.
    pub verdict: String,
}

impl Db {
    /// Entries from `first` on, `count` of them or as many as there are.
    pub async fn entries(&self, _log: i64, _first: u64, _count: u64) -> Result<Vec<Entry>, StoreError> {
        todo!()
    }
    /// The same with their bodies.
    pub async fn statements(&self, _log: i64, _first: u64, _count: u64) -> Result<Vec<StatementRow>, StoreError> {
        todo!()
    }
    /// Wherever the statement of this digest stands (a descriptor stands in both logs).
    pub async fn find(&self, _digest: &Digest) -> Result<Vec<StatementRow>, StoreError> {
        todo!()
    }
    /// Accepted descriptors of a log in order: (index, jws).
    pub async fn descriptors(&self, _log: i64) -> Result<Vec<(u64, String)>, StoreError> {
        todo!()
    }
    /// Held statements of a log in order of index.
    pub async fn held(&self, _log: i64, _limit: u32) -> Result<Vec<StatementRow>, StoreError> {
        todo!()
    }
    /// A held statement is now accepted, or refused: moves its projections in.
    pub async fn settle(
        &self,
        _log: i64,
        _index: u64,
        _stored: &super::append::Stored,
    ) -> Result<(), super::AppendError> {
        todo!()
    }
}
