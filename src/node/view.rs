//! From where a node looks at records: what its kinds and rules say, whose recognitions count, and on which day.

use crate::clock::Clock;
use crate::log::event::{At, Life};
use crate::record::{Event, Facts, Place, Rules, Said, Standing};
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
        let facts = facts(record, at, current);
        Standing::of(&facts, &said(life), self.rules, self.node, self.clock.today())
    }
}

/// What of a version its standing depends on.
pub fn facts(record: &Statement, at: At, current: bool) -> Facts {
    Facts::of(&record.typ.kind, &record.iss, place(at), &record.body, current)
}

/// What was said about a record, as its standing depends on it.
pub fn said(life: &Life) -> Vec<Said> {
    let said = life.said.iter().filter_map(|said| {
        let statement = &said.statement;
        let event = Event::of(&statement.typ.kind, &statement.refs, &statement.body)?;
        Some(Said { digest: said.digest, by: statement.iss.clone(), place: place(said.at), event })
    });
    said.collect()
}

fn place((generation, index): At) -> Place {
    Place { generation: generation.into(), index }
}
