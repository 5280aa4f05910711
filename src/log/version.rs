//! The versions of a record: which statement may stand next, and which must wait to be judged.
//!
//! A *place* is a kind and an identity under one issuer; it has one current version, and what comes next must name that one
//! as `prev`. Every mirror must come to the same versions, though clocks differ, one node knows kinds that another does not,
//! and chunks end anywhere. So one rule stands above all: **what stands at a place is judged in the order of the log**.
//!
//! - A statement that is early (its `iat` ahead of the clock, its kind unknown) is held, and so is each record behind it at
//!   the same place. Where the early one's kind is unknown its place is too: then every record of a kind of that name waits,
//!   of whatever version. Nothing else can depend on it: a `prev` that names an early statement of another place or another
//!   kind can never be current, whatever becomes of that one.
//! - What is held is tried again in the order of the log, and one that stays held keeps those behind it waiting.
//! - So whenever a record is accepted, or refused for its `prev`, all that stands before it at its place has been judged for
//!   good, and the verdict is the one that comes of judging the whole log at once when nothing in it is early any more.
//!
//! An event that only the record's issuer may say waits in the same way: for what is held at the record's place, and for what
//! is held of such events about it ([`crate::log::event`]).
//!
//! A version may name one whose body is not here (withheld from this node, or erased): what the gap said is not known, but
//! that it was replaced is, so the version takes the place of whatever is current; a second one at that place that names the
//! same gap is refused, as it is where the body is known.
//!
//! A descriptor that declares a key compromised voids what stands before it ([`again`]): the places of what is void are
//! judged anew, in the order of the log and as if the void had not been there, before anything behind the descriptor is.

use std::collections::HashSet;

use crate::statement::Digest;

/// Kind and identity of a record.
pub type Identified = (String, [u8; 32]);

/// How a version stands to those before it at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It replaces the current one, or is the first.
    Next,
    /// It replaces one whose body is not here, and with that whatever is current.
    OverGap,
    /// It replaces what is not current.
    Refused,
}

/// Judges the `prev` of a record. `gap`: whether it names an earlier entry without a body that nothing at this place has
/// replaced yet.
pub fn step(current: Option<Digest>, prev: Option<Digest>, gap: bool) -> Step {
    if prev == current {
        Step::Next
    } else if gap {
        Step::OverGap
    } else {
        Step::Refused
    }
}

/// A version at one place that is judged once more, because a key was declared compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Its digest.
    pub digest: Digest,
    /// What it says it replaces.
    pub prev: Option<Digest>,
    /// Whether that names an entry without a body which nothing before all of these has replaced.
    pub gap: bool,
    /// Whether a compromised key signed it.
    pub void: bool,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It stands, and replaces this version.
    Accepted(Option<Digest>),
    /// It replaces what is not current.
    Superseded,
    /// It counts for nothing.
    Void,
}

/// Judges the versions of a place anew, in the order of the log, from the version that was current before them.
pub fn again(mut current: Option<Digest>, versions: &[Again]) -> Vec<Becomes> {
    let mut filled = HashSet::new();
    let judge = |version: &Again| {
        if version.void {
            return Becomes::Void;
        }
        let gap = version.gap && version.prev.is_none_or(|prev| !filled.contains(&prev));
        let step = step(current, version.prev, gap);
        if step == Step::Refused {
            return Becomes::Superseded;
        }
        if step == Step::OverGap {
            filled.extend(version.prev);
        }
        Becomes::Accepted(current.replace(version.digest))
    };
    versions.iter().map(judge).collect()
}

/// What is held, and keeps records behind it waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    places: HashSet<Identified>,
    kinds: HashSet<String>,
}

impl Waiting {
    /// A statement of this kind is held; its identity is None where its kind is not known, or no record.
    pub fn add(&mut self, kind: &str, identity: Option<[u8; 32]>) {
        match identity {
            Some(identity) => drop(self.places.insert((kind.to_owned(), identity))),
            None if self.kinds.contains(kind) => {}
            None => drop(self.kinds.insert(kind.to_owned())),
        }
    }

    /// Whether something of this kind and identity is held.
    pub fn holds(&self, kind: &str, identity: [u8; 32]) -> bool {
        !self.places.is_empty() && self.places.contains(&(kind.to_owned(), identity))
    }

    /// Whether a record behind all that was added must wait.
    pub fn keeps(&self, kind: &str, identity: [u8; 32]) -> bool {
        self.kinds.contains(kind) || self.holds(kind, identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_replaces_the_current_one_or_a_gap() {
        let [a, b] = [b"a", b"b"].map(|text| Digest::of(text));
        for gap in [false, true] {
            assert_eq!(step(None, None, gap), Step::Next);
            assert_eq!(step(Some(a), Some(a), gap), Step::Next);
        }
        for (current, prev) in [(None, Some(a)), (Some(a), None), (Some(a), Some(b))] {
            assert_eq!(step(current, prev, false), Step::Refused);
        }
        assert_eq!(step(Some(a), Some(b), true), Step::OverGap);
    }

    #[test]
    fn what_was_refused_for_a_void_version_stands_again() {
        let [a, b, c, d, gap] = [b"a", b"b", b"c", b"d", b"g"].map(|text| Digest::of(text));
        let version = |digest, prev, void| Again { digest, prev, gap: prev == Some(gap), void };
        let good = [version(b, Some(a), false), version(c, Some(a), false), version(d, Some(b), false)];
        let accepted = |prev| Becomes::Accepted(Some(prev));
        assert_eq!(again(Some(a), &good), [accepted(a), Becomes::Superseded, accepted(b)]);
        let void = [version(b, Some(a), true), good[1], good[2]];
        assert_eq!(again(Some(a), &void), [Becomes::Void, accepted(a), Becomes::Superseded]);
        let over = [version(b, Some(gap), true), version(c, Some(gap), false), version(d, Some(gap), false)];
        assert_eq!(again(None, &over), [Becomes::Void, Becomes::Accepted(None), Becomes::Superseded]);
    }

    #[test]
    fn what_is_held_keeps_its_place_and_an_unknown_kind_all_of_its_name() {
        let mut waiting = Waiting::default();
        waiting.add("penalty", Some([1; 32]));
        waiting.add("novelty", None);
        assert!(waiting.keeps("penalty", [1; 32]) && !waiting.keeps("penalty", [2; 32]));
        assert!(!waiting.keeps("licence", [1; 32]));
        assert!(waiting.keeps("novelty", [1; 32]) && waiting.keeps("novelty", [2; 32]));
    }
}
