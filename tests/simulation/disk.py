"""
The disk of one simulated replica, and a `Database` and high-water file on it.

Only the disk is simulated: `LedgerStore` is the real one. A synced write is kept, an unsynced one
may be lost when the power is cut, each write whole or not at all. A killed process loses nothing
that it wrote. A lying disk takes synced writes as unsynced ones.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import TYPE_CHECKING

from tradeline_node.database import Database
from tradeline_node.errors import StoreError
from tradeline_node.high_water import HighWater, Mark, _check

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Sequence

_MARKS_MAX = 4
"""Marks of which the power cut may leave any, as the file is never flushed."""


class CrashError(BaseException):
    """Ends a simulated process in the middle of what it does; no `except Exception` stops it."""


class Fault(enum.Enum):
    """What happens to the next write."""

    NONE = enum.auto()
    CRASH_BEFORE = enum.auto()
    CRASH_AFTER = enum.auto()
    ERROR_BEFORE = enum.auto()
    ERROR_AFTER = enum.auto()
    """The rows are there, and the writer is told that the write failed."""


class Disk:
    """Rows and high-water marks that outlive a process."""

    def __init__(self, rng: random.Random, *, lying: bool = False) -> None:
        self._rng = rng
        self.lying = lying
        self.fault = Fault.NONE
        self.file_chance = 0.0
        """That something happens to the next file."""
        self.erase()

    def erase(self) -> None:
        """Lose everything."""
        self.rows: dict[bytes, bytes] = {}
        self._unsynced: list[dict[bytes, bytes | None]] = []
        self._marks: list[Mark] = []
        self._sorted: list[bytes] | None = None
        self.lost = False
        """Whether a power cut took what had been synced."""

    def keys(self) -> list[bytes]:
        """Return all keys, ascending."""
        if self._sorted is None:
            self._sorted = sorted(self.rows)
        return self._sorted

    def write(self, changes: dict[bytes, bytes | None], *, synced: bool) -> None:
        """Put and delete (None) rows, all or nothing."""
        fault, self.fault = self.fault, Fault.NONE
        if fault is Fault.CRASH_BEFORE:
            raise CrashError
        if fault is Fault.ERROR_BEFORE:
            raise StoreError("simulated: the disk is full")
        self._unsynced.append({key: self.rows.get(key) for key in changes})
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        self._sorted = None
        if synced and not self.lying:
            self._unsynced.clear()
        if fault is Fault.CRASH_AFTER:
            raise CrashError
        if fault is Fault.ERROR_AFTER:
            raise StoreError("simulated: the flush failed")

    def file_fault(self) -> Fault:
        """Return what happens to the file that is written now."""
        if not self.file_chance or self._rng.random() >= self.file_chance:
            return Fault.NONE
        return self._rng.choice([each for each in Fault if each is not Fault.NONE])

    def fail(self, fault: Fault) -> None:
        """End the process that writes a file, or tell it that the write failed."""
        if fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            raise CrashError
        raise OSError("simulated: the disk is full")

    def mark(self) -> Mark | None:
        return self._marks[-1] if self._marks else None

    def put_mark(self, mark: Mark) -> None:
        self._marks = [*self._marks, mark][-_MARKS_MAX:]

    def cut_power(self) -> None:
        """Lose some of the unsynced writes, the newest first, and perhaps newer marks."""
        keep = self._rng.randint(0, len(self._unsynced))
        while len(self._unsynced) > keep:
            self.lost = self.lost or self.lying
            for key, value in self._unsynced.pop().items():
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = value
        self._unsynced.clear()
        self._sorted = None
        if self._marks:
            self._marks = self._marks[: self._rng.randint(1, len(self._marks))]


class SimDatabase(Database):
    """A `Database` whose rows are on a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self.path = Path("simulated")
        self._disk = disk
        self._closed = False

    def get(self, key: bytes) -> bytes | None:
        self._check()
        return self._disk.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check()
        return [self._disk.rows.get(key) for key in keys]

    def iterate(self, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        self._check()
        keys, rows = self._disk.keys(), self._disk.rows
        found = []
        for i in range(bisect_left(keys, max(prefix, start)), len(keys)):
            if not keys[i].startswith(prefix):
                break
            found.append((keys[i], rows[keys[i]]))
        return iter(found)

    def keys_under(self, prefixes: Iterable[bytes]) -> Iterator[list[bytes]]:
        for prefix in prefixes:
            yield [key for key, _ in self.iterate(prefix)]

    def last_key(self, prefix: bytes, until: bytes) -> bytes | None:
        self._check()
        keys = self._disk.keys()
        at = bisect_right(keys, until)
        return keys[at - 1] if at and keys[at - 1].startswith(prefix) else None

    def write(
        self,
        rows: Iterable[tuple[bytes, bytes]],
        blind: Iterable[bytes] = (),
        deleted: Iterable[bytes] = (),
        *,
        synced: bool = True,
    ) -> None:
        self._check()
        changes: dict[bytes, bytes | None] = dict.fromkeys(deleted)
        changes |= dict.fromkeys(blind, b"")
        self._disk.write(changes | dict(rows), synced=synced)

    def copy_to(self, path: Path) -> None:
        raise AssertionError(f"the simulation makes no backups, {path} neither")

    def flush(self) -> None:
        raise AssertionError("the simulation has no table files")

    def close(self) -> None:
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise StoreError("the database is closed")


class SimHighWater(HighWater):
    """A high-water file on a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def read(self) -> Mark | None:
        return self._disk.mark()

    def write(self, size: int, root: bytes) -> None:
        self._disk.put_mark(Mark(size, root, _check(size, root)))

    def close(self) -> None:
        pass
