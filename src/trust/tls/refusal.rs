//! Why a connection is refused: a reason of its own for each thing that can be wrong, for this node's journal and
//! figures, and the alert that tells the other side as much of it as TLS can say.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::{CertificateError, Error};

use crate::statement::NodeId;

/// The figure that counts refusals, by `reason`.
pub const REFUSALS: &str = "kaopu_refusals_total";

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
    /// It claims a node that this node has revoked.
    #[error("{0} was revoked here")]
    Revoked(NodeId),
    /// It claims another node than the one asked for.
    #[error("the server is {0}; {1} was expected")]
    OtherNode(NodeId, NodeId),
    /// The peer has no authority in use.
    #[error("{0} has no certificate authority in use")]
    NoAuthority(NodeId),
    /// Nobody but itself vouches for it.
    #[error("the certificate of {0} is signed by itself, not by an authority of {0}")]
    SelfSigned(NodeId),
    /// An authority that is not the node's vouches for it.
    #[error("the certificate of {0} was given by {1:?}, which is no authority of {0}")]
    OtherAuthority(NodeId, String),
    /// It names an authority of the node as its issuer, whose key did not sign it.
    #[error("the certificate of {0} is not signed by the authority that it names, {1:?}")]
    Forged(NodeId, String),
    /// Its time is over; seconds since 1970.
    #[error("the certificate of {0} has expired: it held until {at}", at = moment(*.1))]
    Expired(NodeId, u64),
    /// Its time is still to come; seconds since 1970.
    #[error("the certificate of {0} is not valid yet: it holds from {at}", at = moment(*.1))]
    NotYetValid(NodeId, u64),
    /// The authority that vouches for it does not hold now: from when it does and until when; seconds since 1970.
    #[error(
        "the authority that vouches for the certificate of {0} does not hold now: it holds from {from} until {until}",
        from = moment(*.1), until = moment(*.2)
    )]
    AuthorityEnded(NodeId, u64, u64),
    /// It is for something else: what its usages lack.
    #[error("the certificate of {0} is for another use: {1}")]
    WrongUse(NodeId, &'static str),
    /// The peer's own authorities do not vouch for it, for another reason.
    #[error("the certificate of {0} does not hold: {1}")]
    NotVouchedFor(NodeId, String),
    /// The other side speaks another version of TLS, or lacks what this one needs.
    #[error("the other side does not speak TLS 1.3 as it is spoken here: {0}")]
    Incompatible(String),
    /// The other side refuses this node, and says as much as an alert can: its name.
    #[error("{}", told(.0))]
    Told(String),
    /// The handshake failed otherwise.
    #[error("{0}")]
    Handshake(String),
    /// The own certificate or key does not serve.
    #[error("the own certificate does not serve: {0}")]
    Own(String),
}

impl TlsError {
    /// What stands for it in figures: one word for each kind of reason.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotACertificate(_) => "unreadable-certificate",
            Self::Uris(_) | Self::NotANode(_) => "no-node-in-certificate",
            Self::UnknownNode(_) => "unknown-node",
            Self::Revoked(_) => "revoked",
            Self::OtherNode(..) => "other-node",
            Self::NoAuthority(_) => "no-authority",
            Self::SelfSigned(_) => "self-signed",
            Self::OtherAuthority(..) => "other-authority",
            Self::Forged(..) => "forged",
            Self::Expired(..) => "expired",
            Self::NotYetValid(..) => "not-yet-valid",
            Self::AuthorityEnded(..) => "authority-ended",
            Self::WrongUse(..) => "wrong-use",
            Self::NotVouchedFor(..) => "not-vouched-for",
            Self::Incompatible(_) => "tls-version",
            Self::Told(_) => "refused-by-the-other-side",
            Self::Handshake(_) => "handshake",
            Self::Own(_) => "own-certificate",
        }
    }

    /// What it means that an error of a connection is, or carries, one of TLS: the certificates do not fit, rather than
    /// that the line is down. None for anything else.
    pub fn of(error: &(dyn StdError + 'static), refusal: &Refusal) -> Option<Self> {
        // an io::Error hands on its inner error's source, not the inner error itself
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let error = error.downcast_ref::<Error>().or_else(|| inner?.downcast_ref::<Error>())?;
        Some(match error {
            Error::InvalidCertificate(_) => refusal.noted().unwrap_or_else(|| Self::Handshake(error.to_string())),
            Error::PeerIncompatible(why) => Self::Incompatible(format!("{why:?}")),
            Error::AlertReceived(alert) => Self::Told(format!("{alert:?}")),
            other => Self::Handshake(other.to_string()),
        })
    }

    /// The same where an error has come down to its words: not every layer hands on the error itself.
    pub fn of_words(error: &str, refusal: &Refusal) -> Option<Self> {
        if let Some(alert) = error.strip_prefix("received fatal alert: ") {
            return Some(Self::Told(alert.to_owned()));
        }
        error.starts_with("invalid peer certificate: ").then(|| refusal.noted())?
    }

    /// What the verifier says instead, so that the right alert goes out.
    fn alerting(&self) -> CertificateError {
        match self {
            Self::NotACertificate(_) => CertificateError::BadEncoding,
            Self::Uris(_) | Self::NotANode(_) | Self::OtherNode(..) => CertificateError::NotValidForName,
            Self::UnknownNode(_) => CertificateError::ApplicationVerificationFailure,
            Self::Revoked(_) => CertificateError::Revoked,
            Self::NoAuthority(_) | Self::SelfSigned(_) | Self::OtherAuthority(..) => CertificateError::UnknownIssuer,
            Self::Forged(..) => CertificateError::BadSignature,
            Self::Expired(..) | Self::AuthorityEnded(..) => CertificateError::Expired,
            Self::NotYetValid(..) => CertificateError::NotValidYet,
            Self::WrongUse(..) => CertificateError::InvalidPurpose,
            _ => CertificateError::Other(rustls::OtherError(Arc::new(self.clone()))),
        }
    }
}

