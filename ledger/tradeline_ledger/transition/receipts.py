"""Receipts of custody that count in a block (docs/formats.md, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.errors import SignatureError
from tradeline_ledger.submission import verify_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.submission import Receipt
    from tradeline_ledger.transition.context import Context, Signed


def holders(
    receipts: Sequence[Receipt], named: bytes, epoch: EpochRecord, signed: Signed, context: Context
) -> int:
    """
    Return who gave a receipt for `named` that counts: bit p for committee position p of `epoch`.

    `named` is the batch hash of a submission, or the hash of a re-deposit.
    """
    held = 0
    for receipt in receipts:
        position = epoch.position(receipt.validator)
        if position is not None and _counts(receipt, named, signed, context):
            held |= 1 << position
    return held


def _counts(receipt: Receipt, named: bytes, signed: Signed, context: Context) -> bool:
    if context.time_ms > receipt.expires_ms:
        return False
    validator = context.registry.member(receipt.validator)
    if validator is None or validator.node_key is None:
        return False
    try:
        verify_receipt(
            validator.node_key, context.ledger.ledger_id, signed.member.id, named, receipt
        )
    except SignatureError:
        return False
    return True
