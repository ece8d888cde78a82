"""Events that are encoded a column at a time have the bytes that one at a time gives."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_client.imports.columns import EventColumns, column_type
from tradeline_client.imports.encoding import encode_events, encode_fields
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import EventError
from tradeline_ledger.event import Event, encode_event
from tradeline_ledger.field import Field, Integer, Text
from tradeline_ledger.schema import Basis, EventSchema, Handle
from tradeline_ledger.schemas import DELINQUENCY, JUDGMENT, STATEMENT
from tradeline_ledger.tag import Category

_EDGES: Final = [
    sign * 2**bits + step
    for bits in (0, 5, 7, 8, 15, 16, 31, 32, 53)
    for sign in (1, -1)
    for step in (-1, 0, 1)
]
_LENGTHS: Final = (1, 31, 32, 255, 256, 1024)


def _schema(pairs: int, category: Category | None = Category.ACCOUNT) -> EventSchema:
    """Return a schema of pairs of a number and a text."""
    number, text = Integer("things", -(2**63), 2**63 - 1), Text(1024)
    fields = [
        Field(f"{name}{place}", kind, "", optional=True)
        for place in range(pairs)
        for name, kind in (("number", number), ("text", text))
    ]
    bases, account = frozenset(Basis), Handle.ABSENT
    return EventSchema(900, 1, "test.wide", category, bases, account, tuple(fields), (), "")


_PAIR: Final = _schema(1)


def _columns(
    schema: EventSchema,
    rows: list[tuple[Any, ...]],
    basis: Basis = Basis.CONTRACT,
    account: str | None = None,
) -> EventColumns:
    count = len(rows)
    arrays = [
        pa.array([row[place] for row in rows], column_type(item.kind))
        for place, item in enumerate(schema.fields)
    ]
    return EventColumns(
        schema=schema,
        basis=basis,
        rows=np.arange(count),
        subjects=(),
        subject=np.zeros(count, np.int32),
        occurred_on=pa.array(["2026-01-31"] * count, pa.string()),
        ref=pa.array(["r"] * count, pa.string()),
        account=None if account is None else pa.array([account] * count, pa.string()),
        values=pa.RecordBatch.from_arrays(arrays, names=[item.name for item in schema.fields]),
    )


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from(_EDGES),
            st.none() | st.text(max_size=40) | st.sampled_from(["é" * n for n in _LENGTHS]),
        ),
        max_size=20,
    )
)
def test_fields_have_the_bytes_of_the_encoder(rows: list[tuple[Any, ...]]) -> None:
    assert encode_fields(_columns(_PAIR, rows)).to_pylist() == [encode(row) for row in rows]


def test_every_edge_of_integers_and_lengths_has_the_bytes_of_the_encoder() -> None:
    texts = ["x" * (length + step) for length in _LENGTHS for step in (-1, 0)]
    rows = [(edge, texts[place % len(texts)]) for place, edge in enumerate(_EDGES)]
    assert encode_fields(_columns(_PAIR, rows)).to_pylist() == [encode(row) for row in rows]


def test_more_than_fifteen_fields_take_a_longer_header() -> None:
    row = (1, None) * 10
    assert encode_fields(_columns(_schema(10), [row])).to_pylist() == [encode(row)]


def test_a_slice_of_columns_gives_its_own_rows() -> None:
    rows = [(place, f"text {place}") for place in range(300)]
    whole = _columns(_PAIR, rows)
    piece = _columns(_PAIR, rows[100:200])
    sliced = EventColumns(
        schema=_PAIR,
        basis=whole.basis,
        rows=whole.rows[100:200],
        subjects=(),
        subject=whole.subject[100:200],
        occurred_on=whole.occurred_on.slice(100, 100),
        ref=whole.ref.slice(100, 100),
        account=None,
        values=whole.values.slice(100, 100),
    )
    assert encode_fields(sliced).equals(encode_fields(piece))
    keyed = bytes(1600)
    assert encode_events(sliced, keyed, None, keyed).equals(
        encode_events(piece, keyed, None, keyed)
    )


@pytest.mark.parametrize(
    ("schema", "basis", "account", "rows"),
    [
        (
            STATEMENT,
            Basis.CONTRACT,
            "account 1",
            [
                STATEMENT.values(
                    period="2026-01",
                    currency="CNY",
                    statement_balance_minor=balance,
                    days_past_due=0,
                    past_due_minor=0,
                )
                for balance in _EDGES
                if abs(balance) < 2**53
            ],
        ),
        (
            DELINQUENCY,
            Basis.STATUTORY,
            "account 1",
            [DELINQUENCY.values(first_delinquent_on="2025-12-01", days_past_due=61, stage=2)],
        ),
        (
            JUDGMENT,
            Basis.PUBLIC,
            None,
            [
                JUDGMENT.values(authority="某某法院", document_no="(2026) 1", status=1),
                JUDGMENT.values(
                    authority="x" * 100,
                    document_no="y" * 64,
                    status=2,
                    source="法" * 200,
                    until="2030-01-01",
                ),
            ],
        ),
    ],
    ids=["statement", "delinquency", "judgment"],
)
def test_events_have_the_bytes_of_one_at_a_time(
    schema: EventSchema, basis: Basis, account: str | None, rows: list[tuple[Any, ...]]
) -> None:
    count = len(rows)
    refs = [bytes([place]) * 16 for place in range(count)]
    checks = [bytes([255 - place]) * 16 for place in range(count)]
    accounts = None if account is None else [b"a" * 15 + bytes([place]) for place in range(count)]
    columns = _columns(schema, rows, basis, account)
    found = encode_events(
        columns,
        b"".join(refs),
        None if accounts is None else b"".join(accounts),
        b"".join(checks),
    )
    assert found.to_pylist() == [
        encode_event(
            Event(
                schema=schema.number,
                version=schema.version,
                occurred_on="2026-01-31",
                basis=basis,
                ref=refs[place],
                account=None if accounts is None else accounts[place],
                check=checks[place],
                target=None,
                fields=row,
            )
        )
        for place, row in enumerate(rows)
    ]


def test_an_event_that_is_too_long_is_refused() -> None:
    row = (1, "é" * 1024) * 9
    with pytest.raises(EventError, match=r"event has 18.* bytes, at most 16380 are allowed"):
        encode_events(_columns(_schema(9), [row]), bytes(16), None, bytes(16))
