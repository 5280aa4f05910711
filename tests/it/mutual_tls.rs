//! Whom a connection lets in, tried over real connections: each certificate that must be refused, on either side.

mod certificates;
mod told;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kaopu::statement::NodeId;
use kaopu::store::Db;
use kaopu::trust::certificates::read_chain;
use kaopu::trust::registry::Registry;
use kaopu::trust::tls::{self, ClientTls, Refusal, ServerTls, TlsError};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::certificates::{Certificate, Node, impostors, uri};

/// Seconds since 1970 by the clock of these tests: 2026-09-21.
const NOW: i64 = 1_790_000_000;

/// 340500, which serves, its peers 310107 and 341200, and 440100, which is none.
struct Federation {
    _folder: TempDir,
    db: Db,
    registry: Registry,
    here: Node,
    peer: Node,
    other: Node,
    stranger: Node,
}

impl Federation {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", folder.path().join("kaopu.db").display())).await.unwrap();
        let [here, peer, other, stranger] =
            [("340500", 1), ("310107", 2), ("341200", 3), ("440100", 4)].map(|(id, seed)| Node::new(id, seed));
        for node in [&here, &peer, &other] {
            // a node that knows itself can be asked by itself; that serves the tests of the client
            assert!(db.put_peer(&node.row()).await.unwrap());
        }
        let registry = Registry::load(db.clone()).await.unwrap();
        Self { _folder: folder, db, registry, here, peer, other, stranger }
    }

    fn server(&self) -> End<ServerConfig> {
        ServerTls::new(&self.here.identity(), self.registry.clone()).connection().unwrap()
    }

    /// A client that trusts this server, and shows what it is given.
    fn client(&self, shown: Option<Certificate>, version: &'static SupportedProtocolVersion) -> End<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(read_chain(&self.here.ca.certificate).unwrap().swap_remove(0)).unwrap();
        let time = Arc::new(At);
        let builder = ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), time)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        (Arc::new(config), Refusal::default())
    }

    /// How this node asks another.
    fn asking(&self, meant: &Node) -> End<ClientConfig> {
        let meant = self.registry.peer(&meant.id).unwrap();
        let ClientTls { config, refusal } = tls::client_tls(&self.peer.identity(), &meant).unwrap();
        (Arc::new(config), refusal)
    }

    /// What the server says to a client that shows this certificate: who it is, or why not.
    async fn ask(&self, shown: Option<Certificate>) -> Result<Option<NodeId>, String> {
        meet(self.server(), self.client(shown, &TLS13)).await.server
    }
}

#[derive(Debug)]
struct At;

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        Some(rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(NOW.unsigned_abs())))
    }
}

/// How a connection went at either end.
struct Met {
    server: Result<Option<NodeId>, String>,
    client: Result<HandshakeKind, String>,
}

/// One end's configuration, and where it leaves why it refused the other.
type End<C> = (Arc<C>, Refusal);

/// The name of the reason, and the reason itself.
fn words(error: &std::io::Error, refusal: &Refusal) -> String {
    let reason = TlsError::of(error, refusal).unwrap_or_else(|| panic!("no reason of TLS: {error}"));
    format!("{}: {reason}", reason.name())
}

/// Connects the two: the server says one word when the handshake is done, and the client waits for it.
async fn meet(server: End<ServerConfig>, client: End<ClientConfig>) -> Met {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(server.0).accept(stream).await.map_err(|error| words(&error, &server.1))?;
        let caller = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let caller = caller.map(tls::node_of).transpose().unwrap();
        stream.write_all(b"ok").await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())?;
        Ok(caller)
    };
    let ask = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(client.0).connect(name, stream).await;
        let mut stream = stream.map_err(|error| words(&error, &client.1))?;
        let mut word = Vec::new();
        stream.read_to_end(&mut word).await.map_err(|error| words(&error, &client.1))?;
        assert_eq!(word, b"ok");
        Ok(stream.get_ref().1.handshake_kind().unwrap())
    };
    let (server, client) = tokio::join!(serve, ask);
    Met { server, client }
}

