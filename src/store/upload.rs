//! Uploads, their progress and their faults.

use std::collections::HashMap;
use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{Tx, clean, int, nat, on, retry};
use super::hold::{self, HoldRow};
use super::quality::{self, Tallied};
use super::rows::{MultiRow, insert};
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
    /// What the rows count for in the figures of data quality, each department once.
    pub quality: Vec<Tallied>,
    /// The last step: the receipt stands.
    pub finished: bool,
    /// The entries that it published, once they have their places: index of the first, and behind the last.
    pub entries: Option<(u64, u64)>,
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
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// What there is of holding it for a second person. Until that one has approved, the counts say what would be.
    pub hold: Option<HoldRow>,
}

/// Which uploads a step may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Those that may be published, never held or approved; now, milliseconds since 1970.
    Published(i64),
    /// One that is being held.
    Held,
}

const BEGIN: &str = "INSERT INTO upload (digest, file, kind, layout, encoding, department, operator, begun_ms, \
     next_row, read, published, skipped, warned, refused, unknown, held) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, 0, $9, $10) ON CONFLICT DO NOTHING";
const UNFINISHED: &str = "SELECT id, digest, file, kind, layout, encoding, department, operator, begun_ms, finished_ms, \
     next_row, read, published, skipped, warned, refused, unknown FROM upload \
     WHERE digest = $1 AND kind = $2 AND COALESCE(department, '') = $3 AND held = $4 AND finished_ms IS NULL";
const ALL: &str = "SELECT id, digest, file, kind, layout, encoding, department, operator, begun_ms, finished_ms, \
     next_row, read, published, skipped, warned, refused, unknown FROM upload ORDER BY id DESC LIMIT $1";
const ONE: &str = "SELECT id, digest, file, kind, layout, encoding, department, operator, begun_ms, finished_ms, \
     next_row, read, published, skipped, warned, refused, unknown FROM upload WHERE id = $1";
// A step counts once: whoever comes from the same row second changes nothing. What is held is published only after
// another person has approved it.
const STEP: &str = "UPDATE upload SET next_row = $1, read = read + $2, published = published + $3, \
     skipped = skipped + $4, warned = warned + $5, refused = refused + $6, finished_ms = $7 \
     WHERE id = $8 AND next_row = $9 AND finished_ms IS NULL AND (held = 0 OR EXISTS \
     (SELECT 1 FROM upload_hold h WHERE h.upload = $8 AND h.state = 'approved'))";
const STEP_HELD: &str = "UPDATE upload SET next_row = $1, read = read + $2, published = published + $3, \
     skipped = skipped + $4, warned = warned + $5, refused = refused + $6, finished_ms = $7 \
     WHERE id = $8 AND next_row = $9 AND finished_ms IS NULL AND held = 1 AND EXISTS \
     (SELECT 1 FROM upload_hold h WHERE h.upload = $8 AND h.state = 'holding')";
// The last row of a page is there with all its faults.
const FAULTS: &str = "SELECT line, header, code, message FROM fault WHERE upload = $1 AND line > $2 AND line <= \
     (SELECT MAX(line) FROM (SELECT line FROM fault WHERE upload = $1 AND line > $2 ORDER BY line LIMIT $3) AS page) \
     ORDER BY line, position";

static ADD_FAULTS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO fault (upload, line, position, header, code, message)", 6, ""));

impl Db {
    /// Begins an upload, or finds the unfinished one of the same file digest, kind and department.
    pub async fn begin_upload(&self, upload: &UploadRow) -> Result<UploadRow, StoreError> {
        let row = retry(|| async {
            let mut tx = self.begin().await?;
            begin_row(&mut tx, upload, false).await?;
            // another process may have ended it between the two: begin anew
            let row = unfinished(&mut tx, upload, false).await?;
            let row = row.ok_or_else(|| StoreError::Busy("the upload ended meanwhile".to_owned()))?;
            tx.commit().await?;
            Ok::<_, StoreError>(row)
        });
        row.await?.try_into()
    }

    /// The upload of the same file, kind and department that waits for a second person, or is being published after one
    /// has approved it.
    pub async fn held_upload(&self, upload: &UploadRow) -> Result<Option<UploadRow>, StoreError> {
        let row: Option<Row> = on!(read self, c => sqlx::query_as(UNFINISHED)
            .bind(&upload.digest)
            .bind(&upload.kind)
            .bind(upload.department.as_deref().map(clean).unwrap_or_default())
            .bind(1_i64)
            .fetch_optional(c))?;
        match row {
            Some(row) => self.upload(row.id).await,
            None => Ok(None),
        }
    }

