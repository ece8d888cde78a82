"""Quality statements: a member's own word on a month, held to the submissions that it made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import calendar, state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.quality import (
    QUALITY,
    QUALITY_STATE,
    Delay,
    MonthEnd,
    Quality,
    QualityState,
)
from tradeline_ledger.submission import RETAIN_MONTH_MIN
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.state import SubmissionState, View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a quality statement.

    Raises:
        MalformedError: the content does not decode or does not add up.
    """
    content = QUALITY.decode(signed.entry.content)
    if content.month < RETAIN_MONTH_MIN:
        raise MalformedError(f"month {content.month} is none of an event")
    offset = context.params.utc_offset_min
    if content.month > calendar.month(context.time_ms, offset):
        return Ruling(Outcome.QUALITY_MONTH_AHEAD)
    if content.size > context.index:
        return Ruling(Outcome.QUALITY_SIZE_AHEAD)
    rows = [
        state.read(view, state.SUBMISSION, state.submission_key(each.index))
        if each.index < content.size
        else None
        for each in content.listed
    ]
    found = [each for each in rows if each is not None]
    if len(found) != len(rows):
        return Ruling(Outcome.QUALITY_SUBMISSION_UNKNOWN)
    if any(each.member != signed.member.id for each in found):
        return Ruling(Outcome.QUALITY_NOT_OWN)
    if not _counts_fit(content, found, MonthEnd(content.month, offset)):
        return Ruling(Outcome.QUALITY_COUNT_WRONG)
    key = state.quality_key(signed.member.id, content.month)
    before = state.read(view, QUALITY_STATE, key)
    if content.supersedes != (None if before is None else before.index):
        return Ruling(Outcome.QUALITY_SUPERSEDES_WRONG)
    if before is not None and content.size < before.size:
        return Ruling(Outcome.QUALITY_SIZE_BACK)
    after = QualityState(context.index, content.size)
    return Ruling(Outcome.ACCEPTED, ((key, encode(after)),))


def _counts_fit(content: Quality, found: list[SubmissionState], end: MonthEnd) -> bool:
    """Return whether the submissions can hold as many events, and corrections as late."""
    placed = dict.fromkeys(Delay, 0)
    for each, submission in zip(content.listed, found, strict=True):
        if each.events > submission.count:
            return False
        placed[end.delay(submission.time_ms)] += each.events
    return all(content.corrections[delay] <= placed[delay] for delay in Delay)
