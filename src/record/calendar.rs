//! Working days: from Monday to Friday, but for public holidays, and on the make-up days that the State Council names.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use serde::Deserialize;
use toml::Spanned;

use super::setting::{Day, SettingFault};

/// So many days before a missing year begins it is warned about: from 1 November on.
const WARNED_AHEAD: i32 = 61;
const BUILT_IN: &str = include_str!("../../config/calendar.toml");

/// The working days of the years that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeSet<i16>,
    holidays: BTreeSet<Date>,
    workdays: BTreeSet<Date>,
}

/// The calendar does not say which days of this year are worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the calendar does not have the year {year}: add the State Council's notice to config/calendar.toml")]
pub struct YearMissing {
    /// The first year that is missing.
    pub year: i16,
}

/// A day by which something must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// The last day.
    pub date: Date,
    /// Every day up to it was in the calendar; otherwise the years that are missing were counted from Monday to Friday.
    pub certain: bool,
}

/// A year that is missing, or will soon be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The year.
    pub year: i16,
    /// Days until it begins; 0 or less once it has.
    pub days: i32,
}

impl Calendar {
    /// The calendar that comes with the program.
    pub fn built_in() -> Result<Self, SettingFault> {
        Self::parse("config/calendar.toml", BUILT_IN)
    }

    /// Reads a calendar; `file` is named in faults.
    pub fn parse(file: &str, text: &str) -> Result<Self, SettingFault> {
        let written: Written = toml::from_str(text).map_err(|error| SettingFault::of(file, text, &error))?;
        let mut calendar = Self { years: BTreeSet::new(), holidays: BTreeSet::new(), workdays: BTreeSet::new() };
        for year in &written.year {
            calendar.take(year).map_err(|(offset, reason)| SettingFault::at(file, text, offset, reason))?;
        }
        for year in &written.year {
            for day in &year.workdays {
                if calendar.holidays.contains(&day.get_ref().0) {
                    return Err(SettingFault::at(file, text, day.span().start, "this day is a holiday too"));
                }
            }
        }
        Ok(calendar)
    }

    /// Whether the year of these days is known.
    pub fn covers(&self, year: i16) -> bool {
        self.years.contains(&year)
    }

    /// The last day of the known years that follow `today` without a gap; None where its own year is missing.
    pub fn covered_until(&self, today: Date) -> Option<Date> {
        let last = (today.year()..).take_while(|year| self.covers(*year)).last()?;
        Date::new(last, 12, 31).ok()
    }

    /// The year to warn about on this day: its own where it is missing, and the coming one from 1 November on.
    pub fn gap(&self, today: Date) -> Option<Gap> {
        let year = (today.year()..).find(|year| !self.covers(*year))?;
        let begins = Date::new(year, 1, 1).ok()?;
        let days = (begins - today).get_days();
        (days <= WARNED_AHEAD).then_some(Gap { year, days })
    }

    /// Whether offices work on this day.
    pub fn is_working_day(&self, day: Date) -> Result<bool, YearMissing> {
        if self.covers(day.year()) { Ok(self.is_worked(day)) } else { Err(YearMissing { year: day.year() }) }
    }

    /// The last day of a period of `n` working days that begins behind `from`: the n-th working day after it. None of them is
    /// `from` itself.
    pub fn add_working_days(&self, from: Date, n: u32) -> Result<Date, YearMissing> {
        let deadline = self.deadline(from, n);
        match deadline.certain {
            true => Ok(deadline.date),
            false => {
                let missing = (from.year()..=deadline.date.year()).find(|year| !self.covers(*year));
                Err(YearMissing { year: missing.unwrap_or(deadline.date.year()) })
            }
        }
    }

    /// The same, whatever the calendar knows: in a year that is missing, from Monday to Friday.
    pub fn deadline(&self, from: Date, n: u32) -> Deadline {
        let (mut date, mut certain, mut left) = (from, true, n);
        while left > 0 {
            let Ok(next) = date.tomorrow() else { break };
            date = next;
            certain &= self.covers(date.year());
            left -= u32::from(self.is_worked(date));
        }
        Deadline { date, certain }
    }

    /// The first day from which a period of `n` working days reaches `today`: what began earlier is late. Where years are
    /// missing, from Monday to Friday.
    pub fn oldest_in_time(&self, today: Date, n: u32) -> Date {
        let mut oldest = today;
        while let Ok(eve) = oldest.yesterday()
            && self.deadline(eve, n).date >= today
        {
            oldest = eve;
        }
        oldest
    }

    /// How many working days there are after `from` up to and with `to`; 0 where `to` is not after it.
    pub fn working_days_between(&self, from: Date, to: Date) -> Result<u32, YearMissing> {
        let mut days = 0;
        let mut date = from;
        while date < to {
            let Ok(next) = date.tomorrow() else { break };
            date = next;
            days += u32::from(self.is_working_day(date)?);
        }
        Ok(days)
    }

    fn is_worked(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        if weekend { self.workdays.contains(&day) } else { !self.holidays.contains(&day) }
    }

    fn take(&mut self, year: &Year) -> Result<(), (usize, String)> {
        let number = *year.year.get_ref();
        if !(1949..=9998).contains(&number) || !self.years.insert(number) {
            return Err((year.year.span().start, format!("{number} is no year, or stands here twice")));
        }
        if year.notice.get_ref().trim().is_empty() {
            return Err((year.notice.span().start, "the notice that says so is expected".to_owned()));
        }
        // the holidays around New Year may begin in the year before
        let within = |day: Date| day.year() == number || (day.year() == number - 1 && day.month() == 12);
        for holiday in &year.holiday {
            let Holiday { name, from, to } = holiday.get_ref();
            let (from, to) = (from.0, to.0);
            if from > to || !within(from) || !within(to) || (to - from).get_days() > 30 {
                return Err((holiday.span().start, format!("{name} is not some days of {number}, first to last")));
            }
            self.holidays.extend(from.series(jiff::Span::new().days(1)).take_while(|day| *day <= to));
        }
        for day in &year.workdays {
            let date = day.get_ref().0;
            if !within(date) || !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
                return Err((day.span().start, format!("{date} is no Saturday or Sunday of {number}")));
            }
            self.workdays.insert(date);
        }
        if year.holiday.is_empty() {
            return Err((year.year.span().start, format!("{number} has no holidays")));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    year: Vec<Year>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Year {
    year: Spanned<i16>,
    notice: Spanned<String>,
    #[serde(default)]
    workdays: Vec<Spanned<Day>>,
    #[serde(default)]
    holiday: Vec<Spanned<Holiday>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holiday {
    name: String,
    from: Day,
    to: Day,
}

#[cfg(test)]
mod tests;