#[tokio::test]
async fn a_peer_is_known_by_its_certificate_and_a_stranger_by_none() {
    let all = Federation::new().await;
    assert_eq!(all.ask(Some(all.peer.certificate())).await, Ok(Some(all.peer.id.clone())));
    assert_eq!(all.ask(Some(all.peer.bent(|_| ()))).await, Ok(Some(all.peer.id.clone())));
    // without a certificate the connection stands, for the descriptor alone
    assert_eq!(all.ask(None).await, Ok(None));
}

#[tokio::test]
async fn what_is_no_peers_certificate_is_refused_with_a_reason_of_its_own_and_told_so() {
    let all = Federation::new().await;
    let (peer, other) = (&all.peer, &all.other);
    for (what, certificate, reason, alert) in impostors(peer, other, &all.stranger, ExtendedKeyUsagePurpose::ServerAuth)
    {
        let met = meet(all.server(), all.client(Some(certificate), &TLS13)).await;
        let refused = met.server.expect_err(what);
        assert!(refused.starts_with(reason), "{what}: {refused}");
        let told = met.client.expect_err(what);
        assert!(told.starts_with("refused-by-the-other-side: ") && told.contains(alert), "{what}: {told}");
    }
    // a peer that is known presents itself as a third node on a second connection
    assert_eq!(all.ask(Some(peer.certificate())).await, Ok(Some(peer.id.clone())));
    let as_third = peer.bent(|params| params.subject_alt_names = vec![uri(other.id.as_str())]);
    let refused = all.ask(Some(as_third)).await.unwrap_err();
    assert!(refused.starts_with("other-authority: the certificate of 341200 was given by"), "{refused}");
    // a second certificate, for a third node, says nothing: the first one alone is a claim
    let (mut chain, key) = peer.certificate();
    chain.extend(other.certificate().0);
    assert_eq!(all.ask(Some((chain, key))).await, Ok(Some(peer.id.clone())));
    let (mut chain, key) = other.bent(|params| params.subject_alt_names = vec![uri(peer.id.as_str())]);
    chain.extend(peer.certificate().0);
    assert!(all.ask(Some((chain, key))).await.is_err());
}

