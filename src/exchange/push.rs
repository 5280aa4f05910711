//! Pushes the checkpoints of this node's logs to its peers, who cosign them: one at a time to each, and only the newest.
//!
//! Publishing waits for nobody here: a checkpoint is pushed after it was committed, and a witness that does not answer is
//! asked again later, for whatever is the newest then.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{CryptoRng, RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Fault;
use super::cosign::{cosign, is_current, newest};
use super::pull::Surroundings;
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::statement::NodeId;
use crate::trust::registry::Peer;

/// How often the peers and the sizes of the logs are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// All pushes of a node.
pub struct Pusher {
    looking: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Pusher {
    /// Starts to push these own logs to each active peer that is a witness, and keeps to the registry as it changes.
    pub fn start(around: Surroundings, logs: Vec<Origin>, rng: Box<dyn CryptoRng + Send>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { looking: tokio::spawn(look(around, logs, rng, stopped)), stop }
    }

    /// Ends all pushes.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.looking.await {
            tracing::error!(%error, "the pushes ended badly");
        }
    }
}

/// How often a log is pushed at most.
fn every(log: LogName) -> Duration {
    match log {
        LogName::Records => Duration::from_millis(200),
        LogName::Exchange => Duration::from_secs(60),
    }
}

async fn look(
    around: Surroundings,
    logs: Vec<Origin>,
    mut rng: Box<dyn CryptoRng + Send>,
    mut stopped: watch::Receiver<bool>,
) {
    let sizes: Vec<(Origin, watch::Sender<u64>)> = logs.into_iter().map(|log| (log, watch::Sender::new(0))).collect();
    let mut pushes: HashMap<(NodeId, Origin), (Arc<Peer>, JoinHandle<()>)> = HashMap::new();
    loop {
        around.clients.keep(&around.registry);
        let mut witnesses = around.registry.peers();
        witnesses.retain(|peer| !peer.descriptor.witness_keys().is_empty());
        // a peer that changed may have another key, and is asked anew
        pushes.retain(|(node, _), (then, push)| {
            let stays = witnesses.iter().any(|peer| peer.node == *node && Arc::ptr_eq(peer, then));
            if !stays {
                push.abort();
            }
            stays
        });
        if !witnesses.is_empty() {
            look_at_sizes(&around, &sizes).await;
        }
        for peer in witnesses {
            for (origin, size) in &sizes {
                pushes.entry((peer.node.clone(), origin.clone())).or_insert_with(|| {
                    let push = Push::new(around.clone(), Arc::clone(&peer), origin.clone(), rng.next_u64());
                    (Arc::clone(&peer), tokio::spawn(push.run(size.subscribe())))
                });
            }
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = sleep(LOOK_EVERY) => {}
        }
    }
    for (_, push) in pushes.values() {
        push.abort();
    }
    for (_, (_, push)) in pushes {
        let _ = push.await; // aborted
    }
}

/// Another process of this node may have grown them, so the store is what counts.
async fn look_at_sizes(around: &Surroundings, sizes: &[(Origin, watch::Sender<u64>)]) {
    match around.db.own_sizes().await {
        Ok(own) => {
            for (origin, size) in sizes {
                let now = own.iter().find(|(own, _)| own == origin).map_or(0, |(_, size)| *size);
                size.send_if_modified(|known| std::mem::replace(known, now) != now);
            }
        }
        Err(error) => tracing::warn!(%error, "could not look at the own logs"),
    }
}

/// One log and one witness.
struct Push {
    around: Surroundings,
    peer: Arc<Peer>,
    origin: Origin,
    /// The size that it has cosigned.
    done: u64,
    failures: u32,
    /// The kind of the last failure, until it goes well again: each is told of once.
    failing: Option<Discriminant<Fault>>,
    rng: StdRng,
}

impl Push {
    fn new(around: Surroundings, peer: Arc<Peer>, origin: Origin, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { around, peer, origin, done: 0, failures: 0, failing: None, rng }
    }

    /// Pushes until it is aborted.
    async fn run(mut self, mut sizes: watch::Receiver<u64>) {
        loop {
            let done = self.done;
            if sizes.wait_for(|size| *size > done).await.is_err() {
                return;
            }
            let begun = Instant::now();
            match Box::pin(self.push()).await {
                Ok(size) => {
                    self.good(size);
                    sleep_until(begun + every(self.origin.log)).await;
                }
                Err(Fault::Inactive) => return,
                Err(fault) => {
                    let wait = self.bad(&fault);
                    sleep(wait).await;
                }
            }
        }
    }

    /// Has the newest checkpoint cosigned; gives its size.
    async fn push(&self) -> Result<u64, Fault> {
        let Surroundings { db, clock, .. } = &self.around;
        let log = db.log(&self.origin).await?.ok_or(Fault::NotHeld)?;
        let head = log.head.as_ref().ok_or(Fault::NotHeld)?;
        // before a restart, or by another process of this node
        if let Some((size, cosignature)) = newest(db, &self.peer, &log).await?
            && size == head.size
            && is_current(&self.peer, &log, head, &cosignature)
        {
            return Ok(size);
        }
        let client = self.around.client(&self.peer)?;
        cosign(db, &client, &self.peer, &log, clock).await?;
        Ok(head.size)
    }

    fn good(&mut self, size: u64) {
        if self.failing.take().is_some() {
            tracing::info!(witness = %self.peer.node, origin = %self.origin, size, "a witness cosigns again");
        }
        (self.done, self.failures) = (size, 0);
    }

    /// How long to wait now.
    fn bad(&mut self, fault: &Fault) -> Duration {
        if self.failing.replace(discriminant(fault)) != Some(discriminant(fault)) {
            let (witness, origin) = (&self.peer.node, &self.origin);
            // one that is away, or where this node is not active yet, is nothing to worry about
            if fault.is_outage() || matches!(fault, Fault::NotTaken(_)) {
                tracing::info!(%witness, %origin, %fault, "a witness does not cosign now; it is asked again");
            } else {
                tracing::warn!(%witness, %origin, %fault, "a witness does not cosign; it is asked again");
            }
        }
        let backoff = self.around.settings.backoff;
        let wait = backoff.first.saturating_mul(1 << self.failures.min(16)).min(backoff.longest);
        self.failures = self.failures.saturating_add(1);
        // between half and the whole of it, so that many who failed together do not come back together
        let wait = wait.mul_f64(self.rng.random_range(0.5..=1.0));
        if let Fault::Limited(asked) = fault { wait.max(*asked) } else { wait }
    }
}
