//! An upload run against the store: read, judged, compared with what is published, signed, appended, counted.
//!
//! Three stages run side by side: one thread reads and judges the next rows, another signs those before them, while the
//! appender commits those before these. Statements, cursor and faults of a chunk commit together, so a run that is cut
//! off anywhere has either taken a chunk or not: started again, it reads from the first row (which rows repeat one
//! another cannot be known otherwise), publishes from the cursor on, and ends in one receipt for the whole file.

pub mod acts;
mod chunk;
mod publish;
mod signed;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use self::chunk::Chunk;
use self::signed::Signed;
use super::fault_file::{FaultFile, FaultWriter};
use super::row::Judge;
use super::weigh::Punctuality;
use super::{NotAnUpload, PersonKey, Sheet};
use crate::clock::Clock;
use crate::log::appender::{AppendError, Appender};
use crate::statement::{Kind, NodeId};
use crate::store::upload::{Counts, UploadRow};
use crate::store::{Db, StoreError};

/// What an upload is run with.
#[derive(Clone)]
pub struct Import {
    /// The store.
    pub db: Db,
    /// The node that publishes.
    pub node: NodeId,
    /// The kind of all rows.
    pub kind: Arc<Kind>,
    /// The secret under which natural persons are known.
    pub persons: Arc<PersonKey>,
    /// The appender of the node's records log.
    pub records: Appender,
    /// The time.
    pub clock: Clock,
    /// Within how many working days a decision is to be published.
    pub punctuality: Punctuality,
}

/// Where an upload came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file's name.
    pub file: String,
    /// For which department.
    pub department: Option<String>,
    /// Who runs it.
    pub operator: String,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Rows that are done, those of an earlier run included.
    pub done: u64,
    /// Rows of the file.
    pub of: u64,
}

/// What a run would do.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The counts.
    pub counts: Counts,
    /// The faults.
    pub faults: FaultFile,
}

/// Why an upload was not finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The file could not be read to its end.
    #[error(transparent)]
    NotAnUpload(#[from] NotAnUpload),
    /// Another process goes on with the same file.
    #[error("upload {0} of the same file is under way in another process; its receipt is `kaopu upload show {0}`")]
    Overtaken(i64),
    /// The log took no more.
    #[error("the log took no more rows: {0}; run the same command again to go on")]
    Append(AppendError),
    /// The store failed.
    #[error("{0}; run the same command again to go on")]
    Store(StoreError),
    /// What a rehearsal finds can't be kept for the receipt.
    #[error("the faults cannot be kept in {}: {error}; TMPDIR names another folder", folder.display())]
    Aside {
        /// The folder for what lasts no longer than a process.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A stage ended before its time.
    #[error("the import broke off: {0}; run the same command again to go on")]
    BrokenOff(String),
}

// Without a source: what they say is in their own words.
impl From<AppendError> for UploadError {
    fn from(error: AppendError) -> Self {
        Self::Append(error)
    }
}

impl From<StoreError> for UploadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Import {
    /// Runs an upload to its end, or goes on with one that was cut off.
    pub async fn run(
        &self,
        sheet: &Arc<Sheet>,
        origin: &Origin,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let upload = self.db.begin_upload(&self.new_row(sheet, origin)).await?;
        progress(Progress { done: upload.next_row, of: sheet.rows });
        let chunks = self.read(sheet, upload.next_row, origin.department.as_deref());
        let signed = self.sign(chunks, upload.id);
        self.publish(upload.id, signed, |done| progress(Progress { done, of: sheet.rows })).await?;
        let finished = self.db.upload(upload.id).await?;
        finished.ok_or_else(|| UploadError::BrokenOff(format!("upload {} is not in the store", upload.id)))
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
        let mut chunks = self.read(sheet, 0, None);
        while let Some(chunk) = chunks.recv().await {
            let signed = Signed::sign(self, chunk?, 0).await?;
            counts = sum(counts, signed.step().counts);
            // some hundred kilobytes at most: that does not hold up a thread of the runtime
            signed.step().faults.iter().try_for_each(|fault| faults.push(fault)).map_err(cannot)?;
            progress(Progress { done: counts.read, of: sheet.rows });
        }
        Ok(Rehearsal { counts, faults: faults.finish().map_err(cannot)? })
    }

    /// The first stage: a thread that reads and judges.
    fn read(
        &self,
        sheet: &Arc<Sheet>,
        done: u64,
        department: Option<&str>,
    ) -> mpsc::Receiver<Result<Chunk, NotAnUpload>> {
        let (send, receive) = mpsc::channel(1);
        let (import, sheet) = (self.clone(), Arc::clone(sheet));
        let today = self.clock.today();
        let scales = self.punctuality.scales(today, department);
        tokio::task::spawn_blocking(move || {
            let judge = Judge::new(&import.kind, &sheet.columns, today, &import.persons);
            chunk::read(&import, &sheet, &judge, scales, done, |chunk| send.blocking_send(chunk).is_ok());
        });
        receive
    }

    /// The second: compares with what is published, and signs what is new.
    fn sign(
        &self,
        mut chunks: mpsc::Receiver<Result<Chunk, NotAnUpload>>,
        upload: i64,
    ) -> mpsc::Receiver<Result<Signed, UploadError>> {
        let (send, receive) = mpsc::channel(1);
        let import = self.clone();
        tokio::spawn(async move {
            while let Some(chunk) = chunks.recv().await {
                let signed = match chunk {
                    Ok(chunk) => Signed::sign(&import, chunk, upload).await,
                    Err(error) => Err(error.into()),
                };
                let failed = signed.is_err();
                if send.send(signed).await.is_err() || failed {
                    return;
                }
            }
        });
        receive
    }

    fn new_row(&self, sheet: &Sheet, origin: &Origin) -> UploadRow {
        UploadRow {
            id: 0,
            digest: sheet.digest.to_string(),
            file: origin.file.clone(),
            kind: self.kind.typ.kind.clone(),
            layout: self.kind.layouts[sheet.columns.layout].name.clone(),
            encoding: sheet.encoding().to_owned(),
            department: origin.department.clone(),
            operator: origin.operator.clone(),
            begun_ms: self.clock.now_ms(),
            finished_ms: None,
            next_row: 0,
            counts: Counts::default(),
            unknown_columns: sheet.columns.unknown(),
        }
    }
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        read: a.read + b.read,
        published: a.published + b.published,
        skipped: a.skipped + b.skipped,
        warned: a.warned + b.warned,
        refused: a.refused + b.refused,
    }
}
