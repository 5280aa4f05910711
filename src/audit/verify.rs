//! Verifying a log in a folder, with no configuration, network or database.
//!
//! The log is gone through in windows of bundles. A window is read and held against its tiles on all cores; then, in order,
//! the tree grows and descriptors change the keys; then statements are parsed, their signatures verified in batches, and
//! judged, on all cores again, while the next window is read; then, in order, comes what depends on the statements before:
//! `iat`, versions, erasures. At the end events are judged against what they name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::events::{Events, Log};
use super::fault::{Fault, Wrong};
use super::folder::Folder;
use super::judged::Judged;
use super::keys::Keys;
use super::read::{self, Body, Bundle};
use super::tree::Tree;
use super::versions::Versions;
use super::void::Void;
use super::waiting::{Bodies, Waiting, in_batches};
use crate::crew::share_out;
use crate::log::checkpoint::CheckpointError;
use crate::log::judge::{NotAccepted, TOLERANCE};
use crate::log::note::VerifierKey;
use crate::log::tile::FULL;
use crate::log::{Checkpoint, Class};
use crate::statement::{Digest, Kinds, Refused, Verified, envelope};

/// Bundles in a window, for each thread: two windows are under way.
const WINDOW: usize = 8;
/// Reasons for holding a statement that are told apart.
const MANY: usize = 50;

/// What the auditor knows of the log from elsewhere. With neither the folder is only shown to agree with itself.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A verifier key of the log, as `init` printed it.
    pub key: Option<VerifierKey>,
    /// The fingerprint of one of the node's descriptors: the whole of it, or the 30 digits that are read out.
    pub fingerprint: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Which log, its size and root, as its checkpoint says; None where there is no readable checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The log's keys, as its newest descriptor says.
    pub keys: Vec<VerifierKey>,
    /// The newest descriptor's fingerprint.
    pub fingerprint: Option<Digest>,
    /// What the auditor brought vouches for the log.
    pub trusted: bool,
    /// Statements whose digest, signature, schema, rules and place were verified, and that are not void.
    pub verified: u64,
    /// Events among them that were judged against what they name.
    pub events: u64,
    /// Events among them that could not be, by reason.
    pub unjudged: BTreeMap<&'static str, u64>,
    /// Statements whose digest and signature were verified, but of a kind or date not known here, by reason.
    pub held: BTreeMap<String, u64>,
    /// Bodies of addressed entries that are not in the folder.
    pub withheld: u64,
    /// Bodies that were erased.
    pub erased: u64,
    /// Entries that count for nothing because the owner has declared a key compromised.
    pub void: u64,
    /// All that is wrong.
    pub faults: u64,
}

/// What is told on the way.
#[derive(Debug)]
pub enum News<'a> {
    /// Something is wrong.
    Fault(&'a Fault),
    /// An entry is void, as the owner says in the log itself.
    Void(&'a Fault),
    /// So many entries of so many are done.
    Progress(u64, u64),
}

/// Verifies a folder. `now` is in seconds since 1970; faults are told as they are found, in no strict order.
pub fn verify(
    folder: &Folder,
    trust: &Trust,
    kinds: &Kinds,
    now: i64,
    threads: usize,
    tell: &mut dyn FnMut(News<'_>),
) -> Report {
    let mut report = Report::default();
    let (note, checkpoint) = match claim(folder) {
        Ok(claim) => claim,
        Err(wrong) => {
            tell(News::Fault(&Fault::of_log(wrong)));
            report.faults = 1;
            return report;
        }
    };
    report.checkpoint = Some(checkpoint.clone());
    let keys = Keys::new(checkpoint.origin.clone());
    let passage = Passage { folder, kinds, now, threads, checkpoint: &checkpoint };
    let mut audit = Audit {
        keys,
        tree: Tree::new(folder),
        versions: Versions::default(),
        void: Void::new(checkpoint.size),
        events: Events::default(),
        lacks: false,
        max_iat: i64::MIN,
        erased: BTreeMap::new(),
        erasures: BTreeSet::new(),
        report,
        tell,
    };
    passage.walk(&mut audit);
    passage.judge_events(&mut audit);
    audit.finish(&note, &checkpoint, trust);
    audit.report
}

/// What the checkpoint says, before its signature can be verified: its keys stand in the log.
fn claim(folder: &Folder) -> Result<(String, Checkpoint), Wrong> {
    let note = folder.checkpoint()?;
    let (text, _) = note.split_once("\n\n").ok_or(CheckpointError::Malformed("it has no signature"))?;
    let checkpoint = Checkpoint::parse(&format!("{text}\n"))?;
    Ok((note, checkpoint))
}

/// What stays the same all the way through a log.
struct Passage<'a> {
    folder: &'a Folder,
    kinds: &'a Kinds,
    now: i64,
    threads: usize,
    checkpoint: &'a Checkpoint,
}

/// What is known of a log so far.
struct Audit<'a> {
    keys: Keys,
    tree: Tree<'a>,
    versions: Versions,
    void: Void,
    events: Events,
    /// Some bodies cannot be used: what they said is not known.
    lacks: bool,
    max_iat: i64,
    /// Erased entries by digest, until an erasure is seen.
    erased: BTreeMap<Digest, u64>,
    /// What erasures name.
    erasures: BTreeSet<Digest>,
    report: Report,
    tell: &'a mut dyn FnMut(News<'_>),
}

