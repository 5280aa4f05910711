//! The keys of a log's owner as the descriptors in its log set them: a statement is valid under the last one below it.

use crate::statement::{Digest, KeyRing, Refused, Verified};
use crate::trust::descriptor::Descriptor;

/// A descriptor in a log, and the keys that it makes valid behind it.
struct Step {
    index: u64,
    descriptor: Descriptor,
    ring: KeyRing,
}

/// The descriptors of one log, from entry 0 up.
pub struct Keys {
    /// What the administrators confirmed: the first descriptor must be of one line with it.
    confirmed: String,
    steps: Vec<Step>,
}

impl Keys {
    /// No descriptor of the log is known yet, but one of its owner is confirmed.
    pub fn new(confirmed: String) -> Self {
        Self { confirmed, steps: Vec::new() }
    }

    /// With the descriptors that this node has accepted in the log: (index, statement), in order.
    pub fn with(confirmed: String, accepted: &[(u64, String)]) -> Result<Self, Refused> {
        let mut keys = Self::new(confirmed);
        for (index, jws) in accepted {
            let (_, next) = keys.next(*index, jws)?;
            keys.take(*index, next);
        }
        Ok(keys)
    }

    /// The keys for the statement at `index`; None before the first descriptor.
    pub fn at(&self, index: u64) -> Option<&KeyRing> {
        self.steps.iter().rev().find(|step| step.index < index).map(|step| &step.ring)
    }

    /// Verifies a descriptor at `index` as the next one of the log, without taking it yet.
    pub fn next(&self, index: u64, jws: &str) -> Result<(Verified, Descriptor), Refused> {
        let next = match self.steps.last() {
            Some(step) => step.descriptor.successor(jws),
            None if index == 0 => return self.first(jws),
            None => return Err(Refused::UnknownKey),
        };
        next.map_err(|error| Refused::Rule(format!("not the successor of the descriptor before it: {error}")))
    }

    /// From here on a descriptor's keys are valid.
    pub fn take(&mut self, index: u64, descriptor: Descriptor) {
        let ring = descriptor.key_ring();
        self.steps.push(Step { index, descriptor, ring });
    }

    /// Entry 0 vouches for itself, and must be the confirmed descriptor or stand in one line with it: what signed the one
    /// must have been entitled to sign the other.
    fn first(&self, jws: &str) -> Result<(Verified, Descriptor), Refused> {
        let rule = |why: String| Refused::Rule(format!("not of one line with the confirmed descriptor: {why}"));
        let (verified, first) = Descriptor::open(jws).map_err(|error| rule(error.to_string()))?;
        if verified.digest() == Digest::of(self.confirmed.as_bytes()) || first.successor(&self.confirmed).is_ok() {
            return Ok((verified, first));
        }
        let (_, confirmed) = Descriptor::open(&self.confirmed).map_err(|error| rule(error.to_string()))?;
        confirmed.successor(jws).map_err(|error| rule(error.to_string()))
    }
}
