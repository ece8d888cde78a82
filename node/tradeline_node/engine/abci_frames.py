"""
Frames of ABCI's socket protocol: a length as an unsigned varint, then one message.

A frame of more than `FRAME_BYTES_MAX` or with a length that is no varint is an error: the engine
that sends it is broken, or it is no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_BYTES_MAX: Final = 64 << 20
"""Of one request; a block has 4 MiB."""
_LENGTH_BYTES_MAX: Final = 4
"""Of a varint up to `FRAME_BYTES_MAX`."""
_MORE: Final = 0x80


class FrameReader:
    """Cuts what a connection receives into messages."""

    def __init__(self) -> None:
        """Begin with nothing received."""
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """
        Take what was received and yield the messages that are complete.

        Raises:
            EngineError: a length is malformed or too large; nothing more can be read.
        """
        self._received += data
        at = 0
        try:
            while (frame := _frame(self._received, at)) is not None:
                start, end = frame
                at = end
                yield bytes(self._received[start:end])
        finally:
            del self._received[:at]


def encode_frame(message: bytes) -> bytes:
    """Return the frame of one message."""
    length = len(message)
    head = bytearray()
    while length >= _MORE:
        head.append(length & (_MORE - 1) | _MORE)
        length >>= 7
    head.append(length)
    return bytes(head) + message


def _frame(received: bytearray, at: int) -> tuple[int, int] | None:
    """Return where the message of the frame at `at` begins and ends, None if it is incomplete."""
    length = 0
    for place, byte in enumerate(received[at : at + _LENGTH_BYTES_MAX]):
        length |= (byte & (_MORE - 1)) << 7 * place
        if byte < _MORE:
            if place and not byte:
                raise EngineError("a frame of the engine has a length that is not minimal")
            start = at + place + 1
            if length > FRAME_BYTES_MAX:
                raise EngineError(
                    f"a frame of the engine has {length} bytes, at most {FRAME_BYTES_MAX}"
                )
            return (start, start + length) if len(received) >= start + length else None
    if len(received) - at >= _LENGTH_BYTES_MAX:
        raise EngineError("a frame of the engine has a length that is no varint of its limit")
    return None
