"""
HMAC-SHA256 for keys that sign many short messages, or many keys that sign one each.

The standard library's `hmac.digest` takes 2.9 µs here, most of it set-up. RFC 2104 written out
on `hashlib` takes 1.1 µs, and 0.7 µs where the padded key is absorbed once and copied. Both forms
are tested against `hmac` and the vectors of RFC 4231.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAC_BYTES: Final = 32
SHORT_MAC_BYTES: Final = 16
"""Length of tags, references and check values: the first bytes of a MAC."""

_BLOCK_BYTES: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))
_sha256 = hashlib.sha256


def mac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA256 of `message`, 32 bytes, for a key that signs few messages."""
    padded = _pad(key)
    inner = _sha256(padded.translate(_INNER) + message).digest()
    return _sha256(padded.translate(_OUTER) + inner).digest()


def macs_short(keys: Iterable[bytes], prefix: bytes, messages: Iterable[bytes]) -> list[bytes]:
    """
    Return the first `SHORT_MAC_BYTES` of the MAC of `prefix` and each message, under its own key.

    Keys have at most 64 bytes.
    """
    sha256, inner, outer, block, width = _sha256, _INNER, _OUTER, _BLOCK_BYTES, SHORT_MAC_BYTES
    signed = []
    for key, message in zip(keys, messages, strict=True):
        assert len(key) <= block, len(key)
        padded = key.ljust(block, b"\0")
        hashed = sha256(padded.translate(inner) + prefix + message).digest()
        signed.append(sha256(padded.translate(outer) + hashed).digest()[:width])
    return signed


class MacKey:
    """One key that signs many messages. Its representation shows nothing of it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        """Absorb `key`, of any length."""
        padded = _pad(key)
        self._inner = _sha256(padded.translate(_INNER))
        self._outer = _sha256(padded.translate(_OUTER))

    def __repr__(self) -> str:
        return "MacKey()"

    def sign(self, message: bytes) -> bytes:
        """Return HMAC-SHA256 of `message`, 32 bytes."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def sign_short(self, messages: Iterable[bytes]) -> list[bytes]:
        """Return the first `SHORT_MAC_BYTES` of the MAC of each message."""
        # Look-ups are done once and no function of ours is called: it is the loop of an import.
        inner_copy, outer_copy, width = self._inner.copy, self._outer.copy, SHORT_MAC_BYTES
        signed = []
        for message in messages:
            inner = inner_copy()
            inner.update(message)
            outer = outer_copy()
            outer.update(inner.digest())
            signed.append(outer.digest()[:width])
        return signed


def _pad(key: bytes) -> bytes:
    if len(key) > _BLOCK_BYTES:
        key = _sha256(key).digest()
    return key.ljust(_BLOCK_BYTES, b"\0")
