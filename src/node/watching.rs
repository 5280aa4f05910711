//! Watch lists as persons work with them: adding, ending and listing watches, the inbox, and how deliveries go.

mod follow;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Notify;

pub use self::follow::{Granted, NotFollowed, WatchError, Wish, follow};
use super::status::{spoken_span, time};
use super::{Node, NodeError, newest_own};
use crate::clock::Clock;
use crate::exchange::deliver::Deliverer;
use crate::exchange::notice::{event, issuer};
use crate::exchange::tell::Teller;
use crate::log::origin::LogName;
use crate::statement::{Kinds, Typ};
use crate::store::delivery::{Queue, WebhookRow};
use crate::store::inbox::NoticeRow;
use crate::store::{Db, StoreError};
use crate::trust::certificates::read_chain;

/// Whoever has waited this long for a webhook should look why.
pub const LONG_MS: i64 = 3_600_000;

/// How watching goes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WatchStatus {
    /// Watches.
    pub watches: i64,
    /// Notices that nobody has acknowledged.
    pub unread: u64,
    /// Webhooks, and what waits for them.
    pub webhooks: Vec<WebhookStatus>,
}

/// How deliveries to a webhook go.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookStatus {
    /// Its number.
    pub id: i64,
    /// Its address.
    pub url: String,
    /// Notices that wait.
    pub waiting: u64,
    /// Seconds since the oldest of them was noticed.
    pub oldest_seconds: Option<i64>,
    /// When it last took a notice.
    pub last_success: Option<String>,
    /// When it last did not.
    pub last_error_time: Option<String>,
    /// And why.
    pub last_error: Option<String>,
    /// When it is asked again, where it rests.
    pub rests_until: Option<String>,
    /// All of that in one sentence.
    pub summary: String,
}

/// A notice as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its number.
    pub id: i64,
    /// Who is told.
    pub follower: String,
    /// What for.
    pub purpose: String,
    /// `published`, or `void`.
    pub event: &'static str,
    /// The subject's key.
    pub subject: String,
    /// The subject's name.
    pub name: String,
    /// The kind.
    pub kind: String,
    /// The Chinese title of that; the kind itself where it is not known here.
    pub title: String,
    /// Who says it.
    pub issuer: String,
    /// The log.
    pub origin: String,
    /// The index in it.
    pub index: u64,
    /// The digest.
    pub digest: String,
    /// When it was said, RFC 3339.
    pub issued: Option<String>,
    /// The statements that it is about.
    #[serde(rename = "ref")]
    pub about: Vec<String>,
    /// When it was noticed here, RFC 3339.
    pub noticed: Option<String>,
    /// When it was acknowledged, RFC 3339.
    pub seen: Option<String>,
}

impl Teller {
    /// Tells those who follow subjects at a node.
    pub fn of(node: &Node, deliveries: Arc<Notify>) -> Self {
        let keep_days = node.config.watch.keep_days;
        Self { db: node.db.clone(), clock: node.clock.clone(), keep_days, deliveries }
    }
}

impl Deliverer {
    /// Delivers what waits for the webhooks of a node.
    pub async fn of(node: &Node, deliveries: Arc<Notify>) -> Result<Self, NodeError> {
        let authorities = match &node.config.webhooks.ca {
            None => Vec::new(),
            Some(path) => {
                let pem = std::fs::read_to_string(path);
                read_chain(&pem.map_err(|error| NodeError::File { path: path.clone(), error })?)?
            }
        };
        Ok(Self {
            db: node.db.clone(),
            node: node.id.clone(),
            keys: node.keys.clone(),
            records: newest_own(&node.db, &node.id, LogName::Records).await?.origin,
            clock: node.clock.clone(),
            settings: (&node.config.webhooks).into(),
            authorities,
            deliveries,
        })
    }
}

