//! Files beside applications, sealed for the node that decides, in parts: what was filed here for others, and what others
//! filed for this node.
//!
//! A file that is filed here stands here before its application is said; what a crash leaves in between is no application's
//! and goes with the daily clearing. One that is fetched grows part by part, and counts once all of it is here and is what
//! the application names. Room is reserved in the statement that takes it, so that it is never more than there may be, but
//! for what two processes on one PostgreSQL reserve in the same instant.

use sqlx::FromRow;

use super::db::{Tx, clean, hash, int, nat, on, retry};
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId};

/// Bytes of a part, but for the last one of a file.
pub const PART: usize = 1 << 20;

/// Which one: by its digest, whom it is from or for, and whether it was filed here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentKey {
    /// SHA-256 of the sealed file.
    pub digest: Digest,
    /// Filed here: whom it is for; else who filed it.
    pub peer: NodeId,
    /// It was filed here.
    pub own: bool,
}

/// A sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRow {
    /// Which.
    pub key: AttachmentKey,
    /// Bytes.
    pub size: u64,
    /// When it was filed, or named by an application that came here; milliseconds since 1970.
    pub added_ms: i64,
    /// How often it was not fetched.
    pub failures: u32,
    /// It is not fetched before.
    pub next_ms: i64,
    /// Why it was not fetched, the last time.
    pub error: Option<String>,
    /// All of it is here, since then.
    pub complete_ms: Option<i64>,
    /// It was erased.
    pub erased_ms: Option<i64>,
}

/// How much may be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of one peer.
    pub peer: u64,
    /// Bytes of all.
    pub total: u64,
}

const ALL: &str = "SELECT digest, peer, own, size, added_ms, failures, next_ms, error, complete_ms, \
     erased_ms FROM attachment ORDER BY added_ms, digest";
const OF: &str = "SELECT digest, peer, own, size, added_ms, failures, next_ms, error, complete_ms, \
     erased_ms FROM attachment WHERE digest = $1 ORDER BY own, peer";
const WANTED: &str = "SELECT digest, peer, own, size, added_ms, failures, next_ms, error, complete_ms, \
     erased_ms FROM attachment WHERE complete_ms IS NULL AND erased_ms IS NULL AND own = 0 AND next_ms <= $1 \
     ORDER BY next_ms, added_ms LIMIT $2";
const FILE: &str = "INSERT INTO attachment (digest, peer, own, size, added_ms, reserved, failures, next_ms, complete_ms) \
     SELECT $1, $2, 1, $3, $4, 1, 0, 0, $4 \
     WHERE $3 + (SELECT COALESCE(SUM(size), 0) FROM attachment WHERE reserved = 1 AND erased_ms IS NULL) <= $5";
const WANT: &str = "INSERT INTO attachment (digest, peer, own, size, added_ms, reserved, failures, next_ms) \
     VALUES ($1, $2, 0, $3, $4, 0, 0, 0) ON CONFLICT DO NOTHING";
const RESERVE: &str = "UPDATE attachment SET reserved = 1 WHERE digest = $1 AND peer = $2 AND own = 0 AND (reserved = 1 OR \
     (size + (SELECT COALESCE(SUM(a.size), 0) FROM attachment a WHERE a.reserved = 1 AND a.erased_ms IS NULL) <= $3 \
     AND size + (SELECT COALESCE(SUM(a.size), 0) FROM attachment a \
     WHERE a.reserved = 1 AND a.erased_ms IS NULL AND a.peer = $2 AND a.own = 0) <= $4))";
// Whoever takes it has some time for it; then another process may.
const TAKE: &str = "UPDATE attachment SET next_ms = $1 WHERE digest = $2 AND peer = $3 AND own = 0 AND next_ms = $4 \
     AND complete_ms IS NULL AND erased_ms IS NULL";
const LATER: &str = "UPDATE attachment SET next_ms = $1, error = $2, failures = failures + 1 \
     WHERE digest = $3 AND peer = $4 AND own = 0 AND complete_ms IS NULL";
const PUT: &str = "INSERT INTO attachment_part (digest, peer, own, first, bytes) \
     SELECT $1, $2, $3, $4, $5 FROM attachment \
     WHERE digest = $1 AND peer = $2 AND own = $3 AND erased_ms IS NULL ON CONFLICT DO NOTHING";
