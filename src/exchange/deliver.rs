//! Delivering notices to webhooks: at least once, in order for a subject, again after a growing time for as long as it
//! takes. Any number of processes deliver from one queue; each takes lines for a time.
//!
//! What a receiver says of one notice rests the line of its subject. A receiver that cannot be reached, or has too much to
//! do, rests as a whole, and is then tried with one line: a thousand lines of a receiver that is away are not a thousand
//! connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{CryptoRng, RngExt as _, SeedableRng as _};
use rustls_pki_types::CertificateDer;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::notice;
use super::reach::Reach;
use super::source::Backoff;
use super::webhook::{Delivery, WebhookClient};
use crate::clock::Clock;
use crate::config;
use crate::log::Origin;
use crate::statement::{NodeId, SigningKey};
use crate::store::delivery::{Taken, WebhookRow};
use crate::store::{Db, StoreError};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;

/// What is counted of deliveries, by their outcome.
pub const DELIVERIES: &str = "kaopu_deliveries_total";

/// How often the queue is looked at when nobody tells of anything new.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A line is taken for longer than a delivery may take, by so much.
const SPARE: Duration = Duration::from_secs(5);
/// How long a failure of the node's own is left alone.
const REST: Duration = Duration::from_secs(5);

/// How this node delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Where webhooks may be.
    pub reach: Reach,
    /// For a connection to stand.
    pub connect: Duration,
    /// For a whole delivery.
    pub answer: Duration,
    /// Deliveries under way at once, of all.
    pub at_once: usize,
    /// Of one webhook.
    pub each: usize,
    /// How long to wait after failures.
    pub backoff: Backoff,
}

impl From<&config::Webhooks> for DeliverySettings {
    fn from(webhooks: &config::Webhooks) -> Self {
        Self {
            reach: Reach { allow: webhooks.allow.clone() },
            connect: Duration::from_secs(webhooks.connect_seconds),
            answer: Duration::from_secs(webhooks.answer_seconds),
            at_once: webhooks.at_once,
            each: webhooks.at_once_each,
            backoff: Backoff {
                first: Duration::from_millis(webhooks.retry_first_ms),
                longest: Duration::from_secs(webhooks.retry_longest_seconds),
            },
        }
    }
}

/// Delivers what waits for webhooks.
#[derive(Clone)]
pub struct Deliverer {
    /// The store.
    pub db: Db,
    /// This node.
    pub node: NodeId,
    /// Its keys.
    pub keys: KeyStore,
    /// The log whose last descriptor says which of them signs.
    pub records: Origin,
    /// The present.
    pub clock: Clock,
    /// How it delivers.
    pub settings: DeliverySettings,
    /// Further authorities that may vouch for webhooks.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Tells that there is something to deliver.
    pub deliveries: Arc<Notify>,
}

/// Why a delivery could not even be tried.
#[derive(Debug, thiserror::Error)]
enum Own {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a notice could not be signed: {0}")]
    Unsigned(String),
}

