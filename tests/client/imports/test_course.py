"""Courses of a contributor's accounts, from the columns of a file and kept between files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ledger.event_samples import FIELDS

from tradeline_client.imports.columns import EventColumns, column_type
from tradeline_client.imports.course import Courses, faults_of, moves_of
from tradeline_client.imports.fault import Severity
from tradeline_ledger.account_course import COURSE_TYPES, Move, move_of
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import SCHEMAS

ACCOUNTS = np.frombuffer(bytes(range(64)), "V16")


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


def moves(*parts: EventColumns) -> Any:
    found = [moves_of(part) for part in parts]
    assert all(each is not None for each in found)
    return np.concatenate(found)  # type: ignore[arg-type]  # asserted above


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


def test_accounts_are_told_apart_and_their_faults_name_the_row() -> None:
    courses = Courses()
    opened = moves(columns_of("account.opened", ["2026-01-10"] * 3))
    assert courses.check(ACCOUNTS[:3], opened).tolist() == [0, 0, 0]
    first = moves(statements(["2026-01-31"] * 4, [0, 0, 0, 0]))
    bits = courses.check(ACCOUNTS, first)
    faults = faults_of(np.arange(4) + 10, np.arange(4) + 12, bits)
    assert [(each.row, each.line, each.code) for each in faults] == [(13, 15, "account-not-opened")]
    second = moves(statements(["2026-02-28", "2026-01-31", "2026-02-28"], [75, 0, 0]))
    bits = courses.check(ACCOUNTS[:3], second)
    assert [
        (each.row, each.code, each.severity) for each in faults_of(np.arange(3), np.arange(3), bits)
    ] == [
        (0, "days-past-due-jump", Severity.WARNING),
        (1, "period-reported", Severity.REJECT),
    ]


def test_courses_go_on_from_what_was_kept() -> None:
    courses = Courses()
    courses.check(ACCOUNTS[:2], moves(columns_of("account.opened", ["2026-01-10"] * 2)))
    courses.check(ACCOUNTS[:2], moves(statements(["2026-01-31"] * 2, [0, 40])))
    again = Courses(courses.dump())
    assert len(again) == len(courses) == 2
    late = moves(statements(["2026-01-31", "2026-02-28"], [0, 65]))
    for each in (courses, again):
        bits = each.check(ACCOUNTS[:2], late)
        assert [fault.code for fault in faults_of(late[:, 0], late[:, 0], bits)] == [
            "period-reported"
        ]
    assert again.dump() == courses.dump()
    assert Courses(b"").dump() == b""


def test_representation_shows_no_account() -> None:
    courses = Courses()
    courses.check(ACCOUNTS[:1], moves(columns_of("account.opened", ["2026-01-10"])))
    assert repr(courses) == "Courses(1 accounts, not shown)"
