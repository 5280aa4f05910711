//! Logs, own and mirrored: rows of one table, told apart by their origin.

use super::{Db, StoreError};
use crate::log::edge::FullTile;
use crate::log::{Edge, Hash, Origin};

/// Whether a log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogState {
    /// It goes on.
    Open,
    /// Its owner was caught; an administrator decides.
    Frozen,
    /// Its generation has ended.
    Closed,
}

/// The newest checkpoint of an origin that this node stands by: one a log, moved only by compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Root.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it came, milliseconds since 1970.
    pub seen_ms: i64,
}

/// A log as stored.
#[derive(Clone, Debug)]
pub struct LogRow {
    /// Its number in this database.
    pub id: i64,
    /// Its origin.
    pub origin: Origin,
    /// This node's own.
    pub own: bool,
    /// Whether it goes on.
    pub state: LogState,
    /// Why it does not.
    pub reason: Option<String>,
    /// Entries stored here, all proven; the cursor of a pull. For an own log the head's size.
    pub size: u64,
    /// The right edge of the tree over them.
    pub edge: Edge,
    /// The highest `iat` among them.
    pub max_iat: i64,
    /// The index of the last descriptor among them.
    pub descriptor: Option<u64>,
    /// The newest checkpoint.
    pub head: Option<Head>,
}

impl Db {
    /// The log of an origin; made, empty, where it is not there yet.
    pub async fn create_log(&self, _origin: &Origin, _own: bool) -> Result<LogRow, StoreError> {
        todo!()
    }
    /// The log of an origin.
    pub async fn log(&self, _origin: &Origin) -> Result<Option<LogRow>, StoreError> {
        todo!()
    }
    /// The log whose origin has this SHA-256 in hexadecimal.
    pub async fn log_by_hash(&self, _hash: &str) -> Result<Option<LogRow>, StoreError> {
        todo!()
    }
    /// All logs, by origin.
    pub async fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        todo!()
    }
    /// Sizes of all heads by log id: a cheap look for news. (id, head size)
    pub async fn head_sizes(&self) -> Result<Vec<(i64, u64)>, StoreError> {
        todo!()
    }
    /// Moves the head of a mirrored log from size `old` (None: no head yet); false if it stands elsewhere by now.
    pub async fn move_head(&self, _log: i64, _old: Option<u64>, _head: &Head) -> Result<bool, StoreError> {
        todo!()
    }
    /// Stops a log for an administrator to look at, and keeps the proof.
    pub async fn freeze(&self, _log: i64, _reason: &str, _evidence: &[u8], _now_ms: i64) -> Result<(), StoreError> {
        todo!()
    }
    /// A full tile.
    pub async fn tile(&self, _log: i64, _level: u8, _n: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        todo!()
    }
}

/// For the appender's and the puller's use: the tiles of one transaction.
pub type Tiles = Vec<FullTile>;
