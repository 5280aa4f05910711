//! What a node says about records goes through its office: its rules, its log, its clock.

use std::sync::Arc;

use super::Node;
use crate::about::Office;
use crate::config::ConfigError;

impl Node {
    /// Its office, by the rules as they stand in the files now.
    pub fn office(&self) -> Result<Office, ConfigError> {
        Ok(Office {
            db: self.db.clone(),
            node: self.id.clone(),
            rules: Arc::new(self.config.rules()?),
            records: self.records.clone(),
            clock: self.clock.clone(),
        })
    }
}
