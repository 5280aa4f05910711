//! The feeds: one a mirrored log. Each asks its sources for a newer checkpoint, held open while there is none, and pulls
//! what it commits to. Feeds know nothing of each other, so what goes wrong in one stays there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::CryptoRng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::{Patience, PeerClient};
use super::feed::Feed;
use super::source::Backoff;
use super::{Fault, News};
use crate::clock::Clock;
use crate::config;
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::quota::Taken;
use crate::statement::{Kinds, NodeId};
use crate::store::Db;
use crate::trust::registry::{Peer, Registry};
use crate::trust::tls::{self, Identity};

/// How often the registry is looked at: a peer that is no more must be dropped within a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How this node pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullSettings {
    /// How long a request for a newer checkpoint is held open.
    pub wait: Duration,
    /// How long to wait for answers.
    pub patience: Patience,
    /// How long to wait after failures.
    pub backoff: Backoff,
    /// Whether bodies are asked for packed with zstd.
    pub compress: bool,
    /// How often held statements are tried again without news.
    pub retry_held: Duration,
}

impl From<&config::Pull> for PullSettings {
    fn from(pull: &config::Pull) -> Self {
        let seconds = Duration::from_secs;
        Self {
            wait: seconds(pull.wait_seconds),
            patience: Patience {
                connect: seconds(pull.connect_seconds),
                idle: seconds(pull.idle_seconds),
                whole: seconds(pull.answer_seconds),
            },
            backoff: Backoff {
                first: Duration::from_millis(pull.retry_first_ms),
                longest: seconds(pull.retry_longest_seconds),
            },
            compress: pull.compress,
            retry_held: seconds(pull.retry_held_seconds),
        }
    }
}

impl Default for PullSettings {
    fn default() -> Self {
        (&config::Pull::default()).into()
    }
}

/// What the feeds of a node share.
#[derive(Clone)]
pub struct Surroundings {
    /// The store.
    pub db: Db,
    /// The peers.
    pub registry: Registry,
    /// This node's own certificate.
    pub identity: Arc<Identity>,
    /// The kinds that it knows.
    pub kinds: Kinds,
    /// The present.
    pub clock: Clock,
    /// Where growth is told.
    pub news: News,
    /// How it pulls.
    pub settings: PullSettings,
    /// What it has taken from each peer today, and may take.
    pub taken: Arc<Taken>,
    /// How it asks each peer: whatever is asked of one goes over one connection.
    pub clients: Clients,
}

impl Surroundings {
    /// The client of a peer.
    pub fn client(&self, peer: &Arc<Peer>) -> Result<PeerClient, Fault> {
        self.clients.of(peer, self)
    }
}

/// All feeds of a node.
pub struct Puller {
    looking: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Puller {
    /// Starts a feed for each records log of each active peer, and keeps to the registry as it changes.
    pub fn start(around: Surroundings, rng: Box<dyn CryptoRng + Send>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { looking: tokio::spawn(look(around, rng, stopped)), stop }
    }

    /// Ends all feeds. What is in a transaction is committed or rolled back as a whole.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.looking.await {
            tracing::error!(%error, "the pull ended badly");
        }
    }
}

async fn look(around: Surroundings, mut rng: Box<dyn CryptoRng + Send>, mut stopped: watch::Receiver<bool>) {
    let mut feeds: HashMap<Origin, JoinHandle<()>> = HashMap::new();
    loop {
        if let Err(error) = around.registry.refresh().await {
            tracing::warn!(%error, "could not look at the peers");
        }
        around.clients.keep(&around.registry);
        let wanted: Vec<Origin> = around.registry.peers().iter().flat_map(|peer| mirrored(peer)).collect();
        feeds.retain(|origin, feed| {
            let stays = wanted.contains(origin);
            if !stays {
                feed.abort();
            }
            stays
        });
        for origin in wanted {
            if feeds.get(&origin).is_none_or(JoinHandle::is_finished) {
                let feed = Feed::new(around.clone(), origin.clone(), rng.next_u64());
                feeds.insert(origin, tokio::spawn(feed.run()));
            }
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    for feed in feeds.values() {
        feed.abort();
    }
    for (_, feed) in feeds {
        let _ = feed.await; // aborted
    }
}

/// The logs of a peer that are mirrored: its records, each generation of them.
fn mirrored(peer: &Peer) -> Vec<Origin> {
    let logs = peer.descriptor.logs.iter().map(|log| log.origin.clone());
    logs.filter(|origin| origin.log == LogName::Records && origin.node == peer.node).collect()
}

/// One client a peer, made anew when the registry has it anew.
#[derive(Clone, Default)]
pub struct Clients {
    made: Arc<Mutex<HashMap<NodeId, Made>>>,
}

/// For the peer as it was then.
type Made = (Arc<Peer>, PeerClient);

impl Clients {
    /// Ends the connections to those that are no active peers any more.
    pub(super) fn keep(&self, registry: &Registry) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|node, _| registry.peer(node).is_some());
    }

    fn of(&self, peer: &Arc<Peer>, around: &Surroundings) -> Result<PeerClient, Fault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = made.get(&peer.node)
            && Arc::ptr_eq(known, peer)
        {
            return Ok(client.clone());
        }
        let tls = tls::client_tls(&around.identity, peer).map_err(Fault::Tls)?;
        let settings = &around.settings;
        let client = PeerClient::new(&peer.url, tls, settings.patience, settings.compress)?
            .holding(peer.descriptor.sequence)
            .while_active(around.registry.clone(), peer.node.clone())
            .counted(around.taken.count(&peer.node), around.clock.clone());
        made.insert(peer.node.clone(), (Arc::clone(peer), client.clone()));
        Ok(client)
    }
}

/// Whether something last done at `then` is due again.
pub fn due(then: Option<Instant>, every: Duration) -> bool {
    then.is_none_or(|then| then.elapsed() >= every)
}
