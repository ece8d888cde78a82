"""What an outbox keeps on the disk: an SQLite file that only its own process opens."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tradeline_ledger.outcome import Outcome
from tradeline_node.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOST_MAX: Final = 100_000
"""Lost statements remembered; the oldest are forgotten first."""
EVIDENCE_EACH_MAX: Final = 16
"""Pairs kept of one member; what comes after says nothing new."""
_VERSION: Final = 1
_SCHEMA: Final = """
BEGIN;
CREATE TABLE ledger (id BLOB NOT NULL);
CREATE TABLE queued (
    hash BLOB PRIMARY KEY, member INTEGER NOT NULL, feed INTEGER NOT NULL, seq INTEGER NOT NULL,
    entry BLOB NOT NULL, UNIQUE (member, feed, seq)
);
CREATE TABLE lost (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, outcome INTEGER NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE evidence (
    member INTEGER NOT NULL, feed INTEGER NOT NULL, seq INTEGER NOT NULL,
    first BLOB NOT NULL, second BLOB NOT NULL, PRIMARY KEY (member, feed, seq)
);
PRAGMA user_version = 1;
COMMIT;
"""


class Place(NamedTuple):
    """One position of one feed."""

    member: int
    feed: int
    seq: int


class Queued(NamedTuple):
    """An entry on its way."""

    hash: bytes
    """Of its statement."""
    place: Place


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two statements that one key signed for one position: the key is in use twice."""

    member: int
    feed: int
    seq: int
    first: bytes
    """encode([statement bin, signature b64]) of the one that was known before."""
    second: bytes
    """The same of the other."""


class OutboxRows:
    """
    The tables of an outbox. Any thread may call it; every write is on the disk when it returns.

    Every method raises `StoreError` if the file can't be read or written; after a failed write
    nothing more is written until it is opened again.
    """

    def __init__(self, path: Path, ledger_id: bytes) -> None:
        """
        Open the file at `path`, made if it is missing, of that ledger.

        Raises:
            StoreError: it can't be opened, or is another ledger's.
        """
        self.failure: str | None = None
        """Why nothing more is written, None while all is well."""
        self._path = path
        self._lock = threading.RLock()
        try:
            self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("PRAGMA synchronous = FULL")
            (version,) = self._rows.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._rows.executescript(_SCHEMA)
                self._rows.execute("INSERT INTO ledger VALUES (?)", (ledger_id,))
            elif version != _VERSION:
                raise StoreError(f"outbox {path} has version {version}, expected {_VERSION}")
            row = self._rows.execute("SELECT id FROM ledger").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"outbox {path} can't be opened: {error}") from error
        if row is None or row[0] != ledger_id:
            self._rows.close()
            raise StoreError(f"outbox {path} is of another ledger; point the node at its own")

    def queue(self) -> list[Queued]:
        """Return what is on its way, by feed and position."""
        with self._reading():
            rows = self._rows.execute(
                "SELECT hash, member, feed, seq FROM queued ORDER BY member, feed, seq"
            )
            return [Queued(hash_, Place(*place)) for hash_, *place in rows]

    def size(self) -> tuple[int, int]:
        """Return how many entries are on their way, and their bytes."""
        row = self._one("SELECT count(*), coalesce(sum(length(entry)), 0) FROM queued")
        assert row is not None, "an aggregate has one row"
        return int(row[0]), int(row[1])

    def holds(self, hash_: bytes) -> bool:
        """Return whether the statement of that hash is queued; its entry is not read."""
        return self._blob("SELECT hash FROM queued WHERE hash = ?", hash_) is not None

    def entry(self, hash_: bytes) -> bytes | None:
        """Return the queued entry with the statement of that hash, None if there is none."""
        return self._blob("SELECT entry FROM queued WHERE hash = ?", hash_)

    def entry_at(self, place: Place) -> bytes | None:
        """Return the entry queued for that place, None if there is none."""
        query = "SELECT entry FROM queued WHERE member = ? AND feed = ? AND seq = ?"
        return self._blob(query, *place)

    def last_entry(self, member: int, feed: int) -> bytes | None:
        """Return the last entry queued of a feed, None if there is none."""
        query = "SELECT entry FROM queued WHERE member = ? AND feed = ? ORDER BY seq DESC LIMIT 1"
        return self._blob(query, member, feed)

    def lost(self, hash_: bytes) -> tuple[Outcome, str] | None:
        """Return why the statement of that hash is lost, None if it is not known to be."""
        row = self._one("SELECT outcome, detail FROM lost WHERE hash = ?", hash_)
        return None if row is None else (Outcome(row[0]), row[1])

    def evidence(self) -> list[Evidence]:
        """Return the evidence kept, by member, feed and position."""
        with self._reading():
            rows = self._rows.execute("SELECT * FROM evidence ORDER BY member, feed, seq")
            return [Evidence(*row) for row in rows]

    def add(self, queued: Queued, entry: bytes) -> None:
        """Queue `entry`, forgetting that it was lost."""
        with self._writing():
            self._rows.execute("DELETE FROM lost WHERE hash = ?", (queued.hash,))
            values = (queued.hash, *queued.place, entry)
            self._rows.execute("INSERT INTO queued VALUES (?, ?, ?, ?, ?)", values)

    def remove(self, hashes: list[bytes]) -> None:
        """Take entries off the queue, because they are placed."""
        with self._writing():
            self._rows.executemany(
                "DELETE FROM queued WHERE hash = ?", [(each,) for each in hashes]
            )

    def lose(self, hash_: bytes, outcome: Outcome, detail: str) -> None:
        """Take an entry off the queue that can't be placed any more, and remember why."""
        with self._writing():
            self._rows.execute("DELETE FROM queued WHERE hash = ?", (hash_,))
            self._rows.execute(
                "INSERT OR REPLACE INTO lost (hash, outcome, detail) VALUES (?, ?, ?)",
                (hash_, int(outcome), detail),
            )
            self._rows.execute(
                "DELETE FROM lost WHERE number <= (SELECT max(number) FROM lost) - ?", (LOST_MAX,)
            )

    def keep(self, evidence: Evidence) -> None:
        """Keep evidence: one pair for each position, and of each member so many."""
        row = (evidence.member, evidence.feed, evidence.seq, evidence.first, evidence.second)
        with self._writing():
            (count,) = self._rows.execute(
                "SELECT count(*) FROM evidence WHERE member = ?", (evidence.member,)
            ).fetchone()
            if count < EVIDENCE_EACH_MAX:
                self._rows.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.failure = self.failure or "closed"
            self._rows.close()

    def _blob(self, query: str, *values: object) -> bytes | None:
        row = self._one(query, *values)
        return None if row is None else bytes(row[0])

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._reading():
            row: tuple[Any, ...] | None = self._rows.execute(query, values).fetchone()
            return row

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"outbox {self._path} can't be read: {error}") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self.failure is not None:
                raise StoreError(f"outbox {self._path} takes nothing more: {self.failure}")
            try:
                self._rows.execute("BEGIN IMMEDIATE")
                yield
                self._rows.execute("COMMIT")
            except sqlite3.Error as error:
                # What a failed flush left behind is known only after a fresh look at the file.
                self.failure = f"{error}; make room or repair, then restart the node"
                with contextlib.suppress(sqlite3.Error):
                    self._rows.execute("ROLLBACK")
                raise StoreError(f"outbox {self._path} can't be written: {self.failure}") from error
