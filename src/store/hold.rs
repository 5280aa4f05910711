//! Uploads that wait for a second person: their rows as they were accepted, who held them, who decided.
//!
//! While one is being held its row of `upload` counts what would be published, step by step, so that holding goes on where it was
//! cut off; approving sets it back to its first row, and from then on it is published as any other upload is. What may
//! happen when stands in the UPDATE of each step and in triggers of the tables.

mod waiting;

use std::collections::HashMap;

use sqlx::FromRow;

pub use self::waiting::{Until, Waiting, WaitingCounts};
use super::db::{Tx, clean, int, nat, on, retry};
use super::pending::{Change, commit_noted, note};
use super::upload::{Moved, UploadRow, UploadStep, add_faults, begin_row, step_row, unfinished};
use super::{Db, StoreError};

/// What becomes of an upload that is held.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HoldRow {
    /// `holding` (rows are still to come), `held`, `approved`, `refused` or `expired`.
    pub state: String,
    /// Who held it.
    pub held_by: String,
    /// When it is dropped unless somebody decides on it before, milliseconds since 1970.
    pub until_ms: i64,
    /// Who approved or refused it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_ms: Option<i64>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The headers of the file's columns.
    #[serde(skip)]
    pub headers: Vec<String>,
    /// Rows of the file.
    pub rows: u64,
}

impl HoldRow {
    /// Nobody has decided on it.
    pub fn waits(&self) -> bool {
        matches!(self.state.as_str(), "holding" | "held")
    }
}

/// How much may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Uploads at once.
    pub uploads: u64,
    /// Bytes kept of the rows of all of them.
    pub bytes: u64,
}

/// What came of a step of holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldStep {
    /// It is stored.
    Taken,
    /// Another process is ahead, or somebody has refused it.
    Overtaken,
    /// All held uploads together would be too large.
    TooLarge,
}

/// What came of holding an upload at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldAtOnce {
    /// It is held, under this number.
    Held(i64),
    /// The same waits already, under this number.
    Waits(i64),
    /// No more may be held, or the person has no account any more.
    TooMany,
    /// All held uploads together would be too large.
    TooLarge,
    /// Its rows cannot be sealed.
    Unsealed(i64),
}

const WAITING: &str = "SELECT COUNT(*) FROM upload_hold WHERE state IN ('holding', 'held')";
const BEGIN: &str = "INSERT INTO upload_hold (upload, state, held_by, until_ms, headers, rows, bytes) \
     SELECT $1, 'holding', $2, $3, $4, $5, 0 WHERE NOT EXISTS (SELECT 1 FROM upload_hold h WHERE h.upload = $1) \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $2 AND a.state = 'active')";
const HOLDING: &str = "SELECT held_by FROM upload_hold WHERE upload = $1 AND state = 'holding'";
const KEEP: &str = "INSERT INTO held_rows (upload, first, sealed) VALUES ($1, $2, $3)";
const GROW: &str = "UPDATE upload_hold SET bytes = bytes + $1 WHERE upload = $2 AND state = 'holding' AND $1 + \
     (SELECT COALESCE(SUM(h.bytes), 0) FROM upload_hold h WHERE h.state IN ('holding', 'held')) <= $3";
const HOLD: &str = "UPDATE upload_hold SET state = 'held' WHERE upload = $1 AND state = 'holding'";
// Another person, in time, and only once.
const APPROVE: &str = "UPDATE upload_hold SET state = 'approved', decided_by = $1, decided_ms = $2, bytes = 0 \
     WHERE upload = $3 AND state = 'held' AND held_by <> $1 AND until_ms > $2 \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const SET_BACK: &str = "UPDATE upload SET next_row = 0, read = 0, published = 0, skipped = 0, warned = 0, refused = 0 \
     WHERE id = $1 AND finished_ms IS NULL";
const FORGET_FAULTS: &str = "DELETE FROM fault WHERE upload = $1";
const REFUSE: &str = "UPDATE upload_hold SET state = 'refused', decided_by = $1, decided_ms = $2, reason = $3, bytes = 0 \
     WHERE upload = $4 AND state IN ('holding', 'held') \
     AND EXISTS (SELECT 1 FROM account a WHERE a.name = $1 AND a.state = 'active')";
const OVER: &str =
    "SELECT upload FROM upload_hold WHERE state IN ('holding', 'held') AND until_ms <= $1 ORDER BY upload";
const EXPIRE: &str = "UPDATE upload_hold SET state = 'expired', bytes = 0 \
     WHERE upload = $1 AND state IN ('holding', 'held') AND until_ms <= $2";
