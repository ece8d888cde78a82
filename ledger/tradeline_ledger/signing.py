"""
Ed25519 as libsodium does it, the only implementation in the path of consensus.

libsodium refuses small-order keys and nonces, non-canonical encodings and `S >= L`; other
libraries differ on such signatures, so its verdict is part of the protocol and pinned by
vectors (docs/formats.md, section 1).
"""

from __future__ import annotations

from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from tradeline_ledger.errors import SignatureError
from tradeline_ledger.hashing import label

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class SigningKey:
    """One Ed25519 private key. Its representation shows the public half only."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        """Take the 32-byte seed of RFC 8032, section 5.1.5."""
        assert len(seed) == SEED_BYTES, len(seed)
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"

    def export(self) -> bytes:
        """Return seed and public key, 64 bytes, for the key file of a program that signs itself."""
        return self._secret

    def sign(self, name: str, message: bytes) -> bytes:
        """Return `Sig(key, name, message)`, 64 bytes."""
        return self.sign_raw(label(name) + message)

    def sign_raw(self, message: bytes) -> bytes:
        """Return the signature of `message` itself, for formats that fix their own prefix."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]


def verify(public: bytes, name: str, message: bytes, signature: bytes) -> bytes:
    """
    Return `message` if `signature` is `Sig(key, name, message)` of that public key.

    Raises:
        SignatureError: it is not, or key or signature have the wrong length.
    """
    verify_raw(public, label(name) + message, signature)
    return message


def verify_raw(public: bytes, message: bytes, signature: bytes) -> bytes:
    """
    Return `message` if `signature` is that key's signature of exactly these bytes.

    Raises:
        SignatureError: it is not, or key or signature have the wrong length.
    """
    if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise SignatureError(
            f"key has {len(public)} bytes and signature {len(signature)}, expected 32 and 64"
        )
    try:
        return bindings.crypto_sign_open(signature + message, public)
    except CryptoError as error:
        raise SignatureError(f"signature is not by key {public.hex()}") from error


def valid_key(public: bytes) -> bool:
    """Return whether `public` is a point of the main subgroup, neither zero nor of small order."""
    return bool(bindings.crypto_core_ed25519_is_valid_point(public))
