//! The three signature suites behind josekit's [`JwsSigner`] and [`JwsVerifier`].
//!
//! josekit's errors carry `anyhow`; they end in this file.

pub(super) mod batch;
mod p256_order;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, Ed25519KeyPair, ParsedPublicKey};
use josekit::JoseError;
use josekit::jws::JwsAlgorithm;
pub use josekit::jws::{JwsSigner, JwsVerifier};
use sm2::dsa::signature::{Signer as _, Verifier as _};

/// The signer id of every SM2 key (GM/T 0009-2012, section 10).
pub const SM2_ID: &str = "1234567812345678";

/// Bytes of a signature, in each suite.
pub const SIGNATURE_BYTES: usize = 64;

/// A signature suite; its `alg` in JOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `EdDSA` on Ed25519: signed by aws-lc-rs, verified on curve25519-dalek.
    EdDsa,
    /// `ES256` on P-256: aws-lc-rs.
    Es256,
    /// `SGD_SM3_SM2` on SM2-P-256 (GM/T 0125): RustCrypto, signer id `1234567812345678`, signature r‖s.
    Sm2,
}

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// ES256: s is not the lower of the two that verify.
    #[error("the s of an ES256 signature is not the lower one")]
    HighS,
    /// It does not verify.
    #[error("the signature does not verify")]
    Invalid,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Sm2];

    /// The JOSE `alg`.
    pub fn alg(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Sm2 => "SGD_SM3_SM2",
        }
    }

    /// The suite of a JOSE `alg`.
    pub fn from_alg(alg: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.alg() == alg)
    }
}

impl JwsAlgorithm for Suite {
    fn name(&self) -> &str {
        self.alg()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

/// Signs through josekit's trait.
pub(super) fn sign(signer: &dyn JwsSigner, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
    signer.sign(message).map_err(|error| match error {
        JoseError::InvalidSignature(cause) => cause.downcast().unwrap_or_else(|cause| SigningFailed(cause.to_string())),
        other => SigningFailed(other.to_string()),
    })
}

/// The private half did not sign: its token does not answer, or the library under the suite found no memory or no
/// randomness. Trying again later may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed: {0}")]
pub struct SigningFailed(pub String);

/// Signs where the private half is: 64 bytes for a message.
pub type SignElsewhere = dyn Fn(&[u8]) -> Result<Vec<u8>, SigningFailed> + Send + Sync;

/// Verifies through josekit's trait.
pub(super) fn verify(verifier: &dyn JwsVerifier, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    verifier.verify(message, signature).map_err(|error| match error {
        JoseError::InvalidSignature(cause) => cause.downcast().unwrap_or(BadSignature::Invalid),
        _ => BadSignature::Invalid,
    })
}

/// The private half of a key.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) kid: Arc<str>,
    pub(super) secret: Secret,
}

#[derive(Clone)]
pub(super) enum Secret {
    EdDsa(Arc<Ed25519KeyPair>),
    Es256(Arc<EcdsaKeyPair>),
    Sm2(Arc<sm2::dsa::SigningKey>),
    /// Not in this process.
    Elsewhere(Suite, Arc<SignElsewhere>),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} {})", self.suite().alg(), self.kid)
    }
}

impl Signer {
    fn suite(&self) -> Suite {
        match self.secret {
            Secret::EdDsa(_) => Suite::EdDsa,
            Secret::Es256(_) => Suite::Es256,
            Secret::Sm2(_) => Suite::Sm2,
            Secret::Elsewhere(suite, _) => suite,
        }
    }
}

