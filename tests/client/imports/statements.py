"""Chunks of statements and payments for tests of what looks at whole events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tests.world import seed, subject

from tradeline_client.imports.cleansing import Checked, Cleanser
from tradeline_client.imports.cleansing_shelf import SHELVES_NAME, Shelves
from tradeline_client.imports.columns import EventColumns, MappedChunk, column_type
from tradeline_ledger.calendar import last_date, parse_period
from tradeline_ledger.field import Rows
from tradeline_ledger.schema import Basis, EventSchema
from tradeline_ledger.schemas import OPENED, PORTFOLIO, PRODUCT, STATEMENT

KEY = seed("cleansing")


@dataclass(frozen=True)
class Row:
    """One event of a file."""

    fields: dict[str, Any]
    ref: str
    account: str | None = "A 1"
    day: str = "2026-03-31"
    who: int = 1
    schema: EventSchema = STATEMENT


def statement(period: str, balance: int, **said: Any) -> Row:
    """Return a row about one statement; keys of `Row` or fields of the type may be given."""
    own = {name: said.pop(name) for name in ("account", "ref", "who") if name in said}
    account = own.pop("account", "A 1")
    fields = {
        "period": period,
        "currency": "CNY",
        "statement_balance_minor": balance,
        "days_past_due": 0,
    }
    ref = own.pop("ref", f"statement {account} {period}")
    day = last_date(parse_period(period))
    return Row({**fields, **said}, ref, account, day, **own)


def opened(limit: int, account: str = "A 1", product: str = "credit_card") -> Row:
    """Return a row about an opening with that limit."""
    fields = {
        "product": PRODUCT.number(product),
        "portfolio": PORTFOLIO.number("revolving"),
        "role": 1,
        "currency": "CNY",
        "limit_minor": limit,
    }
    return Row(fields, f"opened {account}", account, "2025-01-01", schema=OPENED)


def columns(rows: Sequence[tuple[int, Row]], versions: Sequence[int] | None = None) -> EventColumns:
    """Return rows of one type, each with its place in the file, as columns."""
    schema = rows[0][1].schema
    kinds = {each.name: each.kind for each in schema.fields if not isinstance(each.kind, Rows)}
    people = sorted({row.who for _, row in rows})
    accounts = [row.account for _, row in rows]
    return EventColumns(
        schema=schema,
        basis=Basis.CONTRACT,
        rows=np.array([place for place, _ in rows], np.int64),
        subjects=tuple(subject(each) for each in people),
        subject=np.array([people.index(row.who) for _, row in rows], np.int32),
        occurred_on=pa.array([row.day for _, row in rows], pa.string()),
        ref=pa.array([row.ref for _, row in rows], pa.string()),
        account=None if accounts[0] is None else pa.array(accounts, pa.string()),
        values=pa.RecordBatch.from_arrays(
            [
                pa.array([row.fields.get(name) for _, row in rows], column_type(kind))
                for name, kind in kinds.items()
            ],
            names=list(kinds),
        ),
        version=None if versions is None else np.array(versions, np.int64),
    )


def chunk(*rows: Row, first_row: int = 0, versions: Sequence[int] | None = None) -> MappedChunk:
    """Return rows, one event each, as a chunk; line 2 is that of row 0."""
    groups: dict[int, list[tuple[int, Row]]] = {}
    for place, row in enumerate(rows, first_row):
        groups.setdefault(row.schema.number, []).append((place, row))
    return MappedChunk(
        first_row=first_row,
        row_count=len(rows),
        lines=np.arange(first_row, first_row + len(rows), dtype=np.int64) + 2,
        events=tuple(columns(group, versions) for group in groups.values()),
        faults=(),
    )


def cleanser(folder: Path, job: str = "job") -> Cleanser:
    """Return a cleanser that keeps what it knows in `folder`."""
    return Cleanser(Shelves(folder / SHELVES_NAME, KEY), KEY, job)


def held(checked: Checked) -> list[tuple[int, str]]:
    """Return row and code of everything that was held back."""
    return [(fault.row, fault.code) for fault in checked.quarantined.faults]


def warned(checked: Checked) -> list[tuple[int, str]]:
    """Return row and code of every warning."""
    aside = {fault.row for fault in checked.quarantined.faults}
    return [(each.row, each.code) for each in checked.chunk.faults if each.row not in aside]
