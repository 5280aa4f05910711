//! The envelope of a statement: a compact JWS. Only this file makes a [`Verified`] statement.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::json;
pub use super::refused::Refused;
use super::suite::batch::{self, BATCH, Signed};
use super::suite::{BadSignature, SIGNATURE_BYTES, SigningFailed};
use super::{Digest, KeyRing, NodeId, PublicKey, SigningKey, Statement, Suite, Typ, payload};

/// The largest statement, in bytes of its compact JWS.
pub const MAX_BYTES: usize = 64 * 1024;

/// A batch that fails is halved down to this many.
const WORTH_HALVING: usize = 32;

/// A statement that was read but whose signature nobody has checked.
pub struct Unverified {
    inner: Inner,
    alg: Option<Suite>,
    /// Where the signed part ends.
    signed: usize,
    /// None where its length fits no suite.
    signature: Option<[u8; SIGNATURE_BYTES]>,
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

/// Why a statement was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// It is none that [`Unverified::parse`] would take.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The private half of the key did not sign.
    #[error(transparent)]
    Failed(#[from] SigningFailed),
}

/// Signs a statement. What the node signed itself needs no second look, so it comes back verified.
///
/// Refuses what [`Unverified::parse`] would refuse.
pub fn sign(statement: Statement, key: &SigningKey) -> Result<Verified, SignError> {
    let payload = payload::encode(&statement)?;
    let (alg, kid) = (key.public().suite().alg(), key.public().kid());
    let header = format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"{}"}}"#, statement.typ);
    let length = base64_len(header.len()) + base64_len(payload.len()) + base64_len(SIGNATURE_BYTES) + 2;
    if length > MAX_BYTES {
        return Err(Refused::TooLong.into());
    }
    let mut jws = String::with_capacity(length);
    URL_SAFE_NO_PAD.encode_string(header, &mut jws);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
    let signature = key.sign(jws.as_bytes())?;
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    let inner = Inner { statement, digest: Digest::of(jws.as_bytes()), kid: kid.to_owned(), jws: jws.into() };
    Ok(Verified { inner: Arc::new(inner) })
}

/// Whether a compact JWS claims to be a statement of this kind. What cannot be read claims nothing.
pub fn is_of_kind(jws: &str, kind: &str) -> bool {
    let header = jws.split_once('.').and_then(|(header, _)| base64url(header).ok());
    header.and_then(|header| Header::decode(&header).ok()).is_some_and(|header| header.typ.kind == kind)
}

/// The engine refuses padding and spare bits, so bytes have one text.
fn base64url(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Base64)
}

/// None for one of another length than signatures have.
fn base64url_signature(part: &str) -> Result<Option<[u8; SIGNATURE_BYTES]>, Refused> {
    if part.len() != base64_len(SIGNATURE_BYTES) {
        return base64url(part).map(|_| None);
    }
    let mut signature = [0; SIGNATURE_BYTES];
    URL_SAFE_NO_PAD.decode_slice(part, &mut signature).map_err(|_| Refused::Base64)?;
    Ok(Some(signature))
}

fn base64_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

impl Unverified {
    /// Reads a compact JWS: size, base64url, header, payload; everything but the signature.
    pub fn parse(jws: &str) -> Result<Self, Refused> {
        if jws.len() > MAX_BYTES {
            return Err(Refused::TooLong);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(Refused::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(Refused::NotCompact)?;
        if payload.contains('.') || header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Refused::NotCompact);
        }
        let (header, payload, signature) = (base64url(header)?, base64url(payload)?, base64url_signature(signature)?);
        let Header { alg, kid, typ } = Header::decode(&header)?;
        let statement = payload::decode(typ, &payload)?;
        let inner = Inner { statement, digest: Digest::of(jws.as_bytes()), kid, jws: jws.into() };
        Ok(Self { inner, alg, signed: signed.len(), signature })
    }

    /// What it claims to say.
    pub fn statement(&self) -> &Statement {
        &self.inner.statement
    }

