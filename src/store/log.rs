//! Logs, own and mirrored: rows of one table, told apart by their origin.

use sqlx::FromRow;

use super::db::{clean, hash, int, nat, on, retry};
use super::{Db, StoreError};
use crate::log::edge::FullTile;
use crate::log::tile::{FULL, encode_hashes};
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
    /// When its owner was revoked here, milliseconds since 1970: what it says stays as it was then.
    pub revoked_ms: Option<i64>,
    /// Entries stored here, all proven; the cursor of a pull. For an own log the head's size.
    pub size: u64,
    /// The right edge of the tree over them.
    pub edge: Edge,
    /// The highest `iat` among them.
    pub max_iat: i64,
    /// The index of the last descriptor among them.
    pub descriptor: Option<u64>,
    /// The last descriptor declares keys compromised, and what they signed from this index on is still to be looked through:
    /// until that is done nothing is appended.
    pub unvoided: Option<u64>,
    /// The newest checkpoint.
    pub head: Option<Head>,
    /// The newest checkpoint whose entries are all stored: what is served to others. An own log's is its head.
    pub complete: Option<Head>,
}

/// For the appender's and the puller's use: the tiles of one transaction.
pub type Tiles = Vec<FullTile>;

const CREATE: &str = "INSERT INTO log (origin, hash, node, name, generation, own, state, size, edge, max_iat) \
     VALUES ($1, $2, $3, $4, $5, $6, 'open', 0, $7, 0) ON CONFLICT DO NOTHING";
const BY_ORIGIN: &str = "SELECT id, origin, own, state, reason, revoked_ms, size, edge, max_iat, descriptor, unvoided, \
     head_size, head_root, head_note, head_ms, complete_size, complete_root, complete_note, complete_ms \
     FROM log WHERE origin = $1";
const BY_HASH: &str = "SELECT id, origin, own, state, reason, revoked_ms, size, edge, max_iat, descriptor, unvoided, \
     head_size, head_root, head_note, head_ms, complete_size, complete_root, complete_note, complete_ms \
     FROM log WHERE hash = $1";
const ALL: &str = "SELECT id, origin, own, state, reason, revoked_ms, size, edge, max_iat, descriptor, unvoided, \
     head_size, head_root, head_note, head_ms, complete_size, complete_root, complete_note, complete_ms \
     FROM log ORDER BY origin";
// A head never goes back, and never changes its root at the same size, whatever the caller believes.
pub(super) const MOVE_HEAD: &str = "UPDATE log SET head_size = $1, head_root = $2, head_note = $3, head_ms = $4 \
     WHERE id = $5 AND own = 0 AND state = 'open' AND COALESCE(head_size, -1) = $6 \
     AND (COALESCE(head_size, -1) < $1 OR head_root = $2)";
const FREEZE: &str = "UPDATE log SET state = 'frozen', reason = $1 WHERE id = $2 AND state = 'open'";
const KEEP_EVIDENCE: &str = "INSERT INTO evidence (log, reason, proof, at_ms) VALUES ($1, $2, $3, $4)";
const EVIDENCE: &str = "SELECT reason, proof, at_ms FROM evidence WHERE log = $1 ORDER BY id";
const TILE: &str = "SELECT hashes FROM tile WHERE log = $1 AND level = $2 AND n = $3";

impl Db {
    /// The log of an origin; made, empty, where it is not there yet.
    pub async fn create_log(&self, origin: &Origin, own: bool) -> Result<LogRow, StoreError> {
        let edge = Edge::default().encode();
        retry(|| async {
            on!(write self, c => sqlx::query(CREATE)
                .bind(origin.to_string())
                .bind(origin.hash())
                .bind(origin.node.as_str())
                .bind(origin.log.as_str())
                .bind(i64::from(origin.generation))
                .bind(i64::from(own))
                .bind(&edge)
                .execute(c))
        })
        .await?;
        let log = self.log(origin).await?.ok_or_else(|| StoreError::Corrupt(format!("{origin} does not stay")))?;
        if log.own == own {
            Ok(log)
        } else {
            Err(StoreError::Corrupt(format!("{origin} is kept as {} log", if own { "a peer's" } else { "an own" })))
        }
    }

    /// The log of an origin.
    pub async fn log(&self, origin: &Origin) -> Result<Option<LogRow>, StoreError> {
        let row: Option<Row> =
            on!(read self, c => sqlx::query_as(BY_ORIGIN).bind(origin.to_string()).fetch_optional(c))?;
        row.map(LogRow::try_from).transpose()
    }

    /// The log whose origin has this SHA-256 in hexadecimal.
    pub async fn log_by_hash(&self, hash: &str) -> Result<Option<LogRow>, StoreError> {
        let row: Option<Row> = on!(read self, c => sqlx::query_as(BY_HASH).bind(hash).fetch_optional(c))?;
        row.map(LogRow::try_from).transpose()
    }

