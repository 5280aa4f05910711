//! What is about to be appended: statements judged one after the other at the end of a log.

use std::ops::Range;
use std::sync::Arc;

use super::{AppendError, Appended, Job, MAX_BATCH};
use crate::clock::Clock;
use crate::log::edge::FullTile;
use crate::log::judge::class_of;
use crate::log::{Checkpoint, Edge, Entry, Hash, Origin, Place, Verdict, judge};
use crate::statement::{KeyRing, Kinds, Refused, Verified};
use crate::store::append::Stored;
use crate::store::statement::{Body, StatementRow};
use crate::store::upload::UploadStep;
use crate::store::{Append, Db, Head, LogRow, NewEntry, StoreError};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;

/// The end of a log: its row, and the descriptor whose keys are valid for the next entry.
#[derive(Clone)]
pub(super) struct Tip {
    row: LogRow,
    keys: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    descriptor: Arc<Descriptor>,
    ring: Arc<KeyRing>,
}

/// What statements are judged by.
#[derive(Clone)]
pub(super) struct JudgedBy {
    pub(super) kinds: Kinds,
    pub(super) clock: Clock,
}

/// Submissions that were judged good on top of a tip and of each other.
pub(super) struct Draft {
    base: LogRow,
    judged_by: JudgedBy,
    keys: Option<Keys>,
    max_iat: i64,
    descriptor: Option<u64>,
    entries: Vec<NewEntry>,
    uploads: Vec<UploadStep>,
    jobs: Vec<Placed>,
    /// What may not stand here, and why. It is told so only once this end of the log has proven to be the newest.
    rejected: Vec<(Job, AppendError)>,
    full: bool,
}

/// A job, and which entries and upload steps of the draft are its own.
struct Placed {
    job: Job,
    entries: Range<usize>,
    uploads: Range<usize>,
}

/// A draft with its tiles and its signed checkpoint: ready for the store.
pub(super) struct Sealed {
    base: LogRow,
    entries: Vec<NewEntry>,
    tiles: Vec<FullTile>,
    uploads: Vec<UploadStep>,
    head: Head,
    jobs: Vec<Placed>,
    rejected: Vec<(Job, AppendError)>,
    now_ms: i64,
    tip: Tip,
}

impl Tip {
    /// The log as it stands now, with the keys that are valid at its end.
    pub(super) async fn load(db: &Db, origin: &Origin) -> Result<Self, AppendError> {
        let row = db
            .log(origin)
            .await?
            .ok_or_else(|| AppendError::Stopped(format!("{origin} is not in the store; `kaopu init` makes it")))?;
        let descriptor = match row.descriptor {
            None => None,
            Some(index) => db.statements(row.id, index, 1).await?.pop(),
        };
        Self::of(row, descriptor)
    }

    fn of(row: LogRow, descriptor: Option<StatementRow>) -> Result<Self, AppendError> {
        let corrupt = |what: String| AppendError::from(StoreError::Corrupt(format!("{}: {what}", row.origin)));
        if row.size > 0 && row.head.as_ref().is_none_or(|head| head.size != row.size || head.root != row.edge.root()) {
            return Err(corrupt("its entries do not agree with its head".to_owned()));
        }
        let keys = match descriptor.map(|descriptor| descriptor.body) {
            None if row.size == 0 => None,
            Some(Body::Here(jws)) => {
                let (_, descriptor) = Descriptor::open(&jws).map_err(|error| corrupt(error.to_string()))?;
                Some(Keys::of(descriptor))
            }
            _ => return Err(corrupt("its last descriptor is not there".to_owned())),
        };
        Ok(Self { row, keys })
    }

    pub(super) fn row(&self) -> &LogRow {
        &self.row
    }

    pub(super) fn size(&self) -> u64 {
        self.row.size
    }

    /// Its newest signed checkpoint; nothing while it is empty.
    pub(super) fn note(&self) -> &str {
        self.row.head.as_ref().map_or("", |head| &head.note)
    }

    pub(super) fn root(&self) -> Hash {
        self.row.edge.root()
    }

    /// Its last descriptor.
    pub(super) fn descriptor(&self) -> Option<Arc<Descriptor>> {
        self.keys.as_ref().map(|keys| Arc::clone(&keys.descriptor))
    }
}

impl Keys {
    fn of(descriptor: Descriptor) -> Self {
        Self { ring: Arc::new(descriptor.key_ring()), descriptor: Arc::new(descriptor) }
    }
}