/// Where a verifier leaves the reason of its last refusal: what it hands to TLS only chooses the alert.
#[derive(Clone, Debug, Default)]
pub struct Refusal(Arc<Mutex<Option<TlsError>>>);

impl Refusal {
    /// The reason of the last one.
    pub fn noted(&self) -> Option<TlsError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves a reason, and gives what TLS is told.
    pub(super) fn note(&self, reason: TlsError) -> Error {
        metrics::counter!(REFUSALS, "reason" => reason.name()).increment(1);
        let alerting = reason.alerting();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        Error::InvalidCertificate(alerting)
    }
}

/// What an alert of the other side means for this node's administrator.
fn told(alert: &str) -> String {
    let means = match alert {
        "AccessDenied" => "this node is no peer there: it has to be added there",
        "CertificateRevoked" => "this node was revoked there",
        "CertificateExpired" => {
            "by its clock this node's certificate, or the authority behind it, has expired or does not hold yet"
        }
        "UnknownCA" => "the descriptor of this node that is held there does not name the authority of its certificate",
        "UnsupportedCertificate" => "this node's certificate is for another use",
        "BadCertificate" => "this node's certificate does not name this node as a node's does",
        "DecryptError" => "this node's certificate is not signed by the authority that it names",
        "CertificateUnknown" => "it does not take this node's certificate",
        "ProtocolVersion" => "it does not speak TLS 1.3",
        _ => return format!("the other side ended the handshake ({alert}); its journal says why"),
    };
    format!("the other side refuses this node ({alert}): {means}; its journal says more")
}

/// RFC 3339.
fn moment(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("second {seconds}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn each_reason_is_told_by_the_alert_that_tls_has_for_it() {
        let node: NodeId = "310107".parse().unwrap();
        let alert = |reason: TlsError| AlertDescription::from(reason.alerting());
        for (reason, expected) in [
            (TlsError::UnknownNode(node.clone()), AlertDescription::AccessDenied),
            (TlsError::Revoked(node.clone()), AlertDescription::CertificateRevoked),
            (TlsError::Expired(node.clone(), 0), AlertDescription::CertificateExpired),
            (TlsError::AuthorityEnded(node.clone(), 0, 1), AlertDescription::CertificateExpired),
            (TlsError::SelfSigned(node.clone()), AlertDescription::UnknownCA),
            (TlsError::WrongUse(node.clone(), "x"), AlertDescription::UnsupportedCertificate),
            (TlsError::Uris(2), AlertDescription::BadCertificate),
            (TlsError::NotVouchedFor(node, "x".to_owned()), AlertDescription::CertificateUnknown),
        ] {
            assert_eq!(alert(reason.clone()), expected, "{reason}");
        }
    }

    #[test]
    fn an_alert_is_told_in_words_whichever_way_it_comes() {
        let refusal = Refusal::default();
        let alert = Error::AlertReceived(AlertDescription::CertificateRevoked);
        let by_words = TlsError::of_words(&alert.to_string(), &refusal);
        let io = std::io::Error::new(std::io::ErrorKind::InvalidData, alert);
        assert_eq!(TlsError::of(&io, &refusal), by_words);
        assert!(by_words.unwrap().to_string().contains("was revoked there"));
        assert_eq!(TlsError::of_words("connection refused", &refusal), None);
    }
}
