"""
A Metro 2 file as a source of events for an import.

Records have parts of different lengths, so each is parsed and mapped as one object: some 100 µs,
beside which nothing is gained by columns. What comes out is columns, as of every other format.
"""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import pyarrow as pa

from tradeline_client.errors import SourceError
from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.metro2.fault import Fault
from tradeline_client.metro2.layout import BASE
from tradeline_client.metro2.reader import Reader
from tradeline_client.metro2.to_events import EVENT_TYPES, events_of
from tradeline_client.metro2.writer import encode_record
from tradeline_ledger.field import Amount, Choice, Integer
from tradeline_ledger.schema import Basis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tradeline_client.metro2.kind import Value
    from tradeline_client.metro2.record import Form, Record
    from tradeline_client.metro2.refusal import RecordFault
    from tradeline_client.metro2.to_events import AccountEvent
    from tradeline_ledger.field import Kind
    from tradeline_ledger.finding import Finding
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.schema import EventSchema

CHUNK_RECORDS: Final = 8_192
COLUMN: Final = "record"
"""Metro 2 has no columns: the whole record stands for one in the reject file."""

_HEADER_NUMBER: Final = 1
_ENDS: Final = frozenset(("no-header", "truncated", "trailer-missing", "not-framed"))
"""Faults behind which nothing can be read."""
_OF_THE_FILE: Final = frozenset(("trailer-total", "after-trailer"))
"""Faults that cost no record."""


class Metro2Source:
    """A Metro 2 file, to be read any number of times; chunks are cut at the same records."""

    names = (COLUMN,)

    def __init__(
        self,
        path: Path,
        *,
        today: str,
        basis: Basis = Basis.CONTRACT,
        chunk_records: int = CHUNK_RECORDS,
    ) -> None:
        """
        Take the file and why its accounts may be reported.

        Args:
            path: the file.
            today: `YYYY-MM-DD`, after which nothing can have happened yet.
            basis: of every event.
            chunk_records: records of a chunk.
        """
        self._path = path
        self._today = today
        self._basis = basis
        self._chunk_records = chunk_records
        self._hash = hashlib.sha256()
        self.bytes_read = 0
        """How much of the file was read so far."""

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._path.stat().st_size

    @property
    def sha256(self) -> bytes:
        """Hash of the file, once `chunks` is exhausted."""
        return self._hash.digest()

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """
        Yield the records as events; a record is a row, the header aside.

        Args:
            first_row: chunks that end before this row are left out.

        Raises:
            SourceError: the file can't be read on; what was yielded stands.
        """
        try:
            stream = self._path.open("rb")
        except OSError as error:
            raise SourceError(f"{self._path} can't be read: {error.strerror}") from error
        self._hash, self.bytes_read = hashlib.sha256(), 0
        with stream:
            yield from self._chunks(stream, first_row)

    def _chunks(self, stream: BinaryIO, first_row: int) -> Iterator[MappedChunk]:
        reader = Reader(_Hashed(stream, self))
        chunk = _Chunk(0, self._basis)
        for found in reader:
            if isinstance(found, Fault) and found.code in _ENDS:
                if chunk.row_count and chunk.end > first_row:
                    yield chunk.mapped()
                raise SourceError(f"{self._path.name}: {found}")
            if chunk.row_count == self._chunk_records and _begins_row(found, chunk.end):
                if chunk.end > first_row:
                    yield chunk.mapped()
                chunk = _Chunk(chunk.end, self._basis, chunk.version)
            if isinstance(found, Fault):
                chunk.refuse(found, lines=reader.form.lines)
            elif found.layout is BASE:
                chunk.add(found, reader.form, self._today)
            elif found.number == _HEADER_NUMBER:
                chunk.version = _version(found.base["activity_date"], "")
        if chunk.faults or (chunk.row_count and chunk.end > first_row):
            yield chunk.mapped()


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: BinaryIO, source: Metro2Source) -> None:
        self._stream, self._source = stream, source

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._source._hash.update(content)  # noqa: SLF001 - the two are one
        self._source.bytes_read += len(content)
        return content


