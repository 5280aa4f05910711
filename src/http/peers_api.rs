//! The steps with peers over the local API: what `kaopu peer` does, for the console and for tools. Who does it shows name and
//! secret of an account (HTTP Basic, RFC 7617) each time.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::enrol_api::Tries;
use super::local_api::LocalApi;
use super::problem::Problem;
use crate::node::accounts::Person;
use crate::node::peers::{PeerView, Peers, TypedFingerprint};
use crate::statement::NodeId;

/// Secrets looked at at once, and a second after that: each takes some 40 ms and 19 MiB.
const BURST: f64 = 20.0;
const PER_SECOND: f64 = 5.0;

/// What the routes need.
#[derive(Clone)]
pub struct PeersApi {
    peers: Peers,
    tries: Tries,
}

/// What a step may be given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The 30 digits, for `confirm`.
    fingerprint: Option<String>,
    /// Why, for the others.
    reason: Option<String>,
}

impl PeersApi {
    /// For the peers of a node.
    pub fn new(peers: Peers) -> Self {
        Self { peers, tries: Tries::new(BURST, PER_SECOND) }
    }

    async fn person(&self, headers: &HeaderMap) -> Result<Person, Problem> {
        let (name, secret) = basic(headers).ok_or(Problem::PersonNeeded)?;
        self.tries.take(Instant::now())?;
        Ok(self.peers.person(&name, &secret).await?)
    }
}

/// `GET /peers`: what `kaopu peer list --json` prints.
pub async fn list(State(api): State<LocalApi>) -> Result<Json<Vec<PeerView>>, Problem> {
    Ok(Json(Peers::views(&api.db, api.clock.now_ms()).await?))
}

/// `POST /peers/{node}/{step}`: confirm, take-back, approve, suspend, resume or revoke; answers with the peer as it stands then.
pub async fn step(
    State(api): State<PeersApi>,
    Path((node, step)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<PeerView>, Problem> {
    let given = given(&headers, &body)?;
    let by = api.person(&headers).await?;
    let node: NodeId = node.parse().map_err(|_| Problem::Malformed(format!("{node:.40?} is no node id")))?;
    let reason = given.reason.as_deref();
    let why = reason.unwrap_or_default();
    let peers = &api.peers;
    match step.as_str() {
        "confirm" => {
            let digits = given.fingerprint.unwrap_or_default();
            let typed: TypedFingerprint = digits.parse().map_err(|error| Problem::Malformed(format!("{error}")))?;
            peers.confirm(&node, &typed, &by).await?;
        }
        "take-back" => drop(peers.take_back(&node, &by, reason).await?),
        "approve" => drop(peers.approve(&node, &by).await?),
        "suspend" => drop(peers.suspend(&node, &by, why).await?),
        "resume" => drop(peers.resume(&node, &by, reason).await?),
        "revoke" => drop(peers.revoke(&node, &by, why).await?),
        _ => return Err(Problem::UnknownPath),
    }
    Ok(Json(peers.show(&node).await?))
}

/// A form of another page cannot send this type, and so cannot use what a browser has remembered.
fn given(headers: &HeaderMap, body: &[u8]) -> Result<Given, Problem> {
    let json = headers.get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/json"));
    if !json {
        return Err(Problem::Malformed("a body of content type application/json is expected".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Problem::Malformed(error.to_string()))
}

/// Name and secret.
fn basic(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(credentials.trim()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), Zeroizing::new(secret.to_owned())))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn name_and_secret_are_read_from_the_header() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(text).unwrap());
            basic(&headers).map(|(name, secret)| (name, secret.to_string()))
        };
        let pair = |name: &str, secret: &str| Some((name.to_owned(), secret.to_owned()));
        assert_eq!(read(&format!("Basic {}", STANDARD.encode("li:a:b"))), pair("li", "a:b"));
        assert_eq!(read(&format!("basic  {}", STANDARD.encode("li:"))), pair("li", ""));
        for wrong in ["Bearer x", "Basic", "Basic !", &format!("Basic {}", STANDARD.encode("li"))] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
