"""One row that waits for a person, as bytes and as columns again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from tradeline_client.imports.columns import EventColumns, MappedChunk, column_type
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_ledger.encoding import Codec, Record, encode
from tradeline_ledger.identifier import COUNTRIES, IdType, SubjectId
from tradeline_ledger.mac import SHORT_MAC_BYTES, mac
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tradeline_ledger.schema import EventSchema

ITEM_VERSION: Final = 1
ITEM_BYTES_MAX: Final = 1 << 20


class _Fault(Record, frozen=True):
    """A finding as it is stored."""

    column: str
    field: str
    code: str
    got: str
    expected: str
    fix: str
    severity: str


class _Event(Record, frozen=True):
    """An event as it is stored: wire values with the names of their columns."""

    schema: int
    schema_version: int
    basis: int
    id_type: int
    identifier: str
    occurred_on: str
    ref: str
    account: str | None
    version: int | None
    names: tuple[str, ...]
    values: tuple[int | str | None, ...]


class _Item(Record, frozen=True):
    """A row as it is stored."""

    version: int
    faults: tuple[_Fault, ...]
    events: tuple[_Event, ...]


_ITEM: Final[Codec[_Item]] = Codec(_Item, "row for review", ITEM_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """One event of a row that waits."""

    schema: EventSchema
    basis: Basis
    subject: SubjectId
    occurred_on: str
    ref: str
    account: str | None
    version: int | None
    """Which report of its reference it is, None where the member doesn't number them."""
    values: tuple[Any, ...]
    """Wire values of the columns, in their order."""
    names: tuple[str, ...]
    """Of the columns."""

    def __repr__(self) -> str:
        return f"ReviewEvent({self.schema.title}, not shown)"


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One row that waits, or waited, for a person."""

    id: int
    job: str
    row: int
    """0-based row of the job's file."""
    line: int
    """1-based line, 0 where the format has none."""
    code: str
    """Of the first finding."""
    state: str
    faults: tuple[RowFault, ...] = ()
    """Everything found about it; empty in lists."""
    events: tuple[ReviewEvent, ...] = ()
    """Its events; empty in lists."""


def encode_items(chunk: MappedChunk) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield row, line, code of the first finding, and encoding of each row of a chunk."""
    faults: dict[int, list[RowFault]] = {}
    for fault in chunk.faults:
        faults.setdefault(fault.row, []).append(fault)
    events: dict[int, list[_Event]] = {}
    for columns in chunk.events:
        for row, event in zip(columns.rows.tolist(), _events(columns), strict=True):
            events.setdefault(row, []).append(event)
    for row, found in sorted(faults.items()):
        # What holds the row back comes first.
        found.sort(key=lambda each: each.severity is not Severity.QUARANTINE)
        said = [
            _Fault(
                *(each.column, each.field, each.code, each.got, each.expected, each.fix),
                severity=each.severity.value,
            )
            for each in found
        ]
        plain = encode(_Item(ITEM_VERSION, tuple(said), tuple(events.get(row, ()))))
        yield row, found[0].line, found[0].code, plain


def decode_item(
    plain: bytes, row: int, line: int
) -> tuple[tuple[RowFault, ...], tuple[ReviewEvent, ...]]:
    """Return findings and events of a row that `encode_items` encoded."""
    item = _ITEM.decode(plain)
    faults = tuple(
        RowFault(
            *(row, line, each.column, each.field, each.code, each.got, each.expected, each.fix),
            severity=Severity(each.severity),
        )
        for each in item.faults
    )
    return faults, tuple(_event(each) for each in item.events)


def item_digest(key: bytes, job: str, row: int, plain: bytes) -> bytes:
    """Return the keyed digest by which a decision names a row."""
    return mac(key, encode(("review item", job, row, plain)))[:SHORT_MAC_BYTES]


def rebuilt(items: Sequence[ReviewItem]) -> MappedChunk:
    """Return rows as a chunk: events in columns by type, rows and lines as they were."""
    assert items, "a chunk has a row"
    groups: dict[tuple[Any, ...], list[tuple[int, ReviewEvent]]] = {}
    for item in items:
        for event in item.events:
            schema = event.schema
            numbered = event.version is not None
            place = (schema.number, schema.version, event.basis, numbered, event.names)
            groups.setdefault(place, []).append((item.row, event))
    first = min(each.row for each in items)
    count = max(each.row for each in items) - first + 1
    lines = np.zeros(count, np.int64)
    for item in items:
        lines[item.row - first] = item.line
    events = tuple(_columns(group) for group in groups.values())
    return MappedChunk(first, count, lines, events, ())


def _events(columns: EventColumns) -> Iterator[_Event]:
    schema, names = columns.schema, tuple(columns.values.schema.names)
    accounts = [None] * len(columns) if columns.account is None else columns.account.to_pylist()
    versions = [None] * len(columns) if columns.version is None else columns.version.tolist()
    for place, (subject, day, ref, account, version) in enumerate(
        zip(
            columns.subject.tolist(),
            columns.occurred_on.to_pylist(),
            columns.ref.to_pylist(),
            accounts,
            versions,
            strict=True,
        )
    ):
        who = columns.subjects[subject]
        values = tuple(column[place].as_py() for column in columns.values.columns)
        yield _Event(
            schema=schema.number,
            schema_version=schema.version,
            basis=int(columns.basis),
            id_type=int(who.id_type),
            identifier=who.identifier,
            occurred_on=day,
            ref=ref,
            account=account,
            version=version,
            names=names,
            values=values,
        )


def _event(stored: _Event) -> ReviewEvent:
    kind = IdType(stored.id_type)
    return ReviewEvent(
        schema=SCHEMAS.get(stored.schema, stored.schema_version),
        basis=Basis(stored.basis),
        subject=SubjectId(kind, COUNTRIES[kind], stored.identifier),
        occurred_on=stored.occurred_on,
        ref=stored.ref,
        account=stored.account,
        version=stored.version,
        values=stored.values,
        names=stored.names,
    )


def _columns(group: list[tuple[int, ReviewEvent]]) -> EventColumns:
    events = [event for _, event in group]
    first = events[0]
    kinds = {item.name: item.kind for item in first.schema.fields}
    subjects = tuple(dict.fromkeys(event.subject for event in events))
    places = {subject: place for place, subject in enumerate(subjects)}
    arrays = [
        pa.array([event.values[place] for event in events], column_type(kinds[name]))
        for place, name in enumerate(first.names)
    ]
    accounts = [event.account for event in events]
    versions = [event.version for event in events]
    return EventColumns(
        schema=first.schema,
        basis=first.basis,
        rows=np.array([row for row, _ in group], np.int64),
        subjects=subjects,
        subject=np.array([places[event.subject] for event in events], np.int32),
        occurred_on=pa.array([event.occurred_on for event in events], pa.string()),
        ref=pa.array([event.ref for event in events], pa.string()),
        account=None if accounts[0] is None else pa.array(accounts, pa.string()),
        values=pa.RecordBatch.from_arrays(arrays, names=list(first.names)),
        version=None if versions[0] is None else np.array(versions, np.int64),
    )
