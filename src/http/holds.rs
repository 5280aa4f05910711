//! Which descriptor of this node its peers hold: each request of theirs says so in `kaopu-holds`. A key or an authority can
//! then be changed once everybody knows the new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::Caller;
use crate::exchange::client::HOLDS;
use crate::statement::NodeId;
use crate::store::Db;

/// What was noted last.
#[derive(Clone)]
pub struct Holdings {
    db: Db,
    noted: Arc<Mutex<HashMap<NodeId, u64>>>,
}

impl Holdings {
    /// Nothing yet.
    pub fn new(db: Db) -> Self {
        Self { db, noted: Arc::default() }
    }

    /// Whether that is more than was known.
    fn is_news(&self, node: &NodeId, sequence: u64) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        match noted.get_mut(node) {
            Some(known) if *known >= sequence => false,
            Some(known) => {
                *known = sequence;
                true
            }
            None => noted.insert(node.clone(), sequence).is_none(),
        }
    }
}

/// Notes what the caller says that it holds, when that grows.
pub async fn note(State(holdings): State<Holdings>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.0.clone());
    let sequence = request.headers().get(HOLDS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    if let (Some(node), Some(sequence)) = (caller, sequence)
        && holdings.is_news(&node, sequence.into())
    {
        let db = holdings.db.clone();
        tokio::spawn(async move {
            if let Err(error) = db.note_picked_up(&node, sequence.into()).await {
                tracing::warn!(%node, %error, "could not note which descriptor a peer holds");
            }
        });
    }
    next.run(request).await
}
