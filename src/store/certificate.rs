//! The ends of the TLS certificates that other nodes showed, as a running process saw them in handshakes: other commands
//! see no handshakes, and warn of them too.

use std::collections::HashMap;

use super::db::{on, retry};
use super::{Db, StoreError};
use crate::statement::NodeId;

const SHOWN: &str = "INSERT INTO certificate (node, until_ms) VALUES ($1, $2) \
     ON CONFLICT (node) DO UPDATE SET until_ms = excluded.until_ms";

impl Db {
    /// Notes when the certificate ends that a node showed last; milliseconds since 1970.
    pub async fn note_certificate(&self, node: &NodeId, until_ms: i64) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(SHOWN).bind(node.as_str()).bind(until_ms).execute(c)) })
            .await?;
        Ok(())
    }

    /// When the certificates end that nodes showed last; milliseconds since 1970.
    pub async fn certificates(&self) -> Result<HashMap<NodeId, i64>, StoreError> {
        let rows: Vec<(String, i64)> =
            on!(read self, c => sqlx::query_as("SELECT node, until_ms FROM certificate ORDER BY node").fetch_all(c))?;
        let node = |node: String| node.parse().map_err(|_| StoreError::Corrupt(format!("certificate of {node:?}")));
        rows.into_iter().map(|(id, until_ms)| Ok((node(id)?, until_ms))).collect()
    }
}
