"""Submissions: epoch, deposits, custody before order, once only (docs/formats.md, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.transition.context import Ruling
from tradeline_ledger.transition.receipts import holders

if TYPE_CHECKING:
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """Return the ruling on a submission."""
    submission, member = signed.submission, signed.member.id
    assert submission is not None, "apply decodes submissions"
    batch = submission.batch
    epoch = _epoch(batch.epoch, context)
    if epoch is None:
        return Ruling(Outcome.EPOCH_WRONG)
    if len(batch.deposits) != len(epoch.committee):
        return Ruling(Outcome.DEPOSITS_WRONG)
    batch_hash = batch.hash(context.ledger.ledger_id, member)
    held = holders(submission.receipts, batch_hash, epoch, signed, context)
    if held.bit_count() < epoch.threshold:
        return Ruling(Outcome.RECEIPTS_TOO_FEW)
    if view.get(state.batch_key(batch_hash)) is not None:
        return Ruling(Outcome.BATCH_DUPLICATE)
    held_key = state.held_key(batch.epoch)
    row = state.SubmissionState(member, batch.epoch, batch.count, batch_hash, context.time_ms, held)
    return Ruling(
        Outcome.ACCEPTED,
        (
            (state.batch_key(batch_hash), state.counter(context.index)),
            (state.submission_key(context.index), encode(row)),
            (held_key, state.counter(state.count(view, held_key) + 1)),
        ),
    )


def _epoch(number: int, context: Context) -> EpochRecord | None:
    """Return the epoch that a batch may name: the one in force, or for a while the one before."""
    epochs = context.registry.epochs
    if number == epochs[-1].epoch:
        return epochs[-1]
    overlap_until = epochs[-1].from_ms + context.params.epoch_overlap_ms
    if number == epochs[-1].epoch - 1 and context.time_ms < overlap_until:
        return epochs[number]
    return None
