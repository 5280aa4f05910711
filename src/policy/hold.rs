//! May a node hold the body of an addressed statement? Asked only of those whom its audience names: policies narrow it.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::RestrictedExpression as Value;

use super::cedar::{Case, Policies, Question, Verdict};
use super::words::{NotMade, Words};
use crate::statement::NodeId;

/// A body that a node wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HoldCase {
    /// Who wants it.
    pub holder: NodeId,
    /// Whether that is an active peer.
    pub active: bool,
    /// Who said it.
    pub issuer: NodeId,
    /// The kind of the statement.
    pub kind: String,
    /// Whether it is about a natural person.
    pub person: bool,
}

impl Policies {
    /// Whether the body may be held. Its issuer's right to it is not asked of policies.
    pub fn may_hold(&self, case: HoldCase) -> Arc<Verdict> {
        self.remembered(Case::Hold(case), |case| self.work_out(case))
    }

    pub(super) fn work_out(&self, case: &Case) -> Verdict {
        match case {
            Case::Ask(asked) => self.judge_ask(asked),
            Case::Hold(case) => self.judge_hold(case),
        }
    }

    fn judge_hold(&self, case: &HoldCase) -> Verdict {
        let question = || {
            let resource = self.words.uid("Statement", &case.kind);
            let attributes = [
                ("issuer", self.words.reference("Node", case.issuer.as_str())),
                ("kind", self.words.reference("Kind", &case.kind)),
                ("person", Value::new_bool(case.person)),
            ];
            let mut entities = vec![
                self.words.node(&case.holder, &self.known)?,
                self.words.kind(&case.kind, &self.known)?,
                Words::entity(resource.clone(), attributes, HashSet::new())?,
            ];
            if case.issuer != case.holder {
                entities.push(self.words.node(&case.issuer, &self.known)?);
            }
            Ok::<_, NotMade>(Question {
                principal: self.words.uid("Node", case.holder.as_str()),
                action: "hold",
                resource,
                entities,
                context: vec![("active", Value::new_bool(case.active))],
            })
        };
        self.judge(question())
    }
}
