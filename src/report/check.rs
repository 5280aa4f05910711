//! Holding an evidence file against the digest of a QR code, and the report in it against its statements: with no
//! configuration, network or database.
//!
//! Shown is that each quoted statement was signed by the city that it names and stands in that city's log, and that the
//! report quotes it truly. How a record *stands* (its status, its severity) is what the node that made the report found by
//! its own rules; what a city did not publish, or the maker left out, no file can show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::evidence::{Entry, ProvenLog, Source};
use super::model::{FORMAT, Quoted, Report};
use crate::audit::keys::Keys;
use crate::log::checkpoint::CheckpointError;
use crate::log::judge::{self, NotAccepted, Place, class_of};
use crate::log::origin::LogName;
use crate::log::{self, Checkpoint, Origin, proof};
use crate::statement::{Digest, KeyRing, Kinds, NodeId, Refused, Unverified, Verified};
use crate::trust::compromise::Compromised;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no evidence file.
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// The report is another than the one of the code.
    #[error("the report has the digest {0}, not that of the QR code: it is another report, or it was changed")]
    Digest(Digest),
    /// What stands behind the report is not what it names.
    #[error("the evidence is not that of this report: it was changed, or belongs to another")]
    Evidence,
    /// A source does not hold.
    #[error("{0}: {1}")]
    Source(NodeId, String),
    /// A statement does not hold.
    #[error("{0}, statement {1}: {2}")]
    Statement(NodeId, Digest, String),
    /// The report says otherwise than the statement that it names.
    #[error("the report misquotes {0}: {1}")]
    Misquoted(Digest, &'static str),
    /// The report quotes what is not there.
    #[error("the report quotes {0}, which is not in the evidence")]
    Missing(Digest),
    /// The evidence holds what the report does not quote.
    #[error("the evidence holds {0}, which the report does not quote")]
    Unquoted(Digest),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The digest of the report's line: the QR code must say this.
    pub digest: Digest,
    /// The report, where it can be read.
    pub report: Option<Report>,
    /// Statements whose place in their city's log is proven.
    pub proven: u64,
    /// Statements of which the signature alone was verified.
    pub signed: u64,
    /// Whose statements these are.
    pub cities: Vec<City>,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

/// A city whose statements the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct City {
    /// Its node.
    pub node: NodeId,
    /// The fingerprint of the newest of its descriptors in the file.
    pub fingerprint: Digest,
    /// A fingerprint that the reader brought vouches for it.
    pub trusted: bool,
}

/// Checks a file. `expected` is what the QR code says, `roots` fingerprints of descriptors that the reader knows from
/// elsewhere: without them the file is only shown to agree with itself.
pub fn check(file: &str, expected: Option<&Digest>, roots: &[String], kinds: &Kinds) -> Checked {
    let (line, behind) = file.split_once('\n').unwrap_or((file, ""));
    let digest = Digest::of(line.as_bytes());
    let mut checked = Checked { digest, report: None, proven: 0, signed: 0, cities: Vec::new(), faults: Vec::new() };
    if expected.is_some_and(|expected| *expected != digest) {
        checked.faults.push(Fault::Digest(digest));
    }
    let report: Report = match serde_json::from_str(line) {
        Ok(report) => report,
        Err(error) => {
            checked.faults.push(Fault::Line(1, format!("not a report: {error}")));
            return checked;
        }
    };
    if report.format != FORMAT {
        checked.faults.push(Fault::Line(1, format!("a report of the format {:?}; {FORMAT:?} is known", report.format)));
        return checked;
    }
    if report.evidence != Digest::of(behind.as_bytes()) {
        checked.faults.push(Fault::Evidence);
    }
    let mut held = HashMap::new();
    for (at, line) in behind.lines().enumerate() {
        match serde_json::from_str::<Source>(line) {
            Ok(source) => checked.source(&source, roots, kinds, &mut held),
            Err(error) => checked.faults.push(Fault::Line(at + 2, format!("not a source of evidence: {error}"))),
        }
    }
    checked.quotes(&report, held);
    checked.report = Some(report);
    checked
}

/// A statement of the evidence that holds.
struct Held {
    verified: Verified,
    proven: bool,
}

impl Checked {
    fn source(&mut self, source: &Source, roots: &[String], kinds: &Kinds, held: &mut HashMap<Digest, Held>) {
        let fault = |why: String| Fault::Source(source.node.clone(), why);
        let opened = match Opened::of(source) {
            Ok(opened) => opened,
            Err(why) => return self.faults.push(fault(why)),
        };
        let trusted = roots.iter().any(|root| opened.keys.has_fingerprint(root));
        if let Some(fingerprint) = opened.keys.fingerprint() {
            self.cities.push(City { node: source.node.clone(), fingerprint, trusted });
        }
        for entry in &source.statements {
            match opened.statement(entry, kinds) {
                Ok(verified) => {
                    let proven = opened.checkpoint.is_some();
                    self.proven += u64::from(proven);
                    self.signed += u64::from(!proven);
                    held.insert(verified.digest(), Held { verified, proven });
                }
                Err(why) => {
                    let digest = Digest::of(entry.jws.as_bytes());
                    self.faults.push(Fault::Statement(source.node.clone(), digest, why));
                }
            }
        }
    }

