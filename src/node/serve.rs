//! A node that serves: the peer interface, the local API, and the feeds of its peers' logs, from start to an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::applications::Applications;
use super::peers::Peers;
use super::policies::PolicyKeeper;
use super::recognise::Recogniser;
use super::reload::Keeper;
use super::{Node, NodeError, hold, metrics, newest_own, rng, warnings};
use crate::exchange::deliver::Deliverer;
use crate::exchange::pull::{Clients, Surroundings};
use crate::exchange::tell::Teller;
use crate::exchange::{News, Puller, Pusher, Witness};
use crate::http::listener::PeerListener;
use crate::http::local_api::{self, LocalApi};
use crate::http::{PeerInterface, peer_routes};
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::trust::tls::ServerTls;

/// How long connections may take to end; a little more than the peer interface gives its requests.
const END_WITHIN: Duration = Duration::from_secs(12);
/// How often the registry is looked at where no feed does.
const REGISTRY_EVERY: Duration = Duration::from_millis(200);

/// A node whose ports are bound: peers can connect, and are answered once it serves.
pub struct Bound {
    node: Node,
    peer: TcpListener,
    local: TcpListener,
    /// Where the peer interface listens.
    pub peer_address: SocketAddr,
    /// Where the local API listens.
    pub local_address: SocketAddr,
}

impl Node {
    /// Binds the ports.
    pub async fn bind(self) -> Result<Bound, NodeError> {
        let (peer, peer_address) = bind(self.config.listen.peer).await?;
        let (local, local_address) = bind(self.config.listen.local).await?;
        Ok(Bound { node: self, peer, local, peer_address, local_address })
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let failed = |error| NodeError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

impl Bound {
    /// Serves until `shutdown`. Then no connection is accepted any more, requests under way are answered within a bounded
    /// time, what the appenders took is committed, and the store is closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), NodeError> {
        let Self { node, peer, local, .. } = self;
        metrics::begin();
        let policies = PolicyKeeper::start(&node).await?;
        let answerer = node.answerer().await?;
        let records = newest_own(&node.db, &node.id, LogName::Records).await?.origin;
        let exchange = newest_own(&node.db, &node.id, LogName::Exchange).await?.origin;
        let (stop, stopping) = watch::channel(false);
        let news = News::start(node.db.clone());
        news.follow(node.records.sizes());
        news.follow(node.exchange.sizes());

        let interface = PeerInterface {
            db: node.db.clone(),
            node: node.id.clone(),
            registry: node.registry.clone(),
            may_read: Arc::clone(&answerer.may_read),
            answerer: Some(answerer),
            witness: witness(&node, records.clone()),
            news: news.clone(),
            limits: (&node.config.limits).into(),
            of_peers: Arc::new(node.config.limits.of_each(|limits| limits.into())),
            clock: node.clock.clone(),
            stopping: stopping.clone(),
        };
        let listener = PeerListener {
            tcp: peer,
            tls: ServerTls::new(&node.identity, node.registry.clone()),
            registry: node.registry.clone(),
            router: peer_routes(interface),
            limits: (&node.config.limits).into(),
        };
        let peers = Peers::of(&node);
        let local_api = LocalApi {
            db: node.db.clone(),
            config: Arc::clone(&node.config),
            settings: node.settings.clone(),
            clock: node.clock.clone(),
            peers: peers.clone(),
        };

        let mut tasks = JoinSet::new();
        tasks.spawn(listener.serve(stopped(stopping.clone())));
        tasks.spawn(local_api::serve(local, local_api, stopped(stopping.clone())));
        let keeper = Keeper {
            config: Arc::clone(&node.config),
            identity: Arc::clone(&node.identity),
            passphrases: node.passphrases.clone(),
            db: node.db.clone(),
        };
        tasks.spawn(until(stopping.clone(), keeper.keep()));
        tasks.spawn(until(stopping.clone(), node.db.clone().keep_folding()));
        tasks.spawn(until(stopping.clone(), policies.keep()));
        tasks.spawn(until(stopping.clone(), node.settings.clone().keep_rules(Arc::clone(&node.config))));
        tasks.spawn(until(stopping.clone(), node.settings.clone().keep_calendar(Arc::clone(&node.config))));
        let (config, seen) = (Arc::clone(&node.config), node.identity.seen.clone());
        let telling = warnings::keep_telling(node.db.clone(), config, node.settings.clone(), node.clock.clone(), seen);
        tasks.spawn(until(stopping.clone(), telling));
        tasks.spawn(until(stopping.clone(), peers.keep_asking()));
        let expiring = hold::keep_expiring(node.db.clone(), node.settings.clone(), node.clock.clone());
        tasks.spawn(until(stopping.clone(), expiring));
        if node.config.watch.enabled {
            let deliveries = Arc::new(Notify::new());
            let deliverer = Deliverer::of(&node, Arc::clone(&deliveries)).await?;
            tasks.spawn(until(stopping.clone(), Teller::of(&node, deliveries).keep_telling(news.clone())));
            tasks.spawn(deliverer.keep_delivering(stopping.clone(), Box::new(rng())));
        }
        tasks.spawn(until(stopping.clone(), Recogniser::of(&node).keep_deciding()));
        let around = surroundings(&node, news);
        let fetching = node.config.pull.enabled.then(|| around.clone());
        tasks.spawn(until(stopping.clone(), Applications::of(&node).keep(fetching)));
        let pusher = Pusher::start(around.clone(), vec![records, exchange], Box::new(rng()));
        let puller = if node.config.pull.enabled {
            Some(Puller::start(around, Box::new(rng())))
        } else {
            tasks.spawn(watch_registry(&node, stopping.clone()));
            None
        };

        tracing::info!(node = %node.id, "serving");
        shutdown.await;
        tracing::info!(node = %node.id, "stopping");
        stop.send_replace(true);
        pusher.stop().await;
        if let Some(puller) = puller {
            puller.stop().await;
        }
        let all_end = async {
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task ended badly");
                }
            }
        };
        if timeout(END_WITHIN, all_end).await.is_err() {
            tracing::warn!("some connections were cut off by the end");
        }
        node.close().await;
        Ok(())
    }
}

/// Goes on with something endless until the node stops.
async fn until(stopping: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! { () = work => {}, () = stopped(stopping) => {} }
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // the sender lives as long as the node serves
    let _ = stopping.wait_for(|stop| *stop).await;
}

pub(super) fn surroundings(node: &Node, news: News) -> Surroundings {
    Surroundings {
        db: node.db.clone(),
        registry: node.registry.clone(),
        identity: Arc::clone(&node.identity),
        kinds: node.kinds.clone(),
        clock: node.clock.clone(),
        news,
        settings: (&node.config.pull).into(),
        taken: Arc::new(node.config.limits.taken()),
        clients: Clients::default(),
    }
}

fn witness(node: &Node, records: Origin) -> Witness {
    Witness::new(node.db.clone(), node.registry.clone(), node.keys.clone(), records, node.clock.clone())
}

/// Keeps to the registry as other processes change it.
fn watch_registry(node: &Node, stopping: watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
    let registry = node.registry.clone();
    until(stopping, async move {
        loop {
            if let Err(error) = registry.refresh().await {
                tracing::warn!(%error, "could not look at the peers");
            }
            sleep(REGISTRY_EVERY).await;
        }
    })
}
