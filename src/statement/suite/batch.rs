//! Ed25519 signatures, verified one by one and together, by one rule: 8·s·B = 8·R + 8·h·A (RFC 8032, section 5.1.7).
//!
//! Without the cofactor 8 a batch could let pass what single checks refuse, an R with a part of small order, and two nodes
//! would come to different ends about one statement by how their batches fell. With it that part makes no difference to
//! either. What is in another form than the canonical one, and an R of small order, is refused beforehand, by both.
//!
//! With a random z for each signature, (−Σ z·s)·B + Σ z·R + Σ z·h·A, eight times, is the identity if all of them are good,
//! and else but once in 2^128: the equation of `ed25519_dalek::verify_batch`, held against it in the tests. Here the terms
//! of one key are added up before they are multiplied. Nearly all statements of a log stand under one key, so that spares
//! half of the points and two thirds of the additions.

use aws_lc_rs::digest::{Context, SHA256};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::VerifyingKey;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha512};

use super::SIGNATURE_BYTES;

/// How many are verified at once: beyond this the gain is small.
pub const BATCH: usize = 1024;

/// A message, its signature, and the key that it must be good under.
pub type Signed<'a> = (&'a [u8], &'a [u8; SIGNATURE_BYTES], &'a VerifyingKey);

/// Verifies one Ed25519 signature.
pub fn verify_one(message: &[u8], signature: &[u8; SIGNATURE_BYTES], key: &VerifyingKey) -> bool {
    holds_one(message, signature, key).unwrap_or(false)
}

/// None where the signature is not of the form of one.
fn holds_one(message: &[u8], signature: &[u8; SIGNATURE_BYTES], key: &VerifyingKey) -> Option<bool> {
    let (r, s) = signature.split_first_chunk::<32>()?;
    if has_small_order(r) {
        return None;
    }
    let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
    let h = Scalar::from_bytes_mod_order_wide(&challenge(r, key, message));
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&h, &-key.to_edwards(), &s);
    // nearly always it is R itself, and R need not be read as a point
    if expected.compress().as_bytes() == r {
        return Some(true);
    }
    let r = CompressedEdwardsY::from_slice(r).ok()?.decompress()?;
    Some((expected - r).mul_by_cofactor().is_identity())
}

/// Verifies Ed25519 signatures together: all of them are good, or at least one is not.
pub fn verify(batch: &[Signed<'_>]) -> bool {
    holds(batch).unwrap_or(false)
}

/// None where a signature is not of the form of one.
fn holds(batch: &[Signed<'_>]) -> Option<bool> {
    let mut transcript = Context::new(&SHA256);
    let mut halves = Vec::with_capacity(batch.len());
    for &(message, signature, key) in batch {
        let (r, s) = signature.split_first_chunk::<32>()?;
        if has_small_order(r) {
            return None;
        }
        let h = challenge(r, key, message);
        transcript.update(&h);
        transcript.update(s);
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        halves.push((s, Scalar::from_bytes_mod_order_wide(&h)));
    }

    // each z depends on every R, s, key and message, so nobody can choose those to fit it
    let mut seed = [0; 32];
    seed.copy_from_slice(transcript.finish().as_ref());
    let mut rng = StdRng::from_seed(seed);
    let mut base = Scalar::ZERO;
    let mut by_key: Vec<(&VerifyingKey, Scalar)> = Vec::new();
    let mut scalars = Vec::with_capacity(batch.len() + 2);
    for ((s, h), &(_, _, key)) in halves.into_iter().zip(batch) {
        let mut z = [0; 16];
        rng.fill_bytes(&mut z);
        let z = Scalar::from(u128::from_le_bytes(z));
        scalars.push(z);
        base -= z * s;
        match by_key.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += z * h,
            None => by_key.push((key, z * h)),
        }
    }

    let rs = batch.iter().map(|(_, signature, _)| CompressedEdwardsY::from_slice(&signature[..32]).ok()?.decompress());
    let keys = by_key.iter().map(|(key, _)| Some(key.to_edwards()));
    let points = rs.chain(keys).chain([Some(ED25519_BASEPOINT_POINT)]);
    scalars.extend(by_key.iter().map(|(_, sum)| *sum));
    scalars.push(base);
    Some(EdwardsPoint::optional_multiscalar_mul(scalars, points)?.mul_by_cofactor().is_identity())
}

/// h = SHA-512(R ‖ A ‖ message), RFC 8032 section 5.1.7.
fn challenge(r: &[u8; 32], key: &VerifyingKey, message: &[u8]) -> [u8; 64] {
    // on many machines twice as fast as that of aws-lc
    Sha512::new().chain_update(r).chain_update(key.as_bytes()).chain_update(message).finalize().into()
}

/// The y of the points of order 8, little-endian; the others have y = 0, 1, −1 and their encodings beyond the prime.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
];

