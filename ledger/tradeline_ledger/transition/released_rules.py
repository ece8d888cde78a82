"""Released records: a committee member's list of the releases that it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.release import RELEASED, RELEASED_ROWS_MAX
from tradeline_ledger.transition.context import Ruling

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a released record.

    Raises:
        MalformedError: the content does not decode, is empty, too long or out of order.
    """
    rows = RELEASED.decode(signed.entry.content)
    inquiries = [row.inquiry for row in rows]
    if not 0 < len(rows) <= RELEASED_ROWS_MAX or inquiries != sorted(set(inquiries)):
        raise MalformedError(f"a released record has 1 to {RELEASED_ROWS_MAX} ascending rows")
    # The committees of earlier epochs serve on, also where they order no more.
    if all(epoch.position(signed.member.id) is None for epoch in context.registry.epochs):
        return Ruling(Outcome.ROLE_MISSING)
    for inquiry in inquiries:
        if view.get(state.inquiry_key(inquiry)) is None:
            return Ruling(Outcome.RELEASED_INQUIRY_UNKNOWN)
    keys = [state.released_key(inquiry, signed.member.id) for inquiry in inquiries]
    if any(view.get(key) is not None for key in keys):
        return Ruling(Outcome.RELEASED_TWICE)
    return Ruling(Outcome.ACCEPTED, tuple((key, state.counter(context.index)) for key in keys))
