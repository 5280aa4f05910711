//! One peer's interface, asked under limits: no answer is longer, slower or further unpacked than an honest one can be.
//! The only file that names reqwest.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use reqwest::RequestBuilder;
use tokio::sync::Semaphore;

use super::Fault;
use super::bodies::{lines, unpack};
use super::reply::{Answer, into_text, is_good, malformed, problem, range_of, retry_after, words};
use super::standing::{Introduction, Standing};
use crate::clock::Clock;
use crate::log::tile::{self, FULL};
use crate::log::witness::{SIZE_TYPE, Submitted, Witnessed};
use crate::log::{Entry, Hash, Origin, TileId};
use crate::quota::DayCount;
use crate::statement::{Digest, NodeId};
use crate::trust::registry::{Admission, Registry};
use crate::trust::tls::{ClientTls, Ended, Refusal, TlsError};

/// The header that says which descriptor of the server, by its sequence, the client holds.
pub const HOLDS: &str = "kaopu-holds";
pub use super::bodies::{Line, MAX_STATEMENTS};

/// A signed note is never longer than this.
const MAX_NOTE: usize = 64 * 1024;
/// How this node stands with a peer.
const MAX_STANDING: usize = 64 * 1024;
/// The descriptors of a node, all of them.
const MAX_DESCRIPTORS: usize = 4 * 1024 * 1024;
/// What is read of a problem.
const MAX_PROBLEM: usize = 16 * 1024;
/// Requests to one peer under way at once, of all feeds: within what a peer allows, so that feeds do not run each other into
/// its limits. One held open is not counted, neither here nor there.
const AT_ONCE: usize = 48;
const ATTACHMENT: &str = "an attachment";
/// How long this node waits for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection to stand.
    pub connect: Duration,
    /// For the next bytes of an answer.
    pub idle: Duration,
    /// For a whole answer; a held-open checkpoint may take its wait on top.
    pub whole: Duration,
}

/// A client of one peer. Cheap to clone; all clones share one HTTP/2 connection.
#[derive(Clone)]
pub struct PeerClient {
    http: reqwest::Client,
    base: String,
    patience: Patience,
    slots: Arc<Semaphore>,
    /// Why its certificate was refused here.
    refusal: Refusal,
    /// Why it closes connections, if it does.
    ended: Arc<Ended>,
    /// Whether bodies are asked for packed.
    compress: bool,
    /// What was taken from it today, where that is counted, and what day it is.
    day: Option<(Arc<DayCount>, Clock)>,
    /// The sequence of the peer's descriptor that this node holds.
    holds: Option<u64>,
    /// Who it is and where it stands: only an active peer is asked.
    active: Option<(Registry, NodeId)>,
}

/// What a peer serves as its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The signed note.
    pub note: String,
    /// Its entity tag, to ask for a newer one.
    pub etag: Option<String>,
}

