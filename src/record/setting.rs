//! What files of rules and calendars have in common: days, periods, and faults that name file and line.

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

/// Why a file is not taken: where it is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}, column {column}: {reason}")]
pub struct SettingFault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// A day as TOML has it: `2026-04-01`, without quotes and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(pub Date);

/// A length of time by the civil calendar: `"3 months"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    months: i32,
    days: i32,
}

impl SettingFault {
    /// A fault at a byte of the text.
    pub(super) fn at(file: &str, text: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let (line, column) =
            (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
        Self { file: file.to_owned(), line, column, reason: reason.into() }
    }

    /// What the parser found.
    pub(super) fn of(file: &str, text: &str, error: &toml::de::Error) -> Self {
        Self::at(file, text, error.span().map_or(0, |span| span.start), error.message())
    }
}

impl Period {
    /// Months, of which a year has twelve.
    pub const fn months(months: i32) -> Self {
        Self { months, days: 0 }
    }

    /// The day on which it is over when it begins on `from`. A month ends on the same day of another month, or on that
    /// month's last where it is shorter: three months from 30 November are over on 28 or 29 February.
    pub fn after(self, from: Date) -> Date {
        from.saturating_add(self.months.months()).saturating_add(self.days.days())
    }

    /// Whether it has no length.
    pub fn is_zero(self) -> bool {
        self.months == 0 && self.days == 0
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        let number: i32 = number.parse().ok().filter(|n| (0..=1200).contains(n))?;
        match unit {
            "day" | "days" => Some(Self { months: 0, days: number }),
            "month" | "months" => Some(Self { months: number, days: 0 }),
            "year" | "years" => Some(Self { months: number * 12, days: 0 }),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = toml::value::Datetime::deserialize(deserializer)?;
        let date = written.date.filter(|_| written.time.is_none() && written.offset.is_none());
        let civil = date.and_then(|d| Date::new(d.year.try_into().ok()?, d.month as i8, d.day as i8).ok());
        civil.map(Self).ok_or_else(|| serde::de::Error::custom("a day is expected, for example 2026-04-01"))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is no period: \"3 months\", \"1 year\" or \"30 days\" is expected"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn months_end_on_the_same_day_or_on_the_last_of_a_shorter_month() {
        for (from, period, over) in [
            (date(2025, 11, 30), "3 months", date(2026, 2, 28)),
            (date(2023, 11, 30), "3 months", date(2024, 2, 29)),
            (date(2026, 1, 31), "3 months", date(2026, 4, 30)),
            (date(2026, 3, 31), "1 month", date(2026, 4, 30)),
            (date(2024, 2, 29), "1 year", date(2025, 2, 28)),
            (date(2024, 2, 29), "3 years", date(2027, 2, 28)),
            (date(2025, 2, 28), "1 year", date(2026, 2, 28)),
            (date(2026, 4, 10), "3 months", date(2026, 7, 10)),
            (date(2026, 12, 31), "1 day", date(2027, 1, 1)),
            (date(2026, 4, 10), "0 days", date(2026, 4, 10)),
        ] {
            assert_eq!(Period::parse(period).unwrap().after(from), over, "{period} from {from}");
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for bad in ["", "3", "3 weeks", "months", "-1 days", "3months", "1.5 years", "three months", "9999 years"] {
            assert_eq!(Period::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_later_beginning_is_never_over_earlier(days in 0_i32..4000, more in 0_i32..400, months in 0_i32..40) {
            let from = date(2020, 1, 1).saturating_add(days.days());
            let later = from.saturating_add(more.days());
            prop_assert!(Period::months(months).after(from) <= Period::months(months).after(later));
        }
    }
}
