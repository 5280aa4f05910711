//! Verifying a log in a folder, with no configuration, network or database.
//!
//! The log is gone through in windows of bundles. A window is read, held against its tiles and parsed on all cores; then,
//! in order, the tree grows and descriptors change the keys; then signatures are verified in batches and statements judged,
//! on all cores again, while the next window is read; then, in order, comes what depends on the statements before: `iat`,
//! versions, erasures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::crew::share_out;
use super::fault::{Fault, Wrong};
use super::folder::{Folder, Line};
use super::keys::{Compromised, Keys};
use super::read::{self, Body, Bundle};
use super::tree::Tree;
use super::versions::Versions;
use crate::log::checkpoint::CheckpointError;
use crate::log::judge::{self, NotAccepted, Place, TOLERANCE};
use crate::log::note::VerifierKey;
use crate::log::tile::FULL;
use crate::log::{Checkpoint, Class};
use crate::statement::{Digest, KeyRing, Kinds, Refused, Unverified, Verified, envelope};

/// Bundles in a window: 8,192 statements, some 30 MB when parsed; two are under way.
const WINDOW: usize = 32;
/// Bundles whose signatures are verified in one batch.
const TOGETHER: usize = 4;
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
    /// Statements whose digest, signature, schema, rules and place were verified.
    pub verified: u64,
    /// Statements whose digest and signature were verified, but of a kind or date not known here, by reason.
    pub held: BTreeMap<String, u64>,
    /// Bodies of addressed entries that are not in the folder.
    pub withheld: u64,
    /// Bodies that were erased.
    pub erased: u64,
    /// All that is wrong.
    pub faults: u64,
}

/// What is told on the way.
#[derive(Debug)]
pub enum News<'a> {
    /// Something is wrong.
    Fault(&'a Fault),
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
        max_iat: i64::MIN,
        erased: BTreeMap::new(),
        erasures: BTreeSet::new(),
        report,
        tell,
    };
    passage.walk(&mut audit);
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
    max_iat: i64,
    /// Erased entries by digest, until an erasure is seen.
    erased: BTreeMap<Digest, u64>,
    /// What erasures name.
    erasures: BTreeSet<Digest>,
    report: Report,
    tell: &'a mut dyn FnMut(News<'_>),
}

/// A statement at its place: index and the class of its entry.
type Placed = (u64, Class, Waiting);

/// What can be done in any order.
enum Task {
    Judge(Vec<Placed>),
    Read(u64),
}

/// What came of it.
enum Done {
    Judged(Vec<Judged>),
    Read(Bundle),
}

/// A statement on its way: to be verified under the keys at its place, or a descriptor, verified by the one before it.
enum Waiting {
    Unverified(Box<Unverified>, Arc<KeyRing>),
    Descriptor(Verified),
}

/// A statement, verified and judged but for what stands before it.
struct Judged {
    index: u64,
    iat: i64,
    digest: Digest,
    accepted: Result<(), NotAccepted>,
    /// Its record, and the version that it replaces.
    record: Option<(u128, Option<Digest>)>,
    /// What it says is to be erased.
    erases: Vec<Digest>,
}

