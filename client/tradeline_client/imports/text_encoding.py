"""
The encoding of a text file: given, or found out from its bytes.

Blocks become UTF-8. UTF-16 is told by its byte order mark or its zeros. UTF-8 and GB18030 agree on
ASCII, so the first block that is not ASCII decides: UTF-8 if it is valid, because text in GB18030
hardly ever is. Both leave line ends, quotes and delimiters below 0x30 alone, so lines can be cut
before they are decoded; a line that does not decode spoils no other.
"""

from __future__ import annotations

import codecs
import enum
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UTF8_MARK = codecs.BOM_UTF8
_UTF16_MARKS: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32_MARKS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_ZEROS: Final = 0.3
"""Share of zeros above which ASCII text is of two bytes a character: half of them are."""
_SAMPLE_BYTES: Final = 4096


@enum.unique
class TextEncoding(enum.Enum):
    """Encodings of text files that are read."""

    UTF8 = "utf-8"
    GB18030 = "gb18030"
    """It has GBK and GB2312 in it."""
    UTF16 = "utf-16"


class TextDecoder:
    """Turns lines into UTF-8, once it knows from what."""

    __slots__ = ("encoding",)

    def __init__(self, encoding: TextEncoding | None) -> None:
        """Take the encoding, or None to find out."""
        self.encoding = encoding
        """What is known by now."""

    def open(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """
        Yield blocks without byte order mark, in an encoding that lines can be cut in.

        Raises:
            SourceError: UTF-32, which nobody writes.
        """
        rest = iter(blocks)
        first = next(rest, b"")
        if first.startswith(_UTF32_MARKS):
            raise SourceError("the file is in UTF-32; save it as UTF-8")
        mark, codec = self._utf16(first)
        if codec:
            self.encoding = TextEncoding.UTF16
            yield from _transcoded(first[mark:], rest, codec)
            return
        if first.startswith(_UTF8_MARK):
            if self.encoding not in (None, TextEncoding.UTF8):
                raise SourceError(
                    f"the file begins with the mark of UTF-8, the mapping says {self.encoding}"
                )
            self.encoding = TextEncoding.UTF8
            first = first[len(_UTF8_MARK) :]
        if first:
            yield first
        yield from rest

    def decode(self, block: bytes) -> bytes | None:
        """Return whole lines in UTF-8, or None if one of them does not decode."""
        if block.isascii():
            return block
        if self.encoding is None:
            self.encoding = _guess(block)
        try:
            return self.line(block)
        except UnicodeDecodeError:
            return None

    def line(self, line: bytes) -> bytes:
        """
        Return one line in UTF-8.

        Raises:
            UnicodeDecodeError: it does not decode.
        """
        if self.encoding is TextEncoding.GB18030:
            return line.decode("gb18030").encode()
        line.decode()
        return line

    def _utf16(self, first: bytes) -> tuple[int, str]:
        """Return length of the mark and name of the codec, or 0 and nothing if it is not UTF-16."""
        for mark, codec in _UTF16_MARKS.items():
            if first.startswith(mark):
                return len(mark), codec
        sample = first[:_SAMPLE_BYTES]
        even, odd = sample[::2].count(0), sample[1::2].count(0)
        told = self.encoding is TextEncoding.UTF16
        if told or (self.encoding is None and sample and (even + odd) / len(sample) > _UTF16_ZEROS):
            return 0, "utf-16-be" if even > odd else "utf-16-le"
        return 0, ""


def _guess(block: bytes) -> TextEncoding:
    for encoding in (TextEncoding.UTF8, TextEncoding.GB18030):
        try:
            block.decode(encoding.value)
        except UnicodeDecodeError:
            continue
        return encoding
    # Some line is damaged. Whichever encoding reads more of the lines is the one.
    lines = block.splitlines()[:10_000]
    return max(
        (TextEncoding.UTF8, TextEncoding.GB18030),
        key=lambda encoding: sum(_decodes(line, encoding) for line in lines),
    )


def _decodes(line: bytes, encoding: TextEncoding) -> bool:
    try:
        line.decode(encoding.value)
    except UnicodeDecodeError:
        return False
    return True


def _transcoded(first: bytes, rest: Iterator[bytes], codec: str) -> Iterator[bytes]:
    """Yield UTF-8. What is no text becomes bytes that are no UTF-8, and its line a fault."""
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    yield decoder.decode(first).encode(errors="surrogatepass")
    for block in rest:
        yield decoder.decode(block).encode(errors="surrogatepass")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield b"\xff"
