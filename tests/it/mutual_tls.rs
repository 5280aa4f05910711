//! Whom a connection lets in, tried over real connections: each certificate that must be refused, on either side.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kaopu::clock::Clock;
use kaopu::log::Origin;
use kaopu::log::origin::LogName;
use kaopu::statement::{NodeId, Suite};
use kaopu::store::Db;
use kaopu::store::peer::PeerRow;
use kaopu::trust::certificates::{Made, Wanted, make_ca, make_node, read_chain, read_key};
use kaopu::trust::descriptor::{Descriptor, KeyState, LogEntry, TlsTrust, thumbprint};
use kaopu::trust::keys::{NodeKeys, RootKeys};
use kaopu::trust::registry::Registry;
use kaopu::trust::state::PeerState;
use kaopu::trust::tls::{self, ClientTls, Identity, Refusal, ServerTls, TlsError};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Seconds since 1970 by the clock of these tests: 2026-09-21.
const NOW: i64 = 1_790_000_000;

type Certificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A node with its authority, known by its descriptor.
struct Node {
    id: NodeId,
    ca: Made,
    descriptor: String,
}

impl Node {
    fn new(id: &str, seed: u64) -> Self {
        let id: NodeId = id.parse().unwrap();
        let mut rng = StdRng::seed_from_u64(seed);
        let roots = RootKeys::generate(Suite::EdDsa, &mut rng);
        let ca = make_ca(&Wanted { node: &id, host: None, now: NOW }).unwrap();
        let certificate = read_chain(&ca.certificate).unwrap().swap_remove(0);
        let logs = [LogName::Records, LogName::Exchange];
        let descriptor = Descriptor {
            node: id.clone(),
            versions: vec![1],
            suites: Suite::ALL.to_vec(),
            sequence: 1,
            name: format!("示例市{id}"),
            endpoints: vec!["https://127.0.0.1:1".to_owned()],
            tls: vec![TlsTrust { certificate, state: KeyState::Active }],
            logs: logs
                .map(|log| LogEntry { origin: Origin { node: id.clone(), log, generation: 1 }, closed_at: None })
                .to_vec(),
            keys: NodeKeys::generate(Suite::EdDsa, &mut rng).entries(&id),
            root: roots.root.public().clone(),
            next_root: thumbprint(roots.next.public()),
            refresh: 3600,
            valid_until: NOW + 1000,
            predecessor: None,
            successor: None,
        };
        let descriptor = descriptor.sign(&roots.root, NOW, &mut rng).unwrap().jws().to_owned();
        Self { id, ca, descriptor }
    }

    fn row(&self) -> PeerRow {
        PeerRow::new(self.id.clone(), PeerState::Active, &self.descriptor, 1, NOW * 1000)
    }

    /// What the node itself shows.
    fn certificate(&self) -> Certificate {
        let wanted = Wanted { node: &self.id, host: Some("127.0.0.1"), now: NOW };
        let made = make_node(&wanted, &self.ca).unwrap();
        (read_chain(&made.certificate).unwrap(), read_key(&made.key).unwrap())
    }

    fn identity(&self) -> Identity {
        let (chain, key) = self.certificate();
        Identity::new(self.id.clone(), chain, key, Clock::fixed(NOW * 1000)).unwrap()
    }

    /// A certificate by this node's authority that differs from the node's own in one thing.
    fn bent(&self, bend: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.ca.certificate, KeyPair::from_pem(&self.ca.key).unwrap()).unwrap();
        let certificate = bent(&self.id, bend).signed_by(&key, &issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

fn bent(id: &NodeId, bend: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(id.as_str()), SanType::IpAddress([127, 0, 0, 1].into())];
    bend(&mut params);
    params
}

fn uri(id: &str) -> SanType {
    SanType::URI(format!("kaopu:node:{id}").try_into().unwrap())
}

fn self_signed(id: &NodeId) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let certificate = bent(id, |_| ()).self_signed(&key).unwrap();
    (vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

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

/// Each certificate by which nobody can be `node`, or that names nobody: what it is, the certificate, the reason at the end
/// that refuses it, and the alert that the other end hears. `claims` is another peer's id, `unknown` nobody's.
fn impostors(
    node: &Node,
    other: &Node,
    stranger: &Node,
    purpose: ExtendedKeyUsagePurpose,
) -> Vec<(&'static str, Certificate, &'static str, &'static str)> {
    let year = |from, to| {
        move |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        }
    };
    let names = |names: Vec<SanType>| move |params: &mut CertificateParams| params.subject_alt_names = names;
    let named = |id: &NodeId| names(vec![uri(id.as_str())]);
    // the authority's name, and another key under it
    let namesake =
        Node { ca: make_ca(&Wanted { node: &node.id, host: None, now: NOW }).unwrap(), ..Node::new("320100", 9) };
    vec![
        ("self-signed", self_signed(&node.id), "self-signed: ", "UnknownCA"),
        ("another peer's authority", other.bent(named(&node.id)), "other-authority: ", "UnknownCA"),
        ("an authority of the same name", namesake.bent(named(&node.id)), "forged: ", "DecryptError"),
        (
            "expired",
            node.bent(year(2024, 2025)),
            "expired: the certificate of 310107 has expired: it held until 2025-01-01T00:00:00Z",
            "CertificateExpired",
        ),
        (
            "not yet valid",
            node.bent(year(2027, 2028)),
            "not-yet-valid: the certificate of 310107 is not valid yet: it holds from 2027-01-01T00:00:00Z",
            "CertificateExpired",
        ),
        (
            "for the other end only",
            node.bent(|params| params.extended_key_usages = vec![purpose]),
            "wrong-use: the certificate of 310107 is for another use: its extended key usage",
            "UnsupportedCertificate",
        ),
        (
            "for key agreement only",
            node.bent(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
            "wrong-use: the certificate of 310107 is for another use: its key usage",
            "UnsupportedCertificate",
        ),
        (
            "an authority's own",
            node.bent(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            "not-vouched-for: ",
            "CertificateUnknown",
        ),
        (
            "a second name, of a third node",
            node.bent(names(vec![uri("310107"), uri("341200")])),
            "no-node-in-certificate: the certificate names 2 URIs",
            "BadCertificate",
        ),
        (
            "its name twice",
            node.bent(names(vec![uri("310107"), uri("310107")])),
            "no-node-in-certificate: the certificate names 2 URIs",
            "BadCertificate",
        ),
        (
            "no name",
            node.bent(names(vec![SanType::IpAddress([127, 0, 0, 1].into())])),
            "no-node-in-certificate: the certificate names 0 URIs",
            "BadCertificate",
        ),
        (
            "a name of something else",
            node.bent(names(vec![SanType::URI("spiffe://340500".try_into().unwrap())])),
            "no-node-in-certificate: the certificate's URI",
            "BadCertificate",
        ),
        ("no id in the name", node.bent(names(vec![uri("Putuo")])), "no-node-in-certificate: ", "BadCertificate"),
        ("a name that is no peer's", node.bent(named(&stranger.id)), "unknown-node: 440100", "AccessDenied"),
        ("an unknown node", stranger.bent(|_| ()), "unknown-node: 440100", "AccessDenied"),
    ]
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
