"""Fingerprints: keys as people compare them over another channel."""

from __future__ import annotations

from typing import Final

from tradeline_ledger.hpke import hpke_key_id
from tradeline_ledger.registry import HPKE_PUBLIC_KEY_BYTES

FINGERPRINT_DIGITS: Final = 32


def fingerprint(key: bytes | None) -> str:
    """
    Return a public key, or its hash, in 32 hex digits by fours; "none" where there is none.

    An HPKE key, which is long, is shown by its id.
    """
    if not key:
        return "none"
    hashed = hpke_key_id(key) if len(key) == HPKE_PUBLIC_KEY_BYTES else key
    shown = hashed.hex()[:FINGERPRINT_DIGITS]
    return " ".join(shown[i : i + 4] for i in range(0, len(shown), 4))
