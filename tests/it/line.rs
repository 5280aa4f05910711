//! Lines between cities: one serves over real mutual TLS, another pulls.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use kaopu::clock::Clock;
use kaopu::config;
use kaopu::exchange::client::Patience;
use kaopu::exchange::mirrored::Mirrors;
use kaopu::exchange::pull::{Clients, Surroundings};
use kaopu::exchange::query::Asker;
use kaopu::exchange::source::Backoff;
use kaopu::exchange::{News, PullSettings, Puller, Witness};
use kaopu::http::listener::PeerListener;
use kaopu::http::{Limits, PeerInterface, peer_routes};
use kaopu::in_force::InForce;
use kaopu::log::Origin;
use kaopu::log::appender::{Appended, Appender, Submission};
use kaopu::node::answer::{self, Answerer, Look, MayRead, Persons};
use kaopu::policy::{Files, Groups, Known, Policies};
use kaopu::record::Rules;
use kaopu::statement::{Audience, Kinds, NodeId, Reader, Verified};
use kaopu::store::statement::StatementRow;
use kaopu::store::{Db, LogRow, LogState};
use kaopu::trust::registry::Registry;
use kaopu::trust::tls::ServerTls;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::city::{City, clock};
use crate::database::{Database, Kind};

/// A test ends after this, whatever it waits for.
const DEADLINE: Duration = Duration::from_secs(60);

/// A place to listen, and its address.
pub async fn place() -> (TcpListener, String) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", tcp.local_addr().unwrap());
    (tcp, url)
}

/// Waits until something holds.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl FnMut() -> F) {
    within(DEADLINE, what, holds).await;
}

async fn within<F: Future<Output = bool>>(time: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(time, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("still not so: {what}"));
}

/// Bodies go to whom they name.
fn may_read() -> MayRead {
    Arc::new(|aud: &Audience, _: &NodeId, caller: &NodeId| match aud {
        Audience::Everyone => true,
        Audience::Named(readers) => readers.contains(&Reader::Node(caller.clone())),
    })
}

/// Appends statements to a log.
pub async fn publish(appender: &Appender, statements: Vec<Verified>) -> Appended {
    appender.append(Submission { statements, uploads: Vec::new() }).await.unwrap()
}

/// A city with a store, which may serve and may pull.
pub struct Office {
    pub city: Arc<City>,
    pub db: Db,
    pub database: Arc<Database>,
    pub registry: Registry,
    pub news: News,
    pub kinds: Kinds,
    pub clock: Clock,
    /// Appends to its exchange log, once that is open: then it answers queries.
    pub exchange: Option<Appender>,
    /// What tells natural persons where it answers.
    pub persons: Option<Persons>,
    /// Of which it keeps to what is said of taking.
    pub limits: config::Limits,
    stop: watch::Sender<bool>,
    serving: Option<tokio::task::JoinHandle<()>>,
    puller: Option<Puller>,
}

impl Office {
    /// An office of a city on SQLite.
    pub async fn new(city: City) -> Self {
        Box::pin(Self::in_a(Kind::Sqlite, city)).await
    }

    /// An office of a city on a database of this kind.
    pub async fn in_a(kind: Kind, city: City) -> Self {
        Self::on(Arc::new(city), Arc::new(Database::new(kind).await)).await
    }

    /// Another process of the same node, so to speak: it shares nothing but the database.
    pub async fn beside(other: &Self) -> Self {
        Self::on(Arc::clone(&other.city), Arc::clone(&other.database)).await
    }

    /// An office of a city on a database that is there.
    pub async fn on(city: Arc<City>, database: Arc<Database>) -> Self {
        let db = database.open().await;
        let registry = Registry::load(db.clone()).await.unwrap();
        Self {
            city,
            news: News::start(db.clone()),
            db,
            database,
            registry,
            kinds: Kinds::builtin().unwrap(),
            clock: clock(),
            exchange: None,
            persons: None,
            limits: config::Limits::default(),
            stop: watch::Sender::new(false),
            serving: None,
            puller: None,
        }
    }

    /// Opens its own records log with its descriptor, and appends to it from then on.
    pub async fn publishes(&self) -> Appender {
        let origin = self.city.records();
        let log = self.db.create_log(&origin, true).await.unwrap();
        let appender =
            Appender::start(self.db.clone(), origin, self.city.keys(), self.kinds.clone(), self.clock.clone());
        let appender = appender.await.unwrap();
        self.news.follow(appender.sizes());
        if log.size == 0 {
            publish(&appender, vec![self.city.first.clone()]).await;
        }
        appender
    }

    /// Opens its exchange log with its descriptor, and appends to it from then on.
    pub async fn exchanges(&mut self) -> Appender {
        let origin = self.city.exchange();
        let log = self.db.create_log(&origin, true).await.unwrap();
        let (db, keys, kinds) = (self.db.clone(), self.city.keys(), self.kinds.clone());
        let appender = Appender::start(db, origin, keys, kinds, self.clock.clone()).await.unwrap();
        if log.size == 0 {
            publish(&appender, vec![self.city.first.clone()]).await;
        }
        self.exchange = Some(appender.clone());
        appender
    }

    /// Answers queries, where it has an exchange log.
    pub fn answerer(&self) -> Option<Answerer> {
        Some(Answerer {
            db: self.db.clone(),
            look: Look::start(self.db.clone(), self.city.records()),
            records: self.city.records(),
            exchange: self.exchange.clone()?,
            registry: self.registry.clone(),
            kinds: self.kinds.clone(),
            clock: self.clock.clone(),
            policies: InForce::new(
                Policies::of(Files::builtin(), Known::new(&self.city.node, &self.kinds, &Groups::default())).unwrap(),
            ),
            rules: InForce::new(Rules::built_in().unwrap()),
            may_read: may_read(),
            persons: self.persons.clone(),
            room: Arc::new(Semaphore::new(answer::AT_ONCE)),
            rng: Arc::new(Mutex::new(rand::make_rng::<StdRng>())),
        })
    }

