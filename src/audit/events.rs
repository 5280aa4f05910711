//! Events against what they name: once the whole log is through, each event is judged by the statement that it is about and by
//! what was said of that record before, by the rule that nodes have ([`crate::log::event`]), where that stands in this log.
//!
//! On the way through the log only their places are noted. Which entries they name is looked up in the bundles, and those
//! bodies alone are read once more, so that a log of a million records needs no more memory for this than its events do.
//!
//! Not judged, and counted, is what another log would have to say. Neither rules of dates, as of the least publicity, nor
//! policies are asked: those are each node's own, and no log is wrong by them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::fault::{Fault, Wrong};
use super::folder::{Folder, Line};
use super::versions::Versions;
use super::void::{Stands, Void};
use crate::log::Origin;
use crate::log::event::{self, Lives, RecordPlace, Target, place_of};
use crate::log::judge::NotAccepted;
use crate::log::tile::FULL;
use crate::statement::kind::By;
use crate::statement::{Audience, Digest, Kind, Kinds, NotAbout, Refused, Statement, Unverified};

/// Why an event is not judged against what it names: that is another node's, or of an older generation.
pub const ELSEWHERE: &str = "that stands in another log";
/// … or is early, void, withheld or erased, or was not judged itself.
pub const NOT_READ: &str = "that was not judged itself, or its body is not here";
/// … or it is wrong only by what was said before, and not all of that is here.
pub const GAPS: &str = "they do not follow what was said before, of which bodies are missing, early or void";

/// Kinds of which a body decides whether an event may be said; of all others only heads are kept.
const BODIES: [&str; 2] = ["repair", "application"];

/// The events of a log, as they are noted on the way through it.
#[derive(Default)]
pub struct Events {
    noted: Vec<Noted>,
    /// Later versions of records: where, and of which.
    versions: Vec<(u64, u128)>,
}

/// What an event names.
#[derive(Clone, Copy)]
pub struct Named {
    about: Digest,
    issuers: bool,
}

/// Where an event stands and what it names.
struct Noted {
    index: u64,
    digest: Digest,
    about: Digest,
    /// Only who issued that may say it.
    issuers: bool,
}

/// What an audit knows of the log once it is through.
pub struct Log<'a> {
    pub folder: &'a Folder,
    pub kinds: &'a Kinds,
    pub origin: &'a Origin,
    pub size: u64,
    pub void: &'a Void,
    /// Bodies that were erased, or entries that could not be judged: any record may have been spoken of in them.
    pub gaps: bool,
    /// Bodies that are withheld: an addressed record may have been.
    pub withheld: bool,
}

/// What came of it.
#[derive(Default)]
pub struct Found {
    /// Events that may not be said.
    pub faults: Vec<Fault>,
    /// How many were judged and are good.
    pub good: u64,
    /// How many were not, by reason.
    pub unjudged: BTreeMap<&'static str, u64>,
}

/// A body that is read once more.
struct Body {
    statement: Statement,
    place: Option<RecordPlace>,
}

/// What stands at an index.
enum Step<'a> {
    /// Something that an event names, and no event that is noted itself.
    Named(Digest),
    Version(u128),
    Event(&'a Noted),
}

impl Named {
    /// What a statement names, where it is an event.
    pub fn of(kind: &Kind, statement: &Statement) -> Option<Self> {
        let about = event::named(kind, statement)?;
        Some(Self { about, issuers: kind.about.as_ref().is_some_and(|about| about.by == By::Issuer) })
    }
}

impl Events {
    /// An event is accepted but for what it names.
    pub fn note(&mut self, index: u64, digest: Digest, named: Named) {
        self.noted.push(Noted { index, digest, about: named.about, issuers: named.issuers });
    }

    /// A version of a record is accepted that is not its first.
    pub fn version(&mut self, index: u64, record: u128) {
        self.versions.push((index, record));
    }

