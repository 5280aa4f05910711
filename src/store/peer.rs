//! Peers: the registry's rows and how the last contact with each went.

use sqlx::FromRow;

use super::db::{clean, int, nat, on, retry};
use super::peer_state::PeerState;
use super::{Db, StoreError};
use crate::statement::NodeId;

/// A peer as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Its id.
    pub node: NodeId,
    /// Where it stands with this node.
    pub state: PeerState,
    /// Its newest descriptor statement.
    pub descriptor: String,
    /// That one's sequence.
    pub sequence: u64,
    /// Another address than the descriptor's.
    pub url: Option<String>,
    /// When it was added, milliseconds since 1970.
    pub added_ms: i64,
    /// The last time that it answered.
    pub success_ms: Option<i64>,
    /// The last time that it did not, and in words what happened.
    pub error_ms: Option<i64>,
    /// In words.
    pub error: Option<String>,
}

const PUT: &str = "INSERT INTO peer (node, state, descriptor, sequence, url, added_ms) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (node) DO UPDATE SET descriptor = excluded.descriptor, sequence = excluded.sequence, \
     url = COALESCE(excluded.url, peer.url) WHERE peer.sequence < excluded.sequence \
     OR (peer.sequence = excluded.sequence AND peer.descriptor = excluded.descriptor)";
const KEEP: &str =
    "INSERT INTO descriptor (node, sequence, jws, taken_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const BUMP: &str = "UPDATE registry SET version = version + 1 WHERE id = 1";
const ALL: &str = "SELECT node, state, descriptor, sequence, url, added_ms, success_ms, error_ms, error \
     FROM peer ORDER BY node";
const SUCCEEDED: &str = "UPDATE peer SET success_ms = $1 WHERE node = $2";
const FAILED: &str = "UPDATE peer SET error_ms = $1, error = $3 WHERE node = $2";

impl PeerRow {
    /// A peer that was not spoken with yet, at the address that its descriptor names.
    pub fn new(node: NodeId, state: PeerState, descriptor: &str, sequence: u64, added_ms: i64) -> Self {
        Self {
            node,
            state,
            descriptor: descriptor.to_owned(),
            sequence,
            url: None,
            added_ms,
            success_ms: None,
            error_ms: None,
            error: None,
        }
    }
}

impl Db {
    /// Adds a peer, or takes a newer descriptor of it; its state stays as it is. A lower sequence, or another descriptor
    /// of the same sequence, changes nothing and returns false.
    pub async fn put_peer(&self, peer: &PeerRow) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let taken = on!(change tx, c => sqlx::query(PUT)
                .bind(peer.node.as_str())
                .bind(peer.state.as_str())
                .bind(&peer.descriptor)
                .bind(int(peer.sequence))
                .bind(peer.url.as_deref())
                .bind(peer.added_ms)
                .execute(c))?;
            if taken == 0 {
                return Ok(false);
            }
            on!(change tx, c => sqlx::query(KEEP)
                .bind(peer.node.as_str())
                .bind(int(peer.sequence))
                .bind(&peer.descriptor)
                .bind(peer.added_ms)
                .execute(c))?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// All, by id.
    pub async fn peers(&self) -> Result<Vec<PeerRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(PeerRow::try_from).collect()
    }

    /// A number that grows with each change of the registry.
    pub async fn registry_version(&self) -> Result<i64, StoreError> {
        let (version,): (i64,) =
            on!(read self, c => sqlx::query_as("SELECT version FROM registry WHERE id = 1").fetch_one(c))?;
        Ok(version)
    }

    /// Notes how a contact went: None for success. The last failure stays, with its time.
    pub async fn note_contact(&self, node: &NodeId, error: Option<&str>, now_ms: i64) -> Result<(), StoreError> {
        let error = error.map(clean);
        retry(|| async {
            match &error {
                None => on!(write self, c => sqlx::query(SUCCEEDED).bind(now_ms).bind(node.as_str()).execute(c)),
                Some(error) => on!(write self, c => sqlx::query(FAILED)
                    .bind(now_ms).bind(node.as_str()).bind(error).execute(c)),
            }
        })
        .await?;
        Ok(())
    }
}

#[derive(FromRow)]
struct Row {
    node: String,
    state: String,
    descriptor: String,
    sequence: i64,
    url: Option<String>,
    added_ms: i64,
    success_ms: Option<i64>,
    error_ms: Option<i64>,
    error: Option<String>,
}

impl TryFrom<Row> for PeerRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            node: row.node.parse().map_err(|_| StoreError::Corrupt(format!("peer {:?}", row.node)))?,
            state: row.state.parse().map_err(|_| StoreError::Corrupt(format!("a peer is {:?}", row.state)))?,
            descriptor: row.descriptor,
            sequence: nat(row.sequence)?,
            url: row.url,
            added_ms: row.added_ms,
            success_ms: row.success_ms,
            error_ms: row.error_ms,
            error: row.error,
        })
    }
}
