"""
Records of everything that a member sent, sorted and sealed, looked up a column at a time.

A shelf is one NumPy record type under a 64-bit key, in parts (such as months) of `BUCKETS` sealed
blobs each. A lookup opens the buckets that its keys fall into, one after the other, so memory is
bounded by a bucket and by what was put and not yet written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_client.store import Database, Sealer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

SHELVES_VERSION: Final = 1
SHELVES_NAME: Final = "cleansing.sqlite"
STORAGE_NAME: Final = "cleansing"
"""Name of the storage key."""
BUCKETS: Final = 16
PENDING_MAX: Final = 2_000_000
"""Records of one shelf that are kept in memory before they are written."""
CACHE_BYTES_MAX: Final = 64 << 20
"""Of opened buckets of one shelf, which are kept for the chunks to come."""

_BUCKET_SHIFT: Final = np.uint64(60)
_SCHEMA: Final = """
CREATE TABLE shelf (
    name TEXT NOT NULL, part INTEGER NOT NULL, bucket INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (name, part, bucket)
) STRICT, WITHOUT ROWID
"""

Records = NDArray[np.void]
"""A structured array whose field `key` is a u64."""


class Shelves:
    """The file that all shelves of one member folder share."""

    def __init__(self, path: Path, key: bytes) -> None:
        """
        Open the file at `path`; `key` is the storage key called `STORAGE_NAME`.

        Raises:
            StoreError: it can't be opened.
        """
        self._database = Database(path, _SCHEMA, SHELVES_VERSION)
        self._sealer = Sealer(key)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def read(self, name: str, part: int, bucket: int) -> bytes:
        """
        Return a blob, empty where there is none.

        Raises:
            StoreError: it does not open with this keystore.
        """
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT sealed FROM shelf WHERE name = ? AND part = ? AND bucket = ?",
                (name, part, bucket),
            ).fetchone()
        return b"" if found is None else self._sealer.open(found[0], *_place(name, part, bucket))

    def parts(self, name: str) -> list[int]:
        """Return the parts that a shelf has, ascending."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT DISTINCT part FROM shelf WHERE name = ? ORDER BY part", (name,)
            ).fetchall()
        return [part for (part,) in found]

    def write(self, blobs: Iterator[tuple[str, int, int, bytes]]) -> None:
        """
        Put all of these blobs (name, part, bucket, content) in place at once.

        Raises:
            StoreError: the file can't be written; nothing was changed.
        """
        with self._database.transaction() as rows:
            for name, part, bucket, content in blobs:
                self._put(rows, name, part, bucket, content)

    def _put(
        self, rows: sqlite3.Connection, name: str, part: int, bucket: int, content: bytes
    ) -> None:
        sealed = self._sealer.seal(content, *_place(name, part, bucket))
        rows.execute(
            "INSERT OR REPLACE INTO shelf VALUES (?, ?, ?, ?)", (name, part, bucket, sealed)
        )


class Shelf:
    """One kind of record: what is written, and what is pending."""

    def __init__(self, shelves: Shelves, name: str, dtype: Any) -> None:
        """Keep records of `dtype`, whose first field is `key`, under `name`."""
        self._shelves = shelves
        self._name = name
        self._dtype = np.dtype(dtype)
        self._pending: dict[int, list[Records]] = {}
        self._parts = set(shelves.parts(name))
        self._cache: dict[tuple[int, int], Records] = {}

    @property
    def pending(self) -> int:
        """Records that are not written yet."""
        return sum(len(run) for runs in self._pending.values() for run in runs)

    def put(self, part: int, records: Records) -> None:
        """Add records; of one key the one that was put last holds."""
        if not len(records):
            return
        runs = self._pending.setdefault(part, [])
        runs.append(_newest(records))
        # Runs grow geometrically, so there are few of them and each record moves seldom.
        while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
            last = runs.pop()
            runs[-1] = _newest(_joined([runs[-1], last]))

    def find(self, part: int, keys: NDArray[np.uint64]) -> tuple[Records, NDArray[np.bool_]]:
        """
        Return the record of each key, and whether there is one.

        Raises:
            StoreError: a bucket does not open.
        """
        records = np.zeros(len(keys), self._dtype)
        found = np.zeros(len(keys), np.bool_)
        buckets = (keys >> _BUCKET_SHIFT).astype(np.int64)
        for bucket in np.unique(buckets).tolist() if part in self._parts else ():
            places = np.flatnonzero(buckets == bucket)
            _look(self._bucket(part, bucket), keys, places, records, found)
        for run in self._pending.get(part, ()):
            _look(run, keys, np.arange(len(keys)), records, found)
        return records, found

    def blobs(self) -> Iterator[tuple[str, int, int, bytes]]:
        """Yield the buckets that pending records change, as `Shelves.write` takes them."""
        self._cache.clear()  # another import of this folder may have written since
        for part, runs in sorted(self._pending.items()):
            fresh = _newest(_joined(runs))
            bounds = np.arange(1, BUCKETS, dtype=np.uint64) << _BUCKET_SHIFT
            for bucket, records in enumerate(
                np.split(fresh, np.searchsorted(fresh["key"], bounds))
            ):
                if len(records):
                    merged = _newest(_joined([self._bucket(part, bucket), records]))
                    yield self._name, part, bucket, merged.tobytes()

    def written(self) -> None:
        """Forget what is pending, since its blobs were written."""
        self._parts.update(self._pending)
        self._cache.clear()
        self._pending.clear()

    def _bucket(self, part: int, bucket: int) -> Records:
        cached = self._cache.get((part, bucket))
        if cached is not None:
            return cached
        if sum(each.nbytes for each in self._cache.values()) > CACHE_BYTES_MAX:
            self._cache.clear()
        opened = np.frombuffer(self._shelves.read(self._name, part, bucket), self._dtype)
        self._cache[part, bucket] = opened
        return opened


def _newest(records: Records) -> Records:
    """Return records sorted by key, of one key the last."""
    keys = np.ascontiguousarray(records["key"])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = keys[1:] != keys[:-1]
    return records.take(order if last.all() else order[last])


def _joined(runs: list[Records]) -> Records:
    """Return records one behind the other; as bytes, since NumPy copies a record field by field."""
    return np.concatenate([_as_bytes(each) for each in runs]).view(runs[0].dtype)


def _as_bytes(records: Records) -> Records:
    return records.view(f"V{records.dtype.itemsize}")


def _look(
    shelf: Records,
    keys: NDArray[np.uint64],
    places: NDArray[np.int64],
    records: Records,
    found: NDArray[np.bool_],
) -> None:
    """Fill in `records` and `found` for the keys at `places` that `shelf` has."""
    if not len(shelf):
        return
    wanted = keys[places]
    at = np.minimum(np.searchsorted(shelf["key"], wanted), len(shelf) - 1)
    there = shelf["key"][at] == wanted
    _as_bytes(records)[places[there]] = _as_bytes(shelf).take(at[there])
    found[places[there]] = True


def _place(name: str, part: int, bucket: int) -> tuple[str, ...]:
    return "shelf", name, str(part), str(bucket)
