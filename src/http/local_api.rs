//! The local API: for the administrator's machine alone, without TLS. It shows how the node stands without login; who
//! changes something shows an account's secret. The console will stand here.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

use super::peers_api::{self, PeersApi};
use super::problem::Problem;
use crate::clock::Clock;
use crate::config::Config;
use crate::node::metrics;
use crate::node::peers::Peers;
use crate::node::settings::Settings;
use crate::node::status::Status;
use crate::store::Db;

/// Bytes of a request's body.
const BODY_BYTES: usize = 16 * 1024;

/// What the routes of the local API need.
#[derive(Clone)]
pub struct LocalApi {
    /// The store.
    pub db: Db,
    /// The configuration.
    pub config: Arc<Config>,
    /// Its rules and its calendar.
    pub settings: Settings,
    /// The present.
    pub clock: Clock,
    /// Its peers.
    pub peers: Peers,
}

/// Answers until `shutdown`.
pub async fn serve(listener: TcpListener, api: LocalApi, shutdown: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = axum::serve(listener, local_routes(api)).with_graceful_shutdown(shutdown).await {
        tracing::error!(%error, "the local API ended");
    }
}

/// The local API.
pub fn local_routes(api: LocalApi) -> Router {
    let steps =
        Router::new().route("/peers/{node}/{step}", post(peers_api::step)).with_state(PeersApi::new(api.peers.clone()));
    Router::new()
        .route("/peers", get(peers_api::list))
        .route("/healthz", get(healthz))
        .route("/status", get(status))
        .route("/metrics", get(figures))
        .merge(steps)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .fallback(|| async { Problem::UnknownPath })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .with_state(api)
}

/// `GET /healthz`: whether the store answers.
async fn healthz(State(api): State<LocalApi>) -> Result<&'static str, Problem> {
    api.db.registry_version().await?;
    Ok("ok\n")
}

/// `GET /status`: what `kaopu status --json` prints.
async fn status(State(api): State<LocalApi>) -> Result<Json<Status>, Problem> {
    Ok(Json(api.status().await?))
}

/// `GET /metrics`: the figures, as Prometheus reads them.
async fn figures(State(api): State<LocalApi>) -> Result<impl IntoResponse, Problem> {
    let status = api.status().await?;
    let text = metrics::render(&status, &status.ends, api.clock.now());
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

impl LocalApi {
    async fn status(&self) -> Result<Status, Problem> {
        let status = Status::of(&self.db, &self.config, &self.settings, &self.clock).await;
        status.map_err(|error| Problem::Internal(error.to_string()))
    }
}
