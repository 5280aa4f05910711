//! Notices on their way to webhooks, in lines: one for each subject at each webhook. Only the first notice of a line is
//! delivered, so that a subject's notices arrive in order, and a line that fails holds nothing but itself up.
//!
//! Whoever delivers takes a line for a time. A crash before the outcome is written leaves the line taken until that time has
//! passed, and the same notice is delivered again; after it the notice is gone from the line.

use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{Tx, clean, nat, on, retry};
use super::inbox::{COLUMNS, NoticeRow, Row};
use super::{Db, StoreError};

/// A receiver of notices, and how it goes with it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct WebhookRow {
    /// Its number.
    pub id: i64,
    /// Its address.
    pub url: String,
    /// Failures in a row, of the receiver as a whole.
    pub failures: i64,
    /// It is not asked before, milliseconds since 1970.
    pub next_ms: i64,
    /// When it last took a notice.
    pub success_ms: Option<i64>,
    /// When it last did not.
    pub error_ms: Option<i64>,
    /// And why.
    pub error: Option<String>,
}

/// What waits for a webhook.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Queue {
    /// The webhook's number.
    pub webhook: i64,
    /// Notices.
    pub waiting: i64,
    /// When the oldest of them was noticed, milliseconds since 1970.
    pub oldest_ms: i64,
}

/// A line that was taken, and its first notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The webhook's number.
    pub webhook: i64,
    /// The subject's key.
    pub subject: String,
    /// By whom.
    pub by: String,
    /// Failures of its first notice in a row.
    pub failures: u32,
    /// The first notice.
    pub notice: NoticeRow,
}

const WEBHOOKS: &str = "SELECT id, url, failures, next_ms, success_ms, error_ms, error FROM webhook ORDER BY id";
const QUEUES: &str = "SELECT d.webhook, COUNT(*) AS waiting, MIN(n.at_ms) AS oldest_ms \
     FROM delivery d JOIN notice n ON n.id = d.notice GROUP BY d.webhook ORDER BY d.webhook";
const DUE: &str = "SELECT subject FROM line WHERE webhook = $1 AND next_ms <= $2 ORDER BY next_ms LIMIT $3";
const TAKE: &str = "UPDATE line SET next_ms = $1, taken = $2 WHERE webhook = $3 AND subject = $4 AND next_ms <= $5";
const KEEP: &str = "UPDATE line SET next_ms = $1, failures = 0 WHERE webhook = $2 AND subject = $3 AND taken = $4";
const LEAVE: &str = "UPDATE line SET next_ms = $1, failures = $2, taken = NULL \
     WHERE webhook = $3 AND subject = $4 AND taken = $5";
const FAILURES: &str = "SELECT failures FROM line WHERE webhook = $1 AND subject = $2";
static FIRST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {COLUMNS} FROM delivery d JOIN notice n ON n.id = d.notice JOIN log l ON l.id = n.log \
         WHERE d.webhook = $1 AND d.subject = $2 ORDER BY d.notice LIMIT 1"
    )
});
const DELIVERED: &str = "DELETE FROM delivery WHERE webhook = $1 AND subject = $2 AND notice = $3";
const END: &str = "DELETE FROM line WHERE webhook = $1 AND subject = $2";
// so many notices arrive one after the other that this is written only when it says something new
const WELL: &str = "UPDATE webhook SET failures = 0, next_ms = 0, success_ms = $1 \
     WHERE id = $2 AND (failures > 0 OR success_ms IS NULL OR success_ms < $3)";
const ILL: &str = "UPDATE webhook SET error_ms = $1, error = $2 WHERE id = $3";
// of several that fail at once the first counts
const REST: &str = "UPDATE webhook SET failures = failures + 1, next_ms = $1 WHERE id = $2 AND failures = $3";
const AT_ONCE: &str = "UPDATE webhook SET next_ms = 0 WHERE id = $1";
const LINES_AT_ONCE: &str = "UPDATE line SET next_ms = 0 WHERE webhook = $1 AND taken IS NULL";

/// A success is noted again after so many milliseconds.
const NOTE_EVERY_MS: i64 = 10_000;

