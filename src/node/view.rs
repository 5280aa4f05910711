//! From where a node looks at records: what its kinds and rules say, whose recognitions count, and on which day.

use crate::clock::Clock;
use crate::log::event::{At, Life, facts};
use crate::record::{Rules, Standing};
use crate::statement::{Kinds, NodeId, Statement};

/// From where a node looks.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The node whose recognitions count here.
    pub node: &'a NodeId,
    /// The kinds that it knows.
    pub kinds: &'a Kinds,
    /// Its rules of severity, publicity and deadlines.
    pub rules: &'a Rules,
    /// The present.
    pub clock: &'a Clock,
}

impl View<'_> {
    /// How a version of a record stands today, after all that was said about the record. `at` is the version's place in its
    /// issuer's log, `current` whether no later one stands in its place.
    pub fn standing(&self, record: &Statement, at: At, current: bool, life: &Life) -> Standing {
        Standing::of(&facts(record, at, current), &life.told(), self.rules, self.node, self.clock.today())
    }
}
