"""
Drafts of consents: what travels between reader, authenticator and subject before it is posted.

A draft is a JSON file, mode 0600. It holds the terms, the salt of their commitments and what has
been signed so far; never an identifier. The authenticator brings the identifiers that it saw
itself and computes the commitments again: only then is its signature worth anything.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.errors import DraftError
from tradeline_client.files import write_private
from tradeline_ledger.c2sp import decode_base64, encode_base64
from tradeline_ledger.consent import (
    CONSENT_BYTES_MAX,
    SALT_BYTES,
    TERMS,
    Commitment,
    Consent,
    ConsentBasis,
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
    SecondSignature,
    Terms,
    commitment,
    consent_id,
)
from tradeline_ledger.encoding import Codec, Record, encode
from tradeline_ledger.errors import LedgerError, MalformedError, VerificationError
from tradeline_ledger.hashing import digest
from tradeline_ledger.identifier import IdType, SubjectId
from tradeline_ledger.signing import SIGNATURE_BYTES, verify
from tradeline_ledger.tag import year_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tradeline_ledger.signing import SigningKey
    from tradeline_ledger.tag import SubjectLinker

DRAFT_FORMAT: Final = "tradeline consent draft 1"
DRAFT_BYTES_MAX: Final = 2 * CONSENT_BYTES_MAX
SUBJECTS_MAX: Final = 8
"""Identifiers of one person or firm in one consent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asks a subject to agree to; see `consent.Terms` for each field."""

    second: int
    """Member that identifies the subject."""
    purpose: Purpose
    categories: tuple[int, ...]
    years: tuple[int, ...]
    """Of `occurred_on`: what may be read. Those of the validity are added."""
    from_ms: int
    until_ms: int
    frequency: Frequency
    life: DataLife
    template: str
    language: str
    notice_hash: bytes
    """SHA-256 of the text that the subject saw."""
    evidence: Evidence
    reference: str
    """The reader's own reference, such as an application number; only its salted hash leaves."""
    contributors: tuple[int, ...] | None = None
    """Member ids; None: all."""
    supersedes: bytes | None = None
    subject_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """Terms on their way to be signed. Holds no identifier."""

    terms: bytes
    """Exact bytes of `Terms`."""
    salt: bytes
    """Of the commitments; parties only."""
    second: SecondSignature | None = None
    subject_signature: bytes | None = None

    def __repr__(self) -> str:
        return f"Draft({self.consent_id.hex()})"

    @property
    def consent_id(self) -> bytes:
        """The id that the consent will have, 16 bytes."""
        return consent_id(self.terms)

    def decoded(self) -> Terms:
        """Return the terms."""
        return TERMS.decode(self.terms)

    def content(self) -> bytes:
        """Return the content of the entry that posts the consent."""
        return encode(Consent(self.terms, self.second, self.subject_signature))

    def signed_by_subject(self, key: SigningKey) -> Draft:
        """
        Return the draft with the signature of the subject's own key.

        Raises:
            DraftError: the terms name another key, or none.
        """
        if self.decoded().subject_key != key.public:
            raise DraftError(
                "the terms do not name this key as the subject's; draft the consent with it"
            )
        return replace(self, subject_signature=key.sign("consent", self.terms))


class _Subject(Record, frozen=True):
    id_type: int
    country: str
    identifier: str


class _Private(Record, frozen=True):
    salt: bytes
    terms: bytes
    subjects: tuple[_Subject, ...]


