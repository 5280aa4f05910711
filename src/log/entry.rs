//! An entry of a log: 34 bytes, version `01`, class, digest of the statement.

use super::merkle::{self, Hash};
use crate::statement::Digest;

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 34;

/// Whether the body is for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `00`: `aud` is `["*"]`.
    Open,
    /// `01`: for those that `aud` names.
    Addressed,
}

/// What a log commits to for one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// For everybody, or addressed.
    pub class: Class,
    /// The statement's digest.
    pub digest: Digest,
}

/// The bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry: 34 bytes of version 01, class 00 or 01, digest are expected")]
pub struct NotAnEntry;

impl Entry {
    /// The 34 bytes.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        out[0] = 1;
        out[1] = match self.class {
            Class::Open => 0,
            Class::Addressed => 1,
        };
        out[2..].copy_from_slice(self.digest.as_bytes());
        out
    }

    /// From the 34 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAnEntry> {
        let &[1, class, ref digest @ ..] = bytes else { return Err(NotAnEntry) };
        let class = match class {
            0 => Class::Open,
            1 => Class::Addressed,
            _ => return Err(NotAnEntry),
        };
        Ok(Self { class, digest: Digest(digest.try_into().map_err(|_| NotAnEntry)?) })
    }

    /// SHA-256(00 ‖ entry), RFC 6962 section 2.1.
    pub fn leaf_hash(&self) -> Hash {
        merkle::leaf_hash(&self.encode())
    }
}
