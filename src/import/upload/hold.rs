//! An upload held for a second person (复核): what would be published is kept, and nothing is published until somebody else has
//! approved it. Then the kept rows are judged again and go the way that the rows of a file go.
//!
//! Rows, counts and faults of a chunk commit together, so holding goes on where it was cut off, as publishing does.

use std::sync::Arc;

use super::acts::{Acts, single};
use super::rehearsal::{Rehearsal, Rehearsed, WouldBe};
use super::source::Source;
use super::{Import, Origin, Progress, UploadError};
use crate::import::kept;
use crate::import::{Columns, Sheet};
use crate::store::hold::{HoldLimits, HoldRow, HoldStep};
use crate::store::pending::Change;
use crate::store::upload::UploadRow;

/// How an upload is held.
#[derive(Clone, Debug)]
pub struct Terms {
    /// By whom: a person who has shown a secret.
    pub by: String,
    /// For how many milliseconds, unless somebody decides on it before.
    pub for_ms: i64,
    /// How much may be held.
    pub limits: HoldLimits,
}

impl Terms {
    /// How an upload begins to be held.
    pub(super) fn row(&self, now_ms: i64, headers: Vec<String>, rows: u64) -> HoldRow {
        HoldRow {
            state: "holding".to_owned(),
            held_by: self.by.clone(),
            until_ms: now_ms.saturating_add(self.for_ms),
            decided_by: None,
            decided_ms: None,
            reason: None,
            headers,
            rows,
        }
    }
}

/// What takes a department's files: records, or what is said about them.
pub enum Intake {
    /// Records.
    Records(Import),
    /// Events.
    Acts(Acts),
}

impl Intake {
    /// What both sorts of uploads are run with.
    pub fn import(&self) -> &Import {
        match self {
            Self::Records(import) => import,
            Self::Acts(acts) => &acts.import,
        }
    }

    /// Runs an upload to its end, or goes on with one that was cut off. One that is held is not published so.
    pub async fn run(
        &self,
        sheet: &Arc<Sheet>,
        origin: &Origin,
        progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        match self {
            Self::Records(import) => import.run(sheet, origin, progress).await,
            Self::Acts(acts) => acts.run(sheet, origin, progress).await,
        }
    }

    /// Says what a run would do, and writes nothing.
    pub async fn rehearse(&self, sheet: &Arc<Sheet>, progress: impl FnMut(Progress)) -> Result<Rehearsal, UploadError> {
        match self {
            Self::Records(import) => Box::pin(import.rehearse(sheet, progress)).await,
            Self::Acts(acts) => Box::pin(acts.rehearse(sheet, progress)).await,
        }
    }

    /// Holds an upload: keeps its rows and the receipt as it would be, and publishes nothing.
    pub async fn hold(
        &self,
        sheet: &Arc<Sheet>,
        origin: &Origin,
        terms: &Terms,
        progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let import = self.import();
        let (new, headers) = (import.new_row(sheet, origin), sheet.columns.headers.clone());
        let upload = Box::pin(import.begin_hold(&new, headers, sheet.rows, terms)).await?;
        let source = Source::Sheet(Arc::clone(sheet));
        match self {
            Self::Records(import) => {
                let run = import.rehearsed(&source, &upload, true);
                Box::pin(import.keep(&upload, run, terms, sheet.rows, progress)).await
            }
            Self::Acts(acts) => {
                let run = acts.batches(source, &upload, true).await?;
                Box::pin(import.keep(&upload, run, terms, sheet.rows, progress)).await
            }
        }
    }

    /// Publishes what is kept of an upload that was approved, or goes on where that was cut off.
    pub async fn publish_held(
        &self,
        upload: UploadRow,
        progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let Some(hold) = upload.hold.as_ref().filter(|hold| hold.state == "approved") else {
            return Err(UploadError::Held(Box::new(upload)));
        };
        if upload.finished_ms.is_some() {
            return Ok(upload);
        }
        if let Self::Acts(acts) = self
            && upload.layout == single::LAYOUT
        {
            return Box::pin(acts.say_kept(&upload, progress)).await;
        }
        let columns = Columns::recognise(&self.import().kind, &hold.headers);
        let columns = Arc::new(columns.ok_or(kept::Unreadable(upload.id))?);
        let source = Source::Kept { upload: upload.id, rows: hold.rows, columns };
        match self {
            Self::Records(import) => Box::pin(import.go_on(&upload, &source, progress)).await,
            Self::Acts(acts) => Box::pin(acts.go_on(&upload, source, progress)).await,
        }
    }
}

impl Import {
    /// Begins to hold an upload, or finds that its holder has begun. Any other that waits is not held again.
    async fn begin_hold(
        &self,
        new: &UploadRow,
        headers: Vec<String>,
        rows: u64,
        terms: &Terms,
    ) -> Result<UploadRow, UploadError> {
        let hold = terms.row(self.clock.now_ms(), headers, rows);
        let upload = Box::pin(self.db.begin_hold(new, &hold, &terms.limits)).await?;
        let upload = upload.ok_or_else(|| UploadError::TooMany(terms.limits.uploads, terms.by.clone()))?;
        if upload.hold.as_ref().is_none_or(|hold| hold.state != "holding" || hold.held_by != terms.by) {
            return Err(UploadError::Held(Box::new(upload)));
        }
        Ok(upload)
    }

    /// Keeps what a run would do.
    async fn keep(
        &self,
        upload: &UploadRow,
        mut run: impl Rehearsed,
        terms: &Terms,
        of: u64,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        progress(Progress { done: upload.next_row, of });
        let subject = upload.id.to_string();
        while let Some(WouldBe { mut step, rows }) = run.next().await? {
            step.upload = upload.id;
            let sealed = match rows.is_empty() {
                true => None,
                false => Some(kept::seal(&self.persons, upload.id, step.from_row, &rows)?),
            };
            let now_ms = self.clock.now_ms();
            let done = change(&subject, "hold", &terms.by, None, now_ms);
            let stepped = Box::pin(self.db.step_hold(&step, sealed.as_deref(), &terms.limits, &done)).await?;
            match stepped {
                HoldStep::Taken => progress(Progress { done: step.next_row, of }),
                HoldStep::Overtaken => return Err(UploadError::Overtaken(upload.id)),
                HoldStep::TooLarge => {
                    let why = Some("too large to be held");
                    let dropped = change(&subject, "refuse held", &terms.by, why, now_ms);
                    self.db.refuse_hold(upload.id, &dropped).await?;
                    return Err(UploadError::TooLarge(terms.limits.bytes));
                }
            }
        }
        let held = self.db.upload(upload.id).await?;
        let is_held = |row: &UploadRow| row.hold.as_ref().is_some_and(|hold| hold.state == "held");
        held.filter(is_held).ok_or_else(|| UploadError::BrokenOff("a stage before ended early".to_owned()))
    }
}

/// A step of holding, as the exchange log keeps it.
pub fn change<'a>(
    upload: &'a str,
    action: &'static str,
    by: &'a str,
    reason: Option<&'a str>,
    at_ms: i64,
) -> Change<'a> {
    Change { about: "upload", subject: upload, action, by, reason, digest: None, at_ms }
}
