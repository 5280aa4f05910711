//! The one transaction that grows a log, own or mirrored.
//!
//! It locks and compares the size first (`UPDATE log … WHERE size = $old`), then moves the record pointers on the
//! condition that each `prev` is current, then writes statements, references, subjects, tiles and the upload's progress.
//! Before the commit nothing happened; after it everything did.

use super::log::{Head, LogRow};
use super::upload::UploadStep;
use super::{Db, StoreError};
use crate::log::edge::FullTile;
use crate::log::{Edge, Entry};
use crate::statement::{Digest, Typ, Verified};

/// What an accepted statement projects into the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The subject's key and name.
    pub subject: Option<(String, String)>,
    /// The record's identity and what it says, for a record kind.
    pub record: Option<RecordKey>,
    /// The version replaced.
    pub prev: Option<Digest>,
    /// The statements it is about.
    pub refs: Vec<Digest>,
}

/// A record's identity under its issuer and kind, and a digest of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKey {
    /// SHA-256 over the identifying members.
    pub identity: [u8; 32],
    /// SHA-256 over what it says.
    pub content: [u8; 32],
}

/// What is stored of a statement beside its entry.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Verified and judged good.
    Accepted(Verified, Projection),
    /// Verified, but early: tried again later.
    Held(Verified, String),
    /// Kept as evidence, never acted on.
    Refused(String, String),
    /// The server says that the body is not for this node.
    Withheld,
    /// The server says that the body was erased.
    Erased,
}

/// One entry to append.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// What the log commits to.
    pub entry: Entry,
    /// The body and its judgement.
    pub stored: Stored,
}

impl NewEntry {
    /// Kind and version, where the statement could be read.
    pub fn typ(&self) -> Option<&Typ> {
        match &self.stored {
            Stored::Accepted(v, _) | Stored::Held(v, _) => Some(&v.statement().typ),
            _ => None,
        }
    }
}

/// One growth of one log.
pub struct Append<'a> {
    /// The log as it was read; its size is what the transaction compares.
    pub log: &'a LogRow,
    /// The entries, from index `log.size` on.
    pub entries: &'a [NewEntry],
    /// The edge after them.
    pub edge: &'a Edge,
    /// The tiles that they filled.
    pub tiles: &'a [FullTile],
    /// The new head, for an own log; None for a mirror, whose head moved before.
    pub head: Option<&'a Head>,
    /// The progress of the uploads that they came from.
    pub uploads: &'a [UploadStep],
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another process appended first: reload and try again.
    #[error("the log has moved on")]
    Moved,
    /// The `prev` of these (positions among the entries) is not the current version: judge and sign them anew.
    #[error("{} statements replace what is no longer current", .0.len())]
    Superseded(Vec<usize>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Db {
    /// Appends in one transaction; the entries' record pointers may form chains among themselves.
    pub async fn append(&self, _append: &Append<'_>) -> Result<(), AppendError> {
        todo!()
    }
}