/// Whether R is one of the few points of small order, in any encoding of it, or in a form that is not canonical.
fn has_small_order(r: &[u8; 32]) -> bool {
    let mut y = *r;
    y[31] &= 0x7f;
    let near_zero = y[1..].iter().all(|&b| b == 0) && y[0] <= 1;
    // from p − 1 to 2^255 − 1: −1, and all encodings that are not canonical
    let near_prime = y[0] >= 0xec && y[1..31].iter().all(|&b| b == 0xff) && y[31] == 0x7f;
    near_zero || near_prime || ORDER_8.contains(&y)
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::{Signature, Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;

    /// What ed25519-dalek thinks of the same batch.
    fn second_opinion(batch: &[Signed<'_>]) -> bool {
        let messages: Vec<&[u8]> = batch.iter().map(|(message, _, _)| *message).collect();
        let signatures: Vec<Signature> =
            batch.iter().map(|(_, signature, _)| Signature::from_bytes(signature)).collect();
        let keys: Vec<VerifyingKey> = batch.iter().map(|(_, _, key)| **key).collect();
        ed25519_dalek::verify_batch(&messages, &signatures, &keys).is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_batch_is_good_when_each_is_and_ed25519_dalek_agrees(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40),
            seeds in prop::collection::vec(any::<[u8; 32]>(), 1..4),
            spoil: Option<(prop::sample::Index, u8, u8)>,
            swap: Option<prop::sample::Index>,
        ) {
            let signers: Vec<SigningKey> = seeds.iter().map(SigningKey::from_bytes).collect();
            let signer = |i: usize| &signers[i % signers.len()];
            let keys: Vec<VerifyingKey> = (0..messages.len()).map(|i| signer(i).verifying_key()).collect();
            let mut signatures: Vec<[u8; 64]> =
                messages.iter().enumerate().map(|(i, m)| signer(i).sign(m).to_bytes()).collect();
            if let Some((at, byte, bits)) = &spoil {
                signatures[at.index(messages.len())][usize::from(byte % 64)] ^= bits;
            }
            if let Some(at) = &swap {
                let at = at.index(messages.len());
                signatures.swap(0, at);
            }
            let batch: Vec<Signed<'_>> = messages
                .iter()
                .zip(&signatures)
                .zip(&keys)
                .map(|((message, signature), key)| (message.as_slice(), signature, key))
                .collect();
            let each = batch.iter().all(|(message, signature, key)| {
                let good = verify_one(message, signature, key);
                // no mistake by chance gives an R with a part of small order
                assert_eq!(key.verify_strict(message, &Signature::from_bytes(signature)).is_ok(), good);
                good
            });
            prop_assert_eq!(verify(&batch), each);
            prop_assert_eq!(second_opinion(&batch), each);
        }
    }

    /// A signature over `message` with R = nonce·B + part.
    fn sign_with(key: &SigningKey, nonce: Scalar, part: EdwardsPoint, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let r = (EdwardsPoint::mul_base(&nonce) + part).compress();
        let h = Scalar::from_bytes_mod_order_wide(&challenge(r.as_bytes(), &key.verifying_key(), message));
        let mut signature = [0; SIGNATURE_BYTES];
        signature[..32].copy_from_slice(r.as_bytes());
        signature[32..].copy_from_slice((nonce + h * key.to_scalar()).as_bytes());
        signature
    }

    #[test]
    fn a_part_of_small_order_in_r_makes_no_difference_alone_or_in_a_batch() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let public = key.verifying_key();
        let (mut all, mut strict) = (Vec::new(), 0);
        for (n, part) in (1_u64..).zip(EIGHT_TORSION) {
            let signature = sign_with(&key, Scalar::from(n * 1_000_003), part, b"one");
            assert!(verify_one(b"one", &signature, &public));
            assert!(!verify_one(b"two", &signature, &public));
            strict += usize::from(public.verify_strict(b"one", &Signature::from_bytes(&signature)).is_ok());
            all.push(signature);
            // R of small order alone
            let weak = sign_with(&key, Scalar::ZERO, part, b"one");
            assert!(!verify_one(b"one", &weak, &public) && !verify(&[(b"one", &weak, &public)]));
        }
        assert_eq!(strict, 1, "without the cofactor only the one without such a part verifies");
        for from in 0..all.len() {
            let batch: Vec<Signed<'_>> =
                all[from..].iter().map(|signature| (&b"one"[..], signature, &public)).collect();
            assert!(verify(&batch), "the last {} of them", batch.len());
        }
    }

    #[test]
    fn two_wrongs_that_cancel_out_are_seen() {
        // s + d here and s − d there: with the same z for both, nobody would notice
        let key = SigningKey::from_bytes(&[3; 32]);
        let messages = [b"one".as_slice(), b"two"];
        let mut signatures = messages.map(|message| key.sign(message).to_bytes());
        let s = |signature: &[u8; 64]| Scalar::from_canonical_bytes(signature[32..].try_into().unwrap()).unwrap();
        let (up, down) = (s(&signatures[0]) + Scalar::ONE, s(&signatures[1]) - Scalar::ONE);
        signatures[0][32..].copy_from_slice(up.as_bytes());
        signatures[1][32..].copy_from_slice(down.as_bytes());
        let public = key.verifying_key();
        let batch: Vec<Signed<'_>> = messages.iter().zip(&signatures).map(|(m, s)| (*m, s, &public)).collect();
        assert!(!verify(&batch));
        assert!(!second_opinion(&batch));
    }

    #[test]
    fn an_s_beyond_the_order_is_refused() {
        // s + l verifies where s is reduced first; such a signature would have two texts
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut signature = key.sign(b"one").to_bytes();
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10_u16,
        ];
        let mut carry = 0;
        for (digit, order) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*digit) + order + carry;
            (*digit, carry) = (sum as u8, sum >> 8);
        }
        assert!(!verify(&[(b"one", &signature, &key.verifying_key())]));
        assert!(!verify_one(b"one", &signature, &key.verifying_key()));
    }

    #[test]
    fn small_order_is_seen_in_every_encoding() {
        use aws_lc_rs::digest::digest;
        // an ordinary point is not of small order
        let mut ordinary = [0; 32];
        ordinary.copy_from_slice(digest(&SHA256, b"a point, perhaps").as_ref());
        assert!(!has_small_order(&ordinary));
        // every encoding near 0 and near the prime, judged against the library that has the arithmetic
        let candidates = (0..=255_u8).flat_map(|low| [(low, 0x00), (low, 0x80), (low, 0x7f), (low, 0xff)]);
        let mut seen = 0;
        for (low, high) in candidates {
            let mut y = [if high & 0x7f == 0 { 0 } else { 0xff }; 32];
            (y[0], y[31]) = (low, high);
            let weak = VerifyingKey::from_bytes(&y).is_ok_and(|key| key.is_weak());
            assert!(!weak || has_small_order(&y), "{y:02x?}");
            seen += usize::from(weak);
        }
        for y in ORDER_8 {
            assert!(VerifyingKey::from_bytes(&y).unwrap().is_weak());
        }
        assert!(seen >= 6, "only {seen} points of small order were tried");
    }
}
