//! I-JSON without floats and control characters: what a payload may be.

use serde_json::{Map, Value};

/// Why a text is not JSON as statements have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIJson {
    /// Not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A member stands twice in one object.
    #[error("member {0:?} stands twice")]
    DuplicateMember(String),
    /// A number with fraction or exponent, or beyond ±(2^53 − 1).
    #[error("a number that is not an integer within ±(2^53 − 1)")]
    Float,
    /// A string holds a control character.
    #[error("a control character in a string")]
    ControlCharacter,
}

/// Parses one JSON object strictly.
pub fn parse_object(_bytes: &[u8]) -> Result<Map<String, Value>, NotIJson> {
    todo!()
}
