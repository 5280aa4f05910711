//! What is handed to an appender, and what comes back.

use tokio::sync::oneshot;

use super::AppendError;
use crate::statement::Verified;
use crate::store::upload::UploadStep;

/// Statements that go in together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The statements, of the log's owner.
    pub statements: Vec<Verified>,
    /// What they mean for the uploads that they came from.
    pub uploads: Vec<UploadStep>,
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
    pub(super) submission: Submission,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Job {
    pub(super) fn answer(self, result: Result<Appended, AppendError>) {
        // whoever asked may have gone away; what was committed stays
        let _ = self.answer.send(result);
    }
}
