//! Lists of what is said about records (repairs, withdrawals, answers to disputes): each row is matched with a record of this
//! node by what offices name it by, judged, and said.
//!
//! Events, cursor and faults of a chunk commit together, as those of records do. A list that was cut off is read again from
//! its first row, so that rows that repeat one another are known; what the rows before the cursor said is not said again.

mod matched;
pub(super) mod single;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::matched::Matcher;
use super::rehearsal::{Rehearsed, WouldBe, rehearse};
use super::source::{Row, Source};
use super::{Import, Origin, Progress, Rehearsal, UploadError};
use crate::about::Office;
use crate::import::Sheet;
use crate::import::kept::KeptRow;
use crate::log::appender::{AppendError, Submission};
use crate::record::FaultCode;
use crate::statement::{Kinds, Refused, Statement, envelope};
use crate::store::upload::{FaultRow, UploadRow, UploadStep};

/// Rows taken together.
const ROWS: usize = 512;
/// Faults fetched at once.
const PAGE: u32 = 1000;
/// How often a chunk is signed anew before something else must be wrong.
const TRIES: usize = 100;

/// A list run against the store.
#[derive(Clone)]
pub struct Acts {
    /// What any upload is run with; its kind is an event's.
    pub import: Import,
    /// The kinds that its records may have.
    pub kinds: Kinds,
    /// Who says it.
    pub office: Office,
}

/// Judged rows that are taken together; those of the last chunk end the file.
struct Chunk {
    rows: Vec<Row>,
    last: bool,
}

/// Events ready to be said, and what becomes of the upload with them.
pub(super) struct Batch {
    /// The row that each came from.
    events: Vec<(u64, Statement)>,
    step: UploadStep,
    /// All rows as they were judged, where they are kept.
    kept: Vec<KeptRow>,
}

/// A list matched and judged from an upload's cursor on.
pub(super) struct Batches<'a> {
    matcher: Matcher<'a>,
    chunks: mpsc::Receiver<Result<Chunk, UploadError>>,
    upload: i64,
    /// The cursor.
    at: u64,
    /// The rows before it that were sent back.
    sent_back: HashSet<u64>,
    keep: bool,
}

impl Acts {
    /// Runs a list to its end, or goes on with one that was cut off.
    pub async fn run(
        &self,
        sheet: &Arc<Sheet>,
        origin: &Origin,
        progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let upload = self.import.begin(sheet, origin).await?;
        Box::pin(self.go_on(&upload, Source::Sheet(Arc::clone(sheet)), progress)).await
    }

    /// Says what a run would do, and writes nothing.
    pub async fn rehearse(&self, sheet: &Arc<Sheet>, progress: impl FnMut(Progress)) -> Result<Rehearsal, UploadError> {
        let origin = Origin { file: String::new(), department: None, operator: String::new() };
        let upload = self.import.new_row(sheet, &origin);
        let run = self.batches(Source::Sheet(Arc::clone(sheet)), &upload, false).await?;
        rehearse(run, sheet.rows, progress).await
    }

    /// Publishes from the upload's cursor on.
    pub(super) async fn go_on(
        &self,
        upload: &UploadRow,
        source: Source,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let of = source.rows();
        progress(Progress { done: upload.next_row, of });
        let mut batches = self.batches(source, upload, false).await?;
        while let Some(batch) = batches.next().await? {
            let done = batch.step.next_row;
            self.publish(batch).await?;
            progress(Progress { done, of });
        }
        self.finished(upload.id).await
    }

    async fn finished(&self, upload: i64) -> Result<UploadRow, UploadError> {
        self.import.db.look_at_growth().await;
        let finished = self.import.db.upload(upload).await?.filter(|row| row.finished_ms.is_some());
        finished.ok_or_else(|| UploadError::BrokenOff("a stage before ended early".to_owned()))
    }