/// What can be done in any order.
enum Task {
    Judge(Vec<Waiting>),
    Read(u64),
}

/// What came of it.
enum Done {
    Judged(Vec<Judged>),
    Read(Bundle),
}

impl Passage<'_> {
    fn walk(&self, audit: &mut Audit<'_>) {
        let size = self.checkpoint.size;
        let mut bundles = 0..size.div_ceil(FULL as u64);
        let mut waiting: Vec<Vec<Waiting>> = Vec::new();
        let (window, mut done) = (WINDOW * self.threads.max(1), 0);
        loop {
            let judging = waiting.drain(..).map(Task::Judge);
            let tasks: Vec<Task> = judging.chain(bundles.by_ref().take(window).map(Task::Read)).collect();
            if tasks.is_empty() {
                return;
            }
            let mut read = Vec::with_capacity(window);
            for result in share_out(tasks, self.threads, |task| self.work(task)) {
                match result {
                    Done::Judged(judged) => {
                        done += judged.len() as u64;
                        for judged in judged {
                            let index = judged.index;
                            audit.place(judged);
                            if audit.void.is_due(index) {
                                let void = audit.void.again(index, self.folder, self.kinds, &mut audit.versions);
                                audit.wrong(&void);
                            }
                        }
                    }
                    Done::Read(bundle) => read.push(bundle),
                }
            }
            (audit.tell)(News::Progress(done, size));
            let nothing = !read.is_empty() && read.iter().all(|bundle| bundle.missing);
            waiting = in_batches(read.into_iter().flat_map(|bundle| self.enter(bundle, audit)));
            if nothing {
                return; // a size that nothing in the folder bears out
            }
        }
    }

    fn work(&self, task: Task) -> Done {
        match task {
            Task::Judge(waiting) => Done::Judged(self.judge(&waiting)),
            Task::Read(n) => Done::Read(read::read(self.folder, n, self.checkpoint.size)),
        }
    }

    /// In order: the tree grows, and descriptors change the keys of what stands behind them.
    fn enter(&self, bundle: Bundle, audit: &mut Audit<'_>) -> Vec<Waiting> {
        let mut faults = bundle.faults;
        audit.tree.grow(bundle.leaves.as_deref(), &mut faults);
        audit.wrong(&faults);
        let mut waiting = Vec::new();
        for (index, (entry, body)) in (bundle.first..).zip(bundle.entries) {
            match body {
                Body::Unusable => (audit.versions.gaps, audit.lacks) = (true, true),
                Body::Withheld => {
                    audit.versions.gaps = true;
                    audit.report.withheld += 1;
                }
                Body::Erased => {
                    audit.versions.gaps = true;
                    audit.report.erased += 1;
                    audit.erased.insert(entry.digest, index);
                }
                Body::Descriptor(unverified) => match audit.keys.take(index, unverified.jws()) {
                    Ok((verified, compromised)) => {
                        waiting.push(Waiting::Descriptor(index, entry.class, verified));
                        audit.void.declared(index, compromised);
                    }
                    Err(wrong) => audit.wrong(&[Fault::at(index, wrong)]),
                },
                Body::Text(place) => match (waiting.last_mut(), audit.keys.ring()) {
                    (_, None) => audit.wrong(&[Fault::at(index, Wrong::NoKeys)]),
                    (Some(Waiting::Bodies(bodies)), Some(_)) => bodies.places.push((index, entry, place)),
                    (_, Some(ring)) => waiting.push(Waiting::Bodies(Bodies {
                        text: Arc::clone(&bundle.text),
                        places: vec![(index, entry, place)],
                        ring: Arc::clone(ring),
                    })),
                },
            }
        }
        waiting
    }

    /// Reads statements, verifies their signatures in one batch, and judges all but what depends on the statements before.
    fn judge(&self, waiting: &[Waiting]) -> Vec<Judged> {
        let length = waiting.iter().map(Waiting::len).sum();
        let mut judged = Vec::with_capacity(length);
        let (mut batch, mut places) = (Vec::with_capacity(length), Vec::with_capacity(length));
        for waiting in waiting {
            match waiting {
                Waiting::Descriptor(index, class, descriptor) => {
                    judged.push(self.judged(*index, *class, descriptor));
                }
                Waiting::Bodies(bodies) => {
                    for (index, entry, place) in &bodies.places {
                        match read::read_statement(entry, &bodies.text[place.clone()]) {
                            Ok(unverified) => {
                                places.push((*index, entry));
                                batch.push((unverified, &*bodies.ring));
                            }
                            Err(refused) => judged.push(Judged::refused(*index, entry.digest, refused, false)),
                        }
                    }
                }
            }
        }
        let verified = places.into_iter().zip(envelope::verify_all(batch));
        judged.extend(verified.map(|((index, entry), verified)| match verified {
            Ok(verified) => self.judged(index, entry.class, &verified),
            Err(refused) => Judged::refused(index, entry.digest, refused, true),
        }));
        judged.sort_by_key(|judged| judged.index);
        judged
    }

    fn judged(&self, index: u64, class: Class, verified: &Verified) -> Judged {
        Judged::of(self.kinds, &self.checkpoint.origin, self.now, index, class, verified)
    }

    /// When all entries are through: events against what they name.
    fn judge_events(&self, audit: &mut Audit<'_>) {
        let report = &audit.report;
        let log = Log {
            folder: self.folder,
            kinds: self.kinds,
            origin: &self.checkpoint.origin,
            size: self.checkpoint.size,
            void: &audit.void,
            gaps: audit.lacks || report.erased + report.void > 0 || !report.held.is_empty(),
            withheld: report.withheld > 0,
        };
        let found = audit.events.judge(&log);
        audit.report.verified = audit.report.verified.saturating_sub(found.faults.len() as u64);
        (audit.report.events, audit.report.unjudged) = (found.good, found.unjudged);
        audit.wrong(&found.faults);
    }
}

