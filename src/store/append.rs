//! The one transaction that grows a log, own or mirrored.
//!
//! It locks and compares the size first (`UPDATE log … WHERE size = $old`), then moves the record pointers on the
//! condition that each `prev` is current, then writes statements, references, subjects, tiles and the upload's progress.
//! Before the commit nothing happened; after it everything did.

use std::sync::LazyLock;

use super::db::{MaybeBusy, Tx, int, on, patiently, retry};
use super::log::{Head, LogRow, tile_bytes};
use super::project::{Columns, Projections};
use super::query::Exchanged;
use super::rows::{MultiRow, insert};
use super::said_by::{self, SaidBy};
use super::take_back::{self, Span};
use super::upload::UploadStep;
use super::{Db, StoreError, project, query, upload};
use crate::log::edge::FullTile;
use crate::log::event::RecordPlace;
use crate::log::{Edge, Entry};
use crate::statement::{Digest, Typ, Verified};

/// What an accepted statement projects into the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The subject's key and name.
    pub subject: Option<(String, String)>,
    /// The record's identity and what it says, for a record kind.
    pub record: Option<RecordKey>,
    /// The version replaced: the statement's own `prev`, but where the body of that one is not here.
    pub prev: Option<Digest>,
    /// The statements it is about.
    pub refs: Vec<Digest>,
    /// The record that an event is about.
    pub about: Option<Box<RecordPlace>>,
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
    Held(Verified, Early),
    /// Kept as evidence, never acted on.
    Refused(String, String),
    /// A record of this identity, refused for its `prev` alone.
    Superseded(Verified, [u8; 32]),
    /// The server says that the body is not for this node.
    Withheld,
    /// The server says that the body was erased.
    Erased,
}

/// Why a statement is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Early {
    /// In words.
    pub why: String,
    /// Of a record whose kind is known: those behind it with the same identity wait for it.
    pub identity: Option<[u8; 32]>,
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
            Stored::Accepted(v, _) | Stored::Held(v, _) | Stored::Superseded(v, _) => Some(&v.statement().typ),
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
    /// The checkpoint whose entries are all here now: the new head of an own log; of a mirror, whose head moved before,
    /// the one that it is complete with, where this is its last chunk.
    pub head: Option<&'a Head>,
    /// The progress of the uploads that they came from.
    pub uploads: &'a [UploadStep],
    /// What it means for questions between nodes.
    pub exchanged: &'a [Exchanged],
    /// Who had the node say some of the entries.
    pub said: &'a [SaidBy],
    /// From where on what compromised keys signed is void, where a descriptor among the entries declares some that the one
    /// before it did not. It is the last of the entries of a mirror.
    pub unvoided: Option<u64>,
    /// The highest `iat` up to the last of them, of all statements whose signatures are good, whatever came of them.
    pub max_iat: i64,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
}

