//! Checkpoints of C2SP `tlog-checkpoint`: origin, size, root; three lines and no extension.

use super::note::{NoteError, VerifierKey};
use super::{Hash, Origin};
use crate::statement::SigningKey;

/// What a log says about itself at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why a checkpoint is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not three lines of origin, size, root.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// Of another log.
    #[error("a checkpoint of another log")]
    Origin,
}

impl Checkpoint {
    /// The three lines.
    pub fn text(&self) -> String {
        todo!()
    }
    /// From the three lines.
    pub fn parse(_text: &str) -> Result<Self, CheckpointError> {
        todo!()
    }
    /// The signed note.
    pub fn sign(&self, _key: &SigningKey) -> Result<String, CheckpointError> {
        todo!()
    }
    /// Opens a signed checkpoint of `origin`.
    pub fn open(_note: &str, _origin: &Origin, _keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        todo!()
    }
}
