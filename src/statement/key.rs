//! Public keys: parsed once, kept, found by issuer and RFC 7638 thumbprint.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::suite::{self, BadSignature, JwsVerifier, Point, SM2_ID, Verifier};
use super::{Digest, NodeId, Suite};

/// A public key of one of the suites, parsed, with its thumbprint. Cheap to clone.
#[derive(Clone)]
pub struct PublicKey {
    inner: Arc<Public>,
}

struct Public {
    verifier: Verifier,
    coordinates: Coordinates,
}

/// The bytes that a JWK gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Coordinates {
    Ed25519([u8; 32]),
    P256([u8; 32], [u8; 32]),
    Sm2P256([u8; 32], [u8; 32]),
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
    ///
    /// Members beside `kty`, `crv`, `x` and `y` are ignored, but a private key (`d`) is refused.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let text = |name| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        if jwk.get("d").is_some() {
            return Err(KeyError::NotAJwk("it holds a private key".to_owned()));
        }
        Self::new(match (text("kty"), text("crv")) {
            ("OKP", "Ed25519") => Coordinates::Ed25519(coordinate("x", text("x"))?),
            ("EC", "P-256") => Coordinates::P256(coordinate("x", text("x"))?, coordinate("y", text("y"))?),
            ("EC", "SM2-P-256") => Coordinates::Sm2P256(coordinate("x", text("x"))?, coordinate("y", text("y"))?),
            (kty, crv) => return Err(KeyError::NotAJwk(format!("kty {kty:.20?} with crv {crv:.20?}"))),
        })
    }

    /// An Ed25519 key from its 32 bytes; weak keys are refused.
    pub fn from_ed25519(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(Coordinates::Ed25519(*bytes))
    }

    pub(super) fn new(coordinates: Coordinates) -> Result<Self, KeyError> {
        let not_a_point = || KeyError::NotAJwk("not a point of its curve".to_owned());
        let point = match &coordinates {
            Coordinates::Ed25519(bytes) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| not_a_point())?;
                // beside keys of small order also those with a part of small order and those written in another form:
                // only for the rest does a batch say what the single check says
                let point = key.to_edwards();
                if key.is_weak() || !point.is_torsion_free() || point.compress().as_bytes() != bytes {
                    return Err(KeyError::Weak);
                }
                Point::EdDsa(key)
            }
            Coordinates::P256(x, y) => suite::p256_point(&uncompressed(x, y)).ok_or_else(not_a_point)?,
            Coordinates::Sm2P256(x, y) => sm2::dsa::VerifyingKey::from_sec1_bytes(SM2_ID, &uncompressed(x, y))
                .map(|key| Point::Sm2(Box::new(key)))
                .map_err(|_| not_a_point())?,
        };
        let kid = coordinates.thumbprint().to_string().into();
        Ok(Self { inner: Arc::new(Public { verifier: Verifier { kid, point }, coordinates }) })
    }

    /// The JWK with its required members only.
    pub fn jwk(&self) -> Value {
        match &self.inner.coordinates {
            Coordinates::Ed25519(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(x)}),
            Coordinates::P256(x, y) => json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)}),
            Coordinates::Sm2P256(x, y) => {
                json!({"kty": "EC", "crv": "SM2-P-256", "x": base64url(x), "y": base64url(y)})
            }
        }
    }

    /// RFC 7638 thumbprint: SHA-256, base64url; for SM2-P-256 over crv, kty, x, y like any EC key.
    pub fn kid(&self) -> &str {
        &self.inner.verifier.kid
    }

    /// Its suite.
    pub fn suite(&self) -> Suite {
        self.inner.verifier.suite()
    }

    /// Verifies one raw signature over a message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.check(message, signature).is_ok()
    }

    /// Verifies one raw signature over a message, and says what is wrong with it.
    pub fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        suite::verify(&self.inner.verifier, message, signature)
    }

    /// The 32 bytes of an Ed25519 key, which log keys must be.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        match self.inner.coordinates {
            Coordinates::Ed25519(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// As a verifier for josekit.
    pub fn verifier(&self) -> &dyn JwsVerifier {
        &self.inner.verifier
    }

    /// The Ed25519 key, for a batch.
    pub(super) fn ed25519(&self) -> Option<&ed25519_dalek::VerifyingKey> {
        match &self.inner.verifier.point {
            Point::EdDsa(key) => Some(key),
            _ => None,
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.inner.coordinates == other.inner.coordinates
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.suite().alg(), self.kid())
    }
}

