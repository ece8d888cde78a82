"""Submissions: epoch, deposits, custody before order, once only (docs/formats.md, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import SignatureError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.submission import verify_receipt
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.state import View
    from tradeline_ledger.submission import Receipt
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
    counting = sum(
        _counts(each, batch_hash, epoch, signed, context) for each in submission.receipts
    )
    if counting < epoch.threshold:
        return Ruling(Outcome.RECEIPTS_TOO_FEW)
    if view.get(state.batch_key(batch_hash)) is not None:
        return Ruling(Outcome.BATCH_DUPLICATE)
    row = state.SubmissionState(member, batch.epoch, batch.count, batch_hash)
    return Ruling(
        Outcome.ACCEPTED,
        (
            (state.batch_key(batch_hash), state.counter(context.index)),
            (state.submission_key(context.index), encode(row)),
        ),
    )


def _epoch(number: int, context: Context) -> EpochRecord | None:
    """Return the epoch that a batch may name: the one in force, or for a while the one before."""
    epochs = context.registry.epochs
    if number == epochs[-1].epoch:
        return epochs[-1]
    overlap_until = epochs[-1].from_ms + context.ledger.params.epoch_overlap_ms
    if number == epochs[-1].epoch - 1 and context.time_ms < overlap_until:
        return epochs[number]
    return None


def _counts(
    receipt: Receipt, batch_hash: bytes, epoch: EpochRecord, signed: Signed, context: Context
) -> bool:
    if context.time_ms > receipt.expires_ms or epoch.position(receipt.validator) is None:
        return False
    validator = context.registry.member(receipt.validator)
    if validator is None or validator.node_key is None:
        return False
    try:
        verify_receipt(
            validator.node_key, context.ledger.ledger_id, signed.member.id, batch_hash, receipt
        )
    except SignatureError:
        return False
    return True
