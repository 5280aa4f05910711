//! The keys of a log's owner as the descriptors in its log set them: a statement is valid under the last one below it.

use std::sync::Arc;

use crate::log::Origin;
use crate::statement::{KeyRing, Refused, Verified};
use crate::trust::compromise::{newly, unvoided};
use crate::trust::descriptor::Descriptor;
use crate::trust::line::{Link, leads_back, leads_on};

/// The keys of one log's owner, from the descriptor at entry 0 up. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    /// What the administrators confirmed, or what has followed on it since: entry 0 must be of one line with it.
    confirmed: Arc<str>,
    /// Descriptors of the owner, oldest first, that may stand in that line between entry 0 and the confirmed one.
    line: Arc<[String]>,
    /// The last descriptor of the log so far.
    last: Option<Arc<Descriptor>>,
    /// From behind which index on which keys are valid.
    steps: Vec<(u64, Arc<KeyRing>)>,
}

impl Keys {
    /// No descriptor of the log is known yet, but one of its owner is confirmed. `line` may be whatever the owner says
    /// its descriptors are, oldest first: each is verified by the one before it.
    pub fn new(confirmed: &str, line: Vec<String>) -> Self {
        Self { confirmed: confirmed.into(), line: line.into(), last: None, steps: Vec::new() }
    }

    /// With the descriptors that this node has accepted in the log: (index, statement), in order. The first of them was held
    /// against the confirmed one when it came, and that one has moved on since, so it is not held against it again.
    pub fn with(confirmed: &str, accepted: &[(u64, String)]) -> Result<Self, Refused> {
        let mut keys = Self::new(confirmed, Vec::new());
        keys.extend(accepted)?;
        Ok(keys)
    }

    /// Takes those that this node has accepted since.
    pub fn extend(&mut self, accepted: &[(u64, String)]) -> Result<(), Refused> {
        for (index, jws) in accepted {
            let next = match &self.last {
                Some(_) => self.next(*index, jws)?.1,
                None => Descriptor::open(jws).map_err(|error| broken(&error))?.1,
            };
            self.take(*index, next);
        }
        Ok(())
    }

    /// The index of the last descriptor that was taken.
    pub fn last_index(&self) -> Option<u64> {
        self.steps.last().map(|(index, _)| *index)
    }

    /// The keys for the statement at `index`; None before the first descriptor.
    pub fn at(&self, index: u64) -> Option<&KeyRing> {
        self.steps.iter().rev().find(|(from, _)| *from < index).map(|(_, ring)| &**ring)
    }

    /// Verifies a descriptor at `index` as the next one of the log, without taking it yet.
    pub fn next(&self, index: u64, jws: &str) -> Result<(Verified, Descriptor), Refused> {
        let next = match &self.last {
            Some(last) => last.successor(jws),
            None if index == 0 => return self.first(jws),
            None => return Err(Refused::UnknownKey),
        };
        next.map_err(|error| broken(&error))
    }

    /// From where on a descriptor at `index` voids what compromised keys signed in this log; None if it voids nothing that
    /// the last one did not.
    pub fn voids(&self, index: u64, next: &Descriptor, origin: &Origin) -> Option<u64> {
        unvoided(&newly(self.last.as_deref(), next, origin), index)
    }

    /// From here on a descriptor's keys are valid.
    pub fn take(&mut self, index: u64, descriptor: Descriptor) {
        self.steps.push((index, Arc::new(descriptor.key_ring())));
        self.last = Some(Arc::new(descriptor));
    }

    /// Entry 0 vouches for itself, and must stand in one line with the confirmed descriptor.
    fn first(&self, jws: &str) -> Result<(Verified, Descriptor), Refused> {
        let (verified, first) = Descriptor::open(jws).map_err(|error| broken(&error))?;
        let (known, confirmed) = Descriptor::open(&self.confirmed).map_err(|error| broken(&error))?;
        let line = || self.line.iter().map(String::as_str);
        let links: Vec<Link> = line().filter_map(Link::read).collect();
        if leads_back(&Link::of(&known, &confirmed), &links, &Link::of(&verified, &first))
            || leads_on(&confirmed, line(), &verified)
        {
            return Ok((verified, first));
        }
        Err(broken(&"entry 0 is not of one line with the confirmed descriptor"))
    }
}

fn broken(why: &dyn std::fmt::Display) -> Refused {
    Refused::Rule(format!("a descriptor that does not stand in its node's line: {why}"))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::{SigningKey, Suite};
    use crate::trust::descriptor::sample;

    fn line() -> Vec<String> {
        sample::line(1, 4).iter().map(|(verified, _)| verified.jws().to_owned()).collect()
    }

    #[test]
    fn a_log_may_begin_any_number_of_roots_before_the_confirmed_descriptor() {
        let line = line();
        for confirmed in 0..4 {
            let keys = Keys::new(&line[confirmed], line.clone());
            assert!(keys.next(0, &line[0]).is_ok(), "{confirmed}");
            let accepted: Vec<_> = (0..).zip(line[..2].iter().cloned()).collect();
            let mut keys = Keys::with(&line[confirmed.min(2)], &accepted).unwrap();
            assert!(keys.at(0).is_none() && keys.at(1).is_some());
            let (_, next) = keys.next(7, &line[2]).unwrap();
            keys.take(7, next.clone());
            assert_eq!(keys.at(7).unwrap().root, Descriptor::open(&line[1]).unwrap().1.root);
            assert_eq!(keys.at(8).unwrap().root, next.root);
        }
        // without those between, two changes of the root cannot be followed, either way
        for (confirmed, first) in [(2, 0), (0, 2)] {
            assert!(Keys::new(&line[confirmed], vec![]).next(0, &line[first]).is_err());
            assert!(Keys::new(&line[confirmed], line.clone()).next(0, &line[first]).is_ok());
        }
        assert!(Keys::new(&line[1], vec![]).next(0, &line[0]).is_ok());
        assert!(Keys::new(&line[0], vec![]).next(0, &line[1]).is_ok());
    }

    #[test]
    fn a_log_of_another_line_is_not_the_confirmed_node_s() {
        let line = line();
        // it names the true next root, which everybody knows, so that the true line seems to follow on it
        let (_, mut other) = Descriptor::open(&line[0]).unwrap();
        let mut rng = StdRng::seed_from_u64(2);
        let root = SigningKey::generate(Suite::EdDsa, &mut rng);
        other.root = root.public().clone();
        let other = other.sign(&root, 1_780_000_000, &mut rng).unwrap().jws().to_owned();
        for confirmed in &line {
            assert!(Keys::new(confirmed, line.clone()).next(0, &other).is_err());
        }
    }
}
