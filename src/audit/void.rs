//! What compromised keys signed: named as void, and the versions of records judged anew as if it had not stood there, by
//! the rule that mirrors have ([`crate::trust::compromise`]). The log up to the descriptor that declares them is read once
//! more for that.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::{Fault, Wrong};
use super::folder::{Folder, Line};
use super::versions::Versions;
use crate::log::tile::FULL;
use crate::statement::{Kinds, Unverified};
use crate::trust::compromise::Compromised;

/// How an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Verified, and judged but for what it names.
    Good,
    /// Verified, and early.
    Held,
    /// Refused.
    Refused,
    /// Void.
    Void,
}

/// What is void in a log so far.
pub struct Void {
    size: u64,
    /// Keys by the index of the descriptor that declares them.
    declared: BTreeMap<u64, Vec<Compromised>>,
    /// Entries refused for what they are, which no other judgement mends.
    refused: BTreeSet<u64>,
    /// Entries refused for their `prev`.
    superseded: BTreeSet<u64>,
    /// Entries held: verified, but not counted so.
    held: BTreeSet<u64>,
    /// Entries named as void.
    named: BTreeSet<u64>,
    /// How many of those had been counted as verified.
    fallen: u64,
}

impl Void {
    /// Of a log of so many entries.
    pub fn new(size: u64) -> Self {
        let (declared, refused, superseded, held, named) = Default::default();
        Self { size, declared, refused, superseded, held, named, fallen: 0 }
    }

    /// The descriptor at an index declares keys compromised.
    pub fn declared(&mut self, index: u64, keys: Vec<Compromised>) {
        if keys.iter().any(|key| key.valid_below < index) {
            self.declared.insert(index, keys);
        }
    }

    /// An entry is refused, for its `prev` or for what it is.
    pub fn refused(&mut self, index: u64, for_prev: bool) {
        if for_prev {
            self.superseded.insert(index)
        } else {
            self.refused.insert(index)
        };
    }

    /// An entry is held.
    pub fn held(&mut self, index: u64) {
        self.held.insert(index);
    }

    /// How many entries that had been counted as verified are void.
    pub fn fallen(&self) -> u64 {
        self.fallen
    }

    /// Whether the descriptor at an index voids what stands before it.
    pub fn is_due(&self, index: u64) -> bool {
        self.declared.contains_key(&index)
    }

    /// Goes through the log below a descriptor once more: names what is void, and what stands on it, and leaves the versions
    /// as they are without.
    pub fn again(&mut self, end: u64, folder: &Folder, kinds: &Kinds, versions: &mut Versions) -> Vec<Fault> {
        versions.begin_anew();
        let mut void = Vec::new();
        for n in 0..end.div_ceil(FULL as u64) {
            let first = n * FULL as u64;
            let width = (self.size - first).min(FULL as u64) as u16;
            let Ok(text) = folder.statements(n, width) else { continue };
            for (index, line) in (first..end).zip(text.split('\n')) {
                let Line::Body(jws) = Line::parse(line) else { continue };
                let Ok(unverified) = Unverified::parse(jws) else { continue };
                let statement = unverified.statement();
                if statement.typ.kind == "descriptor" {
                    continue;
                }
                if self.is_void(index, end, unverified.kid()) {
                    if self.named.insert(index) {
                        self.fallen += u64::from(self.stood(index));
                        void.push(Fault::at(index, Wrong::Compromised));
                    }
                    continue;
                }
                if self.refused.contains(&index) {
                    continue;
                }
                let Some(kind) = kinds.find(&statement.typ) else { continue };
                let Some(identity) = kind.identity_of(statement) else { continue };
                let key = Versions::key(&statement.typ.kind, &identity);
                let follows = versions.follow(key, &unverified.digest(), statement.prev.as_ref());
                if !follows && self.superseded.insert(index) {
                    self.fallen += u64::from(!self.held.contains(&index));
                    void.push(Fault::at(index, Wrong::OnVoid));
                }
            }
        }
        void
    }

    /// How an entry stands that could be read.
    pub fn stands(&self, index: u64) -> Stands {
        if self.named.contains(&index) {
            Stands::Void
        } else if self.refused.contains(&index) || self.superseded.contains(&index) {
            Stands::Refused
        } else if self.held.contains(&index) {
            Stands::Held
        } else {
            Stands::Good
        }
    }

    fn stood(&self, index: u64) -> bool {
        ![&self.refused, &self.superseded, &self.held].iter().any(|others| others.contains(&index))
    }

    fn is_void(&self, index: u64, end: u64, kid: &str) -> bool {
        let keys = self.declared.range(index + 1..=end).flat_map(|(_, keys)| keys);
        keys.into_iter().any(|key| key.kid == kid && key.valid_below <= index)
    }
}
