//! This node as a witness: C2SP `tlog-witness`, over the same mutual TLS and within the same limits as all that peers ask.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::PeerInterface;
use super::problem::Problem;
use crate::exchange::witness::NotCosigned;
use crate::log::witness::SIZE_TYPE;
use crate::node::metrics;

const TEXT: &str = "text/plain; charset=utf-8";

/// `POST /v1/add-checkpoint`: a checkpoint of a log of an active peer, with the proof that it continues the one held here.
/// Whoever of the peers brings it: what counts is the log's signature.
pub async fn add_checkpoint(State(api): State<PeerInterface>, body: Bytes) -> Result<Response, Problem> {
    let text = std::str::from_utf8(&body).map_err(|_| Problem::Malformed("the body is not UTF-8".to_owned()))?;
    match Box::pin(api.witness.add_checkpoint(text)).await {
        Ok(cosignature) => Ok(answer(StatusCode::OK, TEXT, format!("{}\n", cosignature.line))),
        // no refusal: this is how a log learns from where to prove
        Err(NotCosigned::Elsewhere(size)) => Ok(answer(StatusCode::CONFLICT, SIZE_TYPE, format!("{size}\n"))),
        Err(error) => {
            let problem = Problem::from(error);
            metrics::refused(problem.name());
            tracing::info!(name = problem.name(), reason = %problem, "refused to cosign a checkpoint");
            Err(problem)
        }
    }
}

/// `GET /v1/<SHA-256 of an origin>/checkpoint`: the newest checkpoint that this node stands by, cosigned.
pub async fn checkpoint(State(api): State<PeerInterface>, Path(hash): Path<String>) -> Result<Response, Problem> {
    let note = Box::pin(api.witness.checkpoint(&hash)).await?;
    Ok(answer(StatusCode::OK, TEXT, note))
}

fn answer(status: StatusCode, content: &'static str, body: String) -> Response {
    let headers = [(CONTENT_TYPE, content), (CACHE_CONTROL, "no-store")];
    (status, headers.map(|(name, value)| (name, HeaderValue::from_static(value))), body).into_response()
}
