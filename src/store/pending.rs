//! Changes that were made and are on their way into the exchange log. One is written in the transaction that makes the
//! change, so that none is logged that was not made, and none made that is not logged: after a crash in between, whoever
//! comes next logs it. A crash between the log's commit and the row's end leaves a change that is logged twice.

use sqlx::FromRow;

use super::db::{Tx, on, retry};
use super::{Db, StoreError};

/// Who changed what, when and why.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// `peer` or `account`.
    pub about: &'static str,
    /// Its id.
    pub subject: &'a str,
    /// What was done.
    pub action: &'static str,
    /// By whom.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// Of the statement that it is about.
    pub digest: Option<&'a str>,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// One that waits.
#[derive(Clone, Debug, FromRow)]
pub struct PendingChange {
    /// Its number.
    pub id: i64,
    /// `peer` or `account`.
    pub about: String,
    /// Its id.
    pub subject: String,
    /// What was done.
    pub action: String,
    /// By whom.
    pub done_by: String,
    /// Why.
    pub reason: Option<String>,
    /// Of the statement that it is about.
    pub digest: Option<String>,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

/// Whoever took one and did not end it within this many milliseconds is gone.
const GONE_MS: i64 = 60_000;

const NOTE: &str = "INSERT INTO pending_change (about, subject, action, done_by, reason, digest, at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const OLDEST: &str = "SELECT id, about, subject, action, done_by, reason, digest, at_ms FROM pending_change \
     WHERE taken_ms IS NULL OR taken_ms < $1 ORDER BY id LIMIT 1";
const TAKE: &str = "UPDATE pending_change SET taken_ms = $1 WHERE id = $2 AND (taken_ms IS NULL OR taken_ms < $3)";
const LEAVE: &str = "UPDATE pending_change SET taken_ms = NULL WHERE id = $1";
const END: &str = "DELETE FROM pending_change WHERE id = $1";

/// Writes one down, in the transaction that makes the change.
pub(super) async fn note(tx: &mut Tx, change: &Change<'_>) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(NOTE)
        .bind(change.about)
        .bind(change.subject)
        .bind(change.action)
        .bind(change.by)
        .bind(change.reason)
        .bind(change.digest)
        .bind(change.at_ms)
        .execute(c))?;
    Ok(())
}

/// Writes one down and commits, where something was changed; else false, and nothing happens.
pub(super) async fn commit_noted(mut tx: Tx, changed: u64, change: &Change<'_>) -> Result<bool, StoreError> {
    if changed == 0 {
        return Ok(false);
    }
    note(&mut tx, change).await?;
    tx.commit().await?;
    Ok(true)
}

impl Db {
    /// Writes one down that changes nothing in the store, but is to be known.
    pub async fn note_change(&self, change: &Change<'_>) -> Result<(), StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            note(&mut tx, change).await?;
            tx.commit().await
        })
        .await
    }

    /// The oldest change that nobody is at, which is then the caller's to log and to end.
    pub async fn take_change(&self, now_ms: i64) -> Result<Option<PendingChange>, StoreError> {
        let gone = now_ms.saturating_sub(GONE_MS);
        retry(|| async {
            loop {
                let oldest: Option<PendingChange> =
                    on!(read self, c => sqlx::query_as(OLDEST).bind(gone).fetch_optional(c))?;
                let Some(change) = oldest else { return Ok(None) };
                let taken = on!(write self, c => sqlx::query(TAKE).bind(now_ms).bind(change.id).bind(gone).execute(c))?;
                if taken == 1 {
                    return Ok(Some(change));
                }
            }
        })
        .await
    }

    /// It is surely not in the log, and whoever comes next may take it.
    pub async fn leave_change(&self, id: i64) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(LEAVE).bind(id).execute(c)) }).await?;
        Ok(())
    }

    /// It is in the log.
    pub async fn end_change(&self, id: i64) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(END).bind(id).execute(c)) }).await?;
        Ok(())
    }
}
