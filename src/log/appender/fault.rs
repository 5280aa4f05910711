//! Why a submission was not appended.

use crate::statement::{Refused, SignError};
use crate::store::StoreError;
use crate::trust::keys::NoKey;

/// Why a submission was not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The `prev` of these (positions in the submission) is not the current version: judge and sign them anew.
    #[error("{} statements replace what is no longer current", .0.len())]
    Superseded(Vec<usize>),
    /// An upload of the submission has moved on: another process takes its rows.
    #[error("another process goes on with the same upload")]
    Overtaken,
    /// A query of the submission is answered already: another process was first, or its nonce was used before.
    #[error("the query's nonce is answered already")]
    Repeated,
    /// The statement at this position may not stand in this log.
    #[error("statement {0} is refused: {1}")]
    Refused(usize, Refused),
    /// The statement at this position is early: an own log takes none such.
    #[error("statement {0} is early: {1}")]
    Held(usize, String),
    /// No private half of a key that the log's last descriptor names would sign, and why. Trying again later may help.
    #[error("nothing could be signed: {0}")]
    Unsigned(String),
    /// The statement is none that could be signed.
    #[error("the statement is refused: {0}")]
    NotSignable(Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The appender has stopped, and why.
    #[error("this log takes no more statements: {0}")]
    Stopped(String),
}

impl From<NoKey> for AppendError {
    fn from(error: NoKey) -> Self {
        Self::Unsigned(error.to_string())
    }
}

impl From<SignError> for AppendError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Refused(why) => Self::NotSignable(why),
            SignError::Failed(why) => Self::Unsigned(why.to_string()),
        }
    }
}
