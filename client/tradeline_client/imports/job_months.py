"""What was imported of each month, and what the member declares a month to be."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.imports.fault import Severity
from tradeline_client.imports.job import ROWS
from tradeline_client.imports.job_manifest import counts_of, total
from tradeline_client.imports.job_plan import Fate
from tradeline_ledger.calendar import parse_period, period

if TYPE_CHECKING:
    from tradeline_client.imports.job_store import Counts, JobStore

UNKNOWN: Final = ""
"""Month of rows from which no event came."""


@enum.unique
class Standing(enum.StrEnum):
    """What a member says of a month."""

    COMPLETE = "complete"
    """Everything that there is to report has been reported."""
    MISSING = "missing"
    """There is something to report that is not reported yet."""
    VOID = "void"
    """There is nothing to report."""


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """What was imported of one month."""

    period: str
    """`YYYY-MM`."""
    standing: Standing | None
    """None where the member declared nothing."""
    accepted: int
    """Events that were sent as they are, those included that took the place of a retracted one."""
    corrections: int
    """Events that superseded or retracted an earlier one."""
    duplicates: int
    """Events that were not sent because the same had been."""
    outdated: int
    """Events that were not sent because a later report had been."""
    rows: int
    """Rows of the files of this month: of each file the month that most of its events are of."""
    rejected: int
    """Of these rows."""
    quarantined: int
    """Of these rows."""
    rejected_by_code: dict[str, int]
    """Faults of rejected rows; a row may have several."""


def period_counts(store: JobStore, month: str) -> PeriodCounts:
    """
    Return what all jobs of a folder imported of a month, `YYYY-MM`.

    A row that was rejected has no event that tells its month. It is counted in the month that
    most events of its file are of.

    Raises:
        ValueError: no such month.
    """
    number = parse_period(month)
    return _counts(month, _by_month(store).get(month, {}), store.declared().get(number))


def all_period_counts(store: JobStore) -> list[PeriodCounts]:
    """Return `period_counts` of every month with an event or a declaration, ascending."""
    counts, declared = _by_month(store), store.declared()
    months = {*counts, *map(period, declared)} - {UNKNOWN}
    return [
        _counts(month, counts.get(month, {}), declared.get(parse_period(month)))
        for month in sorted(months)
    ]


def _by_month(store: JobStore) -> Counts:
    """Return the counts of all jobs, what has no month of its own with its file's."""
    placed: list[Counts] = []
    for job in store.jobs():
        counts = counts_of(store, job)
        of_rows = counts.pop(UNKNOWN, {})
        main = max(sorted(counts), key=lambda month: sum(counts[month].values()), default=UNKNOWN)
        placed += [counts, {main: of_rows}]
    return total(iter(placed))


def _counts(month: str, numbers: dict[str, int], standing: str | None) -> PeriodCounts:
    def of(*fates: Fate) -> int:
        return sum(numbers.get(fate.name.lower(), 0) for fate in fates)

    prefix = f"{Severity.REJECT.value}:"
    return PeriodCounts(
        period=month,
        standing=None if standing is None else Standing(standing),
        accepted=of(Fate.ACCEPTED, Fate.MOVED),
        corrections=of(Fate.CORRECTED, Fate.RETRACTED),
        duplicates=of(Fate.DUPLICATE),
        outdated=of(Fate.OUTDATED),
        rows=numbers.get(ROWS, 0),
        rejected=numbers.get(Severity.REJECT.value, 0),
        quarantined=numbers.get(Severity.QUARANTINE.value, 0),
        rejected_by_code={
            what.removeprefix(prefix): number
            for what, number in numbers.items()
            if what.startswith(prefix)
        },
    )