_PRIVATE: Final[Codec[_Private]] = Codec(_Private, "private part of a consent", DRAFT_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class ConsentSecret:
    """What only the parties of a consent know: kept encrypted in the journal, never posted."""

    terms: bytes
    salt: bytes
    subjects: tuple[SubjectId, ...]

    def __repr__(self) -> str:
        return f"ConsentSecret({consent_id(self.terms).hex()}, not shown)"

    def encoded(self) -> bytes:
        """Return what the journal keeps."""
        subjects = tuple(_Subject(int(s.id_type), s.country, s.identifier) for s in self.subjects)
        return encode(_Private(self.salt, self.terms, subjects))

    def year_keys(self, linker: SubjectLinker, years: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return the (year, `year_key`) pairs of `years` and all identifiers, ascending."""
        links = [linker.link_key(subject) for subject in self.subjects]
        return sorted({(year, year_key(link, year)) for year in years for link in links})


def open_secret(encoded: bytes) -> ConsentSecret:
    """Return what `ConsentSecret.encoded` encoded."""
    kept = _PRIVATE.decode(encoded)
    subjects = tuple(SubjectId(IdType(s.id_type), s.country, s.identifier) for s in kept.subjects)
    return ConsentSecret(kept.terms, kept.salt, subjects)


def draft_terms(
    wish: Wish,
    subjects: Sequence[SubjectId],
    *,
    ledger_id: bytes,
    grantee: int,
    linker: SubjectLinker,
    years: Sequence[int],
) -> ConsentSecret:
    """
    Return terms for `wish` with fresh salt; `years` are all that the consent needs.

    Raises:
        DraftError: the terms would contradict themselves.
    """
    if not 0 < len(subjects) <= SUBJECTS_MAX:
        raise DraftError(f"a consent is about 1 to {SUBJECTS_MAX} identifiers of one subject")
    salt = os.urandom(SALT_BYTES)
    try:
        terms = Terms(
            version=1,
            ledger_id=ledger_id,
            grantee=grantee,
            basis=ConsentBasis.CONSENT,
            second=wish.second,
            proposal=None,
            purpose=wish.purpose,
            categories=tuple(sorted(set(wish.categories))),
            contributors=_ascending(wish.contributors),
            commitments=_commitments(salt, subjects, linker, years),
            from_ms=wish.from_ms,
            until_ms=wish.until_ms,
            frequency=wish.frequency,
            life=wish.life,
            template=wish.template,
            language=wish.language,
            notice_hash=wish.notice_hash,
            evidence=wish.evidence,
            ref_hash=reference_hash(salt, wish.reference),
            supersedes=wish.supersedes,
            subject_key=wish.subject_key,
        )
    except ValueError as error:
        raise DraftError(str(error)) from error
    if why := terms.contradiction():
        raise DraftError(f"these terms can't be used: {why}")
    return ConsentSecret(encode(terms), salt, tuple(subjects))


def check_commitments(draft: Draft, subjects: Sequence[SubjectId], linker: SubjectLinker) -> Terms:
    """
    Return the terms if they are about exactly these identifiers, which the caller saw itself.

    Raises:
        DraftError: they are about others, or about more.
    """
    terms = draft.decoded()
    years = sorted(terms.years())
    if _commitments(draft.salt, subjects, linker, years) != terms.commitments:
        raise DraftError(
            "the commitments in the terms are not those of the identifiers that you gave, each in "
            "every year; sign only for the subject that you identified yourself"
        )
    return terms


def reference_hash(salt: bytes, reference: str) -> bytes:
    """Return the salted hash that stands for the reader's own reference."""
    return digest("reference", salt + reference.encode())


def write_draft(path: Path, draft: Draft) -> None:
    """Write the file of a draft, mode 0600."""
    terms = draft.decoded()
    document: dict[str, Any] = {
        "format": DRAFT_FORMAT,
        "consent_id": draft.consent_id.hex(),
        "summary": summary(terms),
        "terms": encode_base64(draft.terms),
        "salt": encode_base64(draft.salt),
    }
    if draft.second is not None:
        document["second"] = {
            "feed": draft.second.feed,
            "signature": encode_base64(draft.second.signature),
        }
    if draft.subject_signature is not None:
        document["subject_signature"] = encode_base64(draft.subject_signature)
    write_private(path, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def read_draft(path: Path) -> Draft:
    """
    Return the draft in a file.

    Raises:
        DraftError: no file, or not one that `write_draft` writes.
    """
    try:
        if path.stat().st_size > DRAFT_BYTES_MAX:
            raise DraftError(f"{path} is longer than a draft is")
        document = json.loads(path.read_bytes())
        return _decode(document)
    except OSError as error:
        raise DraftError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, LedgerError, RecursionError) as error:
        raise DraftError(f"{path} is no draft of a consent: {error}") from error


def summary(terms: Terms) -> dict[str, Any]:
    """Return what terms say, for people; the terms themselves decide."""
    return {
        "grantee": terms.grantee,
        "second": terms.second,
        "purpose": _name(Purpose, terms.purpose),
        "categories": list(terms.categories),
        "contributors": None if terms.contributors is None else list(terms.contributors),
        "years": sorted(terms.years()),
        "from_ms": terms.from_ms,
        "until_ms": terms.until_ms,
        "frequency": [_name(FrequencyUnit, terms.frequency.unit), terms.frequency.max],
        "evidence": _name(EvidenceType, terms.evidence.type),
        "template": terms.template,
        "language": terms.language,
        "subject_signs": terms.subject_key is not None,
    }


def check_signatures(draft: Draft, second_key: bytes | None) -> None:
    """
    Accept a draft that can be posted: signed by its second's key, and by the subject if it has one.

    Raises:
        DraftError: a signature is missing or wrong.
    """
    terms = draft.decoded()
    if draft.second is None:
        raise DraftError(f"member {terms.second} has not signed yet; have it sign the draft")
    if second_key is None:
        raise DraftError(f"feed {draft.second.feed} of member {terms.second} may not sign consents")
    pairs = [(second_key, draft.second.signature, f"member {terms.second}")]
    if terms.subject_key is not None:
        if draft.subject_signature is None:
            raise DraftError("the subject has not signed yet, and the terms name its key")
        pairs.append((terms.subject_key, draft.subject_signature, "the subject"))
    for key, signature, who in pairs:
        try:
            verify(key, "consent", draft.terms, signature)
        except VerificationError as error:
            raise DraftError(f"the signature of {who} is not over these terms") from error


def _commitments(
    salt: bytes, subjects: Sequence[SubjectId], linker: SubjectLinker, years: Sequence[int]
) -> tuple[Commitment, ...]:
    links = {linker.link_key(subject) for subject in subjects}
    pairs = sorted(
        (year, commitment(salt, year, year_key(link, year))) for year in years for link in links
    )
    return tuple(Commitment(year, hash_) for year, hash_ in pairs)


def _ascending(members: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if members is None else tuple(sorted(set(members)))


def _decode(document: dict[str, Any]) -> Draft:
    if document["format"] != DRAFT_FORMAT:
        raise MalformedError("it is of another format")
    terms = decode_base64(document["terms"], "terms")
    TERMS.decode(terms)
    salt = decode_base64(document["salt"], "salt")
    if len(salt) != SALT_BYTES:
        raise MalformedError("the salt has another length")
    second = document.get("second")
    subject = document.get("subject_signature")
    return Draft(
        terms,
        salt,
        None if second is None else SecondSignature(_feed(second), _signature(second["signature"])),
        None if subject is None else _signature(subject),
    )


def _feed(second: dict[str, Any]) -> int:
    feed = second["feed"]
    if type(feed) is not int or feed < 0:
        raise MalformedError("the feed of the second signature is no number")
    return feed


def _signature(text: str) -> bytes:
    signature = decode_base64(text, "signature")
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedError("a signature has another length")
    return signature


def _name(enumeration: Any, number: int) -> str:
    return enumeration(number).name.lower() if number in set(enumeration) else str(number)
