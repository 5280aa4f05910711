//! What peers asked and how it was answered, counted for the node's figures.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::node::metrics;

/// Counts the answer.
pub async fn counted(request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    metrics::answered(answer.status().as_u16());
    answer
}
