"""
How far a store had got, kept in a small file outside its database.

Written after each block without a flush of its own, so it is never ahead of what is on the disk,
and a killed process leaves it as it was. When the database then ends before it, acknowledged
entries are missing: the write-ahead log was damaged, or the database replaced by an old copy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import B32, U64, Codec, Record, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import digest
from tradeline_node.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "high-water"
_FILE_BYTES: Final = 96
_FILE_MODE: Final = 0o600


class Mark(Record, frozen=True):
    """The last size that was committed."""

    size: U64
    """Leaves."""
    root: B32
    check: B32
    """Hash of the fields above."""


_MARK: Final[Codec[Mark]] = Codec(Mark, "high-water mark", _FILE_BYTES)


class HighWater:
    """The file, open for writing."""

    def __init__(self, folder: Path) -> None:
        """
        Open the file in `folder`, made if it is missing.

        Raises:
            StoreError: it can't be opened.
        """
        self._path = folder / FILE_NAME
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._handle = os.open(self._path, flags, _FILE_MODE)
        except OSError as error:
            raise StoreError(f"{self._path} can't be opened: {error.strerror}") from error

    def read(self) -> Mark | None:
        """Return the mark, None if there is none that can be read."""
        written = os.pread(self._handle, _FILE_BYTES, 0)
        try:
            mark = _MARK.decode(written[1 : 1 + written[0]] if written else b"")
        except MalformedError:
            return None
        return mark if mark.check == _check(mark.size, mark.root) else None

    def write(self, size: int, root: bytes) -> None:
        """
        Put the mark at `size`.

        Raises:
            StoreError: it can't be written.
        """
        encoded = encode(Mark(size, root, _check(size, root)))
        assert len(encoded) < _FILE_BYTES, len(encoded)
        try:
            framed = bytes([len(encoded)]) + encoded
            os.pwrite(self._handle, framed.ljust(_FILE_BYTES, b"\0"), 0)
        except OSError as error:
            raise StoreError(f"{self._path} can't be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def _check(size: int, root: bytes) -> bytes:
    return digest("high-water", encode((size, root)))
