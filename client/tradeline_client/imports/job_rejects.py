"""
Rows that were not submitted: kept encrypted, written as CSV for a person to mend.

The file repeats what stood in each row behind what is wrong with it, so that it can be mended and
read again with the same mapping.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from itertools import groupby
from typing import IO, TYPE_CHECKING, Final

import msgspec

from tradeline_client.imports.fault import RowFault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tradeline_client.imports.job_prepare import PreparedChunk
    from tradeline_client.imports.job_store import Job, JobStore

FAULT_COLUMNS: Final = (
    *("reject_row", "reject_line", "reject_column", "reject_field", "reject_code"),
    *("reject_got", "reject_expected", "reject_fix", "reject_severity"),
)
"""Columns of the reject file in front of those of the file."""

_BETWEEN: Final = " | "
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


def rejected_of(store: JobStore, job: Job, first_row: int) -> dict[int, str]:
    """Return the rows of a chunk that were not submitted, and what became of them: a severity."""
    _, kept = _DECODER.decode(store.rejected(job, first_row))
    found: dict[int, str] = {}
    for fault, _ in kept:
        # A row that is wrong is rejected, whatever else is doubtful about it.
        if fault.severity is Severity.REJECT or fault.row not in found:
            found[fault.row] = fault.severity.value
    return dict(sorted(found.items()))


def write_rejects(rows: Iterator[RejectedRow], file: IO[str]) -> int:
    """
    Write the reject file to a text file without newline translation; return how many rows it has.

    A row with several faults is one line, on which they stand in order.
    """
    writer = csv.writer(file, lineterminator="\n")
    written = 0
    for number, faults in groupby(rows, key=lambda each: each.fault.row):
        every = list(faults)
        if not written:
            writer.writerow((*FAULT_COLUMNS, *every[0].names))
        told = zip(*[_cells(each.fault) for each in every], strict=True)
        joined = [_BETWEEN.join(cells) for cells in told]
        writer.writerow((number, every[0].fault.line, *joined, *every[0].original))
        written += 1
    if not written:
        writer.writerow(FAULT_COLUMNS)
    return written


def save_rejects(store: JobStore, job: Job, path: Path) -> int:
    """Write the reject file of a job to a new file that only its owner can read; return rows."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        return write_rejects(rejected_rows(store, job), file)


def _cells(fault: RowFault) -> tuple[str, ...]:
    return (
        *(fault.column, fault.field, fault.code, fault.got, fault.expected, fault.fix),
        fault.severity.value,
    )
