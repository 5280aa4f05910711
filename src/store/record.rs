//! Records by identity, subjects by key and by name.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{Tx, hash, on};
use super::list::InList;
use super::statement::{Row, StatementRow};
use super::{Db, StoreError};
use crate::record::name::fold;
use crate::statement::{Digest, NodeId};

/// The current version of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its digest.
    pub digest: Digest,
    /// SHA-256 over what it says.
    pub content: [u8; 32],
}

/// A subject as it is found by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// Its key.
    pub key: String,
    /// A name under which a statement named it.
    pub name: String,
}

static CURRENT: LazyLock<InList> = LazyLock::new(|| {
    InList::new(3, |list| {
        format!("SELECT identity, digest, content FROM record WHERE issuer = $1 AND kind = $2 AND identity IN ({list})")
    })
});
// Behind a withdrawal nothing stands but a version that came later. What was withdrawn is little, so that it is asked first.
static WITHDRAWN: LazyLock<InList> = LazyLock::new(|| {
    InList::new(3, |list| {
        format!(
            "SELECT e.identity FROM event e JOIN statement s ON s.log = e.log AND s.idx = e.idx \
         JOIN log l ON l.id = e.log JOIN record r ON r.issuer = e.issuer AND r.kind = e.kind AND r.identity = e.identity \
         JOIN log v ON v.id = r.log WHERE e.issuer = $1 AND e.kind = $2 AND e.identity IN ({list}) \
         AND s.kind = 'withdrawal' AND s.verdict = 'accepted' AND l.node = e.issuer \
         AND (l.generation > v.generation OR (e.log = r.log AND e.idx > r.idx))"
        )
    })
});
const CURRENT_ONE: &str = "SELECT log, idx FROM record WHERE issuer = $1 AND kind = $2 AND identity = $3";
// What is no record has no versions, and counts as current. The limit is each log's own: one that has much to say about a
// subject must not hide the others.
const ABOUT: &str = "SELECT s.log, s.idx, s.class, s.digest, s.verdict, s.reason, s.body, s.jws, \
     CAST(CASE WHEN s.identity IS NULL OR r.idx IS NOT NULL THEN 1 ELSE 0 END AS BIGINT) AS current_version \
     FROM statement s JOIN log l ON l.id = s.log \
     LEFT JOIN record r ON r.issuer = l.node AND r.kind = s.kind AND r.identity = s.identity \
     AND r.log = s.log AND r.idx = s.idx \
     JOIN (SELECT log, idx, ROW_NUMBER() OVER (PARTITION BY log ORDER BY idx DESC) AS place \
     FROM statement WHERE subject = $1 AND verdict = 'accepted') newest ON newest.log = s.log AND newest.idx = s.idx \
     WHERE newest.place <= $2 ORDER BY s.log, s.idx";
// What a subject has is little, so that its index is the way in.
const RECORDS_ABOUT: &str = "SELECT s.log, s.idx, s.class, s.digest, s.verdict, s.reason, s.body, s.jws \
     FROM statement s JOIN record r ON r.issuer = $1 AND r.kind = s.kind AND r.identity = s.identity \
     AND r.log = s.log AND r.idx = s.idx \
     WHERE s.subject = $2 AND s.kind = $3 AND s.verdict = 'accepted' ORDER BY s.log, s.idx LIMIT $4";
const BEGINNING: &str =
    "SELECT key, name FROM subject WHERE folded >= $1 AND folded < $2 ORDER BY folded, key LIMIT $3";
const CALLED: &str = "SELECT DISTINCT key FROM subject WHERE folded = $1 ORDER BY key LIMIT $2";
const CONTAINING: &str = "SELECT key, name FROM subject WHERE folded LIKE $1 ESCAPE '!' ORDER BY folded, key LIMIT $2";

