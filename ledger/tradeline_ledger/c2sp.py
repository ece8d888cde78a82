"""
How the C2SP text formats write bytes, numbers and names: one way each, all others refused.

Notes, checkpoints, tile paths, proofs and policies share these rules (c2sp.org/signed-note and
the formats that build on it).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from tradeline_ledger.errors import MalformedError

INTEGER_MAX: Final = 2**63 - 1
"""Largest number in these formats: other implementations read signed 64 bits."""
KEY_NAME_BYTES_MAX: Final = 255
"""Longest key name or origin in UTF-8; the post-quantum cosignature has one byte for the length."""

_INTEGER_DIGITS_MAX: Final = len(str(INTEGER_MAX))


def encode_base64(data: bytes) -> str:
    """Return the padded base64 of RFC 4648, section 4."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """
    Return the bytes that `text` is the canonical base64 of.

    Raises:
        MalformedError: another alphabet or padding, stray bits, or nothing.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedError(f"{what} is not base64: {error}") from error
    if not text or encode_base64(data) != text:
        raise MalformedError(f"{what} is not canonical base64 (RFC 4648, section 4, padded)")
    return data


def decode_integer(text: str, what: str) -> int:
    """
    Return the number from 0 to `INTEGER_MAX` that `text` writes in ASCII, without leading zeros.

    Raises:
        MalformedError: anything else.
    """
    digits = len(text) <= _INTEGER_DIGITS_MAX and text.isascii() and text.isdigit()
    value = int(text) if digits else -1
    if not 0 <= value <= INTEGER_MAX or str(value) != text:
        raise MalformedError(
            f"{what} is {text[:40]!r}, expected a decimal from 0 to 2^63-1 without leading zeros"
        )
    return value


def check_utf8(text: str, what: str, bytes_max: int) -> str:
    """
    Return `text` if UTF-8 writes it in 1 to `bytes_max` bytes.

    Raises:
        MalformedError: it is empty, longer, or holds what UTF-8 can't write.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise MalformedError(f"{what} {text[:40]!r} is not UTF-8") from error
    if not 0 < length <= bytes_max:
        raise MalformedError(f"{what} has {length} bytes, expected 1 to {bytes_max}")
    return text


def check_key_name(name: str) -> str:
    """
    Return `name` if it may name a key: no Unicode space, no `+`, no control character, not empty.

    Raises:
        MalformedError: it may not, or it is longer than `KEY_NAME_BYTES_MAX`.
    """
    check_utf8(name, "key name", KEY_NAME_BYTES_MAX)
    if any(char == "+" or char < " " or char.isspace() for char in name):
        raise MalformedError(f"key name {name!r} contains a space, a plus or a control character")
    return name
