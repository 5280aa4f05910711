//! Which descriptor of this node a peer says it holds. It only grows.

use super::db::{int, nat, on, retry};
use super::{Db, StoreError};
use crate::statement::NodeId;

const NOTE: &str = "UPDATE peer SET picked_up = $1 WHERE node = $2 AND (picked_up IS NULL OR picked_up < $1)";
const ALL: &str = "SELECT node, picked_up FROM peer ORDER BY node";

impl Db {
    /// Notes that a peer holds the descriptor of this sequence; what it held before, it holds no less.
    pub async fn note_picked_up(&self, node: &NodeId, sequence: u64) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(NOTE).bind(int(sequence)).bind(node.as_str()).execute(c)) })
            .await?;
        Ok(())
    }

    /// What each peer has said, by id; None for one that has said nothing yet.
    pub async fn picked_up(&self) -> Result<Vec<(NodeId, Option<u64>)>, StoreError> {
        let rows: Vec<(String, Option<i64>)> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        let of = |(node, held): (String, Option<i64>)| {
            let id = node.parse().map_err(|_| StoreError::Corrupt(format!("peer {node:?}")))?;
            Ok((id, held.map(nat).transpose()?))
        };
        rows.into_iter().map(of).collect()
    }
}
