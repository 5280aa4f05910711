//! Peers: the registry's rows and how the last contact with each went.

use super::{Db, StoreError};
use crate::statement::NodeId;

/// A peer as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRow {
    /// Its id.
    pub node: NodeId,
    /// `active` … (the ceremony comes later).
    pub state: String,
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

impl Db {
    /// Adds a peer, or takes a newer descriptor of it (a lower sequence changes nothing and returns false).
    pub async fn put_peer(&self, _peer: &PeerRow) -> Result<bool, StoreError> {
        todo!()
    }
    /// All, by id.
    pub async fn peers(&self) -> Result<Vec<PeerRow>, StoreError> {
        todo!()
    }
    /// A number that grows with each change of the registry.
    pub async fn registry_version(&self) -> Result<i64, StoreError> {
        todo!()
    }
    /// Notes how a contact went: None for success.
    pub async fn note_contact(&self, _node: &NodeId, _error: Option<&str>, _now_ms: i64) -> Result<(), StoreError> {
        todo!()
    }
}
