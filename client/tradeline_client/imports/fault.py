"""What is wrong with a row of a file: where, what was expected, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

from tradeline_ledger.finding import Severity

__all__ = ["RowFault", "Severity"]


@dataclass(frozen=True, slots=True)
class RowFault:
    """One fault of one row. No text of it repeats an identifier or an amount of a subject."""

    row: int
    """0-based row of the file, its header aside."""
    line: int
    """1-based line on which the row starts, 0 where the format has no lines."""
    column: str
    """Column of the file that is wrong; empty where it is the row as a whole."""
    field: str
    """Field of the event, if one is concerned; else empty."""
    code: str
    """Stable name of the fault, in lower case with hyphens, such as `dpd-without-amount`."""
    got: str
    """What was found, as far as it may be shown (`tradeline_ledger.field.shown`)."""
    expected: str
    """What would be right."""
    fix: str
    """What to do about it."""
    severity: Severity = Severity.REJECT
