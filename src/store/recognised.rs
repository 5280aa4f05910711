//! What partners made of this node's own repairs and revocations.

use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{hash, on};
use super::event::statement;
use super::list::InList;
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId, Statement};

/// Something that was said about a repair or a revocation.
#[derive(Clone, Debug)]
pub struct OfRepair {
    /// The repair or revocation.
    pub repair: Digest,
    /// Who said it.
    pub by: NodeId,
    /// A `recognition`, or the `repair-revocation` of the repair.
    pub statement: Statement,
}

// The index of repairs is the way in, whatever else the log holds; its condition stands here word by word.
const SAID: &str = "SELECT s.digest, s.jws FROM statement s WHERE s.log = $1 \
     AND s.kind IN ('repair', 'repair-revocation') AND s.verdict = 'accepted' AND s.jws IS NOT NULL AND s.iat < $2 \
     ORDER BY s.log DESC, s.idx DESC LIMIT $3";
static ABOUT: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| {
        format!(
            "SELECT r.digest, l.node, s.jws FROM reference r JOIN statement s ON s.log = r.log AND s.idx = r.idx \
             JOIN log l ON l.id = s.log WHERE r.digest IN ({list}) AND s.kind IN ('recognition', 'repair-revocation') \
             AND s.verdict = 'accepted' AND s.jws IS NOT NULL ORDER BY l.node, l.generation, s.idx"
        )
    })
});

impl Db {
    /// The newest repairs and revocations of a log that were said before a time in seconds since 1970, the newest first.
    pub async fn repairs_said_before(
        &self,
        log: i64,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(Digest, Statement)>, StoreError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = on!(read self, c => sqlx::query_as(SAID)
            .bind(log)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(|(digest, jws)| Ok((Digest(hash(&digest)?), statement(jws)?))).collect()
    }

    /// What was said about these, by each node in the order of its log.
    pub async fn said_of_repairs(&self, repairs: &[Digest]) -> Result<Vec<OfRepair>, StoreError> {
        let asked: Vec<&[u8]> = repairs.iter().map(|digest| &digest.0[..]).collect();
        let mut found = Vec::new();
        for (sql, asked) in ABOUT.of(&asked) {
            let rows: Vec<Row> =
                on!(read self, c => asked.fold(sqlx::query_as(sql), |query, one| query.bind(one)).fetch_all(c))?;
            for row in rows {
                found.push(row.read()?);
            }
        }
        Ok(found)
    }
}

#[derive(FromRow)]
struct Row {
    digest: Vec<u8>,
    node: String,
    jws: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<OfRepair, StoreError> {
        let by = self.node.parse().map_err(|_| StoreError::Corrupt(format!("the node {:?}", self.node)))?;
        Ok(OfRepair { repair: Digest(hash(&self.digest)?), by, statement: statement(self.jws)? })
    }
}
