//! Problems (RFC 9457): what an error looks like on the wire. The one place that maps errors to answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::exchange::witness::NotCosigned;
use crate::log::tile::NotATile;
use crate::node::accounts::AccountError;
use crate::node::answer::NotAnswered;
use crate::node::peers::PeersError;
use crate::quota::Spent;
use crate::statement::NodeId;
use crate::store::StoreError;

/// Why a request is not answered as asked. Each variant has a `type` of its own, `urn:kaopu:problem:…`, that stays.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The path or a header cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// Only a peer with a client certificate may ask for this.
    #[error("a client certificate of a confirmed peer is needed here")]
    CertificateNeeded,
    /// The caller is known here, and not active yet: it may only ask how it stands.
    #[error("{0} is not active here yet; GET /v1/standing says what is missing")]
    NotActive(NodeId),
    /// The caller was taken out for the time being: it may only ask how it stands.
    #[error("{0} is suspended here; GET /v1/standing says since when")]
    Suspended(NodeId),
    /// The caller was revoked while its connection stood.
    #[error("{0} was revoked here")]
    Revoked(NodeId),
    /// A step with a peer is not taken, a checkpoint not cosigned, or an attachment not served; the name says why.
    #[error("{2}")]
    Step(&'static str, StatusCode, String),
    /// A query is not answered; the name says why.
    #[error("{2}")]
    Query(&'static str, StatusCode, String),
    /// Only a person may do this.
    #[error("name and secret of an account are needed here (HTTP Basic)")]
    PersonNeeded,
    /// There is no such route.
    #[error("there is nothing at this path")]
    UnknownPath,
    /// This node has no log of that hash.
    #[error("this node has no log of that origin")]
    UnknownLog,
    /// The log does not reach that far here, or not yet.
    #[error("not held here, or not yet")]
    NotHeld,
    /// The method does not fit the path.
    #[error("this path takes another method")]
    Method,
    /// The body is longer than this peer may send.
    #[error("the body is longer than this peer may send")]
    TooLarge,
    /// This peer asks more than its limits allow.
    #[error("more requests than this peer may send; try again after the time in Retry-After")]
    TooMany(Duration),
    /// This peer has been served what it may be in a day.
    #[error("this peer has been served {} {} today, as many as it may be; the day turns after the time in Retry-After", .0.limit, .0.what)]
    DaySpent(Spent),
    /// The node has no room for another request.
    #[error("this node is busy; try again after the time in Retry-After")]
    Busy(Duration),
    /// The answer took too long.
    #[error("the answer took too long; try again after the time in Retry-After")]
    TimedOut,
    /// Something failed in here; what, is only in this node's log.
    #[error("this node failed; its administrator finds the reason under the id in `instance`")]
    Internal(String),
}

impl Problem {
    /// The last part of the `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::CertificateNeeded => "certificate-needed",
            Self::NotActive(_) => "not-active",
            Self::Suspended(_) => "suspended",
            Self::Revoked(_) => "revoked",
            Self::Step(name, ..) | Self::Query(name, ..) => name,
            Self::PersonNeeded => "person-needed",
            Self::UnknownPath => "unknown-path",
            Self::UnknownLog => "unknown-log",
            Self::NotHeld => "not-held",
            Self::Method => "method",
            Self::TooLarge => "too-large",
            Self::TooMany(_) => "too-many-requests",
            Self::DaySpent(_) => "day-spent",
            Self::Busy(_) => "busy",
            Self::TimedOut => "timed-out",
            Self::Internal(_) => "internal",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Step(_, status, _) | Self::Query(_, status, _) => *status,
            Self::PersonNeeded => StatusCode::UNAUTHORIZED,
            Self::CertificateNeeded | Self::NotActive(_) | Self::Suspended(_) | Self::Revoked(_) => {
                StatusCode::FORBIDDEN
            }
            Self::UnknownPath | Self::UnknownLog | Self::NotHeld => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) | Self::DaySpent(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy(_) | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(wait) | Self::Busy(wait) => Some(*wait),
            Self::DaySpent(spent) => Some(spent.wait),
            Self::TimedOut => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NotLetIn => Self::Step("not-let-in", StatusCode::UNAUTHORIZED, error.to_string()),
            AccountError::Store(error) => error.into(),
            AccountError::Hash(why) => Self::Internal(why),
            _ => Self::Step("account", StatusCode::CONFLICT, error.to_string()),
        }
    }
}

