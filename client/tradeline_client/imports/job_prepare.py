"""
What a chunk's events become under the member's keys: references, check values, tags, bytes.

Each event takes two keyed hashes of its own, for its reference and its check value; a tag or an
account's reference is computed once for all events that share it. All the rest is done for a
column at a time. Nothing here looks at what was sent before, so that chunks can be prepared in a
process of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.encoding import encode_events
from tradeline_ledger.calendar import MONTHS_PER_YEAR
from tradeline_ledger.mac import SHORT_MAC_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tradeline_client.imports.columns import EventColumns, MappedChunk
    from tradeline_client.imports.fault import RowFault
    from tradeline_client.keystore import Keystore

ACCOUNTS_MAX: Final = 1 << 18
"""Keyed references of accounts that are remembered before it starts anew, about 40 MiB."""
NO_ACCOUNT: Final = bytes(SHORT_MAC_BYTES)

_MONTH_OF_EPOCH: Final = 1970 * MONTHS_PER_YEAR


@dataclass(frozen=True, slots=True)
class PreparedEvents:
    """Events of one chunk in the order of its rows, column by column. All columns are as long."""

    rows: NDArray[np.int64]
    """0-based row of the file, ascending."""
    refs: NDArray[np.void]
    """Keyed references, 16 bytes each."""
    accounts: NDArray[np.void]
    """Keyed references of accounts, zeros where there is none."""
    tags: NDArray[np.void]
    """16 bytes each."""
    checks: NDArray[np.void]
    """What ties each event to its subject, 16 bytes each."""
    digests: NDArray[np.void]
    """First 16 bytes of SHA-256 of the encoded event: alike if and only if the events are."""
    versions: NDArray[np.int64]
    """Which report of its reference it is; 0 where the member doesn't number them."""
    days: NDArray[np.int32]
    """Of `occurred_on`, from 1970-01-01."""
    categories: NDArray[np.uint8]
    encoded: list[bytes]
    """As `encode_event` writes them."""

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"PreparedEvents({len(self)}, not shown)"

    def take(self, places: NDArray[np.int64]) -> PreparedEvents:
        """Return the events at `places`, in that order."""
        encoded = self.encoded
        taken = {name: getattr(self, name)[places] for name in _ARRAYS}
        return PreparedEvents(**taken, encoded=[encoded[place] for place in places.tolist()])

    def months(self) -> NDArray[np.int64]:
        """Return the month of each event, as `year * 12 + month - 1`."""
        return months_of(self.days)


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """A chunk as it is sent on: its events under keys, and what is wrong with its other rows."""

    first_row: int
    row_count: int
    events: PreparedEvents | None
    """None where the chunk was only passed over."""
    faults: tuple[RowFault, ...]
    names: tuple[str, ...]
    originals: Mapping[int, tuple[str, ...]]

    def __repr__(self) -> str:
        return f"PreparedChunk(rows {self.first_row}+{self.row_count})"


class Preparer:
    """Prepares chunks under one member's keys. Remembers tags and accounts between them."""

    def __init__(self, keystore: Keystore) -> None:
        """Use the keys of `keystore`."""
        self._references = keystore.references
        self._filer = keystore.filer()
        self._accounts: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"Preparer(member={self._filer.member})"

    def prepare(self, chunk: MappedChunk) -> PreparedChunk:
        """Return the events of a chunk under keys, ordered by row."""
        parts = [self._prepare(each) for each in chunk.events if len(each)]
        events = _in_row_order(parts) if len(parts) != 1 else parts[0]
        return PreparedChunk(
            chunk.first_row, chunk.row_count, events, chunk.faults, chunk.names, chunk.originals
        )

    def _prepare(self, columns: EventColumns) -> PreparedEvents:
        count = len(columns)
        days = pc.cast(columns.occurred_on, pa.date32()).to_numpy(zero_copy_only=False)
        days = days.astype("datetime64[D]").astype(np.int32)
        category = columns.schema.category
        assert category is not None, f"{columns.schema.title} is no type of a column"
        refs = self._references.refs(columns.ref.to_pylist())
        accounts = None
        if columns.account is not None:
            accounts = self._account_refs(columns.account)
        checks, tags = self._checks_and_tags(columns, category, months_of(days), refs)
        joined = None if accounts is None else b"".join(accounts)
        encoded = encode_events(columns, b"".join(refs), joined, b"".join(checks)).to_pylist()
        sha256, width = hashlib.sha256, SHORT_MAC_BYTES
        version = columns.version
        return PreparedEvents(
            rows=columns.rows,
            refs=_column(refs),
            accounts=_column(accounts if accounts is not None else [NO_ACCOUNT] * count),
            tags=_column(tags),
            checks=_column(checks),
            digests=_column([sha256(each).digest()[:width] for each in encoded]),
            versions=np.zeros(count, dtype=np.int64) if version is None else version,
            days=days,
            categories=np.full(count, category, dtype=np.uint8),
            encoded=encoded,
        )

    def _account_refs(self, accounts: pa.StringArray) -> list[bytes]:
        known = self._accounts
        if len(known) > ACCOUNTS_MAX:
            known.clear()
        texts = accounts.to_pylist()
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, self._references.accounts(new), strict=True))
        return [known[text] for text in texts]

    def _checks_and_tags(
        self,
        columns: EventColumns,
        category: int,
        months: NDArray[np.int64],
        refs: list[bytes],
    ) -> tuple[list[bytes], list[bytes]]:
        """Return check value and tag of each event; each subject-year is looked up once."""
        years = months // MONTHS_PER_YEAR
        first_year = int(years.min())
        span = int(years.max()) - first_year + 1
        places = columns.subject.astype(np.int64) * span + (years - first_year)
        distinct, inverse = np.unique(places, return_inverse=True)
        subjects, filer = columns.subjects, self._filer
        where = [
            (subjects[place // span], first_year + place % span) for place in distinct.tolist()
        ]
        keys = [filer.year_key(subject, year) for subject, year in where]
        by_place = filer.tags(keys, category)
        inverse_list = inverse.tolist()
        checks = filer.checks([keys[place] for place in inverse_list], refs)
        return checks, [by_place[place] for place in inverse_list]


def months_of(days: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the month of each day from 1970-01-01, as `year * 12 + month - 1`."""
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months + _MONTH_OF_EPOCH


def _in_row_order(parts: list[PreparedEvents]) -> PreparedEvents:
    """Return the events of several types as one, those of one row in the order of the types."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        if parts
        else np.empty(0, dtype=_ARRAYS[name])
        for name in _ARRAYS
    }
    joined = PreparedEvents(
        **columns, encoded=list(chain.from_iterable(part.encoded for part in parts))
    )
    return joined.take(np.argsort(joined.rows, kind="stable"))


def _column(values: list[bytes]) -> NDArray[np.void]:
    return np.frombuffer(b"".join(values), dtype=KEYED)


KEYED: Final = np.dtype(f"V{SHORT_MAC_BYTES}")
"""Of a column of keyed references, tags or digests."""
_ARRAYS: Final[dict[str, np.dtype[np.generic]]] = {
    "rows": np.dtype(np.int64),
    "refs": KEYED,
    "accounts": KEYED,
    "tags": KEYED,
    "checks": KEYED,
    "digests": KEYED,
    "versions": np.dtype(np.int64),
    "days": np.dtype(np.int32),
    "categories": np.dtype(np.uint8),
}
