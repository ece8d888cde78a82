"""
Deposits: the shares that each committee member holds of a batch's keys, and the attachment that
carries them with the bodies (docs/formats.md, section 4).

A deposit is sealed to one committee member, under an `info` that names the batch by its
`events_root`. The batch commits to it twice: to the sealed bytes, so that everybody can tell who
altered what, and to the shares inside, so that a share can be proven wrong later by its path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from struct import Struct
from typing import Annotated, Final

from msgspec import Meta

from tradeline_ledger.body import BODY_BYTES_MAX
from tradeline_ledger.encoding import Codec, Record
from tradeline_ledger.errors import SealError
from tradeline_ledger.hashing import digest
from tradeline_ledger.hpke import (
    SEAL_OVERHEAD_BYTES,
    PrivateKey,
    PublicKey,
    deposit_info,
    open_sealed,
    seal,
)
from tradeline_ledger.merkle import levels_of, path_at, root_of
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.sharing import SHARE_BYTES
from tradeline_ledger.submission import EVENTS_MAX, Deposit

ATTACHMENT_BYTES_MAX: Final = 64 * 1024 * 1024
SEALED_BYTES_MAX: Final = SHARE_BYTES * EVENTS_MAX + SEAL_OVERHEAD_BYTES

_EACH_SHARE: Final = Struct(f"{SHARE_BYTES}s").iter_unpack
# Copying a prefixed state is faster than hashing a prefixed string. Never updated, only copied.
_LEAF_PREFIX: Final = hashlib.sha256(b"\x00")


class Attachment(Record, frozen=True):
    """A batch's bodies and sealed deposits: kept aside, never ordered, erasable."""

    bodies: Annotated[
        tuple[Annotated[bytes, Meta(max_length=BODY_BYTES_MAX)] | None, ...],
        Meta(min_length=1, max_length=EVENTS_MAX),
    ]
    """In batch order; None once erased."""
    sealed: Annotated[
        tuple[Annotated[bytes, Meta(max_length=SEALED_BYTES_MAX)] | None, ...],
        Meta(min_length=1, max_length=COMMITTEE_MAX),
    ]
    """By committee position; None once the batch's last event was erased."""


ATTACHMENT: Final[Codec[Attachment]] = Codec(Attachment, "attachment", ATTACHMENT_BYTES_MAX)


def sealed_hash(sealed: bytes) -> bytes:
    """Return `H("sealed", sealed bytes)`."""
    return digest("sealed", sealed)


def share_root(shares: bytes) -> bytes:
    """Return the RFC 6962 root over 32-byte `shares` in event order."""
    return root_of(_leaf_hashes(shares))


def share_paths(shares: bytes, positions: Sequence[int]) -> list[list[bytes]]:
    """Return, for the event at each of `positions`, the path of its share to `share_root`."""
    levels = levels_of(_leaf_hashes(shares))
    return [path_at(levels, position) for position in positions]


def make_deposits(
    shares: Sequence[bytes],
    recipients: Sequence[tuple[int, bytes]],
    *,
    ledger_id: bytes,
    member: int,
    epoch: int,
    events_root: bytes,
) -> tuple[list[Deposit], list[bytes]]:
    """
    Return what a batch of `member` commits to, and the sealed deposits themselves.

    `shares` are as `sharing.split` made them, and `recipients` the member id and HPKE public key of
    each committee member of `epoch`; both, and both results, are in committee order.

    Raises:
        MalformedError: a recipient's public key can't be sealed to.
    """
    assert len(shares) == len(recipients), (len(shares), len(recipients))
    deposits, sealed = [], []
    for own, (recipient, encoded_key) in zip(shares, recipients, strict=True):
        key = PublicKey.from_bytes(encoded_key)
        info = deposit_info(
            ledger_id,
            member=member,
            epoch=epoch,
            recipient=recipient,
            key_id=key.key_id,
            events_root=events_root,
        )
        sealed.append(seal(key, own, info))
        deposits.append(Deposit(sealed_hash(sealed[-1]), share_root(own)))
    return deposits, sealed


def open_deposit(
    private: PrivateKey, sealed: bytes, info: bytes, expected: Deposit, count: int
) -> bytes:
    """
    Return this committee member's `count` shares of 32 bytes, once they match the batch.

    `info` is the `hpke.deposit_info` of this key, and `expected` stands in the batch.

    Raises:
        SealError: other sealed bytes, sealed for another place, or other shares inside than the
            batch commits to; then the contributor has to deposit again.
    """
    if sealed_hash(sealed) != expected.sealed_hash:
        raise SealError(
            f"sealed deposit hashes to {sealed_hash(sealed).hex()}, the batch says "
            f"{expected.sealed_hash.hex()}"
        )
    shares = open_sealed(private, sealed, info)
    if len(shares) != SHARE_BYTES * count:
        raise SealError(
            f"deposit holds {len(shares)} bytes of shares, expected {SHARE_BYTES * count} for "
            f"{count} events"
        )
    root = share_root(shares)
    if root != expected.share_root:
        raise SealError(
            f"shares in the deposit have root {root.hex()}, the batch says "
            f"{expected.share_root.hex()}"
        )
    return shares


def _leaf_hashes(shares: bytes) -> list[bytes]:
    """Return `merkle.leaf_hash` of each share, with its look-ups done once."""
    prefix = _LEAF_PREFIX.copy
    hashes: list[bytes] = []
    append = hashes.append
    for (share,) in _EACH_SHARE(shares):
        state = prefix()
        state.update(share)
        append(state.digest())
    return hashes
