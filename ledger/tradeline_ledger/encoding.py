"""
The one encoding of everything that is signed or hashed: canonical MessagePack arrays.

A record is a subclass of `Record`; its fields are encoded as one array in the order of their
declaration. A `Codec` decodes bytes into a record and encodes the result again: bytes that
differ from their own re-encoding are refused, because the decoder alone would accept integers
and headers that are longer than need be (docs/formats.md, section 1).
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from tradeline_ledger.errors import MalformedError

T = TypeVar("T")

U8 = Annotated[int, Meta(ge=0, le=0xFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
U64 = Annotated[int, Meta(ge=0)]
"""Below 2**64: MessagePack has no larger unsigned integer."""
B16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
B32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
B64 = Annotated[bytes, Meta(min_length=64, max_length=64)]

U64_MAX = 2**64 - 1


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of every wire type: an array of its fields, in the order of their declaration."""


_ENCODER = msgspec.msgpack.Encoder()


def encode(value: Any) -> bytes:
    """Return the canonical encoding of a `Record`, or of ints, bytes, str, None and sequences."""
    return _ENCODER.encode(value)


class Codec(Generic[T]):
    """Strict decoder for one type, with a limit on the size of what it reads."""

    __slots__ = ("_decoder", "bytes_max", "what")

    def __init__(self, type_: Any, what: str, bytes_max: int) -> None:
        """Decode `type_`, called `what` in messages, from at most `bytes_max` bytes."""
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(type_)
        self.what = what
        self.bytes_max = bytes_max

    def decode(self, encoded: bytes) -> T:
        """
        Return the value that `encoded` is the canonical encoding of.

        Raises:
            MalformedError: too long, of another shape, or not what `encode` would write.
        """
        if len(encoded) > self.bytes_max:
            raise MalformedError(
                f"{self.what} has {len(encoded)} bytes, at most {self.bytes_max} are allowed"
            )
        try:
            value = self._decoder.decode(encoded)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise MalformedError(f"{self.what} does not decode: {error}") from error
        if _ENCODER.encode(value) != encoded:
            raise MalformedError(
                f"{self.what} is not canonical: it encodes again to other bytes; "
                "use the shortest form of every integer and header"
            )
        return value


def check_text(value: str, what: str, chars_max: int) -> None:
    """
    Accept NFC text without control characters, of 1 to `chars_max` characters.

    Raises:
        ValueError: anything else; inside a record's `__post_init__` it becomes `MalformedError`.
    """
    if not 0 < len(value) <= chars_max:
        raise ValueError(f"{what} has {len(value)} characters, expected 1 to {chars_max}")
    if not unicodedata.is_normalized("NFC", value):
        raise ValueError(f"{what} is not in Unicode normal form C")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise ValueError(f"{what} contains a control character")


def check_ascending(values: tuple[Any, ...], what: str) -> None:
    """
    Accept `values` that ascend without duplicates.

    Raises:
        ValueError: anything else; inside a record's `__post_init__` it becomes `MalformedError`.
    """
    if any(left >= right for left, right in pairwise(values)):
        raise ValueError(f"{what} must ascend without duplicates")
