"""
Bodies: the encrypted content of events (docs/formats.md, section 4).

A body is a commitment to its key, H("body-key", K), then AES-256-GCM of the padded event under K
with a nonce of zeros. That nonce is safe because a key encrypts once, ever. The associated data
names ledger, member and tag, so that a body copied elsewhere does not open. The commitment comes
first because AES-GCM alone would let one body open under two keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.hashing import HASH_BYTES, digest, label
from tradeline_ledger.submission import TAG_BYTES

KEY_BYTES: Final = 32
BUCKETS_BYTES: Final = (256, 512, 1024, 2048, 4096, 8192, 16384)
"""Lengths that padded events have; each is twice the one before."""
EVENT_BYTES_MAX: Final = BUCKETS_BYTES[-1] - 4
BODY_OVERHEAD_BYTES: Final = HASH_BYTES + 16
"""What a body is longer than its padded event: commitment and GCM tag."""
BODY_BYTES_MAX: Final = BUCKETS_BYTES[-1] + BODY_OVERHEAD_BYTES

_BODY_LENGTHS: Final = frozenset(bucket + BODY_OVERHEAD_BYTES for bucket in BUCKETS_BYTES)
_LENGTH_BYTES: Final = 4
_NONCE: Final = bytes(12)
_EACH_KEY: Final = Struct(f"{KEY_BYTES}s").iter_unpack
# Copying a prefixed state is faster than hashing a prefixed string. Never updated, only copied.
_KEY_PREFIX: Final = hashlib.sha256(label("body-key"))
_BODY_PREFIX: Final = hashlib.sha256(label("body"))

# Packs length and event and fills the bucket with zeros. The index is the number of bits of the
# last byte's position in the padded event: up to 8 bits fit the first bucket, 14 the last.
_PACK: Final = tuple(
    Struct(f">I{max(BUCKETS_BYTES[0], 1 << bits) - _LENGTH_BYTES}s").pack
    for bits in range(BUCKETS_BYTES[-1].bit_length())
)


def pad(event: bytes) -> bytes:
    """
    Return length (u32), `event` and zeros up to the smallest bucket that holds them.

    Raises:
        MalformedError: the event has more than `EVENT_BYTES_MAX` bytes.
    """
    if len(event) > EVENT_BYTES_MAX:
        raise MalformedError(f"event has {len(event)} bytes, at most {EVENT_BYTES_MAX} fit a body")
    return _PACK[(len(event) + 3).bit_length()](len(event), event)


def unpad(padded: bytes) -> bytes:
    """
    Return the event that `pad` would pad to exactly these bytes.

    Raises:
        MalformedError: other length, other fill, or a larger bucket than needed.
    """
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    event = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if pad(event) != padded:
        raise MalformedError(
            f"padded event of {len(padded)} bytes says that its event has {length}: expected the "
            "smallest bucket that holds length and event, filled with zeros"
        )
    return event


def body_hash(body: bytes) -> bytes:
    """Return `H("body", body)`, which stands in the event's header."""
    return digest("body", body)


def body_aad(ledger_id: bytes, member: int, tag: bytes) -> bytes:
    """Return the associated data of a body; all but its last 16 bytes are the same for a member."""
    return encode(("tradeline/v1 body", ledger_id, member, tag))


def seal_body(key: bytes, padded: bytes, aad: bytes) -> bytes:
    """Return the body of one padded event. `key` is 32 bytes and must never seal again."""
    assert len(key) == KEY_BYTES, len(key)
    return digest("body-key", key) + AESGCM(key).encrypt(_NONCE, padded, aad)


