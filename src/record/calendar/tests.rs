use jiff::ToSpan as _;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn built_in() -> Calendar {
    Calendar::built_in().unwrap()
}

/// Working days of each month as PyPI's `chinesecalendar` 1.11 counts them: `tests/calendar/compare.py` compares every day.
const WORKED: [(i16, [u32; 12]); 4] = [
    (2023, [18, 20, 23, 20, 21, 21, 21, 23, 20, 19, 22, 21]),
    (2024, [22, 18, 21, 22, 21, 19, 23, 22, 21, 19, 21, 22]),
    (2025, [19, 19, 21, 22, 19, 20, 23, 21, 23, 18, 20, 23]),
    (2026, [21, 16, 22, 21, 19, 21, 23, 21, 22, 18, 21, 23]),
];

#[test]
fn each_month_has_the_working_days_that_an_independent_calendar_counts() {
    let calendar = built_in();
    for (year, months) in WORKED {
        for (month, expected) in (1..).zip(months) {
            let first = date(year, month, 1);
            let days = first.series(1.day()).take_while(|day| day.month() == month && day.year() == year);
            let worked = days.filter(|day| calendar.is_working_day(*day).unwrap()).count();
            assert_eq!(worked, expected as usize, "{year}-{month}");
        }
    }
}

#[test]
fn holidays_and_make_up_days_are_as_the_notices_say() {
    let calendar = built_in();
    for (day, worked) in [
        (date(2023, 10, 7), true),  // a Saturday
        (date(2023, 10, 6), false), // a Friday
        (date(2024, 2, 18), true),
        (date(2024, 10, 12), true),
        (date(2025, 1, 26), true),
        (date(2025, 10, 8), false),
        (date(2026, 1, 2), false),
        (date(2026, 1, 4), true),
        (date(2026, 2, 23), false),
        (date(2026, 2, 24), true),
        (date(2026, 2, 28), true),
        (date(2026, 11, 27), true),
        (date(2026, 11, 28), false),
    ] {
        assert_eq!(calendar.is_working_day(day), Ok(worked), "{day}");
    }
}

#[test]
fn a_deadline_counts_from_the_next_day_over_holidays() {
    let calendar = built_in();
    for (from, n, until) in [
        (date(2026, 11, 26), 0, date(2026, 11, 26)),
        (date(2026, 11, 26), 1, date(2026, 11, 27)),
        (date(2026, 11, 27), 1, date(2026, 11, 30)),
        (date(2026, 11, 28), 3, date(2026, 12, 2)), // a Saturday
        (date(2026, 9, 30), 1, date(2026, 10, 8)),
        (date(2026, 9, 30), 3, date(2026, 10, 10)), // the third is a Saturday that is worked
        (date(2026, 2, 13), 6, date(2026, 2, 28)),  // a Saturday that is worked
        (date(2025, 12, 31), 2, date(2026, 1, 5)),
    ] {
        assert_eq!(calendar.add_working_days(from, n), Ok(until), "{n} from {from}");
    }
}

#[test]
fn what_began_on_the_oldest_day_in_time_is_still_in_time() {
    let calendar = built_in();
    for (today, n, oldest) in [
        (date(2026, 6, 10), 7, date(2026, 6, 1)),
        (date(2026, 10, 8), 1, date(2026, 9, 30)), // the first working day after the holiday
        (date(2026, 10, 7), 1, date(2026, 9, 30)),
        (date(2026, 6, 10), 0, date(2026, 6, 10)),
    ] {
        assert_eq!(calendar.oldest_in_time(today, n), oldest, "{today}");
        assert!(
            calendar.deadline(oldest, n).date >= today
                && calendar.deadline(oldest.yesterday().unwrap(), n).date < today
        );
    }
}

