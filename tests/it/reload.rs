//! Certificates and peers are exchanged while a node serves, and nobody who asks it notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::exchange::PeerClient;
use kaopu::exchange::client::Patience;
use kaopu::log::Origin;
use kaopu::store::Db;
use kaopu::trust::certificates::{Made, Wanted, make_ca, make_node, read_chain, read_key};
use kaopu::trust::registry::{Peer, Registry};
use kaopu::trust::tls::{self, Identity};
use rustls_pki_types::ServerName;

use crate::city::City;
use crate::federation::{Federation, Node, until};

/// One node as another knows it, and the certificate by which the other asks.
pub struct Asker {
    identity: Identity,
    peer: Arc<Peer>,
}

impl Asker {
    /// `from` asks `to`.
    pub async fn new(from: &Node, to: &Node) -> Self {
        Self::find(from, to).await.unwrap()
    }

    /// The same; None while certificate and key are being exchanged.
    pub async fn find(from: &Node, to: &Node) -> Option<Self> {
        let db = open(from).await;
        let peer = Registry::load(db.clone()).await.unwrap().peer(&to.id.parse().unwrap()).unwrap();
        db.close().await;
        let file = |name: &str| std::fs::read_to_string(from.dir.join(name)).unwrap();
        let (chain, key) = (read_chain(&file("certs/node.pem")).unwrap(), read_key(&file("certs/node.key")).unwrap());
        Some(Self { identity: Identity::new(from.id.parse().unwrap(), chain, key, Clock::System).ok()?, peer })
    }

    /// The same, asking at another address.
    pub fn at(self, url: &str) -> Self {
        Self { peer: Arc::new(Peer { url: url.to_owned(), ..(*self.peer).clone() }), ..self }
    }

    /// A client without connections yet.
    pub fn client(&self) -> PeerClient {
        let seconds = Duration::from_secs;
        let patience = Patience { connect: seconds(10), idle: seconds(20), whole: seconds(30) };
        let tls = tls::client_tls(&self.identity, &self.peer).unwrap();
        PeerClient::new(&self.peer.url, tls, patience, true).unwrap()
    }

    /// Asks for the checkpoint.
    pub async fn ask(&self, client: &PeerClient) -> Result<(), String> {
        let origin: Origin = format!("kaopu/{}/records/1", self.peer.node).parse().unwrap();
        let asked = client.checkpoint(&origin, None, Duration::ZERO).await;
        asked.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Asks for a checkpoint after the newest one, and waits for it.
    pub async fn hold_open(&self, client: &PeerClient) -> Result<(), String> {
        let origin: Origin = format!("kaopu/{}/records/1", self.peer.node).parse().unwrap();
        let served = client.checkpoint(&origin, None, Duration::ZERO).await.unwrap().unwrap();
        let asked = client.checkpoint(&origin, served.etag.as_deref(), Duration::from_secs(30)).await;
        asked.map(|_| ()).map_err(|error| error.to_string())
    }

    /// The certificate that the other shows.
    async fn shown(&self) -> Vec<u8> {
        let config = tls::client_tls(&self.identity, &self.peer).unwrap().config;
        let address = self.peer.url.strip_prefix("https://").unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

/// The store of a node, beside its process.
pub async fn open(node: &Node) -> Db {
    Db::open(Config::load(&node.config()).unwrap().store.expose()).await.unwrap()
}

#[test]
fn certificates_and_peers_are_exchanged_without_a_refused_request() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.nodes[0].start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asker = Arc::new(runtime.block_on(Asker::new(peer, here)));

    // two ask without end: one on a connection that it keeps, one on a new connection each time
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking = [true, false].map(|keeps| {
        let (asker, over, asked) = (Arc::clone(&asker), Arc::clone(&over), Arc::clone(&asked));
        runtime.spawn(async move {
            let mut client = asker.client();
            // within what a peer may ask
            let mut pace = tokio::time::interval(Duration::from_millis(2));
            while !over.load(Ordering::Relaxed) {
                pace.tick().await;
                asker.ask(&client).await?;
                asked.fetch_add(1, Ordering::Relaxed);
                if !keeps {
                    client = asker.client();
                }
            }
            Ok::<(), String>(())
        })
    });

    let read = |name: &str| std::fs::read_to_string(here.dir.join(name)).unwrap();
    let write = |name: &str, text: &str| std::fs::write(here.dir.join(name), text).unwrap();
    let complaints = || here.journal_text().matches("the old one goes on").count();
    let shown = || runtime.block_on(asker.shown());
    let der = |pem: &str| read_chain(pem).unwrap()[0].to_vec();
    let id = here.id.parse().unwrap();
    let wanted = Wanted { node: &id, host: None, now: Clock::System.now() };
    let ca = Made { certificate: read("certs/ca.pem"), key: read("certs/ca.key").into() };
    let before = shown();
    let db = runtime.block_on(open(here));

    for round in 0..2 {
        // key and certificate are written one after the other, and each of them in two parts
        let old = shown();
        let new = make_node(&wanted, &ca).unwrap();
        for (name, text) in [("certs/node.key", &*new.key), ("certs/node.pem", &new.certificate)] {
            for part in [text.len() / 2, text.len()] {
                let noticed = complaints();
                write(name, &text[..part]);
                if (name, part) == ("certs/node.pem", text.len()) {
                    until("the renewed certificate is shown", || shown() == der(&new.certificate));
                } else {
                    until("the half-done change is noticed", || complaints() > noticed);
                    assert_eq!(shown(), old);
                }
            }
        }
        // a peer more, and one that moves
        let stranger = City::new(["341200", "320100"][round], "https://127.0.0.1:1");
        runtime.block_on(async {
            assert!(db.put_peer(&stranger.peer_row()).await.unwrap());
            let mut row = db.peers().await.unwrap().into_iter().find(|row| row.node.as_str() == peer.id).unwrap();
            row.url = Some(format!("https://127.0.0.1:{}", round + 1));
            assert!(db.put_peer(&row).await.unwrap());
        });
    }
    // what peers would refuse is not shown, however well key and certificate fit
    let taken = shown();
    let other = make_ca(&wanted).unwrap();
    let foreign = make_node(&wanted, &other).unwrap();
    let long_ago = make_node(&Wanted { now: wanted.now - 400 * 86_400, ..wanted.clone() }, &ca).unwrap();
    for (bad, reason) in [(foreign, "is not signed by the authority that it names"), (long_ago, "has expired")] {
        write("certs/node.pem", &bad.certificate);
        write("certs/node.key", &bad.key);
        until(reason, || here.journal_text().lines().any(|l| l.contains("the old one goes on") && l.contains(reason)));
        assert_eq!(shown(), taken);
    }

    over.store(true, Ordering::Relaxed);
    for asking in asking {
        runtime.block_on(asking).unwrap().unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 100, "{asked:?}");
    assert_ne!(taken, before);
    runtime.block_on(db.close());
}
