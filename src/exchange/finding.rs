//! What came of asking peers, one word a peer: one that says nothing, or nothing that holds, is never clean.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::heard::{Answer, Invalid};
use super::question::{About, Coverage, Next, Outcome, SealedId, Withheld};
use crate::record::Purpose;
use crate::statement::{Digest, NodeId, Statement, Unverified};
use crate::trust::registry::Peer;

/// About whom something is asked.
#[derive(Clone, Debug)]
pub enum Whom {
    /// By what may be said in the clear.
    Known(About),
    /// A natural person, whose number is sealed for each who is asked.
    Person {
        /// The name, masked.
        name: String,
        /// The identity number.
        id: SealedId,
    },
}

/// What is asked, of whomever.
#[derive(Clone, Debug)]
pub struct Ask {
    /// About whom.
    pub subject: Whom,
    /// What for.
    pub purpose: Purpose,
    /// On which legal basis.
    pub basis: String,
    /// Which kinds of records; empty for all.
    pub kinds: Vec<String>,
    /// Digest of what the subject authorised this by.
    pub authorisation: Option<Digest>,
}

/// What came of asking one peer, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// It has records about the subject.
    Yes,
    /// It has none.
    None,
    /// What is asked does not tell it who the subject is.
    InsufficientIdentity,
    /// It does not answer this to this node.
    Denied,
    /// No answer came.
    Unavailable,
    /// What came does not verify.
    Invalid,
}

/// A statement that a peer named and sent, which was verified.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Its digest.
    pub digest: Digest,
    /// As it came.
    pub jws: String,
    /// What it says.
    pub statement: Statement,
    /// Whether it stands, proven, in the mirror of the peer's log here; else only its signature was verified.
    pub mirrored: bool,
    /// Of a record: what its issuer marked it by in the same answer, a dispute that is not settled, say.
    pub events: Vec<Stated>,
}

/// What one peer said.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The peer.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// In one word.
    pub came: Came,
    /// Why, in words.
    pub reason: Option<String>,
    /// Whether all pages came.
    pub complete: bool,
    /// The records that it named, each with what it is marked by.
    pub statements: Vec<Stated>,
    /// Digests of what it named and was erased since.
    pub erased: Vec<Digest>,
    /// What it says nothing about.
    pub withheld: Vec<Withheld>,
    /// Ids of the policies that decided there.
    pub policies: Vec<String>,
    /// Digest of all policies there.
    pub policy_set: Option<Digest>,
    /// What it looked through, as of its last page.
    pub coverage: Option<Coverage>,
    /// Queries that were logged and sent, one a page.
    pub queries: Vec<Digest>,
    /// Answers that came and hold.
    pub answers: Vec<Digest>,
    /// How long it took.
    pub took: Duration,
}

/// Why a page did not come.
pub(super) enum Failure {
    /// No answer.
    Unavailable(String),
    /// One that does not verify.
    Invalid(Invalid),
}

impl Came {
    /// The word that scripts read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::None => "none",
            Self::InsufficientIdentity => "insufficient-identity",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        }
    }

    /// The words that users say.
    pub fn title(self) -> &'static str {
        match self {
            Self::Yes => "有记录",
            Self::None => "无记录",
            Self::InsufficientIdentity => "身份信息不足",
            Self::Denied => "不予答复",
            Self::Unavailable => "未能答复",
            Self::Invalid => "答复未通过验证",
        }
    }
}

impl From<Outcome> for Came {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Yes => Self::Yes,
            Outcome::None => Self::None,
            Outcome::InsufficientIdentity => Self::InsufficientIdentity,
            Outcome::Denied => Self::Denied,
        }
    }
}

impl Stated {
    /// What was read and, one way or another, verified.
    pub(super) fn of(read: &Unverified, mirrored: bool) -> Self {
        Self {
            digest: read.digest(),
            jws: read.jws().to_owned(),
            statement: read.statement().clone(),
            mirrored,
            events: Vec::new(),
        }
    }

    /// Its issuer says that it is disputed, and that this is not settled: it is shown as that 异议标注.
    pub fn is_disputed(&self) -> bool {
        self.events.iter().any(|event| event.statement.typ.kind == "dispute")
    }
}

impl Finding {
    /// Nothing was heard yet.
    pub(super) fn of(peer: &Arc<Peer>) -> Self {
        Self {
            node: peer.node.clone(),
            name: peer.name.clone(),
            came: Came::Unavailable,
            reason: None,
            complete: false,
            statements: Vec::new(),
            erased: Vec::new(),
            withheld: Vec::new(),
            policies: Vec::new(),
            policy_set: None,
            coverage: None,
            queries: Vec::new(),
            answers: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// Another page that holds; where it goes on.
    pub(super) fn takes(&mut self, answer: Answer, statements: Vec<Stated>) -> Option<Next> {
        let Answer { answer, reply, events, .. } = answer;
        let is_first = self.answers.is_empty();
        self.answers.push(answer.digest());
        // a page behind the first that has nothing does not take back what the first had
        if is_first || reply.outcome != Outcome::None {
            self.came = reply.outcome.into();
            self.reason = reply.reason;
        }
        let had: Vec<Digest> = statements.iter().map(|stated| stated.digest).collect();
        self.erased.extend(reply.found.iter().filter(|digest| !had.contains(digest)));
        let mut records: HashMap<Digest, usize> = HashMap::new();
        for stated in statements {
            match events.get(&stated.digest).map(|about| records.get(about).copied()) {
                None => {
                    records.insert(stated.digest, self.statements.len());
                    self.statements.push(stated);
                }
                Some(Some(at)) => {
                    records.insert(stated.digest, at);
                    self.statements[at].events.push(stated);
                }
                // its record was erased since
                Some(None) => {}
            }
        }
        for withheld in reply.withheld {
            if !self.withheld.contains(&withheld) {
                self.withheld.push(withheld);
            }
        }
        self.policies = reply.policies;
        self.policy_set = Some(reply.policy_set);
        self.coverage = Some(reply.coverage);
        reply.next
    }

    /// It ends here. What came of earlier pages holds, but is not all: nothing of it says that the subject is clean.
    pub(super) fn fails(&mut self, failure: Failure) {
        let (came, reason) = match failure {
            Failure::Unavailable(reason) => (Came::Unavailable, reason),
            Failure::Invalid(invalid) => (Came::Invalid, invalid.to_string()),
        };
        self.reason = Some(match self.answers.len() {
            0 => reason,
            pages => format!("after {pages} pages: {reason}"),
        });
        self.came = came;
    }
}