const END: &str = "UPDATE upload SET finished_ms = $1, published = 0 WHERE id = $2 AND finished_ms IS NULL";
const DROP: &str = "DELETE FROM held_rows WHERE upload = $1";
const KEPT: &str = "SELECT first, sealed FROM held_rows WHERE upload = $1 AND first >= $2 ORDER BY first LIMIT 1";
const SINCE: &str = "SELECT upload, state, held_by, until_ms, headers, rows, decided_by, decided_ms, reason \
     FROM upload_hold WHERE upload >= $1 AND upload <= $2";

impl Db {
    /// Begins to hold an upload, or finds the one of the same file, kind and department that is being held, is held, or is
    /// being published after it was. None where too many are held already, or the person has no account any more.
    pub async fn begin_hold(
        &self,
        upload: &UploadRow,
        hold: &HoldRow,
        limits: &HoldLimits,
    ) -> Result<Option<UploadRow>, StoreError> {
        let begun = retry(|| async {
            let mut tx = self.begin().await?;
            let begun = begin(&mut tx, upload, hold, limits).await?;
            if begun.is_some() {
                tx.commit().await?;
            }
            Ok::<_, StoreError>(begun)
        });
        match begun.await? {
            Some(id) => self.upload(id).await,
            None => Ok(None),
        }
    }

    /// Takes a step: counts and faults as they would be, and the rows, sealed. The last one makes it held, and is noted as
    /// a change. A crash before the commit leaves nothing behind, one after it everything.
    pub async fn step_hold(
        &self,
        step: &UploadStep,
        sealed: Option<&[u8]>,
        limits: &HoldLimits,
        change: &Change<'_>,
    ) -> Result<HoldStep, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let stepped = take_step(&mut tx, step, sealed, limits, change).await?;
            if stepped == HoldStep::Taken {
                tx.commit().await?;
            }
            Ok(stepped)
        })
        .await
    }

    /// Holds an upload whose one step is all of it, in one transaction: a crash leaves nothing behind, or all of it. `seal`
    /// seals its rows under its number; the step and the change get that too.
    pub async fn hold_at_once(
        &self,
        upload: &UploadRow,
        hold: &HoldRow,
        limits: &HoldLimits,
        only: (&UploadStep, &Change<'_>),
        seal: impl Fn(i64) -> Option<Vec<u8>>,
    ) -> Result<HeldAtOnce, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let Some(id) = begin(&mut tx, upload, hold, limits).await? else { return Ok(HeldAtOnce::TooMany) };
            let by: Option<(String,)> = on!(tx tx, c => sqlx::query_as(HOLDING).bind(id).fetch_optional(c))?;
            if by.is_none_or(|(by,)| by != hold.held_by) {
                return Ok(HeldAtOnce::Waits(id));
            }
            let Some(sealed) = seal(id) else { return Ok(HeldAtOnce::Unsealed(id)) };
            let (step, subject) = (UploadStep { upload: id, ..only.0.clone() }, id.to_string());
            let change = Change { subject: &subject, ..*only.1 };
            match take_step(&mut tx, &step, Some(&sealed), limits, &change).await? {
                HoldStep::Taken => tx.commit().await.map(|()| HeldAtOnce::Held(id)),
                HoldStep::Overtaken => Ok(HeldAtOnce::Waits(id)),
                HoldStep::TooLarge => Ok(HeldAtOnce::TooLarge),
            }
        })
        .await
    }

    /// The change's person, who is another than held it, approves: from then on it is published from its first row on. False
    /// where there is nothing that this person may approve.
    pub async fn approve_hold(&self, upload: i64, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let approved = on!(change tx, c => sqlx::query(APPROVE)
                .bind(change.by)
                .bind(change.at_ms)
                .bind(upload)
                .execute(c))?;
            if approved == 1 {
                on!(change tx, c => sqlx::query(SET_BACK).bind(upload).execute(c))?;
                on!(change tx, c => sqlx::query(FORGET_FAULTS).bind(upload).execute(c))?;
            }
            commit_noted(tx, approved, change).await
        })
        .await
    }

    /// The change's person refuses it: its rows are dropped. False where nobody is waited for, or the person may not.
    pub async fn refuse_hold(&self, upload: i64, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let refused = on!(change tx, c => sqlx::query(REFUSE)
                .bind(change.by)
                .bind(change.at_ms)
                .bind(clean(change.reason.unwrap_or_default()))
                .bind(upload)
                .execute(c))?;
            if refused == 1 {
                end(&mut tx, upload, change.at_ms).await?;
            }
            commit_noted(tx, refused, change).await
        })
        .await
    }

    /// Drops those that nobody has decided on in time, and gives them back.
    pub async fn expire_holds(&self, now_ms: i64) -> Result<Vec<UploadRow>, StoreError> {
        let over: Vec<(i64,)> = on!(read self, c => sqlx::query_as(OVER).bind(now_ms).fetch_all(c))?;
        let mut expired = Vec::new();
        for (upload,) in over {
            let done = retry(|| async {
                let mut tx = self.begin().await?;
                let done = on!(change tx, c => sqlx::query(EXPIRE).bind(upload).bind(now_ms).execute(c))?;
                if done == 1 {
                    end(&mut tx, upload, now_ms).await?;
                    tx.commit().await?;
                }
                Ok::<_, StoreError>(done == 1)
            });
            if done.await? {
                expired.extend(self.upload(upload).await?);
            }
        }
        Ok(expired)
    }

    /// The kept rows of a held upload, those from row `from` on, a part of them at a time: the row where that begins, and
    /// the rows, sealed.
    pub async fn held_rows(&self, upload: i64, from: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let row: Option<(i64, Vec<u8>)> =
            on!(read self, c => sqlx::query_as(KEPT).bind(upload).bind(int(from)).fetch_optional(c))?;
        row.map(|(first, sealed)| Ok((nat(first)?, sealed))).transpose()
    }

    /// What is known of holding the uploads of these numbers.
    pub(super) async fn holds(&self, first: i64, last: i64) -> Result<HashMap<i64, HoldRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(SINCE).bind(first).bind(last).fetch_all(c))?;
        rows.into_iter().map(|row| Ok((row.upload, row.try_into()?))).collect()
    }
}