impl PeerClient {
    /// A client that speaks to `url` under a TLS configuration that lets in that peer alone.
    pub fn new(url: &str, tls: ClientTls, patience: Patience, compress: bool) -> Result<Self, Fault> {
        let mut tls = tls;
        tls.config.alpn_protocols = vec![b"h2".to_vec()];
        let ended = Arc::new(Ended::new(url, &tls));
        let ClientTls { config: tls, refusal } = tls;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            // unpacked here, under limits of our own
            .no_zstd()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(patience.connect)
            .http2_prior_knowledge()
            .http2_initial_stream_window_size(1 << 20)
            .http2_initial_connection_window_size(8 << 20)
            .http2_max_header_list_size(16 * 1024)
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(patience.idle)
            .http2_keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| Fault::Tls(TlsError::Own(words(&error))))?;
        Ok(Self {
            http,
            base: url.trim_end_matches('/').to_owned(),
            patience,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            refusal,
            ended,
            compress,
            day: None,
            holds: None,
            active: None,
        })
    }

    /// Tells the peer with each request which descriptor of it this node holds.
    pub fn holding(self, sequence: u64) -> Self {
        Self { holds: Some(sequence), ..self }
    }

    /// Asks only while the node is an active peer: when it is no more, what is under way ends too.
    pub fn while_active(self, registry: Registry, node: NodeId) -> Self {
        Self { active: Some((registry, node)), ..self }
    }

    /// The same, with what it takes of logs counted, and an end to it for the day.
    pub fn counted(self, day: Arc<DayCount>, clock: Clock) -> Self {
        Self { day: Some((day, clock)), ..self }
    }

    /// How this node stands with the peer.
    pub async fn standing(&self) -> Result<Standing, Fault> {
        const WHAT: &str = "the standing";
        let answer = self.get(WHAT, "/v1/standing", MAX_STANDING, |r| r).await?;
        serde_json::from_slice(&answer.body).map_err(|error| malformed(WHAT, error))
    }

    /// Introduces this node with the secret of an invitation.
    pub async fn enrol(&self, introduction: &Introduction) -> Result<(), Fault> {
        const WHAT: &str = "the enrolment";
        let request = self.http.post(format!("{}/v1/enrol", self.base)).json(introduction);
        let asked = tokio::time::timeout(self.patience.whole, self.ask(WHAT, request, MAX_PROBLEM));
        asked.await.unwrap_or(Err(Fault::Slow(WHAT, self.patience.whole))).map(|_| ())
    }

    /// The peer's descriptor statements, newest first.
    pub async fn descriptors(&self) -> Result<Vec<String>, Fault> {
        let answer = self.get("the descriptors", "/v1/descriptor", MAX_DESCRIPTORS, |r| r).await?;
        let text = into_text("the descriptors", answer.body)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The checkpoint of a log; None if it is still the one of entity tag `known` after waiting for `wait`.
    pub async fn checkpoint(
        &self,
        origin: &Origin,
        known: Option<&str>,
        wait: Duration,
    ) -> Result<Option<Served>, Fault> {
        let path = format!("/v1/logs/{}/checkpoint", origin.hash());
        let held_open = Self { patience: self.patience.and(wait), slots: Arc::new(Semaphore::new(1)), ..self.clone() };
        let answer = held_open
            .get("the checkpoint", &path, MAX_NOTE, |mut request| {
                if let Some(etag) = known {
                    request = request.header(IF_NONE_MATCH, etag);
                    if !wait.is_zero() {
                        request = request.header("prefer", format!("wait={}", wait.as_secs()));
                    }
                }
                request
            })
            .await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let etag = answer.headers.get(ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok(Some(Served { note: into_text("the checkpoint", answer.body)?, etag }))
    }

    /// The bytes of a tile, as many hashes as its width says.
    pub async fn tile(&self, origin: &Origin, id: TileId) -> Result<Vec<Hash>, Fault> {
        let path = format!("/v1/logs/{}/tile/{id}", origin.hash());
        let answer = self.get("a tile", &path, FULL * size_of::<Hash>(), |r| r).await?;
        tile::decode_hashes(&answer.body, id.width).map_err(|e| malformed("a tile", e))
    }

    /// The entries of a bundle.
    pub async fn bundle(&self, origin: &Origin, n: u64, width: u16) -> Result<Vec<Entry>, Fault> {
        let path = format!("/v1/logs/{}/tile/entries/{}", origin.hash(), tile::bundle_path(n, width));
        // entries of another length are malformed, so no honest bundle is longer
        let limit = FULL * (2 + crate::log::entry::ENTRY_BYTES);
        let answer = self.get("a bundle", &path, limit, |r| r).await?;
        let entries = tile::decode_bundle(&answer.body, width).map_err(|e| malformed("a bundle", e))?;
        self.count(0, entries.len());
        Ok(entries)
    }

    /// The bodies of a bundle, a line an entry.
    pub async fn statements(&self, origin: &Origin, n: u64, width: u16) -> Result<Vec<Line>, Fault> {
        const WHAT: &str = "a bundle of statements";
        let path = format!("/v1/logs/{}/statements/{}", origin.hash(), tile::bundle_path(n, width));
        let answer = self
            .get(WHAT, &path, MAX_STATEMENTS, |request| {
                if self.compress { request.header(ACCEPT_ENCODING, "zstd") } else { request }
            })
            .await?;
        let text = match answer.headers.get(CONTENT_ENCODING).map(|v| v.as_bytes()) {
            None | Some(b"identity") => into_text(WHAT, answer.body)?,
            Some(b"zstd") => {
                let unpacked = tokio::task::spawn_blocking(move || unpack(&answer.body, MAX_STATEMENTS))
                    .await
                    .map_err(|e| Fault::Damaged(e.to_string()))??;
                into_text(WHAT, unpacked)?
            }
            Some(_) => return Err(Fault::Format { what: WHAT, why: "an encoding nobody asked for".to_owned() }),
        };
        lines(WHAT, &text, width)
    }

    /// So many bytes of a sealed file, from `first` on: exactly those, of a file of `size` bytes.
    pub async fn attachment(&self, digest: &Digest, first: u64, length: usize, size: u64) -> Result<Vec<u8>, Fault> {
        let path = format!("/v1/attachments/{digest}");
        let range = format!("bytes={first}-{}", (first + length as u64).saturating_sub(1));
        let answer = self.get(ATTACHMENT, &path, length, |request| request.header(RANGE, &range)).await?;
        let is_asked = range_of(&answer.headers) == Some((first, length as u64, size));
        if answer.status != StatusCode::PARTIAL_CONTENT || !is_asked || answer.body.len() != length {
            return Err(malformed(
                ATTACHMENT,
                "not the bytes that were asked for, of a file of the size that was named",
            ));
        }
        Ok(answer.body)
    }

    /// Asks a query: the answer, and behind it a line each the statements that it lists.
    pub async fn query(&self, query: &str) -> Result<Vec<String>, Fault> {
        const WHAT: &str = "the answer";
        let request = self.http.post(format!("{}/v1/query", self.base)).body(query.to_owned());
        let answer = self.send(WHAT, request, MAX_STATEMENTS).await?;
        Ok(into_text(WHAT, answer.body)?.lines().map(str::to_owned).collect())
    }

    /// Submits a checkpoint to the peer as a witness.
    pub async fn add_checkpoint(&self, submitted: &Submitted) -> Result<Witnessed, Fault> {
        const WHAT: &str = "the cosignature";
        let request = self.http.post(format!("{}/v1/add-checkpoint", self.base)).body(submitted.encode());
        let answer = self.send(WHAT, request, MAX_NOTE).await?;
        let cosigned = answer.status == StatusCode::OK;
        let read = Witnessed::read(cosigned, into_text(WHAT, answer.body)?);
        read.ok_or_else(|| malformed(WHAT, "it says no size"))
    }

    async fn get(
        &self,
        what: &'static str,
        path: &str,
        limit: usize,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Fault> {
        // its descriptors are never too much
        if let Some((day, clock)) = &self.day
            && (path.starts_with("/v1/logs/") || what == ATTACHMENT)
        {
            day.room(clock.now()).map_err(Fault::DaySpent)?;
        }
        self.send(what, with(self.http.get(format!("{}{path}", self.base))), limit).await
    }

    async fn send(&self, what: &'static str, mut request: RequestBuilder, limit: usize) -> Result<Answer, Fault> {
        // never closed
        let _slot = self.slots.acquire().await.map_err(|error| Fault::Damaged(error.to_string()))?;
        if let Some(sequence) = self.holds {
            request = request.header(HOLDS, sequence);
        }
        let asked = tokio::time::timeout(self.patience.whole, self.ask(what, request, limit));
        tokio::select! {
            biased;
            () = self.inactive() => Err(Fault::Inactive),
            asked = asked => asked.unwrap_or(Err(Fault::Slow(what, self.patience.whole))),
        }
    }

    /// Ends when the peer is not active any more.
    async fn inactive(&self) {
        match &self.active {
            Some((registry, node)) => registry.admitted_less(node, Admission::Everything).await,
            None => std::future::pending().await,
        }
    }

    async fn ask(&self, what: &'static str, request: RequestBuilder, limit: usize) -> Result<Answer, Fault> {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.unanswered(&error).await),
        };
        self.ended.answers();
        let (status, headers) = (response.status(), response.headers().clone());
        let good = is_good(status);
        let body = self.read(what, response, if good { limit } else { MAX_PROBLEM }).await;
        match status {
            _ if good => Ok(Answer { status, headers, body: body? }),
            StatusCode::CONFLICT if headers.get(CONTENT_TYPE).is_some_and(|found| found == SIZE_TYPE) => {
                Ok(Answer { status, headers, body: body? })
            }
            StatusCode::NOT_FOUND => Err(Fault::NotHeld),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(Fault::Limited(retry_after(&headers)))
            }
            _ => {
                let problem = problem(&body.unwrap_or_default());
                Err(match problem.as_str() {
                    "not-active" | "suspended" | "revoked" => Fault::NotTaken(problem),
                    _ => Fault::Http(status.as_u16(), problem),
                })
            }
        }
    }

    async fn read(&self, what: &'static str, mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Fault> {
        let too_long = Fault::TooLong { what, limit };
        let announced = response.content_length().unwrap_or(0);
        if announced > limit as u64 {
            return Err(too_long);
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        loop {
            let next = tokio::time::timeout(self.patience.idle, response.chunk()).await;
            let next = next.map_err(|_| Fault::Slow(what, self.patience.idle))?.map_err(|e| self.unreachable(&e))?;
            self.count(next.as_ref().map_or(0, |chunk| chunk.len()), 0);
            match next {
                None => return Ok(body),
                Some(chunk) if body.len() + chunk.len() > limit => return Err(too_long),
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }

    fn count(&self, bytes: usize, entries: usize) {
        if let Some((day, clock)) = &self.day {
            day.add(clock.now(), bytes as u64, entries as u64);
        }
    }

    /// Why a request got no answer. A server that does not take this node's certificate says so when the request is under
    /// way, and that may be lost on the way up here.
    async fn unanswered(&self, error: &reqwest::Error) -> Fault {
        match self.unreachable(error) {
            Fault::Unreachable(words) if !error.is_timeout() => {
                self.ended.why().await.map_or(Fault::Unreachable(words), Fault::Tls)
            }
            fault => fault,
        }
    }

    /// TLS trouble told apart from a line that is down.
    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(reason) = TlsError::of(cause, &self.refusal) {
                return Fault::Tls(reason);
            }
            source = cause.source();
        }
        let text = words(error);
        // HTTP/2 hands on an error of the line as its words only
        TlsError::of_words(&text, &self.refusal).map_or(Fault::Unreachable(text), Fault::Tls)
    }
}

impl Patience {
    fn and(self, wait: Duration) -> Self {
        Self { whole: self.whole + wait, ..self }
    }
}