#[test]
fn a_missing_year_is_an_error_or_an_uncertain_day_and_never_passed_over() {
    let calendar = built_in();
    assert_eq!(calendar.is_working_day(date(2027, 1, 4)), Err(YearMissing { year: 2027 }));
    assert_eq!(calendar.add_working_days(date(2026, 12, 30), 2), Err(YearMissing { year: 2027 }));
    assert_eq!(calendar.working_days_between(date(2026, 12, 30), date(2027, 1, 4)), Err(YearMissing { year: 2027 }));
    let deadline = calendar.deadline(date(2026, 12, 30), 2);
    assert_eq!(deadline, Deadline { date: date(2027, 1, 1), certain: false });
    assert_eq!(calendar.add_working_days(date(2026, 12, 30), 1), Ok(date(2026, 12, 31)));
    assert_eq!(calendar.working_days_between(date(2022, 12, 31), date(2023, 1, 3)), Ok(1));
    assert_eq!(calendar.working_days_between(date(2026, 5, 8), date(2026, 5, 8)), Ok(0));
}

#[test]
fn a_missing_year_is_warned_about_from_the_first_of_november_on() {
    let calendar = built_in();
    assert_eq!(calendar.gap(date(2026, 10, 31)), None);
    assert_eq!(calendar.gap(date(2026, 11, 1)), Some(Gap { year: 2027, days: 61 }));
    assert_eq!(calendar.gap(date(2026, 12, 31)), Some(Gap { year: 2027, days: 1 }));
    assert_eq!(calendar.gap(date(2027, 2, 1)), Some(Gap { year: 2027, days: -31 }));
    assert_eq!(calendar.gap(date(2025, 12, 31)), None);
    assert_eq!(calendar.covered_until(date(2024, 5, 1)), Some(date(2026, 12, 31)));
    assert_eq!(calendar.covered_until(date(2027, 1, 1)), None);
}

#[test]
fn a_faulty_calendar_is_refused_with_its_line() {
    let sound = BUILT_IN;
    let line_of = |needle: &str| sound.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for (from, to, line, reason) in [
        ("workdays = [2026-01-04", "workdays = [2026-01-05", line_of("2026-01-04"), "no Saturday or Sunday"),
        ("workdays = [2026-01-04", "workdays = [2025-01-04", line_of("2026-01-04"), "no Saturday or Sunday of 2026"),
        ("workdays = [2026-01-04", "workdays = [2026-01-03", line_of("2026-01-04"), "holiday too"),
        ("workdays = [2026-01-04", "workdays = [2026-13-04", line_of("2026-01-04"), ""),
        ("workdays = [2026-01-04", "workdays = [\"2026-01-04\"", line_of("2026-01-04"), "string"),
        ("to = 2026-01-03", "to = 2025-01-03", line_of("to = 2026-01-03"), "元旦"),
        ("to = 2026-10-07", "to = 2026-10-07, days = 7", line_of("to = 2026-10-07"), "unknown field"),
        ("year = 2026", "year = 2025", line_of("year = 2026"), "twice"),
        ("notice = \"国办发明电〔2025〕7号\"", "notice = \"\"", line_of("〔2025〕7号"), "notice"),
        ("notice = \"国办发明电〔2025〕7号\"", "", line_of("year = 2026") - 1, "missing field"),
    ] {
        assert!(sound.contains(from), "{from}");
        let fault = Calendar::parse("calendar.toml", &sound.replace(from, to)).unwrap_err();
        assert_eq!((fault.file.as_str(), fault.line), ("calendar.toml", line), "{to}: {fault}");
        assert!(fault.reason.contains(reason), "{to}: {fault}");
    }
}

proptest! {
    #[test]
    fn as_many_working_days_lie_between_as_were_added(days in 0_i32..1300, n in 0_u32..40) {
        let calendar = built_in();
        let from = date(2023, 1, 1).saturating_add(days.days());
        let until = calendar.add_working_days(from, n).unwrap();
        prop_assert_eq!(calendar.working_days_between(from, until), Ok(n));
        prop_assert!(n == 0 || calendar.is_working_day(until).unwrap());
    }
}
