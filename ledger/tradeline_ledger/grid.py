"""
Days past due as the symbols that countries and systems write, and back.

The ledger keeps days, because no two scales have the same steps: 1 is 1 to 30 days to the credit
centre of the People's Bank (PBoC), and 30 to 59 to Metro 2. A symbol stands for a range of days,
so the way back gives the range. Grids are strings of one symbol a month.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tradeline_ledger.errors import MalformedError
from tradeline_ledger.field import shown

PBOC_MONTHS: Final = (24, 60)
"""Lengths of a grid of monthly status."""
METRO2_MONTHS: Final = 24


class DayRange(NamedTuple):
    """Days past due that one symbol stands for."""

    first: int
    last: int | None
    """None where there is no end."""

    def holds(self, days_past_due: int) -> bool:
        """Say whether a number of days lies in the range."""
        return self.first <= days_past_due and (self.last is None or days_past_due <= self.last)


@dataclass(frozen=True, slots=True)
class Scale:
    """Symbols for days past due, each from its first day to the day before the next one's."""

    name: str
    """What it is called in messages."""
    symbols: tuple[str, ...]
    firsts: tuple[int, ...]
    """First day of each symbol, ascending from 0."""

    def symbol(self, days_past_due: int) -> str:
        """Return the symbol of a number of days, 0 or more."""
        assert days_past_due >= 0, days_past_due
        return self.symbols[bisect_right(self.firsts, days_past_due) - 1]

    def days(self, symbol: str) -> DayRange:
        """
        Return the days that a symbol stands for.

        Raises:
            MalformedError: the scale has no such symbol.
        """
        if symbol not in self.symbols:
            raise MalformedError(
                f"{self.name}: got {shown(symbol)}, expected one of {', '.join(self.symbols)}"
            )
        at = self.symbols.index(symbol)
        last = self.firsts[at + 1] - 1 if at + 1 < len(self.firsts) else None
        return DayRange(self.firsts[at], last)


PBOC: Final = Scale(
    "PBoC monthly status",
    ("N", "1", "2", "3", "4", "5", "6", "7"),
    (0, 1, 31, 61, 91, 121, 151, 181),
)
METRO2_PROFILE: Final = Scale(
    "Metro 2 payment history profile",
    ("0", "1", "2", "3", "4", "5", "6"),
    (0, 30, 60, 90, 120, 150, 180),
)
METRO2_STATUS: Final = Scale(
    "Metro 2 account status",
    ("11", "71", "78", "80", "82", "83", "84"),
    (0, 30, 60, 90, 120, 150, 180),
)
"""Of accounts that are open; what else an account can be is no matter of days."""
CREFORGE: Final = Scale(
    "creforge bucket",
    ("0", "1-29", "30-59", "60-89", "90-119", "120+"),
    (0, 1, 30, 60, 90, 120),
)
TAIWAN: Final = Scale(
    "Taiwan months late",
    ("0", "1", "2", "3", "4", "5", "6", "7", "8"),
    (0, 30, 60, 90, 120, 150, 180, 210, 240),
)
"""Of the columns PAY_x, whose -2 and -1 are no days past due either."""
SCALES: Final = (PBOC, METRO2_PROFILE, METRO2_STATUS, CREFORGE, TAIWAN)

PBOC_MARKS: Final[Mapping[str, str]] = {
    "*": "no repayment was due, or the account has ended",
    "#": "not known",
    "/": "not opened yet",
    "M": "paid late, but within the month",
    "0": "post-paid service, past due for less than a month",
    "D": "a guarantor paid",
    "Z": "assets were taken in lieu",
    "C": "settled",
    "G": "ended, but not settled",
    "B": "doubtful",
    "A": "no statement this month",
}
"""Symbols of a PBoC grid that are no days past due."""
METRO2_MARKS: Final[Mapping[str, str]] = {
    "B": "before the account was opened",
    "D": "no history this month",
    "E": "zero balance and current",
    "G": "collection",
    "H": "foreclosure",
    "J": "voluntary surrender",
    "K": "repossession",
    "L": "charge-off",
    "Z": "too new",
}
"""Symbols of a Metro 2 payment history profile that are no days past due."""

