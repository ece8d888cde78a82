"""
Whether the body of an event is to be gone (docs/formats.md, section 4).

An erase mark takes effect at once. Otherwise a body goes when the month of block time is past the
header's `retain_month`, or past what the last retain mark put in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.history import EventId
from tradeline_ledger.state import MarkState, View

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore


def last_month(view: View, event: EventId, retain_month: int) -> int | None:
    """
    Return the last month in which the body of an event is kept; None if it was erased.

    `retain_month` is that of its header.
    """
    mark = state.read(view, state.MARK, state.mark_key(event.index, event.position))
    return _last_month(mark, retain_month)


def last_months(store: LedgerStore, index: int, retain_months: list[int]) -> list[int | None]:
    """Return `last_month` of every event of the submission at `index`, with one look at marks."""
    prefix = state.mark_key(index, 0)[: -len(bytes(4))]
    months: list[int | None] = list(retain_months)
    for key, value in store.iterate(prefix):
        position = int.from_bytes(key[len(prefix) :], "big")
        months[position] = _last_month(state.MARK.decode(value), retain_months[position])
    return months


def _last_month(mark: MarkState | None, retain_month: int) -> int | None:
    if mark is None:
        return retain_month
    if mark.erased:
        return None
    return retain_month if mark.retain_month is None else mark.retain_month
