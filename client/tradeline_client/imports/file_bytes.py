"""
The bytes of a file that is imported: unpacked, within limits, and hashed as they are read.

A file is recognised as packed by how it begins, never by its name. The hash is that of the file as
it lies on the disk, packed or not: it says whether two reads saw the same file.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

from tradeline_client.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

READ_BYTES: Final = 1 << 20
"""Bytes that are read at a time."""
UNPACKED_BYTES_MAX: Final = 1 << 36
"""Bytes that a packed file may become: 64 GiB."""
UNPACKED_RATIO_MAX: Final = 250
"""Times its size that a packed file may become, once it is past `UNPACKED_FREE_BYTES`."""
UNPACKED_FREE_BYTES: Final = 1 << 26
"""Bytes to which any packed file may grow: 64 MiB."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_WORKBOOK = "[Content_Types].xml"


class FileBytes:
    """Reads one file from start to end."""

    __slots__ = ("_hash", "_path", "bytes_read", "file_bytes")

    def __init__(self, path: Path) -> None:
        """
        Take the file to read.

        Raises:
            SourceError: there is no such file.
        """
        try:
            self.file_bytes = path.stat().st_size
        except OSError as error:
            raise _unreadable(path, error) from error
        if not path.is_file():
            raise SourceError(f"{path} is no file")
        self._path = path
        self._hash = hashlib.sha256()
        self.bytes_read = 0
        """Bytes of the file, still packed, that were read so far."""

    @property
    def sha256(self) -> bytes:
        """Hash of the file; right once `blocks` is exhausted."""
        return self._hash.digest()

    def blocks(self) -> Iterator[bytes]:
        """
        Yield what the file holds, unpacked, in blocks of at most `READ_BYTES`.

        Raises:
            SourceError: it can't be read or unpacked, is cut off, or unpacks to more than is
                allowed. What came before was yielded.
        """
        self._hash = hashlib.sha256()
        self.bytes_read = 0
        try:
            with self._path.open("rb") as file:
                start = file.read(len(_ZIP))
                file.seek(0)
                if start.startswith(_GZIP):
                    yield from self._gunzip(file)
                elif start in (_ZIP, _EMPTY_ZIP):
                    yield from self._unzip(file)
                elif start == _OLD_EXCEL:
                    raise _workbook(self._path)
                else:
                    yield from self._raw(file)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def _raw(self, file: BinaryIO) -> Iterator[bytes]:
        while block := file.read(READ_BYTES):
            self._hash.update(block)
            self.bytes_read += len(block)
            yield block

    def _gunzip(self, file: BinaryIO) -> Iterator[bytes]:
        guard = self._guard()
        unpacker = zlib.decompressobj(wbits=31)
        for packed in self._raw(file):
            rest = packed
            while rest:
                if unpacker.eof:  # another member follows
                    unpacker = zlib.decompressobj(wbits=31)
                try:
                    block = unpacker.decompress(rest, READ_BYTES)
                except zlib.error as error:
                    raise SourceError(f"{self._path} does not unpack: {error}") from error
                guard(len(block))
                if block:
                    yield block
                rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        if not unpacker.eof:
            raise SourceError(
                f"{self._path} is cut off: the packed file ends in the middle; get it again"
            )

    def _unzip(self, file: BinaryIO) -> Iterator[bytes]:
        for _ in self._raw(file):  # what a zip file holds is listed at its end
            pass
        guard = self._guard()
        try:
            with zipfile.ZipFile(file) as archive:
                names = [each for each in archive.namelist() if not _is_beside(each)]
                if _WORKBOOK in names:
                    raise _workbook(self._path)
                if len(names) != 1:
                    raise SourceError(f"{self._path} holds {len(names)} files, expected one")
                with archive.open(names[0]) as member:
                    while block := member.read(READ_BYTES):
                        guard(len(block))
                        yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise SourceError(
                f"{self._path} does not unpack, it is cut off or damaged: {error}; get it again"
            ) from error
        except RuntimeError as error:  # what zipfile raises about a password
            raise SourceError(f"{self._path} is encrypted; unpack it first") from error

    def _guard(self) -> Callable[[int], None]:
        """Return a function that counts unpacked bytes and raises when they are too many."""
        most = max(UNPACKED_FREE_BYTES, UNPACKED_RATIO_MAX * self.file_bytes)
        most = min(most, UNPACKED_BYTES_MAX)
        unpacked = 0

        def count(more: int) -> None:
            nonlocal unpacked
            unpacked += more
            if unpacked > most:
                raise SourceError(
                    f"{self._path} has {self.file_bytes} bytes and unpacks to more than {most}, "
                    "which no file of events does; if it is right, unpack it first"
                )

        return count


def file_sha256(path: Path) -> bytes:
    """
    Return the hash of a file, as `FileBytes.sha256` has it.

    Raises:
        SourceError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_beside(name: str) -> bool:
    return name.endswith("/") or name.startswith("__MACOSX/")


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{path} can't be read: {error.strerror or error}")


def _workbook(path: Path) -> SourceError:
    return SourceError(f"{path} is a workbook of Excel; save its sheet as CSV (UTF-8)")
