//! The one task that appends: it gathers what waits, judges it onto a draft, and commits that while the next one gathers.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::AppendError;
use super::draft::{Draft, JudgedBy};
use super::memory;
use super::sealed::Sealed;
use super::submission::{Job, next_of};
use super::tip::Tip;
use crate::log::Origin;
use crate::store::{self, Db, LogState};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;

/// Statements that are judged or dropped in well under a millisecond.
const FEW: usize = 64;

/// The task, and what it knows of its log.
pub(super) struct Task {
    pub(super) db: Db,
    pub(super) origin: Origin,
    pub(super) keys: KeyStore,
    pub(super) descriptor: watch::Sender<Option<Arc<Descriptor>>>,
    pub(super) judged_by: JudgedBy,
    pub(super) receiver: mpsc::Receiver<Job>,
    /// Came when the draft had no room left for them.
    pub(super) late: VecDeque<Job>,
    pub(super) size: watch::Sender<u64>,
    pub(super) note: watch::Sender<String>,
    /// Turns true when the appender is to end.
    pub(super) end: watch::Receiver<bool>,
    /// The newest state of the log that this process has seen.
    pub(super) tip: Tip,
}

impl Task {
    /// Appends what comes until the appender is told to end.
    pub(super) async fn run(mut self) {
        let mut draft = self.draft();
        loop {
            if *self.end.borrow() {
                self.receiver.close();
            }
            while draft.has_room() {
                let job = match self.next_job(draft.is_empty()).await {
                    Some(job) => job,
                    None if draft.is_empty() => return,
                    None => break,
                };
                draft = self.take(draft, job).await;
            }
            draft = match self.commit(draft).await {
                Ok(next) => next,
                Err(AppendError::Store(_)) => match self.find_store().await {
                    Ok(Some(draft)) => draft,
                    Ok(None) => return,
                    Err(why) => return self.refuse_all(&why).await,
                },
                Err(why) => return self.refuse_all(&why).await,
            };
        }
    }

    fn draft(&self) -> Draft {
        Draft::on(self.tip.clone(), self.judged_by.clone())
    }

    /// The next job: waits for one if `patient`, until the appender is told to end; else takes what is there.
    async fn next_job(&mut self, patient: bool) -> Option<Job> {
        if let Some(job) = self.late.pop_front() {
            return Some(job);
        }
        if !patient {
            return self.receiver.try_recv().ok();
        }
        tokio::select! {
            job = self.receiver.recv() => job,
            () = async { drop(self.end.wait_for(|end| *end).await) } => {
                self.receiver.close();
                self.receiver.recv().await
            }
        }
    }

    /// Judges a job onto a draft, and those that wait behind it as far as they fit; the first that does not is late.
    async fn take(&mut self, mut draft: Draft, job: Job) -> Draft {
        let (mut jobs, mut next) = (VecDeque::new(), Some(job));
        let mut entries = 0;
        while let Some(job) = next {
            if !draft.fits(&job, entries) {
                self.late.push_front(job);
                return self.judge(draft, jobs, entries).await.close();
            }
            entries += job.handed_in.statements.len();
            match draft.look_up(&self.db, &job).await {
                Ok(()) => jobs.push_back(job),
                Err(error) => drop(job.answer(Err(error.into()))),
            }
            next = if draft.has_room_for(jobs.len(), entries) { self.waiting_job().await } else { None };
        }
        self.judge(draft, jobs, entries).await
    }

    /// A job that waits, or that a task brings which waits for nothing but its turn: the more there are, the more go into
    /// one commit.
    async fn waiting_job(&mut self) -> Option<Job> {
        if let Some(job) = self.late.pop_front().or_else(|| self.receiver.try_recv().ok()) {
            return Some(job);
        }
        tokio::task::yield_now().await;
        self.receiver.try_recv().ok()
    }

    /// Judges jobs, of so many statements, onto a draft.
    async fn judge(&mut self, mut draft: Draft, mut jobs: VecDeque<Job>, statements: usize) -> Draft {
        let judged = beside(statements, move || {
            while draft.has_room()
                && let Some(job) = jobs.pop_front()
            {
                draft.push(job);
            }
            (draft, jobs)
        });
        match judged.await {
            Ok((draft, later)) => {
                self.put_back(later.into());
                draft
            }
            // only a panic ends there, and it took the draft's jobs with it: their callers hear that nothing was answered
            Err(_) => self.draft(),
        }
    }