    /// What is to be said from an upload's cursor on.
    pub(super) async fn batches(
        &self,
        source: Source,
        upload: &UploadRow,
        keep: bool,
    ) -> Result<Batches<'_>, UploadError> {
        let sent_back = self.sent_back(upload).await?;
        let chunks = self.read(source.clone());
        let (matcher, at) = (Matcher::new(self, source), upload.next_row);
        Ok(Batches { matcher, chunks, upload: upload.id, at, sent_back, keep })
    }

    /// A thread that reads and judges.
    fn read(&self, source: Source) -> mpsc::Receiver<Result<Chunk, UploadError>> {
        let (send, receive) = mpsc::channel(1);
        let import = self.import.clone();
        tokio::task::spawn_blocking(move || {
            let mut rows = Vec::new();
            let read = source.each(&import, import.clock.today(), |row| {
                rows.push(row);
                let is_taken = rows.len() < ROWS
                    || send.blocking_send(Ok(Chunk { rows: std::mem::take(&mut rows), last: false })).is_ok();
                if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            match read {
                // whoever asked may have gone away
                Ok(true) => drop(send.blocking_send(Ok(Chunk { rows, last: true }))),
                Ok(false) => {}
                Err(error) => drop(send.blocking_send(Err(error))),
            }
        });
        receive
    }

    /// The rows that an earlier run sent back.
    async fn sent_back(&self, upload: &UploadRow) -> Result<HashSet<u64>, UploadError> {
        let (mut rows, mut after) = (HashSet::new(), 0);
        loop {
            let page = self.import.db.faults(upload.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            after = last.row;
            rows.extend(page.iter().filter(|fault| fault.code.starts_with('E')).map(|fault| fault.row));
        }
    }

    /// Signs and appends a batch; what another process has made impossible meanwhile is sent back.
    async fn publish(&self, mut batch: Batch) -> Result<(), UploadError> {
        let mut tries = 0;
        loop {
            let key = self.import.records.signing()?;
            let signed = batch.events.iter().map(|(_, event)| envelope::sign(event.clone(), &key));
            let statements = signed.collect::<Result<_, _>>().map_err(AppendError::from)?;
            let submission = Submission { statements, uploads: vec![batch.step.clone()] };
            match self.import.records.append(submission).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                // each time a row fewer: that ends by itself
                Err(AppendError::Refused(at, why)) if at < batch.events.len() => batch.send_back(at, &why),
                Err(AppendError::Overtaken) => return Err(UploadError::Overtaken(batch.step.upload)),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Batches<'_> {
    /// The next ones; None behind the last row.
    async fn next(&mut self) -> Result<Option<Batch>, UploadError> {
        while let Some(chunk) = self.chunks.recv().await {
            let Chunk { rows, last } = chunk?;
            let at = self.at;
            let (done, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.number <= at);
            for row in done.into_iter().filter(|row| !self.sent_back.contains(&row.number)) {
                self.matcher.see(row).await?;
            }
            if rows.is_empty() && !last {
                continue;
            }
            let kept = rows.iter().filter(|_| self.keep).map(|row| KeptRow::of(row.number, &row.judged)).collect();
            let mut batch = self.matcher.batch(rows, at).await?;
            (batch.step.upload, batch.step.finished, batch.kept) = (self.upload, last, kept);
            self.at = batch.step.next_row;
            return Ok(Some(batch));
        }
        Ok(None)
    }
}

impl Rehearsed for Batches<'_> {
    async fn next(&mut self) -> Result<Option<WouldBe>, UploadError> {
        let batch = Batches::next(self).await?;
        Ok(batch.map(|batch| WouldBe { step: batch.step, rows: batch.kept }))
    }
}

impl Batch {
    fn send_back(&mut self, at: usize, why: &Refused) {
        let (row, _) = self.events.remove(at);
        self.step.counts.published -= 1;
        self.step.counts.refused += 1;
        if self.step.faults.iter().any(|fault| fault.row == row) {
            // it had warnings, and so was counted as warned
            self.step.counts.warned -= 1;
        }
        let message = match why {
            Refused::Event(why) => format!("{}：{}", FaultCode::E403.message(), why.title()),
            other => format!("{}（{other}）", FaultCode::E403.message()),
        };
        let fault = FaultRow { row, column: None, code: FaultCode::E403.to_string(), message };
        let at = self.step.faults.partition_point(|fault| fault.row <= row);
        self.step.faults.insert(at, fault);
    }
}
