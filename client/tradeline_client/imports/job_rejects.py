"""
Rows that were not submitted: kept encrypted, written as CSV for a person to mend.

The file repeats what stood in each row behind what is wrong with it, so that it can be mended and
read again with the same mapping.
"""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass
from typing import IO, TYPE_CHECKING, Final

import msgspec

from tradeline_client.imports.fault import RowFault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.job_prepare import PreparedChunk
    from tradeline_client.imports.job_store import Job, JobStore

FAULT_COLUMNS: Final = (
    *("reject_row", "reject_line", "reject_column", "reject_field", "reject_code"),
    *("reject_got", "reject_expected", "reject_fix", "reject_severity"),
)
"""Columns of the reject file in front of those of the file."""

_Rows = tuple[tuple[str, ...], list[tuple[RowFault, tuple[str, ...]]]]
_DECODER: Final = msgspec.msgpack.Decoder(_Rows)


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One fault of a row that was not submitted."""

    fault: RowFault
    names: tuple[str, ...]
    original: tuple[str, ...]
    """What stood in the row, by `names`; empty where that is not known."""

    def __repr__(self) -> str:
        return f"RejectedRow({self.fault.row}, {self.fault.code}, not shown)"


def encode_rejected(chunk: PreparedChunk) -> bytes:
    """Return what is kept of the faults of a chunk, warnings aside."""
    kept = [
        (fault, chunk.originals.get(fault.row, ()))
        for fault in chunk.faults
        if fault.severity is not Severity.WARNING
    ]
    return msgspec.msgpack.encode((chunk.names, kept))


def rejected_rows(store: JobStore, job: Job) -> Iterator[RejectedRow]:
    """
    Yield every fault of the rows of a job that were not submitted, by row.

    Raises:
        StoreError: what is kept does not open with this keystore.
    """
    for first_row in store.chunk_rows(job):
        names, kept = _DECODER.decode(store.rejected(job, first_row))
        for fault, original in kept:
            yield RejectedRow(fault, names, original)


def write_rejects(rows: Iterator[RejectedRow], file: IO[str]) -> int:
    """Write the reject file of `rows` to a text file without newline translation; return lines."""
    writer = csv.writer(file, lineterminator="\n")
    written = 0
    for row in rows:
        if not written:
            writer.writerow((*FAULT_COLUMNS, *row.names))
        *fault, severity = astuple(row.fault)
        writer.writerow((*fault, severity.value, *row.original))
        written += 1
    if not written:
        writer.writerow(FAULT_COLUMNS)
    return written
