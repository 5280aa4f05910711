//! What can be wrong with a log in a folder.

use std::fmt;

use super::folder::FileError;
use crate::log::checkpoint::CheckpointError;
use crate::log::{Origin, TileId};
use crate::statement::Refused;

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry, where it is about one.
    pub index: Option<u64>,
    /// What.
    pub wrong: Wrong,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A file is missing, unreadable or not of its form.
    #[error(transparent)]
    File(#[from] FileError),
    /// The checkpoint is malformed, or not signed as it must be.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The key or fingerprint that the auditor brought is not this log's.
    #[error("{0}")]
    Untrusted(&'static str),
    /// A tile is not that of the entries.
    #[error("tile/{0} is not that of the entries")]
    Tile(TileId),
    /// The checkpoint's root is not that of the entries.
    #[error("the entries have another root than the checkpoint of {0}")]
    Root(Origin),
    /// The statement is one that must be refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A descriptor that does not follow the one before it.
    #[error("descriptor: {0}")]
    Descriptor(String),
    /// No descriptor below it says which keys are valid.
    #[error("no descriptor below it names the keys")]
    NoKeys,
    /// Signed under a key at an index from which on the owner says that it was compromised.
    #[error("void: signed under a key that was compromised by then")]
    Compromised,
    /// It replaces a version that is void for that, and stood as long as that did.
    #[error("void: it replaces what was signed under a compromised key")]
    OnVoid,
    /// The body of an open entry is withheld.
    #[error("withheld, though the entry is open to everybody")]
    Withheld,
    /// No erasure in the log is about it.
    #[error("erased, though no erasure in the log names it")]
    Erased,
}

impl Fault {
    /// About the whole log.
    pub fn of_log(wrong: impl Into<Wrong>) -> Self {
        Self { index: None, wrong: wrong.into() }
    }

    /// About one entry.
    pub fn at(index: u64, wrong: impl Into<Wrong>) -> Self {
        Self { index: Some(index), wrong: wrong.into() }
    }
}

impl Wrong {
    /// Whether the owner itself says so in the log: then the entry counts for nothing, and nothing is wrong with the log.
    pub fn is_declared(&self) -> bool {
        matches!(self, Self::Compromised | Self::OnVoid)
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(FileError::Missing(_)) => "missing",
            Self::File(FileError::Unreadable(..)) => "unreadable",
            Self::File(FileError::Format(..)) => "format",
            Self::Checkpoint(_) => "checkpoint",
            Self::Untrusted(_) => "untrusted",
            Self::Tile(_) => "tile",
            Self::Root(_) => "root",
            Self::Refused(refused) => match refused {
                Refused::Digest => "digest",
                Refused::Signature | Refused::HighS => "signature",
                Refused::UnknownKey | Refused::Algorithm | Refused::Issuer => "key",
                Refused::Schema(_) => "schema",
                Refused::Rule(_) => "rule",
                Refused::Backdated => "backdated",
                Refused::Class => "class",
                Refused::Prev => "prev",
                Refused::WrongLog => "kind",
                Refused::Event(why) => why.code(),
                _ => "statement",
            },
            Self::Descriptor(_) => "descriptor",
            Self::NoKeys => "no-keys",
            Self::Compromised => "compromised",
            Self::OnVoid => "on-void",
            Self::Withheld => "withheld",
            Self::Erased => "erased",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index}: {}", self.wrong),
            None => write!(f, "{}", self.wrong),
        }
    }
}