def seal_bodies(
    keys: bytes, events: Sequence[bytes], ledger_id: bytes, member: int, tags: Sequence[bytes]
) -> tuple[list[bytes], list[bytes]]:
    """
    Return the bodies of a batch and their hashes, in the order of `events`.

    `keys` are as many fresh 32-byte keys as there are events, one after another.

    Raises:
        MalformedError: an event has more than `EVENT_BYTES_MAX` bytes.
    """
    assert len(keys) == KEY_BYTES * len(events), (len(keys), len(events))
    assert all(len(tag) == TAG_BYTES for tag in tags), "a tag has 16 bytes"
    if any(len(event) > EVENT_BYTES_MAX for event in events):
        position = next(i for i, event in enumerate(events) if len(event) > EVENT_BYTES_MAX)
        raise MalformedError(
            f"event {position} has {len(events[position])} bytes, at most {EVENT_BYTES_MAX} fit"
        )
    # Look-ups are done once and no function of ours is called: a contributor's throughput is
    # bound by this loop.
    cipher, pack, nonce = AESGCM, _PACK, _NONCE
    key_prefix, body_prefix = _KEY_PREFIX.copy, _BODY_PREFIX.copy
    aad = body_aad(ledger_id, member, bytes(TAG_BYTES))[:-TAG_BYTES]
    bodies, hashes = [], []
    for (key,), event, tag in zip(_EACH_KEY(keys), events, tags, strict=True):
        commitment = key_prefix()
        commitment.update(key)
        padded = pack[(len(event) + 3).bit_length()](len(event), event)
        body = commitment.digest() + cipher(key).encrypt(nonce, padded, aad + tag)
        hashed = body_prefix()
        hashed.update(body)
        bodies.append(body)
        hashes.append(hashed.digest())
    return bodies, hashes


def check_bodies(bodies: Sequence[bytes | None], body_hashes: Sequence[bytes]) -> list[bytes]:
    """
    Return `bodies` if there is one for each hash, of a length that bodies have, and hashing to it.

    This is custody's check of a batch before any of it was erased.

    Raises:
        SealError: a body is missing or another, or there are too many; names its position.
    """
    if len(bodies) != len(body_hashes):
        raise SealError(f"{len(bodies)} bodies came with a batch of {len(body_hashes)} events")
    prefix, lengths = _BODY_PREFIX.copy, _BODY_LENGTHS
    checked = []
    for position, (body, expected) in enumerate(zip(bodies, body_hashes, strict=True)):
        if body is None:
            raise SealError(f"body {position} is missing; a batch is handed over whole")
        if len(body) not in lengths:
            raise SealError(
                f"body {position} has {len(body)} bytes, expected one of {sorted(lengths)}"
            )
        state = prefix()
        state.update(body)
        if state.digest() != expected:
            raise SealError(
                f"body {position} hashes to {state.hexdigest()}, its header says {expected.hex()}"
            )
        checked.append(body)
    return checked


def verify_key(key: bytes, body: bytes) -> bytes:
    """
    Return `key` if `body` commits to it.

    Raises:
        SealError: it commits to another. Either a share was wrong, so that other committee
            members' shares may combine to the right key, or its contributor dealt wrong ones.
    """
    if digest("body-key", key) != body[:HASH_BYTES]:
        raise SealError("the body commits to another key; combine the shares of other members")
    return key


def open_body(key: bytes, body: bytes, ledger_id: bytes, member: int, tag: bytes) -> bytes:
    """
    Return the event in `body`. The commitment to `key` is checked before anything is decrypted.

    Raises:
        SealError: the body commits to another key, or was sealed for another place, or altered.
        MalformedError: it has a length that no body has, or its padding is not canonical.
    """
    if len(body) not in _BODY_LENGTHS:
        raise MalformedError(f"body has {len(body)} bytes, expected one of {sorted(_BODY_LENGTHS)}")
    verify_key(key, body)
    try:
        padded = AESGCM(key).decrypt(_NONCE, body[HASH_BYTES:], body_aad(ledger_id, member, tag))
    except InvalidTag as error:
        raise SealError(
            f"body of member {member} does not open: it was altered, or sealed for another ledger, "
            "member or tag"
        ) from error
    return unpad(padded)
