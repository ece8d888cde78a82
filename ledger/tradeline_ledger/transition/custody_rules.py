"""Custody records: committee members that gave no receipt say whether their deposit is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.custody_record import CUSTODY, CUSTODY_ROWS_MAX, CUSTODY_WITHIN_MS
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.custody_record import CustodyRow
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a custody record.

    Raises:
        MalformedError: the content does not decode, is empty, too long or out of order.
    """
    rows = CUSTODY.decode(signed.entry.content)
    indexes = [row.index for row in rows]
    if not 0 < len(rows) <= CUSTODY_ROWS_MAX or indexes != sorted(set(indexes)):
        raise MalformedError(f"a custody record has 1 to {CUSTODY_ROWS_MAX} ascending rows")
    found = [state.deposits_at(view, row.index, context.index) for row in rows]
    deposits = [each for each in found if each is not None]
    if len(deposits) != len(rows):
        return Ruling(Outcome.CUSTODY_TARGET_UNKNOWN)
    pairs = list(zip(rows, deposits, strict=True))
    outcome = _check(view, signed, context, pairs)
    if outcome is not None:
        return Ruling(outcome)
    writes = tuple(
        (
            state.custody_key(each.placed, signed.member.id),
            state.counter(context.index << 1 | row.ok),
        )
        for row, each in pairs
    )
    return Ruling(Outcome.ACCEPTED, writes)


def _check(
    view: View, signed: Signed, context: Context, pairs: list[tuple[CustodyRow, state.Deposits]]
) -> Outcome | None:
    member = signed.member.id
    if any(row.epoch != each.epoch for row, each in pairs):
        return Outcome.CUSTODY_EPOCH_WRONG
    positions = [context.registry.epochs[each.epoch].position(member) for _, each in pairs]
    if None in positions:
        return Outcome.CUSTODY_WITHOUT_DEPOSIT
    if any(
        position is not None and each.holders >> position & 1
        for position, (_, each) in zip(positions, pairs, strict=True)
    ):
        return Outcome.CUSTODY_RECEIPT_GIVEN
    if any(context.time_ms >= each.time_ms + CUSTODY_WITHIN_MS for _, each in pairs):
        return Outcome.CUSTODY_LATE
    keys = (state.custody_key(each.placed, member) for _, each in pairs)
    if any(view.get(key) is not None for key in keys):
        return Outcome.CUSTODY_TWICE
    return None
