//! Whether the calendar of working days reaches far enough: a year that is missing is told of from 1 November before it on,
//! in the journal, in `status` and by `doctor`.

use serde::Serialize;

use crate::clock::Clock;
use crate::record::Calendar;
use crate::record::calendar::Gap;

/// A year of which the working days are not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingYear {
    /// Which.
    pub year: i16,
    /// Days until it begins; 0 or less once it has.
    pub days: i32,
    /// What it means and what to do, in one sentence.
    pub words: String,
}

/// The year to tell of today.
pub fn missing_year(calendar: &Calendar, clock: &Clock) -> Option<MissingYear> {
    calendar.gap(clock.today()).map(Into::into)
}

impl From<Gap> for MissingYear {
    fn from(gap: Gap) -> Self {
        let Gap { year, days } = gap;
        let when = match days {
            ..=0 => "which has begun".to_owned(),
            1 => "which begins tomorrow".to_owned(),
            days => format!("which begins in {days} days"),
        };
        let words = format!(
            "the calendar of working days lacks {year}, {when}: deadlines in it are counted from Monday to Friday; add the \
             State Council's notice to a copy of config/calendar.toml and name that with calendar = \"…\" in node.toml"
        );
        Self { year, days, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_year_is_told_of_before_and_after_it_begins() {
        for (days, expected) in [
            (61, "lacks 2027, which begins in 61 days: "),
            (1, "begins tomorrow: "),
            (0, "has begun: "),
            (-9, "has begun: "),
        ] {
            let told = MissingYear::from(Gap { year: 2027, days });
            assert!(told.words.contains(expected) && told.words.contains("calendar.toml"), "{}", told.words);
        }
    }
}
