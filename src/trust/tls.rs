//! Whom a connection trusts. Trust is never merged: a certificate's one `kaopu:node:<id>` is read as a claim, and verified
//! against that node's own authorities alone. TLS 1.3, no tickets, no resumption, no early data, no hints.
//!
//! Names and addresses in a server's certificate are not looked at: a node is known by its id wherever it answers.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::certificates::valid_until;
use super::registry::{Peer, Registry};
use crate::clock::Clock;
use crate::statement::NodeId;

pub use rustls::ClientConfig;

/// What stands before the node id in a certificate's URI.
pub const URI_PREFIX: &str = "kaopu:node:";

/// Both versions for balancers and simple tools; a node asks for HTTP/2.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A node's own certificate and its key, which may be exchanged while connections are made.
pub struct Identity {
    /// Whose.
    pub node: NodeId,
    /// By which certificates are valid or not.
    pub clock: Clock,
    shown: Arc<Shown>,
}

/// What the other side of a connection is shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

/// Why a certificate or a connection is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("not a certificate: {0}")]
    NotACertificate(String),
    /// It claims no node, or several.
    #[error("the certificate names {0} URIs; exactly one, kaopu:node:<id>, is expected")]
    Uris(usize),
    /// Its URI is no node's.
    #[error("the certificate's URI {0:.80?} is not kaopu:node:<id>")]
    NotANode(String),
    /// It claims a node that is no peer.
    #[error("{0} is not a peer of this node")]
    UnknownNode(NodeId),
    /// It claims another node than the one asked for.
    #[error("the server is {0}; {1} was expected")]
    OtherNode(NodeId, NodeId),
    /// The peer has no authority in use.
    #[error("{0} has no certificate authority in use")]
    NoAuthority(NodeId),
    /// The peer's own authorities do not vouch for it now, for this use.
    #[error("the certificate of {0} does not hold: {1}")]
    NotVouchedFor(NodeId, String),
    /// The own certificate or key does not serve.
    #[error("the own certificate does not serve: {0}")]
    Own(String),
}

/// For the peer interface: a client certificate may be missing, but one that is there is verified against the authorities
/// that the registry has for its node at that moment.
pub fn server_config(identity: &Identity, registry: Registry) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(PeerAsClient { registry, provider: Arc::clone(&provider) });
    let mut config = ServerConfig::builder_with_details(provider, identity.time())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| own(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity.shown.clone());
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// For asking one peer: the server must be that node, under that node's authorities.
pub fn client_config(identity: &Identity, peer: &Peer) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = roots(&peer.node, &peer.cas)?;
    let verifier = Arc::new(PeerAsServer { node: peer.node.clone(), roots, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_details(provider, identity.time())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| own(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity.shown.clone());
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// The node that a certificate claims to be: its one URI. A claim is worth nothing until the certificate is verified
/// against that node's authorities.
pub fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeId, TlsError> {
    let not_a_certificate = |error: &dyn fmt::Display| TlsError::NotACertificate(error.to_string());
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| not_a_certificate(&error))?;
    let names = certificate.subject_alternative_name().map_err(|error| not_a_certificate(&error))?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(TlsError::Uris(names.iter().filter(|name| matches!(name, GeneralName::URI(_))).count()));
    };
    let node = uri.strip_prefix(URI_PREFIX).and_then(|id| id.parse().ok());
    node.ok_or_else(|| TlsError::NotANode(uri.to_owned()))
}

impl Identity {
    /// A certificate, with those between it and the authority behind it, that names the node, and its key.
    pub fn new(
        node: NodeId,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let certified = certified(&node, chain, key)?;
        Ok(Self { node, clock, shown: Arc::new(Shown(RwLock::new(certified))) })
    }

    /// Shows another certificate from the next handshake on, if it serves.
    pub fn exchange(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), TlsError> {
        let certified = certified(&self.node, chain, key)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    /// When the certificate that is shown ends, in seconds since 1970.
    pub fn valid_until(&self) -> Option<i64> {
        valid_until(self.shown.now().cert.first()?)
    }

    fn time(&self) -> Arc<dyn TimeProvider> {
        Arc::new(Now(self.clock.clone()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node)
    }
}

/// The reason in words, if an error, or what it carries, is one of TLS: the certificates do not fit, rather than that the
/// line is down.
pub fn reason_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    // an io::Error hands on its inner error's source, not the inner error itself
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let error = error.downcast_ref::<Error>().or_else(|| inner?.downcast_ref::<Error>())?;
    Some(match error {
        Error::InvalidCertificate(CertificateError::Other(reason)) => reason.to_string(),
        other => alert_in_words(&other.to_string()).unwrap_or_else(|| other.to_string()),
    })
}

/// What it means that the other side sent an alert, if these are the words of that error.
pub fn alert_in_words(error: &str) -> Option<String> {
    let alert = error.strip_prefix("received fatal alert: ")?;
    Some(match alert {
        "CertificateUnknown" | "BadCertificate" | "UnknownCA" | "CertificateExpired" | "AccessDenied" => format!(
            "the other side does not take this node's certificate ({alert}): has it added this node as a peer, and does \
             the certificate still hold? Its journal says why"
        ),
        _ => format!("the other side ended the handshake ({alert}); its journal says why"),
    })
}

fn certified(
    node: &NodeId,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let first = chain.first().ok_or_else(|| TlsError::NotACertificate("none is there".to_owned()))?;
    let named = node_of(first)?;
    if named != *node {
        return Err(TlsError::Own(format!("it names {named}, not {node}")));
    }
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map(Arc::new).map_err(|error| own(&error))
}

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn own(error: &Error) -> TlsError {
    TlsError::Own(error.to_string())
}

fn roots(node: &NodeId, cas: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(cas.iter().cloned());
    if roots.is_empty() { Err(TlsError::NoAuthority(node.clone())) } else { Ok(Arc::new(roots)) }
}

/// What the other side hears is an alert; the reason stands in this node's own journal.
fn refused(reason: TlsError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))
}

#[derive(Debug)]
struct Now(Clock);

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

/// Verifies clients against the registry as it is at the moment of the handshake.
struct PeerAsClient {
    registry: Registry,
    provider: Arc<CryptoProvider>,
}

impl PeerAsClient {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let node = node_of(certificate)?;
        let peer = self.registry.peer(&node).ok_or_else(|| TlsError::UnknownNode(node.clone()))?;
        let roots = roots(&node, &peer.cas)?;
        let not_vouched = |why: String| TlsError::NotVouchedFor(node.clone(), why);
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| not_vouched(error.to_string()))?
            .verify_client_cert(certificate, between, now)
            .map_err(|error| not_vouched(error.to_string()))
    }
}

impl ClientCertVerifier for PeerAsClient {
    fn offer_client_auth(&self) -> bool {
        true
    }

    /// The descriptor is for everybody.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: whose peer this node is stays its own business.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map_err(refused)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for PeerAsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerAsClient")
    }
}

/// Verifies that a server is one node.
#[derive(Debug)]
struct PeerAsServer {
    node: NodeId,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl PeerAsServer {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let node = node_of(certificate)?;
        if node != self.node {
            return Err(TlsError::OtherNode(node, self.node.clone()));
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        ParsedCertificate::try_from(certificate)
            .and_then(|parsed| {
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms)
            })
            .map_err(|error| TlsError::NotVouchedFor(node, error.to_string()))?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for PeerAsServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map_err(refused)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