impl WatchStatus {
    /// Looks at the store.
    pub async fn of(db: &Db, clock: &Clock) -> Result<Self, StoreError> {
        let now_ms = clock.now_ms();
        let queues: HashMap<i64, Queue> = db.queues().await?.into_iter().map(|queue| (queue.webhook, queue)).collect();
        let webhooks = db.webhooks().await?;
        let webhooks = webhooks.into_iter().map(|row| WebhookStatus::of(&row, queues.get(&row.id), now_ms));
        Ok(Self {
            watches: db.watches_counted().await?,
            unread: db.unread().await?,
            webhooks: webhooks.collect::<Result<_, _>>()?,
        })
    }
}

impl WebhookStatus {
    fn of(row: &WebhookRow, queue: Option<&Queue>, now_ms: i64) -> Result<Self, StoreError> {
        let waiting = queue.map_or(Ok(0), Queue::waiting)?;
        let oldest = queue.map(|queue| now_ms.saturating_sub(queue.oldest_ms).max(0));
        Ok(Self {
            id: row.id,
            url: row.url.clone(),
            waiting,
            oldest_seconds: oldest.map(|ms| ms / 1000),
            last_success: row.success_ms.and_then(time),
            last_error_time: row.error_ms.and_then(time),
            last_error: row.error.clone(),
            rests_until: (row.next_ms > now_ms).then(|| time(row.next_ms)).flatten(),
            summary: summary(row, waiting, oldest, now_ms),
        })
    }

    /// Something has waited for it so long that somebody should look why.
    pub fn is_late(&self) -> bool {
        self.oldest_seconds.is_some_and(|seconds| seconds.saturating_mul(1000) >= LONG_MS)
    }
}

fn summary(row: &WebhookRow, waiting: u64, oldest: Option<i64>, now_ms: i64) -> String {
    let queue = match (waiting, oldest) {
        (0, _) | (_, None) => "nothing waits".to_owned(),
        (1, Some(ms)) => format!("1 notice waits since {}", spoken_span(ms)),
        (count, Some(ms)) => format!("{count} notices wait, the oldest since {}", spoken_span(ms)),
    };
    let ago = |ms: i64| spoken_span(now_ms.saturating_sub(ms));
    match (row.success_ms, row.error_ms) {
        (None, None) => format!("{queue}; not asked yet"),
        (success, Some(error)) if success.is_none_or(|success| success < error) => {
            format!("{queue}; {} ago: {}", ago(error), row.error.as_deref().unwrap_or("no answer"))
        }
        (success, _) => format!("{queue}; took a notice {} ago", success.map(ago).unwrap_or_default()),
    }
}

impl Shown {
    /// A notice in words.
    pub fn of(row: NoticeRow, kinds: &Kinds) -> Self {
        let version = u32::try_from(row.version).unwrap_or(0);
        let kind = kinds.find(&Typ { kind: row.kind.clone(), version });
        Self {
            id: row.id,
            event: event(&row),
            issuer: issuer(&row.origin).to_owned(),
            follower: row.follower,
            purpose: row.purpose,
            subject: row.subject,
            name: row.name,
            title: kind.map_or_else(|| row.kind.clone(), |kind| kind.title.clone()),
            kind: row.kind,
            origin: row.origin,
            index: row.index,
            digest: row.digest.to_string(),
            issued: row.iat.checked_mul(1000).and_then(time),
            about: row.about,
            noticed: time(row.at_ms),
            seen: row.seen_ms.and_then(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_told_of_in_one_sentence() {
        let now = 10_000_000;
        let row = |success_ms, error_ms| WebhookRow {
            id: 1,
            url: String::new(),
            failures: 0,
            next_ms: 0,
            success_ms,
            error_ms,
            error: Some("it answered 500".to_owned()),
        };
        for (success, error, waiting, words) in [
            (None, None, 0, "nothing waits; not asked yet"),
            (Some(now - 5000), None, 0, "nothing waits; took a notice 5 s ago"),
            (Some(now - 5000), Some(now - 9000), 1, "1 notice waits since 7 s; took a notice 5 s ago"),
            (None, Some(now - 9000), 3, "3 notices wait, the oldest since 7 s; 9 s ago: it answered 500"),
        ] {
            assert_eq!(summary(&row(success, error), waiting, Some(7000), now), words);
        }
    }
}
