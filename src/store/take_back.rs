//! Uploads that are taken back as a whole: which entries they published, who proposed it and who approved.

use sqlx::FromRow;

use super::db::{Tx, clean, int, nat, on, retry};
use super::pending::{Change, commit_noted};
use super::{Db, StoreError};

/// A range of entries that an upload published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The log.
    pub log: i64,
    /// The index of the first one.
    pub first: u64,
    /// The index behind the last one.
    pub next: u64,
}

/// An upload that is to be taken back, or was.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, serde::Serialize)]
pub struct WithdrawalRow {
    /// The upload.
    pub upload: i64,
    /// Why.
    pub reason: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When, milliseconds since 1970.
    pub proposed_ms: i64,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When.
    pub approved_ms: Option<i64>,
    /// When the last record was withdrawn.
    pub finished_ms: Option<i64>,
}

const ADD_SPAN: &str = "INSERT INTO upload_span (upload, log, first, next) VALUES ($1, $2, $3, $4)";
const SPANS: &str = "SELECT log, first, next FROM upload_span WHERE upload = $1 ORDER BY log, first";
const PROPOSE: &str = "INSERT INTO upload_withdrawal (upload, reason, proposed_by, proposed_ms) \
     SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT 1 FROM upload u WHERE u.id = $1 AND u.finished_ms IS NOT NULL AND NOT EXISTS \
     (SELECT 1 FROM upload_hold h WHERE h.upload = u.id AND h.state <> 'approved')) \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $3 AND a.state = 'active') ON CONFLICT DO NOTHING";
// Another person, and only once.
const APPROVE: &str = "UPDATE upload_withdrawal SET approved_by = $1, approved_ms = $2 \
     WHERE upload = $3 AND approved_by IS NULL AND proposed_by <> $1 \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const FINISH: &str = "UPDATE upload_withdrawal SET finished_ms = $1 \
     WHERE upload = $2 AND approved_by IS NOT NULL AND finished_ms IS NULL";
const ONE: &str = "SELECT upload, reason, proposed_by, proposed_ms, approved_by, approved_ms, finished_ms \
     FROM upload_withdrawal WHERE upload = $1";

const FROM: &str = "SELECT upload, reason, proposed_by, proposed_ms, approved_by, approved_ms, finished_ms \
     FROM upload_withdrawal WHERE upload >= $1 ORDER BY upload";

/// Notes which entries a step of an upload published.
pub(super) async fn add_span(tx: &mut Tx, upload: i64, span: &Span) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(ADD_SPAN)
        .bind(upload)
        .bind(span.log)
        .bind(int(span.first))
        .bind(int(span.next))
        .execute(c))?;
    Ok(())
}

impl Db {
    /// The entries that an upload published, by log and index.
    pub async fn spans(&self, upload: i64) -> Result<Vec<Span>, StoreError> {
        let rows: Vec<(i64, i64, i64)> = on!(read self, c => sqlx::query_as(SPANS).bind(upload).fetch_all(c))?;
        rows.into_iter().map(|(log, first, next)| Ok(Span { log, first: nat(first)?, next: nat(next)? })).collect()
    }

    /// What there is of taking an upload back.
    pub async fn upload_withdrawal(&self, upload: i64) -> Result<Option<WithdrawalRow>, StoreError> {
        on!(read self, c => sqlx::query_as(ONE).bind(upload).fetch_optional(c))
    }

    /// The same of all uploads from this one on.
    pub async fn upload_withdrawals(&self, from: i64) -> Result<Vec<WithdrawalRow>, StoreError> {
        on!(read self, c => sqlx::query_as(FROM).bind(from).fetch_all(c))
    }

    /// The change's person proposes to take an upload back; false where that is not finished, was proposed before, or the
    /// person may not.
    pub async fn propose_upload_withdrawal(&self, upload: i64, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let proposed = on!(change tx, c => sqlx::query(PROPOSE)
                .bind(upload)
                .bind(clean(change.reason.unwrap_or_default()))
                .bind(change.by)
                .bind(change.at_ms)
                .execute(c))?;
            commit_noted(tx, proposed, change).await
        })
        .await
    }

    /// The change's person, who is another, approves; false where there is nothing that this person may approve.
    pub async fn approve_upload_withdrawal(&self, upload: i64, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let approved = on!(change tx, c => sqlx::query(APPROVE)
                .bind(change.by)
                .bind(change.at_ms)
                .bind(upload)
                .execute(c))?;
            commit_noted(tx, approved, change).await
        })
        .await
    }

    /// Every record of it is withdrawn.
    pub async fn finish_upload_withdrawal(&self, upload: i64, now_ms: i64) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(FINISH).bind(now_ms).bind(upload).execute(c)) }).await?;
        Ok(())
    }
}
