//! Descriptors that peers offered and that were not taken: evidence, and what their owners are told of it.

use super::db::{clean, int, nat, on, retry};
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId};

/// One that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedDescriptor {
    /// Its sequence; 0 where it could not be read.
    pub sequence: u64,
    /// A short name of the reason.
    pub reason: String,
    /// In words.
    pub words: String,
    /// The statement as it was offered.
    pub jws: String,
    /// The one that was taken under the same sequence, where the node has two.
    pub held: Option<String>,
    /// When it was first offered, milliseconds since 1970.
    pub at_ms: i64,
}

/// Kept of one peer: whoever makes many must not fill the disk.
const MOST: i64 = 100;

const REFUSE: &str = "INSERT INTO refused_descriptor (node, digest, sequence, reason, words, jws, held, at_ms) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
     WHERE (SELECT COUNT(*) FROM refused_descriptor r WHERE r.node = $1) < $9 ON CONFLICT DO NOTHING";
const REFUSED: &str = "SELECT sequence, reason, words, jws, held, at_ms FROM refused_descriptor \
     WHERE node = $1 ORDER BY at_ms DESC, sequence DESC LIMIT $2";
const TAKEN: &str = "SELECT sequence, jws FROM descriptor WHERE node = $1 ORDER BY sequence DESC LIMIT $2";

/// As they are selected.
type Columns = (i64, String, String, Vec<u8>, Option<Vec<u8>>, i64);

impl Db {
    /// Keeps one as evidence; false if it is known already.
    pub async fn refuse_descriptor(&self, node: &NodeId, refused: &RefusedDescriptor) -> Result<bool, StoreError> {
        let kept = retry(|| async {
            on!(write self, c => sqlx::query(REFUSE)
                .bind(node.as_str())
                .bind(&Digest::of(refused.jws.as_bytes()).0[..])
                .bind(int(refused.sequence))
                .bind(&refused.reason)
                .bind(clean(&refused.words))
                .bind(refused.jws.as_bytes())
                .bind(refused.held.as_deref().map(str::as_bytes))
                .bind(refused.at_ms)
                .bind(MOST)
                .execute(c))
        });
        Ok(kept.await? == 1)
    }

    /// The newest that were not taken of a peer.
    pub async fn refused_descriptors(&self, node: &NodeId, limit: u32) -> Result<Vec<RefusedDescriptor>, StoreError> {
        let rows: Vec<Columns> =
            on!(read self, c => sqlx::query_as(REFUSED).bind(node.as_str()).bind(i64::from(limit)).fetch_all(c))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        rows.into_iter()
            .map(|(sequence, reason, words, jws, held, at_ms)| {
                let (jws, held) = (text(jws), held.map(text));
                Ok(RefusedDescriptor { sequence: nat(sequence)?, reason, words, jws, held, at_ms })
            })
            .collect()
    }

    /// The newest that were taken of a peer: sequence and statement.
    pub async fn taken_descriptors(&self, node: &NodeId, limit: u32) -> Result<Vec<(u64, String)>, StoreError> {
        let rows: Vec<(i64, String)> =
            on!(read self, c => sqlx::query_as(TAKEN).bind(node.as_str()).bind(i64::from(limit)).fetch_all(c))?;
        rows.into_iter().map(|(sequence, jws)| Ok((nat(sequence)?, jws))).collect()
    }
}
