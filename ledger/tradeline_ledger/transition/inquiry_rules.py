"""Inquiries: a read needs a consent that is active at its block and not used up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger import calendar, state
from tradeline_ledger.encoding import encode
from tradeline_ledger.inquiry import INQUIRY, Inquiry
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.state import ConsentStanding, InquiryState
from tradeline_ledger.tag import Category
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.consent import Terms
    from tradeline_ledger.state import ConsentState, View
    from tradeline_ledger.transition.context import Context, Signed

_NOT_ACTIVE: Final = {
    ConsentStanding.REVOKED: Outcome.INQUIRY_CONSENT_REVOKED,
    ConsentStanding.TERMINATED: Outcome.INQUIRY_CONSENT_TERMINATED,
    ConsentStanding.SUPERSEDED: Outcome.INQUIRY_CONSENT_SUPERSEDED,
    ConsentStanding.PAUSED: Outcome.INQUIRY_CONSENT_PAUSED,
}


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on an inquiry.

    Raises:
        MalformedError: the content does not decode.
    """
    inquiry = INQUIRY.decode(signed.entry.content)
    found = state.read_consent(view, inquiry.consent_id)
    if found is None:
        return Ruling(Outcome.INQUIRY_CONSENT_UNKNOWN)
    consent, terms = found
    outcome = (
        _check_consent(consent, terms, signed, context)
        or _check_scope(inquiry, terms)
        or _check_month(inquiry, signed, context)
    )
    if outcome:
        return Ruling(outcome)
    bucket = calendar.bucket(terms.frequency.unit, context.time_ms, context.params.utc_offset_min)
    reads_key = state.reads_key(inquiry.consent_id, bucket)
    reads = state.count(view, reads_key)
    if reads >= terms.frequency.max:
        return Ruling(Outcome.INQUIRY_FREQUENCY_USED)
    row = InquiryState(inquiry.consent_id, signed.member.id, context.height, context.time_ms)
    return Ruling(
        Outcome.ACCEPTED,
        (
            (reads_key, state.counter(reads + 1)),
            (state.inquiry_key(context.index), encode(row)),
        ),
        inquiry=inquiry,
    )


def _check_consent(
    consent: ConsentState, terms: Terms, signed: Signed, context: Context
) -> Outcome | None:
    if terms.grantee != signed.member.id:
        return Outcome.INQUIRY_READER_WRONG
    standing = ConsentStanding(consent.standing)
    if standing is not ConsentStanding.ACTIVE:
        return _NOT_ACTIVE[standing]
    if context.time_ms < terms.from_ms:
        return Outcome.INQUIRY_CONSENT_NOT_YET
    if context.time_ms >= terms.until_ms:
        return Outcome.INQUIRY_CONSENT_EXPIRED
    return None


def _check_scope(inquiry: Inquiry, terms: Terms) -> Outcome | None:
    if inquiry.purpose != terms.purpose:
        return Outcome.INQUIRY_PURPOSE_WRONG
    if not set(inquiry.categories) <= set(terms.categories):
        return Outcome.INQUIRY_CATEGORY_OUTSIDE
    if terms.contributors is not None and (
        inquiry.contributors is None or not set(inquiry.contributors) <= set(terms.contributors)
    ):
        return Outcome.INQUIRY_CONTRIBUTOR_OUTSIDE
    if not set(inquiry.years) <= terms.years():
        return Outcome.INQUIRY_YEAR_OUTSIDE
    return None


def _check_month(inquiry: Inquiry, signed: Signed, context: Context) -> Outcome | None:
    params, created_ms = context.params, signed.statement.created_ms
    if abs(created_ms - context.time_ms) > params.inquiry_skew_ms:
        return Outcome.INQUIRY_CLOCK_SKEWED
    month = calendar.month(created_ms, params.utc_offset_min)
    if month // 12 not in inquiry.years:
        return Outcome.INQUIRY_YEAR_MISSING
    if inquiry.retain_month != month + params.retain_months(Category.INQUIRY):
        return Outcome.INQUIRY_RETAIN_WRONG
    return None
