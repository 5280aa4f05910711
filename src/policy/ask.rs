//! May a node be answered about records of a kind?

use cedar_policy::RestrictedExpression as Value;

use super::cedar::{Case, Policies, Question, Verdict};
use super::words::NotMade;
use crate::record::Purpose;
use crate::statement::{Digest, NodeId};

/// A question of a peer.
#[derive(Clone, Debug)]
pub struct AskCase<'a> {
    /// Who asks.
    pub asker: &'a NodeId,
    /// Whether it is an active peer.
    pub active: bool,
    /// What for.
    pub purpose: Purpose,
    /// Whether a legal basis was given.
    pub basis: bool,
    /// Whether the subject is a natural person.
    pub person: bool,
    /// Whether the digest of the subject's authorisation was given.
    pub authorised: bool,
    /// The kinds of records that are asked for.
    pub kinds: &'a [&'a str],
}

/// What of a question may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Kinds that may be told, in the order asked for.
    pub allowed: Vec<String>,
    /// Kinds that may not, and why.
    pub denied: Vec<Denied>,
    /// Ids of the policies that decided on any of them, each once, in their order.
    pub policies: Vec<String>,
    /// The digest of the whole set.
    pub policy_set: Digest,
}

/// A kind that may not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The kind.
    pub kind: String,
    /// Ids of the policies that forbid it; none where none permits it.
    pub policies: Vec<String>,
    /// Why, in words for whom it concerns.
    pub reason: String,
}

/// All that the verdict on one kind depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    asker: NodeId,
    kind: String,
    purpose: Purpose,
    /// active, basis, person, authorised.
    flags: [bool; 4],
}

/// So many policies an answer names at most, as its schema has it.
const MOST_NAMED: usize = 256;
/// The reason for a kind that this node does not know.
const UNKNOWN_KIND: &str = "本节点没有该类信息";

impl Policies {
    /// What of a question may be answered, kind by kind. It does not depend on what is known about the subject, so a denial
    /// tells nothing about it.
    pub fn may_ask(&self, case: &AskCase<'_>) -> Access {
        let mut access =
            Access { allowed: Vec::new(), denied: Vec::new(), policies: Vec::new(), policy_set: self.digest() };
        for kind in case.kinds {
            let denied = |policies: &[String], reason: &str| Denied {
                kind: (*kind).to_owned(),
                policies: policies.to_vec(),
                reason: reason.to_owned(),
            };
            // not remembered: the names of kinds that are none have no end
            if !self.known.kinds.contains_key(*kind) {
                access.denied.push(denied(&[], UNKNOWN_KIND));
                continue;
            }
            let asked = Asked {
                asker: case.asker.clone(),
                kind: (*kind).to_owned(),
                purpose: case.purpose,
                flags: [case.active, case.basis, case.person, case.authorised],
            };
            let verdict = self.remembered(Case::Ask(asked), |case| self.work_out(case));
            access.policies.extend_from_slice(&verdict.policies);
            match &verdict.reason {
                None => access.allowed.push((*kind).to_owned()),
                Some(reason) => access.denied.push(denied(&verdict.policies, reason)),
            }
        }
        access.policies.sort();
        access.policies.dedup();
        access.policies.truncate(MOST_NAMED);
        access
    }

    pub(super) fn judge_ask(&self, asked: &Asked) -> Verdict {
        let [active, basis, person, authorised] = asked.flags.map(Value::new_bool);
        let question = || {
            Ok::<_, NotMade>(Question {
                principal: self.words.uid("Node", asked.asker.as_str()),
                action: "ask",
                resource: self.words.uid("Kind", &asked.kind),
                entities: vec![self.words.node(&asked.asker, &self.known)?, self.words.kind(&asked.kind, &self.known)?],
                context: vec![
                    ("active", active),
                    ("purpose", self.words.reference("Purpose", asked.purpose.as_str())),
                    ("basis", basis),
                    ("person", person),
                    ("authorised", authorised),
                ],
            })
        };
        self.judge(question())
    }
}
