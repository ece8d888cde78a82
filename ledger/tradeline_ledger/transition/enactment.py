"""
Enactment: what votes decide, and the changes of registry at the end of a block.

A proposal that has passed takes effect at its height, in whatever block comes before it, also in
one without entries: that block then has a block leaf alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_ledger import state
from tradeline_ledger.amendment import Moment, amend
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import DamagedError
from tradeline_ledger.governance import (
    ProposalStanding,
    proposal_key,
    read_proposal,
    read_waiting,
    tally,
)
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Registry

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.governance import ProposalState
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Writes


@dataclass(frozen=True, slots=True)
class Enacted:
    """What the end of a block makes of the proposals that are due."""

    registry: Registry
    """In force from the next height."""
    writes: Writes
    """Rows of proposals; none if none was due."""


def decided(row: ProposalState, context: Context) -> tuple[ProposalState, int | None]:
    """
    Return `row` as the votes on it decide it, and the height of effect if it has passed.

    Votes count if their members are validators in force.
    """
    votes = tally(row, context.registry.epoch.validators)
    proposal, next_height = row.proposal, context.height + 1
    if votes.passed:
        late = proposal.next_rules() is not None and proposal.effect_height <= next_height
        standing = ProposalStanding.FAILED if late else ProposalStanding.PASSED
        after = msgspec.structs.replace(
            row,
            standing=standing,
            decided_height=context.height,
            failure=Outcome.PROPOSAL_RULES_LATE if late else 0,
        )
        return after, None if late else max(proposal.effect_height, next_height)
    if votes.rejected:
        rejected = ProposalStanding.REJECTED
        return msgspec.structs.replace(row, standing=rejected, decided_height=context.height), None
    return row, None


def enact(view: View, ledger: Ledger, pending: Registry, height: int, time_ms: int) -> Enacted:
    """
    Return the registry after the proposals that are due at the end of the block at `height`.

    They are taken by height, then in the order in which they were posted. One whose changes can't
    be made any more has failed, and the others go on; so has one about what another changes at the
    same height.
    """
    waiting = read_waiting(view)
    due = sorted(
        (each for each in waiting if each.due is not None and each.due <= height + 1),
        key=lambda each: each.due or 0,
    )
    if not due:
        return Enacted(pending, ())
    writes: list[tuple[bytes, bytes]] = []
    changed: set[tuple[str, int]] = set()
    for each in due:
        row = read_proposal(view, each.proposal_id)
        if row is None:
            raise DamagedError(f"the state row of proposal {each.proposal_id.hex()} is missing")
        touched = row.proposal.touches()
        after = (
            Outcome.PROPOSAL_CONFLICT
            if touched & changed
            else amend(
                ledger,
                pending,
                row.proposal,
                Moment(height + 1, time_ms),
                lambda epoch: state.count(view, state.held_key(epoch)),
            )
        )
        if isinstance(after, Registry):
            pending = after
            changed |= touched
            row = msgspec.structs.replace(
                row, standing=ProposalStanding.ENACTED, enacted_height=height + 1
            )
        else:
            row = msgspec.structs.replace(row, standing=ProposalStanding.FAILED, failure=after)
        writes.append((proposal_key(each.proposal_id), encode(row)))
    left = tuple(each for each in waiting if each not in due)
    writes.append((state.WAITING_KEY, encode(left)))
    return Enacted(pending, tuple(writes))


def registry_rows(before: Registry, after: Registry) -> Writes:
    """Return the rows of members, epoch and settings in which `after` differs from `before`."""
    old = set(before.members)
    members = [each for each in after.members if each not in old]
    epochs = [each for each in after.epochs if each not in before.epochs]
    settings = [each for each in after.settings if each not in before.settings]
    return (
        *((state.member_key(each.id, each.from_height), encode(each)) for each in members),
        *((state.epoch_key(each.epoch), encode(each)) for each in epochs),
        *((state.settings_key(each.from_height), encode(each)) for each in settings),
    )
