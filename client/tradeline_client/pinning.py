"""
TLS to a node whose key the registry pins: that key and no other, whoever signed its certificate.

The handshake itself fails on another key, so nothing is sent to whoever stands in between. There
is no certificate to expire and no authority to trust.
"""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

if TYPE_CHECKING:
    from collections.abc import Callable


def pinned_context(pin: bytes) -> ssl.SSLContext:
    """
    Return what connects to the one server whose TLS key hashes to `pin`.

    `pin` is SHA-256 of the key's SubjectPublicKeyInfo, as in `MemberRecord.tls_pin`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  its base's
            super().do_handshake(block)
            _check(self.getpeercert, pin)

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _check(self.getpeercert, pin)

    context.sslsocket_class = PinnedSocket
    context.sslobject_class = PinnedObject
    return context


def spki_hash(certificate: bytes) -> bytes:
    """Return the pin of the key in a certificate, DER."""
    key = load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def _check(certificate: Callable[[bool], object], pin: bytes) -> None:
    given = certificate(True)  # noqa: FBT003  the form that the method takes
    found = spki_hash(given) if isinstance(given, bytes) else b""
    if found != pin:
        raise ssl.SSLError(
            f"the TLS key has hash {found.hex()}, the registry pins {pin.hex()}; do not go on: "
            "somebody stands in between, or the node's operator changed the key without saying so"
        )
