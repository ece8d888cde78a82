"""
The node's TLS key: ECDSA on P-256, in a certificate that it signs itself.

The registry pins the key, so name and dates of the certificate mean nothing. P-256 and not Ed25519,
because browsers, which operators open the node's pages with, refuse Ed25519 certificates.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TLS_PRIVATE_BYTES: Final = 32


def generate_tls_private() -> bytes:
    """Return a fresh private scalar, as `NodeKeys.tls_private` has it."""
    scalar = generate_private_key(SECP256R1()).private_numbers().private_value
    return scalar.to_bytes(TLS_PRIVATE_BYTES, "big")


def tls_key(private: bytes) -> EllipticCurvePrivateKey:
    """
    Return the key of a private scalar.

    Raises:
        ValueError: 0, or not below the order of the curve.
    """
    return derive_private_key(int.from_bytes(private, "big"), SECP256R1())


def tls_pin(key: EllipticCurvePrivateKey) -> bytes:
    """Return what the registry pins: SHA-256 of the key's SubjectPublicKeyInfo."""
    public = key.public_key()
    return hashlib.sha256(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()
