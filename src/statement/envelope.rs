//! The envelope of a statement: a compact JWS. Only this file makes a [`Verified`] statement.

use std::sync::Arc;

use super::json::NotIJson;
use super::{Digest, KeyRing, NodeId, SigningKey, Statement};

/// The largest statement, in bytes of its compact JWS.
pub const MAX_BYTES: usize = 64 * 1024;

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
    /// A member of the payload is missing, unknown or not of its form.
    #[error("payload member {0:?}")]
    Member(&'static str),
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
    /// `prev` is not the current version of the record.
    #[error("prev is not the current version of the record")]
    Prev,
    /// The kind is not one that this log may hold.
    #[error("a kind that this log does not hold")]
    WrongLog,
}

/// A statement that was read but whose signature nobody has checked.
pub struct Unverified {
    _fields: (),
}

/// A statement whose signature was verified under a key of its issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Verified {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    statement: Statement,
    digest: Digest,
    kid: String,
    jws: Box<str>,
}

/// Signs a statement. What the node signed itself needs no second look, so it comes back verified.
pub fn sign(_statement: Statement, _key: &SigningKey) -> Result<Verified, Refused> {
    todo!()
}

impl Unverified {
    /// Reads a compact JWS: size, base64url, header, payload; everything but the signature.
    pub fn parse(_jws: &str) -> Result<Self, Refused> {
        todo!()
    }
    /// What it claims to say.
    pub fn statement(&self) -> &Statement {
        todo!()
    }
    /// Under which key it claims to be signed.
    pub fn kid(&self) -> &str {
        todo!()
    }
    /// Its digest.
    pub fn digest(&self) -> Digest {
        todo!()
    }
    /// Verifies the signature under the issuer's key of this kid.
    pub fn verify(self, _keys: &KeyRing) -> Result<Verified, Refused> {
        todo!()
    }
}

/// Verifies many at once, each under its key ring: Ed25519 in batches of 256, and one by one where a batch fails, so that
/// the culprit is named. Results stand in the order of the input.
pub fn verify_all(_statements: Vec<(Unverified, &KeyRing)>) -> Vec<Result<Verified, Refused>> {
    todo!()
}

impl Verified {
    /// What it says.
    pub fn statement(&self) -> &Statement {
        &self.inner.statement
    }
    /// Who says it.
    pub fn issuer(&self) -> &NodeId {
        &self.inner.statement.iss
    }
    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }
    /// The key it was signed under.
    pub fn kid(&self) -> &str {
        &self.inner.kid
    }
    /// The bytes that were signed, stored and sent.
    pub fn jws(&self) -> &str {
        &self.inner.jws
    }
}
