//! Statements by place and by digest.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use sqlx::FromRow;

use super::append::{AppendError, Stored};
use super::db::{hash, int, nat, on, retry};
use super::list::InList;
use super::project::{Columns, Projections};
use super::{Db, StoreError, turned};
use crate::log::version::{Identified, Waiting};
use crate::log::{Class, Entry};
use crate::statement::Digest;

/// What there is of a statement at a place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The compact JWS.
    Here(String),
    /// Withheld by whoever served it.
    Withheld,
    /// Erased.
    Erased,
}

/// A stored statement.
#[derive(Clone, Debug)]
pub struct StatementRow {
    /// Log number.
    pub log: i64,
    /// Index in the log.
    pub index: u64,
    /// Entry.
    pub entry: Entry,
    /// Body.
    pub body: Body,
    /// `accepted`, `held: …`, `refused: …`, or `unread` where no body came.
    pub verdict: String,
}

const ENTRIES: &str = "SELECT class, digest FROM statement WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
const STATEMENTS: &str = "SELECT log, idx, class, digest, verdict, reason, body, jws FROM statement \
     WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
const FIND: &str = "SELECT log, idx, class, digest, verdict, reason, body, jws FROM statement \
     WHERE digest = $1 ORDER BY log, idx";
static VERDICTS: LazyLock<InList> = LazyLock::new(|| {
    InList::new(1, |list| format!("SELECT digest, verdict FROM statement WHERE digest IN ({list}) ORDER BY log, idx"))
});
const DESCRIPTORS: &str = "SELECT idx, jws FROM statement \
     WHERE log = $1 AND kind = 'descriptor' AND verdict = 'accepted' AND jws IS NOT NULL AND idx >= $2 ORDER BY idx";
const HELD: &str = "SELECT log, idx, class, digest, verdict, reason, body, jws FROM statement \
     WHERE log = $1 AND verdict = 'held' AND idx >= $2 ORDER BY idx LIMIT $3";
const ABOUT_IT: &str = "SELECT s.log, s.idx, s.class, s.digest, s.verdict, s.reason, s.body, s.jws \
     FROM reference r JOIN statement s ON s.log = r.log AND s.idx = r.idx \
     WHERE r.digest = $1 ORDER BY s.log, s.idx LIMIT $2";
// Whoever comes second finds it settled.
const SETTLE: &str = "UPDATE statement SET verdict = $1, reason = $2, subject = $3, identity = $4, instead = $5 \
     WHERE log = $6 AND idx = $7 AND verdict = 'held'";
const UNLESS_VOIDING: &str = "UPDATE log SET size = size WHERE id = $1 AND unvoided IS NULL";
const ANY_HELD: &str = "SELECT idx FROM statement WHERE log = $1 AND verdict = 'held' LIMIT 1";
// `verdict <> 'accepted'` is the condition of the index
static WAITING: LazyLock<InList> = LazyLock::new(|| {
    InList::new(3, |list| {
        format!(
            "SELECT DISTINCT identity FROM statement WHERE log = $1 AND kind = $2 AND verdict <> 'accepted' \
             AND verdict = 'held' AND identity IN ({list})"
        )
    })
});
const WAITING_KIND: &str = "SELECT idx FROM statement WHERE log = $1 AND kind = $2 AND verdict = 'held' \
     AND identity IS NULL LIMIT 1";
const GAP: &str = "SELECT g.idx FROM statement g WHERE g.digest = $1 AND g.log = $2 AND g.idx < $3 \
     AND g.verdict = 'unread' AND NOT EXISTS (SELECT 1 FROM statement f WHERE f.prev = $1 AND f.log = $2 \
     AND f.idx < $4 AND f.kind = $5 AND f.identity = $6 AND f.verdict = 'accepted') LIMIT 1";

