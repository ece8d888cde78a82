"""Courses of a contributor's accounts, from the columns of a file and kept between files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.client.imports.statements import Row, chunk, cleanser, held, opened, statement, warned
from tests.ledger.event_samples import FIELDS

from tradeline_client.imports.cleansing import Checked
from tradeline_client.imports.cleansing_shelf import SHELVES_NAME, Shelves
from tradeline_client.imports.columns import EventColumns, column_type
from tradeline_client.imports.course import CourseEvents, Courses, moves_of
from tradeline_client.imports.fault import Severity
from tradeline_ledger.account_course import COURSE_TYPES, Move, move_of
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import SCHEMAS


def columns_of(name: str, days: list[str], **changes: list[Any]) -> EventColumns:
    """Return events of a type, as many as there are days; `changes` are wire values a column."""
    schema = SCHEMAS.named(name)
    values = SCHEMAS.fields_from_json(schema, FIELDS[name])
    arrays = []
    for item, value in zip(schema.fields, values, strict=True):
        kind = column_type(item.kind)
        same = [value if isinstance(value, int | str) else None] * len(days)
        arrays.append(pa.array(changes.get(item.name, same), kind))
    return EventColumns(
        schema=schema,
        basis=Basis.CONTRACT,
        rows=np.arange(len(days)),
        subjects=(),
        subject=np.zeros(len(days), np.int32),
        occurred_on=pa.array(days, pa.string()),
        ref=pa.array(["r"] * len(days), pa.string()),
        account=pa.array(["a"] * len(days), pa.string()),
        values=pa.RecordBatch.from_arrays(arrays, names=[item.name for item in schema.fields]),
    )


def statements(days: list[str], late: list[int]) -> EventColumns:
    period = [day[:7] for day in days]
    return columns_of("account.statement", days, period=period, days_past_due=late)


@pytest.mark.parametrize("name", [name for name in FIELDS if name.startswith("account.")])
def test_columns_say_what_single_events_say(name: str) -> None:
    schema = SCHEMAS.named(name)
    days = ["2026-06-15", "1969-12-31", "2028-02-29"]
    found = moves_of(columns_of(name, days))
    if schema.number not in COURSE_TYPES:
        assert found is None
        return
    assert found is not None
    values = SCHEMAS.fields_from_json(schema, FIELDS[name])
    assert [Move(*row) for row in found.tolist()] == [move_of(schema, values, day) for day in days]


def test_event_without_an_account_says_nothing() -> None:
    assert moves_of(columns_of("public.award", ["2026-06-15"])) is None


@pytest.fixture
def shelves(tmp_path: Path) -> Iterator[Shelves]:
    with closing(Shelves(tmp_path / SHELVES_NAME, bytes(32))) as opened:
        yield opened


def told(columns: EventColumns, accounts: list[int], first_row: int = 0) -> CourseEvents:
    """Return what events say about accounts, each event under a reference of its own."""
    moves = moves_of(columns)
    assert moves is not None
    rows = np.arange(len(accounts)) + first_row
    refs = [(columns.schema.number << 32) + (first_row << 16) + at for at in range(len(accounts))]
    return CourseEvents(np.array(accounts, np.uint64), np.array(refs, np.uint64), rows, moves)


def found(courses: Courses, *parts: CourseEvents) -> list[tuple[int, str, Severity]]:
    lines = {row: row + 2 for row in range(100)}
    faults = courses.check(CourseEvents.joined(list(parts)), lines)
    assert all(each.line == each.row + 2 for each in faults)
    return sorted(((each.row, each.code, each.severity) for each in faults), key=itemgetter(0, 1))


def opening(*accounts: int, day: str = "2026-01-10", first_row: int = 0) -> CourseEvents:
    return told(columns_of("account.opened", [day] * len(accounts)), list(accounts), first_row)


def closing_of(account: int, day: str, row: int) -> CourseEvents:
    return told(columns_of("account.closed", [day]), [account], row)


def late(account: int, first: str, row: int) -> CourseEvents:
    columns = columns_of(
        "account.delinquency", ["2026-06-15"], first_delinquent_on=[first], days_past_due=[3]
    )
    return told(columns, [account], row)


def test_accounts_of_a_member_that_reports_no_openings_are_unknown_and_not_wrong(
    shelves: Shelves,
) -> None:
    courses = Courses(shelves)
    assert found(courses, told(statements(["2026-01-31"] * 3, [0, 40, 0]), [1, 2, 3])) == []


def test_where_openings_are_reported_an_account_without_one_is_told_of_once(
    shelves: Shelves,
) -> None:
    courses = Courses(shelves)
    warned = [(12, "account-not-opened", Severity.WARNING)]
    assert found(courses, opening(1, 2)) == []
    months = ["2026-01-31", "2026-01-31", "2026-01-31", "2026-02-28"]
    assert found(courses, told(statements(months, [0] * 4), [1, 2, 3, 3], 10)) == warned
    assert found(courses, told(statements(["2026-03-31"] * 2, [0, 0]), [1, 3], 20)) == []


def test_opening_counts_wherever_it_stands_in_the_file(shelves: Shelves) -> None:
    stated = told(statements(["2026-01-31"], [0]), [1])
    assert found(Courses(shelves), stated, opening(1, first_row=5)) == []


@pytest.mark.parametrize("account_known", [True, False])
def test_event_after_closure_is_rejected_whatever_the_order_of_the_file(
    shelves: Shelves, account_known: bool
) -> None:
    courses = Courses(shelves)
    if account_known:
        assert found(courses, opening(1)) == []
    months = told(statements(["2026-05-31", "2026-03-31", "2026-02-28"], [0] * 3), [1] * 3, 1)
    wrong = (1, "after-closure", Severity.REJECT)
    assert found(courses, months, closing_of(1, "2026-03-20", 7)) == [wrong]
    later = told(statements(["2026-06-30"], [0]), [1], 9)
    assert found(courses, later) == [(9, "after-closure", Severity.REJECT)]


def test_rejected_row_moves_no_course_with_any_of_its_events(shelves: Shelves) -> None:
    courses = Courses(shelves)
    found(courses, opening(1), closing_of(1, "2026-03-20", 1))
    # One row: a statement after closure, and with it another account's closure.
    wrong = told(statements(["2026-06-30"], [0]), [1], 2)
    assert found(courses, wrong, closing_of(2, "2026-03-20", 2)) == [
        (2, "account-not-opened", Severity.WARNING),
        (2, "after-closure", Severity.REJECT),
    ]
    assert (5, "after-closure", Severity.REJECT) not in found(
        courses, told(statements(["2026-06-30"], [0]), [2], 5)
    )


def test_another_first_day_past_due_is_rejected_and_its_correction_by_reference_is_not(
    shelves: Shelves,
) -> None:
    courses = Courses(shelves)
    first = late(1, "2026-06-10", 1)
    assert found(courses, opening(1), first) == []
    assert found(courses, late(1, "2026-06-11", 2)) == [
        (2, "first-delinquent-changed", Severity.REJECT)
    ]
    corrected = replace(late(1, "2026-06-11", 3), ref=first.ref)
    assert found(courses, corrected) == []


def test_resolution_and_the_statement_that_shows_it_agree_on_one_day(shelves: Shelves) -> None:
    courses = Courses(shelves)
    found(courses, opening(1), late(1, "2026-06-10", 1))
    cured = told(columns_of("account.resolved", ["2026-06-30"]), [1], 3)
    assert found(courses, told(statements(["2026-06-30"], [0]), [1], 2), cured) == []
    again = told(columns_of("account.resolved", ["2026-07-15"]), [1], 4)
    assert found(courses, again) == [(4, "nothing-to-resolve", Severity.QUARANTINE)]


def test_delinquency_from_before_the_first_import_can_be_resolved(shelves: Shelves) -> None:
    resolved = told(columns_of("account.resolved", ["2026-06-30"]), [1], 3)
    assert found(Courses(shelves), resolved) == []


def test_courses_go_on_from_what_was_written(shelves: Shelves) -> None:
    courses = Courses(shelves)
    found(courses, opening(1, 2), closing_of(1, "2026-03-20", 3), late(2, "2026-06-10", 4))
    for each in courses.shelves:
        shelves.write(each.blobs())
        each.written()
    for known in (courses, Courses(shelves)):
        changed = late(2, "2026-06-12", 8)
        stated = told(statements(["2026-06-30"] * 2, [0, 0]), [1, 9], 6)
        assert found(known, stated, changed) == [
            (6, "after-closure", Severity.REJECT),
            (7, "account-not-opened", Severity.WARNING),
            (8, "first-delinquent-changed", Severity.REJECT),
        ]


def test_representation_shows_no_account(shelves: Shelves) -> None:
    assert "987654" not in repr(opening(987_654)) + repr(Courses(shelves))


def rejected(checked: Checked) -> list[tuple[int, str]]:
    faults = checked.chunk.faults
    return [(each.row, each.code) for each in faults if each.severity is Severity.REJECT]


def of_closure(day: str = "2025-03-20", ref: str = "closed A 1") -> Row:
    fields = {"reason": 1}
    return Row(fields, ref, "A 1", day, schema=SCHEMAS.named("account.closed"))


def test_rejected_row_leaves_its_chunk_with_what_stood_in_it(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    rows = chunk(opened(100), of_closure(), statement("2025-06", 50), statement("2025-03", 50))
    checked = own.check(replace(rows, original=lambda row: (f"cell {row}",)))
    own.close()
    assert rejected(checked) == [(2, "after-closure")]
    assert held(checked) == []
    assert checked.chunk.originals == {2: ("cell 2",)}
    left = [row for each in checked.chunk.events for row in each.rows.tolist()]
    assert sorted(left) == [0, 1, 3]


def test_rows_that_come_again_or_correct_by_reference_are_not_judged_again(tmp_path: Path) -> None:
    own = cleanser(tmp_path, "march")
    stated = statement("2025-06", 50)
    own.check(chunk(opened(100), statement("2025-03", 50), stated))
    own.commit()
    own.close()
    own = cleanser(tmp_path, "closures")
    checked = own.check(chunk(of_closure("2025-06-30")))
    assert not checked.chunk.faults
    earlier = replace(of_closure("2025-03-20"), fields={"reason": 2})
    again = own.check(chunk(opened(120), stated, statement("2025-06", 60), earlier, first_row=1))
    assert rejected(again) == []
    own.close()


def test_what_was_forgotten_with_a_killed_process_makes_nothing_wrong(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    own.check(chunk(opened(100, "A 2")))
    own.commit()
    own.check(chunk(opened(100), statement("2025-01", 50), first_row=1))
    own.close()  # killed: this chunk was sent, and is not remembered
    own = cleanser(tmp_path)
    checked = own.check(chunk(statement("2025-02", 50), of_closure(), first_row=3))
    assert rejected(checked) == held(checked) == []
    assert warned(checked) == [(3, "account-not-opened")]
    own.close()