const COMPLETE: &str = "UPDATE attachment SET complete_ms = $1, error = NULL \
     WHERE digest = $2 AND peer = $3 AND own = 0 AND erased_ms IS NULL";
const READ: &str = "SELECT bytes FROM attachment_part WHERE digest = $1 AND peer = $2 AND own = $3 AND first = $4";
const DROP_PARTS: &str = "DELETE FROM attachment_part WHERE digest = $1 AND peer = $2 AND own = $3";
const ERASE: &str = "UPDATE attachment SET erased_ms = $1, reserved = 0 \
     WHERE digest = $2 AND peer = $3 AND own = $4 AND erased_ms IS NULL";
const UNWANT: &str = "DELETE FROM attachment WHERE digest = $1 AND peer = $2 AND own = $3 AND complete_ms IS NULL \
     AND erased_ms IS NULL";
// A part that came in the instant in which its file went.
const DROP_STRAYS: &str = "DELETE FROM attachment_part WHERE NOT EXISTS (SELECT 1 FROM attachment a \
     WHERE a.digest = attachment_part.digest AND a.peer = attachment_part.peer AND a.own = attachment_part.own \
     AND a.erased_ms IS NULL)";
const DROP: &str = "DELETE FROM attachment WHERE digest = $1 AND peer = $2 AND own = $3";

impl Db {
    /// Keeps a sealed file for the node that may fetch it; false where there is no room.
    pub async fn file_attachment(
        &self,
        key: &AttachmentKey,
        sealed: &[u8],
        now_ms: i64,
        room: Room,
    ) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let filed = on!(change tx, c => sqlx::query(FILE)
                .bind(&key.digest.0[..])
                .bind(key.peer.as_str())
                .bind(int(sealed.len() as u64))
                .bind(now_ms)
                .bind(int(room.total))
                .execute(c))?;
            if filed == 0 {
                return Ok(false);
            }
            for (first, bytes) in (0u64..).step_by(PART).zip(sealed.chunks(PART)) {
                put(&mut tx, key, first, bytes).await?;
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// A file that an application names is to be fetched, unless that is known.
    pub async fn want_attachment(&self, key: &AttachmentKey, size: u64, now_ms: i64) -> Result<(), StoreError> {
        on!(write self, c => sqlx::query(WANT)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .bind(int(size))
            .bind(now_ms)
            .execute(c))?;
        Ok(())
    }

    /// Those that are to be fetched now, the longest waiting first.
    pub async fn wanted_attachments(&self, now_ms: i64, limit: u32) -> Result<Vec<AttachmentRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(WANTED)
            .bind(now_ms)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Takes one to fetch it, so that no other process does until then; false where another has it.
    pub async fn take_attachment(&self, row: &AttachmentRow, until_ms: i64) -> Result<bool, StoreError> {
        let taken = on!(write self, c => sqlx::query(TAKE)
            .bind(until_ms)
            .bind(&row.key.digest.0[..])
            .bind(row.key.peer.as_str())
            .bind(row.next_ms)
            .execute(c))?;
        Ok(taken == 1)
    }

    /// Reserves room for one; false where there is none.
    pub async fn reserve_attachment(&self, key: &AttachmentKey, room: Room) -> Result<bool, StoreError> {
        let reserved = on!(write self, c => sqlx::query(RESERVE)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .bind(int(room.total))
            .bind(int(room.peer))
            .execute(c))?;
        Ok(reserved == 1)
    }

    /// It was not fetched, and why; it is tried again then.
    pub async fn postpone_attachment(&self, key: &AttachmentKey, next_ms: i64, why: &str) -> Result<(), StoreError> {
        on!(write self, c => sqlx::query(LATER)
            .bind(next_ms)
            .bind(clean(why))
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .execute(c))?;
        Ok(())
    }

    /// A part has come; false where one is here already.
    pub async fn put_attachment_part(&self, key: &AttachmentKey, first: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        let put = on!(write self, c => sqlx::query(PUT)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .bind(i64::from(key.own))
            .bind(int(first))
            .bind(bytes)
            .execute(c))?;
        Ok(put == 1)
    }

    /// The part that begins there.
    pub async fn attachment_part(&self, key: &AttachmentKey, first: u64) -> Result<Option<Vec<u8>>, StoreError> {
        on!(read self, c => sqlx::query_scalar(READ)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .bind(i64::from(key.own))
            .bind(int(first))
            .fetch_optional(c))
    }

    /// All of it is here, and is what was named; false where it is not wanted any more.
    pub async fn complete_attachment(&self, key: &AttachmentKey, now_ms: i64) -> Result<bool, StoreError> {
        let completed = on!(write self, c => sqlx::query(COMPLETE)
            .bind(now_ms)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .execute(c))?;
        Ok(completed == 1)
    }

    /// One that is not wholly here is not fetched any more, and what came of it goes; false where all of it is here.
    pub async fn unwant_attachment(&self, key: &AttachmentKey) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let unwanted = drop_by(&mut tx, UNWANT, key).await?;
            if unwanted == 1 {
                drop_by(&mut tx, DROP_PARTS, key).await?;
                tx.commit().await?;
            }
            Ok(unwanted == 1)
        })
        .await
    }

    /// What came of it goes, since it is not what was named.
    pub async fn drop_attachment_parts(&self, key: &AttachmentKey) -> Result<(), StoreError> {
        on!(write self, c => sqlx::query(DROP_PARTS)
            .bind(&key.digest.0[..])
            .bind(key.peer.as_str())
            .bind(i64::from(key.own))
            .execute(c))?;
        Ok(())
    }

    /// Its bytes go, for good; that it was here stays. False where they had gone before.
    pub async fn erase_attachment(&self, key: &AttachmentKey, now_ms: i64) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let erased = on!(change tx, c => sqlx::query(ERASE)
                .bind(now_ms)
                .bind(&key.digest.0[..])
                .bind(key.peer.as_str())
                .bind(i64::from(key.own))
                .execute(c))?;
            drop_by(&mut tx, DROP_PARTS, key).await?;
            tx.commit().await?;
            Ok(erased == 1)
        })
        .await
    }

    /// It goes with all that tells of it: no application names it.
    pub async fn forget_attachment(&self, key: &AttachmentKey) -> Result<(), StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            for sql in [DROP_PARTS, DROP] {
                drop_by(&mut tx, sql, key).await?;
            }
            tx.commit().await
        })
        .await
    }

    /// Parts go of which there is no file any more.
    pub async fn drop_stray_parts(&self) -> Result<(), StoreError> {
        on!(write self, c => sqlx::query(DROP_STRAYS).execute(c))?;
        Ok(())
    }

    /// All that there are.
    pub async fn attachments(&self) -> Result<Vec<AttachmentRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Those of a digest.
    pub async fn attachments_of(&self, digest: &Digest) -> Result<Vec<AttachmentRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(OF)
            .bind(&digest.0[..])
            .fetch_all(c))?;
        rows.into_iter().map(Row::read).collect()
    }
}

