//! What each row counts for in the monthly figures of data quality (双公示评估); `docs/QUALITY.md` has the formulae.
//!
//! A row is weighed when it is judged, and entered into the books when it is known what came of it. The books of a chunk are
//! added to the month's in the transaction that moves the upload's cursor: a row counts once, however often its upload is
//! begun again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::row::Measures;
use crate::record::{Calendar, Rules};
use crate::store::quality::{Tallied, Tally};

/// So many names of departments are remembered; a file that has more is told no slower, but takes more memory.
const NAMES: usize = 4096;

/// Within how many working days a decision is to be published.
#[derive(Clone, Debug)]
pub struct Punctuality {
    calendar: Arc<Calendar>,
    days: u32,
}

/// What a row counts for.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    department: Arc<str>,
    required: u32,
    given: u32,
    /// None: it says no day of decision.
    in_time: Option<bool>,
}

/// What came of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Refused,
    Unchanged,
    /// The first time, or as a new version.
    Published {
        first: bool,
    },
}

/// Weighs the rows of one upload.
pub(super) struct Scales {
    department: Option<Arc<str>>,
    /// Decided on this day, or later: in time.
    oldest: Date,
    names: HashSet<Arc<str>>,
}

/// Counts by department.
#[derive(Clone, Debug, Default)]
pub(super) struct Books(BTreeMap<Arc<str>, Tally>);

impl Punctuality {
    /// By a calendar and rules.
    pub fn new(calendar: Calendar, rules: &Rules) -> Self {
        Self { calendar: Arc::new(calendar), days: rules.deadlines.publish }
    }

    /// Weighs rows that come on `today`, of an upload for this department.
    pub(super) fn scales(&self, today: Date, department: Option<&str>) -> Scales {
        let oldest = self.calendar.oldest_in_time(today, self.days);
        Scales { department: department.map(Into::into), oldest, names: HashSet::new() }
    }
}

impl Scales {
    /// A row that was measured.
    pub fn weigh(&mut self, measures: Measures) -> Weight {
        let department = match &self.department {
            Some(department) => Arc::clone(department),
            None => self.name(&measures.source.unwrap_or_default()),
        };
        let in_time = measures.decided.map(|decided| decided >= self.oldest);
        Weight { department, required: measures.required, given: measures.given, in_time }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        let new: Arc<str> = name.into();
        self.names.insert(Arc::clone(&new));
        new
    }
}

impl Books {
    /// Enters a row.
    pub fn enter(&mut self, weight: &Weight, fate: Fate) {
        let published = matches!(fate, Fate::Published { .. });
        let submitted = fate != Fate::Unchanged;
        let first = if fate == (Fate::Published { first: true }) { weight.in_time } else { None };
        let of = |counts: bool, values: u32| if counts { u64::from(values) } else { 0 };
        let tally = Tally {
            submitted: u64::from(submitted),
            valid: u64::from(published),
            unchanged: u64::from(!submitted),
            required: of(submitted, weight.required),
            given: of(submitted, weight.given),
            first: u64::from(first.is_some()),
            in_time: u64::from(first == Some(true)),
        };
        match self.0.get_mut(&weight.department) {
            Some(entered) => *entered += tally,
            None => drop(self.0.insert(Arc::clone(&weight.department), tally)),
        }
    }

    /// As they are stored, in the order in which every process takes them.
    pub fn tallied(&self, month: &str, kind: &str) -> Vec<Tallied> {
        let tallied = |(department, tally): (&Arc<str>, &Tally)| Tallied {
            month: month.to_owned(),
            kind: kind.to_owned(),
            department: department.to_string(),
            tally: *tally,
        };
        self.0.iter().map(tallied).collect()
    }
}
