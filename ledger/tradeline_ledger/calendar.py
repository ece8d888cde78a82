"""
Days, months and years of instants and dates (docs/formats.md, section 1).

Instants are milliseconds since 1970-01-01T00:00Z. Their day, month and year are those of the
ledger's local time, `utc_offset_min` minutes east of UTC, in the proleptic Gregorian calendar. A
month is counted as `year * 12 + month - 1`. Arithmetic on instants is in integers of any size, so
that no `time_ms` that decodes can make it fail.
"""

from __future__ import annotations

import enum
import re
from datetime import date
from functools import lru_cache
from typing import Final

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
MONTHS_PER_YEAR: Final = 12

_EPOCH_FROM_MARCH_0: Final = 719_468
"""Days from 0000-03-01, where the count of years below starts, to 1970-01-01."""
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_ERA_DAYS: Final = 146_097
"""Days of 400 years, after which the calendar repeats."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_PERIOD = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)


@enum.unique
class Unit(enum.IntEnum):
    """Calendar unit by which reads under a consent are counted."""

    ONCE = 0
    DAY = 1
    MONTH = 2
    YEAR = 3


def day(time_ms: int, utc_offset_min: int) -> int:
    """Return the local day of an instant, counted from 1970-01-01."""
    return (time_ms + utc_offset_min * MINUTE_MS) // DAY_MS


def month(time_ms: int, utc_offset_min: int) -> int:
    """Return the local month of an instant, as `year * 12 + month - 1`."""
    return month_of_day(day(time_ms, utc_offset_min))


def year(time_ms: int, utc_offset_min: int) -> int:
    """Return the local year of an instant."""
    return month(time_ms, utc_offset_min) // MONTHS_PER_YEAR


def bucket(unit: int, time_ms: int, utc_offset_min: int) -> int:
    """Return the number of the calendar `Unit` that an instant falls in: 0 for `ONCE`."""
    match Unit(unit):
        case Unit.ONCE:
            return 0
        case Unit.DAY:
            return day(time_ms, utc_offset_min)
        case Unit.MONTH:
            return month(time_ms, utc_offset_min)
        case Unit.YEAR:
            return year(time_ms, utc_offset_min)


def month_start_ms(month_number: int, utc_offset_min: int) -> int:
    """Return the first millisecond of a local month."""
    first_day = _first_day_of_month(month_number)
    return first_day * DAY_MS - utc_offset_min * MINUTE_MS


def next_month_ms(time_ms: int, utc_offset_min: int) -> int:
    """Return the first millisecond of the local month after that of an instant."""
    return month_start_ms(month(time_ms, utc_offset_min) + 1, utc_offset_min)


@lru_cache(maxsize=8192)
def parse_date(text: str) -> date:
    """
    Return the day that `text` names, which must be a real one written as `YYYY-MM-DD`.

    Raises:
        ValueError: anything else, such as 2026-02-30, 20260203 or 2026-W01-1.
    """
    if not _DATE.fullmatch(text):
        # The text is not repeated: somebody may have put an identifier in its place.
        raise ValueError("not a date written as YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text} is no day of the calendar: {error}") from error


@lru_cache(maxsize=8192)
def month_of(text: str) -> int:
    """
    Return the month of a date `YYYY-MM-DD`, as `year * 12 + month - 1`.

    Raises:
        ValueError: it is not the date of a real day.
    """
    parsed = parse_date(text)
    return parsed.year * MONTHS_PER_YEAR + parsed.month - 1


def year_of(text: str) -> int:
    """
    Return the year of a date `YYYY-MM-DD`.

    Raises:
        ValueError: it is not the date of a real day.
    """
    return month_of(text) // MONTHS_PER_YEAR


def day_of(text: str) -> int:
    """
    Return the day of a date `YYYY-MM-DD`, counted from 1970-01-01.

    Raises:
        ValueError: it is not the date of a real day.
    """
    return parse_date(text).toordinal() - _EPOCH_ORDINAL


def month_of_day(day_number: int) -> int:
    """Return the month of a day counted from 1970-01-01, as `year * 12 + month - 1`."""
    # Years are counted from 1 March, so that the day that leap years add is a year's last.
    era, day_of_era = divmod(day_number + _EPOCH_FROM_MARCH_0, _ERA_DAYS)
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    return (era * 400 + year_of_era) * MONTHS_PER_YEAR + from_march + 2


@lru_cache(maxsize=8192)
def parse_period(text: str) -> int:
    """
    Return the month that a period `YYYY-MM` names, as `year * 12 + month - 1`.

    Raises:
        ValueError: it is not written so, or the year is 0.
    """
    found = _PERIOD.fullmatch(text)
    if not found or text.startswith("0000"):
        raise ValueError("not a month written as YYYY-MM")
    return int(found[1]) * MONTHS_PER_YEAR + int(found[2]) - 1


def period(month_number: int) -> str:
    """Return the text `YYYY-MM` of a month of the years 1 to 9999."""
    number_of_year, from_january = divmod(month_number, MONTHS_PER_YEAR)
    assert 1 <= number_of_year <= 9999, number_of_year  # noqa: PLR2004 - what four digits hold
    return f"{number_of_year:04}-{from_january + 1:02}"


def last_date(month_number: int) -> str:
    """Return the last day of a month of the years 1 to 9999, as `YYYY-MM-DD`."""
    days = _first_day_of_month(month_number + 1) - _first_day_of_month(month_number)
    return f"{period(month_number)}-{days:02}"


def date_of_day(day_number: int) -> str:
    """Return the date `YYYY-MM-DD` of a day counted from 1970-01-01, years 1 to 9999."""
    month_number = month_of_day(day_number)
    return f"{period(month_number)}-{day_number - _first_day_of_month(month_number) + 1:02}"


def _first_day_of_month(month_number: int) -> int:
    from_march_0 = month_number - 2
    number_of_year, from_march = divmod(from_march_0, MONTHS_PER_YEAR)
    era, year_of_era = divmod(number_of_year, 400)
    day_of_era = (
        365 * year_of_era + year_of_era // 4 - year_of_era // 100 + (153 * from_march + 2) // 5
    )
    return era * _ERA_DAYS + day_of_era - _EPOCH_FROM_MARCH_0
