"""
The frames of RocksDB's log files (`MANIFEST-…` and `….log`), looked at before it opens them.

One flipped bit makes a frame's type one that only recycled files have, and RocksDB 9.8 then reads
for ever. We recycle no files, so such a frame is damage. Checksums are left to RocksDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_node.errors import StoreDamagedError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_BLOCK_BYTES: Final = 32 * 1024
_HEADER_BYTES: Final = 7
"""Checksum u32, length u16, type u8, little-endian."""
_LENGTH_AT: Final = 4
_TYPE_AT: Final = 6
_ZERO: Final = 0
"""Space that was reserved and never written."""
_RECYCLED: Final = range(5, 9)
"""Types of frames in recycled files."""


def check_frames(folder: Path) -> None:
    """
    Accept the log files in `folder` if no frame is of a recycled file.

    Raises:
        StoreDamagedError: one is; RocksDB must not open the folder.
        OSError: a file can't be read.
    """
    for path in sorted([*folder.glob("MANIFEST-*"), *folder.glob("*.log")]):
        with path.open("rb", buffering=0) as file:
            at = _find_recycled(file)
        if at is not None:
            raise StoreDamagedError(
                f"{path} is damaged at byte {at}: a frame of a type that is never written"
            )


def _find_recycled(file: BinaryIO) -> int | None:
    """Return where a frame of a recycled file begins, None if there is none."""
    at = 0
    while True:
        left = _BLOCK_BYTES - at % _BLOCK_BYTES
        if left < _HEADER_BYTES:
            at += left
            continue
        file.seek(at)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return None
        length = int.from_bytes(header[_LENGTH_AT:_TYPE_AT], "little")
        type_ = header[_TYPE_AT]
        if type_ in _RECYCLED:
            return at
        if (type_ == _ZERO and length == 0) or length > left - _HEADER_BYTES:
            return None  # the end, or damage that RocksDB finds
        at += _HEADER_BYTES + length
