//! What a peer may be told: decided for each kind before anything is looked for, so that a refusal tells nothing about the
//! subject.

use std::collections::BTreeSet;

use crate::exchange::question::{Question, Withheld};
use crate::statement::kind::Sharing;
use crate::statement::{Digest, Kinds, NodeId};

/// What one question may be answered with.
pub struct Access {
    /// Kinds of records that may be told.
    pub kinds: BTreeSet<String>,
    /// Kinds that may not, and why.
    pub withheld: Vec<Withheld>,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    /// Digest of all policies together.
    pub policy_set: Digest,
}

/// The rule where no policy says otherwise, as a policy's text would be digested.
const DEFAULT: &str = "default: what is shared unconditionally";

/// Decides for each kind that is asked for, all where none is named.
pub fn access(kinds: &Kinds, _asker: &NodeId, question: &Question) -> Access {
    let mut access = Access {
        kinds: BTreeSet::new(),
        withheld: Vec::new(),
        policies: vec!["default".to_owned()],
        policy_set: Digest::of(DEFAULT.as_bytes()),
    };
    for kind in kinds.all().filter(|kind| kind.is_record) {
        let name = &kind.typ.kind;
        if !question.kinds.is_empty() && !question.kinds.contains(name) {
            continue;
        }
        let reason = match kind.sharing {
            _ if question.subject.is_person() && question.authorisation.is_none() => "authorisation",
            Sharing::Unconditional => {
                access.kinds.insert(name.clone());
                continue;
            }
            Sharing::Conditional => "conditional",
            Sharing::None => "not-shared",
        };
        access.withheld.push(Withheld { kind: name.clone(), reason: reason.to_owned() });
    }
    // versions of one kind may differ: what may be told of one is not withheld
    access.withheld.retain(|withheld| !access.kinds.contains(&withheld.kind));
    access.withheld.dedup();
    access
}
