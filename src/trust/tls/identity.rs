//! A node's own certificate: shown at either end of its connections, and exchanged while they are made.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::{TlsError, node_of, own};
use crate::clock::Clock;
use crate::statement::NodeId;
use crate::trust::certificates::valid_until;

/// A node's own certificate and its key, which may be exchanged while connections are made.
pub struct Identity {
    /// Whose.
    pub node: NodeId,
    /// By which certificates are valid or not.
    pub clock: Clock,
    /// What the others showed.
    pub seen: Seen,
    pub(super) shown: Arc<Shown>,
}

/// When the certificates end that other nodes showed lately, in seconds since 1970. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<HashMap<NodeId, i64>>>);

/// What the other side of a connection is shown.
#[derive(Debug)]
pub(super) struct Shown(RwLock<Arc<CertifiedKey>>);

impl Identity {
    /// A certificate, with those between it and the authority behind it, that names the node, and its key.
    pub fn new(
        node: NodeId,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        clock: Clock,
    ) -> Result<Self, TlsError> {
        let certified = certified(&node, chain, key)?;
        Ok(Self { node, clock, seen: Seen::default(), shown: Arc::new(Shown(RwLock::new(certified))) })
    }

    /// Shows another certificate from the next handshake on, if it serves: it names this node, and the key is its own.
    /// True if it is another one.
    pub fn exchange(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<bool, TlsError> {
        let certified = certified(&self.node, chain, key)?;
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        let other = shown.cert != certified.cert;
        *shown = certified;
        Ok(other)
    }

    /// The certificate that is shown, and those between it and the authority.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.shown.now().cert.clone()
    }

    /// When the certificate that is shown ends, in seconds since 1970.
    pub fn valid_until(&self) -> Option<i64> {
        valid_until(self.shown.now().cert.first()?)
    }

    pub(super) fn time(&self) -> Arc<dyn TimeProvider> {
        Arc::new(Now(self.clock.clone()))
    }
}

impl Seen {
    /// All of them.
    pub fn all(&self) -> Vec<(NodeId, i64)> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().map(|(node, until)| (node.clone(), *until)).collect()
    }

    pub(super) fn note(&self, node: NodeId, until: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, until);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node)
    }
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

/// The node's clock, as TLS reads it.
#[derive(Debug)]
struct Now(Clock);

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        unix_time(&self.0)
    }
}

pub(super) fn unix_time(clock: &Clock) -> Option<UnixTime> {
    let seconds = u64::try_from(clock.now()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
}