    /// Asks its peers.
    pub fn asker(&self) -> Asker {
        Asker {
            around: self.surroundings(),
            node: self.city.node.clone(),
            mirrors: Mirrors::start(self.db.clone()),
            exchange: self.exchange.clone().unwrap(),
            rng: Arc::new(Mutex::new(rand::make_rng::<StdRng>())),
        }
    }

    /// Makes others its peers.
    pub async fn knows(&self, others: &[&City]) {
        for other in others {
            assert!(self.db.put_peer(&other.peer_row()).await.unwrap());
        }
        self.registry.refresh().await.unwrap();
    }

    /// Serves its logs.
    pub fn serve(&mut self, tcp: TcpListener) {
        self.serve_within(tcp, Limits::default());
    }

    /// Serves its logs within limits.
    pub fn serve_within(&mut self, tcp: TcpListener, limits: Limits) {
        self.serve_routes(tcp, self.routes(limits), limits);
    }

    /// What it serves.
    pub fn routes(&self, limits: Limits) -> Router {
        peer_routes(PeerInterface {
            db: self.db.clone(),
            node: self.city.node.clone(),
            registry: self.registry.clone(),
            may_read: may_read(),
            answerer: self.answerer(),
            witness: self.witness(),
            news: self.news.clone(),
            limits,
            of_peers: Arc::default(),
            clock: self.clock.clone(),
            stopping: self.stop.subscribe(),
        })
    }

    /// It as a witness of its peers.
    pub fn witness(&self) -> Witness {
        let (keys, records) = (self.city.keys(), self.city.records());
        Witness::new(self.db.clone(), self.registry.clone(), keys, records, self.clock.clone())
    }

    /// Serves something else.
    pub fn serve_routes(&mut self, tcp: TcpListener, router: Router, limits: Limits) {
        let listener = PeerListener {
            tcp,
            tls: ServerTls::new(&self.city.identity, self.registry.clone()),
            registry: self.registry.clone(),
            router,
            limits,
        };
        self.stop.send_replace(false);
        let mut stop = self.stop.subscribe();
        self.serving = Some(tokio::spawn(listener.serve(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })));
    }

    /// Stops to serve; the address is free again.
    pub async fn close(&mut self) {
        self.stop.send_replace(true);
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
    }

    /// Pulls from its peers, impatiently.
    pub fn pull(&mut self) {
        let around = self.surroundings();
        self.puller = Some(Puller::start(around, Box::new(StdRng::seed_from_u64(1))));
    }

    /// What its feeds share.
    pub fn surroundings(&self) -> Surroundings {
        let ms = Duration::from_millis;
        Surroundings {
            db: self.db.clone(),
            registry: self.registry.clone(),
            identity: Arc::clone(&self.city.identity),
            kinds: self.kinds.clone(),
            clock: self.clock.clone(),
            news: self.news.clone(),
            settings: PullSettings {
                patience: Patience { connect: ms(2000), idle: ms(500), whole: ms(3000) },
                backoff: Backoff { first: ms(20), longest: ms(200) },
                wait: Duration::from_secs(1),
                retry_held: ms(100),
                ..PullSettings::default()
            },
            taken: Arc::new(self.limits.taken()),
            clients: Clients::default(),
        }
    }

    /// Stops to pull.
    pub async fn rest(&mut self) {
        if let Some(puller) = self.puller.take() {
            puller.stop().await;
        }
    }

    /// Its copy of a log.
    pub async fn copy(&self, origin: &Origin) -> Option<LogRow> {
        self.db.log(origin).await.unwrap()
    }

    /// Waits until its copy of a log is complete with so many entries.
    pub async fn holds(&self, origin: &Origin, size: u64) {
        self.holds_within(origin, size, DEADLINE).await;
    }

    /// The same, with patience.
    pub async fn holds_within(&self, origin: &Origin, size: u64, time: Duration) {
        within(time, &format!("{} holds {size} entries of {origin}", self.city.node), || async {
            self.copy(origin).await.and_then(|log| log.complete).is_some_and(|head| head.size == size)
        })
        .await;
    }

    /// Waits until its copy of a log is frozen, and gives the reason.
    pub async fn freezes(&self, origin: &Origin) -> String {
        until(&format!("{} freezes {origin}", self.city.node), || async {
            self.copy(origin).await.is_some_and(|log| log.state == LogState::Frozen)
        })
        .await;
        self.copy(origin).await.unwrap().reason.unwrap()
    }

    /// Waits until it says this of a peer.
    pub async fn says(&self, node: &NodeId, words: &str) {
        until(&format!("{} says of {node}: {words}", self.city.node), || async {
            self.error_of(node).await.is_some_and(|error| error.contains(words))
        })
        .await;
    }

    /// What it says of a peer.
    pub async fn error_of(&self, node: &NodeId) -> Option<String> {
        self.db.peers().await.unwrap().into_iter().find(|peer| peer.node == *node)?.error
    }

    /// All that it holds of a log.
    pub async fn statements(&self, origin: &Origin) -> Vec<StatementRow> {
        let log = self.copy(origin).await.unwrap();
        self.db.statements(log.id, 0, log.size).await.unwrap()
    }
}