/// Why nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Another process appended first: reload and try again.
    #[error("the log has moved on")]
    Moved,
    /// The `prev` of these (positions among the entries) is not the current version: judge and sign them anew.
    #[error("{} statements replace what is no longer current", .0.len())]
    Superseded(Vec<usize>),
    /// These upload steps (positions) begin where their uploads no longer stand: another process has taken them.
    #[error("{} uploads have moved on", .0.len())]
    Overtaken(Vec<usize>),
    /// Queries (positions among what was exchanged) whose nonces are answered already.
    #[error("{} queries are answered already", .0.len())]
    Repeated(Vec<usize>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// The compare-and-swap: whoever read the log before another appended to it changes no row, nor whoever comes before void
// statements have been looked through. An own log's head moves with
// its size, a mirror's stands ahead of it.
const GROW: &str = "UPDATE log SET size = $1, edge = $2, max_iat = $3, descriptor = COALESCE($4, descriptor), \
     head_size = COALESCE($5, head_size), head_root = COALESCE($6, head_root), \
     head_note = COALESCE($7, head_note), head_ms = COALESCE($8, head_ms), \
     complete_size = COALESCE($9, complete_size), complete_root = COALESCE($10, complete_root), \
     complete_note = COALESCE($11, complete_note), complete_ms = COALESCE($12, complete_ms), unvoided = $13 \
     WHERE id = $14 AND size = $15 AND state = 'open' AND unvoided IS NULL";
const AT: &str = "SELECT digest FROM statement WHERE log = $1 AND idx = $2";

static TILES: LazyLock<MultiRow> = LazyLock::new(|| MultiRow::new("INSERT INTO tile (log, level, n, hashes)", 4, ""));

impl Db {
    /// Appends in one transaction; the entries' record pointers may form chains among themselves.
    ///
    /// A crash before the commit leaves nothing behind, one after it everything. When the connection breaks during the
    /// commit itself, the log is read again to see which of the two it was.
    pub async fn append(&self, append: &Append<'_>) -> Result<(), AppendError> {
        let rows = Rows::of(append)?;
        // boxed: the transaction's future is large, and its callers' would be with it
        Box::pin(retry(|| self.append_once(append, &rows))).await?;
        self.note_growth(append.entries.len());
        Ok(())
    }

    async fn append_once(&self, append: &Append<'_>, rows: &Rows<'_>) -> Result<(), AppendError> {
        let mut tx = self.begin().await?;
        grow(&mut tx, append, rows).await?;
        rows.projections.write(&mut tx, append.log.id).await?;
        Columns::write(&mut tx, append.log.id, &rows.statements).await?;
        insert!(tx, TILES, append.tiles, |query, tile| query
            .bind(append.log.id)
            .bind(i64::from(tile.level))
            .bind(int(tile.n))
            .bind(tile_bytes(tile)))
        .await?;
        let mut overtaken = Vec::new();
        for (position, step) in append.uploads.iter().enumerate() {
            if !upload::step(&mut tx, step, append.now_ms).await? {
                overtaken.push(position);
            }
            if let Some((first, next)) = step.entries {
                take_back::add_span(&mut tx, step.upload, &Span { log: append.log.id, first, next }).await?;
            }
        }
        if !overtaken.is_empty() {
            return Err(AppendError::Overtaken(overtaken));
        }
        query::write(&mut tx, append.exchanged, append.now_ms).await?;
        said_by::add(&mut tx, append.log.id, append.said).await?;
        match tx.commit().await {
            Ok(()) => Ok(()),
            // the database has answered that it was none
            Err(error @ (StoreError::Busy(_) | StoreError::Full(_))) => Err(error.into()),
            Err(error) => Box::pin(self.look_up(append, error)).await,
        }
    }

    /// Whether a commit without an answer was one: its first statement stands at its place, or it does not.
    async fn look_up(&self, append: &Append<'_>, error: StoreError) -> Result<(), AppendError> {
        let Some(entry) = append.entries.first() else { return Err(error.into()) };
        let found: Option<(Vec<u8>,)> = Box::pin(patiently(|| async {
            let mut tx = self.begin().await?;
            // the lost transaction may still be at work: its lock is waited for
            project::lock(&mut tx, append.log.id).await?;
            let found = on!(tx tx, c => sqlx::query_as(AT)
                .bind(append.log.id)
                .bind(int(append.log.size))
                .fetch_optional(c))?;
            tx.commit().await?;
            Ok::<_, StoreError>(found)
        }))
        .await
        // whether it was one stays unknown: it must not be tried again
        .map_err(|unknown| match unknown {
            StoreError::Busy(why) => StoreError::Broken(why),
            other => other,
        })?;
        match found {
            Some((digest,)) if digest == entry.entry.digest.as_bytes() => Ok(()),
            Some(_) => Err(AppendError::Moved),
            // it was none: the same again, as often as for a transaction that was in the way
            None => Err(StoreError::Busy(format!("a commit was lost: {error}")).into()),
        }
    }
}

async fn grow(tx: &mut Tx, append: &Append<'_>, rows: &Rows<'_>) -> Result<(), AppendError> {
    let complete = append.head;
    let head = complete.filter(|_| append.log.own);
    let grown = on!(change tx, c => sqlx::query(GROW)
        .bind(int(append.edge.size()))
        .bind(append.edge.encode())
        .bind(append.max_iat.max(append.log.max_iat))
        .bind(rows.descriptor.map(int))
        .bind(head.map(|head| int(head.size)))
        .bind(head.map(|head| &head.root[..]))
        .bind(head.map(|head| head.note.as_str()))
        .bind(head.map(|head| head.seen_ms))
        .bind(complete.map(|head| int(head.size)))
        .bind(complete.map(|head| &head.root[..]))
        .bind(complete.map(|head| head.note.as_str()))
        .bind(complete.map(|head| head.seen_ms))
        .bind(append.unvoided.map(int))
        .bind(append.log.id)
        .bind(int(append.log.size))
        .execute(c))?;
    if grown == 1 { Ok(()) } else { Err(AppendError::Moved) }
}

/// What one append writes, worked out before its transaction begins.
struct Rows<'a> {
    statements: Vec<Columns<'a>>,
    projections: Projections<'a>,
    /// The index of the last descriptor in it.
    descriptor: Option<u64>,
}

impl<'a> Rows<'a> {
    fn of(append: &Append<'a>) -> Result<Self, AppendError> {
        let first = append.log.size;
        let end = first + append.entries.len() as u64;
        let head = append.head.map(|head| head.size);
        if append.edge.size() != end || (append.log.own && head.is_none()) || head.is_some_and(|size| size != end) {
            return Err(StoreError::Corrupt(format!("an append to {} that ends elsewhere", append.log.origin)).into());
        }
        let indexed = || (first..).zip(append.entries);
        let is_descriptor =
            |new: &NewEntry| matches!(&new.stored, Stored::Accepted(v, _) if v.statement().typ.kind == "descriptor");
        Ok(Self {
            projections: Projections::of(first, append.entries.iter().map(|new| &new.stored))?,
            statements: indexed().map(|(index, new)| Columns::of(index, Some(&new.entry), &new.stored)).collect(),
            descriptor: indexed().filter(|(_, new)| is_descriptor(new)).map(|(index, _)| index).last(),
        })
    }
}

impl MaybeBusy for AppendError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_busy())
    }
}
