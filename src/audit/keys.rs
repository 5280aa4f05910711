//! The owner's keys as the descriptors of a log say: valid for the entries above the descriptor that names them.

use std::sync::Arc;

use super::fault::Wrong;
use crate::log::Origin;
use crate::log::note::VerifierKey;
use crate::statement::{Digest, KeyRing, Refused, Verified};
use crate::trust::compromise::{Compromised, newly};
use crate::trust::descriptor::{Descriptor, spoken};
use crate::trust::line::{Link, leads_back};

/// The last descriptor so far, and what is known of those before it.
pub struct Keys {
    origin: Origin,
    newest: Option<(Descriptor, Arc<KeyRing>)>,
    /// All of them: an auditor may know any.
    line: Vec<(Digest, Link)>,
}

impl Keys {
    /// Before entry 0.
    pub fn new(origin: Origin) -> Self {
        Self { origin, newest: None, line: Vec::new() }
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
        if *verified.issuer() != self.origin.node {
            return Err(Refused::Issuer.into());
        }
        let new = newly(self.newest.as_ref().map(|(before, _)| before), &descriptor, &self.origin);
        self.line.push((descriptor.fingerprint(), Link::of(&verified, &descriptor)));
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
        self.line.last().map(|(fingerprint, _)| *fingerprint)
    }

    /// Whether any of the descriptors has this fingerprint, written whole or as 30 digits, and leads back to entry 0.
    pub fn has_fingerprint(&self, text: &str) -> bool {
        let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let is_it = |f: &Digest| f.to_string() == text || digits(&spoken(f)) == digits(text);
        let links: Vec<Link> = self.line.iter().map(|(_, link)| link.clone()).collect();
        let known = self.line.iter().filter(|(fingerprint, _)| is_it(fingerprint));
        known.map(|(_, link)| link).any(|link| leads_back(link, &links, &links[0]))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::{SigningKey, Suite};
    use crate::trust::descriptor::sample::descriptor;

    #[test]
    fn a_log_that_somebody_else_began_does_not_lead_to_the_known_root() {
        let mut rng = StdRng::seed_from_u64(1);
        let [first, second, third, other, sign] = [(); 5].map(|()| SigningKey::generate(Suite::EdDsa, &mut rng));
        let begun = descriptor(&first, &second, &sign, 1);
        let begun_jws = begun.sign(&first, 1_780_000_000, &mut rng).unwrap();
        let later = descriptor(&second, &third, &sign, 2);
        let later_jws = later.sign_after(Some(&begun_jws), &second, 1_780_000_001, &mut rng).unwrap();
        let fingerprint = later.fingerprint().to_string();

        let mut keys =
            Keys::new(Origin { node: begun.node.clone(), log: crate::log::origin::LogName::Records, generation: 1 });
        keys.take(0, begun_jws.jws()).unwrap();
        keys.take(5, later_jws.jws()).unwrap();
        assert!(keys.has_fingerprint(&fingerprint));
        assert!(keys.has_fingerprint(&begun.fingerprint().to_string()));

        // it commits to the true root, whose thumbprint everybody knows, and the true descriptor seems to follow on it
        let theirs = descriptor(&other, &second, &sign, 1);
        let mut keys =
            Keys::new(Origin { node: begun.node.clone(), log: crate::log::origin::LogName::Records, generation: 1 });
        keys.take(0, theirs.sign(&other, 1_780_000_000, &mut rng).unwrap().jws()).unwrap();
        keys.take(5, later_jws.jws()).unwrap();
        assert!(!keys.has_fingerprint(&fingerprint));
    }
}