    /// All logs, by origin.
    pub async fn logs(&self) -> Result<Vec<LogRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(LogRow::try_from).collect()
    }

    /// Sizes of what can be served, by log id: a cheap look for news. (id, size of the complete checkpoint)
    pub async fn head_sizes(&self) -> Result<Vec<(i64, u64)>, StoreError> {
        let rows: Vec<(i64, i64)> = on!(read self, c => sqlx::query_as(
            "SELECT id, COALESCE(complete_size, 0) FROM log ORDER BY id").fetch_all(c))?;
        rows.into_iter().map(|(id, size)| Ok((id, nat(size)?))).collect()
    }

    /// The sizes of the own logs' heads.
    pub async fn own_sizes(&self) -> Result<Vec<(Origin, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = on!(read self, c => sqlx::query_as(
            "SELECT origin, COALESCE(head_size, 0) FROM log WHERE own = 1 ORDER BY origin").fetch_all(c))?;
        let read = |(origin, size): (String, i64)| {
            let origin = origin.parse().map_err(|_| StoreError::Corrupt(format!("origin {origin:?}")))?;
            Ok((origin, nat(size)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Moves the head of a mirrored log from size `old` (None: no head yet); false if it stands elsewhere by now.
    pub async fn move_head(&self, log: i64, old: Option<u64>, head: &Head) -> Result<bool, StoreError> {
        let moved = retry(|| async {
            on!(write self, c => sqlx::query(MOVE_HEAD)
                .bind(int(head.size))
                .bind(&head.root[..])
                .bind(&head.note)
                .bind(head.seen_ms)
                .bind(log)
                .bind(old.map_or(-1, int))
                .execute(c))
        })
        .await?;
        Ok(moved == 1)
    }

    /// Stops a log for an administrator to look at, and keeps the proof.
    pub async fn freeze(&self, log: i64, reason: &str, evidence: &[u8], now_ms: i64) -> Result<(), StoreError> {
        let reason = clean(reason);
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(FREEZE).bind(&reason).bind(log).execute(c))?;
            on!(change tx, c => sqlx::query(KEEP_EVIDENCE)
                .bind(log).bind(&reason).bind(evidence).bind(now_ms).execute(c))?;
            tx.commit().await
        })
        .await
    }

    /// What is kept against a log: (reason, proof, when).
    pub async fn evidence(&self, log: i64) -> Result<Vec<(String, Vec<u8>, i64)>, StoreError> {
        on!(read self, c => sqlx::query_as(EVIDENCE).bind(log).fetch_all(c))
    }

    /// A full tile.
    pub async fn tile(&self, log: i64, level: u8, n: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        let row: Option<(Vec<u8>,)> = on!(read self, c => sqlx::query_as(TILE)
            .bind(log)
            .bind(i64::from(level))
            .bind(int(n))
            .fetch_optional(c))?;
        let Some((bytes,)) = row else { return Ok(None) };
        if bytes.len() != FULL * 32 {
            return Err(StoreError::Corrupt(format!("a tile of {} bytes", bytes.len())));
        }
        bytes.chunks_exact(32).map(hash).collect::<Result<_, _>>().map(Some)
    }
}

/// A tile's bytes as stored.
pub(super) fn tile_bytes(tile: &FullTile) -> Vec<u8> {
    encode_hashes(&tile.hashes)
}

/// The columns of a log.
#[derive(FromRow)]
struct Row {
    id: i64,
    origin: String,
    own: i64,
    state: String,
    reason: Option<String>,
    revoked_ms: Option<i64>,
    size: i64,
    edge: Vec<u8>,
    max_iat: i64,
    descriptor: Option<i64>,
    unvoided: Option<i64>,
    head_size: Option<i64>,
    head_root: Option<Vec<u8>>,
    head_note: Option<String>,
    head_ms: Option<i64>,
    complete_size: Option<i64>,
    complete_root: Option<Vec<u8>>,
    complete_note: Option<String>,
    complete_ms: Option<i64>,
}

impl TryFrom<Row> for LogRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let size = nat(row.size)?;
        let newest = head(row.head_size, row.head_root, row.head_note, row.head_ms)?;
        let complete = head(row.complete_size, row.complete_root, row.complete_note, row.complete_ms)?;
        Ok(Self {
            id: row.id,
            origin: row.origin.parse().map_err(|_| StoreError::Corrupt(format!("origin {:?}", row.origin)))?,
            own: row.own == 1,
            state: match row.state.as_str() {
                "open" => LogState::Open,
                "frozen" => LogState::Frozen,
                "closed" => LogState::Closed,
                other => return Err(StoreError::Corrupt(format!("log state {other:?}"))),
            },
            reason: row.reason,
            revoked_ms: row.revoked_ms,
            size,
            edge: Edge::decode(size, &row.edge).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            max_iat: row.max_iat,
            descriptor: row.descriptor.map(nat).transpose()?,
            unvoided: row.unvoided.map(nat).transpose()?,
            head: newest,
            complete,
        })
    }
}

/// A checkpoint's columns: all there, or none.
fn head(
    size: Option<i64>,
    root: Option<Vec<u8>>,
    note: Option<String>,
    seen_ms: Option<i64>,
) -> Result<Option<Head>, StoreError> {
    let (Some(size), Some(root), Some(note), Some(seen_ms)) = (size, root, note, seen_ms) else { return Ok(None) };
    Ok(Some(Head { size: nat(size)?, root: hash(&root)?, note, seen_ms }))
}