impl JwsSigner for Signer {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        algorithm(self.suite())
    }

    fn key_id(&self) -> Option<&str> {
        Some(&self.kid)
    }

    fn signature_len(&self) -> usize {
        SIGNATURE_BYTES
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        match &self.secret {
            Secret::EdDsa(pair) => {
                let signature = pair.try_sign(message).map_err(|e| JoseError::InvalidSignature(e.into()))?;
                Ok(signature.as_ref().to_vec())
            }
            Secret::Es256(pair) => {
                let signature =
                    pair.sign(&SystemRandom::new(), message).map_err(|e| JoseError::InvalidSignature(e.into()))?;
                let mut signature = signature.as_ref().to_vec();
                p256_order::lower_s(&mut signature[32..]);
                Ok(signature)
            }
            Secret::Sm2(key) => {
                let signature: sm2::dsa::Signature =
                    key.try_sign(message).map_err(|e| JoseError::InvalidSignature(e.into()))?;
                Ok(signature.to_vec())
            }
            Secret::Elsewhere(suite, sign) => {
                let mut signature = sign(message).map_err(|e| JoseError::InvalidSignature(e.into()))?;
                if signature.len() != SIGNATURE_BYTES {
                    let why = format!("{} bytes came where a signature has {SIGNATURE_BYTES}", signature.len());
                    return Err(JoseError::InvalidSignature(SigningFailed(why).into()));
                }
                if *suite == Suite::Es256 {
                    p256_order::lower_s(&mut signature[32..]);
                }
                Ok(signature)
            }
        }
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

/// The public half of a key.
#[derive(Clone)]
pub(super) struct Verifier {
    pub(super) kid: Arc<str>,
    pub(super) point: Point,
}

#[derive(Clone)]
pub(super) enum Point {
    EdDsa(ed25519_dalek::VerifyingKey),
    Es256(ParsedPublicKey),
    Sm2(Box<sm2::dsa::VerifyingKey>),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} {})", self.suite().alg(), self.kid)
    }
}

impl Verifier {
    pub(super) fn suite(&self) -> Suite {
        match self.point {
            Point::EdDsa(_) => Suite::EdDsa,
            Point::Es256(_) => Suite::Es256,
            Point::Sm2(_) => Suite::Sm2,
        }
    }

    fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let signature: &[u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| BadSignature::Invalid)?;
        match &self.point {
            Point::EdDsa(key) if batch::verify_one(message, signature, key) => Ok(()),
            Point::EdDsa(_) => Err(BadSignature::Invalid),
            Point::Es256(key) => {
                if p256_order::is_high(&signature[32..]) {
                    return Err(BadSignature::HighS);
                }
                key.verify_sig(message, signature).map_err(|_| BadSignature::Invalid)
            }
            Point::Sm2(key) => sm2::dsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify(message, &signature))
                .map_err(|_| BadSignature::Invalid),
        }
    }
}

impl JwsVerifier for Verifier {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        algorithm(self.suite())
    }

    fn key_id(&self) -> Option<&str> {
        Some(&self.kid)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.check(message, signature).map_err(|bad| JoseError::InvalidSignature(bad.into()))
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

fn algorithm(suite: Suite) -> &'static dyn JwsAlgorithm {
    match suite {
        Suite::EdDsa => &Suite::EdDsa,
        Suite::Es256 => &Suite::Es256,
        Suite::Sm2 => &Suite::Sm2,
    }
}

/// A public P-256 point, from its uncompressed encoding.
pub(super) fn p256_point(encoded: &[u8]) -> Option<Point> {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, encoded).ok().map(Point::Es256)
}

/// The other signature that verifies as well, for tests that it is refused.
#[cfg(test)]
pub(super) fn with_other_s(signature: &[u8]) -> Vec<u8> {
    let mut other = signature.to_vec();
    p256_order::negate(&mut other[32..]);
    other
}

/// Signatures with R = identity, in its encodings: they satisfy the equation, and are refused all the same. Only who has
/// the seed can make them, and they give it away.
#[cfg(test)]
pub(super) fn small_order_signatures(seed: &[u8; 32], message: &[u8]) -> Vec<[u8; SIGNATURE_BYTES]> {
    use aws_lc_rs::digest::{SHA512, digest};
    use curve25519_dalek::Scalar;
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    let canonical: [u8; 32] = std::array::from_fn(|i| u8::from(i == 0));
    let beyond_the_prime: [u8; 32] =
        std::array::from_fn(|i| [0xee, 0xff, 0x7f][usize::from(i > 0) + usize::from(i > 30)]);
    [canonical, beyond_the_prime]
        .map(|r| {
            let mut hashed = Vec::from(r);
            hashed.extend_from_slice(key.verifying_key().as_bytes());
            hashed.extend_from_slice(message);
            let challenge: [u8; 64] = digest(&SHA512, &hashed).as_ref().try_into().unwrap();
            let s = Scalar::from_bytes_mod_order_wide(&challenge) * key.to_scalar();
            let mut signature = [0; SIGNATURE_BYTES];
            signature[..32].copy_from_slice(&r);
            signature[32..].copy_from_slice(s.as_bytes());
            signature
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_known_by_its_alg() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_alg(suite.alg()), Some(suite));
            assert_eq!(algorithm(suite).name(), suite.alg());
        }
        for alg in ["none", "HS256", "eddsa", "Ed25519", ""] {
            assert_eq!(Suite::from_alg(alg), None);
        }
    }
}
