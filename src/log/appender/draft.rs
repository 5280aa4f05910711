//! What is about to be appended: statements judged one after the other at the end of a log.

use std::sync::Arc;

use super::sealed::{Placed, Sealed, answer};
use super::submission::{Entrant, Job};
use super::{AppendError, MAX_BATCH};
use crate::clock::Clock;
use crate::log::edge::FullTile;
use crate::log::judge::{class_of, judge_again};
use crate::log::{Checkpoint, Edge, Entry, Hash, Origin, Place, Verdict, judge};
use crate::statement::{KeyRing, Kinds, Refused, Verified};
use crate::store::append::Stored;
use crate::store::query::Exchanged;
use crate::store::statement::{Body, StatementRow};
use crate::store::upload::UploadStep;
use crate::store::{Db, Head, LogRow, NewEntry, StoreError};
use crate::trust::compromise::{self, VoidError, newly, unvoided};
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
    unvoided: Option<u64>,
    entries: Vec<NewEntry>,
    /// The tree with them, and the tiles that they filled.
    edge: Edge,
    tiles: Vec<FullTile>,
    uploads: Vec<UploadStep>,
    exchanged: Vec<Exchanged>,
    jobs: Vec<Placed>,
    /// What may not stand here, and why. It is told so only once this end of the log has proven to be the newest.
    rejected: Vec<(Job, AppendError)>,
    full: bool,
}

impl Tip {
    /// The log as it stands now, with the keys that are valid at its end; what compromised keys signed is taken back first.
    pub(super) async fn load(db: &Db, kinds: &Kinds, origin: &Origin) -> Result<Self, AppendError> {
        let gone = || AppendError::Stopped(format!("{origin} is not in the store; `kaopu init` makes it"));
        let mut row = db.log(origin).await?.ok_or_else(gone)?;
        while row.unvoided.is_some() {
            row = match compromise::void(db, kinds, row).await {
                Ok(row) => row,
                Err(VoidError::Moved) => db.log(origin).await?.ok_or_else(gone)?,
                Err(VoidError::Store(error)) => return Err(error.into()),
                Err(VoidError::Descriptor(error)) => return Err(StoreError::Corrupt(error.to_string()).into()),
            };
        }
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
            unvoided: None,
            edge: tip.row.edge.clone(),
            tiles: Vec::new(),
            base: tip.row,
            judged_by,
            entries: Vec::new(),
            uploads: Vec::new(),
            exchanged: Vec::new(),
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
        self.entries.is_empty() || self.entries.len() + job.handed_in.statements.len() <= MAX_BATCH
    }

    /// Nothing more goes in.
    pub(super) fn close(mut self) -> Self {
        self.full = true;
        self
    }

    /// Judges a job's statements, each at its place, and hashes them onto the tree; one that may not stand there sends all of
    /// them back.
    pub(super) fn push(&mut self, job: Job) {
        match self.judge(&job.handed_in.statements) {
            Ok(judged) => {
                let first = self.entries.len();
                for new in &judged.entries {
                    self.edge.push(new.entry.leaf_hash(), &mut self.tiles);
                }
                self.entries.extend(judged.entries);
                self.keys = judged.keys;
                self.max_iat = judged.max_iat;
                self.descriptor = judged.descriptor;
                self.unvoided = judged.unvoided;
                // what is behind it is judged when that is done
                self.full |= self.unvoided.is_some();
                let step = self.uploads.len();
                self.uploads.extend_from_slice(&job.handed_in.uploads);
                let question = self.exchanged.len();
                self.exchanged.extend_from_slice(&job.handed_in.exchanged);
                self.jobs.push(Placed {
                    job,
                    entries: first..self.entries.len(),
                    uploads: step..self.uploads.len(),
                    exchanged: question..self.exchanged.len(),
                });
            }
            Err(error) => self.rejected.push((job, error)),
        }
    }

    fn judge(&self, statements: &[Entrant]) -> Result<Judged, AppendError> {
        let mut judged = Judged {
            entries: Vec::with_capacity(statements.len()),
            keys: self.keys.clone(),
            max_iat: self.max_iat,
            descriptor: self.descriptor,
            unvoided: self.unvoided,
        };
        let first = self.base.size + self.entries.len() as u64;
        let now = self.judged_by.clock.now();
        for (position, (index, entrant)) in (first..).zip(statements).enumerate() {
            let verified = entrant.verified();
            let refused = |refused| AppendError::Refused(position, refused);
            let keys = judged.keys_for(verified, index).map_err(refused)?;
            let class = class_of(&verified.statement().aud);
            let origin = &self.base.origin;
            let place = Place { owner: &origin.node, log: origin.log, max_iat: judged.max_iat, now };
            let kinds = &self.judged_by.kinds;
            let verdict = match entrant {
                Entrant::Verified(verified) => judge(kinds, &place, class, verified),
                Entrant::Judged(judged) => judge_again(kinds, &place, class, judged),
            };
            let projection = match verdict {
                Verdict::Accepted(projection) => projection,
                Verdict::Held(early) => return Err(AppendError::Held(position, early.why)),
                Verdict::Refused(why) => return Err(refused(why)),
            };
            if let Some(keys) = keys {
                let before = judged.keys.as_ref().map(|keys| &*keys.descriptor);
                let from = unvoided(&newly(before, &keys.descriptor, origin), index);
                judged.unvoided = [judged.unvoided, from].into_iter().flatten().min();
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

    /// Signs the tree's new head, under each key that the last descriptor names for the log.
    /// Where none signs, the jobs come back.
    pub(super) fn seal(self, keys: &KeyStore) -> Result<Sealed, (Vec<Job>, AppendError)> {
        let now_ms = self.judged_by.clock.now_ms();
        let (size, root) = (self.edge.size(), self.edge.root());
        let checkpoint = Checkpoint { origin: self.base.origin.clone(), size, root };
        let note = match self.sign(&checkpoint, keys) {
            Ok(note) => note,
            Err(why) => return Err((self.into_jobs(), why)),
        };
        let head = Head { size: checkpoint.size, root: checkpoint.root, note, seen_ms: now_ms };
        let row = LogRow {
            size,
            edge: self.edge,
            max_iat: self.max_iat,
            descriptor: self.descriptor,
            unvoided: self.unvoided,
            head: Some(head.clone()),
            complete: Some(head.clone()),
            ..self.base.clone()
        };
        Ok(Sealed {
            base: self.base,
            entries: self.entries,
            tiles: self.tiles,
            uploads: self.uploads,
            exchanged: self.exchanged,
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

/// One submission's statements, judged.
struct Judged {
    entries: Vec<NewEntry>,
    keys: Option<Keys>,
    max_iat: i64,
    descriptor: Option<u64>,
    unvoided: Option<u64>,
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
