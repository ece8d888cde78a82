"""
Amounts against all others of their field, product, currency and month (docs/cleansing.md, 3).

Sizes are counted in `STEPS` bins an octave, which is exact: the bin of an amount is its highest
bits. So are ratios, as the difference of two bins. Median and median absolute deviation (MAD) of
a month are taken over the months before it and the part of the file that was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_column import integers
from tradeline_client.imports.cleansing_digest import mixed
from tradeline_client.imports.cleansing_finding import OUTLIER, Finding, found
from tradeline_ledger.field import Amount
from tradeline_ledger.schemas import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.cleansing_history import History
    from tradeline_client.imports.cleansing_keys import Keys
    from tradeline_client.imports.cleansing_shelf import Shelves
    from tradeline_client.imports.columns import EventColumns

STEPS: Final = 8
"""Bins an octave."""
MONTHS: Final = 3
"""Months before its own that an amount is compared with."""
COUNT_MIN: Final = 200
"""Amounts that there must be before any is called an outlier."""
SPREADS: Final = 8
"""An outlier is more than so many MADs above the median, and"""
OUTLIER_BINS: Final = 5 * STEPS
"""more than five octaves, a factor of 32, above it."""
SHIFT_BINS: Final = 3 * STEPS
"""A file is shifted if the median of a field moves by three octaves, a factor of 8."""

_OCTAVES: Final = 54
_BINS: Final = 2 * _OCTAVES * STEPS
_SHELF: Final = "spread"
_RECORD: Final = np.dtype([("key", "<u8"), ("counts", "<u4", (_BINS,))])
_BALANCE: Final = "statement_balance_minor"
_RATIO: Final = " / "
_RATIOS: Final = (
    (_BALANCE, "limit_minor"),
    (_BALANCE, "minimum_due_minor"),
    (_BALANCE, "scheduled_due_minor"),
)
"""What statements are measured by besides sizes."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A field whose amounts have all moved: most likely its unit changed."""

    field: str
    octaves: int
    """Rounded; below 0 for smaller amounts."""
    count: int
    """Amounts of the file that say so."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Sizes and ratios of events, and which of them are measured together."""

    month: NDArray[np.int64]
    owner: NDArray[np.uint64]
    """Of type, product and currency."""
    bins: dict[str, NDArray[np.int64]]
    """By measure, one for each event, -1 where there is nothing to take."""
    explained: NDArray[np.bool_]
    """Whether the account's own history explains the event."""

    def select(self, mask: NDArray[np.bool_]) -> Measured:
        """Return what was measured of the events where `mask` is true."""
        bins = {name: bins[mask] for name, bins in self.bins.items()}
        return Measured(self.month[mask], self.owner[mask], bins, self.explained[mask])

    def groups(self) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
        """Return month and owner of each group, and the group of each event."""
        mark = mixed(self.owner, self.month.astype(np.uint64))
        _, first, group = np.unique(mark, return_index=True, return_inverse=True)
        return [(int(self.month[at]), int(self.owner[at])) for at in first], group

    def counted(self, name: str, group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
        """Return how many events of each group are in which bin."""
        taken = self.bins[name] >= 0
        places = group[taken] * _BINS + self.bins[name][taken]
        return np.bincount(places, minlength=groups * _BINS).reshape(groups, _BINS)


class Spreads:
    """Counts sizes by month, and finds what is far above all others."""

    def __init__(self, shelves: Shelves) -> None:
        """Keep what is known in `shelves`."""
        self._shelves = shelves
        self._stored: dict[int, dict[int, NDArray[np.int64]]] = {}
        self._fresh: dict[int, dict[int, NDArray[np.int64]]] = {}

    def check(self, measured: Measured) -> list[Finding]:
        """Return the amounts that are outliers and that no history explains."""
        groups, group = measured.groups()
        findings = []
        for number, (name, bins) in enumerate(measured.bins.items()):
            counted = measured.counted(name, group, len(groups))
            bounds = np.full(len(groups), _BINS, np.int64)
            for place, (month, owner) in enumerate(groups):
                if not counted[place].any():
                    continue
                counts = self._counts(month, _key(owner, number)) + counted[place]
                if counts.sum() >= COUNT_MIN:
                    middle, spread = _robust(counts)
                    bounds[place] = middle + max(OUTLIER_BINS, SPREADS * spread)
            findings += found(OUTLIER, (bins > bounds[group]) & ~measured.explained, name)
        return findings

    def learn(self, measured: Measured) -> None:
        """Count the amounts of events as sent."""
        groups, group = measured.groups()
        for number, name in enumerate(measured.bins):
            counted = measured.counted(name, group, len(groups))
            for place, (month, owner) in enumerate(groups):
                if counted[place].any():
                    fresh, key = self._fresh.setdefault(month, {}), _key(owner, number)
                    fresh[key] = fresh.get(key, 0) + counted[place]

    def shifts(self, measured: Measured) -> list[Shift]:
        """Return the fields whose median is far from that of the months before."""
        groups, group = measured.groups()
        said: dict[str, Shift] = {}
        for number, name in enumerate(measured.bins):
            if _RATIO in name:
                continue
            counted = measured.counted(name, group, len(groups))
            for place, (month, owner) in enumerate(groups):
                own = int(counted[place].sum())
                if own < COUNT_MIN:
                    continue
                before = self._before(month, _key(owner, number))
                if before.sum() < COUNT_MIN:
                    continue
                moved = _robust(counted[place])[0] - _robust(before)[0]
                if abs(moved) >= SHIFT_BINS:
                    said.setdefault(name, Shift(name, round(moved / STEPS), own))
        return list(said.values())

    def blobs(self) -> Iterator[tuple[str, int, int, bytes]]:
        """Yield the months that were added to, as `Shelves.write` takes them."""
        for month, fresh in sorted(self._fresh.items()):
            known = dict(self._month(month))
            for key, counts in fresh.items():
                known[key] = known.get(key, 0) + counts
            records = np.zeros(len(known), _RECORD)
            for place, (key, counts) in enumerate(sorted(known.items())):
                records[place] = (key, counts)
            yield _SHELF, month, 0, records.tobytes()

    def written(self) -> None:
        """Forget what was added, since it was written."""
        for month in self._fresh:
            self._stored.pop(month, None)
        self._fresh.clear()

    def _counts(self, month: int, key: int) -> NDArray[np.int64]:
        counts = self._before(month, key)
        for months_known in (self._month(month), self._fresh.get(month, {})):
            counts = counts + months_known.get(key, 0)
        return counts

    def _before(self, month: int, key: int) -> NDArray[np.int64]:
        counts = np.zeros(_BINS, np.int64)
        for earlier in range(month - MONTHS, month):
            for known in (self._month(earlier), self._fresh.get(earlier, {})):
                counts += known.get(key, 0)
        return counts

    def _month(self, month: int) -> dict[int, NDArray[np.int64]]:
        if month not in self._stored:
            records = np.frombuffer(self._shelves.read(_SHELF, month, 0), _RECORD)
            self._stored[month] = {
                int(record["key"]): record["counts"].astype(np.int64) for record in records
            }
        return self._stored[month]


def size_bins(amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of each amount by its size, -1 for 0."""
    # Amounts are below 2**53, so the float is exact, and so are its mantissa and exponent.
    mantissa, exponent = np.frexp(np.abs(amounts).astype(np.float64))
    bins = (exponent - 1) * STEPS + np.floor((mantissa - 0.5) * (2 * STEPS)).astype(np.int64)
    return np.where(amounts == 0, -1, bins)


def measure(columns: EventColumns, keys: Keys, history: History) -> Measured:
    """Return sizes and ratios of some events."""
    currency = np.zeros(len(columns), np.uint64)
    if "currency" in columns.values.schema.names:
        codes = columns.values.column("currency").dictionary_encode()
        numbers = [int.from_bytes(each.encode(), "big") for each in codes.dictionary.to_pylist()]
        known = np.array([*numbers, 0], np.uint64)
        currency = known[codes.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)]
    own = integers(columns, "product", 0)
    product = np.where(own > 0, own, history.product).astype(np.uint64)
    kind = np.full(len(columns), columns.schema.number, np.uint64)
    bins = {
        item.name: size_bins(integers(columns, item.name, 0))
        for item in columns.schema.fields
        if isinstance(item.kind, Amount)
    }
    if columns.schema.number == STATEMENT.number:
        sizes = {**bins, "limit_minor": size_bins(history.limit)}
        for over, under in _RATIOS:
            ratio = sizes[over] - sizes[under] + _OCTAVES * STEPS
            taken = (sizes[over] >= 0) & (sizes[under] >= 0)
            bins[over + _RATIO + under] = np.where(taken, ratio, -1)
    return Measured(keys.month, mixed(kind, currency, product), bins, history.explained)


def _key(owner: int, number: int) -> int:
    """Return the key of one measure of one owner."""
    return int(mixed(np.array([owner], np.uint64), np.array([number], np.uint64))[0])


def _robust(counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return median and median absolute deviation of counted bins."""
    half = (int(counts.sum()) + 1) // 2
    middle = int(np.searchsorted(np.cumsum(counts), half))
    away = np.abs(np.arange(len(counts)) - middle)
    by_distance = np.bincount(away, weights=counts)
    spread = int(np.searchsorted(np.cumsum(by_distance), half))
    return middle, spread
