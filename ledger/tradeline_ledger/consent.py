"""
Consents and their changes of status (docs/formats.md, section 7).

A consent is immutable: its id is the hash of its terms, and a change is a new consent. Salts and
identifiers stay off the ledger; the terms hold commitments to the `year_key`s that they open.
"""

from __future__ import annotations

import enum
from typing import Final

from tradeline_ledger.encoding import (
    B16,
    B32,
    B64,
    U8,
    U16,
    U32,
    U64,
    Codec,
    Record,
    check_ascending,
    encode,
)
from tradeline_ledger.hashing import digest
from tradeline_ledger.tag import Category

TERMS_VERSION: Final = 1
TERMS_BYTES_MAX: Final = 64 * 1024
CONSENT_BYTES_MAX: Final = TERMS_BYTES_MAX + 512
STATUS_BYTES_MAX: Final = 256
COMMITMENTS_MAX: Final = 512
CONTRIBUTORS_MAX: Final = 4096
TEMPLATE_CHARS_MAX: Final = 32
LANGUAGE_CHARS_MAX: Final = 16
FREQUENCY_MAX: Final = 1_000_000
CONSENT_ID_BYTES: Final = 16
SALT_BYTES: Final = 32


@enum.unique
class ConsentBasis(enum.IntEnum):
    """Why the read is lawful."""

    CONSENT = 1
    SUPERVISORY = 2
    """Reserved: needs a passed proposal."""
    POST_LOAN = 3
    """Reserved: needs a live account of the reader's."""


@enum.unique
class Purpose(enum.IntEnum):
    """What the read is for."""

    LOAN_APPLICATION = 1
    CARD_APPLICATION = 2
    GUARANTOR = 3
    POST_LOAN = 4
    LEGAL_REPRESENTATIVE = 5
    SELF_ACCESS = 6
    DISPUTE = 7
    SUPERVISORY = 8


@enum.unique
class FrequencyUnit(enum.IntEnum):
    """The calendar unit in which reads are counted."""

    ONCE = 0
    DAY = 1
    MONTH = 2
    YEAR = 3


@enum.unique
class EvidenceType(enum.IntEnum):
    """What the subject's agreement is recorded in."""

    SD_JWT = 1
    ACCOUNT_AGGREGATOR = 2
    SIGNED_DOCUMENT = 3
    WET_INK = 4


@enum.unique
class Change(enum.IntEnum):
    """A change of a consent's status."""

    PAUSE = 1
    RESUME = 2
    REVOKE = 3
    TERMINATE = 4


@enum.unique
class ChangeReason(enum.IntEnum):
    """Why a consent's status changes."""

    SUBJECT = 1
    """The subject wishes so."""
    READER = 2
    """The reader needs it no more."""
    EVIDENCE = 3
    """The evidence does not hold."""
    ERROR = 4
    """It was granted by mistake."""


class Commitment(Record, frozen=True):
    """Salted commitment to the `year_key` of one identifier of the subject."""

    year: U16
    commitment: B32
    """H("year-key", salt || year u16 || year_key)."""


class Frequency(Record, frozen=True):
    """How often the consent may be used."""

    unit: U8
    """A `FrequencyUnit`."""
    max: U32
    """Reads in one unit; 1 for ONCE."""


class DataLife(Record, frozen=True):
    """How long the reader may keep what it read."""

    unit: U8
    """1 day, 2 month, 3 year."""
    life: U16
    """0: only while it decides."""


class Evidence(Record, frozen=True):
    """The record of the subject's agreement, kept by the second member."""

    type: U8
    """An `EvidenceType`."""
    hash: B32


