"""
Cutting a text file into blocks of whole rows.

Rows end with LF, CR LF or CR, mixed as they come; empty lines are no rows. Unless the mapping says
`multiline`, a line is a row: a quote that is never closed then costs one row and not the rest of
the file. A row longer than `ROW_BYTES_MAX` is cut to nothing, so a file without line ends takes no
more memory than any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROW_BYTES_MAX: Final = 1 << 20
"""Bytes of the longest row that is read."""
CUT_BYTES: Final = 1024
"""Bytes that are kept of a row that is too long."""
BLOCK_BYTES: Final = 1 << 22
"""Bytes of a block, about: what is parsed and mapped at a time."""

_LF = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive whole rows of a file."""

    block: bytes
    """Lines that end with LF, empty ones among them."""
    starts: NDArray[np.int64]
    """Where each row starts in `block`."""
    ends: NDArray[np.int64]
    """Where its line end stands."""
    lines: NDArray[np.int64]
    """1-based number of the line on which it starts."""
    too_long: bool = False
    """Whether this is one row that was too long, and `block` only how it begins."""
    unclosed: bool = False
    """Whether this is one line that opens a quote which does not close in time."""

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"Rows({len(self)}, not shown)"

    def row(self, place: int) -> bytes:
        """Return a row without its line end."""
        return self.block[self.starts[place] : self.ends[place]]


def cut_rows(
    blocks: Iterable[bytes], quote: bytes = b"", first_line: int = 1, block_bytes: int = BLOCK_BYTES
) -> Iterator[Rows]:
    """
    Yield blocks of whole rows.

    Args:
        blocks: what the file holds.
        quote: the byte between two of which line ends are part of a cell; empty where each line
            is a row.
        first_line: number of the line that `blocks` start with.
        block_bytes: about as many bytes are put into one block.
    """
    cutter = _Cutter(quote, first_line)
    held: list[bytes] = []
    size = 0
    for block in _plain_ends(blocks):
        held.append(block)
        size += len(block)
        if size >= block_bytes:
            yield from cutter.push(b"".join(held))
            held, size = [], 0
    yield from cutter.push(b"".join(held))
    yield from cutter.finish()


class _Cutter:
    """Holds the row that is not whole yet, and counts lines."""

    def __init__(self, quote: bytes, first_line: int) -> None:
        self._quote = quote
        self._line = first_line
        self._rest = b""
        self._skips = False

    def push(self, block: bytes) -> Iterator[Rows]:
        if self._skips:
            end = block.find(b"\n")
            if end < 0:
                return
            block, self._skips = block[end + 1 :], False
            self._line += 1
        block = self._rest + block
        while True:
            ends = self._ends(block)
            cut = int(ends[-1]) + 1 if len(ends) else 0
            if cut:
                yield self._rows(block[:cut], ends)
            block = block[cut:]
            if len(block) <= ROW_BYTES_MAX:
                self._rest = block
                return
            # The row is too long. If that is because of a quote, only its first line is at fault.
            end = block.find(b"\n", 0, ROW_BYTES_MAX)
            if end < 0:
                yield self._one(block[:CUT_BYTES], too_long=True)
                end = block.find(b"\n")
                self._rest, self._skips = b"", end < 0
                if self._skips:
                    return
            else:
                yield self._one(block[:end], unclosed=True)
            self._line += 1
            block = block[end + 1 :]

    def finish(self) -> Iterator[Rows]:
        if not self._rest:
            return
        block, self._rest = self._rest + b"\n", b""
        while block:
            ends = self._ends(block)
            cut = int(ends[-1]) + 1 if len(ends) else 0
            if cut:
                yield self._rows(block[:cut], ends)
            block = block[cut:]
            if block:
                end = block.find(b"\n")
                yield self._one(block[:end], unclosed=True)
                self._line += 1
                block = block[end + 1 :]

    def _ends(self, block: bytes) -> NDArray[np.int64]:
        """Return where the line ends of whole rows stand."""
        content = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(content == _LF)
        if self._quote and self._quote in block:
            quotes = np.flatnonzero(content == self._quote[0])
            ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
        return ends

    def _rows(self, block: bytes, ends: NDArray[np.int64]) -> Rows:
        starts = np.empty_like(ends)
        starts[0], starts[1:] = 0, ends[:-1] + 1
        if self._quote and self._quote in block:
            newlines = np.flatnonzero(np.frombuffer(block, np.uint8) == _LF)
            lines = self._line + np.searchsorted(newlines, starts)
            self._line += len(newlines)
        else:
            lines = np.arange(self._line, self._line + len(ends))
            self._line += len(ends)
        filled = ends > starts
        if not filled.all():
            starts, ends, lines = starts[filled], ends[filled], lines[filled]
        return Rows(block, starts, ends, lines)

    def _one(self, line: bytes, *, too_long: bool = False, unclosed: bool = False) -> Rows:
        return Rows(
            line + b"\n",
            np.zeros(1, np.int64),
            np.array([len(line)], np.int64),
            np.array([self._line], np.int64),
            too_long=too_long,
            unclosed=unclosed,
        )


def _plain_ends(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks in which every line ends with LF alone."""
    held = b""
    for block in blocks:
        if held or b"\r" in block:
            whole = held + block
            # What follows a CR at the end of a block is not known yet.
            held = b"\r" if whole.endswith(b"\r") else b""
            whole = whole[: len(whole) - len(held)]
            yield whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            yield block
    if held:
        yield b"\n"
