"""
The state that the transition reads and writes: rows of one key-value space.

A key is one table letter and fixed-width big-endian fields, a value a canonical record. The
state is a function of the log: whoever replays the log arrives at the same rows. Upper-case
letters are taken here; what a node derives for itself (tree nodes, indexes) uses lower case.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from tradeline_ledger.consent import TERMS, Terms
from tradeline_ledger.encoding import B16, B32, U8, U16, U32, U64, Codec, Record
from tradeline_ledger.errors import DamagedError, MalformedError

T = TypeVar("T")

_ROW_BYTES_MAX: Final = 128 * 1024


class View(Protocol):
    """Read access to the state before an entry."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, None if there is none."""
        ...


class FeedState(Record, frozen=True):
    """Where a feed stands."""

    next_seq: U64
    prev: B32
    """`statement_hash` of its last statement."""
    index: U64
    """Log index of its last statement."""


class SubmissionState(Record, frozen=True):
    """An accepted submission, by log index."""

    member: U32
    epoch: U32
    count: U32
    batch_hash: B32
    time_ms: U64
    """Block time."""
    holders: U16
    """Whose receipts counted: bit p for committee position p."""


class RedepositState(Record, frozen=True):
    """An accepted re-deposit, by log index."""

    submission: U64
    """Log index of the submission."""
    epoch: U32
    hash: B32
    """`redeposit_hash`."""
    time_ms: U64
    """Block time."""
    holders: U16
    """As of a submission."""
    before: U64 | None
    """Log index of the re-deposit of the same submission before this one."""


class MarkState(Record, frozen=True):
    """What marks made of one event."""

    erased: bool
    retain_month: U16 | None
    """In place of the header's, if a mark moved it."""


class ConsentStanding(enum.IntEnum):
    """Where a consent stands, its window aside."""

    ACTIVE = 1
    PAUSED = 2
    REVOKED = 3
    TERMINATED = 4
    SUPERSEDED = 5

    @property
    def ended(self) -> bool:
        """Whether it can never be used again."""
        return self >= ConsentStanding.REVOKED


class Actor(enum.IntEnum):
    """Who changed a consent last."""

    SECOND = 1
    SUBJECT = 2
    READER = 3


class ConsentState(Record, frozen=True):
    """An accepted consent."""

    index: U64
    """Log index of the consent."""
    terms: bytes
    standing: U8
    """A `ConsentStanding`."""
    by: U8
    """`Actor` of the last change, 0 before any."""
    changes: U32
    """Accepted changes so far."""
    changed_index: U64
    """Log index of the last change, or of the consent."""


class InquiryState(Record, frozen=True):
    """An accepted inquiry, by log index."""

    consent_id: B16
    member: U32
    height: U64
    time_ms: U64
    """Block time."""


class HeadState(Record, frozen=True):
    """The end of the log."""

    height: U64
    """Of the last block leaf."""
    time_ms: U64
    size: U64
    """Leaves, the last block leaf included."""
    block_hash: B32
    """Leaf hash of the last block leaf."""


@dataclass(frozen=True, slots=True)
class Deposits:
    """The deposits of a submission that were in force at some log size."""

    placed: int
    """Log index of the submission or re-deposit that placed them."""
    epoch: int
    hash: bytes
    """`batch_hash` or `redeposit_hash`: what custody knows them by."""
    time_ms: int
    """Time of the block that placed them."""
    holders: int
    """Whose receipts counted: bit p for committee position p."""


FEED: Final[Codec[FeedState]] = Codec(FeedState, "feed state", _ROW_BYTES_MAX)
SUBMISSION: Final[Codec[SubmissionState]] = Codec(
    SubmissionState, "submission state", _ROW_BYTES_MAX
)
REDEPOSIT: Final[Codec[RedepositState]] = Codec(RedepositState, "redeposit state", _ROW_BYTES_MAX)
MARK: Final[Codec[MarkState]] = Codec(MarkState, "mark state", _ROW_BYTES_MAX)
CONSENT: Final[Codec[ConsentState]] = Codec(ConsentState, "consent state", _ROW_BYTES_MAX)
INQUIRY: Final[Codec[InquiryState]] = Codec(InquiryState, "inquiry state", _ROW_BYTES_MAX)
HEAD: Final[Codec[HeadState]] = Codec(HeadState, "head state", _ROW_BYTES_MAX)

HEAD_KEY: Final = b"H"
MEMBER_PREFIX: Final = b"G"
EPOCH_PREFIX: Final = b"O"
SETTINGS_PREFIX: Final = b"T"
PROPOSAL_PREFIX: Final = b"A"
WAITING_KEY: Final = b"N"
"""Of the one row with the proposals that wait."""
CONSENT_PREFIX: Final = b"C"
SUBMISSION_PREFIX: Final = b"S"
REDEPOSIT_PREFIX: Final = b"E"
MARK_PREFIX: Final = b"M"
CUSTODY_PREFIX: Final = b"Q"
INQUIRY_PREFIX: Final = b"I"
FEED_PREFIX: Final = b"F"


def read(view: View, codec: Codec[T], key: bytes) -> T | None:
    """
    Return the row under `key`, None if there is none.

    Raises:
        DamagedError: there is one, and it does not decode.
    """
    value = view.get(key)
    if value is None:
        return None
    try:
        return codec.decode(value)
    except MalformedError as error:
        raise DamagedError(
            f"state row {key.hex()} is damaged: {error}; restore the store or build it anew"
        ) from error


