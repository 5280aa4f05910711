//! Whom a connection trusts. Trust is never merged: a certificate's one `kaopu:node:<id>` is read as a claim, and verified
//! against that node's own authorities alone. TLS 1.3, no tickets, no resumption, no early data, no hints.
//!
//! Names and addresses in a server's certificate are not looked at: a node is known by its id wherever it answers.
//!
//! | file | what |
//! |---|---|
//! | `verifier.rs` | the check of the other side, the same at either end |
//! | `refusal.rs` | why a connection is refused, here in words and there by an alert |
//! | `ended.rs` | why the other side ended a connection |
//! | `identity.rs` | the own certificate, exchanged while it is in use |

mod ended;
mod identity;
mod refusal;
mod verifier;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::certificates::validity;
use super::registry::{Peer, Registry};
use crate::clock::Clock;
use crate::statement::NodeId;
use identity::{Shown, unix_time};
use verifier::{Authorities, End, Expected, PeerVerifier};

pub use ended::Ended;
pub use identity::{Identity, Seen};
pub use refusal::{REFUSALS, Refusal, TlsError};
pub use rustls::ClientConfig;

/// What stands before the node id in a certificate's URI.
pub const URI_PREFIX: &str = "kaopu:node:";

/// How often, in seconds, the clock is looked at for certificates that end while a connection stands.
const LOOK_EVERY: u64 = 20;

/// Both versions for balancers and simple tools; a node asks for HTTP/2.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The peer interface's end of connections: a client certificate may be missing, but one that is there is verified against
/// the authorities that the registry has for its node at that moment. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    shown: Arc<Shown>,
    time: Arc<dyn TimeProvider>,
    registry: Registry,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

/// The asking end of connections to one peer.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The server must be that node, under that node's authorities.
    pub config: ClientConfig,
    /// Why a server was refused.
    pub refusal: Refusal,
}

impl ServerTls {
    /// Shows the node's certificate, and lets in whom the registry has.
    pub fn new(identity: &Identity, registry: Registry) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (shown, seen) = (Arc::clone(&identity.shown), identity.seen.clone());
        Self { shown, time: identity.time(), registry, provider, seen }
    }

    /// Ends when a certificate that a client showed does, by the node's clock: which may be set anew meanwhile.
    pub async fn outlived(&self, certificate: &CertificateDer<'_>) {
        let Some((_, until)) = validity(certificate) else { return };
        loop {
            let now = self.time.current_time().map_or(0, |now| now.as_secs());
            if now > until {
                return;
            }
            tokio::time::sleep(Duration::from_secs((until - now + 1).min(LOOK_EVERY))).await;
        }
    }

    /// For one connection: its configuration, and where the reason stands if its client is refused.
    pub fn connection(&self) -> Result<(Arc<ServerConfig>, Refusal), TlsError> {
        let refusal = Refusal::default();
        let verifier = PeerVerifier {
            expected: Expected::Registered(self.registry.clone()),
            provider: Arc::clone(&self.provider),
            seen: self.seen.clone(),
            refusal: refusal.clone(),
        };
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.time))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| own(&error))?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(&self.shown) as _);
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok((Arc::new(config), refusal))
    }
}

/// Lets clients of those who are no nodes, which verify by the system's authorities, use the same cryptography.
pub fn use_provider() {
    // somebody else may have chosen one before: it stays
    let _ = aws_lc_rs::default_provider().install_default();
}

/// For asking one peer.
pub fn client_tls(identity: &Identity, peer: &Arc<Peer>) -> Result<ClientTls, TlsError> {
    asking(identity, Expected::This(Arc::clone(peer)), true)
}

/// For asking one node without showing who asks: it does not know this one yet.
pub fn unnamed_tls(identity: &Identity, peer: &Arc<Peer>) -> Result<ClientTls, TlsError> {
    asking(identity, Expected::This(Arc::clone(peer)), false)
}

/// For asking whoever answers, without showing who asks. Nothing vouches for the other side: only what proves itself may
/// be asked for, a descriptor.
pub fn untrusting_tls(identity: &Identity) -> Result<ClientTls, TlsError> {
    asking(identity, Expected::Anybody, false)
}

fn asking(identity: &Identity, expected: Expected, named: bool) -> Result<ClientTls, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let refusal = Refusal::default();
    let verifier = PeerVerifier {
        expected,
        provider: Arc::clone(&provider),
        seen: identity.seen.clone(),
        refusal: refusal.clone(),
    };
    let builder = ClientConfig::builder_with_details(provider, identity.time())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| own(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = if named {
        builder.with_client_cert_resolver(Arc::clone(&identity.shown) as _)
    } else {
        builder.with_no_client_auth()
    };
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(ClientTls { config, refusal })
}

/// Whether others will take a certificate as this node's: it names the node, and one of these authorities of it vouches for
/// it now, at either end of a connection.
pub fn vouched_for(
    node: &NodeId,
    authorities: impl Iterator<Item = CertificateDer<'static>>,
    chain: &[CertificateDer<'_>],
    clock: &Clock,
) -> Result<(), TlsError> {
    let (certificate, between) =
        chain.split_first().ok_or_else(|| TlsError::NotACertificate("none is there".to_owned()))?;
    let named = node_of(certificate)?;
    if named != *node {
        return Err(TlsError::OtherNode(named, node.clone()));
    }
    let now = unix_time(clock).ok_or_else(|| TlsError::Own("the clock stands before 1970".to_owned()))?;
    let authorities = Authorities::new(node, authorities, Arc::new(aws_lc_rs::default_provider()))?;
    authorities.vouch_for(End::Client, certificate, between, now)?;
    authorities.vouch_for(End::Server, certificate, between, now)
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

fn own(error: &rustls::Error) -> TlsError {
    TlsError::Own(error.to_string())
}
