#!/usr/bin/env python3
"""Compares every day of config/calendar.toml with the PyPI packages chinesecalendar and holidays, where they are installed.

    pip install chinesecalendar holidays
    python3 tests/calendar/compare.py [FILE]

Ends with 0 if they agree, 1 if not, 2 if neither is installed. The test suite does not need it: the months' counts in
src/record/calendar/tests.rs were taken from chinesecalendar.
"""
import datetime
import pathlib
import sys
import tomllib

FILE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "config" / "calendar.toml")
DAY = datetime.timedelta(days=1)


def ours(written):
    """The years, and which days are worked."""
    holidays, workdays, years = set(), set(), set()
    for year in written["year"]:
        years.add(year["year"])
        workdays.update(year["workdays"])
        for holiday in year["holiday"]:
            day = holiday["from"]
            while day <= holiday["to"]:
                holidays.add(day)
                day += DAY
    return years, lambda day: day in workdays if day.weekday() >= 5 else day not in holidays


def theirs():
    """Each package that is installed, and how it says whether a day is worked."""
    try:
        import chinese_calendar

        yield "chinesecalendar", chinese_calendar.is_workday
    except ImportError:
        pass
    try:
        import holidays

        china = holidays.country_holidays("CN")
        yield "holidays", china.is_working_day
    except ImportError:
        pass


def main():
    years, worked = ours(tomllib.loads(FILE.read_text(encoding="utf-8")))
    packages = list(theirs())
    if not packages:
        print("neither chinesecalendar nor holidays is installed")
        return 2
    wrong = 0
    for name, says in packages:
        days = 0
        for year in sorted(years):
            day = datetime.date(year, 1, 1)
            while day.year == year:
                days += 1
                if worked(day) != says(day):
                    wrong += 1
                    print(f"{name}: {day} is {'' if says(day) else 'not '}worked there")
                day += DAY
        print(f"{name}: {days} days of {sorted(years)} compared")
    return 1 if wrong else 0


sys.exit(main())
