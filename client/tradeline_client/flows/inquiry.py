"""
Inquiries: the record of a read, posted before anything is opened (DESIGN.md, section 8).

The one-time key is in the journal, encrypted, before the inquiry is posted: releases are sealed
to it, and nobody else could open them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.draft import ConsentSecret, reference_hash
from tradeline_client.errors import DraftError
from tradeline_client.flows.consent import secret_of
from tradeline_client.flows.entry import Placement, place
from tradeline_client.journal import Secret
from tradeline_ledger import calendar
from tradeline_ledger.consent import SALT_BYTES, TERMS, Purpose
from tradeline_ledger.encoding import B16, B32, Codec, Record, encode
from tradeline_ledger.hashing import digest
from tradeline_ledger.hpke import PRIVATE_KEY_BYTES, PrivateKey
from tradeline_ledger.inquiry import INQUIRY, INQUIRY_BYTES_MAX, Inquiry, key_hash
from tradeline_ledger.statement import Kind
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_client.requests import Flow
    from tradeline_client.session import Session

_OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader asks under a consent, and who asks. Purpose and person have no default."""

    consent_id: bytes
    purpose: Purpose
    operator: str
    """Who asks, inside the member; only a keyed hash leaves."""
    reference: str
    """The reader's own reference; only its salted hash leaves."""
    categories: tuple[int, ...] | None = None
    """Within the consent's; None: all of them."""
    contributors: tuple[int, ...] | None = None
    """Within the consent's; None: all of them."""
    years: tuple[int, ...] | None = None
    """Within the consent's; None: all of them. The present year is always among them."""


@dataclass(frozen=True, slots=True)
class PostedInquiry:
    """An accepted inquiry of this folder, with everything that reading it needs."""

    index: int
    """Log index."""
    inquiry: Inquiry
    key: PrivateKey
    """One-time key that releases are sealed to."""
    secret: ConsentSecret
    """Salt and identifiers of the consent."""

    def __repr__(self) -> str:
        return f"PostedInquiry(index={self.index}, not shown)"


class _OneTime(Record, frozen=True):
    private: bytes
    consent_id: B16
    inquiry: bytes
    salt: B32


_ONE_TIME: Final[Codec[_OneTime]] = Codec(_OneTime, "one-time key", INQUIRY_BYTES_MAX + 256)


def inquire(session: Session, question: Question) -> Flow[PostedInquiry]:
    """
    Post an inquiry.

    Raises:
        NotFoundError: this folder did not draft the consent.
        DraftError: the question is wider than the consent.
        RefusedError: the ledger refuses the read; the attempt stays visible.
        UnavailableError and others: as `entry.place`.
    """
    secret = secret_of(session, question.consent_id)
    now_ms = session.clock_ms()
    private = os.urandom(PRIVATE_KEY_BYTES)
    key = PrivateKey.generate(private)
    salt = os.urandom(SALT_BYTES)
    inquiry = _inquiry(session, question, secret, now_ms, salt=salt, public=key.public.encoded)
    content = encode(inquiry)
    kept = encode(_OneTime(private, question.consent_id, content, salt))
    session.journal.keep(Secret.ONE_TIME_KEY, inquiry.key_hash, kept)
    placement: Placement = yield from place(
        session,
        Kind.INQUIRY,
        content,
        feed=session.keystore.feed_for(Kind.INQUIRY, session.folder.profile.desk_feed),
        about=inquiry.key_hash,
        created_ms=now_ms,
    )
    return PostedInquiry(placement.index, inquiry, key, secret)


def open_inquiry(session: Session, index: int) -> PostedInquiry:
    """
    Return an accepted inquiry of this folder by its log index, to read (again) what it released.

    Raises:
        NotFoundError: this folder posted none that is known to stand there.
    """
    signed = session.journal.placed_at(index)
    kept = _ONE_TIME.decode(session.journal.secret(Secret.ONE_TIME_KEY, signed.about or b""))
    return PostedInquiry(
        index,
        INQUIRY.decode(kept.inquiry),
        PrivateKey.from_bytes(kept.private),
        secret_of(session, kept.consent_id),
    )


def _inquiry(
    session: Session,
    question: Question,
    secret: ConsentSecret,
    now_ms: int,
    *,
    salt: bytes,
    public: bytes,
) -> Inquiry:
    terms, params = TERMS.decode(secret.terms), session.ledger.params_of(session.registry)
    month = calendar.month(now_ms, params.utc_offset_min)
    year = month // calendar.MONTHS_PER_YEAR
    years = {year, *(terms.years() if question.years is None else question.years)}
    if not years <= terms.years():
        raise DraftError(
            f"years {sorted(years)} are not all within the consent's, {sorted(terms.years())}; the "
            "present year must be one of them, too"
        )
    filer = session.keystore.filer()
    categories = _within(question.categories, terms.categories, "categories")
    contributors = (
        _within(question.contributors, terms.contributors, "contributors")
        if terms.contributors is not None
        else _ascending(question.contributors)
    )
    try:
        return Inquiry(
            consent_id=question.consent_id,
            purpose=question.purpose,
            ref_hash=reference_hash(salt, question.reference),
            operator_hash=_operator_hash(session, question.operator),
            categories=categories,
            contributors=contributors,
            years=tuple(sorted(years)),
            key_hash=key_hash(public),
            tag=filer.tag(secret.subjects[0], year, Category.INQUIRY),
            retain_month=month + params.retain_months(Category.INQUIRY),
        )
    except ValueError as error:
        raise DraftError(f"{error}; ask for fewer than the consent allows") from error


def _within(wanted: Sequence[int] | None, allowed: tuple[int, ...], what: str) -> tuple[int, ...]:
    if wanted is None:
        return allowed
    if not set(wanted) <= set(allowed):
        raise DraftError(f"{what} {sorted(wanted)} are not all within the consent's, {allowed}")
    return tuple(sorted(set(wanted)))


def _ascending(members: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if members is None else tuple(sorted(set(members)))


def _operator_hash(session: Session, operator: str) -> bytes:
    """Return the same hash for the same person, which nobody outside can compute."""
    return digest(_OPERATOR, session.keystore.storage_key(_OPERATOR) + operator.encode())
