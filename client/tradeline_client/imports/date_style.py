"""
Dates as files write them: one style a column, so that 03/04 never means two days.

Dates are read once for each distinct text of a chunk, not for each row: a file of a million rows
has a few hundred days.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tradeline_client.imports.mapping import DayOf
from tradeline_ledger.calendar import last_date, month_of

if TYPE_CHECKING:
    from tradeline_client.imports.mapping import DateStyle

EXCEL: Final = "excel"
"""Days counted as Excel does, 1 being 1900-01-01."""
_EXCEL_ZERO: Final = date(1899, 12, 30)
_EXCEL_MIN: Final = 61
"""1900-03-01: before, Excel counts a day that never was."""
_EXCEL_MAX: Final = 2_958_465
"""9999-12-31."""
_PARTS: Final = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
    "hh": r"[0-9]{2}",
    "mm": r"[0-9]{2}",
    "ss": r"[0-9]{2}(?:\.[0-9]+)?",
}
_TOKENS = re.compile("|".join(_PARTS))
_EXPECTED = "YYYY, MM or M, DD or D once each with signs between them, or excel"


def check_pattern(pattern: str, *, day: bool) -> None:
    """
    Accept a pattern of dates that has year, month and, if asked for, day.

    Raises:
        ValueError: anything else; says what is expected.
    """
    if pattern == EXCEL:
        return
    parts = [found[0] for found in _TOKENS.findall(pattern)]  # the first letter of each
    rest = _TOKENS.sub("", pattern)
    counts = [parts.count(letter) for letter in "YMD"]
    if counts[0] != 1 or counts[1] != 1 or counts[2] > 1 or re.search("[A-Za-z]", rest):
        raise ValueError(_EXPECTED)
    if day and not counts[2]:
        raise ValueError(f"{_EXPECTED}; without a day say day = first or last")


def read_text(text: str, style: DateStyle, *, month: bool = False) -> str:
    """
    Return the day `YYYY-MM-DD`, or the month `YYYY-MM`, that a text names.

    Raises:
        ValueError: it is not written in that style, or there is no such day.
    """
    if style.pattern == EXCEL:
        number = int(text.removesuffix(".0")) if text.isascii() else 0
        if not _EXCEL_MIN <= number <= _EXCEL_MAX:
            raise ValueError("no day number of Excel")
        day = (_EXCEL_ZERO + timedelta(days=number)).isoformat()
    else:
        found = _compiled(style.pattern).fullmatch(text)
        if not found:
            raise ValueError("another style")
        parts = {"day": "1", **found.groupdict()}
        day = f"{parts['year']}-{parts['month']:0>2}-{parts['day']:0>2}"
    month_number = month_of(day)
    if style.day is DayOf.FIRST:
        day = f"{day[:7]}-01"
    elif style.day is DayOf.LAST:
        day = last_date(month_number)
    day = max(day, style.not_before)
    return day[:7] if month else day


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    expression, at = "", 0
    for found in _TOKENS.finditer(pattern):
        expression += re.escape(pattern[at : found.start()]) + _PARTS[found[0]]
        at = found.end()
    return re.compile(expression + re.escape(pattern[at:]), re.ASCII)