impl Draft {
    pub(super) fn on(tip: Tip, judged_by: JudgedBy) -> Self {
        Self {
            keys: tip.keys,
            max_iat: tip.row.max_iat,
            descriptor: tip.row.descriptor,
            base: tip.row,
            judged_by,
            entries: Vec::new(),
            uploads: Vec::new(),
            jobs: Vec::new(),
            rejected: Vec::new(),
            full: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.rejected.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        !self.full && self.entries.len() < MAX_BATCH && self.jobs.len() + self.rejected.len() < MAX_BATCH
    }

    /// Whether there is something to commit.
    pub(super) fn is_rejected(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether a job fits behind the others; the first one always does.
    pub(super) fn fits(&self, job: &Job) -> bool {
        self.entries.is_empty() || self.entries.len() + job.submission.statements.len() <= MAX_BATCH
    }

    /// Nothing more goes in.
    pub(super) fn close(mut self) -> Self {
        self.full = true;
        self
    }

    /// Judges a job's statements, each at its place; one that may not stand there sends all of them back.
    pub(super) fn push(&mut self, job: Job) {
        match self.judge(&job.submission.statements) {
            Ok(judged) => {
                let first = self.entries.len();
                self.entries.extend(judged.entries);
                self.keys = judged.keys;
                self.max_iat = judged.max_iat;
                self.descriptor = judged.descriptor;
                let step = self.uploads.len();
                self.uploads.extend_from_slice(&job.submission.uploads);
                let (entries, uploads) = (first..self.entries.len(), step..self.uploads.len());
                self.jobs.push(Placed { job, entries, uploads });
            }
            Err(error) => self.rejected.push((job, error)),
        }
    }

    fn judge(&self, statements: &[Verified]) -> Result<Judged, AppendError> {
        let mut judged = Judged {
            entries: Vec::with_capacity(statements.len()),
            keys: self.keys.clone(),
            max_iat: self.max_iat,
            descriptor: self.descriptor,
        };
        let first = self.base.size + self.entries.len() as u64;
        let now = self.judged_by.clock.now();
        for (position, (index, verified)) in (first..).zip(statements).enumerate() {
            let refused = |refused| AppendError::Refused(position, refused);
            let keys = judged.keys_for(verified, index).map_err(refused)?;
            let class = class_of(&verified.statement().aud);
            let origin = &self.base.origin;
            let place = Place { owner: &origin.node, log: origin.log, max_iat: judged.max_iat, now };
            let projection = match judge(&self.judged_by.kinds, &place, class, verified) {
                Verdict::Accepted(projection) => projection,
                Verdict::Held(early) => return Err(AppendError::Held(position, early.why)),
                Verdict::Refused(why) => return Err(refused(why)),
            };
            if let Some(keys) = keys {
                judged.keys = Some(keys);
                judged.descriptor = Some(index);
            }
            judged.max_iat = judged.max_iat.max(verified.statement().iat);
            judged.entries.push(NewEntry {
                entry: Entry { class, digest: verified.digest() },
                stored: Stored::Accepted(verified.clone(), projection),
            });
        }
        Ok(judged)
    }

    /// Hashes the entries onto the tree and signs its new head, under each key that the last descriptor names for the log.
    /// Where none signs, the jobs come back.
    pub(super) fn seal(self, keys: &KeyStore) -> Result<Sealed, (Vec<Job>, AppendError)> {
        let mut edge: Edge = self.base.edge.clone();
        let mut tiles = Vec::new();
        for new in &self.entries {
            edge.push(new.entry.leaf_hash(), &mut tiles);
        }
        let now_ms = self.judged_by.clock.now_ms();
        let checkpoint = Checkpoint { origin: self.base.origin.clone(), size: edge.size(), root: edge.root() };
        let note = match self.sign(&checkpoint, keys) {
            Ok(note) => note,
            Err(why) => return Err((self.into_jobs(), why)),
        };
        let head = Head { size: checkpoint.size, root: checkpoint.root, note, seen_ms: now_ms };
        let row = LogRow {
            size: edge.size(),
            edge,
            max_iat: self.max_iat,
            descriptor: self.descriptor,
            head: Some(head.clone()),
            complete: Some(head.clone()),
            ..self.base.clone()
        };
        Ok(Sealed {
            base: self.base,
            entries: self.entries,
            tiles,
            uploads: self.uploads,
            head,
            jobs: self.jobs,
            rejected: self.rejected,
            now_ms,
            tip: Tip { row, keys: self.keys },
        })
    }

    fn sign(&self, checkpoint: &Checkpoint, keys: &KeyStore) -> Result<String, AppendError> {
        let unsigned = |why: &dyn std::fmt::Display| AppendError::Unsigned(format!("the checkpoint: {why}"));
        let named = self.keys.as_ref().ok_or_else(|| unsigned(&"the log has no descriptor yet"))?;
        let keys = keys.log(&named.descriptor, &checkpoint.origin).map_err(|error| unsigned(&error))?;
        checkpoint.sign_by_all(&keys).map_err(|error| unsigned(&error))
    }

    pub(super) fn into_jobs(self) -> Vec<Job> {
        let rejected = self.rejected.into_iter().map(|(job, _)| job);
        self.jobs.into_iter().map(|placed| placed.job).chain(rejected).collect()
    }

    /// This end of the log is the newest: those that may not stand there hear so.
    pub(super) fn answer_rejected(self) {
        answer(self.rejected);
    }

    /// The size of the log that it goes on.
    pub(super) fn base_size(&self) -> u64 {
        self.base.size
    }
}

fn answer(rejected: Vec<(Job, AppendError)>) {
    for (job, error) in rejected {
        job.answer(Err(error));
    }
}

/// One submission's statements, judged.
struct Judged {
    entries: Vec<NewEntry>,
    keys: Option<Keys>,
    max_iat: i64,
    descriptor: Option<u64>,
}

impl Judged {
    /// Checks that a statement was signed under a key that is valid at its index: one of the last descriptor below it.
    /// A descriptor is good if it follows that one, or at index 0 by itself, and brings the keys for what comes behind.
    fn keys_for(&self, verified: &Verified, index: u64) -> Result<Option<Keys>, Refused> {
        let kind = verified.statement().typ.kind.as_str();
        let broken = |error: &dyn std::fmt::Display| Refused::Rule(error.to_string());
        match &self.keys {
            None if index == 0 && kind == "descriptor" => {
                let (_, descriptor) = Descriptor::open(verified.jws()).map_err(|error| broken(&error))?;
                Ok(Some(Keys::of(descriptor)))
            }
            None => Err(Refused::UnknownKey),
            Some(keys) if kind == "descriptor" => {
                let (_, descriptor) = keys.descriptor.successor(verified.jws()).map_err(|error| broken(&error))?;
                Ok(Some(Keys::of(descriptor)))
            }
            Some(keys) if keys.ring.issuer != *verified.issuer() => Err(Refused::Issuer),
            Some(keys) => keys.ring.find(kind, verified.kid()).map(|_| None).ok_or(Refused::UnknownKey),
        }
    }
}

impl Sealed {
    /// What the store is asked to do.
    pub(super) fn append(&self) -> Append<'_> {
        Append {
            log: &self.base,
            entries: &self.entries,
            edge: &self.tip.row.edge,
            tiles: &self.tiles,
            head: Some(&self.head),
            uploads: &self.uploads,
            max_iat: self.tip.row.max_iat,
            now_ms: self.now_ms,
        }
    }

    /// The end of the log once that is done.
    pub(super) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// It is done.
    pub(super) fn answer_all(self) {
        let (first, size) = (self.base.size, self.tip.size());
        for placed in self.jobs {
            placed.job.answer(Ok(Appended { first: first + placed.entries.start as u64, size }));
        }
        answer(self.rejected);
    }

    /// Nothing of it was done, and trying again is the callers' business.
    pub(super) fn fail(self, error: &StoreError) {
        let rejected = self.rejected.into_iter().map(|(job, _)| job);
        for job in self.jobs.into_iter().map(|placed| placed.job).chain(rejected) {
            job.answer(Err(error.clone().into()));
        }
    }

    /// Another process was first: all go on.
    pub(super) fn into_jobs(self) -> Vec<Job> {
        self.return_but(|_| None)
    }

    /// Sends those back whose entries (positions in the draft) are superseded; the others go on.
    pub(super) fn superseded(self, positions: &[usize]) -> Vec<Job> {
        self.return_but(|placed| {
            let own = positions.iter().filter(|position| placed.entries.contains(position));
            let own: Vec<usize> = own.map(|position| position - placed.entries.start).collect();
            (!own.is_empty()).then_some(AppendError::Superseded(own))
        })
    }

    /// Sends those back whose upload steps (positions in the draft) were taken by another; the others go on.
    pub(super) fn overtaken(self, positions: &[usize]) -> Vec<Job> {
        self.return_but(|placed| {
            positions.iter().any(|step| placed.uploads.contains(step)).then_some(AppendError::Overtaken)
        })
    }

    /// All jobs but those that have an answer now; the rejected ones too, since what they were rejected on is no more.
    fn return_but(self, answer: impl Fn(&Placed) -> Option<AppendError>) -> Vec<Job> {
        let mut others = Vec::new();
        for placed in self.jobs {
            match answer(&placed) {
                Some(error) => placed.job.answer(Err(error)),
                None => others.push(placed.job),
            }
        }
        others.extend(self.rejected.into_iter().map(|(job, _)| job));
        others
    }
}
