//! The inbox: what followers were told, until it has been seen and is old.

use sqlx::FromRow;

use super::db::{hash, nat, on, retry};
use super::{Db, StoreError};
use crate::statement::Digest;

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its number: in the order of telling.
    pub id: i64,
    /// Who is told.
    pub follower: String,
    /// What for they follow the subject.
    pub purpose: String,
    /// The subject's key.
    pub subject: String,
    /// The subject's name, as it was stated.
    pub name: String,
    /// It was published; else it is void from then on.
    pub stands: bool,
    /// The origin of the log that the statement stands in.
    pub origin: String,
    /// At which index.
    pub index: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its kind.
    pub kind: String,
    /// Of that.
    pub version: i64,
    /// When it was said, in seconds.
    pub iat: i64,
    /// The statements that it is about.
    pub about: Vec<String>,
    /// When it was noticed here, milliseconds since 1970.
    pub at_ms: i64,
    /// When the follower acknowledged it.
    pub seen_ms: Option<i64>,
}

/// What is read of a notice.
pub(super) const COLUMNS: &str = "n.id, n.follower, n.purpose, n.subject, n.name, n.stands, l.origin, n.idx, n.digest, \
     n.kind, n.version, n.iat, n.about, n.at_ms, n.seen_ms";

macro_rules! inbox {
    ($condition:literal) => {
        concat!(
            "SELECT n.id, n.follower, n.purpose, n.subject, n.name, n.stands, l.origin, n.idx, n.digest, \
             n.kind, n.version, n.iat, n.about, n.at_ms, n.seen_ms FROM notice n JOIN log l ON l.id = n.log WHERE ",
            $condition,
            " AND n.id > $2 ORDER BY n.id LIMIT $3"
        )
    };
}
const ALL: &str = inbox!("$1 = ''");
const UNREAD: &str = inbox!("$1 = '' AND n.seen_ms IS NULL");
const OF_ONE: &str = inbox!("n.follower = $1");
const UNREAD_OF_ONE: &str = inbox!("n.follower = $1 AND n.seen_ms IS NULL");
const SEEN: &str = "UPDATE notice SET seen_ms = $1 WHERE id = $2 AND ($3 = '' OR follower = $3) AND seen_ms IS NULL";
const SEEN_UP_TO: &str =
    "UPDATE notice SET seen_ms = $1 WHERE id <= $2 AND ($3 = '' OR follower = $3) AND seen_ms IS NULL";
const UNREAD_COUNT: &str = "SELECT COUNT(*) FROM notice WHERE seen_ms IS NULL";
const OLD: &str = "DELETE FROM notice WHERE id IN (SELECT id FROM notice ORDER BY id LIMIT 1000) AND at_ms < $1 \
     AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.notice = notice.id)";

impl Db {
    /// Notices behind a number in the order of telling, at most `limit`: of one follower or of all, all or the unread ones.
    pub async fn inbox(
        &self,
        follower: Option<&str>,
        unread: bool,
        behind: i64,
        limit: u32,
    ) -> Result<Vec<NoticeRow>, StoreError> {
        let sql = match (follower, unread) {
            (None, false) => ALL,
            (None, true) => UNREAD,
            (Some(_), false) => OF_ONE,
            (Some(_), true) => UNREAD_OF_ONE,
        };
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(sql)
            .bind(follower.unwrap_or_default())
            .bind(behind)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(NoticeRow::try_from).collect()
    }

    /// Acknowledges one notice, if it is this follower's. False if there is none, or it was acknowledged before.
    pub async fn seen(&self, follower: Option<&str>, id: i64, now_ms: i64) -> Result<bool, StoreError> {
        let seen = retry(|| async {
            on!(write self, c => sqlx::query(SEEN)
                .bind(now_ms)
                .bind(id)
                .bind(follower.unwrap_or_default())
                .execute(c))
        });
        Ok(seen.await? == 1)
    }

    /// Acknowledges all notices up to a number; gives how many.
    pub async fn seen_up_to(&self, follower: Option<&str>, id: i64, now_ms: i64) -> Result<u64, StoreError> {
        retry(|| async {
            on!(write self, c => sqlx::query(SEEN_UP_TO)
                .bind(now_ms)
                .bind(id)
                .bind(follower.unwrap_or_default())
                .execute(c))
        })
        .await
    }

    /// How many notices nobody has acknowledged.
    pub async fn unread(&self) -> Result<u64, StoreError> {
        let (count,): (i64,) = on!(read self, c => sqlx::query_as(UNREAD_COUNT).fetch_one(c))?;
        nat(count)
    }

    /// Drops some of the notices from before a time that are not still to be delivered; gives how many, 0 when there are
    /// no more.
    pub async fn drop_old_notices(&self, before_ms: i64) -> Result<u64, StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(OLD).bind(before_ms).execute(c)) }).await
    }
}

#[derive(FromRow)]
pub(super) struct Row {
    id: i64,
    follower: String,
    purpose: String,
    subject: String,
    name: String,
    stands: i64,
    origin: String,
    idx: i64,
    digest: Vec<u8>,
    kind: String,
    version: i64,
    iat: i64,
    about: String,
    at_ms: i64,
    seen_ms: Option<i64>,
}

impl TryFrom<Row> for NoticeRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            follower: row.follower,
            purpose: row.purpose,
            subject: row.subject,
            name: row.name,
            stands: row.stands == 1,
            origin: row.origin,
            index: nat(row.idx)?,
            digest: Digest(hash(&row.digest)?),
            kind: row.kind,
            version: row.version,
            iat: row.iat,
            about: row.about.split_whitespace().map(str::to_owned).collect(),
            at_ms: row.at_ms,
            seen_ms: row.seen_ms,
        })
    }
}