    /// Under which key it claims to be signed.
    pub fn kid(&self) -> &str {
        &self.inner.kid
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// The text that it was read from.
    pub fn jws(&self) -> &str {
        &self.inner.jws
    }

    /// Verifies the signature under the issuer's key of this kid.
    pub fn verify(self, keys: &KeyRing) -> Result<Verified, Refused> {
        let key = self.key(keys)?;
        self.verify_under(key)
    }

    /// The key that it must be verified under; the algorithm is that key's, whatever the header says.
    fn key<'k>(&self, keys: &'k KeyRing) -> Result<&'k PublicKey, Refused> {
        let Inner { statement, kid, .. } = &self.inner;
        if statement.iss != keys.issuer {
            return Err(Refused::Issuer);
        }
        let key = keys.find(&statement.typ.kind, kid).ok_or(Refused::UnknownKey)?;
        if self.alg == Some(key.suite()) { Ok(key) } else { Err(Refused::Algorithm) }
    }

    fn verify_under(self, key: &PublicKey) -> Result<Verified, Refused> {
        let signature = self.signature.ok_or(Refused::Signature)?;
        key.check(self.message(), &signature).map_err(|bad| match bad {
            BadSignature::HighS => Refused::HighS,
            BadSignature::Invalid => Refused::Signature,
        })?;
        Ok(self.into_verified())
    }

    /// What a batch needs of it; None where it must be verified alone.
    fn batchable<'a>(&'a self, key: &'a PublicKey) -> Option<Signed<'a>> {
        Some((self.message(), self.signature.as_ref()?, key.ed25519()?))
    }

    fn message(&self) -> &[u8] {
        &self.inner.jws.as_bytes()[..self.signed]
    }

    fn into_verified(self) -> Verified {
        Verified { inner: Arc::new(self.inner) }
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified({} of {}, {})", self.inner.statement.typ, self.inner.statement.iss, self.inner.digest)
    }
}

/// The protected header: these three members and no other.
struct Header {
    /// None for an algorithm of no suite.
    alg: Option<Suite>,
    kid: String,
    typ: Typ,
}

impl Header {
    fn decode(bytes: &[u8]) -> Result<Self, Refused> {
        if let Some([alg, kid, typ]) = Self::as_written_here(bytes) {
            let typ = typ.parse().map_err(|_| Refused::Typ)?;
            return Ok(Self { alg: Suite::from_alg(alg), kid: kid.to_owned(), typ });
        }
        let mut members = json::parse_object(bytes).map_err(|_| Refused::Header)?;
        let mut take = |name| match members.swap_remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Refused::Header),
        };
        let (alg, kid, typ) = (take("alg")?, take("kid")?, take("typ")?);
        if !members.is_empty() {
            return Err(Refused::Header);
        }
        Ok(Self { alg: Suite::from_alg(&alg), kid, typ: typ.parse().map_err(|_| Refused::Typ)? })
    }

    /// The three members where they stand as [`sign`] writes them, plain text without escapes: so do nearly all headers,
    /// and reading them needs no parser. The parser would read the same.
    fn as_written_here(bytes: &[u8]) -> Option<[&str; 3]> {
        let rest = std::str::from_utf8(bytes).ok()?.strip_prefix(r#"{"alg":""#)?;
        let (alg, rest) = rest.split_once('"')?;
        let (kid, rest) = rest.strip_prefix(r#","kid":""#)?.split_once('"')?;
        let (typ, rest) = rest.strip_prefix(r#","typ":""#)?.split_once('"')?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        (rest == "}" && [alg, kid, typ].iter().all(|text| plain(text))).then_some([alg, kid, typ])
    }
}

/// Verifies many at once, each under its key ring: Ed25519 in batches, which are halved where one fails, and one by one in
/// the end, so that the culprit is named. Results stand in the order of the input.
pub fn verify_all(statements: Vec<(Unverified, &KeyRing)>) -> Vec<Result<Verified, Refused>> {
    let keys: Vec<Result<&PublicKey, Refused>> = statements.iter().map(|(s, keys)| s.key(keys)).collect();
    let mut places = Vec::with_capacity(statements.len());
    let mut signed = Vec::with_capacity(statements.len());
    for (place, ((statement, _), key)) in statements.iter().zip(&keys).enumerate() {
        if let Some(one) = key.as_ref().ok().and_then(|key| statement.batchable(key)) {
            places.push(place);
            signed.push(one);
        }
    }
    let mut good = vec![false; statements.len()];
    for (places, batch) in places.chunks(BATCH).zip(signed.chunks(BATCH)) {
        mark_good(places, batch, &mut good);
    }
    let mut results = Vec::with_capacity(statements.len());
    for (((statement, _), key), good) in statements.into_iter().zip(keys).zip(good) {
        let result = if good { Ok(statement.into_verified()) } else { key.and_then(|key| statement.verify_under(key)) };
        results.push(result);
    }
    results
}

/// Marks what a batch shows to be good. Few that are not all good are left to be verified one by one.
fn mark_good(places: &[usize], batch: &[Signed], good: &mut [bool]) {
    if batch.len() < 2 {
        return;
    }
    if batch::verify(batch) {
        places.iter().for_each(|place| good[*place] = true);
    } else if batch.len() > WORTH_HALVING {
        let half = batch.len() / 2;
        mark_good(&places[..half], &batch[..half], good);
        mark_good(&places[half..], &batch[half..], good);
    }
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

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