impl Audit<'_> {
    /// In order: what depends on the statements before this one.
    fn place(&mut self, judged: Judged) {
        let refuse = |refused| Fault::at(judged.index, Wrong::Refused(refused));
        let backdated = !judged.is_descriptor && judged.iat < self.max_iat.saturating_sub(TOLERANCE);
        self.versions.gaps |= !judged.is_read;
        self.lacks |= !judged.is_read;
        // what is signed counts, whatever else is wrong with it
        self.max_iat = self.max_iat.max(judged.iat);
        match judged.accepted {
            Err(NotAccepted::Refused(refused)) => {
                self.void.refused(judged.index, false);
                return self.wrong(&[refuse(refused)]);
            }
            _ if backdated => {
                self.void.refused(judged.index, false);
                return self.wrong(&[refuse(Refused::Backdated)]);
            }
            Err(NotAccepted::Held(why)) => {
                self.void.held(judged.index);
                self.held(why);
            }
            Ok(()) => {
                if let Some((record, prev)) = judged.record
                    && !self.versions.follow(record, &judged.digest, prev.as_ref())
                {
                    self.void.refused(judged.index, true);
                    return self.wrong(&[refuse(Refused::Prev)]);
                }
                match (judged.record, judged.event) {
                    (Some((record, Some(_))), _) => self.events.version(judged.index, record),
                    (_, Some(named)) => self.events.note(judged.index, judged.digest, named),
                    _ => {}
                }
                self.report.verified += 1;
            }
        }
        self.erasures.extend(judged.erases);
    }

    fn held(&mut self, why: String) {
        let held = &mut self.report.held;
        let why = if held.len() < MANY || held.contains_key(&why) { why } else { "other reasons".to_owned() };
        *held.entry(why).or_default() += 1;
    }

    /// When all entries are through: the root, the checkpoint's signature, the auditor's own knowledge.
    fn finish(&mut self, note: &str, checkpoint: &Checkpoint, trust: &Trust) {
        let mut faults = Vec::new();
        // in a folder with faults some may never have been counted
        self.report.verified = self.report.verified.saturating_sub(self.void.fallen());
        self.tree.finish(checkpoint, &mut faults);
        let erased = std::mem::take(&mut self.erased);
        let unnamed = erased.into_iter().filter(|(digest, _)| !self.erasures.contains(digest));
        faults.extend(unnamed.map(|(_, index)| Fault::at(index, Wrong::Erased)));

        let origin = &checkpoint.origin;
        self.report.keys = self.keys.log_keys(origin);
        self.report.fingerprint = self.keys.fingerprint();
        let open = |keys: &[VerifierKey]| Checkpoint::open(note, origin, keys).map(drop);
        if let Err(error) = open(&self.report.keys) {
            faults.push(Fault::of_log(error));
        }
        let mut vouched = Vec::new();
        if let Some(key) = &trust.key {
            vouched.push((open(std::slice::from_ref(key)).is_ok(), "the checkpoint is not signed by the key given"));
        }
        if let Some(fingerprint) = &trust.fingerprint {
            let known = self.keys.has_fingerprint(fingerprint);
            vouched.push((known, "no descriptor in the log has the fingerprint given"));
        }
        self.report.trusted = !vouched.is_empty() && vouched.iter().all(|(is, _)| *is);
        faults.extend(vouched.iter().filter(|(is, _)| !is).map(|(_, why)| Fault::of_log(Wrong::Untrusted(why))));
        self.wrong(&faults);
    }

    fn wrong(&mut self, faults: &[Fault]) {
        for fault in faults {
            if fault.wrong.is_declared() {
                self.report.void += 1;
                (self.tell)(News::Void(fault));
            } else {
                self.report.faults += 1;
                (self.tell)(News::Fault(fault));
            }
        }
    }
}