impl Db {
    /// The current versions of these identities under one issuer and kind.
    pub async fn current(
        &self,
        issuer: &NodeId,
        kind: &str,
        identities: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Current>, StoreError> {
        let mut found = HashMap::new();
        let identities: Vec<&[u8]> = identities.iter().map(|identity| &identity[..]).collect();
        for (sql, asked) in CURRENT.of(&identities) {
            let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = on!(read self, c => asked
                .fold(sqlx::query_as(sql).bind(issuer.as_str()).bind(kind), |query, identity| query.bind(identity))
                .fetch_all(c))?;
            for (identity, digest, content) in rows {
                let current = Current { digest: Digest(hash(&digest)?), content: hash(&content)? };
                found.insert(hash(&identity)?, current);
            }
        }
        Ok(found)
    }

    /// Of these identities under one issuer and kind, those whose current version is withdrawn.
    pub async fn withdrawn(
        &self,
        issuer: &NodeId,
        kind: &str,
        identities: &[[u8; 32]],
    ) -> Result<HashSet<[u8; 32]>, StoreError> {
        let mut found = HashSet::new();
        let identities: Vec<&[u8]> = identities.iter().map(|identity| &identity[..]).collect();
        for (sql, asked) in WITHDRAWN.of(&identities) {
            let rows: Vec<(Vec<u8>,)> = on!(read self, c => asked
                .fold(sqlx::query_as(sql).bind(issuer.as_str()).bind(kind), |query, identity| query.bind(identity))
                .fetch_all(c))?;
            for (identity,) in rows {
                found.insert(hash(&identity)?);
            }
        }
        Ok(found)
    }

    /// The newest accepted statements about a subject, at most `limit` of each log, by log and index, each with whether it
    /// is the current version of its record.
    pub async fn about(&self, subject: &str, limit: u32) -> Result<Vec<(StatementRow, bool)>, StoreError> {
        let rows: Vec<About> = on!(read self, c => sqlx::query_as(ABOUT)
            .bind(subject)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(|row| Ok((row.statement.try_into()?, row.current_version == 1))).collect()
    }

    /// The current versions of an issuer's records of a kind about a subject, by log and index; at most `limit`.
    pub async fn records_about(
        &self,
        issuer: &NodeId,
        kind: &str,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<StatementRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(RECORDS_ABOUT)
            .bind(issuer.as_str())
            .bind(subject)
            .bind(kind)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(StatementRow::try_from).collect()
    }

    /// The keys of subjects of exactly this name, brackets and width apart; at most `limit`.
    pub async fn subjects_called(&self, name: &str, limit: u32) -> Result<Vec<String>, StoreError> {
        let folded = fold(name);
        if folded.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<(String,)> =
            on!(read self, c => sqlx::query_as(CALLED).bind(&folded).bind(i64::from(limit)).fetch_all(c))?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }

    /// Subjects whose folded name begins with the folded text, else contains it; at most `limit`.
    pub async fn subjects_named(&self, text: &str, limit: u32) -> Result<Vec<SubjectRow>, StoreError> {
        let folded = fold(text);
        if folded.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows: Vec<(String, String)> = on!(read self, c => sqlx::query_as(BEGINNING)
            .bind(&folded)
            .bind(format!("{folded}{}", char::MAX))
            .bind(i64::from(limit))
            .fetch_all(c))?;
        if rows.is_empty() {
            rows = on!(read self, c => sqlx::query_as(CONTAINING)
                .bind(format!("%{}%", escape(&folded)))
                .bind(i64::from(limit))
                .fetch_all(c))?;
        }
        Ok(rows.into_iter().map(|(key, name)| SubjectRow { key, name }).collect())
    }
}

/// Where a record's current version stands, as a transaction sees it: log and index.
pub(super) async fn current_on(
    tx: &mut Tx,
    issuer: &NodeId,
    kind: &str,
    identity: &[u8; 32],
) -> Result<Option<(i64, i64)>, StoreError> {
    on!(tx tx, c => sqlx::query_as(CURRENT_ONE)
        .bind(issuer.as_str())
        .bind(kind)
        .bind(&identity[..])
        .fetch_optional(c))
}

#[derive(FromRow)]
struct About {
    #[sqlx(flatten)]
    statement: Row,
    current_version: i64,
}

/// Text as a LIKE pattern that means itself.
fn escape(text: &str) -> String {
    text.chars().flat_map(|c| matches!(c, '%' | '_' | '!').then_some('!').into_iter().chain([c])).collect()
}
