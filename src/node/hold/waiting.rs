//! Held uploads that nobody has decided on, told before they are dropped, and when they wait for long: in the journal each day,
//! in `status`, in the figures and by `doctor`.

use jiff::civil::Date;
use serde::Serialize;

use crate::clock::{Clock, begin_of, date_of};
use crate::node::settings::Settings;
use crate::node::status::time;
use crate::record::Calendar;
use crate::store::hold::{Until, Waiting};
use crate::store::{Db, StoreError};

/// So many are named.
pub const NAMED: u32 = 10;
/// A second person is expected to look at an upload within so many working days: what is decided is to be published within
/// seven.
const WITHIN: u32 = 2;

/// Held uploads that nobody has decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldUploads {
    /// All of them, those included of which rows are still to come.
    pub waiting: u64,
    /// Of them those that a person should look at now: dropped by the end of the next working day, or waiting for long.
    pub due: u64,
    /// Of them those that are dropped by the end of the next working day.
    pub expiring: u64,
    /// Of them those that have waited for more than two working days.
    pub long: u64,
    /// Seconds until the next one is dropped.
    pub next_expiry_seconds: Option<i64>,
    /// The first of them, those first that are dropped first.
    pub first: Vec<HeldOne>,
    /// In one sentence, and what to do, where one is due.
    pub words: Option<String>,
}

/// A held upload that nobody has decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldOne {
    /// Its number.
    pub upload: i64,
    /// Its kind.
    pub kind: String,
    /// Its file, or what was said by command.
    pub file: String,
    /// Who holds it.
    pub held_by: String,
    /// Rows are still to come: whoever holds it has not finished.
    pub unfinished: bool,
    /// Since when.
    pub since: String,
    /// When it is dropped.
    pub until: String,
    /// A person should look at it now.
    pub due: bool,
    /// What is to be done, in one sentence.
    pub words: String,
}

/// What a day makes due.
struct Today {
    /// What is dropped by then is due, milliseconds since 1970.
    soon_ms: i64,
    /// The day before.
    soon: Date,
    /// What came before has waited for long, likewise.
    long_ms: i64,
}

impl HeldUploads {
    /// Looks at the store; names at most `first`.
    pub async fn of(db: &Db, settings: &Settings, clock: &Clock, first: u32) -> Result<Self, StoreError> {
        let (today, now_ms) = (Today::of(&settings.calendar.now(), clock.today()), clock.now_ms());
        let moments = Until { now_ms, soon_ms: today.soon_ms, long_ms: today.long_ms };
        let counts = db.waiting_holds_counted(&moments).await?;
        let mut held = Self {
            waiting: counts.waiting,
            due: counts.due,
            expiring: counts.expiring,
            long: counts.long,
            next_expiry_seconds: counts.next_ms.map(|ms| (ms - now_ms).div_euclid(1000)),
            ..Self::default()
        };
        if held.waiting > 0 {
            let rows = db.waiting_holds(now_ms, first).await?;
            held.first = rows.into_iter().map(|row| today.told(row)).collect();
        }
        held.words = held.words(today.soon);
        Ok(held)
    }

    fn words(&self, soon: Date) -> Option<String> {
        let mut parts = Vec::new();
        if self.expiring > 0 {
            parts.push(format!("{} dropped by {soon} unless decided on 即将过期", self.expiring));
        }
        if self.long > 0 {
            parts.push(format!("{} for more than {WITHIN} working days 久未复核", self.long));
        }
        let (uploads, wait) = if self.waiting == 1 { ("upload", "waits") } else { ("uploads", "wait") };
        let first = self.first.iter().find(|one| one.due).or(self.first.first());
        let first = first.map(|first| format!("; first, {}", first.words)).unwrap_or_default();
        (!parts.is_empty()).then(|| {
            format!("{} held {uploads} {wait} for a second person 待复核: {}{first}", self.waiting, parts.join("; "))
        })
    }
}

