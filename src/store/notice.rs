//! What is to be told of logs, and telling it: notices, their deliveries and how far the logs were followed, in one
//! transaction.
//!
//! A statement is told of once, whoever tells and whenever it is judged. One that is accepted when it is stored is told of
//! when its log is followed past it. One whose verdict turns later stands in `turned` from then on, by the transaction that
//! turns it: a page leaves it out, and it is told of once its log was followed past it. A page and `turned` are read by one
//! statement each, and a statement is in the one or in the other.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::db::{hash, int, nat, on, retry};
use super::list::InList;
use super::rows::{MultiRow, insert};
use super::watch::alone;
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId};

/// How far a log was followed, and how far it has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Log number.
    pub log: i64,
    /// Its owner.
    pub owner: NodeId,
    /// Followed below this index; None: it is new here.
    pub followed: Option<u64>,
    /// Entries.
    pub size: u64,
}

/// A statement about somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Log number.
    pub log: i64,
    /// Index in the log.
    pub index: u64,
    /// The subject's key.
    pub subject: String,
    /// When it was said, in seconds.
    pub iat: i64,
    /// The number of its turn; 0: it stands as it was stored.
    pub turn: i64,
    /// It is accepted; else it is void from then on.
    pub stands: bool,
}

/// Somebody who follows a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// The watch's number.
    pub watch: i64,
    /// Who.
    pub follower: String,
    /// What for.
    pub purpose: String,
    /// The subject's name, as the follower has it.
    pub name: Option<String>,
}

/// The envelope of a stored statement, and the statement where its body is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: String,
    /// Of that.
    pub version: i64,
    /// The compact JWS.
    pub jws: Option<String>,
}

/// A notice to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// Of what.
    pub said: Said,
    /// For whom.
    pub watcher: Watcher,
    /// The subject's name, as it was stated.
    pub name: String,
    /// Of the statement.
    pub digest: Digest,
    /// Its kind.
    pub kind: String,
    /// Of that.
    pub version: i64,
    /// The statements that it is about, a space between.
    pub about: String,
}

/// One step of following.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Each log by its number, with where it was followed to until now and from now on.
    pub followed: Vec<(i64, Option<u64>, u64)>,
    /// Turns that are told.
    pub turns: Vec<i64>,
    /// What is told, in that order.
    pub notices: Vec<NewNotice>,
}

const BEHIND: &str = "SELECT l.id, l.node, f.idx, l.size FROM log l LEFT JOIN followed f ON f.log = l.id \
     WHERE l.name = 'records' AND l.size > COALESCE(f.idx, 0) ORDER BY l.id";
const PAGE: &str = "SELECT s.idx, s.subject, s.iat FROM statement s WHERE s.log = $1 AND s.idx >= $2 AND s.idx < $3 \
     AND s.verdict = 'accepted' AND s.subject IS NOT NULL \
     AND NOT EXISTS (SELECT 1 FROM turned t WHERE t.log = s.log AND t.idx = s.idx) ORDER BY s.idx";
const TURNS: &str = "SELECT t.id, t.log, t.idx, t.subject, t.stands, s.iat FROM turned t \
     JOIN followed f ON f.log = t.log JOIN statement s ON s.log = t.log AND s.idx = t.idx \
     WHERE t.idx < f.idx ORDER BY t.id LIMIT $1";
static WATCHERS: LazyLock<InList> = LazyLock::new(|| {
    InList::new(2, |list| {
        format!(
            "SELECT subject, id, follower, purpose, name FROM watch \
             WHERE (until_ms IS NULL OR until_ms > $1) AND subject IN ({list}) ORDER BY id"
        )
    })
});
const ENVELOPE: &str = "SELECT digest, kind, version, jws FROM statement WHERE log = $1 AND idx = $2";
const BEGIN: &str = "INSERT INTO followed (log, idx) VALUES ($1, $2) ON CONFLICT (log) DO NOTHING";
const GO_ON: &str = "UPDATE followed SET idx = $1 WHERE log = $2 AND idx = $3";
const TOLD: &str = "DELETE FROM turned WHERE id = $1";
const LAST: &str = "SELECT COALESCE(MAX(id), 0) FROM notice";
static NOTICES: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO notice (watch, follower, purpose, subject, name, log, idx, turn, stands, digest, kind, version, \
         iat, about, at_ms)",
        15,
        "ON CONFLICT DO NOTHING",
    )
});
const DELIVERIES: &str = "INSERT INTO delivery (webhook, subject, notice) SELECT w.webhook, n.subject, n.id \
     FROM notice n JOIN watch w ON w.id = n.watch WHERE n.id > $1 AND w.webhook IS NOT NULL";
// A line that is there is locked, so that whoever ends it now sees what was added to it.
const LINES: &str = "INSERT INTO line (webhook, subject, failures, next_ms) \
     SELECT DISTINCT w.webhook, n.subject, 0, CAST($2 AS BIGINT) FROM notice n JOIN watch w ON w.id = n.watch \
     WHERE n.id > $1 AND w.webhook IS NOT NULL ORDER BY w.webhook, n.subject \
     ON CONFLICT (webhook, subject) DO UPDATE SET failures = line.failures";

/// Subject, and the columns of a watcher.
type WatcherColumns = (String, i64, String, String, Option<String>);
/// Digest, kind, version and statement.
type EnvelopeColumns = (Vec<u8>, Option<String>, Option<i64>, Option<Vec<u8>>);

