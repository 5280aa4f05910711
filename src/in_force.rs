//! What a running node goes by and somebody may change: one at a time, exchanged as a whole.

use std::sync::{Arc, PoisonError, RwLock};

/// What is in force. Clones share it.
#[derive(Debug)]
pub struct InForce<T>(Arc<RwLock<Arc<T>>>);

impl<T> InForce<T> {
    /// Puts the first in force.
    pub fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    /// What is in force now. Whoever decides takes it once, so that one decision is made by one.
    pub fn now(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in force.
    pub fn take(&self, other: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(other);
    }
}

impl<T> Clone for InForce<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_before_stays_as_it_was() {
        let in_force = InForce::new("old");
        let (before, shared) = (in_force.now(), in_force.clone());
        in_force.take("new");
        assert_eq!((*before, *shared.now()), ("old", "new"));
    }
}