impl From<NotAnswered> for Problem {
    fn from(error: NotAnswered) -> Self {
        use NotAnswered as N;
        let status = match error {
            N::Store(_) | N::Log(_) => return Self::Internal(error.to_string()),
            N::Busy => return Self::Busy(Duration::from_secs(1)),
            N::Unreadable(_) => StatusCode::BAD_REQUEST,
            N::Issuer(..) | N::Signature(_) => StatusCode::FORBIDDEN,
            N::Expired(_) => StatusCode::GONE,
            N::Replayed => StatusCode::CONFLICT,
            N::NotAQuery(_) | N::Audience(_) | N::Purpose | N::Kind(_) | N::Body(_) | N::Ahead => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Self::Query(error.code(), status, error.to_string())
    }
}

impl From<PeersError> for Problem {
    fn from(error: PeersError) -> Self {
        use PeersError as E;
        let (name, status) = match error {
            E::Account(error) => return error.into(),
            E::Store(error) => return error.into(),
            E::Node(_) | E::Tls(_) | E::NoPersons | E::Asked(..) => return Self::Internal(error.to_string()),
            E::Unknown(_) => ("unknown-peer", StatusCode::NOT_FOUND),
            E::Descriptor(_) | E::Member(_) => ("descriptor", StatusCode::UNPROCESSABLE_ENTITY),
            E::Ended(_) => ("descriptor-ended", StatusCode::UNPROCESSABLE_ENTITY),
            E::Own => ("own-descriptor", StatusCode::UNPROCESSABLE_ENTITY),
            E::Invitation(_) | E::Validity | E::Reason => ("malformed", StatusCode::BAD_REQUEST),
            E::OtherFingerprint(_) => ("other-fingerprint", StatusCode::CONFLICT),
            E::SamePerson(..) => ("same-person", StatusCode::FORBIDDEN),
            E::Stands { .. } => ("not-in-this-state", StatusCode::CONFLICT),
            E::Revoked(_) => ("revoked", StatusCode::FORBIDDEN),
            E::Moved(_) => ("changed-meanwhile", StatusCode::CONFLICT),
            E::DoesNotFollow { .. } => ("does-not-follow", StatusCode::CONFLICT),
            E::NotTheInviter { .. } => ("not-the-inviter", StatusCode::CONFLICT),
            E::NotInvited(_) => ("invitation-unknown", StatusCode::FORBIDDEN),
            E::InvitationLate => ("invitation-late", StatusCode::FORBIDDEN),
            E::InvitationSpent => ("invitation-used", StatusCode::FORBIDDEN),
        };
        Self::Step(name, status, error.to_string())
    }
}

impl From<NotCosigned> for Problem {
    fn from(error: NotCosigned) -> Self {
        use NotCosigned as N;
        let (name, status) = match error {
            N::Malformed(why) => return Self::Malformed(why),
            N::UnknownOrigin => return Self::UnknownLog,
            N::Store(_) | N::Damaged(_) => return Self::Internal(error.to_string()),
            N::NotSigned(_) => ("not-signed", StatusCode::FORBIDDEN),
            // a witness answers this one with the size alone
            N::Elsewhere(_) => ("another-size", StatusCode::CONFLICT),
            N::Unproven => ("not-consistent", StatusCode::UNPROCESSABLE_ENTITY),
            N::Fork(_) => ("fork", StatusCode::UNPROCESSABLE_ENTITY),
            N::Stopped(_) => ("log-stopped", StatusCode::UNPROCESSABLE_ENTITY),
            N::NoKey(_) => ("no-witness-key", StatusCode::SERVICE_UNAVAILABLE),
        };
        Self::Step(name, status, error.to_string())
    }
}

impl From<NotATile> for Problem {
    fn from(error: NotATile) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:kaopu:problem:{}", self.name()),
            "title": self.to_string(),
            "status": self.status().as_u16(),
        });
        if let Self::Internal(reason) = &self {
            let id = error_id();
            tracing::error!(id, reason, "a request failed");
            body["instance"] = format!("urn:kaopu:error:{id}").into();
        }
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"kaopu\", charset=\"UTF-8\""));
        }
        if let Some(wait) = self.retry_after() {
            // whole seconds, rounded up: never an invitation to come too early
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        response
    }
}

/// An id to quote, unlike any other of this process and unlikely to meet one of another.
fn error_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{:x}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_the_client_nothing_but_an_id() {
        let response = Problem::Internal("disk /var/lib/kaopu is full".to_owned()).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = futures_util::FutureExt::now_or_never(axum::body::to_bytes(response.into_body(), 4096));
        let body = String::from_utf8(body.unwrap().unwrap().to_vec()).unwrap();
        assert!(!body.contains("disk"), "{body}");
        assert!(body.contains("urn:kaopu:error:"), "{body}");
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let response = Problem::TooMany(Duration::from_millis(1200)).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}
