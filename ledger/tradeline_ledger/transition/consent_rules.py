"""Consents: posted once, by the reader, with the signature of who identified the subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.consent import (
    CONSENT,
    TERMS,
    Consent,
    ConsentBasis,
    Purpose,
    Terms,
    consent_id,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import SignatureError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Role
from tradeline_ledger.signing import verify
from tradeline_ledger.state import ConsentStanding, ConsentState
from tradeline_ledger.statement import Kind
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed, Writes


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a consent.

    Raises:
        MalformedError: the content or its terms do not decode.
    """
    consent = CONSENT.decode(signed.entry.content)
    terms = TERMS.decode(consent.terms)
    outcome = (
        _check_terms(terms, signed, context)
        or _check_second(consent, terms, signed, context)
        or _check_subject(consent, terms)
    )
    if outcome:
        return Ruling(outcome)
    identity = consent_id(consent.terms)
    if view.get(state.consent_key(identity)) is not None:
        return Ruling(Outcome.CONSENT_DUPLICATE)
    if view.get(state.revoke_key(identity, terms.second)) is not None:
        return Ruling(Outcome.CONSENT_REVOKED_BEFORE)
    superseded = _supersede(view, terms, context)
    if superseded is None:
        return Ruling(Outcome.CONSENT_SUPERSEDES_WRONG)
    row = ConsentState(context.index, consent.terms, ConsentStanding.ACTIVE, 0, 0, context.index)
    return Ruling(Outcome.ACCEPTED, ((state.consent_key(identity), encode(row)), *superseded))


def _check_terms(terms: Terms, signed: Signed, context: Context) -> Outcome | None:
    if terms.ledger_id != context.ledger.ledger_id:
        return Outcome.CONSENT_LEDGER_WRONG
    if terms.grantee != signed.member.id:
        return Outcome.CONSENT_GRANTEE_WRONG
    if terms.basis != ConsentBasis.CONSENT:
        return Outcome.CONSENT_BASIS_RESERVED
    if terms.contradiction() is not None:
        return Outcome.CONSENT_TERMS_INVALID
    if terms.purpose not in set(Purpose):
        return Outcome.CONSENT_PURPOSE_UNKNOWN
    ever = set(context.registry.ever())
    if any(contributor not in ever for contributor in terms.contributors or ()):
        return Outcome.CONSENT_CONTRIBUTOR_UNKNOWN
    if terms.until_ms <= context.time_ms:
        return Outcome.CONSENT_WINDOW_PAST
    return None


def _check_second(
    consent: Consent, terms: Terms, signed: Signed, context: Context
) -> Outcome | None:
    second = context.registry.member(terms.second)
    if second is None or second.suspended or not second.has(Role.AUTHENTICATOR):
        return Outcome.CONSENT_SECOND_UNKNOWN
    if second.group == signed.member.group:
        return Outcome.CONSENT_SAME_GROUP
    if consent.second is None:
        return Outcome.CONSENT_SECOND_UNSIGNED
    feed = second.feed(consent.second.feed)
    if feed is None or not feed.kinds >> Kind.CONSENT & 1:
        return Outcome.CONSENT_SECOND_UNSIGNED
    try:
        verify(feed.key, "consent", consent.terms, consent.second.signature)
    except SignatureError:
        return Outcome.CONSENT_SECOND_UNSIGNED
    return None


def _check_subject(consent: Consent, terms: Terms) -> Outcome | None:
    if terms.subject_key is None and consent.subject_signature is None:
        return None
    if terms.subject_key is None or consent.subject_signature is None:
        return Outcome.CONSENT_SUBJECT_UNSIGNED
    try:
        verify(terms.subject_key, "consent", consent.terms, consent.subject_signature)
    except SignatureError:
        return Outcome.CONSENT_SUBJECT_UNSIGNED
    return None


def _supersede(view: View, terms: Terms, context: Context) -> Writes | None:
    """Return the rows that end the superseded consent, None if it can't be superseded."""
    if terms.supersedes is None:
        return ()
    found = state.read_consent(view, terms.supersedes)
    if found is None:
        return None
    old, parties = found
    if (parties.grantee, parties.second) != (terms.grantee, terms.second):
        return None
    if ConsentStanding(old.standing).ended:
        return ()
    ended = ConsentState(
        old.index, old.terms, ConsentStanding.SUPERSEDED, old.by, old.changes, context.index
    )
    return ((state.consent_key(terms.supersedes), encode(ended)),)
