//! Uploads, their progress and their faults.

use super::{Db, StoreError};

/// What one batch of rows adds to an upload; commits together with the statements that it published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadStep {
    /// The upload's id.
    pub upload: i64,
    /// The row that the upload had reached before: the step is taken only from there.
    pub from_row: u64,
    /// The row that it has reached now.
    pub next_row: u64,
    /// Counts to add.
    pub counts: Counts,
    /// Faults and warnings of the rows between.
    pub faults: Vec<FaultRow>,
    /// The last step: the receipt stands.
    pub finished: bool,
}

/// How the rows of an upload fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Data rows read.
    pub read: u64,
    /// Published (已共享).
    pub published: u64,
    /// Already published and unchanged (未变更), E302.
    pub skipped: u64,
    /// Published with a warning; counted in `published` too (or in `skipped`).
    pub warned: u64,
    /// Sent back (退回).
    pub refused: u64,
}

/// One fault or warning.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FaultRow {
    /// Data row, from 1.
    pub row: u64,
    /// The header as it came; None where the fault is the row's own.
    pub column: Option<String>,
    /// `E101` …
    pub code: String,
    /// A sentence in Chinese.
    pub message: String,
}

/// An upload as stored.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UploadRow {
    /// Its number.
    pub id: i64,
    /// Digest of the file.
    pub digest: String,
    /// The file's name.
    pub file: String,
    /// Kind.
    pub kind: String,
    /// Layout.
    pub layout: String,
    /// Encoding or format.
    pub encoding: String,
    /// For which department.
    pub department: Option<String>,
    /// Who ran it.
    pub operator: String,
    /// When it began, milliseconds since 1970.
    pub begun_ms: i64,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// The next row.
    pub next_row: u64,
    /// Counts so far.
    pub counts: Counts,
    /// Columns that no layout knows.
    pub unknown_columns: Vec<String>,
}

impl Db {
    /// Begins an upload, or finds the unfinished one of the same file digest, kind and department.
    pub async fn begin_upload(&self, _upload: &UploadRow) -> Result<UploadRow, StoreError> {
        todo!()
    }
    /// A step without statements (all rows skipped or refused); false if the upload is no longer at `from_row`.
    pub async fn step_upload(&self, _step: &UploadStep, _now_ms: i64) -> Result<bool, StoreError> {
        todo!()
    }
    /// Newest first.
    pub async fn uploads(&self, _limit: u32) -> Result<Vec<UploadRow>, StoreError> {
        todo!()
    }
    /// One.
    pub async fn upload(&self, _id: i64) -> Result<Option<UploadRow>, StoreError> {
        todo!()
    }
    /// Its faults by row, page by page.
    pub async fn faults(&self, _upload: i64, _after_row: u64, _limit: u32) -> Result<Vec<FaultRow>, StoreError> {
        todo!()
    }
}