/// Begins to hold an upload, or finds it: its number. None where nothing more may be held.
async fn begin(
    tx: &mut Tx,
    upload: &UploadRow,
    hold: &HoldRow,
    limits: &HoldLimits,
) -> Result<Option<i64>, StoreError> {
    let headers = serde_json::to_string(&hold.headers).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let is_new = begin_row(tx, upload, true).await? == 1;
    let row = unfinished(tx, upload, true).await?;
    let id = row.map(|row| row.id).ok_or_else(|| StoreError::Busy("the upload ended meanwhile".to_owned()))?;
    if is_new {
        let (waiting,): (i64,) = on!(tx tx, c => sqlx::query_as(WAITING).fetch_one(c))?;
        let begun = on!(change tx, c => sqlx::query(BEGIN)
            .bind(id)
            .bind(&hold.held_by)
            .bind(hold.until_ms)
            .bind(clean(&headers))
            .bind(int(hold.rows))
            .execute(c))?;
        if begun == 0 || nat(waiting)? >= limits.uploads {
            return Ok(None);
        }
    }
    Ok(Some(id))
}

/// Takes a step within a transaction, which its caller commits where it was taken.
async fn take_step(
    tx: &mut Tx,
    step: &UploadStep,
    sealed: Option<&[u8]>,
    limits: &HoldLimits,
    change: &Change<'_>,
) -> Result<HoldStep, StoreError> {
    if !step_row(tx, step, Moved::Held).await? {
        return Ok(HoldStep::Overtaken);
    }
    add_faults(tx, step).await?;
    if let Some(sealed) = sealed {
        on!(change tx, c => sqlx::query(KEEP).bind(step.upload).bind(int(step.from_row)).bind(sealed).execute(c))?;
        let grown = on!(change tx, c => sqlx::query(GROW)
            .bind(int(sealed.len() as u64))
            .bind(step.upload)
            .bind(int(limits.bytes))
            .execute(c))?;
        if grown == 0 {
            return Ok(HoldStep::TooLarge);
        }
    }
    if step.finished {
        on!(change tx, c => sqlx::query(HOLD).bind(step.upload).execute(c))?;
        note(tx, change).await?;
    }
    Ok(HoldStep::Taken)
}

/// Nothing of it is published.
async fn end(tx: &mut Tx, upload: i64, now_ms: i64) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(END).bind(now_ms).bind(upload).execute(c))?;
    drop_rows(tx, upload).await
}

/// Its rows are no longer needed.
pub(super) async fn drop_rows(tx: &mut Tx, upload: i64) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(DROP).bind(upload).execute(c))?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    upload: i64,
    state: String,
    held_by: String,
    until_ms: i64,
    headers: String,
    rows: i64,
    decided_by: Option<String>,
    decided_ms: Option<i64>,
    reason: Option<String>,
}

impl TryFrom<Row> for HoldRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            state: row.state,
            held_by: row.held_by,
            until_ms: row.until_ms,
            decided_by: row.decided_by,
            decided_ms: row.decided_ms,
            reason: row.reason,
            headers: serde_json::from_str(&row.headers).map_err(|e| StoreError::Corrupt(e.to_string()))?,
            rows: nat(row.rows)?,
        })
    }
}
