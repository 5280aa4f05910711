//! The peer interface: own and mirrored logs, served alike. A mirror serves what it has proven, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::limits::Entries;
use super::problem::Problem;
use super::{Caller, Limits};
use crate::clock::Clock;
use crate::exchange::client::MAX_STATEMENTS;
use crate::exchange::standing::{REFUSED_TOLD, Standing};
use crate::exchange::{News, Witness};
use crate::log::tile::{self, FULL};
use crate::log::{Class, Origin, TileId};
use crate::node::answer::Answerer;
pub use crate::node::answer::MayRead;
use crate::node::metrics;
use crate::policy::{HoldCase, Policies};
use crate::statement::{Audience, Digest, NodeId, Statement, Subject, Unverified};
use crate::store::statement::{Body, StatementRow};
use crate::store::{Db, Head, LogRow};
use crate::trust::registry::{Admission, Registry};
use crate::trust::state::PeerState;

/// Full tiles and bundles never change.
const IMMUTABLE: &str = "max-age=31536000, immutable";
const NO_STORE: &str = "no-store";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// A note has at most 128 signatures, those of the log among them.
const MAX_COSIGNATURES: usize = 100;
/// Bodies shorter than this are not worth packing.
const WORTH_PACKING: usize = 1024;

/// What the routes of the peer interface need.
#[derive(Clone)]
pub struct PeerInterface {
    /// The store.
    pub db: Db,
    /// This node.
    pub node: NodeId,
    /// Its peers.
    pub registry: Registry,
    /// Who may read what.
    pub may_read: MayRead,
    /// Answers queries; None where none are answered.
    pub answerer: Option<Answerer>,
    /// Cosigns what peers' logs say.
    pub witness: Witness,
    /// Where growth is heard.
    pub news: News,
    /// What a peer may ask.
    pub limits: Limits,
    /// The limits of peers that have some of their own.
    pub of_peers: Arc<BTreeMap<NodeId, Limits>>,
    /// The present.
    pub clock: Clock,
    /// Turns true when the node stops: requests held open are answered.
    pub stopping: watch::Receiver<bool>,
}

/// Lets through who has shown the certificate of a peer that is active now.
pub async fn active_only(
    State(registry): State<Registry>,
    caller: Option<Extension<Caller>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = caller.and_then(|Extension(Caller(caller))| caller);
    let state = match &caller {
        None => None,
        Some(node) => {
            registry.refresh_for_request().await?;
            Some((node.clone(), registry.standing(node).map(|peer| peer.state)))
        }
    };
    let problem = match state {
        Some((_, Some(PeerState::Active))) => return Ok(next.run(request).await),
        Some((node, Some(PeerState::Suspended))) => Problem::Suspended(node),
        // the handshake was before it was taken out of the registry
        Some((node, Some(PeerState::Revoked) | None)) => Problem::Revoked(node),
        Some((node, Some(_))) => Problem::NotActive(node),
        None => Problem::CertificateNeeded,
    };
    metrics::refused(problem.name());
    tracing::info!(?caller, path = request.uri().path(), name = problem.name(), "refused a request");
    Err(problem)
}

/// `GET /v1/standing`: how the caller stands with this node, in whatever state it is.
pub async fn standing(
    State(api): State<PeerInterface>,
    Extension(Caller(caller)): Extension<Caller>,
) -> Result<Response, Problem> {
    let caller = caller.ok_or(Problem::CertificateNeeded)?;
    let peers = api.db.peers().await?;
    let peer = peers.iter().find(|peer| peer.node == caller && Admission::of(peer.state) > Admission::Nothing);
    let peer = peer.ok_or(Problem::Revoked(caller))?;
    let refused = api.db.refused_descriptors(&peer.node, REFUSED_TOLD).await?.into_iter().map(Into::into).collect();
    let standing = Standing { refused, ..Standing::of(api.node, peer, api.clock.now()) };
    let mut response = Json(standing).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    Ok(response)
}

/// `GET /v1/descriptor`: this node's descriptor statements, newest first, a line each.
pub async fn descriptor(State(api): State<PeerInterface>) -> Result<Response, Problem> {
    let logs = api.db.logs().await?;
    let newest = logs.iter().rfind(|log| log.own && log.origin.log == crate::log::origin::LogName::Records);
    let log = newest.ok_or(Problem::NotHeld)?;
    let mut text = String::new();
    for (_, jws) in api.db.descriptors(log.id).await?.iter().rev() {
        text.push_str(jws);
        text.push('\n');
    }
    Ok(answer(TEXT, "no-cache", text))
}

