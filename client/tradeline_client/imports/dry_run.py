"""
What would become of a file: everything up to the keys, and nothing sealed, stored or sent.

A dry run reads the whole file once, so what it counts is what an import finds. It keeps the hash of
the file: an import says so if the file is another one by then.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from tradeline_client.imports.batch import BATCH_EVENTS
from tradeline_client.imports.mapping_run import MappedFile
from tradeline_ledger.finding import Severity
from tradeline_ledger.schemas import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_client.imports.columns import EventColumns, MappedChunk
    from tradeline_client.imports.fault import RowFault
    from tradeline_client.imports.mapping import Mapping

FAULT_SAMPLES_MAX: Final = 5
"""Faults of one code that are kept."""
EVENT_SAMPLES_MAX: Final = 3
"""Events of one type that are kept."""


@dataclass(slots=True)
class FaultCount:
    """How often one thing is wrong, and where at first."""

    severity: Severity
    count: int = 0
    samples: list[RowFault] = field(default_factory=list)


@dataclass(slots=True)
class DryRun:
    """What a file would become."""

    sha256: bytes = b""
    """Hash of the file as it lies on the disk."""
    file_bytes: int = 0
    rows: int = 0
    """All rows, the rejected ones among them."""
    rejected: int = 0
    """Rows that become no event, because of a fault."""
    quarantined: int = 0
    """Rows that a person has to decide about."""
    events: Counter[str] = field(default_factory=Counter)
    """By type."""
    months: Counter[str] = field(default_factory=Counter)
    """Events by the month of their day, `YYYY-MM`."""
    faults: dict[str, FaultCount] = field(default_factory=dict)
    """By code."""
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The first events of each type, for the eyes of whoever imports; subjects are not in them."""
    seconds: float = 0.0
    """What reading, checking and mapping took."""

    @property
    def batches(self) -> int:
        """Submissions that the events take."""
        return -(-self.events.total() // BATCH_EVENTS)

    def estimate_s(self, events_per_s: float) -> float:
        """Return how long an import takes at a rate of the ledger, in seconds."""
        return max(self.seconds, self.events.total() / events_per_s)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the samples of events, for programs."""
        return {
            "file": {"sha256": self.sha256.hex(), "bytes": self.file_bytes},
            "rows": self.rows,
            "rejected": self.rejected,
            "quarantined": self.quarantined,
            "events": dict(self.events),
            "batches": self.batches,
            "months": dict(sorted(self.months.items())),
            "faults": [
                {
                    "code": code,
                    "severity": found.severity.value,
                    "count": found.count,
                    "samples": [
                        {
                            "line": each.line,
                            "row": each.row,
                            "column": each.column,
                            "field": each.field,
                            "got": each.got,
                            "expected": each.expected,
                            "fix": each.fix,
                        }
                        for each in found.samples
                    ],
                }
                for code, found in sorted(self.faults.items(), key=lambda item: -item[1].count)
            ],
            "seconds": round(self.seconds, 3),
        }


def dry_run(path: Path, mapping: Mapping, today: str) -> DryRun:
    """
    Return what a file would become.

    Args:
        path: the file.
        mapping: how its rows become events.
        today: `YYYY-MM-DD`, after which nothing can have happened.

    Raises:
        SourceError: the file can't be read to its end.
        MappingError: the mapping does not fit the file.
    """
    started = time.perf_counter()
    file = MappedFile(path, mapping, today)
    found = DryRun(file_bytes=file.source.file_bytes)
    for chunk in file.chunks():
        _count(found, chunk)
    found.sha256 = file.source.sha256
    found.seconds = time.perf_counter() - started
    return found


def _count(found: DryRun, chunk: MappedChunk) -> None:
    found.rows += chunk.row_count
    rows: dict[Severity, set[int]] = {severity: set() for severity in Severity}
    for fault in chunk.faults:
        rows[fault.severity].add(fault.row)
        counted = found.faults.setdefault(fault.code, FaultCount(fault.severity))
        counted.count += 1
        if len(counted.samples) < FAULT_SAMPLES_MAX:
            counted.samples.append(fault)
    found.rejected += len(rows[Severity.REJECT])
    found.quarantined += len(rows[Severity.QUARANTINE] - rows[Severity.REJECT])
    for columns in chunk.events:
        name = columns.schema.name
        found.events[name] += len(columns)
        months = pc.utf8_slice_codeunits(columns.occurred_on, 0, 7)
        for each in pc.value_counts(months).to_pylist():
            found.months[each["values"]] += each["counts"]
        samples = found.samples.setdefault(name, [])
        wanted = EVENT_SAMPLES_MAX - len(samples)
        samples += [_sample(columns, place) for place in range(min(wanted, len(columns)))]


def _sample(columns: EventColumns, place: int) -> dict[str, Any]:
    values = tuple(column[place].as_py() for column in columns.values.columns)
    return {
        "type": columns.schema.name,
        "occurred_on": columns.occurred_on[place].as_py(),
        "ref": columns.ref[place].as_py(),
        "account": None if columns.account is None else columns.account[place].as_py(),
        "fields": SCHEMAS.fields_to_json(columns.schema, values),
    }
