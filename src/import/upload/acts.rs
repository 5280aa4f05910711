//! Lists of what is said about records (repairs, withdrawals, answers to disputes): each row is matched with a record of this
//! node by what offices name it by, judged, and said.
//!
//! Events, cursor and faults of a chunk commit together, as those of records do. A list that was cut off is read again from
//! its first row, so that rows that repeat one another are known; what the rows before the cursor said is not said again.

mod matched;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::matched::Matcher;
use super::{Import, Origin, Progress, Rehearsal, UploadError, sum};
use crate::about::Office;
use crate::import::fault_file::FaultWriter;
use crate::import::row::{Judge, Judged};
use crate::import::{NotAnUpload, Sheet, SourceRow};
use crate::log::appender::{AppendError, Submission};
use crate::record::FaultCode;
use crate::statement::{Kinds, Refused, Statement, envelope};
use crate::store::upload::{Counts, FaultRow, UploadRow, UploadStep};

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

/// A judged row.
pub(super) struct Row {
    number: u64,
    judged: Judged,
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
}

impl Acts {
    /// Runs a list to its end, or goes on with one that was cut off.
    pub async fn run(
        &self,
        sheet: &Arc<Sheet>,
        origin: &Origin,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let db = &self.import.db;
        let upload = db.begin_upload(&self.import.new_row(sheet, origin)).await?;
        let sent_back = self.sent_back(&upload).await?;
        let mut matcher = Matcher::new(self, sheet);
        let (mut chunks, mut at) = (self.read(sheet), upload.next_row);
        progress(Progress { done: at, of: sheet.rows });
        while let Some(chunk) = chunks.recv().await {
            let Chunk { rows, last } = chunk?;
            let (done, rows): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.number <= at);
            for row in done.into_iter().filter(|row| !sent_back.contains(&row.number)) {
                matcher.see(row).await?;
            }
            if rows.is_empty() && !last {
                continue;
            }
            let mut batch = matcher.batch(rows, at).await?;
            (batch.step.upload, batch.step.finished) = (upload.id, last);
            at = batch.step.next_row;
            self.publish(batch).await?;
            progress(Progress { done: at, of: sheet.rows });
        }
        let finished = db.upload(upload.id).await?.filter(|row| row.finished_ms.is_some());
        finished.ok_or_else(|| UploadError::BrokenOff("a stage before ended early".to_owned()))
    }

    /// Says what a run would do, and writes nothing.
    pub async fn rehearse(
        &self,
        sheet: &Arc<Sheet>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Rehearsal, UploadError> {
        let folder = std::env::temp_dir();
        let cannot = |error| UploadError::Aside { folder: folder.clone(), error };
        let mut faults = FaultWriter::new(&folder).map_err(cannot)?;
        let mut counts = Counts::default();
        let mut matcher = Matcher::new(self, sheet);
        let mut chunks = self.read(sheet);
        while let Some(chunk) = chunks.recv().await {
            let batch = matcher.batch(chunk?.rows, counts.read).await?;
            counts = sum(counts, batch.step.counts);
            batch.step.faults.iter().try_for_each(|fault| faults.push(fault)).map_err(cannot)?;
            progress(Progress { done: counts.read, of: sheet.rows });
        }
        Ok(Rehearsal { counts, faults: faults.finish().map_err(cannot)? })
    }

    /// A thread that reads and judges.
    fn read(&self, sheet: &Arc<Sheet>) -> mpsc::Receiver<Result<Chunk, NotAnUpload>> {
        let (send, receive) = mpsc::channel(1);
        let (import, sheet) = (self.import.clone(), Arc::clone(sheet));
        tokio::task::spawn_blocking(move || {
            let judge = Judge::new(&import.kind, &sheet.columns, import.clock.today(), &import.persons);
            let (mut rows, mut count) = (Vec::new(), 0);
            let read = sheet.each(|row: SourceRow| {
                count = row.number;
                rows.push(Row { number: row.number, judged: judge.row(&row) });
                let is_taken = rows.len() < ROWS
                    || send.blocking_send(Ok(Chunk { rows: std::mem::take(&mut rows), last: false })).is_ok();
                Ok::<_, NotAnUpload>(if is_taken { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            });
            let last = match read {
                // what was read through before is no longer there: the cursor stays behind it
                Ok(()) if count != sheet.rows => Err(NotAnUpload::Changed),
                Ok(()) => Ok(Chunk { rows, last: true }),
                Err(error) => Err(error),
            };
            // whoever asked may have gone away
            drop(send.blocking_send(last));
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
