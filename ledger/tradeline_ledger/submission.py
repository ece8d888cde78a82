"""
Submissions: a batch of event headers with its deposits and receipts (docs/formats.md, section 4).

An event header always encodes to `HEADER_BYTES`: its month number is at least 256. So a batch is
checked as one matrix of bytes, and a header is found by its position without decoding the rest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tradeline_ledger.encoding import B32, B64, U32, U64, Codec, Record, check_ascending, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import digest
from tradeline_ledger.merkle import levels_of, path_of
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.signing import verify
from tradeline_ledger.statement import CONTENT_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.signing import SigningKey

EVENTS_MAX: Final = 10_000
"""Most events of one batch."""
TAG_BYTES: Final = 16
HEADER_BYTES: Final = 56
RETAIN_MONTH_MIN: Final = 256
"""Smallest month number, so that every header has the same length."""
RETAIN_MONTH_MAX: Final = 0xFFFF
GROUP_LEVEL: Final = 4
"""Level of the events tree whose nodes a batch keeps: each covers a group of 16 events."""

_TAG_AT: Final = 3
_MONTH_AT: Final = 20
_HASH_AT: Final = 24
_FRAME: Final = np.zeros(HEADER_BYTES, dtype=np.uint8)
_FRAME[[0, 1, 2, 19, 22, 23]] = np.frombuffer(b"\x93\xc4\x10\xcd\xc4\x20", dtype=np.uint8)
_FRAME_AT: Final = np.array([0, 1, 2, 19, 22, 23])
_FIXARRAY: Final = 0x90
_FIXARRAY_MAX: Final = 15
_ARRAY_16: Final = 0xDC
_EMPTY_ARRAY: Final = b"\x90"
_UINT_8: Final = 0xCC
"""First byte of the shortest integer that takes more than one."""
_DEPOSIT_BYTES: Final = 69
"""Of an encoded `Deposit`."""
_LEAF_PREFIX: Final = b"\x00"


class Deposit(Record, frozen=True):
    """What one committee member's sealed shares are committed to by."""

    sealed_hash: B32
    """H("sealed", sealed bytes)."""
    share_root: B32
    """RFC 6962 root over the shares in event order."""


class Receipt(Record, frozen=True):
    """A committee member's word that it holds the attachment."""

    validator: U32
    expires_ms: U64
    """Counts in blocks whose time is not past it."""
    signature: B64
    """Sig(node key, "receipt", encode([ledger_id, validator, member, batch_hash, expires_ms]))."""


class _Batch(Record, frozen=True):
    epoch: U32
    headers: tuple[()]
    deposits: tuple[Deposit, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.deposits) <= COMMITTEE_MAX:
            raise ValueError(f"{len(self.deposits)} deposits, expected 1 to {COMMITTEE_MAX}")


class _Content(Record, frozen=True):
    batch: _Batch
    receipts: tuple[Receipt, ...]

    def __post_init__(self) -> None:
        check_ascending(tuple(each.validator for each in self.receipts), "receipts")