    /// Judges them all.
    pub fn judge(&self, log: &Log<'_>) -> Found {
        let mut found = Found::default();
        if self.noted.is_empty() {
            return found;
        }
        let wanted: HashSet<Digest> = self.noted.iter().map(|event| event.about).collect();
        let (places, complete) = log.places(&wanted);
        let here = self.noted.iter().filter(|event| places.contains_key(&event.about));
        let read: BTreeSet<u64> = places.values().copied().chain(here.map(|event| event.index)).collect();
        let bodies = log.bodies(&read);
        let mut judging = Judging {
            log,
            complete,
            places: &places,
            bodies: &bodies,
            lives: Lives::default(),
            records: HashMap::new(),
        };
        for (index, step) in self.in_order(&places) {
            match step {
                Step::Named(digest) => judging.named(index, digest),
                Step::Version(record) => judging.version(index, record),
                Step::Event(event) => judging.event(event, &mut found),
            }
        }
        found
    }

    fn in_order(&self, places: &HashMap<Digest, u64>) -> Vec<(u64, Step<'_>)> {
        let events: HashSet<u64> = self.noted.iter().map(|event| event.index).collect();
        let named = places.iter().filter(|(_, index)| !events.contains(index));
        let mut steps: Vec<(u64, Step<'_>)> = named.map(|(digest, index)| (*index, Step::Named(*digest))).collect();
        steps.extend(self.versions.iter().map(|(index, record)| (*index, Step::Version(*record))));
        steps.extend(self.noted.iter().map(|event| (event.index, Step::Event(event))));
        steps.sort_by_key(|(index, _)| *index);
        steps
    }
}

impl Log<'_> {
    fn bundles(&self) -> impl Iterator<Item = (u64, u64, u16)> {
        let size = self.size;
        (0..size.div_ceil(FULL as u64)).map(move |n| {
            let first = n * FULL as u64;
            (n, first, (size - first).min(FULL as u64) as u16)
        })
    }

    /// Where these entries stand first, and whether all bundles could be looked through.
    fn places(&self, wanted: &HashSet<Digest>) -> (HashMap<Digest, u64>, bool) {
        let (mut places, mut complete) = (HashMap::new(), true);
        for (n, first, width) in self.bundles() {
            let Ok(entries) = self.folder.bundle(n, width) else {
                complete = false;
                if n == 0 || self.folder.bundle(n - 1, FULL as u16).is_err() {
                    break; // a size that nothing in the folder bears out
                }
                continue;
            };
            for (index, entry) in (first..).zip(entries).filter(|(_, entry)| wanted.contains(&entry.digest)) {
                places.entry(entry.digest).or_insert(index);
            }
        }
        (places, complete)
    }

    /// The bodies at these places, as far as they are here; the digest of each was held against its entry before.
    fn bodies(&self, wanted: &BTreeSet<u64>) -> HashMap<u64, Body> {
        let mut bodies = HashMap::with_capacity(wanted.len());
        for (n, first, width) in self.bundles() {
            let end = first + u64::from(width);
            if wanted.range(first..end).next().is_none() {
                if wanted.range(end..).next().is_none() {
                    break;
                }
                continue;
            }
            let Ok(text) = self.folder.statements(n, width) else { continue };
            for (index, line) in (first..).zip(text.split('\n')).filter(|(index, _)| wanted.contains(index)) {
                let Line::Body(jws) = Line::parse(line) else { continue };
                let Ok(unverified) = Unverified::parse(jws) else { continue };
                bodies.insert(index, self.body(unverified.statement()));
            }
        }
        bodies
    }

    fn body(&self, statement: &Statement) -> Body {
        let mut statement = statement.clone();
        let place = self.kinds.find(&statement.typ).and_then(|kind| place_of(kind, &statement));
        if !BODIES.contains(&statement.typ.kind.as_str()) {
            statement.body.clear();
        }
        Body { statement, place }
    }
}

