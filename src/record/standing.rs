//! How a record stands: a pure function of what was said about it, the rules, who asks, and a day.
//!
//! `docs/RULES.md` gives the order of precedence and says why. Order of arrival, repetition and late arrival change nothing:
//! statements are told apart by digest and ordered by their place in their issuer's log.

mod course;

use jiff::civil::Date;
use serde::Serialize;

use self::course::Life;
pub use self::course::{NotRepairable, repair_allowed};
use super::event::DisputeOutcome;
use super::rules::Rules;
use super::terms::Terms;
use super::{Facts, Reason, Said, Status};
use crate::statement::{Digest, NodeId};

/// How a record stands on a day, seen from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its status.
    pub status: Status,
    /// May be shown to the public (公示), as far as its kind is for everybody.
    pub public: bool,
    /// May be shared with other nodes (共享).
    pub shared: bool,
    /// May be used in decisions (使用).
    pub used: bool,
    /// Why.
    pub reason: Reason,
    /// The first day of this status, as far as dates say.
    pub since: Option<Date>,
    /// The last day of it, if nothing more is said.
    pub until: Option<Date>,
    /// What the rules make of it; None: it has no severity.
    pub terms: Option<Terms>,
    /// It is disputed: shown in bold italic.
    pub dispute: Option<DisputeMark>,
    /// It is under repair: shown struck through.
    pub under_repair: Option<RepairMark>,
}

/// A dispute that is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisputeMark {
    /// The dispute.
    pub dispute: Digest,
    /// When it was raised.
    pub raised: Date,
    /// The answer, where it was that the record is wrong.
    pub answered: Option<(DisputeOutcome, Date)>,
}

/// A repair that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum RepairMark {
    /// An application was filed or accepted by the record's issuer.
    Applied {
        /// The application as it was filed.
        application: Digest,
    },
    /// It was decided, and takes effect later.
    Coming {
        /// The repair.
        repair: Digest,
        /// From which day on.
        effective: Date,
    },
    /// It was decided, and this node has not decided on it, or its decision takes effect later.
    Unrecognised {
        /// The repair.
        repair: Digest,
    },
}

impl Standing {
    /// How a record stands on `day` for `viewpoint`: at its issuer a repair takes effect by itself, anywhere else by that
    /// node's own recognition. What others than the record's issuer and the viewpoint say changes nothing.
    pub fn of(facts: &Facts, said: &[Said], rules: &Rules, viewpoint: &NodeId, day: Date) -> Self {
        let life = Life::of(facts, said, rules, viewpoint);
        let (status, reason) = life.on(day);
        let (since, until) = life.span(day, status);
        Self {
            status,
            public: status.is_public(),
            shared: status.is_shared(),
            used: status.is_used(),
            reason,
            since,
            until,
            terms: life.terms(day),
            dispute: life.dispute(day),
            under_repair: life.under_repair(day),
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