impl Today {
    fn of(calendar: &Calendar, today: Date) -> Self {
        let soon = calendar.deadline(today, 1).date;
        let behind = soon.tomorrow().unwrap_or(soon);
        let ms = |day| begin_of(day).saturating_mul(1000);
        Self { soon_ms: ms(behind), soon, long_ms: ms(calendar.oldest_in_time(today, WITHIN)) }
    }

    fn told(&self, row: Waiting) -> HeldOne {
        let Waiting { upload, kind, file, held_by, unfinished, since_ms, until_ms } = row;
        let day = |ms: i64| date_of(ms.div_euclid(1000));
        let remedy = if unfinished {
            format!("{held_by} goes on with the same command, or `kaopu upload refuse {upload} --reason TEXT` drops it")
        } else {
            format!(
                "another person decides: `kaopu upload approve {upload}`, or `kaopu upload refuse {upload} --reason TEXT`"
            )
        };
        let (since, until) = (day(since_ms), day(until_ms));
        HeldOne {
            words: format!("upload {upload} ({kind}, {file}), held by {held_by} since {since} until {until}: {remedy}"),
            since: time(since_ms).unwrap_or_default(),
            until: time(until_ms).unwrap_or_default(),
            due: until_ms < self.soon_ms || since_ms < self.long_ms,
            upload,
            kind,
            file,
            held_by,
            unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn row(since: &str, until: &str) -> Waiting {
        let ms = |day: &str| begin_of(day.parse().unwrap()) * 1000 + 10 * HOUR_MS;
        Waiting {
            upload: 17,
            kind: "penalty".into(),
            file: "示例.csv".into(),
            held_by: "li".into(),
            unfinished: false,
            since_ms: ms(since),
            until_ms: ms(until),
        }
    }

    #[test]
    fn what_is_dropped_by_the_next_working_day_or_has_waited_for_long_is_due() {
        let calendar = Calendar::built_in().unwrap();
        // 2026-07-06 is a Monday
        for (today, since, until, due) in [
            ("2026-07-06", "2026-07-06", "2026-08-05", false),
            ("2026-07-08", "2026-07-06", "2026-08-05", false),
            ("2026-07-09", "2026-07-06", "2026-08-05", true),
            // a weekend is between
            ("2026-07-14", "2026-07-10", "2026-08-09", false),
            ("2026-07-15", "2026-07-10", "2026-08-09", true),
            ("2026-07-09", "2026-07-09", "2026-07-11", false),
            ("2026-07-09", "2026-07-09", "2026-07-10", true),
            ("2026-07-10", "2026-07-10", "2026-07-12", true),
            ("2026-07-10", "2026-07-10", "2026-07-13", true),
            ("2026-07-10", "2026-07-10", "2026-07-14", false),
        ] {
            let told = Today::of(&calendar, today.parse().unwrap()).told(row(since, until));
            assert_eq!(told.due, due, "on {today}, held from {since} until {until}");
        }
    }

    #[test]
    fn who_holds_it_and_which_command_decides_is_told() {
        let today = Today::of(&Calendar::built_in().unwrap(), jiff::civil::date(2026, 7, 9));
        let held = today.told(row("2026-07-06", "2026-08-05"));
        assert!(
            held.words.starts_with("upload 17 (penalty, 示例.csv), held by li since 2026-07-06 until 2026-08-05: ")
        );
        assert!(held.words.contains("`kaopu upload approve 17`"), "{}", held.words);
        let unfinished = today.told(Waiting { unfinished: true, ..row("2026-07-06", "2026-08-05") });
        assert!(unfinished.words.contains("li goes on with the same command"), "{}", unfinished.words);
        let all = HeldUploads { waiting: 2, due: 1, long: 1, first: vec![held], ..HeldUploads::default() };
        let words = all.words(today.soon).unwrap();
        assert!(
            words.starts_with("2 held uploads wait for a second person 待复核: 1 for more than 2 working days 久未复核; first, upload 17"),
            "{words}"
        );
        assert_eq!(HeldUploads { due: 0, long: 0, ..all }.words(today.soon), None);
    }
}
