//! Why the other side ended a connection before it answered.
//!
//! In TLS 1.3 a client is done with the handshake before the server has looked at its certificate (RFC 8446, 2). The alert
//! that says why it is refused comes when the first request is on its way, and who reads the line for HTTP tells only that
//! it was closed. So a line is opened that nothing is asked over: what comes on it is the alert, or nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::{ClientTls, Refusal, TlsError};

/// How long a connection may take that is opened for this, and how long the alert is waited for: the other side sends it
/// as soon as it has read the certificate.
const PATIENCE: Duration = Duration::from_secs(3);
/// The other side is not asked again before this, however often it closes.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Asks one server why it closes.
pub struct Ended {
    config: Arc<ClientConfig>,
    refusal: Refusal,
    /// Host and port.
    address: String,
    name: Option<ServerName<'static>>,
    last: Mutex<Option<(Instant, Option<TlsError>)>>,
}

impl Ended {
    /// For the server at an `https://host:port`.
    pub fn new(url: &str, tls: &ClientTls) -> Self {
        let uri: Option<http::Uri> = url.parse().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default().to_owned();
        let port = uri.as_ref().and_then(http::Uri::port_u16).unwrap_or(443);
        Self {
            config: Arc::new(tls.config.clone()),
            refusal: tls.refusal.clone(),
            address: format!("{host}:{port}"),
            // an IPv6 address stands in brackets
            name: ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok(),
            last: Mutex::default(),
        }
    }

    /// The reason, where TLS has one: what was heard lately, else what is heard now.
    pub async fn why(&self) -> Option<TlsError> {
        let lately = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, reason)) = lately.filter(|(at, _)| at.elapsed() < ASK_EVERY) {
            return reason;
        }
        let reason = Box::pin(self.listen()).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), reason.clone()));
        reason
    }

    /// It answers: what was heard before counts no more.
    pub fn answers(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn listen(&self) -> Option<TlsError> {
        let connected = async {
            let stream = TcpStream::connect(self.address.as_str()).await.ok()?;
            Some(TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone()?, stream).await)
        };
        let heard = match timeout(PATIENCE, connected).await.ok()?? {
            Ok(mut stream) => timeout(PATIENCE, stream.read_u8()).await.ok()?.map(|_| ()),
            Err(error) => Err(error),
        };
        TlsError::of(&heard.err()?, &self.refusal)
    }
}