    /// The report quotes these statements, all of them, truly, and no other.
    fn quotes(&mut self, report: &Report, mut held: HashMap<Digest, Held>) {
        let mut quoted = BTreeSet::new();
        for quote in report.quoted() {
            quoted.insert(quote.digest);
            match held.get(&quote.digest) {
                None => self.faults.push(Fault::Missing(quote.digest)),
                Some(held) => {
                    if let Err(why) = quote.agrees_with(&held.verified, &report.subject) {
                        self.faults.push(Fault::Misquoted(quote.digest, why));
                    }
                }
            }
        }
        for item in report.items() {
            if held.get(&item.stated.digest).is_some_and(|held| held.proven != item.proven) {
                self.faults.push(Fault::Misquoted(item.stated.digest, "whether it is proven"));
            }
        }
        held.retain(|digest, _| !quoted.contains(digest));
        let unquoted: BTreeMap<Digest, Held> = held.into_iter().collect();
        self.faults.extend(unquoted.into_keys().map(Fault::Unquoted));
    }
}

impl Quoted {
    /// Whether it quotes a statement truly.
    fn agrees_with(&self, verified: &Verified, subject: &str) -> Result<(), &'static str> {
        let statement = verified.statement();
        let about = statement.prev.or_else(|| statement.refs.first().copied());
        let same = [
            (self.kind == statement.typ.kind && self.version == statement.typ.version, "its kind"),
            (self.issuer == statement.iss, "its issuer"),
            (self.issued == statement.iat, "when it was issued"),
            (self.about == about, "what it is about"),
            (self.body == statement.body, "what it says"),
            (statement.sub.as_ref().is_some_and(|sub| sub.key() == subject), "about whom it is"),
        ];
        same.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what))
    }
}

/// A source whose keys and checkpoint hold.
struct Opened<'a> {
    node: &'a NodeId,
    keys: Keys,
    /// From behind which index on which keys are valid.
    steps: Vec<(u64, Arc<KeyRing>)>,
    /// What descriptors at which index declare compromised.
    compromised: Vec<(u64, Compromised)>,
    checkpoint: Option<Checkpoint>,
}

impl<'a> Opened<'a> {
    fn of(source: &'a Source) -> Result<Self, String> {
        let (origin, checkpoint) = match &source.log {
            Some(log) => (log.origin.clone(), Some(claimed(log)?)),
            None => (Origin { node: source.node.clone(), log: LogName::Records, generation: 1 }, None),
        };
        if origin.node != source.node {
            return Err(format!("{origin} is another node's log"));
        }
        let keys = Keys::new(origin.clone());
        let mut opened = Self { node: &source.node, keys, steps: Vec::new(), compromised: Vec::new(), checkpoint };
        for entry in &source.descriptors {
            opened.descriptor(entry)?;
        }
        if let Some(log) = &source.log {
            Checkpoint::open(&log.checkpoint, &origin, &opened.keys.log_keys(&origin))
                .map_err(|error| format!("checkpoint: {error}"))?;
        }
        Ok(opened)
    }

    fn descriptor(&mut self, entry: &Entry) -> Result<(), String> {
        let digest = Digest::of(entry.jws.as_bytes());
        self.included(log::Entry { class: log::Class::Open, digest }, entry)?;
        let taken = self.keys.take(entry.index, &entry.jws);
        let (_, compromised) = taken.map_err(|error| format!("descriptor {}: {error}", entry.index))?;
        self.compromised.extend(compromised.into_iter().map(|key| (entry.index, key)));
        self.steps.extend(self.keys.ring().map(|ring| (entry.index, Arc::clone(ring))));
        Ok(())
    }

    fn included(&self, leaf: log::Entry, entry: &Entry) -> Result<(), String> {
        let Some(checkpoint) = &self.checkpoint else {
            return if entry.proof.is_empty() { Ok(()) } else { Err("a proof for no log".to_owned()) };
        };
        let (size, root) = (checkpoint.size, &checkpoint.root);
        proof::verify_inclusion(&leaf.leaf_hash(), entry.index, size, &entry.hashes(), root)
            .map_err(|error| format!("entry {}: {error}", entry.index))
    }

    /// Signature, key at its place, class, kind, schema, and its place in the log.
    fn statement(&self, entry: &Entry, kinds: &Kinds) -> Result<Verified, String> {
        let read = Unverified::parse(&entry.jws).map_err(|error| error.to_string())?;
        let kid = read.kid().to_owned();
        let proven = self.checkpoint.is_some();
        let ring = self.steps.iter().rev().find(|(from, _)| !proven || *from < entry.index).map(|(_, ring)| ring);
        let ring = ring.ok_or_else(|| "no descriptor below it names the keys".to_owned())?;
        let class = class_of(&read.statement().aud);
        self.included(log::Entry { class, digest: read.digest() }, entry)?;
        let is_void = |(at, key): &(u64, Compromised)| {
            proven && key.kid == kid && key.valid_below <= entry.index && entry.index < *at
        };
        if self.compromised.iter().any(is_void) {
            return Err(Refused::Compromised.to_string());
        }
        let verified = read.verify(ring).map_err(|error| error.to_string())?;
        // clocks and the order of the log are the maker's to judge: what it quotes was accepted there
        let place = Place { owner: self.node, log: LogName::Records, max_iat: i64::MIN, now: i64::MAX };
        match judge::accept(kinds, &place, class, &verified) {
            // a kind that is not known here: signature and place hold
            Ok(_) | Err(NotAccepted::Held(_)) => Ok(verified),
            Err(NotAccepted::Refused(why)) => Err(why.to_string()),
        }
    }
}

/// What a checkpoint says, before its signature can be verified: its keys stand in the log.
fn claimed(log: &ProvenLog) -> Result<Checkpoint, String> {
    let text = log.checkpoint.split_once("\n\n").map(|(text, _)| format!("{text}\n"));
    let text = text.ok_or_else(|| CheckpointError::Malformed("it has no signature").to_string())?;
    let checkpoint = Checkpoint::parse(&text).map_err(|error| format!("checkpoint: {error}"))?;
    if checkpoint.origin == log.origin { Ok(checkpoint) } else { Err("a checkpoint of another log".to_owned()) }
}
