//! A draft on its way into the store, and what its jobs hear afterwards.

use std::ops::Range;

use super::submission::{HandedIn, Job};
use super::tip::Tip;
use super::{AppendError, Appended};
use crate::log::edge::FullTile;
use crate::store::query::Exchanged;
use crate::store::said_by::SaidBy;
use crate::store::upload::UploadStep;
use crate::store::{Append, Head, LogRow, NewEntry, StoreError};

/// A job, and which entries, upload steps and questions of the draft are its own.
pub(super) struct Placed {
    pub(super) job: Job,
    pub(super) entries: Range<usize>,
    pub(super) uploads: Range<usize>,
    pub(super) exchanged: Range<usize>,
}

/// A draft with its tiles and its signed checkpoint: ready for the store.
pub(super) struct Sealed {
    pub(super) base: LogRow,
    pub(super) entries: Vec<NewEntry>,
    pub(super) tiles: Vec<FullTile>,
    pub(super) uploads: Vec<UploadStep>,
    pub(super) exchanged: Vec<Exchanged>,
    pub(super) said: Vec<SaidBy>,
    pub(super) head: Head,
    pub(super) jobs: Vec<Placed>,
    pub(super) rejected: Vec<(Job, AppendError)>,
    pub(super) now_ms: i64,
    pub(super) tip: Tip,
}

impl Sealed {
    /// What the store is asked to do.
    pub(super) fn append(&self) -> Append<'_> {
        Append {
            log: &self.base,
            entries: &self.entries,
            edge: &self.tip.row().edge,
            tiles: &self.tiles,
            head: Some(&self.head),
            uploads: &self.uploads,
            exchanged: &self.exchanged,
            said: &self.said,
            unvoided: self.tip.row().unvoided,
            max_iat: self.tip.row().max_iat,
            now_ms: self.now_ms,
        }
    }

    /// The end of the log once that is done.
    pub(super) fn tip(&self) -> &Tip {
        &self.tip
    }

    /// It is done. What comes back is of no more use.
    pub(super) fn answer_all(self) -> (Vec<NewEntry>, Vec<HandedIn>) {
        let (first, size) = (self.base.size, self.tip.size());
        let answer_one =
            |placed: Placed| placed.job.answer(Ok(Appended { first: first + placed.entries.start as u64, size }));
        let handed_in = self.jobs.into_iter().map(answer_one).collect();
        answer(self.rejected);
        (self.entries, handed_in)
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

    /// Sends those back whose queries (positions in the draft) are answered already; the others go on.
    pub(super) fn repeated(self, positions: &[usize]) -> Vec<Job> {
        self.return_but(|placed| {
            positions.iter().any(|at| placed.exchanged.contains(at)).then_some(AppendError::Repeated)
        })
    }

    /// All jobs but those that have an answer now; the rejected ones too, since what they were rejected on is no more.
    fn return_but(self, answer: impl Fn(&Placed) -> Option<AppendError>) -> Vec<Job> {
        let mut others = Vec::new();
        for placed in self.jobs {
            match answer(&placed) {
                Some(error) => drop(placed.job.answer(Err(error))),
                None => others.push(placed.job),
            }
        }
        others.extend(self.rejected.into_iter().map(|(job, _)| job));
        others
    }
}

/// Tells those that may not stand there why.
pub(super) fn answer(rejected: Vec<(Job, AppendError)>) {
    for (job, error) in rejected {
        job.answer(Err(error));
    }
}
