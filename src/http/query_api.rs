//! `POST /v1/query`: a peer's query in, the answer and the statements that it lists out, a line each.

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::limits::Entries;
use super::problem::Problem;
use super::{Caller, PeerInterface};
use crate::node::metrics;
use crate::statement::envelope::MAX_BYTES;

/// Answers a query.
pub async fn query(
    State(api): State<PeerInterface>,
    Extension(Caller(caller)): Extension<Caller>,
    body: Body,
) -> Result<Response, Problem> {
    let asker = caller.ok_or(Problem::CertificateNeeded)?;
    let answerer = api.answerer.as_ref().ok_or(Problem::UnknownPath)?;
    // a query is one statement
    let body = to_bytes(body, MAX_BYTES + 1).await.map_err(|_| Problem::TooLarge)?;
    let jws = std::str::from_utf8(&body).map_err(|_| Problem::Malformed("a query is text".to_owned()))?;
    let told = match Box::pin(answerer.answer(&asker, jws.trim_end())).await {
        Ok(told) => told,
        Err(error) => {
            let problem = Problem::from(error);
            metrics::refused(problem.name());
            tracing::info!(%asker, name = problem.name(), reason = %problem, "did not answer a query");
            return Err(problem);
        }
    };
    let length = told.statements.iter().map(|statement| statement.len() + 1).sum::<usize>();
    let mut text = String::with_capacity(told.answer.len() + 1 + length);
    for line in std::iter::once(&told.answer).chain(&told.statements) {
        text.push_str(line);
        text.push('\n');
    }
    let mut response = text.into_response();
    response.extensions_mut().insert(Entries(u16::try_from(told.statements.len()).unwrap_or(u16::MAX)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
