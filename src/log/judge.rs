//! Judging a verified statement at its place in a log: accepted, held or refused.
//!
//! Refused is only what no later knowledge can mend. What is merely early is held and judged again. The rules look at
//! the log and the statement alone, so that every node comes to the same end about a refusal.

use super::Class;
use super::origin::LogName;
use crate::clock::date_of;
use crate::statement::{Audience, Kind, Kinds, NodeId, Refused, Statement, Verified};
use crate::store::append::{Projection, RecordKey};

/// How far `iat` may lie below an earlier one of its log, and above the clock, in seconds.
pub const TOLERANCE: i64 = 300;

/// What is known of the log when an entry is judged.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose log it is.
    pub owner: &'a NodeId,
    /// Which of its logs.
    pub log: LogName,
    /// The highest `iat` before this entry.
    pub max_iat: i64,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// What comes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, and this is what the tables make of it.
    Accepted(Projection),
    /// It is early, for the reason given; to be judged again.
    Held(String),
    /// It is refused for good.
    Refused(Refused),
}

/// Judges a verified statement at its place: issuer, class, `iat`, kind, schema and rules.
///
/// Whether `prev` is current is for the store's transaction to say.
pub fn judge(kinds: &Kinds, place: &Place<'_>, class: Class, verified: &Verified) -> Verdict {
    let statement = verified.statement();
    if let Err(refused) = fits(place, class, statement) {
        return Verdict::Refused(refused);
    }
    if statement.iat > place.now.saturating_add(TOLERANCE) {
        return Verdict::Held(format!("issued {} s ahead of the clock", statement.iat - place.now));
    }
    let Some(kind) = kinds.find(&statement.typ) else {
        return Verdict::Held(format!(
            "kind {} version {} is not known here",
            statement.typ.kind, statement.typ.version
        ));
    };
    if place.log == LogName::Exchange && kind.is_record {
        return Verdict::Refused(Refused::WrongLog);
    }
    // the day of its iat, not of today: every node must come to the same end
    match kind.validate(statement, date_of(statement.iat)) {
        Ok(()) => Verdict::Accepted(project(kind, statement)),
        Err(refused) => Verdict::Refused(refused),
    }
}

/// What can be judged without knowing the kind.
fn fits(place: &Place<'_>, class: Class, statement: &Statement) -> Result<(), Refused> {
    if statement.iss != *place.owner {
        return Err(Refused::Issuer);
    }
    if class != class_of(&statement.aud) {
        return Err(Refused::Class);
    }
    if statement.iat < place.max_iat.saturating_sub(TOLERANCE) {
        return Err(Refused::Backdated);
    }
    match log_of(&statement.typ.kind) {
        Some(log) if log != place.log => Err(Refused::WrongLog),
        _ => Ok(()),
    }
}

/// The class of an entry for this audience.
pub fn class_of(audience: &Audience) -> Class {
    match audience {
        Audience::Everyone => Class::Open,
        Audience::Named(_) => Class::Addressed,
    }
}

/// The one log that a kind belongs to; None for a descriptor, which is in both, and for a kind that the protocol does not
/// name: such a one may become a record kind here later.
fn log_of(kind: &str) -> Option<LogName> {
    match kind {
        "query" | "answer" | "receipt" | "change" => Some(LogName::Exchange),
        "withdrawal" | "dispute" | "dispute-answer" | "repair" | "repair-revocation" | "application"
        | "recognition" | "erasure" | "release" | "fork" => Some(LogName::Records),
        _ => None,
    }
}

/// What an accepted statement projects into the tables.
fn project(kind: &Kind, statement: &Statement) -> Projection {
    Projection {
        subject: statement.sub.as_ref().map(|sub| (sub.key(), sub.name().to_owned())),
        record: kind.identity_of(statement).map(|identity| RecordKey { identity, content: kind.content_of(statement) }),
        prev: statement.prev,
        refs: statement.refs.clone(),
    }
}
