"""
Index of the attachments in custody: whose they are, until when they are kept, and where they stand.

SQLite in WAL mode, flushed at every commit but those that only repeat what the log or the files
say. It holds no ciphertext, and it can be made again from the attachment files and the log: a
broken one is thrown away when it is opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

TIME_MS_MAX: Final = 2**63 - 1
"""Largest time that a row holds."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS attachments (
    batch_hash BLOB PRIMARY KEY,
    member INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    log_index INTEGER,
    due_month INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unordered ON attachments (expires_ms) WHERE log_index IS NULL;
CREATE INDEX IF NOT EXISTS ordered ON attachments (log_index) WHERE log_index IS NOT NULL;
CREATE INDEX IF NOT EXISTS due ON attachments (due_month)
    WHERE log_index IS NOT NULL AND due_month IS NOT NULL;
CREATE TABLE IF NOT EXISTS followed (size INTEGER NOT NULL);
"""
_COLUMNS: Final = "batch_hash, member, bytes, expires_ms, log_index, due_month"


class Held(NamedTuple):
    """One attachment in custody."""

    batch_hash: bytes
    member: int
    bytes: int
    """Of its file."""
    expires_ms: int
    """Of the latest receipt."""
    log_index: int | None
    """None until its submission is in the log."""
    due_month: int | None
    """Nothing of it goes before this month is past; 0: to be looked at; None: nothing is left."""


class CustodyIndex:
    """The index. It has no lock of its own: the store calls it from one thread at a time."""

    __slots__ = ("_connection", "rebuilt")

    def __init__(self, path: Path) -> None:
        """
        Open the index at `path`, an empty one if there is none or it is broken.

        Raises:
            sqlite3.Error: it can't be made either.
            OSError: a broken one can't be removed.
        """
        self.rebuilt = False
        """Whether a broken index was thrown away."""
        try:
            self._connection = _connect(path)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._connection = _connect(path)
            self.rebuilt = True

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @contextmanager
    def transaction(self, *, flushed: bool = True) -> Iterator[Self]:
        """Commit everything inside at once; `flushed` False where losing it loses nothing."""
        execute = self._connection.execute
        if not flushed:
            execute("PRAGMA synchronous = NORMAL")
        try:
            execute("BEGIN IMMEDIATE")
            try:
                yield self
                execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    execute("ROLLBACK")
                raise
        finally:
            if not flushed:
                execute("PRAGMA synchronous = FULL")

    def find(self, batch_hash: bytes) -> Held | None:
        """Return the row of one attachment."""
        return self._one("WHERE batch_hash = ?", batch_hash)

    def at(self, log_index: int) -> Held | None:
        """Return the row of the attachment of the submission at `log_index`."""
        return self._one("WHERE log_index = ?", log_index)

    def hashes(self) -> set[bytes]:
        """Return the batch hashes of all rows."""
        return {row[0] for row in self._connection.execute("SELECT batch_hash FROM attachments")}

    def add(self, row: Held) -> None:
        """Add a row."""
        self._connection.execute("INSERT INTO attachments VALUES (?, ?, ?, ?, ?, ?)", row)

    def remove(self, batch_hash: bytes) -> None:
        """Remove a row."""
        self._connection.execute("DELETE FROM attachments WHERE batch_hash = ?", (batch_hash,))

    def extend(self, batch_hash: bytes, expires_ms: int) -> None:
        """Keep an attachment until `expires_ms` at least."""
        self._connection.execute(
            "UPDATE attachments SET expires_ms = max(expires_ms, ?) WHERE batch_hash = ?",
            (expires_ms, batch_hash),
        )

    def place(self, batch_hash: bytes, log_index: int) -> None:
        """Say where the submission of an attachment stands; without effect if it is not held."""
        self._connection.execute(
            "UPDATE attachments SET log_index = ? WHERE batch_hash = ?", (log_index, batch_hash)
        )

    def touch(self, log_index: int) -> None:
        """Have the next sweep look at the attachment of the submission at `log_index`."""
        self._connection.execute(
            "UPDATE attachments SET due_month = 0 WHERE log_index = ?", (log_index,)
        )

    def settle(self, batch_hash: bytes, due_month: int | None, bytes_: int | None) -> None:
        """Say what a sweep left of an attachment; `bytes_` None if its file is as it was."""
        self._connection.execute(
            "UPDATE attachments SET due_month = ?, bytes = coalesce(?, bytes) WHERE batch_hash = ?",
            (due_month, bytes_, batch_hash),
        )

    def unordered(self) -> list[bytes]:
        """Return the batch hashes whose submission is not in the log, as far as is known here."""
        query = "SELECT batch_hash FROM attachments WHERE log_index IS NULL"
        return [row[0] for row in self._connection.execute(query)]

    def expired(self, time_ms: int) -> list[Held]:
        """Return the attachments that are not ordered and whose receipts ended before `time_ms`."""
        return self._all("WHERE log_index IS NULL AND expires_ms < ?", min(time_ms, TIME_MS_MAX))

    def due(self, month: int, count: int) -> list[Held]:
        """Return up to `count` ordered attachments of which something may go in `month`."""
        return self._all(
            "WHERE log_index IS NOT NULL AND due_month IS NOT NULL AND due_month < ?"
            " ORDER BY due_month LIMIT ?",
            month,
            count,
        )

    def unordered_bytes(self) -> dict[int, int]:
        """Return the bytes of each member's attachments that are not ordered."""
        query = "SELECT member, sum(bytes) FROM attachments WHERE log_index IS NULL GROUP BY member"
        return dict(self._connection.execute(query).fetchall())

    def totals(self) -> tuple[int, int]:
        """Return how many attachments there are, and the bytes of their files."""
        query = "SELECT count(*), coalesce(sum(bytes), 0) FROM attachments"
        count, bytes_ = self._connection.execute(query).fetchone()
        return int(count), int(bytes_)

    def followed(self) -> int:
        """Return the log size up to which submissions and marks were looked at."""
        row = self._connection.execute("SELECT size FROM followed").fetchone()
        return int(row[0]) if row else 0

    def follow(self, size: int) -> None:
        """Say that submissions and marks below log size `size` were looked at."""
        self._connection.execute("DELETE FROM followed")
        self._connection.execute("INSERT INTO followed VALUES (?)", (size,))

    def _one(self, where: str, *values: object) -> Held | None:
        return next(iter(self._all(where, *values)), None)

    def _all(self, where: str, *values: object) -> list[Held]:
        query = f"SELECT {_COLUMNS} FROM attachments {where}"  # noqa: S608 - our own texts
        return [Held(*row) for row in self._connection.execute(query, values)]


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _check(connection)
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Make the tables if there is none, and raise if they are not ours or not sound."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"index is broken: {verdict}")
    connection.executescript(_SCHEMA)
    connection.execute(f"SELECT {_COLUMNS} FROM attachments LIMIT 1").fetchone()  # noqa: S608 - our own text
