//! The appender of an own log: many callers, one task.
//!
//! Callers hand in submissions. The task judges them onto a draft, in the order in which they come; while one draft is
//! being committed the next gathers, so there is no timer, and a batch is as large as the load makes it, at most
//! [`MAX_BATCH`] statements. The answer goes out after the commit.
//!
//! Any number of processes may append to one log: the store's compare-and-swap lets one of them win, the others load the
//! log again, judge anew and try again.

mod draft;
mod fault;
mod memory;
mod say;
mod sealed;
mod submission;
mod task;
mod tip;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::draft::JudgedBy;
pub use self::fault::AppendError;
pub use self::memory::still_has_what_was_remembered;
use self::submission::Job;
pub use self::submission::{Appended, Exchange, HandedIn, Prejudged, Said, Submission};
use self::task::Task;
use self::tip::Tip;
use super::Origin;
use crate::clock::Clock;
use crate::statement::{Kinds, SigningKey};
use crate::store::Db;
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;

/// Statements in one transaction.
pub const MAX_BATCH: usize = 4096;

/// Submissions that may wait; whoever brings more waits with them.
const WAITING: usize = 64;

/// Appends to one own log. Cheap to clone.
#[derive(Clone)]
pub struct Appender {
    jobs: mpsc::Sender<Job>,
    sizes: watch::Receiver<u64>,
    end: watch::Sender<bool>,
    keys: KeyStore,
    /// The last descriptor of the log, as far as this process has seen.
    descriptors: watch::Receiver<Option<Arc<Descriptor>>>,
}

impl Appender {
    /// Starts the task of the log of an origin, which must be this node's own and exist. Of the keys it takes those that
    /// the log's last descriptor names.
    pub async fn start(
        db: Db,
        origin: Origin,
        keys: impl Into<KeyStore>,
        kinds: Kinds,
        clock: Clock,
    ) -> Result<Self, AppendError> {
        Self::start_remembering(db, origin, keys, kinds, clock, None).await
    }

    /// The same, with a file outside database and backup that remembers the largest checkpoint: a log that shows less was
    /// set back, and is not appended to.
    pub async fn start_remembering(
        db: Db,
        origin: Origin,
        keys: impl Into<KeyStore>,
        kinds: Kinds,
        clock: Clock,
        file: Option<PathBuf>,
    ) -> Result<Self, AppendError> {
        let seen = match &file {
            Some(file) => memory::recall(file).await?,
            None => None,
        };
        let tip = Box::pin(Tip::load(&db, &kinds, &origin)).await?;
        let (note, notes) = watch::channel(tip.note().to_owned());
        let mut remembering = JoinSet::new();
        if let Some(file) = file {
            if let Some(seen) = seen {
                memory::check(&db, tip.row(), &seen, &file).await?;
            }
            remembering.spawn(memory::keep(notes, file));
        }
        let (jobs, receiver) = mpsc::channel(WAITING);
        let (size, sizes) = watch::channel(tip.size());
        let (descriptor, descriptors) = watch::channel(tip.descriptor());
        let (end, ended) = watch::channel(false);
        let keys = keys.into();
        let task = Task {
            db,
            origin,
            keys: keys.clone(),
            descriptor,
            judged_by: JudgedBy { kinds, clock },
            receiver,
            late: VecDeque::new(),
            size,
            note,
            end: ended,
            tip,
        };
        let running = task.size.clone();
        tokio::spawn(async move {
            task.run().await;
            // the last checkpoint is remembered before anybody hears of the end
            while remembering.join_next().await.is_some() {}
            drop(running);
        });
        Ok(Self { jobs, sizes, end, keys, descriptors })
    }

    /// Appends, and answers after the commit.
    pub async fn append(&self, submission: impl Into<HandedIn>) -> Result<Appended, AppendError> {
        let stopped = || AppendError::Stopped("its node is ending".to_owned());
        let (job, answered) = Job::new(submission.into());
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// The key that signs statements for the end of the log, as far as this process has seen it. After a statement was
    /// refused for its key, that is the newest end.
    pub fn signing(&self) -> Result<Arc<SigningKey>, AppendError> {
        let descriptor = self.descriptors.borrow().clone();
        let descriptor = descriptor.ok_or_else(|| AppendError::Unsigned("the log has no descriptor yet".to_owned()))?;
        Ok(self.keys.signing(&descriptor)?)
    }

    /// Sizes after each commit of this process.
    pub fn sizes(&self) -> watch::Receiver<u64> {
        self.sizes.clone()
    }

    /// Takes nothing more, commits what was taken, and ends.
    pub async fn stop(mut self) {
        self.end.send_replace(true);
        // the task's end drops the other half
        while self.sizes.changed().await.is_ok() {}
    }
}
