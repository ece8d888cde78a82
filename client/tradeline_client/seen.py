"""
The last checkpoint that this folder verified, which every later answer must be consistent with.

Several processes may use one folder: the file is exchanged by compare-and-swap under a lock, so
that none of them ever goes back to an older checkpoint.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import StoreError
from tradeline_client.files import write_private
from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.note import decode_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK_SUFFIX: Final = ".lock"


class Seen:
    """The file of the last verified checkpoint. Mode 0600: it tells what its owner knew when."""

    def __init__(self, path: Path, origin: str) -> None:
        """Keep the checkpoint of the log called `origin` in the file at `path`."""
        self._path = path
        self._origin = origin

    def note(self) -> bytes | None:
        """
        Return the signed note, None before the first.

        Raises:
            StoreError: the file can't be read.
        """
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._path} can't be read: {error.strerror}") from error

    def checkpoint(self) -> Checkpoint | None:
        """
        Return the checkpoint of the note, None before the first.

        It was verified before it was written; what matters here is only its size and root.

        Raises:
            StoreError: the file is damaged, or of another log.
        """
        note = self.note()
        return None if note is None else self.read(note)

    def advance(self, expected: bytes | None, note: bytes) -> bool:
        """
        Put `note` in place of `expected` and return True; False if another one stands there now.

        `note` was verified, and is consistent with `expected`.

        Raises:
            StoreError: the file can't be written.
        """
        try:
            with self._locked():
                if self.note() != expected:
                    return False
                write_private(self._path, note)
        except OSError as error:
            raise StoreError(f"{self._path} can't be written: {error.strerror}") from error
        return True

    def read(self, note: bytes) -> Checkpoint:
        """
        Return the checkpoint of a note that this file held.

        Raises:
            StoreError: the file is damaged, or of another log.
        """
        try:
            checkpoint = decode_checkpoint(decode_note(note).text)
        except LedgerError as error:
            raise StoreError(
                f"{self._path} is damaged: {error}; restore it from a backup, since without it a "
                "fork of the log would pass unnoticed"
            ) from error
        if checkpoint.origin != self._origin:
            raise StoreError(
                f"{self._path} is of log {checkpoint.origin!r}, expected {self._origin!r}; it "
                "belongs to another folder"
            )
        return checkpoint

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(self._path.name + _LOCK_SUFFIX)
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
