//! Peers: the registry's rows and how the last contact with each went.

use sqlx::FromRow;

use super::account::BUMP;
use super::db::{clean, int, nat, on, retry};
use super::peer_state::PeerState;
use super::pending::{Change, note};
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
    /// Who typed its fingerprint.
    pub proposed_by: Option<String>,
    /// Who agreed: another person.
    pub approved_by: Option<String>,
    /// It was taken by a file, before this node had accounts: no two persons stand for it.
    pub by_file: bool,
    /// When its state last changed, milliseconds since 1970.
    pub changed_ms: i64,
    /// Why it was suspended or revoked.
    pub reason: Option<String>,
    /// What it last said of how this node stands there, as JSON, and when.
    pub standing: Option<String>,
    /// Milliseconds since 1970.
    pub standing_ms: Option<i64>,
    /// The sequence of this node's own descriptor that it says it holds.
    pub picked_up: Option<u64>,
    /// When it was added, milliseconds since 1970.
    pub added_ms: i64,
    /// The last time that it answered.
    pub success_ms: Option<i64>,
    /// The last time that it did not, and in words what happened.
    pub error_ms: Option<i64>,
    /// In words.
    pub error: Option<String>,
}

const NEWER: &str = "UPDATE peer SET descriptor = $1, sequence = $2, url = COALESCE($3, url) \
     WHERE node = $4 AND state <> 'revoked' AND (sequence < $2 OR (sequence = $2 AND descriptor = $1))";
// where there are persons, nobody comes in without them
const PUT: &str = "INSERT INTO peer (node, state, descriptor, sequence, url, by_file, changed_ms, added_ms) \
     SELECT $1, $2, $3, $4, $5, 1, $6, $6 WHERE NOT EXISTS (SELECT 1 FROM peer p WHERE p.node = $1) \
     AND NOT EXISTS (SELECT 1 FROM account)";
const KEEP: &str =
    "INSERT INTO descriptor (node, sequence, jws, taken_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const ALL: &str = "SELECT node, state, descriptor, sequence, url, proposed_by, approved_by, by_file, changed_ms, reason, \
     standing, standing_ms, picked_up, added_ms, success_ms, error_ms, error FROM peer ORDER BY node";
const SUCCEEDED: &str = "UPDATE peer SET success_ms = $1 WHERE node = $2";
const FAILED: &str = "UPDATE peer SET error_ms = $1, error = $3 WHERE node = $2";

impl PeerRow {
    /// A peer that was taken by a file and not spoken with yet, at the address that its descriptor names.
    pub fn new(node: NodeId, state: PeerState, descriptor: &str, sequence: u64, added_ms: i64) -> Self {
        Self {
            node,
            state,
            descriptor: descriptor.to_owned(),
            sequence,
            url: None,
            proposed_by: None,
            approved_by: None,
            by_file: true,
            changed_ms: added_ms,
            reason: None,
            standing: None,
            standing_ms: None,
            picked_up: None,
            added_ms,
            success_ms: None,
            error_ms: None,
            error: None,
        }
    }
}

impl Db {
    /// Takes a newer descriptor of a peer, whose state stays as it is, or adds one by its file: that only while this node
    /// has no accounts, since afterwards two persons add a peer. False if nothing changed: the sequence is lower, or the
    /// same of another descriptor, or the peer is revoked, or there are accounts.
    pub async fn put_peer(&self, peer: &PeerRow) -> Result<bool, StoreError> {
        self.put(peer, None).await
    }

    /// The same, with the change that the exchange log will keep of it.
    pub async fn put_peer_noting(&self, peer: &PeerRow, change: &Change<'_>) -> Result<bool, StoreError> {
        self.put(peer, Some(change)).await
    }

    async fn put(&self, peer: &PeerRow, change: Option<&Change<'_>>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            let newer = on!(change tx, c => sqlx::query(NEWER)
                .bind(&peer.descriptor)
                .bind(int(peer.sequence))
                .bind(peer.url.as_deref())
                .bind(peer.node.as_str())
                .execute(c))?;
            if newer == 0 {
                let added = on!(change tx, c => sqlx::query(PUT)
                    .bind(peer.node.as_str())
                    .bind(peer.state.as_str())
                    .bind(&peer.descriptor)
                    .bind(int(peer.sequence))
                    .bind(peer.url.as_deref())
                    .bind(peer.added_ms)
                    .execute(c))?;
                if added == 0 {
                    return Ok(false);
                }
            }
            on!(change tx, c => sqlx::query(KEEP)
                .bind(peer.node.as_str())
                .bind(int(peer.sequence))
                .bind(&peer.descriptor)
                .bind(peer.added_ms)
                .execute(c))?;
            if let Some(change) = change {
                note(&mut tx, change).await?;
            }
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
    proposed_by: Option<String>,
    approved_by: Option<String>,
    by_file: i64,
    changed_ms: i64,
    reason: Option<String>,
    standing: Option<String>,
    standing_ms: Option<i64>,
    picked_up: Option<i64>,
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
            proposed_by: row.proposed_by,
            approved_by: row.approved_by,
            by_file: row.by_file == 1,
            changed_ms: row.changed_ms,
            reason: row.reason,
            standing: row.standing,
            standing_ms: row.standing_ms,
            picked_up: row.picked_up.map(nat).transpose()?,
            added_ms: row.added_ms,
            success_ms: row.success_ms,
            error_ms: row.error_ms,
            error: row.error,
        })
    }
}