impl Db {
    /// Entries from `first` on, `count` of them or as many as there are.
    pub async fn entries(&self, log: i64, first: u64, count: u64) -> Result<Vec<Entry>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = on!(read self, c => sqlx::query_as(ENTRIES)
            .bind(log)
            .bind(int(first))
            .bind(int(first.saturating_add(count)))
            .fetch_all(c))?;
        rows.into_iter().map(|(class, digest)| entry(class, &digest)).collect()
    }

    /// The same with their bodies.
    pub async fn statements(&self, log: i64, first: u64, count: u64) -> Result<Vec<StatementRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(STATEMENTS)
            .bind(log)
            .bind(int(first))
            .bind(int(first.saturating_add(count)))
            .fetch_all(c))?;
        rows.into_iter().map(StatementRow::try_from).collect()
    }

    /// Wherever the statement of this digest stands (a descriptor stands in both logs).
    pub async fn find(&self, digest: &Digest) -> Result<Vec<StatementRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(FIND).bind(&digest.as_bytes()[..]).fetch_all(c))?;
        rows.into_iter().map(StatementRow::try_from).collect()
    }

    /// What was judged of the statements of these digests, wherever they stand, by log and index.
    pub async fn verdicts(&self, digests: &[Digest]) -> Result<Vec<(Digest, String)>, StoreError> {
        let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest.0[..]).collect();
        let mut found = Vec::new();
        for (sql, asked) in VERDICTS.of(&digests) {
            let rows: Vec<(Vec<u8>, String)> =
                on!(read self, c => asked.fold(sqlx::query_as(sql), |query, digest| query.bind(digest)).fetch_all(c))?;
            for (digest, verdict) in rows {
                found.push((Digest(hash(&digest)?), verdict));
            }
        }
        Ok(found)
    }

    /// Accepted statements that name this digest in their `ref`, by log and index.
    pub async fn referring(&self, digest: &Digest, limit: u32) -> Result<Vec<StatementRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ABOUT_IT)
            .bind(&digest.as_bytes()[..])
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(StatementRow::try_from).collect()
    }

    /// Accepted descriptors of a log in order: (index, jws).
    pub async fn descriptors(&self, log: i64) -> Result<Vec<(u64, String)>, StoreError> {
        self.descriptors_from(log, 0).await
    }

    /// Those from an index on.
    pub async fn descriptors_from(&self, log: i64, first: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> =
            on!(read self, c => sqlx::query_as(DESCRIPTORS).bind(log).bind(int(first)).fetch_all(c))?;
        rows.into_iter().map(|(index, jws)| Ok((nat(index)?, text(jws)?))).collect()
    }

    /// Held statements of a log from index `first` on, in order.
    pub async fn held(&self, log: i64, first: u64, limit: u32) -> Result<Vec<StatementRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(HELD)
            .bind(log)
            .bind(int(first))
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(StatementRow::try_from).collect()
    }

    /// Whether any statement of a log is held.
    pub async fn any_held(&self, log: i64) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(read self, c => sqlx::query_as(ANY_HELD).bind(log).fetch_optional(c))?;
        Ok(row.is_some())
    }

    /// What of a log is held at these places, or is of one of their kinds and of no known place.
    pub async fn waiting(&self, log: i64, places: &HashSet<Identified>) -> Result<Waiting, StoreError> {
        let mut waiting = Waiting::default();
        let mut by_kind: BTreeMap<&str, Vec<&[u8; 32]>> = BTreeMap::new();
        for (kind, identity) in places {
            by_kind.entry(kind).or_default().push(identity);
        }
        for (kind, identities) in by_kind {
            let row: Option<(i64,)> =
                on!(read self, c => sqlx::query_as(WAITING_KIND).bind(log).bind(kind).fetch_optional(c))?;
            if row.is_some() {
                waiting.add(kind, None);
            }
            for (sql, asked) in WAITING.of(&identities) {
                let rows: Vec<(Vec<u8>,)> = on!(read self, c => asked
                    .fold(sqlx::query_as(sql).bind(log).bind(kind), |query, identity| query.bind(&identity[..]))
                    .fetch_all(c))?;
                for (identity,) in rows {
                    waiting.add(kind, Some(hash(&identity)?));
                }
            }
        }
        Ok(waiting)
    }

    /// Whether a digest names an entry of a log below an index whose body is not here, and that no accepted record of
    /// this place below another has replaced.
    pub async fn gap(
        &self,
        log: i64,
        digest: &Digest,
        (below, replaced_below): (u64, u64),
        place: &Identified,
    ) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = on!(read self, c => sqlx::query_as(GAP)
            .bind(&digest.as_bytes()[..])
            .bind(log)
            .bind(int(below))
            .bind(int(replaced_below))
            .bind(&place.0)
            .bind(&place.1[..])
            .fetch_optional(c))?;
        Ok(row.is_some())
    }

    /// A held statement is now accepted, or refused: moves its projections in. One that is held no longer stays as it is.
    pub async fn settle(&self, log: i64, index: u64, stored: &Stored) -> Result<(), AppendError> {
        let columns = Columns::of(index, None, stored);
        let projections = Projections::of(index, std::iter::once(stored))?;
        retry(|| async {
            let mut tx = self.begin().await?;
            // nobody judges by versions that are about to be void
            if on!(change tx, c => sqlx::query(UNLESS_VOIDING).bind(log).execute(c))? == 0 {
                return Err(AppendError::Moved);
            }
            let settled = on!(change tx, c => sqlx::query(SETTLE)
                .bind(columns.verdict)
                .bind(columns.reason.as_deref())
                .bind(columns.subject.as_deref())
                .bind(columns.identity)
                .bind(columns.instead)
                .bind(log)
                .bind(int(index))
                .execute(c))?;
            if settled == 1 {
                projections.write(&mut tx, log).await?;
                if let Stored::Accepted(_, projection) = stored
                    && let Some((subject, _)) = &projection.subject
                {
                    turned::note(&mut tx, log, index, subject, true).await?;
                }
                tx.commit().await?;
            }
            Ok::<(), AppendError>(())
        })
        .await
    }
}

/// The columns of a statement that make a [`StatementRow`].
#[derive(FromRow)]
pub(super) struct Row {
    pub(super) log: i64,
    pub(super) idx: i64,
    pub(super) class: i64,
    pub(super) digest: Vec<u8>,
    pub(super) verdict: String,
    pub(super) reason: Option<String>,
    pub(super) body: String,
    pub(super) jws: Option<Vec<u8>>,
}

impl TryFrom<Row> for StatementRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            log: row.log,
            index: nat(row.idx)?,
            entry: entry(row.class, &row.digest)?,
            body: match (row.body.as_str(), row.jws) {
                ("here", Some(jws)) => Body::Here(text(jws)?),
                ("withheld", None) => Body::Withheld,
                ("erased", None) => Body::Erased,
                (other, _) => return Err(StoreError::Corrupt(format!("body {other:?} at index {}", row.idx))),
            },
            verdict: match row.reason {
                Some(reason) => format!("{}: {reason}", row.verdict),
                None => row.verdict,
            },
        })
    }
}

fn entry(class: i64, digest: &[u8]) -> Result<Entry, StoreError> {
    let class = match class {
        0 => Class::Open,
        1 => Class::Addressed,
        other => return Err(StoreError::Corrupt(format!("class {other}"))),
    };
    Ok(Entry { class, digest: Digest(hash(digest)?) })
}

fn text(jws: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(jws).map_err(|_| StoreError::Corrupt("a statement that is no text".to_owned()))
}