def read_consent(view: View, consent_id: bytes) -> tuple[ConsentState, Terms] | None:
    """
    Return an accepted consent with its terms, None if there is none.

    Raises:
        DamagedError: there is one, and it does not decode.
    """
    row = read(view, CONSENT, consent_key(consent_id))
    if row is None:
        return None
    try:
        return row, TERMS.decode(row.terms)
    except MalformedError as error:
        raise DamagedError(f"terms of consent {consent_id.hex()} are damaged: {error}") from error


def deposits_at(view: View, index: int, size: int) -> Deposits | None:
    """
    Return the deposits of the submission at `index` in force after `size` leaves: the last.

    None if no accepted submission stands there below that size.

    Raises:
        DamagedError: a row does not decode.
    """
    submission = read(view, SUBMISSION, submission_key(index))
    if submission is None or index >= size:
        return None
    for placed, row in _redeposits(view, index):
        if placed < size:
            return Deposits(placed, row.epoch, row.hash, row.time_ms, row.holders)
    return Deposits(
        index, submission.epoch, submission.batch_hash, submission.time_ms, submission.holders
    )


def redeposits(view: View, index: int) -> list[int]:
    """
    Return the log indexes of all re-deposits of the submission at `index`, the last one first.

    Raises:
        DamagedError: a row is missing or does not decode.
    """
    return [placed for placed, _ in _redeposits(view, index)]


def said_bad(view: View, placed: int, validator: int) -> bool:
    """Return whether a committee member posted that its deposit of those placed there is bad."""
    value = view.get(custody_key(placed, validator))
    return value is not None and not int.from_bytes(value, "big") & 1


def count(view: View, key: bytes) -> int:
    """Return the counter under `key`, 0 if there is none."""
    return int.from_bytes(view.get(key) or b"", "big")


def counter(value: int) -> bytes:
    """Return the value of a counter's row."""
    return value.to_bytes(8, "big")


def feed_key(member: int, feed: int) -> bytes:
    """Return the key of a `FeedState`."""
    return FEED_PREFIX + _u32(member) + _u32(feed)


def submission_key(index: int) -> bytes:
    """Return the key of a `SubmissionState`."""
    return SUBMISSION_PREFIX + _u64(index)


def batch_key(batch_hash: bytes) -> bytes:
    """Return the key of the log index at which a batch was accepted, a counter row."""
    return b"B" + batch_hash


def redeposit_key(index: int) -> bytes:
    """Return the key of a `RedepositState`."""
    return REDEPOSIT_PREFIX + _u64(index)


def latest_key(index: int) -> bytes:
    """Return the key of the log index of the last re-deposit of a submission, a counter row."""
    return b"L" + _u64(index)


def erased_key(index: int) -> bytes:
    """Return the key of the count of erased events of a submission."""
    return b"V" + _u64(index)


def custody_key(placed: int, validator: int) -> bytes:
    """Return the key of what a committee member said of deposits: record's index * 2 + ok."""
    return CUSTODY_PREFIX + _u64(placed) + _u32(validator)


def held_key(epoch: int) -> bytes:
    """Return the key of the count of batches whose deposits in force are of an epoch."""
    return b"W" + _u32(epoch)


def mark_key(index: int, position: int) -> bytes:
    """Return the key of a `MarkState`."""
    return MARK_PREFIX + _u64(index) + _u32(position)


def consent_key(consent_id: bytes) -> bytes:
    """Return the key of a `ConsentState`."""
    return CONSENT_PREFIX + consent_id


def revoke_key(consent_id: bytes, member: int) -> bytes:
    """Return the key of the log index of a revoke that came before its consent."""
    return b"R" + consent_id + _u32(member)


def reads_key(consent_id: bytes, bucket: int) -> bytes:
    """Return the key of the count of reads of a consent in one calendar unit."""
    return b"U" + consent_id + _u64(bucket)


def inquiry_key(index: int) -> bytes:
    """Return the key of an `InquiryState`."""
    return INQUIRY_PREFIX + _u64(index)


def released_key(inquiry: int, validator: int) -> bytes:
    """Return the key of the log index of a released record's row."""
    return b"P" + _u64(inquiry) + _u32(validator)


def refused_key(member: int, day: int) -> bytes:
    """Return the key of the count of refused entries of a member and day."""
    return b"D" + _u32(member) + _u64(day)


def quality_key(member: int, month: int) -> bytes:
    """Return the key of a member's last accepted quality statement on a month."""
    return b"Y" + _u32(member) + month.to_bytes(2, "big")


def key_changes_key(member: int) -> bytes:
    """Return the key of the count of key changes of a member."""
    return b"K" + _u32(member)


def member_key(member: int, from_height: int) -> bytes:
    """Return the key of a member record version."""
    return MEMBER_PREFIX + _u32(member) + _u64(from_height)


def epoch_key(epoch: int) -> bytes:
    """Return the key of an epoch record."""
    return EPOCH_PREFIX + _u32(epoch)


def settings_key(from_height: int) -> bytes:
    """Return the key of a settings record."""
    return SETTINGS_PREFIX + _u64(from_height)


def _redeposits(view: View, index: int) -> Iterator[tuple[int, RedepositState]]:
    placed = count(view, latest_key(index)) or None
    while placed is not None:
        row = read(view, REDEPOSIT, redeposit_key(placed))
        if row is None:
            raise DamagedError(f"the state row of re-deposit {placed} is missing")
        yield placed, row
        placed = row.before


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "big")