impl Db {
    /// All webhooks.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>, StoreError> {
        on!(read self, c => sqlx::query_as(WEBHOOKS).fetch_all(c))
    }

    /// What waits for each webhook for which something does.
    pub async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        on!(read self, c => sqlx::query_as(QUEUES).fetch_all(c))
    }

    /// Takes lines of a webhook that are due, at most `limit`, until a time.
    pub async fn take_lines(
        &self,
        webhook: i64,
        by: &str,
        limit: usize,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<Taken>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let due: Vec<(String,)> = on!(read self, c => sqlx::query_as(DUE)
            .bind(webhook)
            .bind(now_ms)
            .bind(limit)
            .fetch_all(c))?;
        let mut taken = Vec::new();
        for (subject,) in due {
            taken.extend(self.take(webhook, subject, by, now_ms, until_ms).await?);
        }
        Ok(taken)
    }

    async fn take(
        &self,
        webhook: i64,
        subject: String,
        by: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<Option<Taken>, StoreError> {
        let (failures, notice) = retry(|| async {
            let mut tx = self.begin().await?;
            let took = on!(change tx, c => sqlx::query(TAKE)
                .bind(until_ms)
                .bind(by)
                .bind(webhook)
                .bind(&subject)
                .bind(now_ms)
                .execute(c))?;
            if took == 0 {
                return Ok((0, None));
            }
            let (failures,): (i64,) =
                on!(tx tx, c => sqlx::query_as(FAILURES).bind(webhook).bind(&subject).fetch_one(c))?;
            let notice = first(&mut tx, webhook, &subject).await?;
            if notice.is_none() {
                on!(change tx, c => sqlx::query(END).bind(webhook).bind(&subject).execute(c))?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>((failures, notice))
        })
        .await?;
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        Ok(notice.map(|notice| Taken { webhook, subject, by: by.to_owned(), failures, notice }))
    }

    /// The first notice of a line was taken by its receiver. Gives the line with the next one, taken until a time; None
    /// where there is no other, or another process has the line.
    pub async fn delivered(&self, line: Taken, now_ms: i64, until_ms: i64) -> Result<Option<Taken>, StoreError> {
        let Taken { webhook, subject, by, notice, .. } = &line;
        let next = retry(|| async {
            let mut tx = self.begin().await?;
            // the line first, in the order in which notices are added to it
            let mine = on!(change tx, c => sqlx::query(KEEP)
                .bind(until_ms)
                .bind(webhook)
                .bind(subject)
                .bind(by)
                .execute(c))?;
            let delivered = on!(change tx, c => sqlx::query(DELIVERED)
                .bind(webhook)
                .bind(subject)
                .bind(notice.id)
                .execute(c))?;
            let next = if mine == 1 { first(&mut tx, *webhook, subject).await? } else { None };
            if mine == 1 && next.is_none() {
                on!(change tx, c => sqlx::query(END).bind(webhook).bind(subject).execute(c))?;
            }
            if delivered == 1 {
                on!(change tx, c => sqlx::query(WELL)
                    .bind(now_ms)
                    .bind(webhook)
                    .bind(now_ms.saturating_sub(NOTE_EVERY_MS))
                    .execute(c))?;
            }
            tx.commit().await?;
            Ok::<_, StoreError>(next)
        })
        .await?;
        Ok(next.map(|notice| Taken { failures: 0, notice, ..line }))
    }

    /// Gives a line back: it was not tried, or its receiver as a whole did not answer. It is due as it was.
    pub async fn give_back(&self, line: &Taken, now_ms: i64) -> Result<(), StoreError> {
        self.leave(line, line.failures, now_ms).await
    }

    /// The first notice of a line was not taken: the line rests until a time.
    pub async fn refused(&self, line: &Taken, why: &str, now_ms: i64, next_ms: i64) -> Result<(), StoreError> {
        self.leave(line, line.failures.saturating_add(1), next_ms).await?;
        self.note_failure(line.webhook, why, now_ms).await
    }

    /// A receiver as a whole did not answer, which had failed so many times before: it rests until a time.
    pub async fn unanswered(
        &self,
        webhook: i64,
        failures: i64,
        why: &str,
        now_ms: i64,
        next_ms: i64,
    ) -> Result<(), StoreError> {
        retry(|| async {
            on!(write self, c => sqlx::query(REST).bind(next_ms).bind(webhook).bind(failures).execute(c))
        })
        .await?;
        self.note_failure(webhook, why, now_ms).await
    }

    /// Whatever waits for a webhook is tried at once.
    pub async fn try_at_once(&self, webhook: i64) -> Result<(), StoreError> {
        for sql in [AT_ONCE, LINES_AT_ONCE] {
            retry(|| async { on!(write self, c => sqlx::query(sql).bind(webhook).execute(c)) }).await?;
        }
        Ok(())
    }

    async fn leave(&self, line: &Taken, failures: u32, next_ms: i64) -> Result<(), StoreError> {
        retry(|| async {
            on!(write self, c => sqlx::query(LEAVE)
                .bind(next_ms)
                .bind(i64::from(failures))
                .bind(line.webhook)
                .bind(&line.subject)
                .bind(&line.by)
                .execute(c))
        })
        .await?;
        Ok(())
    }

    async fn note_failure(&self, webhook: i64, why: &str, now_ms: i64) -> Result<(), StoreError> {
        let why = clean(why);
        retry(|| async { on!(write self, c => sqlx::query(ILL).bind(now_ms).bind(&why).bind(webhook).execute(c)) })
            .await?;
        Ok(())
    }
}

async fn first(tx: &mut Tx, webhook: i64, subject: &str) -> Result<Option<NoticeRow>, StoreError> {
    let row: Option<Row> =
        on!(tx tx, c => sqlx::query_as(FIRST.as_str()).bind(webhook).bind(subject).fetch_optional(c))?;
    row.map(NoticeRow::try_from).transpose()
}

impl Queue {
    /// Notices.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        nat(self.waiting)
    }
}
