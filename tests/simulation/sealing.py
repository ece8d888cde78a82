"""
Sealing without the library's own randomness, so that a run is the same each time.

It stands for HPKE as a whole: who has the private key and the same `info` opens what was sealed.
The same message is always sealed alike, which no real sealing may do.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from tradeline_ledger.hpke import PrivateKey, PublicKey

ENC_BYTES: Final = 1120
NONCE_BYTES: Final = 12


def encrypt(public: PublicKey, plaintext: bytes, info: bytes) -> bytes:
    """Return `plaintext` sealed, as long as real sealing makes it."""
    nonce = sha256(info + plaintext).digest()[:NONCE_BYTES]
    sealed = _cipher(public).encrypt(nonce, plaintext, info)
    return nonce + bytes(ENC_BYTES - NONCE_BYTES) + sealed


def decrypt(private: PrivateKey, sealed: bytes, info: bytes) -> bytes:
    """Return what `encrypt` sealed to the key's public half."""
    if len(sealed) < ENC_BYTES or any(sealed[NONCE_BYTES:ENC_BYTES]):
        raise InvalidTag
    return _cipher(private.public).decrypt(sealed[:NONCE_BYTES], sealed[ENC_BYTES:], info)


def _cipher(public: PublicKey) -> AESGCM:
    return AESGCM(sha256(b"simulated" + public.key_id).digest())
