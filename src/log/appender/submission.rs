//! What is handed to an appender, and what comes back.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};

use super::AppendError;
use crate::log::Judged;
use crate::statement::Verified;
use crate::store::query::Exchanged;
use crate::store::upload::UploadStep;

/// Statements that go in together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The statements, of the log's owner.
    pub statements: Vec<Verified>,
    /// What they mean for the uploads that they came from.
    pub uploads: Vec<UploadStep>,
}

/// The same of statements that were judged before.
#[derive(Clone, Debug, Default)]
pub struct Prejudged {
    /// The statements, of the log's owner.
    pub statements: Vec<Judged>,
    /// What they mean for the uploads that they came from.
    pub uploads: Vec<UploadStep>,
}

/// What the exchange log says of questions between nodes, and what that means for them: together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The statements, of the log's owner.
    pub statements: Vec<Verified>,
    /// What is answered, or heard, with them.
    pub exchanged: Vec<Exchanged>,
}

/// Statements that somebody had the node say by themselves, and who that was: together or not at all.
#[derive(Clone, Debug)]
pub struct Said {
    /// The statements, of the log's owner.
    pub statements: Vec<Verified>,
    /// Who, where that is to be kept.
    pub by: Option<String>,
}

/// What was handed in.
#[derive(Debug)]
pub struct HandedIn {
    pub(super) statements: Vec<Entrant>,
    pub(super) uploads: Vec<UploadStep>,
    pub(super) exchanged: Vec<Exchanged>,
    pub(super) by: Option<String>,
}

/// A statement that wants to be an entry.
#[derive(Debug)]
pub(super) enum Entrant {
    Verified(Verified),
    Judged(Judged),
}

impl HandedIn {
    fn of(statements: impl Iterator<Item = Entrant>) -> Self {
        Self { statements: statements.collect(), uploads: Vec::new(), exchanged: Vec::new(), by: None }
    }
}

impl From<Submission> for HandedIn {
    fn from(submission: Submission) -> Self {
        let Submission { statements, uploads } = submission;
        Self { uploads, ..Self::of(statements.into_iter().map(Entrant::Verified)) }
    }
}

impl From<Prejudged> for HandedIn {
    fn from(prejudged: Prejudged) -> Self {
        let Prejudged { statements, uploads } = prejudged;
        Self { uploads, ..Self::of(statements.into_iter().map(Entrant::Judged)) }
    }
}

impl From<Exchange> for HandedIn {
    fn from(exchange: Exchange) -> Self {
        let Exchange { statements, exchanged } = exchange;
        Self { exchanged, ..Self::of(statements.into_iter().map(Entrant::Verified)) }
    }
}

impl From<Said> for HandedIn {
    fn from(said: Said) -> Self {
        let Said { statements, by } = said;
        Self { by, ..Self::of(statements.into_iter().map(Entrant::Verified)) }
    }
}

impl Entrant {
    pub(super) fn verified(&self) -> &Verified {
        match self {
            Self::Verified(verified) => verified,
            Self::Judged(judged) => judged.verified(),
        }
    }
}

/// Where a submission stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The index of its first statement.
    pub first: u64,
    /// The size of the log after the commit that held it.
    pub size: u64,
}

/// A submission under way.
pub(super) struct Job {
    pub(super) handed_in: HandedIn,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Job {
    pub(super) fn new(handed_in: HandedIn) -> (Self, oneshot::Receiver<Result<Appended, AppendError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { handed_in, answer }, answered)
    }

    /// Answers, and gives back what was handed in: to be dropped where that holds nobody up.
    pub(super) fn answer(self, result: Result<Appended, AppendError>) -> HandedIn {
        // whoever asked may have gone away; what was committed stays
        let _ = self.answer.send(result);
        self.handed_in
    }
}

/// The next job: those that came before there was room for them first.
pub(super) async fn next_of(late: &mut VecDeque<Job>, receiver: &mut mpsc::Receiver<Job>) -> Option<Job> {
    match late.pop_front() {
        Some(job) => Some(job),
        None => receiver.recv().await,
    }
}
