"""Marks: erase a body early, or move the month past which it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.mark import MARK, MARKS_IMPLEMENTED, Mark, MarkKind, MarkReason
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.state import MarkState
from tradeline_ledger.submission import RETAIN_MONTH_MAX, RETAIN_MONTH_MIN
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a mark.

    Raises:
        MalformedError: the content does not decode, or its kind or reason is unknown.
    """
    mark = MARK.decode(signed.entry.content)
    if mark.what not in set(MarkKind) or mark.reason not in set(MarkReason):
        raise MalformedError("unknown mark or reason")
    if mark.what not in MARKS_IMPLEMENTED:
        return Ruling(Outcome.MARK_RESERVED)
    target = state.read(view, state.SUBMISSION, state.submission_key(mark.target.index))
    if target is None or mark.target.position >= target.count:
        return Ruling(Outcome.MARK_TARGET_UNKNOWN)
    if target.member != signed.member.id:
        return Ruling(Outcome.MARK_NOT_OWN)
    if not _value_fits(mark):
        return Ruling(Outcome.MARK_VALUE_WRONG)
    key = state.mark_key(mark.target.index, mark.target.position)
    before = state.read(view, state.MARK, key) or MarkState(erased=False, retain_month=None)
    after = _after(before, mark)
    if before.erased or after == before:
        return Ruling(Outcome.MARK_WITHOUT_EFFECT)
    writes = [(key, encode(after))]
    if after.erased:
        writes += _count_erased(view, mark.target.index, target.count, context)
    return Ruling(Outcome.ACCEPTED, tuple(writes), mark=mark)


def _count_erased(
    view: View, index: int, events: int, context: Context
) -> list[tuple[bytes, bytes]]:
    """Return the rows that count one more event erased; with the last one a batch is not held."""
    key = state.erased_key(index)
    erased = state.count(view, key) + 1
    writes = [(key, state.counter(erased))]
    deposits = state.deposits_at(view, index, context.index)
    if erased == events and deposits is not None:
        held_key = state.held_key(deposits.epoch)
        writes.append((held_key, state.counter(state.count(view, held_key) - 1)))
    return writes


def _value_fits(mark: Mark) -> bool:
    if mark.what == MarkKind.ERASE:
        return mark.value is None
    return isinstance(mark.value, int) and RETAIN_MONTH_MIN <= mark.value <= RETAIN_MONTH_MAX


def _after(before: MarkState, mark: Mark) -> MarkState:
    if mark.what == MarkKind.ERASE:
        return MarkState(erased=True, retain_month=before.retain_month)
    assert isinstance(mark.value, int), mark
    return MarkState(erased=before.erased, retain_month=mark.value)
