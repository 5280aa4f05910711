//! The local API: for the administrator's machine alone, without TLS or login. It shows how the node stands; the console
//! will stand here.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

use super::problem::Problem;
use crate::clock::Clock;
use crate::config::Config;
use crate::node::metrics;
use crate::node::status::Status;
use crate::store::Db;

/// What the routes of the local API need.
#[derive(Clone)]
pub struct LocalApi {
    /// The store.
    pub db: Db,
    /// The configuration.
    pub config: Arc<Config>,
    /// The present.
    pub clock: Clock,
}

/// Answers until `shutdown`.
pub async fn serve(listener: TcpListener, api: LocalApi, shutdown: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = axum::serve(listener, local_routes(api)).with_graceful_shutdown(shutdown).await {
        tracing::error!(%error, "the local API ended");
    }
}

/// The local API.
pub fn local_routes(api: LocalApi) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/status", get(status))
        .route("/metrics", get(figures))
        .fallback(|| async { Problem::UnknownPath })
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
        let status = Status::of(&self.db, &self.config, &self.clock).await;
        status.map_err(|error| Problem::Internal(error.to_string()))
    }
}
