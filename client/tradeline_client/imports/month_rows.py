"""
From what jobs counted of a month to what a quality statement says of its rows.

A statement counts rows, each in one class; jobs count events of a month, and faults, of which a
row may have several. So the rows that were rejected are spread over the classes of their faults,
the most frequent class first, until all are placed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tradeline_client.month import RowCounts
from tradeline_ledger.quality import RejectClass
from tradeline_ledger.rule import (
    Adds,
    AtLeast,
    GivenTogether,
    GradeFollows,
    Needs,
    NotAfter,
    Reached,
    RowsAtMost,
    Usually,
    ZeroTogether,
)

if TYPE_CHECKING:
    from tradeline_client.imports.job_months import PeriodCounts

_RULES: Final = frozenset(
    each.code
    for each in (
        *(Adds, AtLeast, GivenTogether, GradeFollows, Needs),
        *(NotAfter, Reached, RowsAtMost, Usually, ZeroTogether),
    )
)
_BY_CODE: Final = {
    "value-missing": RejectClass.ABSENT,
    "month-missing": RejectClass.ABSENT,
    "reference-unfit": RejectClass.VALUE,
    "not-a-number": RejectClass.VALUE,
    "paid-while-rolling": RejectClass.RULE,
}
_BY_WORD: Final = {
    **dict.fromkeys(
        ("row", "quote", "text", "json", "header", "formula", "float", "columns"), RejectClass.FORM
    ),
    **dict.fromkeys(("value", "code", "number", "amount", "scale", "sign"), RejectClass.VALUE),
    **dict.fromkeys(("date", "day", "month"), RejectClass.DATE),
    **dict.fromkeys(("dpd", "conflict", "duplicate", "twin"), RejectClass.RULE),
    "identifier": RejectClass.IDENTIFIER,
    "target": RejectClass.TARGET,
    "restricted": RejectClass.FORBIDDEN,
}
"""First words of codes."""


def rows_of(counts: PeriodCounts) -> RowCounts:
    """Return what became of the rows of a month."""
    quarantined = min(counts.quarantined, counts.rows - counts.rejected)
    rest = counts.rows - counts.rejected - quarantined
    duplicates = min(counts.duplicates + counts.outdated, rest)
    return RowCounts(
        accepted=rest - duplicates,
        rejected=_spread(counts.rejected, counts.rejected_by_code),
        quarantined=quarantined,
        duplicates=duplicates,
    )


def class_of(code: str) -> RejectClass:
    """Return the class of a fault by its code."""
    if code in _RULES:
        return RejectClass.RULE
    return _BY_CODE.get(code) or _BY_WORD.get(code.partition("-")[0], RejectClass.OTHER)


def _spread(rows: int, by_code: dict[str, int]) -> dict[RejectClass, int]:
    """Return `rows` by class, each at most as many as it has faults; what is left as other."""
    faults: Counter[RejectClass] = Counter()
    for code, number in by_code.items():
        faults[class_of(code)] += number
    spread: Counter[RejectClass] = Counter()
    for each, number in sorted(faults.items(), key=lambda item: (-item[1], item[0])):
        spread[each] += min(number, rows - spread.total())
    spread[RejectClass.OTHER] += rows - spread.total()
    return {each: number for each, number in sorted(spread.items()) if number}
