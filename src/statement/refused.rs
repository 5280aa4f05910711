//! Why a statement is refused: only what no later knowledge can mend.

use super::json::NotIJson;

/// Why a statement is refused for good: no later knowledge can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Longer than 64 KiB.
    #[error("longer than 64 KiB")]
    TooLong,
    /// Not three parts of base64url.
    #[error("not a compact JWS")]
    NotCompact,
    /// Base64url that has another, canonical form, or is none.
    #[error("base64url that is not canonical")]
    Base64,
    /// The protected header has not exactly `alg`, `kid` and `typ`.
    #[error("a header with other members than alg, kid and typ")]
    Header,
    /// `typ` is not `kaopu.<kind>.<version>+jws`.
    #[error("a typ that is not a statement's")]
    Typ,
    /// The payload is not JSON as statements have it.
    #[error("payload: {0}")]
    Json(#[from] NotIJson),
    /// A member of the payload is missing or not of its form.
    #[error("payload member {0:?} is missing or not of its form")]
    Member(&'static str),
    /// The payload has a member that statements do not have.
    #[error("payload member {0:?} is none of a statement's")]
    UnknownMember(String),
    /// Not said by the owner of the log or the key.
    #[error("issued by another than the keys' owner")]
    Issuer,
    /// No key of the issuer has this kid here.
    #[error("signed under a key that is not valid here")]
    UnknownKey,
    /// `alg` is not the enrolled key's.
    #[error("an algorithm other than the enrolled key's")]
    Algorithm,
    /// An ES256 signature with the higher s.
    #[error("an ES256 signature whose s is not the lower one")]
    HighS,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The body is not valid against its schema.
    #[error("the schema refuses the body: {0}")]
    Schema(String),
    /// A rule across members is broken.
    #[error("a rule of the kind is broken: {0}")]
    Rule(String),
    /// The entry says one digest, the body has another.
    #[error("the body is not the one that its entry names")]
    Digest,
    /// The entry's class does not agree with `aud`.
    #[error("the entry's class disagrees with the audience")]
    Class,
    /// `iat` is more than 300 s below an earlier one of its log.
    #[error("iat more than 300 s below an earlier one of its log")]
    Backdated,
    /// Signed by a key that its owner has declared compromised, at an index from which on that is void.
    #[error("signed by a key that was compromised by then")]
    Compromised,
    /// `prev` is not the current version of the record.
    #[error("prev is not the current version of the record")]
    Prev,
    /// The kind is not one that this log may hold.
    #[error("a kind that this log does not hold")]
    WrongLog,
}

impl Refused {
    /// A short name that never changes: for the store, problems and test vectors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::NotCompact => "not-compact",
            Self::Base64 => "base64",
            Self::Header => "header",
            Self::Typ => "typ",
            Self::Json(NotIJson::Syntax(_)) => "json",
            Self::Json(NotIJson::DuplicateMember(_)) => "duplicate-member",
            Self::Json(NotIJson::Float) => "float",
            Self::Json(NotIJson::ControlCharacter) => "control-character",
            Self::Json(NotIJson::Noncharacter) => "noncharacter",
            Self::Json(NotIJson::TooDeep) => "too-deep",
            Self::Member(_) => "member",
            Self::UnknownMember(_) => "unknown-member",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown-key",
            Self::Algorithm => "algorithm",
            Self::HighS => "high-s",
            Self::Signature => "signature",
            Self::Schema(_) => "schema",
            Self::Rule(_) => "rule",
            Self::Class => "class",
            Self::Digest => "digest",
            Self::Backdated => "backdated",
            Self::Prev => "prev",
            Self::Compromised => "compromised",
            Self::WrongLog => "wrong-log",
        }
    }
}