    /// Commits a draft while the next one gathers, and gives back that one.
    async fn commit(&mut self, draft: Draft) -> Result<Draft, AppendError> {
        if draft.is_rejected() {
            return self.confirm(draft).await;
        }
        let sealed = match draft.seal(&self.keys) {
            Ok(sealed) => Arc::new(sealed),
            Err((jobs, why)) => {
                jobs.into_iter().for_each(|job| drop(job.answer(Err(why.clone()))));
                return Ok(self.draft());
            }
        };
        let mut next = Draft::ahead(sealed.tip().clone(), self.judged_by.clone());
        let commit = {
            let (db, sealed) = (self.db.clone(), sealed.clone());
            async move { db.append(&sealed.append()).await }
        };
        let mut commit = tokio::spawn(commit);
        let mut open = true;
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut commit => break outcome,
                job = next_of(&mut self.late, &mut self.receiver), if open && next.has_room() => match job {
                    Some(job) => next = self.take(next, job).await,
                    None => open = false,
                },
            }
        };
        let outcome = outcome.map_err(|_| AppendError::Stopped("its task has failed".to_owned()))?;
        // the commit's task has ended and dropped its half
        let Ok(sealed) = Arc::try_unwrap(sealed).map_err(|_| ()) else {
            return Err(AppendError::Stopped("its task does not end".to_owned()));
        };
        match outcome {
            Ok(()) => {
                self.stand_at(sealed.tip().clone());
                self.take_back().await;
                let done = sealed.answer_all();
                // the next commit may begin meanwhile
                beside(done.0.len(), move || drop(done));
                self.note.send_replace(self.tip.note().to_owned());
                self.size.send_replace(self.tip.size());
                // nothing in it: the same again, but on an end that is committed
                Ok(if next.is_empty() { self.draft() } else { next })
            }
            Err(error) => self.again(sealed, error, next).await,
        }
    }

    /// What a key signed that was just declared compromised is taken back before anybody hears of it; should that fail, it
    /// is done before the next append.
    async fn take_back(&mut self) {
        if self.tip.row().unvoided.is_some()
            && let Err(error) = self.reload().await
        {
            tracing::error!(origin = %self.origin, %error, "cannot take back what a compromised key signed");
        }
    }

    /// Nothing of a draft may stand where it was judged: if the log still ends there, that is the answer.
    async fn confirm(&mut self, draft: Draft) -> Result<Draft, AppendError> {
        let reloaded = self.reload().await;
        if reloaded.is_ok() && self.tip.size() == draft.base_size() {
            draft.answer_rejected();
        } else {
            self.put_back(draft.into_jobs());
        }
        reloaded.map(|()| self.draft())
    }

    /// After a commit that was none: answers those that can't go in, and drafts the others anew on what stands there now.
    async fn again(&mut self, sealed: Sealed, error: store::AppendError, next: Draft) -> Result<Draft, AppendError> {
        let jobs = match error {
            store::AppendError::Moved => sealed.into_jobs(),
            store::AppendError::Superseded(positions) => sealed.superseded(&positions),
            store::AppendError::Overtaken(positions) => sealed.overtaken(&positions),
            store::AppendError::Repeated(positions) => sealed.repeated(&positions),
            store::AppendError::Store(error) => {
                sealed.fail(&error);
                Vec::new()
            }
        };
        self.put_back(jobs.into_iter().chain(next.into_jobs()).collect());
        self.reload().await?;
        let row = self.tip.row();
        if row.state != LogState::Open {
            let why = row.reason.as_deref().unwrap_or("no reason is noted");
            return Err(AppendError::Stopped(format!("{} is not open any more: {why}", self.origin)));
        }
        Ok(self.draft())
    }

    /// Jobs go on in their order, before those that wait.
    fn put_back(&mut self, jobs: Vec<Job>) {
        for job in jobs.into_iter().rev() {
            self.late.push_front(job);
        }
    }

    /// The store is away: each caller hears so, and with each the log is looked for again, however long that takes. None
    /// when the appender is to end meanwhile.
    async fn find_store(&mut self) -> Result<Option<Draft>, AppendError> {
        while let Some(job) = self.next_job(true).await {
            match self.reload().await {
                Ok(()) => {
                    self.put_back(vec![job]);
                    return Ok(Some(self.draft()));
                }
                Err(AppendError::Store(error)) => drop(job.answer(Err(error.into()))),
                Err(why) => {
                    job.answer(Err(why.clone()));
                    return Err(why);
                }
            }
        }
        Ok(None)
    }

    /// Reads the log again. One that shows less than this process has seen, or another root, has lost history: nothing
    /// may be appended to it.
    async fn reload(&mut self) -> Result<(), AppendError> {
        let tip = Box::pin(Tip::load(&self.db, &self.judged_by.kinds, &self.origin)).await?;
        if !memory::goes_on(&self.db, tip.row(), self.tip.size(), &self.tip.root()).await? {
            return Err(AppendError::Stopped(format!(
                "the store, with {} entries of {}, does not go on from the {} that were committed: it has lost history",
                tip.size(),
                self.origin,
                self.tip.size()
            )));
        }
        self.stand_at(tip);
        Ok(())
    }

    /// From here on this is the end of the log, and its last descriptor says which key signs.
    fn stand_at(&mut self, tip: Tip) {
        self.descriptor.send_if_modified(|known| {
            let changed = known.as_ref().map(|d| d.sequence) != tip.descriptor().map(|d| d.sequence);
            if changed {
                *known = tip.descriptor();
            }
            changed
        });
        self.tip = tip;
    }

    /// The log is not to be appended to: everybody hears why, for as long as there is somebody.
    async fn refuse_all(mut self, why: &AppendError) {
        tracing::error!(origin = %self.origin, %why, "the appender has stopped");
        while let Some(job) = self.next_job(true).await {
            job.answer(Err(why.clone()));
        }
    }
}

/// Works on so many statements beside the task that appends: where they are many, which takes tens of milliseconds, off the
/// runtime's threads; few are not worth the way to another thread.
fn beside<T: Send + 'static>(statements: usize, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    if statements <= FEW { tokio::spawn(async move { work() }) } else { tokio::task::spawn_blocking(work) }
}
