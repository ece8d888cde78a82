"""
TLS between nodes, and of the node's own HTTP interface: the key that the registry pins, no other.

The key is ECDSA on P-256, in a certificate that it signs itself, whose name and dates mean nothing.
P-256 and not Ed25519, because browsers, with which operators open the node's pages, refuse Ed25519
certificates. The handshake itself fails on another key than the pinned one, so that no byte of a
request is sent to whoever stands in between.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

TLS_PRIVATE_BYTES: Final = 32
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class PinError(ssl.SSLError):
    """A server proves another TLS key than the one that the registry pins."""

    def __init__(self, found: bytes, pin: bytes) -> None:
        """Take both hashes."""
        super().__init__(
            f"the TLS key has hash {found.hex()}, the registry pins {pin.hex()}; do not go on: "
            "somebody stands in between, or the node's operator changed the key without saying so"
        )


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
    return _pin_of(key.public_key())


def server_context(key: EllipticCurvePrivateKey) -> ssl.SSLContext:
    """
    Return what a server proves itself with by `key`.

    The library takes keys from files only. It gets one that is encrypted under a passphrase that
    nobody learns, in a folder that is gone when this returns, so the key never lies open on a disk.
    """
    passphrase = secrets.token_hex(32).encode()
    sealed = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory(prefix="tradeline-") as folder:
        file = Path(folder) / "tls.pem"
        file.write_bytes(sealed + _certificate(key).public_bytes(Encoding.PEM))
        context.load_cert_chain(file, password=passphrase)
    return context


def pinned_context(pin: bytes) -> ssl.SSLContext:
    """Return what connects to the one server whose TLS key hashes to `pin`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _check(self.getpeercert, pin)

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  its base's
            super().do_handshake(block)
            _check(self.getpeercert, pin)

    context.sslobject_class = PinnedObject
    context.sslsocket_class = PinnedSocket
    return context


def _certificate(key: EllipticCurvePrivateKey) -> x509.Certificate:
    """Return the same certificate at every start, so that a browser told to trust it goes on to."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tradeline node")])
    serial = int.from_bytes(tls_pin(key)[:16], "big") | 1
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), serial, _FROM, _UNTIL
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.sign(key, SHA256(), ecdsa_deterministic=True)


def _check(certificate: Callable[[bool], object], pin: bytes) -> None:
    given = certificate(True)  # noqa: FBT003  the form that the method takes
    key = x509.load_der_x509_certificate(given).public_key() if isinstance(given, bytes) else None
    found = _pin_of(key) if key is not None else b""
    if found != pin:
        raise PinError(found, pin)


def _pin_of(key: CertificatePublicKeyTypes) -> bytes:
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()
