"""Re-deposits: a batch's keys, dealt again to the committee in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.transition.context import Ruling
from tradeline_ledger.transition.receipts import holders

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed, Writes


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a re-deposit.

    Raises:
        MalformedError: the content does not decode.
    """
    content = REDEPOSIT.decode(signed.entry.content)
    target = state.read(view, state.SUBMISSION, state.submission_key(content.index))
    if target is None:
        return Ruling(Outcome.REDEPOSIT_TARGET_UNKNOWN)
    if target.member != signed.member.id:
        return Ruling(Outcome.REDEPOSIT_NOT_OWN)
    if state.count(view, state.erased_key(content.index)) == target.count:
        return Ruling(Outcome.REDEPOSIT_ERASED)
    epoch = context.registry.epoch
    if content.epoch != epoch.epoch:
        return Ruling(Outcome.REDEPOSIT_EPOCH_WRONG)
    if len(content.deposits) != len(epoch.committee):
        return Ruling(Outcome.REDEPOSIT_DEPOSITS_WRONG)
    named = content.hash(context.ledger.ledger_id, signed.member.id)
    held = holders(content.receipts, named, epoch, signed, context)
    if held.bit_count() < epoch.threshold:
        return Ruling(Outcome.REDEPOSIT_RECEIPTS_TOO_FEW)
    if view.get(state.batch_key(named)) is not None:
        return Ruling(Outcome.REDEPOSIT_DUPLICATE)
    latest = state.latest_key(content.index)
    before = state.count(view, latest) or None
    in_force = state.deposits_at(view, content.index, context.index)
    assert in_force is not None, content.index
    row = state.RedepositState(content.index, epoch.epoch, named, context.time_ms, held, before)
    return Ruling(
        Outcome.ACCEPTED,
        (
            (state.batch_key(named), state.counter(context.index)),
            (state.redeposit_key(context.index), encode(row)),
            (latest, state.counter(context.index)),
            *_moved(view, in_force.epoch, epoch.epoch),
        ),
    )


def _moved(view: View, old: int, new: int) -> Writes:
    """Return the rows that count one batch less for the committee of `old`, one more for `new`."""
    if old == new:
        return ()
    counts = [(state.held_key(old), -1), (state.held_key(new), 1)]
    return tuple((key, state.counter(state.count(view, key) + more)) for key, more in counts)
