"""
Dates in the styles that one column may mix, read only where they can mean one day.

`03/04/2024` is two days: unless the mapping says which part comes first, or the column itself does
by a part over 12, it is a fault.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from datetime import date, timedelta
from typing import Final

import pyarrow as pa

from tradeline_client.imports.cleansing_value import (
    Distinct,
    Normalised,
    ValueFinding,
    clean_words,
)
from tradeline_client.imports.fault import Severity

_MIDNIGHT: Final = r"(?:[T ]00:00(?::00(?:\.0+)?)?Z?)?"
_DATED: Final = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})" + _MIDNIGHT, re.ASCII),
    re.compile(r"(?P<y>\d{4})([-/. ])(?P<m>\d{1,2})\2(?P<d>\d{1,2})" + _MIDNIGHT, re.ASCII),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})", re.ASCII),
    re.compile(r"(?P<y>\d{4})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日?", re.ASCII),
    re.compile(r"民[国國](?P<y>\d{1,3})年(?P<m>\d{1,2})月(?P<d>\d{1,2})日?", re.ASCII),
)
"""In the order of the first styles of `DateStyle`."""
_YEAR_LAST = re.compile(r"(\d{1,2})([-/. ])(\d{1,2})\2(\d{4})", re.ASCII)
_SERIAL = re.compile(r"(\d{5})(?:\.0+)?", re.ASCII)
_SERIAL_EPOCH: Final = date(1899, 12, 30)
"""Day 0 of spreadsheets, from 1 March 1900 on."""
_SERIAL_MIN: Final = 10_000
_SERIAL_MAX: Final = 73_050
"""1927 to 2099: five digits beyond that are more likely something else."""
_REPUBLIC_YEAR_0: Final = 1911
_MONTHS: Final = 12


@enum.unique
class DateOrder(enum.Enum):
    """Which part comes first in a date that ends with its year."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


@enum.unique
class DateStyle(enum.Enum):
    """How a date is written."""

    ISO = "YYYY-MM-DD"
    YEAR_FIRST = "year, month, day with / . or spaces"
    COMPACT = "YYYYMMDD"
    CHINESE = "YYYY年M月D日"
    REPUBLIC = "民国Y年M月D日"
    DAY_FIRST = "day, month, year"
    MONTH_FIRST = "month, day, year"
    SERIAL = "serial number of a spreadsheet"


UNREADABLE: Final = ValueFinding(
    code="date-unreadable",
    got="text that is no day of the calendar",
    expected="a day, such as 2026-02-28",
    fix="correct the date",
    severity=Severity.REJECT,
)
AMBIGUOUS: Final = ValueFinding(
    code="date-ambiguous",
    got="a date that could be two days",
    expected="a date that can be only one",
    fix="name the order of day and month in the mapping, or export dates as YYYY-MM-DD",
    severity=Severity.REJECT,
)


def normalise_date(array: pa.Array, order: DateOrder | None = None) -> Normalised:
    """
    Return dates as `YYYY-MM-DD`; what is no date, or could be two, stays as it was written.

    Faults: `date-unreadable` and `date-ambiguous` (reject), `date-style-mixed` (warning) for each
    value in another style than most of the column.

    Args:
        array: column of strings.
        order: of dates that end with their year; None to let the column tell.
    """
    distinct = Distinct(array)
    words = clean_words(distinct.words).to_pylist()
    order = order or _order_of(words)
    readings = [_read(word, order) for word in words]
    usual = next(iter(_weigh(distinct, [style for style, _ in readings])), None)
    days, faults = [], []
    for index, (word, (style, day)) in enumerate(zip(words, readings, strict=True)):
        days.append(word if day is None else day)
        finding = _finding(word, style, day, usual)
        if finding is not None:
            faults.append((index, finding))
    return distinct.spread(pa.array(days, pa.string()), faults)


def date_styles(array: pa.Array) -> dict[DateStyle, int]:
    """Return how many values of a column are written in which style, the commonest first."""
    distinct = Distinct(array)
    words = clean_words(distinct.words).to_pylist()
    order = _order_of(words)
    return _weigh(distinct, [_read(word, order)[0] for word in words])


def _weigh(distinct: Distinct, styles: list[DateStyle | None]) -> dict[DateStyle, int]:
    """Return how many values have which style, the commonest first."""
    found = Counter[DateStyle]()
    for index, style in enumerate(styles):
        if style is not None:
            found[style] += len(distinct.places(index))
    return dict(found.most_common())


def _order_of(words: list[str]) -> DateOrder | None:
    """Return the order that parts over 12 show, None where none shows it or both are shown."""
    shown = set()
    for word in words:
        found = _YEAR_LAST.fullmatch(word)
        if found:
            first, second = int(found[1]), int(found[3])
            if first > _MONTHS >= second:
                shown.add(DateOrder.DAY_FIRST)
            elif second > _MONTHS >= first:
                shown.add(DateOrder.MONTH_FIRST)
    return shown.pop() if len(shown) == 1 else None


def _read(word: str, order: DateOrder | None) -> tuple[DateStyle | None, str | None]:
    """Return style and day of a date; the day is None where there is none or there are two."""
    for pattern, style in zip(_DATED, DateStyle, strict=False):
        if found := pattern.fullmatch(word):
            since = _REPUBLIC_YEAR_0 if style is DateStyle.REPUBLIC else 0
            return style, _day(since + int(found["y"]), int(found["m"]), int(found["d"]))
    if found := _YEAR_LAST.fullmatch(word):
        return _year_last(int(found[1]), int(found[3]), int(found[4]), order)
    if (found := _SERIAL.fullmatch(word)) and _SERIAL_MIN <= int(found[1]) <= _SERIAL_MAX:
        return DateStyle.SERIAL, (_SERIAL_EPOCH + timedelta(days=int(found[1]))).isoformat()
    return None, None


def _year_last(
    first: int, second: int, year: int, order: DateOrder | None
) -> tuple[DateStyle | None, str | None]:
    day_first, month_first = _day(year, second, first), _day(year, first, second)
    if order is DateOrder.DAY_FIRST or (order is None and month_first in (None, day_first)):
        return DateStyle.DAY_FIRST, day_first
    if order is DateOrder.MONTH_FIRST or day_first is None:
        return DateStyle.MONTH_FIRST, month_first
    return DateStyle.DAY_FIRST, None


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _finding(
    word: str, style: DateStyle | None, day: str | None, usual: DateStyle | None
) -> ValueFinding | None:
    if not word:
        return None
    if day is None:
        two = _YEAR_LAST.fullmatch(word)
        ambiguous = two and int(two[1]) <= _MONTHS and int(two[3]) <= _MONTHS
        return AMBIGUOUS if ambiguous and style is not None else UNREADABLE
    if style is usual or style is None or usual is None:
        return None
    return ValueFinding(
        code="date-style-mixed",
        got=f"a date as {style.value}",
        expected=f"{usual.value}, as most of the column",
        fix="nothing if the days are right; export one style if it comes again",
        severity=Severity.WARNING,
    )
