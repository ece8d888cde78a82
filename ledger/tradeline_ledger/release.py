"""
Releases: what a reader asks of a committee member and what it is answered.

docs/formats.md, section 7. Requests are sealed to the committee member, answers to the inquiry's
one-time key. An answer carries shares of the body keys and a signed history statement; proofs
travel beside it and come from any one committee member.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import (
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    Codec,
    Record,
    check_ascending,
)
from tradeline_ledger.hashing import digest
from tradeline_ledger.history import HistoryRow
from tradeline_ledger.signing import verify

if TYPE_CHECKING:
    from tradeline_ledger.signing import SigningKey

REQUEST_BYTES_MAX: Final = 64 * 1024
COMMON_BYTES_MAX: Final = 16 << 20
ANSWER_BYTES_MAX: Final = 64 << 20
PROOFS_BYTES_MAX: Final = 256 << 20
RELEASED_BYTES_MAX: Final = 256 * 1024
RELEASED_ROWS_MAX: Final = 1_000


class Want(enum.IntFlag):
    """What a release request asks for."""

    SHARES = 1
    PROOFS = 2
    SHARE_PATHS = 4


class YearKey(Record, frozen=True):
    """The `year_key` of one committed identifier."""

    year: U16
    year_key: B32


class ReleaseRequest(Record, frozen=True):
    """What a reader sends, sealed, to one committee member."""

    ledger_id: B32
    inquiry: U64
    """Log index of the inquiry."""
    public_key: bytes
    """The inquiry's one-time HPKE public key."""
    salt: B32
    """Salt of the consent's commitments."""
    year_keys: tuple[YearKey, ...]
    """Of all years of the inquiry and all committed identifiers."""
    want: U8
    """Sum of `Want`."""

    def __post_init__(self) -> None:
        """Refuse keys out of order."""
        check_ascending(tuple((k.year, k.year_key) for k in self.year_keys), "year keys")


class HistoryCommon(Record, frozen=True):
    """What every committee member must say alike of one inquiry."""

    ledger_id: B32
    inquiry: U64
    size: U64
    """Log size at the end of the inquiry's block."""
    root: B32
    scope_hash: B32
    rows: tuple[HistoryRow, ...]
    """The histories of the scope that are not empty, ascending by (member, tag)."""

    def __post_init__(self) -> None:
        """Refuse rows out of order."""
        check_ascending(tuple((row.member, row.tag) for row in self.rows), "history rows")


class EventShare(Record, frozen=True):
    """One committee member's share of one body key."""

    position: U32
    share: B32
    path: tuple[B32, ...] | None
    """To `share_root`, where asked for."""


class EntryShares(Record, frozen=True):
    """The shares for the events of one entry."""

    index: U64
    placed: U64
    """Log index of the submission or re-deposit that placed the deposits they are out of."""
    epoch: U32
    """Epoch of the deposits."""
    shares: tuple[EventShare, ...]


class Answer(Record, frozen=True):
    """What a committee member answers, sealed to the one-time key."""

    common: bytes
    """Exact bytes of `HistoryCommon`."""
    signature: B64
    """Sig(node key, "history", `history_message`)."""
    payload: bytes
    """Encoded `tuple[EntryShares, ...]`."""


class BatchPart(Record, frozen=True):
    """What leads from an `events_root` to the content hash of its submission."""

    epoch: U32
    count: U32
    events_root: B32
    deposits_hash: B32
    receipts_hash: B32


class EntryProof(Record, frozen=True):
    """One entry with its path; to the history's root, or to the checkpoint's if it came later."""

    index: U64
    leaf: bytes
    path: tuple[B32, ...]
    content: bytes | None
    """Content of an inquiry or a mark."""
    batch: BatchPart | None
    """In place of the content of a submission."""


class EventProof(Record, frozen=True):
    """One event with its path to the `events_root` of its entry."""

    member: U32
    index: U64
    position: U32
    header: bytes
    path: tuple[B32, ...]
    """Empty for an inquiry."""
    body: bytes | None
    """None for an inquiry and where the body was deleted."""


class Proofs(Record, frozen=True):
    """Everything that ties a report to the log, in log order."""

    entries: tuple[EntryProof, ...]
    events: tuple[EventProof, ...]


class ReleaseResponse(Record, frozen=True):
    """Body of the HTTP answer: the sealed answer, and the proofs where asked for."""

    sealed: bytes
    proofs: bytes | None
    """Encoded `Proofs`."""


class ReleasedRow(Record, frozen=True):
    """One release that the node gave."""

    inquiry: U64
    events: U32
    common_hash: B32
    """H("history-common", common)."""


REQUEST: Final[Codec[ReleaseRequest]] = Codec(ReleaseRequest, "release request", REQUEST_BYTES_MAX)
COMMON: Final[Codec[HistoryCommon]] = Codec(HistoryCommon, "history statement", COMMON_BYTES_MAX)
ANSWER: Final[Codec[Answer]] = Codec(Answer, "release answer", ANSWER_BYTES_MAX)
PAYLOAD: Final[Codec[tuple[EntryShares, ...]]] = Codec(
    tuple[EntryShares, ...], "release payload", ANSWER_BYTES_MAX
)
PROOFS: Final[Codec[Proofs]] = Codec(Proofs, "proofs", PROOFS_BYTES_MAX)
RESPONSE: Final[Codec[ReleaseResponse]] = Codec(
    ReleaseResponse, "release response", ANSWER_BYTES_MAX + PROOFS_BYTES_MAX
)
RELEASED: Final[Codec[tuple[ReleasedRow, ...]]] = Codec(
    tuple[ReleasedRow, ...], "released record", RELEASED_BYTES_MAX
)


def common_hash(common: bytes) -> bytes:
    """Return the hash that names a history statement."""
    return digest("history-common", common)


def payload_hash(payload: bytes) -> bytes:
    """Return the hash by which the signature binds the shares."""
    return digest("payload", payload)


def history_message(common: bytes, validator: int, payload: bytes) -> bytes:
    """Return what a committee member signs, from `common_hash` and `payload_hash`."""
    return common + validator.to_bytes(4, "big") + payload


def sign_history(key: SigningKey, common: bytes, validator: int, payload: bytes) -> bytes:
    """Return the signature of committee member `validator` under statement and payload."""
    return key.sign(
        "history", history_message(common_hash(common), validator, payload_hash(payload))
    )


def verify_history(
    node_key: bytes, common: bytes, validator: int, payload: bytes, signature: bytes
) -> None:
    """
    Accept a history statement of committee member `validator`.

    `common` and `payload` are the hashes, see `common_hash` and `payload_hash`.

    Raises:
        SignatureError: the signature is not by that node key.
    """
    verify(node_key, "history", history_message(common, validator, payload), signature)
