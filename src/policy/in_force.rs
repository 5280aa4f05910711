//! The policies that a running node goes by: one set at a time, exchanged as a whole.

use std::sync::{Arc, PoisonError, RwLock};

use super::cedar::Policies;

/// The set in force. Clones share it.
#[derive(Clone, Debug)]
pub struct InForce(Arc<RwLock<Arc<Policies>>>);

impl InForce {
    /// Puts the first set in force.
    pub fn new(policies: Policies) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policies))))
    }

    /// The set that is in force now. Whoever decides takes it once, so that one decision is made by one set.
    pub fn now(&self) -> Arc<Policies> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another set in force; true if it says something else.
    pub fn take(&self, policies: Policies) -> bool {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let other = now.digest() != policies.digest();
        *now = Arc::new(policies);
        other
    }
}