/// Judging, at a place in the log.
struct Judging<'a> {
    log: &'a Log<'a>,
    complete: bool,
    places: &'a HashMap<Digest, u64>,
    bodies: &'a HashMap<u64, Body>,
    lives: Lives,
    /// The records that events name.
    records: HashMap<u128, RecordPlace>,
}

impl Judging<'_> {
    fn named(&mut self, index: u64, digest: Digest) {
        let at = (self.log.origin.generation, index);
        let target = match (self.log.void.stands(index), self.bodies.get(&index)) {
            (Stands::Refused, _) => Target::Refused,
            (Stands::Good, Some(Body { statement, place: Some(place) })) => {
                self.records.insert(Versions::key(&place.kind, &place.identity), place.clone());
                return self.lives.take_record(digest, statement, place.clone(), at);
            }
            (Stands::Good, Some(_)) => Target::Other,
            _ => Target::Early,
        };
        self.lives.targets.insert(digest, target);
    }

    fn version(&mut self, index: u64, record: u128) {
        if let Some(place) = self.records.get(&record).filter(|_| self.log.void.stands(index) == Stands::Good) {
            self.lives.take_version(place.clone(), (self.log.origin.generation, index));
        }
    }

    fn event(&mut self, event: &Noted, found: &mut Found) {
        if self.log.void.stands(event.index) != Stands::Good {
            // named as void before
            return drop(self.lives.targets.insert(event.digest, Target::Early));
        }
        match self.judge(event) {
            Ok(()) => found.good += 1,
            Err(Ok(why)) => *found.unjudged.entry(why).or_default() += 1,
            Err(Err(refused)) => {
                self.lives.targets.insert(event.digest, Target::Refused);
                return found.faults.push(Fault::at(event.index, Wrong::Refused(refused)));
            }
        }
        self.lives.targets.entry(event.digest).or_insert(Target::Early);
    }

    /// Whether an event may be said, why that cannot be judged, or why not.
    fn judge(&mut self, event: &Noted) -> Result<(), Result<&'static str, Refused>> {
        let at = (self.log.origin.generation, event.index);
        if !self.places.contains_key(&event.about) {
            // of one's own log all that stands below is known
            let is_nothing = event.issuers && at.0 == 1 && self.complete;
            return Err(if is_nothing { Err(NotAbout::Nothing.into()) } else { Ok(ELSEWHERE) });
        }
        let Some(Body { statement, .. }) = self.bodies.get(&event.index) else { return Err(Ok(NOT_READ)) };
        let kind = self.log.kinds.find(&statement.typ);
        let Some(about) = kind.and_then(|kind| kind.about.as_ref()) else { return Err(Ok(NOT_READ)) };
        match self.lives.judge(about, statement, at) {
            Ok(place) => {
                self.lives.take(event.digest, statement, place, at);
                Ok(())
            }
            Err(NotAccepted::Held(_)) => Err(Ok(NOT_READ)),
            Err(NotAccepted::Refused(refused)) if self.may_be_good(&refused, event) => Err(Ok(GAPS)),
            Err(NotAccepted::Refused(refused)) => Err(Err(refused)),
        }
    }

    /// Whether something that is not here may have been said before, by which this may be said after all.
    fn may_be_good(&self, refused: &Refused, event: &Noted) -> bool {
        use NotAbout::{Answered, Refused as OfRefused, Repaired, Revoked, Stage, Withdrawn};
        let Refused::Event(OfRefused | Withdrawn | Repaired | Revoked | Answered | Stage) = refused else {
            return false;
        };
        let target = self.lives.targets.get(&event.about);
        // whoever may read a record may read what is said of it: what is withheld is about addressed ones
        let addressed = matches!(target, Some(Target::Here(statement, _)) if statement.aud != Audience::Everyone);
        self.log.gaps || !self.complete || self.log.withheld && addressed
    }
}
