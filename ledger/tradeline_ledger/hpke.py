"""
Sealing to one recipient: suite 1 of docs/formats.md, section 4.

HPKE (RFC 9180) base mode, single shot, with the hybrid KEM MLKEM768_X25519 (0x647A, X-Wing),
HKDF-SHA256 and AES-256-GCM, as the `cryptography` package implements it. A sealed message is
enc (1120 bytes), ciphertext, tag (16). Every message is bound to its place by `info`.

This is the one module of the package that is not a pure function of its arguments: the library
draws the randomness of each `seal` itself. The state transition never imports it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hashing import digest
from tradeline_ledger.registry import HPKE_PUBLIC_KEY_BYTES

PRIVATE_KEY_BYTES: Final = 96
SEAL_OVERHEAD_BYTES: Final = 1120 + 16
"""What a sealed message is longer than its plaintext: enc and tag."""

_MLKEM_SEED_BYTES: Final = 64
_MLKEM_PUBLIC_BYTES: Final = 1184
_PUBLIC_KEYS_CACHED: Final = 64
"""A committee has 16 members; an epoch change and a few requests fit beside it."""

_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class PublicKey:
    """A recipient's public key: ML-KEM-768 (1184 bytes), then X25519 (32 bytes)."""

    __slots__ = ("encoded", "key_id", "parsed")

    def __init__(self, encoded: bytes, key: MLKEM768X25519PublicKey) -> None:
        """Wrap `key`, which `encoded` is the encoding of; use `from_bytes`."""
        self.parsed = key
        self.encoded: Final = encoded
        """1216 bytes, as they stand in the registry."""
        self.key_id: Final = hpke_key_id(encoded)
        """H("hpke-key", encoded)."""

    @classmethod
    def from_bytes(cls, encoded: bytes) -> PublicKey:
        """
        Return the key that `encoded` is, parsed once and remembered.

        Raises:
            MalformedError: it has another length, or its ML-KEM half is not canonical.
        """
        return _parse_public(encoded)

    def __repr__(self) -> str:
        return f"PublicKey(key_id={self.key_id.hex()})"


class PrivateKey:
    """A recipient's private key, parsed. Its representation shows the public half only."""

    __slots__ = ("parsed", "public")

    def __init__(self, secret: bytes) -> None:
        """Take ML-KEM seed (64 bytes) and X25519 scalar (32 bytes); use `from_bytes`."""
        mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(secret[_MLKEM_SEED_BYTES:])
        self.parsed = MLKEM768X25519PrivateKey(mlkem, x25519)
        encoded = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.public: Final = PublicKey(encoded, self.parsed.public_key())

    @classmethod
    def from_bytes(cls, secret: bytes) -> PrivateKey:
        """
        Return the key whose 96 bytes a key file holds.

        Raises:
            MalformedError: it has another length.
        """
        if len(secret) != PRIVATE_KEY_BYTES:
            raise MalformedError(
                f"HPKE private key has {len(secret)} bytes, expected {PRIVATE_KEY_BYTES}"
            )
        return cls(secret)

    @classmethod
    def generate(cls, random: bytes) -> PrivateKey:
        """Return a new key; `random` is 96 fresh random bytes, which are also its encoding."""
        assert len(random) == PRIVATE_KEY_BYTES, len(random)
        return cls(random)

    def __repr__(self) -> str:
        return f"PrivateKey(key_id={self.public.key_id.hex()})"


def seal(public: PublicKey, plaintext: bytes, info: bytes) -> bytes:
    """
    Return `plaintext` sealed to `public`, `SEAL_OVERHEAD_BYTES` longer, with fresh randomness.

    Raises:
        MalformedError: the key's X25519 half is of small order and can't be sealed to.
    """
    try:
        return _encrypt(public, plaintext, info)
    except ValueError as error:
        raise MalformedError(
            f"HPKE public key {public.key_id.hex()} can't be sealed to: its X25519 half is of "
            "small order; its owner must replace it"
        ) from error


def open_sealed(private: PrivateKey, sealed: bytes, info: bytes) -> bytes:
    """
    Return the plaintext that was sealed to this key under this `info`.

    Raises:
        SealError: any byte of `sealed` or `info` differs, or it was sealed to another key.
    """
    try:
        return _decrypt(private, sealed, info)
    except InvalidTag as error:
        raise SealError(
            f"sealed message of {len(sealed)} bytes does not open with HPKE key "
            f"{private.public.key_id.hex()}: it was altered, or sealed to another key or place"
        ) from error


def hpke_key_id(public: bytes) -> bytes:
    """Return `H("hpke-key", public key)`, by which epochs and `info` name a key."""
    return digest("hpke-key", public)


def deposit_info(
    ledger_id: bytes, *, member: int, epoch: int, recipient: int, key_id: bytes, events_root: bytes
) -> bytes:
    """Return the `info` of the deposit of `member`'s batch for committee member `recipient`."""
    return encode(
        ("tradeline/v1 deposit", ledger_id, member, epoch, recipient, key_id, events_root)
    )


def request_info(ledger_id: bytes, inquiry: int, recipient: int, key_id: bytes) -> bytes:
    """Return the `info` of a release request; `inquiry` is the log index of the inquiry."""
    return encode(("tradeline/v1 release-request", ledger_id, inquiry, recipient, key_id))


def answer_info(ledger_id: bytes, inquiry: int, validator: int) -> bytes:
    """Return the `info` of a committee member's answer, sealed to the inquiry's one-time key."""
    return encode(("tradeline/v1 release", ledger_id, inquiry, validator))


def tag_key_info(ledger_id: bytes, member: int, recipient: int, key_id: bytes) -> bytes:
    """Return the `info` under which `member` hands its tag key to a committee member."""
    return encode(("tradeline/v1 tag-key", ledger_id, member, recipient, key_id))


def _encrypt(public: PublicKey, plaintext: bytes, info: bytes) -> bytes:
    return _SUITE.encrypt(plaintext, public.parsed, info)


def _decrypt(private: PrivateKey, sealed: bytes, info: bytes) -> bytes:
    return _SUITE.decrypt(sealed, private.parsed, info)


@lru_cache(maxsize=_PUBLIC_KEYS_CACHED)
def _parse_public(encoded: bytes) -> PublicKey:
    if len(encoded) != HPKE_PUBLIC_KEY_BYTES:
        raise MalformedError(
            f"HPKE public key has {len(encoded)} bytes, expected {HPKE_PUBLIC_KEY_BYTES}"
        )
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(encoded[:_MLKEM_PUBLIC_BYTES])
    except ValueError as error:
        raise MalformedError(
            f"HPKE public key {hpke_key_id(encoded).hex()}: its ML-KEM half is not canonical"
        ) from error
    x25519 = X25519PublicKey.from_public_bytes(encoded[_MLKEM_PUBLIC_BYTES:])
    return PublicKey(encoded, MLKEM768X25519PublicKey(mlkem, x25519))
