"""What the values of a column look like: identifiers, dates, numbers or codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.date_style import EXCEL, read_text
from tradeline_client.imports.mapping import DateStyle, NumberStyle
from tradeline_client.imports.number_column import read_numbers
from tradeline_client.imports.subjects import check_subjects
from tradeline_client.imports.validation import given
from tradeline_ledger.identifier import IdType

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE_DISTINCT_MAX: Final = 2_000
"""Distinct values of a column that are looked at."""
CODES_MAX: Final = 40
"""Distinct values that a column of codes has at most."""

_MOST: Final = 0.9
"""Share of identifiers that pass, so that the column is one of identifiers."""
_ALL: Final = 0.98
"""Share of values that one style of dates or numbers reads."""
_CHECKED_IDS: Final = (IdType.RESIDENT_ID, IdType.USCC, IdType.LEI)
"""Types with check digits; other numbers would pass for those without."""
_PATTERNS: Final = (
    *("YYYY-MM-DD", "YYYYMMDD", "YYYY/MM/DD", "YYYY/M/D", "YYYY-M-D", "YYYY.MM.DD"),
    *("DD/MM/YYYY", "MM/DD/YYYY", "D/M/YYYY", "M/D/YYYY", "DD.MM.YYYY", "DD-MM-YYYY"),
    *("YYYY年MM月DD日", "YYYY年M月D日", "YYYY-MM-DD hh:mm:ss", "YYYY/MM/DD hh:mm:ss", EXCEL),
)
_MONTH_PATTERNS: Final = ("YYYY-MM", "YYYYMM", "YYYY/MM", "MM/YYYY", "YYYY年MM月", "YYYY年M月")
_YEAR_MIN: Final = "1950"
_YEAR_MAX: Final = "2100"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a column looks like."""

    name: str
    id_type: IdType | None
    """Of its identifiers, if it holds any."""
    dates: tuple[str, ...]
    """Patterns that read days out of it; several where they read different ones."""
    months: tuple[str, ...]
    """Patterns that read its months."""
    number: NumberStyle | None
    """How it writes numbers, if it does."""
    fractions: bool
    """Whether some number has a fraction."""
    codes: tuple[str, ...]
    """Its distinct values, if they are few and it holds no identifiers."""
    filled: float
    """Share of its cells in which something stands."""


def profile(name: str, column: pa.StringArray, current_year: int) -> Profile:
    """Return what a column of a sample looks like."""
    texts = pc.utf8_trim_whitespace(column)
    filled = texts.filter(pc.greater(pc.binary_length(texts), 0))
    share = len(filled) / len(texts) if len(texts) else 0.0
    distinct = pc.unique(filled)
    few = len(distinct) <= CODES_MAX
    values = distinct.slice(0, SAMPLE_DISTINCT_MAX)
    id_type = _id_type(values, current_year)
    number, fractions = _number(values)
    known = values.to_pylist() if id_type is None else []
    return Profile(
        name=name,
        id_type=id_type,
        dates=_dates(known, _PATTERNS, month=False),
        months=_dates(known, _MONTH_PATTERNS, month=True),
        number=number,
        fractions=fractions,
        codes=tuple(sorted(known)) if few else (),
        filled=share,
    )


def _id_type(values: pa.StringArray, current_year: int) -> IdType | None:
    for id_type in _CHECKED_IDS:
        _, wrong = check_subjects(id_type, values, current_year)
        if len(values) and len(values) - len(wrong) >= _MOST * len(values):
            return id_type
    return None


def _dates(values: Sequence[str], patterns: Sequence[str], *, month: bool) -> tuple[str, ...]:
    found: dict[tuple[str, ...], str] = {}
    for pattern in patterns:
        style = DateStyle(pattern)
        days = []
        for text in values:
            try:
                day = read_text(text, style, month=month)
            except ValueError:
                continue
            if _YEAR_MIN <= day <= _YEAR_MAX:
                days.append(day)
        if values and len(days) >= _ALL * len(values):
            # Of two patterns that read the same days, either will do.
            found.setdefault(tuple(days), pattern)
    return tuple(found.values())


def _number(values: pa.StringArray) -> tuple[NumberStyle | None, bool]:
    styles = (NumberStyle(), NumberStyle(thousands=","), NumberStyle(decimal=",", thousands="."))
    for style in styles:
        read = read_numbers(values, style, 9)
        count = int(given(read.values).sum())
        if len(values) and count >= _ALL * len(values):
            whole = pc.equal(pc.multiply(pc.divide(read.values, 10**9), 10**9), read.values)
            return style, pc.all(whole).as_py() is False
    return None, False
