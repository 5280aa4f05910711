//! An event said by command, held for a second person: an upload of one row, which is matched with its record already. Whoever
//! approves it has it judged again, and said.

use super::{Acts, Batch};
use crate::about::{Named, SayError, Spoken};
use crate::import::kept::{self, KeptRow};
use crate::import::upload::hold::Terms;
use crate::import::upload::rehearsal::{Rehearsed, WouldBe};
use crate::import::upload::{Progress, UploadError};
use crate::record::FaultCode;
use crate::statement::Digest;
use crate::store::upload::{Counts, FaultRow, UploadRow, UploadStep};

/// Stands where an upload of a file has its layout.
pub(in crate::import::upload) const LAYOUT: &str = "command";
/// Its row.
const ROW: u64 = 1;

/// What is held, until it is taken.
struct Single(Option<WouldBe>);

impl Acts {
    /// Holds an event that may be said, as a rehearsal of it told. The same one is not held twice at a time. Publishes nothing;
    /// cut off, it goes on when the same is held again.
    pub async fn hold_one(&self, spoken: &Spoken, terms: &Terms) -> Result<UploadRow, UploadError> {
        let new = self.single(spoken, terms);
        let upload = Box::pin(self.import.begin_hold(&new, Vec::new(), ROW, terms)).await?;
        let counts = Counts { read: 1, published: 1, ..Counts::default() };
        let step = UploadStep { next_row: ROW, counts, finished: true, ..UploadStep::default() };
        let run = Single(Some(WouldBe { step, rows: vec![KeptRow::single(ROW, spoken.clone())] }));
        Box::pin(self.import.keep(&upload, run, terms, ROW, |_| ())).await
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

impl Rehearsed for Single {
    async fn next(&mut self) -> Result<Option<WouldBe>, UploadError> {
        Ok(self.0.take())
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
