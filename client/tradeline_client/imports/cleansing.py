"""
The checks of a chunk before it is sealed: near duplicates, implausible values, courses, free text.

docs/cleansing.md says what is looked for, with which thresholds, and how often it is right. What
is doubtful is moved aside, a row with all of its events, for a person to decide; what contradicts
the course of its account is rejected; nothing is changed. What passes is remembered, under keys and
sealed, for the chunks and files to come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_digest import Digests
from tradeline_client.imports.cleansing_history import AccountHistory
from tradeline_client.imports.cleansing_keys import Keys, keys_of
from tradeline_client.imports.cleansing_near import NearDuplicates
from tradeline_client.imports.cleansing_shelf import (
    PENDING_MAX,
    SHELVES_NAME,
    STORAGE_NAME,
    Shelves,
)
from tradeline_client.imports.cleansing_spread import Measured, Shift, Spreads, measure
from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.course import CourseEvents, Courses, moves_of
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.restricted_text import restricted_faults
from tradeline_ledger.schemas import OPENED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tradeline_client.keystore import Keystore

COMMIT_ROWS: Final = 500_000
"""Rows after which `check` writes what it remembers: that rewrites much, so it is done seldom."""
_DIGEST_NAME: Final = "cleansing digests"
_PROGRESS: Final = "progress"


@dataclass(frozen=True, slots=True)
class Checked:
    """A chunk parted into what goes on and what a person has to look at."""

    chunk: MappedChunk
    """Without the events of rows that are moved aside; its faults tell of those rows, too."""
    quarantined: MappedChunk
    """Only the rows that are quarantined, by the mapping or here, with all that was found."""
    shifts: tuple[Shift, ...]
    """Fields whose amounts have all moved, most likely by another unit: stop and ask."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Events with what was worked out about them."""

    columns: EventColumns
    keys: Keys
    measured: Measured
    again: NDArray[np.bool_]
    """Whether the event was told before under its reference, as far as that is known here."""


class Cleanser:
    """Checks chunks of one file after the other."""

    def __init__(self, shelves: Shelves, key: bytes, job: str) -> None:
        """Use what `shelves` know; `key` makes digests, and never changes; `job` names the file."""
        self._shelves = shelves
        self._digests = Digests(key)
        self._file = int(self._digests.strings(pa.array([job]))[0])
        self._row = self.committed
        self._near = NearDuplicates(shelves)
        self._history = AccountHistory(shelves)
        self._spreads = Spreads(shelves)
        self._courses = Courses(shelves)

    @classmethod
    def open(cls, folder: Path, keystore: Keystore, job: str) -> Self:
        """
        Return the cleanser of a client folder for the file of one import job.

        Raises:
            StoreError: its file can't be opened.
        """
        shelves = Shelves(folder / SHELVES_NAME, keystore.storage_key(STORAGE_NAME))
        return cls(shelves, keystore.storage_key(_DIGEST_NAME), job)

    @property
    def committed(self) -> int:
        """Rows of this job's file, from the first, of which everything that passed is written."""
        return int.from_bytes(self._shelves.read(_PROGRESS, self._part, 0), "big")

    @property
    def _part(self) -> int:
        # SQLite counts up to 2**63.
        return self._file >> 1

    def close(self) -> None:
        """Close the file; what was not committed is forgotten."""
        self._shelves.close()

    def check(self, chunk: MappedChunk) -> Checked:
        """
        Return a chunk parted by what is found in it, and remember what goes on.

        Raises:
            StoreError: what is known does not open, or can't be written.
        """
        lines = dict(
            zip(
                range(chunk.first_row, chunk.first_row + chunk.row_count),
                chunk.lines.tolist(),
                strict=False,
            )
        )
        faults: list[RowFault] = []
        shifts: list[Shift] = []
        seen: list[_Seen] = []
        # Openings first: they tell product and limit of the statements beside them.
        for columns in sorted(chunk.events, key=lambda each: each.schema.number != OPENED.number):
            keys = keys_of(columns, self._digests)
            history = self._history.check(columns, keys)
            measured = measure(columns, keys, history)
            shifts += self._spreads.shifts(measured)
            near, again = self._near.check(keys, self._file, numbered=columns.version is not None)
            findings = [
                *near,
                *history.findings,
                *self._spreads.check(measured),
            ]
            faults += chain.from_iterable(each.faults(columns, lines) for each in findings)
            faults += restricted_faults(columns, lines)
            seen.append(_Seen(columns, keys, measured, again))
            if columns.schema.number == OPENED.number:
                self._remember_accounts(seen[-1], _held(faults) | _held(chunk.faults))
        held = _held(faults) | _held(chunk.faults)
        misfits = self._courses.check(_course_events(seen, held), lines)
        faults += misfits
        held |= _held(misfits)
        rejected = _rows(misfits, Severity.REJECT)
        for each in seen:
            self._remember(each, held | rejected)
        self._row = max(self._row, chunk.first_row + chunk.row_count)
        self._bound()
        return _parted(chunk, faults, (held - rejected, rejected), tuple(shifts))

    def learn(self, chunk: MappedChunk) -> None:
        """
        Remember events that go on without a check, such as those that a person accepted.

        Raises:
            StoreError: what is known does not open, or can't be written.
        """
        seen: list[_Seen] = []
        for columns in chunk.events:
            keys = keys_of(columns, self._digests)
            history = self._history.check(columns, keys)
            measured = measure(columns, keys, history)
            seen.append(_Seen(columns, keys, measured, np.zeros(len(columns), np.bool_)))
            self._remember(seen[-1], set())
        self._courses.check(_course_events(seen, set()), {})
        self._bound()

    def commit(self) -> None:
        """
        Write what was remembered, and how far; call it at the end of a file.

        Raises:
            StoreError: it can't be written; call again.
        """
        shelves = (*self._near.shelves, *self._history.shelves, *self._courses.shelves)
        self._shelves.write(
            chain(
                chain.from_iterable(each.blobs() for each in shelves),
                self._spreads.blobs(),
                [(_PROGRESS, self._part, 0, self._row.to_bytes(8, "big"))],
            )
        )
        for each in shelves:
            each.written()
        self._spreads.written()

    def _remember(self, seen: _Seen, held: set[int]) -> None:
        passed = ~_among(seen.columns, held)
        self._near.learn(seen.keys.select(passed), self._file)
        self._spreads.learn(seen.measured.select(passed))
        self._remember_accounts(seen, held)

    def _remember_accounts(self, seen: _Seen, held: set[int]) -> None:
        passed = ~_among(seen.columns, held)
        self._history.learn(select(seen.columns, passed), seen.keys.select(passed))

    def _bound(self) -> None:
        pending = max(each.pending for each in self._near.shelves)
        if self._row - self.committed >= COMMIT_ROWS or pending > PENDING_MAX:
            self.commit()


