"""Columns are checked as single events are: the same values pass, the same are refused."""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from tradeline_client.imports.columns import column_type
from tradeline_client.imports.validation import broken, unfit, unfit_text
from tradeline_ledger.encoding import check_text
from tradeline_ledger.errors import EventError
from tradeline_ledger.field import Amount, Choice, Currency, Day, Field, Integer, Kind, Period, Text
from tradeline_ledger.rule import OCCURRED_ON, RowsAtMost
from tradeline_ledger.schema import EventSchema
from tradeline_ledger.schemas import SCHEMAS

ROWS: Final = 400
DAYS: Final = ("2025-12-31", "2026-01-01", "2026-01-31", "2026-02-28", "2024-02-29")
BAD_DAYS: Final = ("2026-02-30", "2026-1-1", "20260101", "", "2026-01-01 ", "0000-01-01")
PERIODS: Final = ("2025-12", "2026-01", "2026-02")
BAD_PERIODS: Final = ("2026-13", "2026-00", "0000-01", "2026-1", "", "2026-01-01", "2026-01\n")
TEXTS: Final = ("x", "某某法院", "a b", "é")
BAD_TEXTS: Final = ("", "e\u0301", "a\nb", "\x00", "x" * 2000, "\x7f")
CURRENCIES: Final = ("CNY", "JPY")
BAD_CURRENCIES: Final = ("cny", "XXX", "", "CN")

TYPES: Final = [schema for schema in SCHEMAS if not schema.corrects]


def _value(random_: random.Random, kind: Kind, *, wild: bool) -> Any:
    """Return a value that may be one of this kind; a wild one most likely is not."""
    match kind:
        case Amount():
            wildest = (kind.minor_min - 1, 2**53, -(2**53))
            return random_.choice(wildest if wild else (0, 1, 2, 100, 2**53 - 1, kind.minor_min))
        case Integer():
            wildest = (kind.minimum - 1, kind.maximum + 1, -(2**63))
            near = (kind.minimum, kind.minimum + 1, 30, 90, 181, kind.maximum)
            return random_.choice(wildest if wild else near)
        case Choice():
            names = len(kind.names)
            return random_.choice((0, -1, names + 1) if wild else range(1, names + 1))
        case Currency():
            return random_.choice(BAD_CURRENCIES if wild else CURRENCIES)
        case Day():
            return random_.choice(BAD_DAYS if wild else DAYS)
        case Period():
            return random_.choice(BAD_PERIODS if wild else PERIODS)
        case Text():
            return random_.choice(BAD_TEXTS if wild else TEXTS)
        case _:
            return None


def _event(random_: random.Random, schema: EventSchema, wild: float) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in schema.fields:
        missing = item.optional and random_.random() < 0.4
        values[item.name] = (
            None if missing else _value(random_, item.kind, wild=random_.random() < wild)
        )
    values[OCCURRED_ON] = random_.choice(DAYS)
    return values


def _refused_one_by_one(schema: EventSchema, rows: list[dict[str, Any]]) -> list[bool]:
    refused = []
    for row in rows:
        values = tuple(row[item.name] for item in schema.fields)
        try:
            SCHEMAS.check(schema.number, schema.version, values, row[OCCURRED_ON])
        except EventError:
            refused.append(True)
        else:
            refused.append(False)
    return refused


def _refused_by_column(schema: EventSchema, rows: list[dict[str, Any]]) -> list[bool]:
    wrong = np.zeros(len(rows), np.bool_)
    columns: dict[str, pa.Array] = {
        OCCURRED_ON: pa.array([row[OCCURRED_ON] for row in rows], pa.string())
    }
    for item in schema.fields:
        column = pa.array([row[item.name] for row in rows], column_type(item.kind))
        columns[item.name] = column
        wrong |= unfit(item.kind, column)
        if not item.optional:
            wrong |= np.array([row[item.name] is None for row in rows])
    for rule in schema.rules:
        fine = np.flatnonzero(~wrong)
        taken = {name: columns[name].take(pa.array(fine)) for name in rule.reads}
        wrong[fine] |= broken(rule, taken)
    return [bool(each) for each in wrong]


@pytest.mark.parametrize("schema", TYPES, ids=[each.title for each in TYPES])
@pytest.mark.parametrize("wild", [0.0, 0.05])
def test_columns_are_refused_exactly_where_single_events_are(
    schema: EventSchema, wild: float
) -> None:
    random_ = random.Random(f"{schema.title} {wild}")
    rows = [_event(random_, schema, wild) for _ in range(ROWS)]
    assert _refused_by_column(schema, rows) == _refused_one_by_one(schema, rows)


def test_every_rule_and_doubt_of_a_type_is_seen_where_it_is_broken_and_only_there() -> None:
    random_ = random.Random("rules")
    for schema in TYPES:
        rows = [_event(random_, schema, 0.0) for _ in range(ROWS)]
        for rule in (*schema.rules, *(doubt.rule for doubt in schema.doubts)):
            columns = {
                name: pa.array([row[name] for row in rows], _type_of(schema, name))
                for name in rule.reads
            }
            expected = [
                rule.broken(*(row[name] for name in rule.reads)) is not None for row in rows
            ]
            assert broken(rule, columns).tolist() == expected, (schema.title, rule)
            if not isinstance(rule, RowsAtMost):  # rows are in no column
                assert any(expected) or rule.code == "sum", (schema.title, rule)


def _type_of(schema: EventSchema, name: str) -> pa.DataType:
    kinds = {item.name: column_type(item.kind) for item in schema.fields}
    return kinds.get(name, pa.string())


def test_a_rule_that_is_not_known_is_asked_row_by_row() -> None:
    class Odd:
        code = expected = fix = "odd"
        reads = ("first", "second")

        def broken(self, *values: Any) -> str | None:
            return "odd" if sum(values) % 2 else None

    columns = {"first": pa.array([1, 2, 3]), "second": pa.array([1, 1, 1])}
    assert broken(Odd(), columns).tolist() == [False, True, False]


@pytest.mark.parametrize(
    "text", ["x", "", "a\tb", "é", "e\u0301", "x" * 10, "x" * 11, "\x7f", "字"]
)
@pytest.mark.parametrize("sliced", [False, True])
def test_texts_are_refused_as_one_text_is(text: str, sliced: bool) -> None:
    column = pa.array(["fine", text, "fine"]).slice(1, 1) if sliced else pa.array([text])
    try:
        check_text(text, "text", 10)
    except ValueError:
        expected = True
    else:
        expected = False
    assert unfit_text(column, 10).tolist() == [expected]


def test_no_field_of_a_type_is_left_unchecked_by_its_kind() -> None:
    wide = Field("n", Integer("things", -5, 5), "")
    column = pa.array([-6, -5, None, 5, 6], column_type(wide.kind))
    assert unfit(wide.kind, column).tolist() == [True, False, False, False, True]
