//! What was said of applications for a repair at another city's window.

use sqlx::FromRow;

use super::db::{hash, nat, on};
use super::event::{place, statement};
use super::{Db, StoreError};
use crate::log::event::RecordPlace;
use crate::statement::{Digest, NodeId, Statement};

/// Something that was said of an application, and the record that it is about.
#[derive(Clone, Debug)]
pub struct OfApplication {
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub statement: Statement,
    /// The record.
    pub place: RecordPlace,
}

// The index of applications is the way in, whatever else the log holds.
const ALL: &str = "SELECT s.digest, s.jws, e.issuer, e.kind, e.identity FROM statement s \
     JOIN log l ON l.id = s.log JOIN event e ON e.log = s.log AND e.idx = s.idx \
     WHERE s.kind = 'application' AND s.verdict = 'accepted' AND s.jws IS NOT NULL \
     ORDER BY l.node, l.generation, s.idx";
// Own and of those who decide on what was filed here: what a partner mirrors of other cities may be many times as much.
const OWN: &str = "SELECT s.digest, s.jws, e.issuer, e.kind, e.identity FROM statement s \
     JOIN log l ON l.id = s.log JOIN event e ON e.log = s.log AND e.idx = s.idx \
     WHERE s.kind = 'application' AND s.verdict = 'accepted' AND s.jws IS NOT NULL \
     AND (e.issuer = $1 OR e.identity IN (SELECT o.identity FROM statement f JOIN log w ON w.id = f.log AND w.own = 1 \
     JOIN event o ON o.log = f.log AND o.idx = f.idx WHERE f.kind = 'application')) \
     ORDER BY l.node, l.generation, s.idx";
const COUNT: &str = "SELECT COUNT(*) FROM statement WHERE kind = 'application' AND verdict = 'accepted'";

impl Db {
    /// All that was said of applications, in the order of each log.
    pub async fn applications(&self) -> Result<Vec<OfApplication>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// What was said of those that a node has filed or decides on.
    pub async fn applications_of(&self, node: &NodeId) -> Result<Vec<OfApplication>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(OWN).bind(node.as_str()).fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// How much all of that is.
    pub async fn count_of_applications(&self) -> Result<u64, StoreError> {
        nat(on!(read self, c => sqlx::query_scalar(COUNT).fetch_one(c))?)
    }
}

#[derive(FromRow)]
struct Row {
    digest: Vec<u8>,
    jws: Vec<u8>,
    issuer: String,
    kind: String,
    identity: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<OfApplication, StoreError> {
        Ok(OfApplication {
            digest: Digest(hash(&self.digest)?),
            statement: statement(self.jws)?,
            place: place(&self.issuer, self.kind, &self.identity)?,
        })
    }
}
