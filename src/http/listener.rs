//! TCP, TLS and HTTP/2 below the peer interface. A connection is made in a bounded time or not at all, speaks within
//! bounds, and ends with its peer's place in the registry.

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{Caller, Limits};
use crate::node::metrics;
use crate::statement::NodeId;
use crate::trust::registry::{Admission, Registry};
use crate::trust::tls::{self, ServerTls, TlsError};

/// How long requests under way may take when the node stops.
const DRAIN: Duration = Duration::from_secs(10);
/// How long, and how much of, what a refused client still sends is read.
const LEAVE: Duration = Duration::from_secs(1);
const LEAVE_BYTES: u64 = 64 * 1024;
/// How long a connection without a certificate may last, and which part of all connections such may be: who has read the
/// descriptor has nothing more to ask, and must not take the place of peers.
const STRANGERS_TIME: Duration = Duration::from_secs(30);
const STRANGERS_PART: usize = 8;
/// After a failed accept: as a rule the process is out of file descriptors for a moment.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Listens for peers.
pub struct PeerListener {
    /// Bound already.
    pub tcp: TcpListener,
    /// Certificates and whom they let in.
    pub tls: ServerTls,
    /// The peers.
    pub registry: Registry,
    /// The routes.
    pub router: Router,
    /// Of connections and handshakes.
    pub limits: Limits,
}

/// What every connection needs.
#[derive(Clone)]
struct Connections {
    tls: ServerTls,
    registry: Registry,
    router: Router,
    http: Arc<Builder<TokioExecutor>>,
    handshakes: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    handshake_time: Duration,
}

impl PeerListener {
    /// Answers until `shutdown`, then lets the requests under way finish.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let connections = Connections {
            tls: self.tls,
            registry: self.registry,
            router: self.router,
            http: Arc::new(http()),
            handshakes: Arc::new(Semaphore::new(self.limits.handshakes)),
            strangers: Arc::new(Semaphore::new(self.limits.connections.div_ceil(STRANGERS_PART))),
            handshake_time: self.limits.handshake_time,
        };
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.tcp, &room) => accepted,
                () = &mut shutdown => break,
            };
            match accepted {
                Ok((stream, place)) => {
                    tokio::spawn(connections.clone().connection(stream, place, graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
        drop(self.tcp);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were cut off by the shutdown");
        }
    }
}

/// The next connection, once there is room for it: until then it waits in the kernel's queue.
async fn accept(tcp: &TcpListener, room: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = tcp.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

impl Connections {
    async fn connection(self, stream: TcpStream, _place: OwnedSemaphorePermit, watcher: Watcher) {
        let peer_address = stream.peer_addr().ok();
        let (config, refusal) = match self.tls.connection() {
            Ok(made) => made,
            Err(error) => return tracing::error!(%error, "cannot speak TLS"),
        };
        let handshake = async {
            let _turn = self.handshakes.acquire().await.ok()?;
            Some(TlsAcceptor::from(config).accept(stream).into_fallible().await)
        };
        let stream = match tokio::time::timeout(self.handshake_time, handshake).await {
            Ok(None) => return,
            Ok(Some(Ok(stream))) => stream,
            // whoever looks whether the port is open (a balancer, doctor) says nothing and goes away: nobody was refused
            Ok(Some(Err((error, _)))) if error.kind() == ErrorKind::UnexpectedEof => {
                return tracing::debug!(?peer_address, "a connection ended before its handshake");
            }
            Ok(Some(Err((error, stream)))) => {
                let reason = TlsError::of(&error, &refusal).unwrap_or_else(|| TlsError::Handshake(error.to_string()));
                if refusal.noted().is_none() {
                    metrics::refused(reason.name());
                }
                tracing::info!(?peer_address, name = reason.name(), %reason, "refused a TLS handshake");
                return take_leave(stream).await;
            }
            Err(_) => return tracing::info!(?peer_address, "a TLS handshake took too long"),
        };
        // the verifier has let in nobody but peers; what the certificate claims was checked there
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
        let caller = match certificate.as_ref().map(tls::node_of).transpose() {
            Ok(caller) => caller,
            Err(error) => return tracing::warn!(?peer_address, %error, "a certificate without a node id"),
        };

        let stranger = if caller.is_none() { self.strangers.try_acquire().map(Some) } else { Ok(None) };
        let Ok(_place_of_a_stranger) = stranger else { return };

        let outlived = async {
            match &certificate {
                Some(certificate) => self.tls.outlived(certificate).await,
                None => std::future::pending().await,
            }
        };
        let (router, identified) = (self.router, Caller(caller.clone()));
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(identified.clone());
            router.clone().oneshot(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).into_owned();
        tokio::select! {
            ended = watcher.watch(connection) => {
                if let Err(error) = ended {
                    tracing::debug!(?caller, error, "a connection ended badly");
                }
            }
            () = over(&self.registry, caller.as_ref()) => {
                tracing::info!(?caller, "closed a connection whose time is over");
            }
            () = outlived => {
                tracing::info!(?caller, "closed a connection whose certificate has ended");
            }
        }
    }
}

/// Ends when the caller may ask less than when it came, or, without a certificate, after a short time.
async fn over(registry: &Registry, caller: Option<&NodeId>) {
    let Some(caller) = caller else { return tokio::time::sleep(STRANGERS_TIME).await };
    // at least its standing: it may have lost even that since its handshake
    let admission = registry.admission(caller).max(Admission::Standing);
    registry.admitted_less(caller, admission).await;
}

/// Lets the other side read the alert that says why: closed at once, with bytes of it unread, the connection would be
/// reset, and the alert lost.
async fn take_leave(mut stream: TcpStream) {
    let leave = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LEAVE_BYTES), &mut tokio::io::sink()).await
    };
    // whether it went well makes no difference any more
    let _ = tokio::time::timeout(LEAVE, leave).await;
}

/// HTTP/2 with bounds on what one connection may hold; HTTP/1.1 for simple tools, within the same.
fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10)).max_buf_size(16 * 1024);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(16 * 1024)
        .max_send_buf_size(1 << 20)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}
