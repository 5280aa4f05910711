//! How a key's place is taken by another: announced as `next`, then active beside the old one, then alone. Each step is a
//! new descriptor, so that whoever reads the log knows at each index which keys are valid.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;

use super::descriptor::{DESCRIPTOR_HOLDS, Descriptor, KeyEntry, KeyState, Purpose, TlsTrust};
use crate::log::origin::LogName;
use crate::statement::PublicKey;

/// As many retired keys of a use, and authorities, stay named: what they signed is valid by the descriptors before.
const RETIRED_KEPT: usize = 2;

/// What is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The key that signs statements.
    Sign,
    /// The key of the `records` log.
    LogRecords,
    /// The key of the `exchange` log.
    LogExchange,
    /// The key that cosigns others' checkpoints.
    Witness,
    /// The key that others encrypt to.
    Seal,
    /// The TLS certificate, from the same authority.
    Certificate,
    /// The authority itself.
    Ca,
    /// The root key.
    Root,
}

/// One step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// A new one is named as `next`.
    Announce,
    /// The next one is active, beside the old one.
    Activate,
    /// The old one is retired.
    Retire,
}

impl Use {
    /// All of them, with their names on the command line.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Sign, "sign"),
        (Self::LogRecords, "log-records"),
        (Self::LogExchange, "log-exchange"),
        (Self::Witness, "witness"),
        (Self::Seal, "seal"),
        (Self::Certificate, "certificate"),
        (Self::Ca, "ca"),
        (Self::Root, "root"),
    ];

    /// The purpose that a descriptor gives a key of this use; None for what is no key of a descriptor, or where it has no
    /// such log open.
    pub fn purpose(self, descriptor: &Descriptor) -> Option<Purpose> {
        let log = |name| {
            let open = descriptor.logs.iter().filter(|log| log.origin.log == name && log.closed_at.is_none());
            open.max_by_key(|log| log.origin.generation).map(|log| Purpose::Log(log.origin.clone()))
        };
        match self {
            Self::Sign => Some(Purpose::Sign),
            Self::LogRecords => log(LogName::Records),
            Self::LogExchange => log(LogName::Exchange),
            Self::Witness => Some(Purpose::Witness),
            Self::Seal => Some(Purpose::Seal),
            Self::Certificate | Self::Ca | Self::Root => None,
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(this, _)| this == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for Use {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = Self::ALL.iter();
        all.clone().find(|(_, name)| *name == text).map(|(this, _)| *this).ok_or_else(|| {
            let names: Vec<_> = all.map(|(_, name)| *name).collect();
            format!("one of {} is expected", names.join(", "))
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Announce => "announce",
            Self::Activate => "activate",
            Self::Retire => "retire",
        })
    }
}

/// The step that comes next for things in these states.
fn step_of(states: impl Iterator<Item = KeyState>) -> Step {
    let (mut announced, mut active) = (false, 0);
    for state in states {
        announced |= state == KeyState::Next;
        active += usize::from(state == KeyState::Active);
    }
    match active {
        _ if announced => Step::Activate,
        0 | 1 => Step::Announce,
        _ => Step::Retire,
    }
}

impl Descriptor {
    /// The step that comes next for the keys of a purpose.
    pub fn step(&self, purpose: &Purpose) -> Step {
        step_of(self.keys.iter().filter(|entry| entry.purpose == *purpose).map(|entry| entry.state))
    }

    /// The step that comes next for the authorities.
    pub fn ca_step(&self) -> Step {
        step_of(self.tls.iter().map(|trust| trust.state))
    }

    /// The descriptor that follows, unchanged but for its sequence and how long it holds.
    pub fn renewed(&self, now: i64) -> Self {
        let valid_until = self.valid_until.max(now + DESCRIPTOR_HOLDS);
        Self { sequence: self.sequence + 1, valid_until, ..self.clone() }
    }

    /// Names another key for a purpose.
    pub fn with_key(mut self, key: PublicKey, purpose: Purpose, state: KeyState) -> Self {
        self.keys.push(KeyEntry { key, purpose, state, valid_below: None });
        self
    }

    /// Names another authority.
    pub fn with_ca(mut self, certificate: CertificateDer<'static>, state: KeyState) -> Self {
        self.tls.push(TlsTrust { certificate, state });
        self
    }

    /// Makes the next key of a purpose an active one.
    pub fn activated(mut self, purpose: &Purpose) -> Self {
        for entry in self.keys.iter_mut().filter(|entry| entry.purpose == *purpose && entry.state == KeyState::Next) {
            entry.state = KeyState::Active;
        }
        self
    }

    /// Makes the next authority an active one.
    pub fn ca_activated(mut self) -> Self {
        for trust in self.tls.iter_mut().filter(|trust| trust.state == KeyState::Next) {
            trust.state = KeyState::Active;
        }
        self
    }

    /// Leaves the last active key of a purpose alone; the longest retired ones are no longer named.
    pub fn retired(mut self, purpose: &Purpose) -> Self {
        let of = |entry: &KeyEntry, state| entry.purpose == *purpose && entry.state == state;
        let last = self.keys.iter().rposition(|entry| of(entry, KeyState::Active));
        for (place, entry) in self.keys.iter_mut().enumerate() {
            if of(entry, KeyState::Active) && Some(place) != last {
                entry.state = KeyState::Retired;
            }
        }
        let retired = self.keys.iter().filter(|entry| of(entry, KeyState::Retired)).count();
        let mut drop = retired.saturating_sub(RETIRED_KEPT);
        self.keys.retain(|entry| {
            let goes = drop > 0 && of(entry, KeyState::Retired);
            drop -= usize::from(goes);
            !goes
        });
        self
    }

    /// Leaves the last active authority alone.
    pub fn ca_retired(mut self) -> Self {
        let last = self.tls.iter().rposition(|trust| trust.state == KeyState::Active);
        for (place, trust) in self.tls.iter_mut().enumerate() {
            if trust.state == KeyState::Active && Some(place) != last {
                trust.state = KeyState::Retired;
            }
        }
        let retired = self.tls.iter().filter(|trust| trust.state == KeyState::Retired).count();
        let mut drop = retired.saturating_sub(RETIRED_KEPT);
        self.tls.retain(|trust| {
            let goes = drop > 0 && trust.state == KeyState::Retired;
            drop -= usize::from(goes);
            !goes
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::{Digest, SigningKey, Suite};
    use crate::trust::keys::NodeKeys;

    fn descriptor() -> Descriptor {
        let mut rng = StdRng::seed_from_u64(1);
        let node = "340500".parse().unwrap();
        Descriptor {
            keys: NodeKeys::generate(Suite::EdDsa, &mut rng).entries(&node),
            node,
            versions: vec![1],
            suites: Suite::ALL.to_vec(),
            sequence: 1,
            name: "示例市".to_owned(),
            endpoints: Vec::new(),
            tls: Vec::new(),
            logs: Vec::new(),
            root: SigningKey::generate(Suite::EdDsa, &mut rng).public().clone(),
            next_root: Digest::of(b"next"),
            refresh: 3600,
            valid_until: 10,
            predecessor: None,
            successor: None,
        }
    }

    #[test]
    fn a_key_is_announced_then_active_beside_the_old_one_then_alone() {
        let mut now = descriptor();
        let states = |d: &Descriptor| -> Vec<KeyState> {
            d.keys.iter().filter(|k| k.purpose == Purpose::Sign).map(|k| k.state).collect()
        };
        for round in 0..4_u64 {
            let key = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(10 + round)).public().clone();
            assert_eq!(now.step(&Purpose::Sign), Step::Announce);
            now = now.renewed(100).with_key(key.clone(), Purpose::Sign, KeyState::Next);
            assert_eq!(now.step(&Purpose::Sign), Step::Activate);
            assert!(!now.key_ring().sign.contains_key(key.kid()));
            now = now.renewed(100).activated(&Purpose::Sign);
            assert_eq!(now.key_ring().sign.len(), 2, "what either signs is valid");
            assert_eq!(now.step(&Purpose::Sign), Step::Retire);
            now = now.renewed(100).retired(&Purpose::Sign);
            assert_eq!(now.key_ring().sign.keys().collect::<Vec<_>>(), [key.kid()]);
            assert_eq!(now.sequence, 4 + 3 * round);
        }
        assert_eq!(states(&now), [KeyState::Retired, KeyState::Retired, KeyState::Active]);
        assert_eq!(now.valid_until, 100 + DESCRIPTOR_HOLDS);
        assert_eq!(now.keys.len(), 7, "the keys of other uses are as they were");
    }
}