impl Coordinates {
    /// RFC 7638: SHA-256 over the required members in the order of their names.
    fn thumbprint(&self) -> Digest {
        let text = match self {
            Self::Ed25519(x) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(x)),
            Self::P256(x, y) => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
            }
            Self::Sm2P256(x, y) => {
                format!(r#"{{"crv":"SM2-P-256","kty":"EC","x":"{}","y":"{}"}}"#, base64url(x), base64url(y))
            }
        };
        Digest::of(text.as_bytes())
    }

    pub(super) fn of_uncompressed(suite: Suite, point: &[u8]) -> Option<Self> {
        let (&4, rest) = point.split_first()? else { return None };
        let (x, y) = rest.split_at_checked(32)?;
        let (x, y) = (x.try_into().ok()?, y.try_into().ok()?);
        Some(if suite == Suite::Sm2 { Self::Sm2P256(x, y) } else { Self::P256(x, y) })
    }
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn coordinate(name: &str, text: &str) -> Result<[u8; 32], KeyError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| KeyError::NotAJwk(format!("{name} is not 32 bytes in base64url")))
}

fn uncompressed(x: &[u8; 32], y: &[u8; 32]) -> [u8; 65] {
    let mut point = [4; 65];
    point[1..33].copy_from_slice(x);
    point[33..].copy_from_slice(y);
    point
}

/// The keys under which one issuer's statements are valid at some place of its log: `sign` keys for all kinds but
/// `descriptor`, the `root` key for that.
#[derive(Clone, Debug)]
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::SigningKey;

    #[test]
    fn a_kid_is_the_thumbprint_of_rfc_8037() {
        // appendix A.3
        let key = PublicKey::from_jwk(&json!({
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig",
        }));
        assert_eq!(key.unwrap().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn what_is_no_key_of_a_suite_is_refused() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for (jwk, why) in [
            (json!(null), "no object"),
            (json!({"kty": "OKP", "crv": "Ed25519"}), "no x"),
            (
                json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"}),
                "x in another form",
            ),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": format!("{x}=")}), "padding"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}), "a private key"),
            (json!({"kty": "OKP", "crv": "X25519", "x": x}), "another curve"),
            (json!({"kty": "EC", "crv": "P-256", "x": x, "y": x}), "not on the curve"),
            (json!({"kty": "EC", "crv": "SM2-P-256", "x": x, "y": x}), "not on the curve"),
            (json!({"kty": "oct", "k": x}), "a shared secret"),
        ] {
            assert!(matches!(PublicKey::from_jwk(&jwk), Err(KeyError::NotAJwk(_))), "{why}");
        }
    }

    #[test]
    fn weak_ed25519_keys_are_refused() {
        use ed25519_dalek::VerifyingKey;
        for text in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1, not canonical
        ] {
            let bytes: [u8; 32] = std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap());
            assert_eq!(PublicKey::from_ed25519(&bytes), Err(KeyError::Weak), "{text}");
        }
        // a good key with a part of small order is not of small order itself, and yet fools a batch
        let good = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(3));
        let good = VerifyingKey::from_bytes(&good.public().ed25519_bytes().unwrap()).unwrap();
        let order_2 = VerifyingKey::from_bytes(&std::array::from_fn(|i| match i {
            0 => 0xec,
            31 => 0x7f,
            _ => 0xff,
        }));
        let mixed = (good.to_edwards() + order_2.unwrap().to_edwards()).compress();
        assert!(!VerifyingKey::from_bytes(mixed.as_bytes()).unwrap().is_weak());
        assert_eq!(PublicKey::from_ed25519(mixed.as_bytes()), Err(KeyError::Weak));
    }
}
