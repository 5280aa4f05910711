//! Why a query is not answered.

use crate::log::appender::AppendError;
use crate::statement::{NodeId, Refused, Typ};
use crate::store::StoreError;

/// Why a query is not answered. That a peer may not ask something is no such reason, but an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnswered {
    /// It is no statement.
    #[error("not a statement: {0}")]
    Unreadable(Refused),
    /// It is another's.
    #[error("issued by {0}, sent by {1}: each node asks for itself")]
    Issuer(NodeId, NodeId),
    /// It is not signed under a key of the newest descriptor held here.
    #[error("{0}, by the newest descriptor of the asking node that is held here")]
    Signature(Refused),
    /// It is a statement of another kind or version.
    #[error("{0} is no query of a version that is known here")]
    NotAQuery(Typ),
    /// It is for somebody else, or not for this node alone.
    #[error("a query has exactly one node in its audience, the one that is asked: {0}")]
    Audience(NodeId),
    /// It does not say what for.
    #[error("a query says what for: one of the ten purposes is expected in `purpose`")]
    Purpose,
    /// It asks for a kind of records that is not known.
    #[error("no kind of records {0:?} is known here")]
    Kind(String),
    /// Its body is not what a query's is.
    #[error("{0}")]
    Body(Refused),
    /// Its time is over.
    #[error("expired {0} s ago")]
    Expired(i64),
    /// It is issued ahead of the clock, or would be good for too long.
    #[error("issued more than 300 s ahead of the clock here, or good for more than an hour")]
    Ahead,
    /// Its nonce was used for another query.
    #[error("its nonce was used for another query before")]
    Replayed,
    /// As many queries as there is room for are being answered.
    #[error("as many queries as there is room for are being answered")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is said could not be logged, so it is not said.
    #[error("the exchange log: {0}")]
    Log(#[from] AppendError),
}

impl NotAnswered {
    /// A short name that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "query-unreadable",
            Self::Issuer(..) => "query-issuer",
            Self::Signature(_) => "query-signature",
            Self::NotAQuery(_) => "query-typ",
            Self::Audience(_) => "query-audience",
            Self::Purpose => "query-purpose",
            Self::Kind(_) => "query-kind",
            Self::Body(_) => "query-body",
            Self::Expired(_) => "query-expired",
            Self::Ahead => "query-ahead",
            Self::Replayed => "query-replayed",
            Self::Busy => "busy",
            Self::Store(_) | Self::Log(_) => "internal",
        }
    }
}
