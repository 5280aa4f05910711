//! Records by identity, subjects by key and by name.

use std::collections::HashMap;

use super::statement::StatementRow;
use super::{Db, StoreError};
use crate::statement::{Digest, NodeId};

/// The current version of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its digest.
    pub digest: Digest,
    /// SHA-256 over what it says.
    pub content: [u8; 32],
}

/// A subject as it is found by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// Its key.
    pub key: String,
    /// A name under which a statement named it.
    pub name: String,
}

impl Db {
    /// The current versions of these identities under one issuer and kind.
    pub async fn current(
        &self,
        _issuer: &NodeId,
        _kind: &str,
        _identities: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Current>, StoreError> {
        todo!()
    }
    /// All accepted statements about a subject, by log and index, each with whether it is the current version of its record.
    pub async fn about(&self, _subject: &str, _limit: u32) -> Result<Vec<(StatementRow, bool)>, StoreError> {
        todo!()
    }
    /// Subjects whose folded name begins with the folded text, else contains it; at most `limit`.
    pub async fn subjects_named(&self, _text: &str, _limit: u32) -> Result<Vec<SubjectRow>, StoreError> {
        todo!()
    }
}
