"""
Domain-separated hashing.

`H(name, x) = SHA-256("tradeline/v1 " name "\\n" || x)` (docs/formats.md, section 1). No label
starts with 0x00 or 0x01, so a labelled hash never collides with a node of the Merkle tree.
"""

from __future__ import annotations

import hashlib
from typing import Final

HASH_BYTES: Final = 32
ZERO_HASH: Final = bytes(HASH_BYTES)


def label(name: str) -> bytes:
    """Return the prefix of everything hashed or signed as `name`."""
    return b"tradeline/v1 " + name.encode("ascii") + b"\n"


def digest(name: str, data: bytes) -> bytes:
    """Return `H(name, data)`, 32 bytes."""
    return hashlib.sha256(label(name) + data).digest()
