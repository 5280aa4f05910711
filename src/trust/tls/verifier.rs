//! The one check of the other side's certificate, at either end of a connection: read the claim, see that the node may
//! connect, and verify against that node's own authorities alone.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Refusal, Seen, TlsError, node_of};
use crate::statement::NodeId;
use crate::trust::certificates::{valid_until, validity};
use crate::trust::registry::{Admission, Peer, Registry};
use crate::trust::state::PeerState;

/// Verifies the other side of a connection.
pub(super) struct PeerVerifier {
    pub expected: Expected,
    pub provider: Arc<CryptoProvider>,
    /// Whom it let in.
    pub seen: Seen,
    /// Why it refused, if it did.
    pub refusal: Refusal,
}

/// Who may be at the other end.
pub(super) enum Expected {
    /// A client: any node of the registry that may connect, as it stands there at the moment of the handshake.
    Registered(Registry),
    /// A server: this node.
    This(Arc<Peer>),
    /// A server, whoever it is: what it serves must prove itself.
    Anybody,
}

impl PeerVerifier {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let checked = self.check(certificate, between, now);
        checked.map_err(|reason| self.refusal.note(reason))
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        if matches!(self.expected, Expected::Anybody) {
            return Ok(());
        }
        let node = node_of(certificate)?;
        let peer = self.peer(&node)?;
        let end = match &self.expected {
            Expected::Registered(_) => End::Client,
            Expected::This(_) | Expected::Anybody => End::Server,
        };
        let authorities = Authorities::new(&node, peer.cas.iter().cloned(), Arc::clone(&self.provider))?;
        authorities.vouch_for(end, certificate, between, now)?;
        if let Some(until) = valid_until(certificate) {
            self.seen.note(node, until);
        }
        Ok(())
    }

    /// The node that is claimed, if it may be at the other end.
    fn peer(&self, node: &NodeId) -> Result<Arc<Peer>, TlsError> {
        match &self.expected {
            Expected::Registered(registry) => match registry.standing(node) {
                Some(peer) if peer.state == PeerState::Revoked => Err(TlsError::Revoked(node.clone())),
                Some(peer) if Admission::of(peer.state) > Admission::Nothing => Ok(peer),
                _ => Err(TlsError::UnknownNode(node.clone())),
            },
            Expected::This(peer) if peer.node == *node => Ok(Arc::clone(peer)),
            Expected::This(peer) => Err(TlsError::OtherNode(node.clone(), peer.node.clone())),
            Expected::Anybody => Err(TlsError::UnknownNode(node.clone())),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Which end of a connection shows a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// A node's own authorities, those in use.
pub(super) struct Authorities<'a> {
    node: &'a NodeId,
    cas: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl<'a> Authorities<'a> {
    pub fn new(
        node: &'a NodeId,
        cas: impl Iterator<Item = CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let cas: Vec<_> = cas.collect();
        if roots(cas.iter()).is_empty() {
            return Err(TlsError::NoAuthority(node.clone()));
        }
        Ok(Self { node, cas, provider })
    }

    /// Whether one of them vouches for a certificate, at this moment, at this end of a connection.
    pub fn vouch_for(
        &self,
        end: End,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        self.path(&self.cas, end, certificate, between, now)?;
        for_signatures(self.node, certificate)?;
        // to the path's verification an authority is a name and a key (RFC 5280, 6.1.1 d): whether it holds it does not ask
        let (holding, others): (Vec<_>, Vec<_>) = self.cas.iter().cloned().partition(|ca| holds(ca, now));
        let Some((from, until)) = others.iter().find_map(validity) else { return Ok(()) };
        let by_one_that_holds = !holding.is_empty() && self.path(&holding, end, certificate, between, now).is_ok();
        if by_one_that_holds { Ok(()) } else { Err(TlsError::AuthorityEnded(self.node.clone(), from, until)) }
    }

    fn path(
        &self,
        cas: &[CertificateDer<'static>],
        end: End,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let roots = Arc::new(roots(cas.iter()));
        let vouched = match end {
            End::Client => WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                .build()
                .map_err(|error| TlsError::NotVouchedFor(self.node.clone(), error.to_string()))?
                .verify_client_cert(certificate, between, now)
                .map(|_| ()),
            End::Server => ParsedCertificate::try_from(certificate).and_then(|parsed| {
                let algorithms = self.provider.signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&parsed, &roots, between, now, algorithms)
            }),
        };
        vouched.map_err(|error| reason(self.node, certificate, &error))
    }
}

fn roots<'c>(cas: impl Iterator<Item = &'c CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(cas.cloned());
    roots
}

/// Whether a certificate holds at a moment.
fn holds(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    validity(certificate).is_some_and(|(from, until)| (from..=until).contains(&now.as_secs()))
}

/// Which reason an error of the path's verification is.
fn reason(node: &NodeId, certificate: &CertificateDer<'_>, error: &Error) -> TlsError {
    let node = node.clone();
    let Error::InvalidCertificate(why) = error else { return TlsError::NotVouchedFor(node, error.to_string()) };
    match why {
        CertificateError::ExpiredContext { not_after, .. } => TlsError::Expired(node, not_after.as_secs()),
        CertificateError::NotValidYetContext { not_before, .. } => TlsError::NotYetValid(node, not_before.as_secs()),
        CertificateError::UnknownIssuer => match issuer(certificate) {
            Some((_, true)) => TlsError::SelfSigned(node),
            Some((issuer, false)) => TlsError::OtherAuthority(node, issuer),
            None => TlsError::NotVouchedFor(node, error.to_string()),
        },
        CertificateError::BadSignature => {
            TlsError::Forged(node, issuer(certificate).map(|(issuer, _)| issuer).unwrap_or_default())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            TlsError::WrongUse(node, "its extended key usage has not this end of a connection")
        }
        _ => TlsError::NotVouchedFor(node, error.to_string()),
    }
}

/// The issuer's name, and whether it is the subject itself.
fn issuer(certificate: &CertificateDer<'_>) -> Option<(String, bool)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let (issuer, subject) = (certificate.issuer(), certificate.subject());
    Some((issuer.to_string(), issuer.as_raw() == subject.as_raw()))
}

/// RFC 8446, 4.4.2.2: where a certificate limits the use of its key, signatures are among what it allows. The path's
/// verification does not look at that.
fn for_signatures(node: &NodeId, certificate: &CertificateDer<'_>) -> Result<(), TlsError> {
    let unreadable = |error: &dyn fmt::Display| TlsError::NotACertificate(error.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(&error))?;
    let usage = parsed.key_usage().map_err(|error| unreadable(&error))?;
    match usage {
        Some(usage) if !usage.value.digital_signature() => {
            Err(TlsError::WrongUse(node.clone(), "its key usage has no digital signatures"))
        }
        _ => Ok(()),
    }
}

fn not_1_2() -> Error {
    Error::General("TLS 1.2 is not spoken here".to_owned())
}

impl ClientCertVerifier for PeerVerifier {
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
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(certificate, between, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_1_2())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(certificate, between, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(not_1_2())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerVerifier")
    }
}