def _rows(faults: Iterable[RowFault], severity: Severity) -> set[int]:
    return {fault.row for fault in faults if fault.severity is severity}


def _held(faults: Iterable[RowFault]) -> set[int]:
    return _rows(faults, Severity.QUARANTINE)


def _course_events(seen: Iterable[_Seen], held: set[int]) -> CourseEvents:
    """Return what new events say about the courses of their accounts, held rows left out."""
    parts = []
    for each in seen:
        moves = moves_of(each.columns)
        if moves is not None and each.columns.account is not None:
            new = ~each.again & ~_among(each.columns, held)
            events = CourseEvents(each.keys.account_spelt, each.keys.ref, each.columns.rows, moves)
            parts.append(events if new.all() else events.select(new))
    return CourseEvents.joined(parts)


def _parted(
    chunk: MappedChunk,
    faults: list[RowFault],
    out: tuple[set[int], set[int]],
    shifts: tuple[Shift, ...],
) -> Checked:
    """Return a chunk without the rows of `out`, which are held and rejected, and the held ones."""
    held, rejected = out
    everything = sorted((*chunk.faults, *faults), key=lambda each: each.row)
    originals = dict(chunk.originals)
    if chunk.original is not None:
        new = sorted((held | rejected) - originals.keys())
        originals |= {row: chunk.original(row) for row in new}
    kept = replace(
        chunk,
        events=tuple(_without(columns, held | rejected) for columns in chunk.events),
        faults=tuple(everything),
        originals=originals,
    )
    aside = replace(
        chunk,
        events=tuple(
            each for each in (_only(columns, held) for columns in chunk.events) if len(each)
        ),
        faults=tuple(each for each in everything if each.row in held),
    )
    return Checked(kept, aside, shifts)


def _without(columns: EventColumns, rows: set[int]) -> EventColumns:
    return columns if not rows else select(columns, ~_among(columns, rows))


def _only(columns: EventColumns, rows: set[int]) -> EventColumns:
    return select(columns, _among(columns, rows))


def _among(columns: EventColumns, rows: set[int]) -> NDArray[np.bool_]:
    return np.isin(columns.rows, np.fromiter(rows, np.int64, len(rows)))


def select(columns: EventColumns, mask: NDArray[np.bool_]) -> EventColumns:
    """Return the events of some columns where `mask` is true."""
    if mask.all():
        return columns
    kept = pa.array(mask)
    return replace(
        columns,
        rows=columns.rows[mask],
        subject=columns.subject[mask],
        occurred_on=columns.occurred_on.filter(kept),
        ref=columns.ref.filter(kept),
        account=None if columns.account is None else columns.account.filter(kept),
        values=columns.values.filter(kept),
        version=None if columns.version is None else columns.version[mask],
    )