class _Chunk:
    """Consecutive records while they are mapped."""

    def __init__(self, first_row: int, basis: Basis, version: int = 0) -> None:
        self.first_row = first_row
        self.version = version
        """Of records without a time of their own: the day of the file."""
        self.faults: list[RowFault] = []
        self._basis = basis
        self._lines: list[int] = []
        self._events: dict[EventSchema, list[tuple[int, int, AccountEvent]]] = {}
        self._originals: dict[int, tuple[str, ...]] = {}
        self._records: dict[int, tuple[Record, Form]] = {}

    @property
    def row_count(self) -> int:
        """How many records it has."""
        return len(self._lines)

    @property
    def end(self) -> int:
        """Row behind its last one."""
        return self.first_row + self.row_count

    def add(self, record: Record, form: Form, today: str) -> None:
        """Map a record of an account."""
        row, line = _row(record), record.number if form.lines else 0
        assert row == self.end, (row, self.end)
        self._lines.append(line)
        events, faults = events_of(record, today)
        found = [_row_fault(row, line, each) for each in faults]
        if not any(each.rejects for each in faults):
            found += self._take(row, line, record, events)
        self.faults += found
        self._records[row] = record, form
        if any(each.severity is not Severity.WARNING for each in found):
            self._originals[row] = self.original(row)

    def original(self, row: int) -> tuple[str, ...]:
        """Return what stood in a row of an account."""
        return (_shown(encode_record(*self._records[row])),)

    def refuse(self, fault: Fault, *, lines: bool) -> None:
        """Take a record that can't be read, or a fault of the file."""
        row, line = _row(fault), fault.record if lines else 0
        costs = _costs_row(fault)
        if costs and row == self.end:
            self._lines.append(line)
            self._originals[row] = (_shown(fault.raw),)
        self.faults.append(
            RowFault(
                row=row if costs else max(min(row, self.end - 1), self.first_row),
                line=line,
                column=" ".join(part for part in (fault.segment, fault.field) if part),
                field="",
                code=fault.code,
                got=f"{fault.got} at byte {fault.offset}",
                expected=fault.expected,
                fix=fault.fix,
                severity=Severity.REJECT if costs else Severity.WARNING,
            )
        )

    def _take(
        self, row: int, line: int, record: Record, events: tuple[AccountEvent, ...]
    ) -> Iterable[RowFault]:
        """Keep the events of a record, and return what is doubtful about them."""
        base = record.base
        version = _version(base["time_stamp"], base.text("correction_indicator")) or self.version
        # Consumers of one account share what is doubtful about it.
        findings = {}
        for event in events:
            self._events.setdefault(event.schema, []).append((row, version, event))
            for each in event.schema.doubtful(event.fields, event.occurred_on):
                findings[event.schema, each.code, each.field] = each
        return [_row_doubt(row, line, each) for each in findings.values()]

    def mapped(self) -> MappedChunk:
        """Return the chunk."""
        columns = (self._columns(schema) for schema in EVENT_TYPES if schema in self._events)
        return MappedChunk(
            first_row=self.first_row,
            row_count=self.row_count,
            lines=np.array(self._lines, np.int64),
            events=tuple(columns),
            faults=tuple(self.faults),
            names=Metro2Source.names,
            originals=self._originals,
            original=self.original,
        )

    def _columns(self, schema: EventSchema) -> EventColumns:
        rows, versions, events = zip(*self._events[schema], strict=True)
        subjects: dict[SubjectId, int] = {}
        subject = [subjects.setdefault(each.subject, len(subjects)) for each in events]
        values = [
            pa.array([each.fields[place] for each in events], _arrow(each.kind))
            for place, each in enumerate(schema.fields)
        ]
        return EventColumns(
            schema=schema,
            basis=self._basis,
            rows=np.array(rows, np.int64),
            subjects=tuple(subjects),
            subject=np.array(subject, np.int32),
            occurred_on=pa.array([each.occurred_on for each in events], pa.string()),
            ref=pa.array([each.ref for each in events], pa.string()),
            account=pa.array([each.account for each in events], pa.string()),
            values=pa.RecordBatch.from_arrays(values, names=[each.name for each in schema.fields]),
            version=np.array(versions, np.int64),
        )


def _arrow(kind: Kind) -> pa.DataType:
    return pa.int64() if isinstance(kind, Amount | Choice | Integer) else pa.string()


def _row(found: Record | Fault) -> int:
    """Return the row that a record is; the header is none."""
    number = found.record if isinstance(found, Fault) else found.number
    return number - _HEADER_NUMBER - 1


def _costs_row(fault: Fault) -> bool:
    """Say whether a fault is one of a record, and not of the header or the file."""
    return fault.code not in _OF_THE_FILE and fault.record != _HEADER_NUMBER


def _begins_row(found: Record | Fault, end: int) -> bool:
    """Say whether the row behind the last one begins here."""
    costs = _costs_row(found) if isinstance(found, Fault) else found.layout is BASE
    return costs and _row(found) == end


def _version(at: Value, correction: str) -> int:
    """Return a number that grows with the time of a record, and of one time with a correction."""
    if isinstance(at, datetime):
        return int(at.strftime("%Y%m%d%H%M%S")) * 10 + (correction == "1")
    return int(at.strftime("%Y%m%d")) * 10**7 if isinstance(at, date) else 0


def _row_fault(row: int, line: int, fault: RecordFault) -> RowFault:
    return RowFault(
        row=row,
        line=line,
        column=fault.field,
        field="",
        code=fault.code,
        got=fault.got,
        expected=fault.expected,
        fix=fault.fix,
        severity=Severity.REJECT if fault.rejects else Severity.WARNING,
    )


def _row_doubt(row: int, line: int, finding: Finding) -> RowFault:
    return RowFault(
        row=row,
        line=line,
        column="",
        field=finding.field,
        code=finding.code,
        got=finding.got,
        expected=finding.expected,
        fix=finding.fix,
        severity=Severity(finding.severity.value),
    )


def _shown(raw: bytes) -> str:
    """Return a record as text: bytes that don't print as `\\xNN`, a backslash doubled."""
    return "".join(_PRINTED[byte] for byte in raw)


_PRINTED: Final = [
    "\\\\" if byte == ord("\\") else chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"  # noqa: PLR2004
    for byte in range(256)
]