#[tokio::test]
async fn an_authority_that_does_not_hold_now_vouches_for_nobody_at_either_end() {
    let all = Federation::new().await;
    let over = NOW - kaopu::trust::certificates::CA_DAYS as i64 * 86_400;
    for (id, seed, made_at) in [("320500", 8, over), ("320600", 9, NOW + 7200)] {
        let node = Node::under_ca_of(id, seed, made_at);
        assert!(all.db.put_peer(&node.row()).await.unwrap());
        all.registry.refresh().await.unwrap();
        let words =
            format!("authority-ended: the authority that vouches for the certificate of {id} does not hold now");
        let met = meet(all.server(), all.client(Some(node.bent(|_| ())), &TLS13)).await;
        let refused = met.server.unwrap_err();
        assert!(refused.starts_with(&words), "{refused}");
        let told = met.client.unwrap_err();
        assert!(told.contains("(CertificateExpired)") && told.contains("or the authority behind it"), "{told}");
        let met = meet(serving(node.bent(|_| ())), all.asking(&node)).await;
        let refused = met.client.unwrap_err();
        assert!(refused.starts_with(&words), "{refused}");
        // nor would the node take such a certificate as its own
        let (chain, _) = node.bent(|_| ());
        let ca = read_chain(&node.ca.certificate).unwrap();
        let clock = kaopu::clock::Clock::fixed(NOW * 1000);
        let own = tls::vouched_for(&node.id, ca.into_iter(), &chain, &clock);
        assert!(matches!(own, Err(TlsError::AuthorityEnded(..))), "{own:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_node_that_is_meant_is_refused_likewise() {
    let all = Federation::new().await;
    let (meant, other) = (&all.peer, &all.other);
    let mut impostors = impostors(meant, other, &all.stranger, ExtendedKeyUsagePurpose::ClientAuth);
    // who asks means one node: all others are alike
    impostors.retain(|(_, _, reason, _)| !reason.starts_with("unknown-node"));
    let third = "other-node: the server is 341200; 310107 was expected";
    impostors.push(("another peer", other.certificate(), third, "BadCertificate"));
    let as_third = meant.bent(|params| params.subject_alt_names = vec![uri(other.id.as_str())]);
    impostors.push(("its authority, for a third node", as_third, third, "BadCertificate"));
    for (what, certificate, reason, alert) in impostors {
        let met = meet(serving(certificate), all.asking(meant)).await;
        let refused = met.client.expect_err(what);
        assert!(refused.starts_with(reason), "{what}: {refused}");
        let told = met.server.expect_err(what);
        assert!(told.starts_with("refused-by-the-other-side: ") && told.contains(alert), "{what}: {told}");
    }
    // whatever address the certificate names: a node is known by its id
    let anywhere = meant.bent(|params| params.subject_alt_names = vec![uri(meant.id.as_str())]);
    assert_eq!(meet(serving(anywhere), all.asking(meant)).await.client, Ok(HandshakeKind::Full));
}

/// A server that shows this certificate to everybody, whoever asks.
fn serving((chain, key): Certificate) -> End<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.send_tls13_tickets = 2;
    (Arc::new(config), Refusal::default())
}

#[tokio::test]
async fn tls_1_2_is_refused_at_either_end() {
    let all = Federation::new().await;
    let met = meet(all.server(), all.client(Some(all.peer.certificate()), &TLS12)).await;
    assert!(met.server.unwrap_err().starts_with("tls-version: "));
    let told = met.client.unwrap_err();
    assert!(told.contains("ProtocolVersion") && told.contains("TLS 1.3"), "{told}");

    let (chain, key) = all.peer.certificate();
    let old = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let met = meet((Arc::new(old), Refusal::default()), all.asking(&all.peer)).await;
    let refused = met.client.unwrap_err();
    assert!(refused.contains("TLS 1.3"), "{refused}");
    assert!(met.server.unwrap_err().starts_with("tls-version: "));
}

#[tokio::test]
async fn a_change_of_the_registry_binds_at_the_next_handshake() {
    let all = Federation::new().await;
    let server = all.server();
    let client = all.client(Some(all.stranger.certificate()), &TLS13);
    assert!(meet(server.clone(), client.clone()).await.server.is_err());
    all.db.put_peer(&all.stranger.row()).await.unwrap();
    assert!(all.registry.refresh().await.unwrap());
    assert!(!all.registry.refresh().await.unwrap());
    assert_eq!(meet(server, client).await.server, Ok(Some(all.stranger.id.clone())));
}

#[tokio::test]
async fn no_session_is_resumed_and_no_authority_is_hinted_at() {
    #[derive(Debug)]
    struct Listens(Arc<CertifiedKey>, Mutex<Vec<usize>>);
    impl ResolvesClientCert for Listens {
        fn resolve(&self, hints: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
            self.1.lock().unwrap().push(hints.len());
            Some(Arc::clone(&self.0))
        }
        fn has_certs(&self) -> bool {
            true
        }
    }
    let all = Federation::new().await;
    let server = all.server();
    let (chain, key) = all.peer.certificate();
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap();
    let listens = Arc::new(Listens(Arc::new(certified), Mutex::default()));
    let mut client = ClientConfig::clone(&all.client(None, &TLS13).0);
    client.client_auth_cert_resolver = Arc::clone(&listens) as Arc<dyn ResolvesClientCert>;
    client.enable_early_data = true;
    let client = (Arc::new(client), Refusal::default());
    for _ in 0..2 {
        let met = meet(server.clone(), client.clone()).await;
        assert_eq!(met.client, Ok(HandshakeKind::Full));
    }
    assert_eq!(*listens.1.lock().unwrap(), [0, 0]);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let all = Federation::new().await;
    let identity = all.here.identity();
    let server = ServerTls::new(&identity, all.registry.clone()).connection().unwrap();
    let (old, _) = all.here.bent(|params| params.not_after = date_time_ymd(2026, 12, 1));
    assert_ne!(identity.valid_until(), Some(1_796_083_200));
    assert!(identity.exchange(old, all.here.certificate().1).is_err(), "a certificate and the key of another");
    let (new, key) = all.here.bent(|params| params.not_after = date_time_ymd(2026, 12, 1));
    identity.exchange(new, key).unwrap();
    assert_eq!(identity.valid_until(), Some(1_796_083_200));
    assert_eq!(meet(server, all.asking(&all.here)).await.client, Ok(HandshakeKind::Full));
    let (foreign, key) = all.other.certificate();
    assert!(identity.exchange(foreign, key).is_err(), "a certificate of another node");
}