impl Passage<'_> {
    fn walk(&self, audit: &mut Audit<'_>) {
        let size = self.checkpoint.size;
        let mut bundles = 0..size.div_ceil(FULL as u64);
        let mut waiting: Vec<Vec<Placed>> = Vec::new();
        let mut done = 0;
        loop {
            let judging = waiting.drain(..).map(Task::Judge);
            let tasks: Vec<Task> = judging.chain(bundles.by_ref().take(WINDOW).map(Task::Read)).collect();
            if tasks.is_empty() {
                return;
            }
            let mut read = Vec::with_capacity(WINDOW);
            for result in share_out(tasks, self.threads, |task| self.work(task)) {
                match result {
                    Done::Judged(judged) => {
                        done += judged.len() as u64;
                        judged.into_iter().for_each(|judged| audit.place(judged));
                    }
                    Done::Read(bundle) => read.push(bundle),
                }
            }
            (audit.tell)(News::Progress(done, size));
            let nothing = !read.is_empty() && read.iter().all(|bundle| bundle.missing);
            let entered: Vec<Placed> = read.into_iter().flat_map(|bundle| self.enter(bundle, audit)).collect();
            waiting = in_batches(entered);
            if nothing {
                return; // a size that nothing in the folder bears out
            }
        }
    }

    fn work(&self, task: Task) -> Done {
        match task {
            Task::Judge(waiting) => Done::Judged(self.judge(waiting)),
            Task::Read(n) => Done::Read(read::read(self.folder, n, self.checkpoint.size)),
        }
    }

    /// In order: the tree grows, and descriptors change the keys of what stands behind them.
    fn enter(&self, bundle: Bundle, audit: &mut Audit<'_>) -> Vec<Placed> {
        let mut faults = bundle.faults;
        audit.tree.grow(bundle.leaves.as_deref(), &mut faults);
        audit.wrong(&faults);
        let mut waiting = Vec::with_capacity(bundle.entries.len());
        for (index, (entry, body)) in (bundle.first..).zip(bundle.entries) {
            match body {
                Body::Unusable => audit.versions.gaps = true,
                Body::Withheld => {
                    audit.versions.gaps = true;
                    audit.report.withheld += 1;
                }
                Body::Erased => {
                    audit.versions.gaps = true;
                    audit.report.erased += 1;
                    audit.erased.insert(entry.digest, index);
                }
                Body::Statement(unverified) if unverified.statement().typ.kind == "descriptor" => {
                    match audit.keys.take(index, unverified.jws()) {
                        Ok((verified, compromised)) => {
                            waiting.push((index, entry.class, Waiting::Descriptor(verified)));
                            self.void(&compromised, index, audit);
                        }
                        Err(wrong) => audit.wrong(&[Fault::at(index, wrong)]),
                    }
                }
                Body::Statement(unverified) => match audit.keys.ring() {
                    Some(ring) => {
                        let ring = Arc::clone(ring);
                        waiting.push((index, entry.class, Waiting::Unverified(unverified, ring)));
                    }
                    None => audit.wrong(&[Fault::at(index, Wrong::NoKeys)]),
                },
            }
        }
        waiting
    }

    /// Names what a key signed between the index from which it is void and the descriptor that says so.
    fn void(&self, compromised: &[Compromised], end: u64, audit: &mut Audit<'_>) {
        let Some(from) = compromised.iter().map(|key| key.valid_below).min() else { return };
        let mut faults = Vec::new();
        for n in from / FULL as u64..end.div_ceil(FULL as u64) {
            let first = n * FULL as u64;
            let width = (self.checkpoint.size - first).min(FULL as u64) as u16;
            let Ok(text) = self.folder.statements(n, width) else { continue };
            for (index, line) in (first..end).zip(text.split('\n')) {
                let Line::Body(jws) = Line::parse(line) else { continue };
                let Ok(unverified) = Unverified::parse(jws) else { continue };
                if compromised.iter().any(|key| key.valid_below <= index && key.kid == unverified.kid()) {
                    faults.push(Fault::at(index, Wrong::Compromised));
                }
            }
        }
        audit.wrong(&faults);
    }

    /// Verifies signatures in one batch, and judges all but what depends on the statements before.
    fn judge(&self, waiting: Vec<Placed>) -> Vec<Judged> {
        let mut places = Vec::with_capacity(waiting.len());
        let mut verified = Vec::with_capacity(waiting.len());
        let mut batch = Vec::with_capacity(waiting.len());
        for (index, class, waiting) in waiting {
            match waiting {
                Waiting::Descriptor(descriptor) => {
                    let digest = descriptor.digest();
                    verified.push(((index, class, digest), Ok(descriptor)));
                }
                Waiting::Unverified(unverified, ring) => {
                    places.push((index, class, unverified.digest()));
                    batch.push((*unverified, ring));
                }
            }
        }
        let (batch, rings): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let batch = batch.into_iter().zip(rings.iter().map(Arc::as_ref)).collect();
        verified.extend(places.into_iter().zip(envelope::verify_all(batch)));
        verified.sort_by_key(|((index, ..), _)| *index);
        let judge =
            |((index, class, digest), verified): ((u64, Class, Digest), Result<Verified, Refused>)| match verified {
                Ok(verified) => self.judge_one(index, class, &verified),
                Err(refused) => {
                    let accepted = Err(refused.into());
                    Judged { index, iat: i64::MIN, digest, accepted, record: None, erases: Vec::new() }
                }
            };
        verified.into_iter().map(judge).collect()
    }

    fn judge_one(&self, index: u64, class: Class, verified: &Verified) -> Judged {
        let origin = &self.checkpoint.origin;
        // order is for later: here nothing is known of what stands before
        let place = Place { owner: &origin.node, log: origin.log, max_iat: i64::MIN, now: self.now };
        let kind = judge::accept(self.kinds, &place, class, verified);
        let statement = verified.statement();
        let record = kind.as_ref().ok().and_then(|kind| {
            let identity = kind.identity_of(statement)?;
            Some((Versions::key(&statement.typ.kind, &identity), statement.prev))
        });
        let erases = if statement.typ.kind == "erasure" { statement.refs.clone() } else { Vec::new() };
        Judged { index, iat: statement.iat, digest: verified.digest(), accepted: kind.map(drop), record, erases }
    }
}

fn in_batches(statements: Vec<Placed>) -> Vec<Vec<Placed>> {
    let mut rest = statements.into_iter();
    let next = || Some(rest.by_ref().take(TOGETHER * FULL).collect()).filter(|batch: &Vec<Placed>| !batch.is_empty());
    std::iter::from_fn(next).collect()
}

impl Audit<'_> {
    /// In order: what depends on the statements before this one.
    fn place(&mut self, judged: Judged) {
        let refuse = |refused| Fault::at(judged.index, Wrong::Refused(refused));
        let backdated = judged.iat < self.max_iat.saturating_sub(TOLERANCE);
        // what is signed counts, whatever else is wrong with it
        self.max_iat = self.max_iat.max(judged.iat);
        match judged.accepted {
            Err(NotAccepted::Refused(refused)) => return self.wrong(&[refuse(refused)]),
            _ if backdated => return self.wrong(&[refuse(Refused::Backdated)]),
            Err(NotAccepted::Held(why)) => self.held(why),
            Ok(()) => {
                if let Some((record, prev)) = judged.record
                    && !self.versions.follow(record, &judged.digest, prev.as_ref())
                {
                    return self.wrong(&[refuse(Refused::Prev)]);
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
        self.report.faults += faults.len() as u64;
        faults.iter().for_each(|fault| (self.tell)(News::Fault(fault)));
    }
}
