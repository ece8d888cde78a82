"""From what import jobs count to what a quality statement says of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from tradeline_client.imports.job_months import PeriodCounts
from tradeline_client.imports.month_rows import class_of, rows_of
from tradeline_client.month import RowCounts
from tradeline_ledger.quality import RejectClass

NOTHING: Final = PeriodCounts(
    period="2026-03",
    standing=None,
    accepted=0,
    corrections=0,
    duplicates=0,
    outdated=0,
    rows=0,
    rejected=0,
    quarantined=0,
    rejected_by_code={},
)


def counts(**changes: Any) -> PeriodCounts:
    return replace(NOTHING, **changes)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("row-width", RejectClass.FORM),
        ("value-missing", RejectClass.ABSENT),
        ("value-not-allowed", RejectClass.VALUE),
        ("code-unknown", RejectClass.VALUE),
        ("number-unreadable", RejectClass.VALUE),
        ("identifier-wrong", RejectClass.IDENTIFIER),
        ("date-unreadable", RejectClass.DATE),
        ("day-after-today", RejectClass.DATE),
        ("less-than", RejectClass.RULE),
        ("given-alone", RejectClass.RULE),
        ("restricted-field", RejectClass.FORBIDDEN),
        ("never-heard-of", RejectClass.OTHER),
    ],
)
def test_each_code_of_a_fault_has_a_class(code: str, expected: RejectClass) -> None:
    assert class_of(code) is expected


def test_rows_are_those_taken_rejected_held_back_and_known_already() -> None:
    made = rows_of(
        counts(
            rows=20,
            rejected=4,
            quarantined=2,
            duplicates=3,
            outdated=1,
            rejected_by_code={"value-missing": 3, "date-unreadable": 1},
        )
    )
    assert made == RowCounts(10, {RejectClass.ABSENT: 3, RejectClass.DATE: 1}, 2, 4)
    assert made.received == 20


def test_a_row_with_several_faults_is_counted_once() -> None:
    made = rows_of(counts(rows=2, rejected=2, rejected_by_code={"less-than": 2, "row-width": 2}))
    assert made.rejected == {RejectClass.FORM: 2}
    few = rows_of(counts(rows=3, rejected=3, rejected_by_code={"less-than": 1}))
    assert few.rejected == {RejectClass.RULE: 1, RejectClass.OTHER: 2}


def test_counts_that_overlap_never_exceed_the_rows() -> None:
    made = rows_of(counts(rows=3, rejected=2, quarantined=2, duplicates=9))
    assert (made.accepted, made.quarantined, made.duplicates, made.received) == (0, 1, 0, 3)
