//! Small descriptors for tests.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{Descriptor, KeyEntry, KeyState, Purpose, thumbprint};
use crate::statement::{SigningKey, Suite, Verified};

/// When they are made, in seconds since 1970.
pub const NOW: i64 = 1_780_000_000;

/// A descriptor of 340500 with one signing key, under one root and naming the next.
pub fn descriptor(root: &SigningKey, next: &SigningKey, sign: &SigningKey, sequence: u64) -> Descriptor {
    Descriptor {
        node: "340500".parse().unwrap(),
        versions: vec![1],
        suites: vec![Suite::EdDsa],
        sequence,
        name: "示例市".to_owned(),
        endpoints: vec!["https://127.0.0.1:7443".to_owned()],
        tls: vec![],
        logs: vec![],
        keys: vec![KeyEntry {
            key: sign.public().clone(),
            purpose: Purpose::Sign,
            state: KeyState::Active,
            valid_below: None,
        }],
        root: root.public().clone(),
        next_root: thumbprint(next.public()),
        refresh: 3600,
        valid_until: NOW + 1000,
        predecessor: None,
        successor: None,
    }
}

/// So many of them, oldest first, each signed by the root key that the one before it committed to.
pub fn line(seed: u64, count: usize) -> Vec<(Verified, Descriptor)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let roots: Vec<SigningKey> = (0..=count).map(|_| SigningKey::generate(Suite::EdDsa, &mut rng)).collect();
    let sign = SigningKey::generate(Suite::EdDsa, &mut rng);
    let mut made: Vec<(Verified, Descriptor)> = Vec::new();
    for (sequence, roots) in (1..).zip(roots.windows(2)) {
        let descriptor = descriptor(&roots[0], &roots[1], &sign, sequence);
        let before = made.last().map(|(verified, _)| verified);
        let signed = descriptor.sign_after(before, &roots[0], NOW, &mut rng).unwrap();
        made.push((signed, descriptor));
    }
    made
}
