//! Keys: parsed once, kept, found by issuer and RFC 7638 thumbprint.

use std::collections::HashMap;

use rand::CryptoRng;
use serde_json::Value;

use super::{NodeId, Suite};

/// A public key of one of the suites, parsed, with its thumbprint. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey {
    _fields: (),
}

/// A private key of one of the suites. Never printed.
pub struct SigningKey {
    _fields: (),
}

/// Why a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JWK of a suite.
    #[error("not a public key of a known suite: {0}")]
    NotAJwk(String),
    /// A key of small order, which a batch could be made to accept.
    #[error("a weak key")]
    Weak,
    /// The private key's file is not as written by this program.
    #[error("not a private key: {0}")]
    NotAPrivateKey(String),
}

impl PublicKey {
    /// From a JWK (OKP Ed25519, EC P-256, EC SM2-P-256); weak keys are refused.
    pub fn from_jwk(_jwk: &Value) -> Result<Self, KeyError> {
        todo!()
    }
    /// The JWK with its required members only.
    pub fn jwk(&self) -> Value {
        todo!()
    }
    /// RFC 7638 thumbprint: SHA-256, base64url; for SM2-P-256 over crv, kty, x, y like any EC key.
    pub fn kid(&self) -> &str {
        todo!()
    }
    /// Its suite.
    pub fn suite(&self) -> Suite {
        todo!()
    }
    /// Verifies one raw signature over a message.
    pub fn verify(&self, _message: &[u8], _signature: &[u8]) -> bool {
        todo!()
    }
    /// The 32 bytes of an Ed25519 key, which log keys must be.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        todo!()
    }
}

impl SigningKey {
    /// A new key of a suite.
    pub fn generate(_suite: Suite, _rng: &mut dyn CryptoRng) -> Self {
        todo!()
    }
    /// From the text that `to_pem` wrote (PKCS#8 PEM).
    pub fn from_pem(_pem: &str) -> Result<Self, KeyError> {
        todo!()
    }
    /// PKCS#8 PEM, for a file of mode 0600; wiped when dropped.
    pub fn to_pem(&self) -> zeroize::Zeroizing<String> {
        todo!()
    }
    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        todo!()
    }
    /// The raw signature over a message: 64 bytes in each suite.
    pub fn sign(&self, _message: &[u8]) -> Vec<u8> {
        todo!()
    }
}

/// The keys under which one issuer's statements are valid at some place of its log: `sign` keys for all kinds but
/// `descriptor`, the `root` key for that.
#[derive(Clone)]
pub struct KeyRing {
    /// Whose keys.
    pub issuer: NodeId,
    /// The root key.
    pub root: PublicKey,
    /// Signing keys by kid.
    pub sign: HashMap<String, PublicKey>,
}

impl KeyRing {
    /// The key that a statement of this kind under this kid must be verified with.
    pub fn find(&self, kind: &str, kid: &str) -> Option<&PublicKey> {
        if kind == "descriptor" { (self.root.kid() == kid).then_some(&self.root) } else { self.sign.get(kid) }
    }
}