class Terms(Record, frozen=True):
    """What the subject agreed to."""

    version: U8
    """1."""
    ledger_id: B32
    grantee: U32
    """The reader."""
    basis: U8
    """A `ConsentBasis`."""
    second: U32
    """The member that identified the subject."""
    proposal: B16 | None
    """None but for basis SUPERVISORY."""
    purpose: U16
    """A `Purpose`."""
    categories: tuple[U8, ...]
    """Ascending; inquiries are always included and never listed."""
    contributors: tuple[U32, ...] | None
    """Ascending member ids; None: all."""
    commitments: tuple[Commitment, ...]
    """Ascending by year, then commitment; every year of range and validity."""
    from_ms: U64
    until_ms: U64
    """The consent runs in [from_ms, until_ms)."""
    frequency: Frequency
    life: DataLife
    template: str
    """Name of the text that the subject saw, ASCII."""
    language: str
    """BCP 47 tag, ASCII."""
    notice_hash: B32
    """SHA-256 of that text."""
    evidence: Evidence
    ref_hash: B32
    """H of the reader's application number and a salt."""
    supersedes: B16 | None
    """A consent of the same parties that ends with this one."""
    subject_key: B32 | None
    """Ed25519 key of the subject's own, if it has one."""

    def __post_init__(self) -> None:
        """Refuse what does not decode; what merely contradicts itself is refused by its outcome."""
        if self.version != TERMS_VERSION:
            raise ValueError(f"terms version is {self.version}, expected {TERMS_VERSION}")
        check_ascending(self.categories, "categories")
        if self.contributors is not None:
            check_ascending(self.contributors, "contributors")
            if len(self.contributors) > CONTRIBUTORS_MAX:
                raise ValueError(f"more than {CONTRIBUTORS_MAX} contributors")
        if len(self.commitments) > COMMITMENTS_MAX:
            raise ValueError(f"more than {COMMITMENTS_MAX} commitments")
        check_ascending(tuple((c.year, c.commitment) for c in self.commitments), "commitments")
        _check_ascii(self.template, "template", TEMPLATE_CHARS_MAX)
        _check_ascii(self.language, "language", LANGUAGE_CHARS_MAX)

    def years(self) -> frozenset[int]:
        """Return the years that the terms commit to."""
        return frozenset(each.year for each in self.commitments)

    def contradiction(self) -> str | None:
        """Return what makes the terms impossible to use, None if nothing does."""
        checks = (
            (self.from_ms >= self.until_ms, "the window is empty"),
            (not self.categories, "no category"),
            (any(c not in READABLE for c in self.categories), "unknown category"),
            (self.contributors == (), "no contributor"),
            (not self.commitments, "no commitment"),
            (not self._frequency_valid(), "impossible frequency"),
            (not 1 <= self.life.unit <= FrequencyUnit.YEAR, "unknown unit of data life"),
            (self.evidence.type not in set(EvidenceType), "unknown type of evidence"),
            (self.proposal is not None, "a proposal belongs to basis supervisory"),
            (self.grantee == self.second, "reader and second are one member"),
            (self.purpose == Purpose.SUPERVISORY, "supervision needs basis supervisory"),
        )
        return next((why for wrong, why in checks if wrong), None)

    def _frequency_valid(self) -> bool:
        if self.frequency.unit == FrequencyUnit.ONCE:
            return self.frequency.max == 1
        return self.frequency.unit in set(FrequencyUnit) and (
            0 < self.frequency.max <= FREQUENCY_MAX
        )


READABLE: Final = frozenset(Category) - {Category.INQUIRY}
"""Categories that terms and inquiries list; inquiries are always read."""


class SecondSignature(Record, frozen=True):
    """Signature of the member that identified the subject."""

    feed: U32
    """A feed of the second member that may sign consents."""
    signature: B64
    """Sig(feed key, "consent", terms)."""


class Consent(Record, frozen=True):
    """Content of a consent."""

    terms: bytes
    """Exact bytes of `Terms`."""
    second: SecondSignature | None
    subject_signature: B64 | None
    """Sig(subject key, "consent", terms)."""


class Status(Record, frozen=True):
    """Content of a change of status."""

    consent_id: B16
    change: U8
    """A `Change`."""
    reason: U8
    """A `ChangeReason`."""
    subject_signature: B64 | None
    """Sig(subject key, "status", `status_message`); None where the poster itself may act."""

    def __post_init__(self) -> None:
        """Refuse unknown changes and reasons."""
        if self.change not in set(Change) or self.reason not in set(ChangeReason):
            raise ValueError("unknown change of status or reason")


TERMS: Final[Codec[Terms]] = Codec(Terms, "terms", TERMS_BYTES_MAX)
CONSENT: Final[Codec[Consent]] = Codec(Consent, "consent", CONSENT_BYTES_MAX)
STATUS: Final[Codec[Status]] = Codec(Status, "status", STATUS_BYTES_MAX)


def consent_id(terms: bytes) -> bytes:
    """Return the id of the consent with these terms, 16 bytes."""
    return digest("consent", terms)[:CONSENT_ID_BYTES]


def commitment(salt: bytes, year: int, year_key: bytes) -> bytes:
    """Return the commitment to one `year_key`; `salt` has 32 random bytes, one a consent."""
    assert len(salt) == SALT_BYTES, len(salt)
    return digest("year-key", salt + year.to_bytes(2, "big") + year_key)


def status_message(
    ledger_id: bytes, consent: bytes, change: Change, reason: int, changes: int
) -> bytes:
    """Return what the subject signs; `changes` counts the consent's accepted changes so far."""
    return encode((ledger_id, consent, int(change), reason, changes))


def _check_ascii(value: str, what: str, chars_max: int) -> None:
    if not (0 < len(value) <= chars_max and value.isascii() and value.isprintable()):
        raise ValueError(f"{what} must be 1 to {chars_max} printable ASCII characters")
