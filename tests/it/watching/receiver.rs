//! A receiver of notices that answers as a test wants it to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kaopu::statement::PublicKey;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What came.
#[derive(Clone, Debug)]
pub struct Got {
    /// The id in the header.
    pub id: String,
    /// The body.
    pub jws: String,
    /// What it says.
    pub payload: Value,
}

/// How it is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Take,
    Status(u16),
    /// 503, to be left alone for so many seconds.
    Busy(u64),
    /// No answer before the end of time.
    Hang,
    /// 200 and a body without end.
    Endless,
    /// 307 to somewhere else.
    Elsewhere(String),
}

type Behave = dyn Fn(&Got) -> Answer + Send + Sync;

/// The receiver; it is gone when it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    pub url: String,
    state: Arc<Inner>,
    task: JoinHandle<()>,
}

struct Inner {
    behave: Box<Behave>,
    /// What was taken, in order.
    taken: Mutex<Vec<Got>>,
    /// All that came.
    came: Mutex<Vec<Got>>,
}

impl Receiver {
    pub async fn new(behave: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), behave).await
    }

    /// One at an address that was one's before.
    pub async fn at(address: SocketAddr, behave: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        let tcp = TcpListener::bind(address).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let state = Arc::new(Inner { behave: Box::new(behave), taken: Mutex::default(), came: Mutex::default() });
        let router = routes(&state);
        let task = tokio::spawn(async move { axum::serve(tcp, router).await.unwrap() });
        Self { address, url: format!("http://{address}/notices"), state, task }
    }

    pub fn taken(&self) -> Vec<Got> {
        self.state.taken.lock().unwrap().clone()
    }

    pub fn came(&self) -> usize {
        self.state.came.lock().unwrap().len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn routes(state: &Arc<Inner>) -> Router {
    Router::new().route("/notices", post(receive)).with_state(Arc::clone(state))
}

async fn receive(State(state): State<Arc<Inner>>, headers: HeaderMap, jws: String) -> Response {
    assert_eq!(headers["content-type"], "application/jose");
    let payload = URL_SAFE_NO_PAD.decode(jws.split('.').nth(1).unwrap()).unwrap();
    let got = Got {
        id: headers["kaopu-delivery"].to_str().unwrap().to_owned(),
        payload: serde_json::from_slice(&payload).unwrap(),
        jws,
    };
    let answer = (state.behave)(&got);
    state.came.lock().unwrap().push(got.clone());
    if matches!(answer, Answer::Take | Answer::Endless) {
        state.taken.lock().unwrap().push(got);
    }
    match answer {
        Answer::Take => ().into_response(),
        Answer::Status(status) => Response::builder().status(status).body(Body::empty()).unwrap(),
        Answer::Busy(seconds) => {
            Response::builder().status(503).header("retry-after", seconds).body(Body::empty()).unwrap()
        }
        Answer::Hang => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            ().into_response()
        }
        Answer::Endless => {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let endless = futures_util::stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone()));
            Body::from_stream(endless).into_response()
        }
        Answer::Elsewhere(url) => Response::builder().status(307).header("location", url).body(Body::empty()).unwrap(),
    }
}

/// Whether a notice was signed under a key.
pub fn verifies(jws: &str, key: &PublicKey) -> bool {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
}