impl Db {
    /// Logs of records that have grown past where they were followed to.
    pub async fn behind(&self) -> Result<Vec<Behind>, StoreError> {
        let rows: Vec<(i64, String, Option<i64>, i64)> = on!(read self, c => sqlx::query_as(BEHIND).fetch_all(c))?;
        let behind = |(log, owner, followed, size): (i64, String, Option<i64>, i64)| {
            let owner = owner.parse().map_err(|_| StoreError::Corrupt(format!("a log of {owner:?}")))?;
            Ok(Behind { log, owner, followed: followed.map(nat).transpose()?, size: nat(size)? })
        };
        rows.into_iter().map(behind).collect()
    }

    /// What stands in a log from an index on and below another as it was stored, in order.
    pub async fn said(&self, log: i64, first: u64, end: u64) -> Result<Vec<Said>, StoreError> {
        let rows: Vec<(i64, String, i64)> =
            on!(read self, c => sqlx::query_as(PAGE).bind(log).bind(int(first)).bind(int(end)).fetch_all(c))?;
        let said = |(index, subject, iat)| Ok(Said { log, index: nat(index)?, subject, iat, turn: 0, stands: true });
        rows.into_iter().map(said).collect()
    }

    /// What turned below where its log was followed to, in the order in which it did, at most `limit`.
    pub async fn turns(&self, limit: u32) -> Result<Vec<Said>, StoreError> {
        let rows: Vec<(i64, i64, i64, String, i64, Option<i64>)> =
            on!(read self, c => sqlx::query_as(TURNS).bind(i64::from(limit)).fetch_all(c))?;
        let said = |(turn, log, index, subject, stands, iat): (i64, i64, i64, String, i64, Option<i64>)| {
            let iat = iat.unwrap_or_default();
            Ok(Said { log, index: nat(index)?, subject, iat, turn, stands: stands == 1 })
        };
        rows.into_iter().map(said).collect()
    }

    /// Who follows these subjects now: a look-up each in one index, however many are followed.
    pub async fn watchers(&self, subjects: &[&str], now_ms: i64) -> Result<HashMap<String, Vec<Watcher>>, StoreError> {
        let mut found: HashMap<String, Vec<Watcher>> = HashMap::new();
        for (sql, asked) in WATCHERS.of(subjects) {
            let rows: Vec<WatcherColumns> = on!(read self, c => asked
                .fold(sqlx::query_as(sql).bind(now_ms), |query, subject| query.bind(subject))
                .fetch_all(c))?;
            for (subject, watch, follower, purpose, name) in rows {
                found.entry(subject).or_default().push(Watcher { watch, follower, purpose, name });
            }
        }
        Ok(found)
    }

    /// The envelope of the statement at a place.
    pub async fn envelope(&self, log: i64, index: u64) -> Result<Option<Envelope>, StoreError> {
        let row: Option<EnvelopeColumns> =
            on!(read self, c => sqlx::query_as(ENVELOPE).bind(log).bind(int(index)).fetch_optional(c))?;
        let envelope = |(digest, kind, version, jws): EnvelopeColumns| {
            let jws = jws.and_then(|jws| String::from_utf8(jws).ok());
            let (kind, version) = (kind.unwrap_or_default(), version.unwrap_or_default());
            Ok(Envelope { digest: Digest(hash(&digest)?), kind, version, jws })
        };
        row.map(envelope).transpose()
    }

    /// Takes one step of following: the notices, what is to be delivered of them, and how far the logs were followed. False
    /// if another process has followed them meanwhile, and nothing was written.
    ///
    /// A crash before the commit leaves the logs where they were followed to, and whoever comes next tells the same; after
    /// it all of it is in the inbox and on its way.
    pub async fn tell(&self, step: &Step, now_ms: i64) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            alone(&mut tx).await?;
            for (log, from, to) in &step.followed {
                let moved = match from {
                    None => on!(change tx, c => sqlx::query(BEGIN).bind(log).bind(int(*to)).execute(c)),
                    Some(from) => on!(change tx, c => sqlx::query(GO_ON)
                        .bind(int(*to))
                        .bind(log)
                        .bind(int(*from))
                        .execute(c)),
                }?;
                if moved == 0 {
                    return Ok(false);
                }
            }
            for turn in &step.turns {
                if on!(change tx, c => sqlx::query(TOLD).bind(turn).execute(c))? == 0 {
                    return Ok(false);
                }
            }
            if !step.notices.is_empty() {
                let (last,): (i64,) = on!(tx tx, c => sqlx::query_as(LAST).fetch_one(c))?;
                insert!(tx, NOTICES, &step.notices, |query, new| query
                    .bind(new.watcher.watch)
                    .bind(new.watcher.follower.as_str())
                    .bind(new.watcher.purpose.as_str())
                    .bind(new.said.subject.as_str())
                    .bind(new.name.as_str())
                    .bind(new.said.log)
                    .bind(int(new.said.index))
                    .bind(new.said.turn)
                    .bind(i64::from(new.said.stands))
                    .bind(&new.digest.0[..])
                    .bind(new.kind.as_str())
                    .bind(new.version)
                    .bind(new.said.iat)
                    .bind(new.about.as_str())
                    .bind(now_ms))
                .await?;
                on!(change tx, c => sqlx::query(LINES).bind(last).bind(now_ms).execute(c))?;
                on!(change tx, c => sqlx::query(DELIVERIES).bind(last).execute(c))?;
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}
