//! A node that asks its peers and is asked by them.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::answer::{self, Answerer, Look, Persons};
use super::serve::surroundings;
use super::{Node, NodeError, newest_own, rng};
use crate::exchange::News;
use crate::exchange::mirrored::Mirrors;
use crate::exchange::query::Asker;
use crate::import::PersonKey;
use crate::log::origin::LogName;
use crate::trust::keys::read_sealed;

impl Node {
    /// Asks for this node. Needs no running server: the store is shared.
    pub fn asker(&self) -> Asker {
        Asker {
            around: surroundings(self, News::start(self.db.clone())),
            node: self.id.clone(),
            mirrors: Mirrors::start(self.db.clone()),
            exchange: self.exchange.clone(),
            rng: Arc::new(Mutex::new(rng())),
        }
    }

    /// What tells natural persons. Without the secret under which they are known, none is told from another.
    fn persons(&self) -> Option<Persons> {
        let path = self.config.files.keys.join("person.key");
        let text = read_sealed(&path, &self.passphrases).map_err(|error| error.to_string());
        match text.and_then(|text| PersonKey::from_text(&text).map_err(|error| error.to_string())) {
            Ok(secret) => Some(Persons { keys: self.keys.clone(), secret: Arc::new(secret) }),
            Err(error) => {
                tracing::warn!(error, "queries about natural persons cannot be answered");
                None
            }
        }
    }

    /// Answers for this node.
    pub async fn answerer(&self) -> Result<Answerer, NodeError> {
        let config = Arc::clone(&self.config);
        let records = newest_own(&self.db, &self.id, LogName::Records).await?.origin;
        Ok(Answerer {
            db: self.db.clone(),
            look: Look::start(self.db.clone(), records.clone()),
            records,
            exchange: self.exchange.clone(),
            registry: self.registry.clone(),
            kinds: self.kinds.clone(),
            clock: self.clock.clone(),
            policies: self.policies.clone(),
            rules: self.settings.rules.clone(),
            may_read: Arc::new(move |aud, issuer, caller| config.may_read(aud, issuer, caller)),
            room: Arc::new(Semaphore::new(answer::AT_ONCE)),
            persons: self.persons(),
            rng: Arc::new(Mutex::new(rng())),
        })
    }
}
