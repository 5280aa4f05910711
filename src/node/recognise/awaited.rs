//! What of partners' repairs waits to be decided here, and how that stands with its deadline: told before it is over, and
//! after.

use jiff::civil::Date;
use serde::Serialize;

use crate::clock::{Clock, begin_of, date_of};
use crate::node::settings::Settings;
use crate::statement::Digest;
use crate::store::{Db, StoreError};

/// So many are named.
pub const NAMED: u32 = 10;

/// What of partners' repairs waits to be decided here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Awaited {
    /// Repairs and revocations that are not decided for good.
    pub waiting: u64,
    /// Of them left to a person; the others a running node decides by itself.
    pub pending: u64,
    /// Of them due by the next working day, those included that are late.
    pub due: u64,
    /// Of them past their deadline.
    pub late: u64,
    /// Of them those on which nothing could be decided when that was tried.
    pub failing: u64,
    /// The first of them, those first that are due first.
    pub first: Vec<AwaitedOne>,
    /// In one sentence, and what to do, where something is due, late or fails.
    pub words: Option<String>,
}

/// A repair or revocation that waits to be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AwaitedOne {
    /// Its digest.
    pub digest: Digest,
    /// Who said it.
    pub issuer: String,
    /// It is left to a person.
    pub pending: bool,
    /// The last day for it.
    pub deadline: String,
    /// It is due by the next working day, or late.
    pub due: bool,
    /// That day is over.
    pub late: bool,
    /// Why nothing could be decided when that was tried last.
    pub fault: Option<String>,
}

impl Awaited {
    /// Looks at the store; names at most `first`.
    pub async fn of(db: &Db, settings: &Settings, clock: &Clock, first: u32) -> Result<Self, StoreError> {
        let (rules, calendar, today) = (settings.rules.now(), settings.calendar.now(), clock.today());
        let (within, soon) = (rules.deadlines.recognise, calendar.deadline(today, 1).date);
        // what was said before such a day was to be decided before today, or is by the next working day
        let late = calendar.oldest_in_time(today, within);
        let due = soon.tomorrow().map_or(soon, |behind| calendar.oldest_in_time(behind, within));
        let counts = db.undecided_counted([begin_of(late), begin_of(due)]).await?;
        let mut awaited = Self {
            waiting: counts.waiting,
            pending: counts.pending,
            due: counts.before_second,
            late: counts.before_first,
            failing: counts.failing,
            ..Self::default()
        };
        if awaited.waiting > 0 {
            let rows = db.undecided(first).await?;
            let one = |row: crate::store::recognising::Undecided| {
                let deadline = calendar.deadline(date_of(row.iat), within).date;
                AwaitedOne {
                    digest: row.waiting.digest,
                    issuer: row.issuer,
                    pending: row.waiting.pending,
                    deadline: deadline.to_string(),
                    due: deadline <= soon,
                    late: deadline < today,
                    fault: row.waiting.fault,
                }
            };
            awaited.first = rows.into_iter().map(one).collect();
        }
        awaited.words = awaited.words(soon);
        Ok(awaited)
    }

    fn words(&self, soon: Date) -> Option<String> {
        let mut parts = Vec::new();
        if self.late > 0 {
            let since = self.first.first().map(|first| format!(", the first was due on {}", first.deadline));
            parts.push(format!("{} late 逾期{}", self.late, since.unwrap_or_default()));
        }
        if self.due > self.late {
            parts.push(format!("{} due by {soon} 即将到期", self.due - self.late));
        }
        if self.failing > 0 {
            let why = self.first.iter().find_map(|one| one.fault.as_deref());
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            parts.push(format!("{} could not be decided and will be tried again{why}", self.failing));
        }
        let (repairs, wait) = if self.waiting == 1 { ("repair", "waits") } else { ("repairs", "wait") };
        (!parts.is_empty()).then(|| {
            format!(
                "{} {repairs} of partners {wait} to be decided here 待办互认: {}; `kaopu recognise list` shows them",
                self.waiting,
                parts.join("; ")
            )
        })
    }
}