impl Deliverer {
    /// Goes on until it is to stop; then what is under way is ended, and nothing more begun.
    pub async fn keep_delivering(self, stopping: watch::Receiver<bool>, mut rng: Box<dyn CryptoRng + Send>) {
        let mut client = None;
        let mut under_way = JoinSet::new();
        let mut of_each: HashMap<i64, usize> = HashMap::new();
        while !*stopping.borrow() {
            while let Some(ended) = under_way.try_join_next() {
                ended_one(&ended, &mut of_each);
            }
            match self.begin(&mut client, &mut under_way, &mut of_each, &stopping, &mut rng).await {
                Ok(()) => self.until_something_is_to_do(&mut under_way, &mut of_each, &stopping).await,
                Err(error) => {
                    tracing::warn!(%error, "could not look at what is to be delivered");
                    sleep(LOOK_EVERY).await;
                }
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn until_something_is_to_do(
        &self,
        under_way: &mut JoinSet<i64>,
        of_each: &mut HashMap<i64, usize>,
        stopping: &watch::Receiver<bool>,
    ) {
        let mut stopping = stopping.clone();
        tokio::select! {
            () = self.deliveries.notified() => {}
            () = sleep(LOOK_EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
            Some(ended) = under_way.join_next() => ended_one(&ended, of_each),
        }
    }

    /// Begins with whatever lines are due and may be delivered beside those under way.
    async fn begin(
        &self,
        client: &mut Option<WebhookClient>,
        under_way: &mut JoinSet<i64>,
        of_each: &mut HashMap<i64, usize>,
        stopping: &watch::Receiver<bool>,
        rng: &mut Box<dyn CryptoRng + Send>,
    ) -> Result<(), StoreError> {
        let now_ms = self.clock.now_ms();
        for webhook in self.db.webhooks().await? {
            // a receiver that was away is asked by one line first
            let most = if webhook.failures > 0 { 1 } else { self.settings.each };
            let begun = of_each.get(&webhook.id).copied().unwrap_or(0);
            let free = most.saturating_sub(begun).min(self.settings.at_once.saturating_sub(under_way.len()));
            if free == 0 || webhook.next_ms > now_ms {
                continue;
            }
            let by = format!("{:016x}", rng.random::<u64>());
            let lines = self.db.take_lines(webhook.id, &by, free, now_ms, self.taken_until()).await?;
            for line in lines {
                let Some(client) = self.client(client) else {
                    self.db.give_back(&line, now_ms).await?;
                    return Ok(());
                };
                let (this, client, stopping) = (self.clone(), client.clone(), stopping.clone());
                let (webhook, mut rng) = (webhook.clone(), StdRng::seed_from_u64(rng.random()));
                *of_each.entry(webhook.id).or_default() += 1;
                under_way.spawn(async move {
                    if let Err(error) = Box::pin(this.line(&client, &webhook, line, &stopping, &mut rng)).await {
                        tracing::warn!(%error, webhook = webhook.id, "could not deliver a notice");
                        let _ =
                            timeout(REST, async { stopping.clone().wait_for(|stop| *stop).await.map(|_| ()) }).await;
                    }
                    webhook.id
                });
            }
        }
        Ok(())
    }

    /// The client, made when it is first needed: the system's authorities are read for it.
    fn client<'c>(&self, client: &'c mut Option<WebhookClient>) -> Option<&'c WebhookClient> {
        if client.is_none() {
            let DeliverySettings { reach, connect, answer, .. } = &self.settings;
            match WebhookClient::new(reach.clone(), &self.authorities, *connect, *answer) {
                Ok(made) => *client = Some(made),
                Err(error) => tracing::error!(error, "no notice can be delivered"),
            }
        }
        client.as_ref()
    }

    /// Delivers a line, notice by notice, until one is not taken or there is no other.
    async fn line(
        &self,
        client: &WebhookClient,
        webhook: &WebhookRow,
        mut line: Taken,
        stopping: &watch::Receiver<bool>,
        rng: &mut StdRng,
    ) -> Result<(), Own> {
        loop {
            if *stopping.borrow() {
                return Ok(self.db.give_back(&line, self.clock.now_ms()).await?);
            }
            let jws = match self.signed(webhook, &line).await {
                Ok(jws) => jws,
                Err(error) => {
                    self.db.give_back(&line, self.later(REST)).await?;
                    return Err(error);
                }
            };
            let id = notice::delivery_id(&self.node, &line.notice);
            let outcome = client.deliver(&webhook.url, &id, jws).await;
            count(&outcome);
            match outcome {
                Delivery::Taken => {
                    let next = self.db.delivered(line, self.clock.now_ms(), self.taken_until()).await?;
                    let Some(next) = next else { return Ok(()) };
                    line = next;
                }
                Delivery::Refused(why) => {
                    let wait = self.settings.backoff.after(line.failures, rng.random());
                    tracing::info!(webhook = webhook.id, notice = line.notice.id, why, "a notice was not taken");
                    return Ok(self.db.refused(&line, &why, self.clock.now_ms(), self.later(wait)).await?);
                }
                Delivery::Unanswered(why, asked) => {
                    let failures = u32::try_from(webhook.failures).unwrap_or(u32::MAX);
                    let wait = self.settings.backoff.after(failures, rng.random()).max(asked.unwrap_or_default());
                    if webhook.failures == 0 {
                        tracing::warn!(webhook = webhook.id, why, "a webhook takes no notices");
                    }
                    // the receiver first: as soon as the line is given back, it is due
                    let (now_ms, next_ms) = (self.clock.now_ms(), self.later(wait));
                    self.db.unanswered(webhook.id, webhook.failures, &why, now_ms, next_ms).await?;
                    return Ok(self.db.give_back(&line, now_ms).await?);
                }
            }
        }
    }

    /// Under the key that the node's newest descriptor names, whichever process has put it there.
    async fn signed(&self, webhook: &WebhookRow, line: &Taken) -> Result<String, Own> {
        let key = self.key().await?;
        let (node, url, notice) = (self.node.clone(), webhook.url.clone(), line.notice.clone());
        let now = self.clock.now();
        // a token may take its time
        let signed = tokio::task::spawn_blocking(move || notice::sign(&node, &url, &notice, &key, now)).await;
        signed.map_err(|error| Own::Unsigned(error.to_string()))?.map_err(|error| Own::Unsigned(error.to_string()))
    }

    async fn key(&self) -> Result<Arc<SigningKey>, Own> {
        let unsigned = |error: &dyn std::fmt::Display| Own::Unsigned(error.to_string());
        let log = self.db.log(&self.records).await?.ok_or_else(|| unsigned(&"the node has no log"))?;
        let newest = self.db.descriptors_from(log.id, log.descriptor.unwrap_or(0)).await?.pop();
        let (_, jws) = newest.ok_or_else(|| unsigned(&"the log has no descriptor"))?;
        let (_, descriptor) = Descriptor::open(&jws).map_err(|error| unsigned(&error))?;
        self.keys.signing(&descriptor).map_err(|error| unsigned(&error))
    }

    fn taken_until(&self) -> i64 {
        self.later(self.settings.answer + SPARE)
    }

    fn later(&self, wait: Duration) -> i64 {
        self.clock.now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
    }
}

fn ended_one(ended: &Result<i64, tokio::task::JoinError>, of_each: &mut HashMap<i64, usize>) {
    match ended {
        Ok(webhook) => {
            if let Some(begun) = of_each.get_mut(webhook) {
                *begun = begun.saturating_sub(1);
            }
        }
        Err(error) => tracing::error!(%error, "a delivery ended badly"),
    }
}

fn count(outcome: &Delivery) {
    let outcome = match outcome {
        Delivery::Taken => "taken",
        Delivery::Refused(_) => "refused",
        Delivery::Unanswered(..) => "unanswered",
    };
    metrics::counter!(DELIVERIES, "outcome" => outcome).increment(1);
}