async fn put(tx: &mut Tx, key: &AttachmentKey, first: u64, bytes: &[u8]) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(PUT)
        .bind(&key.digest.0[..])
        .bind(key.peer.as_str())
        .bind(i64::from(key.own))
        .bind(int(first))
        .bind(bytes)
        .execute(c))?;
    Ok(())
}

async fn drop_by(tx: &mut Tx, sql: &'static str, key: &AttachmentKey) -> Result<u64, StoreError> {
    on!(change tx, c => sqlx::query(sql)
        .bind(&key.digest.0[..])
        .bind(key.peer.as_str())
        .bind(i64::from(key.own))
        .execute(c))
}

#[derive(FromRow)]
struct Row {
    digest: Vec<u8>,
    peer: String,
    own: i64,
    size: i64,
    added_ms: i64,
    failures: i64,
    next_ms: i64,
    error: Option<String>,
    complete_ms: Option<i64>,
    erased_ms: Option<i64>,
}

impl Row {
    fn read(self) -> Result<AttachmentRow, StoreError> {
        let corrupt = |what: String| StoreError::Corrupt(format!("an attachment: {what}"));
        let peer = self.peer.parse().map_err(|_| corrupt(format!("the node {:?}", self.peer)))?;
        Ok(AttachmentRow {
            key: AttachmentKey { digest: Digest(hash(&self.digest)?), peer, own: self.own == 1 },
            size: nat(self.size)?,
            added_ms: self.added_ms,
            failures: u32::try_from(self.failures).unwrap_or(u32::MAX),
            next_ms: self.next_ms,
            error: self.error,
            complete_ms: self.complete_ms,
            erased_ms: self.erased_ms,
        })
    }
}
