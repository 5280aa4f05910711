//! What a peer may be told: decided by policy for each kind before anything is looked for, so that a refusal tells nothing
//! about the subject.

use crate::exchange::question::Question;
use crate::policy::{Access, AskCase, Policies};
use crate::statement::{Kinds, NodeId};

/// Decides for each kind of records that is asked for, all where none is named. The asker is an active peer: nobody else
/// comes here.
pub fn access(kinds: &Kinds, policies: &Policies, asker: &NodeId, question: &Question) -> Access {
    let records = kinds.all().filter(|kind| kind.is_record).map(|kind| kind.typ.kind.as_str());
    let mut asked: Vec<&str> =
        records.filter(|name| question.kinds.is_empty() || question.kinds.iter().any(|kind| kind == name)).collect();
    // the versions of a kind stand side by side
    asked.dedup();
    policies.may_ask(&AskCase {
        asker,
        active: true,
        purpose: question.purpose,
        basis: !question.basis.trim().is_empty(),
        person: question.subject.is_person(),
        authorised: question.authorisation.is_some(),
        kinds: &asked,
    })
}
