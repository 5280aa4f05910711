//! May a department or a system of this node follow a subject? Asked when a watch is added.

use std::collections::HashSet;

use cedar_policy::RestrictedExpression as Value;

use super::cedar::{Policies, Question, Verdict};
use super::words::{NotMade, Words};
use crate::record::Purpose;

/// Subjects that somebody wants to follow: policies see no more of them than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowCase<'a> {
    /// On whose behalf: a department or a system.
    pub follower: &'a str,
    /// What for.
    pub purpose: Purpose,
    /// Whether the subject is a natural person.
    pub person: bool,
    /// Whether the digest of the subject's authorisation was given.
    pub authorised: bool,
}

impl Policies {
    /// Whether such subjects may be followed.
    pub fn may_follow(&self, case: &FollowCase<'_>) -> Verdict {
        let question = || {
            let (follower, subject) = (self.words.uid("Follower", case.follower), self.words.uid("Subject", "this"));
            let person = [("person", Value::new_bool(case.person))];
            Ok::<_, NotMade>(Question {
                principal: follower.clone(),
                action: "follow",
                resource: subject.clone(),
                entities: vec![
                    Words::entity(follower, [], HashSet::new())?,
                    Words::entity(subject, person, HashSet::new())?,
                ],
                context: vec![
                    ("purpose", self.words.reference("Purpose", case.purpose.as_str())),
                    ("authorised", Value::new_bool(case.authorised)),
                ],
            })
        };
        self.judge(question())
    }
}
