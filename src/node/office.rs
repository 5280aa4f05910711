//! What a node says about records goes through its office: its rules, its log, its clock.

use super::Node;
use crate::about::Office;

impl Node {
    /// Its office.
    pub fn office(&self) -> Office {
        Office {
            db: self.db.clone(),
            node: self.id.clone(),
            rules: self.settings.rules.clone(),
            records: self.records.clone(),
            clock: self.clock.clone(),
            operator: None,
        }
    }

    /// Its office with somebody in it: what is said there keeps their name.
    pub fn office_of(&self, operator: &str) -> Office {
        Office { operator: Some(operator.to_owned()), ..self.office() }
    }
}