/// `GET /v1/logs/<hash>/checkpoint`: the newest checkpoint whose entries are all here. With `If-None-Match` and
/// `Prefer: wait=<seconds>` the request is held open until there is another.
pub async fn checkpoint(
    State(api): State<PeerInterface>,
    Extension(caller): Extension<Caller>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = headers.get(IF_NONE_MATCH);
    let limits = caller.0.as_ref().and_then(|caller| api.of_peers.get(caller)).unwrap_or(&api.limits);
    let wait = preferred_wait(&headers).unwrap_or_default().min(limits.wait);
    let deadline = Instant::now() + wait;
    let mut stopping = api.stopping.clone();
    let mut news = if known.is_some() && !wait.is_zero() { Some(api.news.listen()) } else { None };
    loop {
        let log = api.log(&hash).await?;
        let head = log.complete.as_ref().ok_or(Problem::NotHeld)?;
        let etag = etag(head);
        if known != Some(&etag) {
            let mut response = answer(TEXT, "no-cache", api.cosigned(&log, head).await?);
            response.headers_mut().insert(ETAG, etag);
            return Ok(response);
        }
        let unchanged = (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
        let Some(news) = &mut news else { return Ok(unchanged) };
        tokio::select! {
            () = news.heard() => {}
            () = tokio::time::sleep_until(deadline) => return Ok(unchanged),
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(unchanged),
        }
    }
}

/// `GET /v1/logs/<hash>/tile/<L>/<N>[.p/<W>]`: the hashes of a tile.
pub async fn tile(
    State(api): State<PeerInterface>,
    Path((hash, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id: TileId = path.parse()?;
    let log = api.log(&hash).await?;
    let width = usize::from(id.width);
    let (full, _) = tile::tiles_at(log.size, id.level);
    let hashes = if id.n < full {
        api.db.tile(log.id, id.level, id.n).await?.ok_or(Problem::NotHeld)?
    } else if id.n == full {
        log.edge.level(id.level).to_vec()
    } else {
        return Err(Problem::NotHeld);
    };
    let hashes = hashes.get(..width).ok_or(Problem::NotHeld)?;
    Ok(answer(BYTES, lasting(id.width), tile::encode_hashes(hashes)))
}

/// `GET /v1/logs/<hash>/tile/entries/<N>[.p/<W>]`: the entries of a bundle.
pub async fn bundle(
    State(api): State<PeerInterface>,
    Path((hash, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (n, width) = tile::parse_bundle_path(&path)?;
    let log = api.log(&hash).await?;
    let entries = api.db.entries(log.id, first_of(&log, n, width)?, u64::from(width)).await?;
    if entries.len() < usize::from(width) {
        return Err(Problem::NotHeld);
    }
    Ok(answer(BYTES, lasting(width), tile::encode_bundle(&entries)))
}

/// `GET /v1/logs/<hash>/statements/<N>[.p/<W>]`: the bodies of a bundle, a line an entry.
pub async fn statements(
    State(api): State<PeerInterface>,
    Extension(caller): Extension<Caller>,
    Path((hash, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = caller.0.ok_or(Problem::CertificateNeeded)?;
    let (n, width) = tile::parse_bundle_path(&path)?;
    let log = api.log(&hash).await?;
    let rows = api.db.statements(log.id, first_of(&log, n, width)?, u64::from(width)).await?;
    if rows.len() < usize::from(width) {
        return Err(Problem::NotHeld);
    }
    let packed = accepts_zstd(&headers);
    let policies = api.answerer.as_ref().map(|answerer| answerer.policies.now());
    let encode = move || {
        let may_hold = |said: &Statement| {
            let policies = policies.as_deref();
            (api.may_read)(&said.aud, &log.origin.node, &caller)
                && policies.is_none_or(|policies| permitted(policies, said, &log.origin.node, &caller))
        };
        let mut text = String::with_capacity(rows.len() * 1500);
        for row in &rows {
            text.push_str(body_for(&caller, &log.origin, row, &may_hold));
            text.push('\n');
        }
        if text.len() > MAX_STATEMENTS {
            return Err(Problem::Internal(format!("bundle {n} of {} has {} bytes", log.origin, text.len())));
        }
        if !packed || text.len() < WORTH_PACKING {
            return Ok((text.into_bytes(), false));
        }
        // level 1: a link between cities is slower than this, and the cores are wanted elsewhere
        let bytes = zstd::bulk::compress(text.as_bytes(), 1).map_err(|e| Problem::Internal(e.to_string()))?;
        Ok((bytes, true))
    };
    let (bytes, packed) =
        tokio::task::spawn_blocking(encode).await.map_err(|error| Problem::Internal(error.to_string()))??;
    let mut response = answer(TEXT, NO_STORE, bytes);
    response.extensions_mut().insert(Entries(width));
    response.headers_mut().insert(VARY, HeaderValue::from_name(ACCEPT_ENCODING));
    if packed {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    Ok(response)
}

impl PeerInterface {
    async fn log(&self, hash: &str) -> Result<LogRow, Problem> {
        self.db.log_by_hash(hash).await?.ok_or(Problem::UnknownLog)
    }

    /// A checkpoint with the cosignatures on it that are held by now. They come after it, so one entity tag stands for it
    /// with few of them and with more.
    async fn cosigned(&self, log: &LogRow, head: &Head) -> Result<String, Problem> {
        let mut note = head.note.clone();
        let on_it = self.db.cosignatures(log.id).await?.into_iter().filter(|row| row.size == head.size);
        for row in on_it.take(MAX_COSIGNATURES) {
            note.push_str(&row.cosignature.line);
            note.push('\n');
        }
        Ok(note)
    }
}

/// The seconds of `Prefer: wait=<seconds>` (RFC 7240), None where the header does not ask to wait.
pub fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let prefer = headers.get_all(HeaderName::from_static("prefer")).into_iter().filter_map(|v| v.to_str().ok());
    let seconds = prefer.flat_map(|v| v.split(',')).find_map(|p| p.trim().strip_prefix("wait=")?.parse().ok());
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Size and root: what makes one checkpoint another.
fn etag(head: &Head) -> HeaderValue {
    let text = format!("\"{}-{}\"", head.size, Digest(head.root));
    // digits, a hyphen and base64url
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The first index of a bundle that the log has in this width.
fn first_of(log: &LogRow, n: u64, width: u16) -> Result<u64, Problem> {
    let first = n.checked_mul(FULL as u64).ok_or(Problem::NotHeld)?;
    let end = first.checked_add(u64::from(width)).ok_or(Problem::NotHeld)?;
    if end <= log.size { Ok(first) } else { Err(Problem::NotHeld) }
}

/// What of a body this caller gets: a mirrored body goes to its issuer, any body to whom its audience, this node's groups
/// and policies let have it. Where the audience cannot be read, only the issuer gets it back.
fn body_for<'a>(
    caller: &NodeId,
    origin: &Origin,
    row: &'a StatementRow,
    may_hold: &impl Fn(&Statement) -> bool,
) -> &'a str {
    let jws = match &row.body {
        Body::Here(jws) => jws,
        Body::Withheld => return "withheld",
        Body::Erased => return "erased",
    };
    // an accepted statement's audience agrees with the class of its entry
    let open = row.entry.class == Class::Open && row.verdict == "accepted";
    let for_caller =
        || Unverified::parse(jws).map_or(row.entry.class == Class::Open, |unverified| may_hold(unverified.statement()));
    if open || *caller == origin.node || for_caller() { jws } else { "withheld" }
}

/// Whether policies let an active peer hold what is addressed to it; what is for everybody is for it too.
fn permitted(policies: &Policies, said: &Statement, issuer: &NodeId, holder: &NodeId) -> bool {
    said.aud == Audience::Everyone
        || policies
            .may_hold(HoldCase {
                holder: holder.clone(),
                active: true,
                issuer: issuer.clone(),
                kind: said.typ.kind.clone(),
                person: matches!(said.sub, Some(Subject::Person { .. })),
            })
            .permitted
}

fn accepts_zstd(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|v| v.to_str().ok());
    accepted.flat_map(|v| v.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd"));
        named && !parts.any(|q| matches!(q, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn lasting(width: u16) -> &'static str {
    if usize::from(width) == FULL { IMMUTABLE } else { "no-cache" }
}

fn answer(content: &'static str, cache: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_from_among_preferences() {
        let wait = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(text));
            preferred_wait(&headers)
        };
        assert_eq!(wait("wait=30"), Some(Duration::from_secs(30)));
        assert_eq!(wait("respond-async, wait=5"), Some(Duration::from_secs(5)));
        assert_eq!(wait("wait=0"), None);
        assert_eq!(wait("wait=soon"), None);
        assert_eq!(wait("return=minimal"), None);
    }

    #[test]
    fn zstd_is_sent_to_those_alone_who_take_it() {
        let accepts = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(text));
            accepts_zstd(&headers)
        };
        assert!(accepts("zstd") && accepts("gzip, zstd;q=0.5") && accepts("ZSTD"));
        assert!(!accepts("gzip") && !accepts("zstd;q=0") && !accepts("*"));
    }
}