    /// A step without statements (all rows skipped or refused); false if the upload is no longer at `from_row`.
    pub async fn step_upload(&self, taken: &UploadStep, now_ms: i64) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let stepped = step(&mut tx, taken, now_ms).await?;
            if stepped {
                tx.commit().await?;
            }
            Ok(stepped)
        })
        .await
    }

    /// Newest first.
    pub async fn uploads(&self, limit: u32) -> Result<Vec<UploadRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).bind(i64::from(limit)).fetch_all(c))?;
        let mut holds = match (rows.last(), rows.first()) {
            (Some(oldest), Some(newest)) => self.holds(oldest.id, newest.id).await?,
            _ => HashMap::new(),
        };
        let held = |row: Row| Ok(UploadRow { hold: holds.remove(&row.id), ..row.try_into()? });
        rows.into_iter().map(held).collect()
    }

    /// One.
    pub async fn upload(&self, id: i64) -> Result<Option<UploadRow>, StoreError> {
        let row: Option<Row> = on!(read self, c => sqlx::query_as(ONE).bind(id).fetch_optional(c))?;
        let Some(row) = row else { return Ok(None) };
        let hold = self.holds(id, id).await?.remove(&id);
        Ok(Some(UploadRow { hold, ..row.try_into()? }))
    }

    /// Its faults by row, page by page: `limit` of them, and the rest of the last row's.
    pub async fn faults(&self, upload: i64, after_row: u64, limit: u32) -> Result<Vec<FaultRow>, StoreError> {
        let rows: Vec<(i64, Option<String>, String, String)> = on!(read self, c => sqlx::query_as(FAULTS)
            .bind(upload)
            .bind(int(after_row))
            .bind(i64::from(limit))
            .fetch_all(c))?;
        rows.into_iter()
            .map(|(line, column, code, message)| Ok(FaultRow { row: nat(line)?, column, code, message }))
            .collect()
    }
}

/// Begins one, unless it is there: 1 if it was not.
pub(super) async fn begin_row(tx: &mut Tx, upload: &UploadRow, held: bool) -> Result<u64, StoreError> {
    let unknown = serde_json::to_string(&upload.unknown_columns).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    on!(change tx, c => sqlx::query(BEGIN)
        .bind(&upload.digest)
        .bind(clean(&upload.file))
        .bind(&upload.kind)
        .bind(&upload.layout)
        .bind(&upload.encoding)
        .bind(upload.department.as_deref().map(clean))
        .bind(clean(&upload.operator))
        .bind(upload.begun_ms)
        .bind(&unknown)
        .bind(i64::from(held))
        .execute(c))
}

/// The unfinished one of the same file digest, kind and department.
pub(super) async fn unfinished(tx: &mut Tx, upload: &UploadRow, held: bool) -> Result<Option<Row>, StoreError> {
    on!(tx tx, c => sqlx::query_as(UNFINISHED)
        .bind(&upload.digest)
        .bind(&upload.kind)
        .bind(upload.department.as_deref().map(clean).unwrap_or_default())
        .bind(i64::from(held))
        .fetch_optional(c))
}

/// Takes a step within a transaction; false, and nothing changed, if the upload does not stand where it begins.
pub(super) async fn step(tx: &mut Tx, step: &UploadStep, now_ms: i64) -> Result<bool, StoreError> {
    if !step_row(tx, step, Moved::Published(now_ms)).await? {
        return Ok(false);
    }
    add_faults(tx, step).await?;
    if step.finished {
        hold::drop_rows(tx, step.upload).await?;
    }
    quality::add(tx, &step.quality).await?;
    Ok(true)
}

/// Moves the upload's row; false if it does not stand where the step begins, or may not be moved so.
pub(super) async fn step_row(tx: &mut Tx, step: &UploadStep, moved: Moved) -> Result<bool, StoreError> {
    let (sql, finished_ms) = match moved {
        Moved::Published(now_ms) => (STEP, step.finished.then_some(now_ms)),
        // it waits for a person
        Moved::Held => (STEP_HELD, None),
    };
    let stepped = on!(change tx, c => sqlx::query(sql)
        .bind(int(step.next_row))
        .bind(int(step.counts.read))
        .bind(int(step.counts.published))
        .bind(int(step.counts.skipped))
        .bind(int(step.counts.warned))
        .bind(int(step.counts.refused))
        .bind(finished_ms)
        .bind(step.upload)
        .bind(int(step.from_row))
        .execute(c))?;
    Ok(stepped == 1)
}

/// Adds the faults of a step.
pub(super) async fn add_faults(tx: &mut Tx, step: &UploadStep) -> Result<(), StoreError> {
    let mut position = 0;
    let mut last = None;
    let faults: Vec<(i64, &FaultRow)> = step
        .faults
        .iter()
        .map(|fault| {
            position = if last == Some(fault.row) { position + 1 } else { 0 };
            last = Some(fault.row);
            (position, fault)
        })
        .collect();
    insert!(tx, ADD_FAULTS, &faults, |query, fault| query
        .bind(step.upload)
        .bind(int(fault.1.row))
        .bind(fault.0)
        .bind(fault.1.column.as_deref().map(clean))
        .bind(&fault.1.code)
        .bind(clean(&fault.1.message)))
    .await?;
    Ok(())
}

#[derive(FromRow)]
pub(super) struct Row {
    pub(super) id: i64,
    digest: String,
    file: String,
    kind: String,
    layout: String,
    encoding: String,
    department: Option<String>,
    operator: String,
    begun_ms: i64,
    finished_ms: Option<i64>,
    next_row: i64,
    read: i64,
    published: i64,
    skipped: i64,
    warned: i64,
    refused: i64,
    unknown: String,
}

impl TryFrom<Row> for UploadRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            digest: row.digest,
            file: row.file,
            kind: row.kind,
            layout: row.layout,
            encoding: row.encoding,
            department: row.department,
            operator: row.operator,
            begun_ms: row.begun_ms,
            finished_ms: row.finished_ms,
            next_row: nat(row.next_row)?,
            counts: Counts {
                read: nat(row.read)?,
                published: nat(row.published)?,
                skipped: nat(row.skipped)?,
                warned: nat(row.warned)?,
                refused: nat(row.refused)?,
            },
            unknown_columns: serde_json::from_str(&row.unknown).map_err(|e| StoreError::Corrupt(e.to_string()))?,
            hold: None,
        })
    }
}
