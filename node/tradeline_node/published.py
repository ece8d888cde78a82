"""
What a node has signed as a validator, kept so that it never signs two roots of one size.

A row is durable before its signature leaves the node. Beside it stand the registry steps that are
served for ever, and evidence against whoever signed another root.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradeline_node.errors import PublishError, StoreError

EVIDENCE_EACH_MAX: Final = 16
"""Rows kept of one peer; what comes after says nothing new."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS own (
    size INTEGER PRIMARY KEY, root BLOB NOT NULL, time_s INTEGER NOT NULL,
    note BLOB NOT NULL, kept INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS step (height INTEGER PRIMARY KEY, step BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS evidence (
    peer INTEGER NOT NULL, size INTEGER NOT NULL, own_root BLOB NOT NULL, note BLOB NOT NULL,
    time_s INTEGER NOT NULL, PRIMARY KEY (peer, size, note)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class OwnLines:
    """A checkpoint that this node signed and cosigned."""

    size: int
    root: bytes
    time_s: int
    """Of the cosignature."""
    note: bytes
    """The checkpoint's text with this node's two lines."""
    kept: bool = False
    """Never removed, since a change of the registry ends at it."""


@dataclass(frozen=True, slots=True)
class PeerEvidence:
    """A signature under a root that is not the one computed here, as a peer showed it."""

    peer: int
    size: int
    own_root: bytes
    note: bytes
    """As the peer served it; a validator's signature in it is verified."""
    time_s: int


class PublishedStore:
    """One SQLite file, synced at each write; for any thread."""

    def __init__(self, path: Path) -> None:
        """
        Open or make the file at `path`.

        Raises:
            StoreError: it can't be opened.
        """
        self._lock = threading.Lock()
        self._path = path
        try:
            self._db = sqlite3.connect(path, check_same_thread=False)
            path.chmod(0o600)
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{path} can't be opened: {error}; restore it from its backup. Never start "
                "without it, or the node may sign another root of a size that it has signed"
            ) from error

    def add(self, lines: Sequence[OwnLines], keep_newest: int) -> None:
        """
        Make `lines` durable, ascending by size; of rows not `kept`, the newest stay.

        Raises:
            PublishError: a size was signed before; nothing of `lines` is stored.
            StoreError: the file failed.
        """
        rows = [(each.size, each.root, each.time_s, each.note, each.kept) for each in lines]
        try:
            with self._lock, self._db:
                self._db.executemany("INSERT INTO own VALUES (?, ?, ?, ?, ?)", rows)
                self._db.execute(
                    "DELETE FROM own WHERE NOT kept AND size < (SELECT min(size) FROM "
                    "(SELECT size FROM own ORDER BY size DESC LIMIT ?))",
                    (keep_newest,),
                )
        except sqlite3.IntegrityError as error:
            raise PublishError(
                f"size {rows[0][0]} to {rows[-1][0]} was signed before; another process may use "
                f"{self._path}: run one node a folder"
            ) from error
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} failed: {error}; nothing was signed") from error

    def own(self, size: int) -> OwnLines | None:
        """Return what was signed at `size`, None if nothing."""
        return self._own("WHERE size = ?", (size,))

    def newest(self) -> OwnLines | None:
        """Return the largest checkpoint signed, None before the first."""
        return self._own("ORDER BY size DESC LIMIT 1", ())

    def kept_after(self, size: int) -> list[OwnLines]:
        """Return what was signed past `size` and is never removed, ascending."""
        with self._lock:
            rows = self._db.execute(
                "SELECT size, root, time_s, note FROM own WHERE kept AND size > ? ORDER BY size",
                (size,),
            ).fetchall()
        return [OwnLines(size, root, time_s, note, kept=True) for size, root, time_s, note in rows]

    def keep(self, size: int) -> None:
        """Never remove what was signed at `size`."""
        with self._lock, self._db:
            self._db.execute("UPDATE own SET kept = 1 WHERE size = ?", (size,))

    def add_step(self, height: int, step: bytes) -> None:
        """Keep the registry step of the block at `height`; the first one stays."""
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO step VALUES (?, ?)", (height, step))

    def steps(self, from_height: int, count: int) -> list[tuple[int, bytes]]:
        """Return up to `count` steps of blocks from `from_height` on, as (height, step)."""
        with self._lock:
            return list(
                self._db.execute(
                    "SELECT height, step FROM step WHERE height >= ? ORDER BY height LIMIT ?",
                    (from_height, count),
                )
            )

    def add_evidence(self, evidence: PeerEvidence) -> None:
        """Keep evidence against a peer; the same only once."""
        row = (evidence.peer, evidence.size, evidence.own_root, evidence.note, evidence.time_s)
        with self._lock, self._db:
            (count,) = self._db.execute(
                "SELECT count(*) FROM evidence WHERE peer = ?", (evidence.peer,)
            ).fetchone()
            if count < EVIDENCE_EACH_MAX:
                self._db.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?)", row)

    def evidence(self) -> list[PeerEvidence]:
        """Return all evidence, by peer and size."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM evidence ORDER BY peer, size").fetchall()
        return [PeerEvidence(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _own(self, where: str, values: tuple[int, ...]) -> OwnLines | None:
        query = f"SELECT size, root, time_s, note, kept FROM own {where}"  # noqa: S608  our words
        with self._lock:
            row = self._db.execute(query, values).fetchone()
        return OwnLines(row[0], row[1], row[2], row[3], bool(row[4])) if row else None


def read_own(path: Path) -> list[tuple[int, bytes]]:
    """
    Return (size, root) of all that was signed, ascending, and change nothing.

    Raises:
        sqlite3.Error: the file can't be read.
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return list(db.execute("SELECT size, root FROM own ORDER BY size"))
    finally:
        db.close()


def read_steps(path: Path) -> dict[int, bytes]:
    """
    Return the registry steps that are kept, by the height of their block, and change nothing.

    Raises:
        StoreError: the file can't be read.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return dict(db.execute("SELECT height, step FROM step"))
        finally:
            db.close()
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} can't be read: {error}; start the node, which makes it"
        ) from error
