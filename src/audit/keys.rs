//! The owner's keys as the descriptors of a log say: valid for the entries above the descriptor that names them.

use std::sync::Arc;

use super::fault::Wrong;
use crate::log::Origin;
use crate::log::note::VerifierKey;
use crate::statement::{Digest, KeyRing, NodeId, Refused, Verified};
use crate::trust::descriptor::{Descriptor, KeyState, Purpose, spoken};

/// The last descriptor so far, and what is known of those before it.
pub struct Keys {
    owner: NodeId,
    newest: Option<(Descriptor, Arc<KeyRing>)>,
    /// The fingerprints of all of them: an auditor may know any.
    fingerprints: Vec<Digest>,
}

/// Signatures of a key count below an index only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compromised {
    /// The key.
    pub kid: String,
    /// From this index on what it signed is void.
    pub valid_below: u64,
}

impl Keys {
    /// Before entry 0.
    pub fn new(owner: NodeId) -> Self {
        Self { owner, newest: None, fingerprints: Vec::new() }
    }

    /// The keys for the next entry.
    pub fn ring(&self) -> Option<&Arc<KeyRing>> {
        self.newest.as_ref().map(|(_, ring)| ring)
    }

    /// Takes the descriptor at `index`. Says which keys it declares compromised that the one before it did not.
    pub fn take(&mut self, index: u64, jws: &str) -> Result<(Verified, Vec<Compromised>), Wrong> {
        let opened = match &self.newest {
            Some((descriptor, _)) => descriptor.successor(jws),
            None if index == 0 => Descriptor::open(jws),
            None => return Err(Wrong::NoKeys),
        };
        let (verified, descriptor) = opened.map_err(|error| Wrong::Descriptor(error.to_string()))?;
        if *verified.issuer() != self.owner {
            return Err(Refused::Issuer.into());
        }
        let known = self.newest.as_ref().map(|(before, _)| compromised(before)).unwrap_or_default();
        let new = compromised(&descriptor).into_iter().filter(|c| !known.contains(c)).collect();
        self.fingerprints.push(descriptor.fingerprint());
        let ring = Arc::new(descriptor.key_ring());
        self.newest = Some((descriptor, ring));
        Ok((verified, new))
    }

    /// The keys that the newest descriptor names for this log.
    pub fn log_keys(&self, origin: &Origin) -> Vec<VerifierKey> {
        self.newest.as_ref().map(|(descriptor, _)| descriptor.log_keys(origin)).unwrap_or_default()
    }

    /// The fingerprint of the newest descriptor.
    pub fn fingerprint(&self) -> Option<Digest> {
        self.fingerprints.last().copied()
    }

    /// Whether any of the descriptors has this fingerprint, written whole or as 30 digits: each follows from the one before it, by its root key.
    pub fn has_fingerprint(&self, text: &str) -> bool {
        let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        self.fingerprints.iter().any(|f| f.to_string() == text || digits(&spoken(f)) == digits(text))
    }
}

fn compromised(descriptor: &Descriptor) -> Vec<Compromised> {
    let keys = descriptor.keys.iter().filter(|key| key.state == KeyState::Compromised && key.purpose == Purpose::Sign);
    keys.map(|key| Compromised { kid: key.key.kid().to_owned(), valid_below: key.valid_below.unwrap_or(0) }).collect()
}