_PBOC_ENDS: Final = ("C", "G")


@dataclass(frozen=True, slots=True)
class MonthlyHistory:
    """What is known of one account, month by month; months as `year * 12 + month - 1`."""

    opened: int
    """Month in which it was opened."""
    days_past_due: Mapping[int, int]
    """Of the statement of each month that has one."""
    marks: Mapping[int, str] = field(default_factory=dict)
    """Symbols of the grid that stand in the place of days past due."""


class GridMonth(NamedTuple):
    """One month of a grid that was read."""

    month: int
    symbol: str
    days: DayRange | None
    """None where the symbol is no number of days."""


def pboc_grid(history: MonthlyHistory, last_month: int, months: int = 24) -> str:
    """
    Return the PBoC monthly status, one symbol a month, the oldest first.

    Args:
        history: of the account; its marks are of `PBOC_MARKS`.
        last_month: month of the last symbol.
        months: 24 or 60.
    """
    assert months in PBOC_MONTHS, months
    assert set(history.marks.values()) <= set(PBOC_MARKS), history.marks
    ended = min((at for at, mark in history.marks.items() if mark in _PBOC_ENDS), default=None)
    symbols = []
    for month in range(last_month - months + 1, last_month + 1):
        if month < history.opened:
            symbols.append("/")
        elif month in history.marks:
            symbols.append(history.marks[month])
        elif ended is not None and month > ended:
            symbols.append("*")
        elif month in history.days_past_due:
            symbols.append(PBOC.symbol(history.days_past_due[month]))
        else:
            symbols.append("#")
    return "".join(symbols)


def read_pboc_grid(text: str, last_month: int) -> tuple[GridMonth, ...]:
    """
    Return the months of a PBoC monthly status, the oldest first.

    Raises:
        MalformedError: another length, or a symbol that it does not have.
    """
    if len(text) not in PBOC_MONTHS:
        raise MalformedError(
            f"{PBOC.name}: got {len(text)} months, expected {PBOC_MONTHS[0]} or {PBOC_MONTHS[1]}"
        )
    first = last_month - len(text) + 1
    return tuple(_read(PBOC, PBOC_MARKS, first + at, symbol) for at, symbol in enumerate(text))


def metro2_profile(history: MonthlyHistory, month: int) -> str:
    """
    Return the Metro 2 payment history profile: 24 symbols, of the month before first.

    Args:
        history: of the account; its marks are of `METRO2_MARKS`.
        month: that the record is about, which is not part of its profile.
    """
    assert set(history.marks.values()) <= set(METRO2_MARKS), history.marks
    symbols = []
    for each in range(month - 1, month - 1 - METRO2_MONTHS, -1):
        if each < history.opened:
            symbols.append("B")
        elif each in history.marks:
            symbols.append(history.marks[each])
        elif each in history.days_past_due:
            symbols.append(METRO2_PROFILE.symbol(history.days_past_due[each]))
        else:
            symbols.append("D")
    return "".join(symbols)


def read_metro2_profile(text: str, month: int) -> tuple[GridMonth, ...]:
    """
    Return the months of a Metro 2 payment history profile, the newest first.

    Raises:
        MalformedError: another length, or a symbol that it does not have.
    """
    if len(text) != METRO2_MONTHS:
        raise MalformedError(
            f"{METRO2_PROFILE.name}: got {len(text)} months, expected {METRO2_MONTHS}"
        )
    return tuple(
        _read(METRO2_PROFILE, METRO2_MARKS, month - 1 - at, symbol)
        for at, symbol in enumerate(text)
    )


def _read(scale: Scale, marks: Mapping[str, str], month: int, symbol: str) -> GridMonth:
    if symbol in marks:
        return GridMonth(month, symbol, None)
    if symbol not in scale.symbols:
        raise MalformedError(
            f"{scale.name}: got {shown(symbol)}, expected one of "
            + ", ".join((*scale.symbols, *marks))
        )
    return GridMonth(month, symbol, scale.days(symbol))
