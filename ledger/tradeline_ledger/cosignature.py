"""
Cosignatures, c2sp.org/tlog-cosignature: somebody else's signature, with its time, on a checkpoint.

A member cosigns what it computed itself by applying the blocks; an outside witness only says
that the log has grown since it last looked. The signed message does not name the cosigner, so
every cosigner has a key of its own, used for nothing else. The type is 0x04, Ed25519; others are
ignored as unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import INTEGER_MAX, check_key_name
from tradeline_ledger.errors import SignatureError
from tradeline_ledger.note import KeyType, Note, Signature, VerifierKey, known_signatures
from tradeline_ledger.signing import SIGNATURE_BYTES, SigningKey, verify_raw

TIME_S_MAX: Final = INTEGER_MAX
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: as of `time_s` the cosigner knew no larger checkpoint of the log."""

    key: VerifierKey
    time_s: int
    """The cosigner's clock, POSIX seconds. Nothing in the ledger depends on it."""

    @property
    def name(self) -> str:
        """Name of the cosigner's key; `<origin>/<member id>` for members."""
        return self.key.name


def cosigner_name(origin: str, member: int) -> str:
    """Return the name of the key that a member cosigns with."""
    return f"{origin}/{member}"


def cosign(text: str, name: str, key: SigningKey, time_s: int) -> Signature:
    """Return the cosignature of a checkpoint's text at `time_s` under the key called `name`."""
    assert text.endswith("\n"), text
    assert 0 <= time_s <= TIME_S_MAX, time_s
    verifier = VerifierKey(check_key_name(name), KeyType.COSIGNATURE, key.public)
    signature = key.sign_raw(_message(text, time_s))
    return Signature(name, verifier.id, time_s.to_bytes(_TIME_BYTES, "big") + signature)


def verify_cosignature(text: str, signature: Signature, key: VerifierKey) -> Cosignature:
    """
    Return what `signature` says, if `key` cosigned `text`.

    Raises:
        SignatureError: it did not, or the signature is attributed to another key.
    """
    assert key.type is KeyType.COSIGNATURE, key
    if (signature.name, signature.key_id) != (key.name, key.id):
        raise SignatureError(
            f"cosignature is by {signature.name!r}, key id {signature.key_id.hex()}; expected "
            f"{key.name!r}, key id {key.id.hex()}"
        )
    if len(signature.data) != _TIME_BYTES + SIGNATURE_BYTES:
        raise SignatureError(
            f"cosignature by {key.name!r} has {len(signature.data)} bytes, expected 72"
        )
    time_s = int.from_bytes(signature.data[:_TIME_BYTES], "big")
    if time_s > TIME_S_MAX:
        raise SignatureError(f"cosignature by {key.name!r} is of second {time_s}, after 2^63-1")
    verify_raw(key.public, _message(text, time_s), signature.data[_TIME_BYTES:])
    return Cosignature(key, time_s)


def verify_cosignatures(note: Note, keys: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """
    Return one cosignature for each of `keys`, all of type 0x04, that cosigned; maybe none.

    A key's first line counts, and all its lines must verify.

    Raises:
        SignatureError: a cosignature attributed to one of `keys` is not by it.
    """
    verified = []
    for key, signatures in known_signatures(note, keys):
        by_key = [verify_cosignature(note.text, signature, key) for signature in signatures]
        verified += by_key[:1]
    return tuple(verified)


def _message(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
