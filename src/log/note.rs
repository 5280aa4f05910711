//! Signed notes of C2SP `signed-note`: verifier keys, signing, opening.

/// A key that verifies notes: name, key id, Ed25519 key. Text form `<name>+<hash>+<base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name: a log's origin.
    pub name: String,
    /// The raw Ed25519 key.
    pub key: [u8; 32],
}

/// Why a note is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note, or over 64 KiB or 128 signatures.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A known key's signature does not verify.
    #[error("the signature of {0} does not verify")]
    BadSignature(String),
    /// None of the known keys signed.
    #[error("signed by none of the known keys")]
    Unsigned,
}

impl VerifierKey {
    /// The key id: SHA-256(name ‖ 0A ‖ 01 ‖ key)[:4].
    pub fn id(&self) -> u32 {
        todo!()
    }
    /// `<name>+<8 hex digits>+<base64 of 01 ‖ key>`.
    pub fn to_text(&self) -> String {
        todo!()
    }
    /// From that text.
    pub fn parse(_text: &str) -> Result<Self, NoteError> {
        todo!()
    }
}

/// Signs a note text (ending in a newline) with an Ed25519 key under a name, and returns the whole note.
pub fn sign(_text: &str, _name: &str, _key: &crate::statement::SigningKey) -> Result<String, NoteError> {
    todo!()
}

/// Opens a note: its text, if at least one known key signed it and no known key's signature fails.
pub fn open<'a>(_note: &'a str, _keys: &[VerifierKey]) -> Result<&'a str, NoteError> {
    todo!()
}
