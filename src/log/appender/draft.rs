//! What is about to be appended: statements judged one after the other at the end of a log.

use std::borrow::Cow;
use std::collections::HashSet;

use super::sealed::{Placed, Sealed, answer};
use super::submission::{Entrant, Job};
use super::tip::{Keys, Tip};
use super::{AppendError, MAX_BATCH};
use crate::clock::Clock;
use crate::log::edge::FullTile;
use crate::log::event::{Lives, named, place_of};
use crate::log::judge::{NotAccepted, class_of, judge_again};
use crate::log::{Checkpoint, Edge, Entry, Place, Verdict, judge};
use crate::statement::{Digest, Kinds, Refused, Verified};
use crate::store::append::Stored;
use crate::store::query::Exchanged;
use crate::store::said_by::SaidBy;
use crate::store::upload::UploadStep;
use crate::store::{Db, Head, LogRow, NewEntry, StoreError};
use crate::trust::compromise::{newly, unvoided};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;

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
    /// What events are judged by; only on an end of the log that is committed.
    lives: Lives,
    committed: bool,
    entries: Vec<NewEntry>,
    /// The tree with them, and the tiles that they filled.
    edge: Edge,
    tiles: Vec<FullTile>,
    uploads: Vec<UploadStep>,
    exchanged: Vec<Exchanged>,
    said: Vec<SaidBy>,
    jobs: Vec<Placed>,
    /// What may not stand here, and why. It is told so only once this end of the log has proven to be the newest.
    rejected: Vec<(Job, AppendError)>,
    full: bool,
}

impl Draft {
    /// On an end of the log that is committed.
    pub(super) fn on(tip: Tip, judged_by: JudgedBy) -> Self {
        Self {
            keys: tip.keys,
            max_iat: tip.row.max_iat,
            descriptor: tip.row.descriptor,
            unvoided: None,
            lives: Lives::default(),
            committed: true,
            edge: tip.row.edge.clone(),
            tiles: Vec::new(),
            base: tip.row,
            judged_by,
            entries: Vec::new(),
            uploads: Vec::new(),
            exchanged: Vec::new(),
            said: Vec::new(),
            jobs: Vec::new(),
            rejected: Vec::new(),
            full: false,
        }
    }

    /// On an end of the log that is being committed.
    pub(super) fn ahead(tip: Tip, judged_by: JudgedBy) -> Self {
        Self { committed: false, ..Self::on(tip, judged_by) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.rejected.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.has_room_for(0, 0)
    }

    /// Whether there is room behind further jobs with so many entries together.
    pub(super) fn has_room_for(&self, jobs: usize, entries: usize) -> bool {
        let jobs = jobs + self.jobs.len() + self.rejected.len();
        !self.full && self.entries.len() + entries < MAX_BATCH && jobs < MAX_BATCH
    }

    /// Whether there is something to commit.
    pub(super) fn is_rejected(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Looks up what the events of a job name. A record that something of this draft is about keeps the life that it has here.
    pub(super) async fn look_up(&mut self, db: &Db, job: &Job) -> Result<(), StoreError> {
        let named = self.named(&job.handed_in.statements);
        if named.is_empty() {
            return Ok(());
        }
        let kinds = &self.judged_by.kinds;
        let beside = job.handed_in.statements.iter().map(Entrant::verified).filter(|it| named.contains(&it.digest()));
        let records = beside.filter_map(|it| place_of(kinds.find(&it.statement().typ)?, it.statement())).collect();
        let unknown: Vec<_> = named.into_iter().filter(|digest| !self.lives.targets.contains_key(digest)).collect();
        let found = Box::pin(db.lives(&unknown, &records)).await?;
        self.lives.targets.extend(found.targets);
        for (place, life) in found.lives {
            self.lives.lives.entry(place).or_insert(life);
        }
        Ok(())
    }

    /// Whether a job fits behind the others, `more` entries among them that are not judged yet; the first one always does.
    /// Events are judged by what is committed.
    pub(super) fn fits(&self, job: &Job, more: usize) -> bool {
        if !self.committed && job.handed_in.statements.iter().any(|entrant| self.is_event(entrant)) {
            return false;
        }
        let before = self.entries.len() + more;
        before == 0 || before + job.handed_in.statements.len() <= MAX_BATCH
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
                if let Some(lives) = judged.lives {
                    self.lives = lives;
                }
                // what is behind it is judged when that is done
                self.full |= self.unvoided.is_some();
                let step = self.uploads.len();
                let start = self.base.size + first as u64;
                let places = Some((start, self.base.size + self.entries.len() as u64)).filter(|(_, end)| *end > start);
                let placed = |step: &UploadStep| UploadStep { entries: places, ..step.clone() };
                self.uploads.extend(job.handed_in.uploads.iter().map(placed));
                if let (Some(operator), Some((first, next))) = (&job.handed_in.by, places) {
                    self.said.push(SaidBy { first, next, operator: operator.clone() });
                }
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

    /// What the events among statements name.
    fn named(&self, statements: &[Entrant]) -> HashSet<Digest> {
        let kinds = &self.judged_by.kinds;
        let statements = statements.iter().map(|entrant| entrant.verified().statement());
        statements.filter_map(|statement| named(kinds.find(&statement.typ)?, statement)).collect()
    }

    fn is_event(&self, entrant: &Entrant) -> bool {
        let kind = self.judged_by.kinds.find(&entrant.verified().statement().typ);
        kind.is_some_and(|kind| kind.about.is_some())
    }

    fn judge(&self, statements: &[Entrant]) -> Result<Judged, AppendError> {
        let mut judged = Judged {
            entries: Vec::with_capacity(statements.len()),
            keys: self.keys.clone(),
            max_iat: self.max_iat,
            descriptor: self.descriptor,
            unvoided: self.unvoided,
            lives: None,
        };
        let mut lives = Cow::Borrowed(&self.lives);
        let named = self.named(statements);
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
            let mut projection = match verdict {
                Verdict::Accepted(projection) => projection,
                Verdict::Held(early) => return Err(AppendError::Held(position, early.why)),
                Verdict::Refused(why) => return Err(refused(why)),
            };
            let statement = verified.statement();
            let (at, kind) = ((origin.generation, index), kinds.find(&statement.typ));
            let record = kind.filter(|_| !named.is_empty() || !lives.lives.is_empty());
            if let Some(place) = record.and_then(|kind| place_of(kind, statement)) {
                if named.contains(&verified.digest()) {
                    lives.to_mut().take_record(verified.digest(), statement, place, at);
                } else if lives.lives.contains_key(&place) {
                    lives.to_mut().take_version(place, at);
                }
            }
            if let Some(about) = kind.and_then(|kind| kind.about.as_ref()) {
                let place = lives.judge(about, statement, at).map_err(|why| match why {
                    NotAccepted::Held(why) => AppendError::Held(position, why),
                    NotAccepted::Refused(why) => refused(why),
                })?;
                lives.to_mut().take(verified.digest(), statement, place.clone(), at);
                projection.about = Some(Box::new(place));
            }
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
        if let Cow::Owned(lives) = lives {
            judged.lives = Some(lives);
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
            said: self.said,
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
    /// With its events, where there are any.
    lives: Option<Lives>,
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
