"""
Consensus votes as CometBFT signs them: the sign bytes of its `CanonicalVote`.

    CanonicalVote   1 type varint · 2 height sfixed64 · 3 round sfixed64 · 4 block id · 5 time
                    6 chain id
    block id        1 hash · 2 parts (1 total varint, 2 hash); left out of a vote for no block
    time            1 seconds varint · 2 nanoseconds varint

Protocol buffers with a length before them; numbers that are 0 and texts that are empty are left
out, `parts` and `time` never. Only what a proof of two votes needs is here: votes are made and
counted by the engine.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import B64, U8, U32, Record
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.signing import verify_raw

CHAIN_ID_PREFIX: Final = "tl-"
HEIGHT_MAX: Final = 2**63 - 1
ROUND_MAX: Final = 2**31 - 1
SECONDS_MIN: Final = -62_135_596_800
"""0001-01-01, where CometBFT's time begins."""
SECONDS_MAX: Final = 253_402_300_799
NANOS_MAX: Final = 999_999_999

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_U64: Final = 2**64
_VARINT_7_BITS: Final = 0x7F
_HASH = Annotated[bytes, Meta(max_length=HASH_BYTES)]


@enum.unique
class VoteType(enum.IntEnum):
    """Which of the two votes of a round."""

    PREVOTE = 1
    PRECOMMIT = 2


class Ballot(Record, frozen=True):
    """What a validator votes on, once."""

    type: U8
    """A `VoteType`."""
    height: Annotated[int, Meta(ge=1, le=HEIGHT_MAX)]
    """Of the engine."""
    round: Annotated[int, Meta(ge=0, le=ROUND_MAX)]

    def __post_init__(self) -> None:
        """Refuse other types of vote."""
        if self.type not in set(VoteType):
            raise ValueError(f"type of the vote is {self.type}, expected 1 or 2")


class BlockVote(Record, frozen=True):
    """What a validator voted for, when, and its signature."""

    block_hash: _HASH
    """32 bytes; empty in a vote for no block."""
    parts: U32
    """How many parts the block has."""
    parts_hash: _HASH
    """32 bytes; empty in a vote for no block."""
    seconds: Annotated[int, Meta(ge=SECONDS_MIN, le=SECONDS_MAX)]
    nanos: Annotated[int, Meta(ge=0, le=NANOS_MAX)]
    signature: B64
    """By the engine key, over `vote_bytes`."""

    def __post_init__(self) -> None:
        """Refuse a block id that is neither complete nor empty."""
        whole = len(self.block_hash) == len(self.parts_hash) == HASH_BYTES
        if not whole and (self.block_hash or self.parts or self.parts_hash):
            raise ValueError("a vote names a block with two hashes of 32 bytes, or no block")

    @property
    def block(self) -> tuple[bytes, int, bytes]:
        """The block voted for; empty hashes for no block."""
        return self.block_hash, self.parts, self.parts_hash


def chain_id_of(ledger_id: bytes) -> str:
    """Return the engine's chain id of a ledger."""
    return CHAIN_ID_PREFIX + ledger_id.hex()[:40]


def vote_bytes(chain_id: str, ballot: Ballot, vote: BlockVote) -> bytes:
    """Return what the engine signs for `vote`."""
    message = _number(1, ballot.type) + _fixed(2, ballot.height) + _fixed(3, ballot.round)
    if vote.block_hash:
        parts = _number(1, vote.parts) + _text(2, vote.parts_hash)
        message += _message(4, _text(1, vote.block_hash) + _message(2, parts))
    message += _message(5, _number(1, vote.seconds) + _number(2, vote.nanos))
    message += _text(6, chain_id.encode())
    return _varint(len(message)) + message


def verify_vote(engine_key: bytes, chain_id: str, ballot: Ballot, vote: BlockVote) -> None:
    """
    Accept a vote that is signed with `engine_key`.

    Raises:
        SignatureError: it is not.
    """
    verify_raw(engine_key, vote_bytes(chain_id, ballot, vote), vote.signature)


def _varint(value: int) -> bytes:
    """Return a varint; of a negative number that of its two's complement in 64 bits."""
    value %= _U64
    encoded = bytearray()
    while value > _VARINT_7_BITS:
        encoded.append(value & _VARINT_7_BITS | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value) if value else b""


def _fixed(field: int, value: int) -> bytes:
    return _varint(field << 3 | _FIXED64) + value.to_bytes(8, "little") if value else b""


def _message(field: int, encoded: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(encoded)) + encoded


def _text(field: int, value: bytes) -> bytes:
    return _message(field, value) if value else b""
