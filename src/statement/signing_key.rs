//! Private keys: made, read from and written to PKCS#8 PEM, and never printed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rand::CryptoRng;
use sm2::elliptic_curve::pkcs8::EncodePrivateKey as _;
use sm2::pkcs8::der::asn1::ObjectIdentifier;
use sm2::pkcs8::{DecodePrivateKey as _, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::Suite;
use super::key::{Coordinates, KeyError, PublicKey};
use super::suite::{self, JwsSigner, SM2_ID, Secret, SignElsewhere, Signer, SigningFailed};

/// A private key of one of the suites. Never printed.
pub struct SigningKey {
    signer: Signer,
    public: PublicKey,
}

const PEM_LABEL: &str = "PRIVATE KEY";

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SM2_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");

impl SigningKey {
    /// A new key of a suite.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Self {
        loop {
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *seed);
            // an EC seed is a key unless it is 0 or not below the order, which does not happen twice
            if let Ok(key) = Self::from_seed(suite, &seed) {
                return key;
            }
        }
    }

    /// From the 32 bytes that a JWK has as `d`.
    pub fn from_seed(suite: Suite, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let refuse = || KeyError::NotAPrivateKey("the number is not below the order of the curve".to_owned());
        match suite {
            Suite::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| refuse())?;
                Self::from_ed25519(pair)
            }
            Suite::Es256 => {
                // RFC 5915 ECPrivateKey without the public key, which the library then computes
                let mut der = Zeroizing::new(Vec::with_capacity(51));
                der.extend_from_slice(&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20]);
                der.extend_from_slice(seed);
                der.extend_from_slice(&[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
                let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
                Self::from_p256(pair.map_err(|_| refuse())?)
            }
            Suite::Sm2 => Self::from_sm2(&sm2::SecretKey::from_slice(seed).map_err(|_| refuse())?),
        }
    }

    /// From the text that `to_pem` wrote (PKCS#8 PEM).
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, document) =
            SecretDocument::from_pem(pem.trim()).map_err(|e| KeyError::NotAPrivateKey(format!("no PEM: {e}")))?;
        if label != PEM_LABEL {
            return Err(KeyError::NotAPrivateKey(format!("a PEM of {label:.40?} where {PEM_LABEL:?} is expected")));
        }
        let refuse = |e: &dyn fmt::Display| KeyError::NotAPrivateKey(format!("no PKCS#8 of a known suite: {e}"));
        let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|e| refuse(&e))?;
        let curve = info.algorithm.parameters_oid().ok();
        if info.algorithm.oid == ED25519 {
            Self::from_ed25519(Ed25519KeyPair::from_pkcs8(document.as_bytes()).map_err(|e| refuse(&e))?)
        } else if (info.algorithm.oid, curve) == (EC, Some(P256)) {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_bytes());
            Self::from_p256(pair.map_err(|e| refuse(&e))?)
        } else if (info.algorithm.oid, curve) == (EC, Some(SM2_P256)) {
            Self::from_sm2(&sm2::SecretKey::from_pkcs8_der(document.as_bytes()).map_err(|e| refuse(&e))?)
        } else {
            Err(refuse(&info.algorithm.oid))
        }
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let bytes = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Weak)?;
        Self::new(Secret::EdDsa(Arc::new(pair)), Coordinates::Ed25519(bytes))
    }

    fn from_p256(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let point = Coordinates::of_uncompressed(Suite::Es256, pair.public_key().as_ref()).ok_or(KeyError::Weak)?;
        Self::new(Secret::Es256(Arc::new(pair)), point)
    }

    fn from_sm2(secret: &sm2::SecretKey) -> Result<Self, KeyError> {
        let key = sm2::dsa::SigningKey::new(SM2_ID, secret).map_err(|_| KeyError::Weak)?;
        let encoded = key.verifying_key().to_sec1_bytes();
        let point = Coordinates::of_uncompressed(Suite::Sm2, &encoded).ok_or(KeyError::Weak)?;
        Self::new(Secret::Sm2(Arc::new(key)), point)
    }

    fn new(secret: Secret, coordinates: Coordinates) -> Result<Self, KeyError> {
        let public = PublicKey::new(coordinates)?;
        Ok(Self { signer: Signer { kid: public.kid().into(), secret }, public })
    }

    /// A key whose private half is not in this process: on a token.
    pub fn elsewhere(public: PublicKey, sign: Arc<SignElsewhere>) -> Self {
        let signer = Signer { kid: public.kid().into(), secret: Secret::Elsewhere(public.suite(), sign) };
        Self { signer, public }
    }

    /// Whether the private half is in this process, so that it can be written to a file.
    pub fn is_here(&self) -> bool {
        !matches!(self.signer.secret, Secret::Elsewhere(..))
    }

    /// PKCS#8 PEM, for a file of mode 0600; wiped when dropped. None where the private half is elsewhere.
    pub fn to_pem(&self) -> Option<Zeroizing<String>> {
        let pem = |der: &[u8]| SecretDocument::try_from(der).ok()?.to_pem(PEM_LABEL, LineEnding::LF).ok();
        match &self.signer.secret {
            Secret::EdDsa(pair) => pem(pair.to_pkcs8v1().ok()?.as_ref()),
            Secret::Es256(pair) => pem(pair.to_pkcs8v1().ok()?.as_ref()),
            Secret::Sm2(key) => sm2::SecretKey::from(*key.as_nonzero_scalar()).to_pkcs8_pem(LineEnding::LF).ok(),
            Secret::Elsewhere(..) => None,
        }
    }

    /// Its public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// As a signer for josekit.
    pub fn signer(&self) -> &dyn JwsSigner {
        &self.signer
    }

    /// The raw signature over a message: 64 bytes in each suite. A token may be gone, and a library out of memory.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        suite::sign(&self.signer, message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.public.suite().alg(), self.public.kid())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::json;

    use super::super::key::base64url;
    use super::*;

    #[test]
    fn an_sm2_key_verifies_the_example_of_the_standard() {
        // GB/T 32918.5-2017, annex A.2, with the signer id that the suite uses
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
        };
        let d = hex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8");
        let x = hex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020");
        let y = hex("ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");
        let r = hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3");
        let s = hex("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa");
        let key = PublicKey::from_jwk(&json!({
            "kty": "EC", "crv": "SM2-P-256", "x": base64url(&x), "y": base64url(&y),
        }));
        let key = key.unwrap();
        assert!(key.verify(b"message digest", &[r, s].concat()));
        let private = SigningKey::from_seed(Suite::Sm2, d.as_slice().try_into().unwrap()).unwrap();
        assert_eq!(private.public(), &key);
    }

    #[test]
    fn a_key_comes_back_from_pem_and_from_jwk() {
        let mut rng = StdRng::seed_from_u64(1);
        for suite in Suite::ALL {
            let key = SigningKey::generate(suite, &mut rng);
            let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(again.public(), key.public());
            assert_eq!(again.to_pem(), key.to_pem());
            let public = PublicKey::from_jwk(&key.public().jwk()).unwrap();
            assert_eq!((public.kid(), public.suite()), (key.public().kid(), suite));
            let signature = again.sign(b"message").unwrap();
            assert_eq!(signature.len(), suite::SIGNATURE_BYTES);
            assert!(public.verify(b"message", &signature));
            assert!(!public.verify(b"messagf", &signature));
            assert!(!public.verify(b"message", &signature[..63]));
            assert!(!public.verify(b"message", &[0; 64]));
        }
    }

    #[test]
    fn a_private_half_that_is_elsewhere_signs_as_its_suite_wants_it_or_fails() {
        let mut rng = StdRng::seed_from_u64(3);
        for suite in Suite::ALL {
            let key = Arc::new(SigningKey::generate(suite, &mut rng));
            let token = Arc::clone(&key);
            // what a token gives for P-256 may have either s
            let other_s = move |message: &[u8]| {
                let signature = token.sign(message)?;
                Ok(if suite == Suite::Es256 { suite::with_other_s(&signature) } else { signature })
            };
            let elsewhere = SigningKey::elsewhere(key.public().clone(), Arc::new(other_s));
            assert!(key.public().verify(b"message", &elsewhere.sign(b"message").unwrap()));
            assert!(elsewhere.to_pem().is_none() && !elsewhere.is_here());
            let gone = SigningKey::elsewhere(key.public().clone(), Arc::new(|_| Err(SigningFailed("gone".to_owned()))));
            assert_eq!(gone.sign(b"message"), Err(SigningFailed("gone".to_owned())));
            let short = SigningKey::elsewhere(key.public().clone(), Arc::new(|_| Ok(vec![0; 63])));
            assert!(short.sign(b"message").is_err());
        }
    }

    #[test]
    fn a_key_prints_nothing_secret() {
        let mut rng = StdRng::seed_from_u64(2);
        for suite in Suite::ALL {
            let key = SigningKey::generate(suite, &mut rng);
            let printed = format!("{key:?} {:?} {:?}", key.public(), key.signer);
            let expected =
                format!("SigningKey({0} {1}) PublicKey({0} {1}) Signer({0} {1})", suite.alg(), key.public().kid());
            assert_eq!(printed, expected);
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        for pem in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(matches!(SigningKey::from_pem(pem), Err(KeyError::NotAPrivateKey(_))), "{pem}");
        }
    }
}
