//! An event said by command, held for a second person: an upload of one row, which is matched with its record already. Whoever
//! approves it has it judged again, and said.

use super::{Acts, Batch};
use crate::about::{Named, SayError, Spoken};
use crate::import::kept::{self, KeptRow};
use crate::import::upload::hold::{Terms, change};
use crate::import::upload::{Progress, UploadError};
use crate::record::FaultCode;
use crate::statement::Digest;
use crate::store::hold::HeldAtOnce;
use crate::store::upload::{Counts, FaultRow, UploadRow, UploadStep};
use crate::store::{Db, StoreError};

/// Stands where an upload of a file has its layout.
pub(in crate::import::upload) const LAYOUT: &str = "command";
/// Its row.
const ROW: u64 = 1;

/// The digest of the event that was said, of an upload that is an event by command.
pub async fn said_by_command(db: &Db, upload: &UploadRow) -> Result<Option<Digest>, StoreError> {
    if upload.layout != LAYOUT {
        return Ok(None);
    }
    let Some(span) = db.spans(upload.id).await?.into_iter().next() else { return Ok(None) };
    Ok(db.statements(span.log, span.first, 1).await?.pop().map(|row| row.entry.digest))
}

impl Acts {
    /// Holds an event that may be said, as a rehearsal of it told, in one transaction. The same one is not held twice at a
    /// time. Publishes nothing.
    pub async fn hold_one(&self, spoken: &Spoken, terms: &Terms) -> Result<UploadRow, UploadError> {
        let (db, persons, now_ms) = (&self.import.db, &self.import.persons, self.import.clock.now_ms());
        let (new, hold) = (self.single(spoken, terms), terms.row(now_ms, Vec::new(), ROW));
        let counts = Counts { read: 1, published: 1, ..Counts::default() };
        let step = UploadStep { next_row: ROW, counts, finished: true, ..UploadStep::default() };
        let rows = [KeptRow::single(ROW, spoken.clone())];
        let change = change("", "hold", &terms.by, None, now_ms);
        let seal = |upload| kept::seal(persons, upload, step.from_row, &rows).ok();
        let held = Box::pin(db.hold_at_once(&new, &hold, &terms.limits, (&step, &change), seal)).await?;
        let row = async |upload| Ok::<_, UploadError>(db.upload(upload).await?.ok_or(kept::Unreadable(upload))?);
        match held {
            HeldAtOnce::Held(upload) => row(upload).await,
            HeldAtOnce::Waits(upload) => Err(UploadError::Held(Box::new(row(upload).await?))),
            HeldAtOnce::TooMany => Err(UploadError::TooMany(terms.limits.uploads, terms.by.clone())),
            HeldAtOnce::TooLarge => Err(UploadError::TooLarge(terms.limits.bytes)),
            HeldAtOnce::Unsealed(upload) => Err(kept::Unreadable(upload).into()),
        }
    }

    /// Says the one event that is kept of an upload, or sends it back where it may not be said any more.
    pub(in crate::import::upload) async fn say_kept(
        &self,
        upload: &UploadRow,
        mut progress: impl FnMut(Progress),
    ) -> Result<UploadRow, UploadError> {
        let Spoken { about, body, .. } = self.kept_event(upload.id).await?;
        let step = UploadStep {
            upload: upload.id,
            next_row: ROW,
            counts: Counts { read: 1, ..Counts::default() },
            finished: true,
            ..UploadStep::default()
        };
        let prepared = Box::pin(self.office.prepare(&self.import.kind, &Named::Digest(about), body)).await;
        let batch = match prepared {
            Ok((event, _)) => {
                let counts = Counts { published: 1, ..step.counts };
                Batch { events: vec![(ROW, event)], step: UploadStep { counts, ..step }, kept: Vec::new() }
            }
            Err(SayError::Append(error)) => return Err(error.into()),
            Err(SayError::Store(error)) => return Err(error.into()),
            Err(why) => {
                let counts = Counts { refused: 1, ..step.counts };
                Batch {
                    events: Vec::new(),
                    step: UploadStep { counts, faults: vec![fault(&why)], ..step },
                    kept: Vec::new(),
                }
            }
        };
        self.publish(batch).await?;
        progress(Progress { done: ROW, of: ROW });
        self.finished(upload.id).await
    }

    async fn kept_event(&self, upload: i64) -> Result<Spoken, UploadError> {
        let sealed = self.import.db.held_rows(upload, 0).await?;
        let (from, sealed) = sealed.ok_or(kept::Unreadable(upload))?;
        let rows = kept::open(&self.import.persons, upload, from, sealed)?;
        let single = rows.into_iter().next().and_then(KeptRow::into_single);
        Ok(single.ok_or(kept::Unreadable(upload))?)
    }

    /// The upload that it is.
    fn single(&self, spoken: &Spoken, terms: &Terms) -> UploadRow {
        let kind = &self.import.kind;
        let what = serde_json::json!([spoken.kind, spoken.about, spoken.body]).to_string();
        UploadRow {
            id: 0,
            digest: Digest::of(what.as_bytes()).to_string(),
            file: format!("{} {}", kind.title, spoken.words).trim().to_owned(),
            kind: kind.typ.kind.clone(),
            layout: LAYOUT.to_owned(),
            encoding: "json".to_owned(),
            department: None,
            operator: terms.by.clone(),
            begun_ms: self.import.clock.now_ms(),
            finished_ms: None,
            next_row: 0,
            counts: Counts::default(),
            unknown_columns: Vec::new(),
            hold: None,
        }
    }
}

fn fault(why: &SayError) -> FaultRow {
    let words = match why {
        SayError::MayNot(why) => why.title(),
        other => other.to_string(),
    };
    let message = format!("{}：{words}", FaultCode::E403.message());
    FaultRow { row: ROW, column: None, code: FaultCode::E403.to_string(), message }
}
