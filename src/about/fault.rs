//! Why something was not said about a record.

use super::{MayNot, NotFound};
use crate::log::appender::AppendError;
use crate::record::Fault;
use crate::statement::{Digest, Refused};
use crate::store::StoreError;

/// Why something was not said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SayError {
    /// The record was not found by what it was named by.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// No statement of this digest is here.
    #[error("no statement of the digest {0} is here; `kaopu record CODE` shows digests 未找到该摘要对应的信息")]
    Unknown(Digest),
    /// Nothing that this could be about waits at the record.
    #[error(
        "the record has no {what} that waits for this; `kaopu record CODE` shows what was said about it 没有待处理的事项"
    )]
    NothingOpen {
        /// What it would be about.
        what: String,
    },
    /// More than one does.
    #[error("the record has {} of them: name one by its digest 有多项待处理，请指明摘要:{}", .0.len(), listed(.0))]
    SeveralOpen(Vec<Digest>),
    /// It may not be said.
    #[error(transparent)]
    MayNot(#[from] MayNot),
    /// What it says is not of its form.
    #[error("{}", .0.iter().map(told).collect::<Vec<_>>().join("\n"))]
    Body(Vec<Fault>),
    /// What it says is refused by its kind.
    #[error("{0}")]
    Refused(Refused),
    /// The log did not take it.
    #[error("the log did not take it: {0}")]
    Append(AppendError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AppendError> for SayError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused(_, Refused::Event(why)) => Self::MayNot(MayNot::Event(why)),
            AppendError::Refused(_, why) | AppendError::NotSignable(why) => Self::Refused(why),
            AppendError::Held(_, why) => Self::MayNot(MayNot::Early(why)),
            AppendError::Store(error) => Self::Store(error),
            other => Self::Append(other),
        }
    }
}

fn told(fault: &Fault) -> String {
    format!("{}: {} ({})", fault.member, fault.message, fault.code)
}

fn listed(digests: &[Digest]) -> String {
    digests.iter().map(|digest| format!("\n  {digest}")).collect()
}