_CONTENT: Final[Codec[_Content]] = Codec(_Content, "submission", CONTENT_BYTES_MAX)
_BATCH: Final[Codec[_Batch]] = Codec(_Batch, "batch", CONTENT_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Batch:
    """Headers and deposits of one batch, and the hashes that bind them."""

    epoch: int
    count: int
    headers: bytes
    """`count` event headers of `HEADER_BYTES` each."""
    deposits: tuple[Deposit, ...]
    """By committee position."""
    leaf_hashes: tuple[bytes, ...]
    """RFC 6962 leaf hashes of the headers."""
    groups: tuple[bytes, ...]
    """Root of each group of 16 events, in order, from which paths are made without the rest."""
    events_root: bytes

    def header(self, position: int) -> bytes:
        """Return the encoded header of the event at `position`."""
        return self.headers[position * HEADER_BYTES : (position + 1) * HEADER_BYTES]

    def tag(self, position: int) -> bytes:
        """Return the tag of the event at `position`."""
        return header_tag(self.header(position))

    def body_hashes(self) -> list[bytes]:
        """Return every event's body hash, in order."""
        at, end = _HASH_AT, len(self.headers)
        return [self.headers[i : i + 32] for i in range(at, end, HEADER_BYTES)]

    def tags(self) -> list[bytes]:
        """Return every event's tag, in order."""
        at, end = _TAG_AT, len(self.headers)
        return [self.headers[i : i + TAG_BYTES] for i in range(at, end, HEADER_BYTES)]

    def retain_months(self) -> list[int]:
        """Return every event's `retain_month`, in order."""
        high, low = (
            self.headers[_MONTH_AT::HEADER_BYTES],
            self.headers[_MONTH_AT + 1 :: HEADER_BYTES],
        )
        return [first << 8 | second for first, second in zip(high, low, strict=True)]

    def deposits_hash(self) -> bytes:
        """Return H("deposits", encode(deposits))."""
        return digest("deposits", encode(self.deposits))

    def hash(self, ledger_id: bytes, member: int) -> bytes:
        """Return the `batch_hash` under which custody and receipts know the batch."""
        return batch_hash(
            ledger_id,
            member=member,
            epoch=self.epoch,
            count=self.count,
            events_root=self.events_root,
            deposits_hash=self.deposits_hash(),
        )

    def path(self, position: int) -> list[bytes]:
        """Return the inclusion path of an event header to `events_root`."""
        return path_of(self.leaf_hashes, position)

    def encode(self) -> bytes:
        """Return the encoded batch, as it goes to custody and into the content."""
        return (
            b"\x93"
            + encode(self.epoch)
            + _array_header(self.count)
            + self.headers
            + encode(self.deposits)
        )


@dataclass(frozen=True, slots=True)
class Submission:
    """Decoded content of a submission."""

    batch: Batch
    receipts: tuple[Receipt, ...]
    """Ascending by validator."""

    def receipts_hash(self) -> bytes:
        """Return H("receipts", encode(receipts))."""
        return digest("receipts", encode(self.receipts))

    def content_hash(self, ledger_id: bytes, member: int) -> bytes:
        """Return what the statement of the submission signs."""
        return submission_hash(self.batch.hash(ledger_id, member), self.receipts_hash())


class SubmissionParts(NamedTuple):
    """What a submission's content hash is made of beside `events_root`; see `BatchPart`."""

    epoch: int
    events: int
    """How many there are."""
    deposits_hash: bytes
    receipts_hash: bytes


def make_batch(
    epoch: int,
    tags: Sequence[bytes],
    retain_months: Sequence[int],
    body_hashes: Sequence[bytes],
    deposits: Sequence[Deposit],
) -> Batch:
    """
    Return the batch of events given column by column; each column has one item an event.

    Raises:
        MalformedError: no events, too many, or a month below `RETAIN_MONTH_MIN`.
    """
    headers = encode_headers(tags, retain_months, body_hashes)
    _check_frame(np.frombuffer(headers, dtype=np.uint8).reshape(-1, HEADER_BYTES), "batch")
    return _batch(epoch, headers, tuple(deposits))


def encode_headers(
    tags: Sequence[bytes], retain_months: Sequence[int], body_hashes: Sequence[bytes]
) -> bytes:
    """Return the event headers, `HEADER_BYTES` each, of columns of equal length."""
    count = len(tags)
    assert count == len(retain_months) == len(body_hashes), "columns differ in length"
    rows = np.tile(_FRAME, (count, 1))
    rows[:, _TAG_AT : _TAG_AT + TAG_BYTES] = _column(tags, TAG_BYTES)
    months = np.asarray(retain_months, dtype=">u2")
    rows[:, _MONTH_AT : _MONTH_AT + 2] = months.view(np.uint8).reshape(count, 2)
    rows[:, _HASH_AT:] = _column(body_hashes, 32)
    return rows.tobytes()


def decode_batch(encoded: bytes) -> Batch:
    """
    Return the batch that `encoded` is the canonical encoding of.

    Raises:
        MalformedError: it is none.
    """
    headers, rest = _split_headers(encoded, 0, "batch")
    batch = _BATCH.decode(rest)
    return _batch(batch.epoch, headers, batch.deposits)


def encode_submission(batch: Batch, receipts: Sequence[Receipt]) -> bytes:
    """Return the content of a submission."""
    return b"\x92" + batch.encode() + encode(tuple(receipts))


def decode_submission(content: bytes) -> Submission:
    """
    Return the submission that `content` is the canonical encoding of.

    Raises:
        MalformedError: it is none.
    """
    if len(content) > CONTENT_BYTES_MAX:
        raise MalformedError(f"submission has {len(content)} bytes, at most {CONTENT_BYTES_MAX}")
    if content[:1] != b"\x92":
        raise MalformedError("submission is not an array of batch and receipts")
    headers, rest = _split_headers(content, 1, "submission")
    decoded = _CONTENT.decode(rest)
    batch = _batch(decoded.batch.epoch, headers, decoded.batch.deposits)
    return Submission(batch, decoded.receipts)


def header_count(content: bytes) -> int:
    """Return how many events a submission has that was decoded before."""
    return _headers_start(content, 1, "submission")[1]


def header_at(content: bytes, position: int) -> bytes:
    """
    Return the encoded header of one event of a submission that was decoded before.

    Costs the same for every batch size; `content` must be of an accepted submission.
    """
    return headers_at(content, position, position + 1)[0]


def headers_at(content: bytes, first: int, end: int) -> list[bytes]:
    """Return the encoded headers of the events [first, end), see `header_at`."""
    start, count = _headers_start(content, 1, "submission")
    assert 0 <= first < end <= count, (first, end, count)
    places = range(start + first * HEADER_BYTES, start + end * HEADER_BYTES, HEADER_BYTES)
    return [content[at : at + HEADER_BYTES] for at in places]


def parts_at(content: bytes) -> SubmissionParts:
    """
    Return what a submission that was decoded before commits to beside its events.

    Costs little more than hashing that; `content` must be of an accepted submission.
    """
    start, count = _headers_start(content, 1, "submission")
    end = start + count * HEADER_BYTES
    first = content[2]
    epoch = int.from_bytes(content[3 : start - len(_array_header(count))], "big")
    head = content[end]
    deposits = head & 0x0F if head & 0xF0 == _FIXARRAY else COMMITTEE_MAX
    rest = end + len(_array_header(deposits)) + deposits * _DEPOSIT_BYTES
    return SubmissionParts(
        first if first < _UINT_8 else epoch,
        count,
        digest("deposits", content[end:rest]),
        digest("receipts", content[rest:]),
    )


def check_header(header: bytes) -> bytes:
    """
    Return `header` if it is the canonical encoding of an event header.

    Raises:
        MalformedError: it is not.
    """
    if len(header) != HEADER_BYTES:
        raise MalformedError(f"event header has {len(header)} bytes, expected {HEADER_BYTES}")
    _check_frame(np.frombuffer(header, dtype=np.uint8).reshape(1, HEADER_BYTES), "event header")
    return header


def header_tag(header: bytes) -> bytes:
    """Return the tag of an encoded event header."""
    return header[_TAG_AT : _TAG_AT + TAG_BYTES]


def header_retain_month(header: bytes) -> int:
    """Return the month number of an encoded event header."""
    return int.from_bytes(header[_MONTH_AT : _MONTH_AT + 2], "big")


def header_body_hash(header: bytes) -> bytes:
    """Return the body hash of an encoded event header."""
    return header[_HASH_AT:]


def batch_hash(
    ledger_id: bytes,
    *,
    member: int,
    epoch: int,
    count: int,
    events_root: bytes,
    deposits_hash: bytes,
) -> bytes:
    """Return the hash that names a batch of `member`."""
    numbers = member.to_bytes(4, "big") + epoch.to_bytes(4, "big") + count.to_bytes(4, "big")
    return digest("batch", ledger_id + numbers + events_root + deposits_hash)


def submission_hash(batch: bytes, receipts_hash: bytes) -> bytes:
    """Return the content hash of a submission from its `batch_hash` and receipts hash."""
    return digest("submission", batch + receipts_hash)


def sign_receipt(
    key: SigningKey,
    ledger_id: bytes,
    *,
    validator: int,
    member: int,
    batch: bytes,
    expires_ms: int,
) -> Receipt:
    """Return the receipt of committee member `validator` for batch hash `batch` of `member`."""
    message = encode((ledger_id, validator, member, batch, expires_ms))
    return Receipt(validator, expires_ms, key.sign("receipt", message))


def verify_receipt(
    node_key: bytes, ledger_id: bytes, member: int, batch: bytes, receipt: Receipt
) -> Receipt:
    """
    Return `receipt` if it is that node key's, for batch hash `batch` of `member`.

    Raises:
        SignatureError: it is not.
    """
    message = encode((ledger_id, receipt.validator, member, batch, receipt.expires_ms))
    verify(node_key, "receipt", message, receipt.signature)
    return receipt


def _batch(epoch: int, headers: bytes, deposits: tuple[Deposit, ...]) -> Batch:
    count = len(headers) // HEADER_BYTES
    if not 0 < count <= EVENTS_MAX:
        raise MalformedError(f"batch has {count} events, expected 1 to {EVENTS_MAX}")
    leaves = _leaf_hashes(headers)
    levels = levels_of(leaves)
    groups = tuple(levels[min(GROUP_LEVEL, len(levels) - 1)])
    return Batch(epoch, count, headers, deposits, leaves, groups, levels[-1][0])


def _leaf_hashes(headers: bytes) -> tuple[bytes, ...]:
    sha256, end, step = hashlib.sha256, len(headers), HEADER_BYTES
    prefix = _LEAF_PREFIX
    return tuple([sha256(prefix + headers[i : i + step]).digest() for i in range(0, end, step)])


def _split_headers(encoded: bytes, at: int, what: str) -> tuple[bytes, bytes]:
    """Return the headers and the encoding with an empty array in their place."""
    start, count = _headers_start(encoded, at, what)
    end = start + count * HEADER_BYTES
    headers = encoded[start:end]
    if len(headers) != count * HEADER_BYTES:
        raise MalformedError(f"{what} ends within its event headers")
    rows = np.frombuffer(headers, dtype=np.uint8).reshape(count, HEADER_BYTES)
    _check_frame(rows, what)
    prefix = encoded[: start - len(_array_header(count))]
    return headers, prefix + _EMPTY_ARRAY + encoded[end:]


def _check_frame(rows: np.ndarray[tuple[int, int], np.dtype[np.uint8]], what: str) -> None:
    framed = (rows[:, _FRAME_AT] == _FRAME[_FRAME_AT]).all(axis=1) & (rows[:, _MONTH_AT] > 0)
    if not framed.all():
        position = int(np.argmin(framed))
        raise MalformedError(
            f"{what}: event header {position} is not [tag b16, retain_month u16 of at least "
            f"{RETAIN_MONTH_MIN}, body_hash b32]"
        )


def _headers_start(encoded: bytes, at: int, what: str) -> tuple[int, int]:
    """Return where the first header stands and how many there are."""
    if encoded[at : at + 1] != b"\x93":
        raise MalformedError(f"{what}: a batch is an array of epoch, headers and deposits")
    first = encoded[at + 1] if len(encoded) > at + 1 else 0
    at += 2 + {_UINT_8: 1, 0xCD: 2, 0xCE: 4}.get(first, 0)
    head = encoded[at] if len(encoded) > at else 0
    if head & 0xF0 == _FIXARRAY:
        start, count = at + 1, head & 0x0F
    elif head == _ARRAY_16:
        start, count = at + 3, int.from_bytes(encoded[at + 1 : at + 3], "big")
    else:
        raise MalformedError(f"{what}: no array of 1 to {EVENTS_MAX} event headers")
    if not 0 < count <= EVENTS_MAX or encoded[at:start] != _array_header(count):
        raise MalformedError(f"{what}: no array of 1 to {EVENTS_MAX} event headers")
    return start, count


def _array_header(count: int) -> bytes:
    if count <= _FIXARRAY_MAX:
        return bytes([_FIXARRAY | count])
    return bytes([_ARRAY_16]) + count.to_bytes(2, "big")


def _column(values: Sequence[bytes], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    joined = b"".join(values)
    assert len(joined) == len(values) * width, (len(joined), width)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(values), width)
