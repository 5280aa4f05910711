//! A node that asks its peers and is asked by them.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::answer::{self, Answerer};
use super::serve::surroundings;
use super::{Node, NodeError, newest_own, rng};
use crate::exchange::News;
use crate::exchange::query::Asker;
use crate::log::origin::LogName;

impl Node {
    /// Asks for this node. Needs no running server: the store is shared.
    pub fn asker(&self) -> Asker {
        Asker {
            around: surroundings(self, News::start(self.db.clone())),
            node: self.id.clone(),
            exchange: self.exchange.clone(),
            rng: Arc::new(Mutex::new(rng())),
        }
    }

    /// Answers for this node.
    pub async fn answerer(&self) -> Result<Answerer, NodeError> {
        let config = Arc::clone(&self.config);
        Ok(Answerer {
            db: self.db.clone(),
            records: newest_own(&self.db, &self.id, LogName::Records).await?.origin,
            exchange: self.exchange.clone(),
            registry: self.registry.clone(),
            kinds: self.kinds.clone(),
            clock: self.clock.clone(),
            may_read: Arc::new(move |aud, issuer, caller| config.may_read(aud, issuer, caller)),
            room: Arc::new(Semaphore::new(answer::AT_ONCE)),
            rng: Arc::new(Mutex::new(rng())),
        })
    }
}
