"""What journal and vault share: one SQLite file that survives a crash, and sealed columns."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradeline_client.errors import StoreError
from tradeline_ledger.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_MS: Final = 10_000
"""How long one process waits for another one's transaction."""
NONCE_BYTES: Final = 12
_MODE: Final = 0o600


class Database:
    """
    One SQLite file, mode 0600, for any thread: a commit is on the disk when it returns.

    Deleted content is overwritten; `forget` empties the write-ahead log, too.
    """

    def __init__(self, path: Path, schema: str, version: int) -> None:
        """
        Open the file at `path`, made with `schema` where it is new.

        Raises:
            StoreError: it can't be opened, or is of another version.
        """
        self._path = path
        self._lock = RLock()
        try:
            # Made first, so that it is never there with wider permissions.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, _MODE))
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
            )
            for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                self._connection.execute(f"PRAGMA {setting}").fetchall()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path} can't be opened: {error}") from error
        with self.transaction() as rows:
            (found,) = rows.execute("PRAGMA user_version").fetchone()
            if found == 0:
                for statement in schema.split(";"):
                    rows.execute(statement)
                rows.execute(f"PRAGMA user_version={version}")
            elif found != version:
                raise StoreError(f"{path} has version {found}, this program reads {version}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Yield the connection within one transaction that writes.

        Raises:
            StoreError: the file can't be read or written; nothing was changed.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"{self._path}: {error}; nothing was changed") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """
        Yield the connection to read from.

        Raises:
            StoreError: the file can't be read.
        """
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise StoreError(f"{self._path} can't be read: {error}") from error

    def forget(self) -> None:
        """
        Leave no copy of what was deleted or replaced in the write-ahead log.

        Raises:
            StoreError: another process reads just now; call again.
        """
        with self.reading() as rows:
            busy, *_ = rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"{self._path} is being read by another process; try again")

    def copy_to(self, target: Path) -> None:
        """
        Write a consistent copy of the file to `target`, which must not exist.

        Raises:
            StoreError: it exists, or can't be written.
        """
        try:
            os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE))
            copy = sqlite3.connect(target, isolation_level=None)
            try:
                with self._lock:
                    self._connection.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")
            finally:
                copy.close()
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{target} can't be written: {error}") from error

    def check(self) -> None:
        """
        Accept the file if SQLite finds it whole.

        Raises:
            StoreError: it is damaged.
        """
        with self.reading() as rows:
            (verdict,) = rows.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"{self._path} is damaged: {verdict}; restore it from a backup")


class Sealer:
    """Encrypts columns of rows; each value is bound to its place. Shows nothing of its key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Take a 32-byte key of this one file."""
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "Sealer()"

    def seal(self, value: bytes, *place: bytes | str) -> bytes:
        """Return nonce and ciphertext of `value`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, encode(place))

    def open(self, sealed: bytes, *place: bytes | str) -> bytes:
        """
        Return the value that was sealed for this place.

        Raises:
            StoreError: it was altered, moved, or sealed under another keystore.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], encode(place))
        except (InvalidTag, ValueError) as error:
            raise StoreError(
                "a stored value does not open: it was altered, or belongs to another keystore"
            ) from error
