"""
The sent index: which events this folder put on the ledger or on its way, by keyed reference.

What is kept of an event is one `RECORD`; it stands with its batch in the store of jobs, encrypted.
Here they are found again: a sorted column of the first eight bytes of every reference is kept in
memory, 16 bytes an event with its place, and what it leads to is compared in full.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.imports.job_prepare import KEYED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RECORD: Final = np.dtype(
    [
        ("ref", KEYED),
        ("digest", KEYED),
        ("tag", KEYED),
        ("check", KEYED),
        ("account", KEYED),
        ("row", "<i8"),
        ("version", "<i8"),
        ("batch", "<u4"),
        ("position", "<u4"),
        ("day", "<i4"),
        ("category", "u1"),
        ("kind", "u1"),
    ]
)
"""
What is remembered of one event that was sent. `digest` is that of what holds now; `batch` and
`position` are where the event stands that a correction must name; `kind` is a `Sent`.
"""
BATCHES_KEPT: Final = 64
"""Records of so many batches are kept in memory once they were looked at."""

_PLACE_BITS: Final = np.uint64(32)


class SentIndex:
    """Finds the newest record of each reference. Holds no file: `load` fetches records."""

    def __init__(self, load: Callable[[int], NDArray[np.void]]) -> None:
        """Fetch the records of a batch, by its number, with `load`."""
        self._load = load
        self._runs: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []
        self._kept: OrderedDict[int, NDArray[np.void]] = OrderedDict()

    def __repr__(self) -> str:
        return f"SentIndex({len(self)} events)"

    def __len__(self) -> int:
        return sum(len(prints) for prints, _ in self._runs)

    def add(self, batch: int, records: NDArray[np.void]) -> None:
        """Add the records of a batch; what is added later is newer."""
        places = (np.uint64(batch) << _PLACE_BITS) | np.arange(len(records), dtype=np.uint64)
        self._runs.append(_sorted(fingerprints(records["ref"]), places))
        # Each run is at least twice as long as the next: few runs to look into, few merges.
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            (older, older_places), (newer, newer_places) = self._runs[-2:]
            joined = np.concatenate((older, newer))
            self._runs[-2:] = [_sorted(joined, np.concatenate((older_places, newer_places)))]

    def find(self, refs: NDArray[np.void]) -> tuple[NDArray[np.bool_], NDArray[np.void]]:
        """Return which of `refs` were sent, and the newest record of each; zeros for the others."""
        prints = fingerprints(refs)
        found = np.zeros(len(refs), dtype=bool)
        places = np.zeros(len(refs), dtype=np.uint64)
        for run, run_places in self._runs:  # the oldest first: newer ones overwrite
            at = np.searchsorted(run, prints, side="right")
            hit = at > 0
            hit[hit] = run[at[hit] - 1] == prints[hit]
            places[hit] = run_places[at[hit] - 1]
            found |= hit
        records = np.zeros(len(refs), dtype=RECORD)
        if found.any():
            self._fill(records, found, places)
            other = found & (fingerprints_rest(records["ref"]) != fingerprints_rest(refs))
            found[other] = False  # two references with the same first eight bytes
            records[other] = np.zeros(1, dtype=RECORD)
        return found, records

    def records(self, batch: int) -> NDArray[np.void]:
        """Return the records of a batch."""
        kept = self._kept.get(batch)
        if kept is None:
            kept = self._kept[batch] = self._load(batch)
            if len(self._kept) > BATCHES_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(batch)
        return kept

    def _fill(
        self, records: NDArray[np.void], found: NDArray[np.bool_], places: NDArray[np.uint64]
    ) -> None:
        where = np.flatnonzero(found)
        batches = (places[where] >> _PLACE_BITS).astype(np.int64)
        positions = (places[where] & np.uint64(0xFFFF_FFFF)).astype(np.int64)
        for batch in np.unique(batches).tolist():
            own = batches == batch
            records[where[own]] = self.records(batch)[positions[own]]


def fingerprints(refs: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return the first eight bytes of each keyed reference as a number."""
    return np.ascontiguousarray(refs).view(np.uint64).reshape(-1, 2)[:, 0].copy()


def fingerprints_rest(refs: NDArray[np.void]) -> NDArray[np.uint64]:
    """Return the last eight bytes of each keyed reference as a number."""
    return np.ascontiguousarray(refs).view(np.uint64).reshape(-1, 2)[:, 1]


def _sorted(
    prints: NDArray[np.uint64], places: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    order = np.argsort(prints, kind="stable")
    return prints[order], places[order]
