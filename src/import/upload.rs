//! An upload run against the store: read, judged, compared with what is published, signed, appended, counted.
//!
//! Three stages run side by side: one thread reads and judges the next rows, another signs those before them, while the
//! appender commits those before these. Statements, cursor and faults of a chunk commit together, so a run that is cut
//! off anywhere has either taken a chunk or not: started again, it reads from the first row (which rows repeat one
//! another cannot be known otherwise), publishes from the cursor on, and ends in one receipt for the whole file.

pub mod acts;
mod chunk;
pub mod hold;
mod publish;
mod rehearsal;
mod signed;
mod source;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::acts::single::said_by_command;
use self::chunk::Chunk;
pub use self::hold::Intake;
pub use self::rehearsal::Rehearsal;
use self::rehearsal::{Rehearsed, WouldBe};
use self::signed::Signed;
use self::source::Source;
pub use self::source::kept_rows;
use super::kept::Unreadable;
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
    /// The same file waits for a second person.
    #[error("{}", held(.0))]
    Held(Box<UploadRow>),
    /// No more may be held.
    #[error(
        "nothing was held: {0} uploads wait already (import.held_uploads), or {1} has no active account any more; \
         `kaopu upload list` shows them, `upload approve` and `upload refuse` decide on them 待复核的批次过多"
    )]
    TooMany(u64, String),
    /// It is too large beside the others.
    #[error(
        "nothing is held: all held uploads together would take more than {0} bytes (import.held_bytes); decide on those that \
         wait, split the file, or raise the limit 待复核数据过多"
    )]
    TooLarge(u64),
    /// What is kept of it cannot be read.
    #[error(transparent)]
    Kept(Unreadable),
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
        progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let upload = self.begin(sheet, origin).await?;
        // boxed: the future is large, and its callers' would be with it
        Box::pin(self.go_on(&upload, &Source::Sheet(Arc::clone(sheet)), progress)).await
    }

    /// Begins an upload, or finds the one that was cut off. What waits for a second person is not published past that.
    async fn begin(&self, sheet: &Sheet, origin: &Origin) -> Result<UploadRow, UploadError> {
        let new = self.new_row(sheet, origin);
        match Box::pin(self.db.held_upload(&new)).await? {
            Some(held) => Err(UploadError::Held(Box::new(held))),
            None => Ok(Box::pin(self.db.begin_upload(&new)).await?),
        }
    }

    /// Publishes from the upload's cursor on.
    async fn go_on(
        &self,
        upload: &UploadRow,
        source: &Source,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let of = source.rows();
        progress(Progress { done: upload.next_row, of });
        let chunks = self.read(source, upload.next_row, upload.department.as_deref(), false);
        let signed = self.sign(chunks, upload.id);
        self.publish(upload.id, signed, |done| progress(Progress { done, of })).await?;
        self.db.look_at_growth().await;
        let finished = self.db.upload(upload.id).await?;
        finished.ok_or_else(|| UploadError::BrokenOff(format!("upload {} is not in the store", upload.id)))
    }

    /// Says what a run would do, and writes nothing.
    pub async fn rehearse(&self, sheet: &Arc<Sheet>, progress: impl FnMut(Progress)) -> Result<Rehearsal, UploadError> {
        let origin = Origin { file: String::new(), department: None, operator: String::new() };
        let run = self.rehearsed(&Source::Sheet(Arc::clone(sheet)), &self.new_row(sheet, &origin), false);
        rehearsal::rehearse(run, sheet.rows, progress).await
    }

    /// What a run would do from an upload's cursor on.
    fn rehearsed(&self, source: &Source, upload: &UploadRow, keep: bool) -> WouldSign<'_> {
        WouldSign { import: self, chunks: self.read(source, upload.next_row, upload.department.as_deref(), keep) }
    }

    /// The first stage: a thread that reads and judges.
    fn read(
        &self,
        source: &Source,
        done: u64,
        department: Option<&str>,
        keep: bool,
    ) -> mpsc::Receiver<Result<Chunk, UploadError>> {
        let (send, receive) = mpsc::channel(1);
        let (import, source) = (self.clone(), source.clone());
        let today = self.clock.today();
        let scales = self.punctuality.scales(today, department);
        tokio::task::spawn_blocking(move || {
            let rows = chunk::Rows { source: &source, day: today, scales, done, keep };
            chunk::read(&import, rows, |chunk| send.blocking_send(chunk).is_ok());
        });
        receive
    }

    /// The second: compares with what is published, and signs what is new.
    fn sign(
        &self,
        mut chunks: mpsc::Receiver<Result<Chunk, UploadError>>,
        upload: i64,
    ) -> mpsc::Receiver<Result<Signed, UploadError>> {
        let (send, receive) = mpsc::channel(1);
        let import = self.clone();
        tokio::spawn(async move {
            while let Some(chunk) = chunks.recv().await {
                let signed = match chunk {
                    Ok(chunk) => Signed::sign(&import, chunk, upload).await,
                    Err(error) => Err(error),
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
            hold: None,
        }
    }
}

/// A run of records that is only rehearsed.
struct WouldSign<'a> {
    import: &'a Import,
    chunks: mpsc::Receiver<Result<Chunk, UploadError>>,
}

impl Rehearsed for WouldSign<'_> {
    async fn next(&mut self) -> Result<Option<WouldBe>, UploadError> {
        let Some(mut chunk) = self.chunks.recv().await.transpose()? else { return Ok(None) };
        let rows = std::mem::take(&mut chunk.kept);
        let signed = Signed::sign(self.import, chunk, 0).await?;
        Ok(Some(WouldBe { step: signed.step().clone(), rows }))
    }
}

fn held(upload: &UploadRow) -> String {
    let (id, hold) = (upload.id, upload.hold.as_ref());
    let by = hold.map_or("?", |hold| hold.held_by.as_str());
    match hold.map_or("", |hold| hold.state.as_str()) {
        "holding" => format!(
            "{by} has begun to hold this as upload {id}: {by} goes on with the same command, or `kaopu upload refuse {id}` \
             drops it"
        ),
        "approved" => format!(
            "upload {id} of this was approved: `kaopu upload approve {id}` goes on publishing it 已复核，继续发布"
        ),
        "held" => format!(
            "this waits already as upload {id}, held by {by}: another person decides, by `kaopu upload approve {id}` or \
             `kaopu upload refuse {id}` 待复核"
        ),
        state => format!("upload {id} is {state}: nothing of it is published 未发布"),
    }
}
