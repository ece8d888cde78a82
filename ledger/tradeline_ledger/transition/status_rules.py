"""Changes of a consent's status, effective from their position in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.consent import STATUS, Change, Status, Terms, status_message
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import SignatureError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.signing import verify
from tradeline_ledger.state import Actor, ConsentStanding, ConsentState
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed

_AFTER: Final = {
    Change.PAUSE: ConsentStanding.PAUSED,
    Change.RESUME: ConsentStanding.ACTIVE,
    Change.REVOKE: ConsentStanding.REVOKED,
    Change.TERMINATE: ConsentStanding.TERMINATED,
}


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a change of status.

    Raises:
        MalformedError: the content does not decode.
    """
    status = STATUS.decode(signed.entry.content)
    key = state.consent_key(status.consent_id)
    found = state.read_consent(view, status.consent_id)
    if found is None:
        return _keep_revoke(view, status, signed, context)
    consent, terms = found
    change = Change(status.change)
    actor = _actor(change, status, terms, signed)
    if actor is None:
        return Ruling(Outcome.STATUS_NOT_ALLOWED)
    if actor is Actor.SUBJECT and not _subject_signed(status, terms, consent, context):
        return Ruling(Outcome.STATUS_SUBJECT_UNSIGNED)
    standing = ConsentStanding(consent.standing)
    if standing.ended:
        return Ruling(Outcome.STATUS_CONSENT_ENDED)
    after = _AFTER[change]
    if after is standing:
        return Ruling(Outcome.STATUS_WITHOUT_EFFECT)
    if change is Change.RESUME and consent.by != actor:
        return Ruling(Outcome.STATUS_PAUSED_BY_OTHER)
    row = ConsentState(
        consent.index, consent.terms, after, actor, consent.changes + 1, context.index
    )
    return Ruling(Outcome.ACCEPTED, ((key, encode(row)),))


def _keep_revoke(view: View, status: Status, signed: Signed, context: Context) -> Ruling:
    """Keep a revoke that came before its consent; it counts only if its poster is the second."""
    if status.change != Change.REVOKE or status.subject_signature is not None:
        return Ruling(Outcome.STATUS_CONSENT_UNKNOWN)
    key = state.revoke_key(status.consent_id, signed.member.id)
    if view.get(key) is not None:
        return Ruling(Outcome.STATUS_WITHOUT_EFFECT)
    return Ruling(Outcome.ACCEPTED, ((key, state.counter(context.index)),))


def _actor(change: Change, status: Status, terms: Terms, signed: Signed) -> Actor | None:
    """Return as whom the entry speaks, None if nobody whom it can speak as may do that."""
    if change is Change.TERMINATE:
        by_reader = signed.member.id == terms.grantee and status.subject_signature is None
        return Actor.READER if by_reader else None
    if status.subject_signature is not None:
        return Actor.SUBJECT
    return Actor.SECOND if signed.member.id == terms.second else None


def _subject_signed(status: Status, terms: Terms, consent: ConsentState, context: Context) -> bool:
    if terms.subject_key is None or status.subject_signature is None:
        return False
    message = status_message(
        context.ledger.ledger_id,
        status.consent_id,
        Change(status.change),
        status.reason,
        consent.changes,
    )
    try:
        verify(terms.subject_key, "status", message, status.subject_signature)
    except SignatureError:
        return False
    return True
