"""Proposals: what a member asks the validators to change in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.amendment import Moment, amend, has_room
from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import (
    ProposalStanding,
    ProposalState,
    WaitingRow,
    proposal_key,
    read_proposal,
    read_waiting,
)
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    EFFECT_AHEAD_MAX,
    PROPOSAL,
    VOTING_MS_MAX,
    WAITING_MAX,
    Proposal,
    proposal_id,
)
from tradeline_ledger.registry import Registry
from tradeline_ledger.transition.context import Ruling
from tradeline_ledger.transition.enactment import decided

if TYPE_CHECKING:
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a proposal. Any member may propose; a validator approves by proposing.

    Raises:
        MalformedError: the content does not decode.
    """
    content = signed.entry.content
    proposal = PROPOSAL.decode(content)
    identity = proposal_id(content)
    outcome = _check(view, identity, proposal, context)
    if outcome is not None:
        return Ruling(outcome)
    waiting = _still_waiting(view, context)
    if len(waiting) >= WAITING_MAX or not has_room(context.pending, proposal):
        return Ruling(Outcome.PROPOSAL_TOO_MANY)
    if any(each.proposal.touches() & proposal.touches() for _, each in waiting):
        return Ruling(Outcome.PROPOSAL_CONFLICT)
    if proposal.next_rules() is not None and proposal.effect_height <= context.height + 1:
        return Ruling(Outcome.PROPOSAL_RULES_LATE)
    moment = Moment(context.height + 1, context.time_ms)
    after = amend(
        context.ledger,
        context.pending,
        proposal,
        moment,
        lambda epoch: state.count(view, state.held_key(epoch)),
    )
    if not isinstance(after, Registry):
        return Ruling(after)
    member = signed.member.id
    row = ProposalState(
        index=context.index,
        member=member,
        content=content,
        approvals=(member,) if member in context.registry.epoch.validators else (),
        rejections=(),
        standing=ProposalStanding.OPEN,
        decided_height=None,
        enacted_height=None,
        failure=0,
    )
    row, due = decided(row, context)
    rows = [waiting_row for waiting_row, _ in waiting]
    if row.standing in (ProposalStanding.OPEN, ProposalStanding.PASSED):
        rows.append(WaitingRow(identity, due))
    return Ruling(
        Outcome.ACCEPTED,
        ((proposal_key(identity), encode(row)), (state.WAITING_KEY, encode(tuple(rows)))),
    )


def _check(view: View, identity: bytes, proposal: Proposal, context: Context) -> Outcome | None:
    if proposal.ledger_id != context.ledger.ledger_id:
        return Outcome.PROPOSAL_LEDGER_WRONG
    if read_proposal(view, identity) is not None:
        return Outcome.PROPOSAL_DUPLICATE
    if proposal.registry_root != context.registry.root:
        return Outcome.PROPOSAL_STALE
    if not context.time_ms < proposal.expires_ms <= context.time_ms + VOTING_MS_MAX:
        return Outcome.PROPOSAL_EXPIRY_WRONG
    if proposal.effect_height > context.height + EFFECT_AHEAD_MAX:
        return Outcome.PROPOSAL_EFFECT_TOO_FAR
    return None


def _still_waiting(view: View, context: Context) -> list[tuple[WaitingRow, ProposalState]]:
    """Return the proposals that wait, without those that have expired."""
    found = []
    for waiting in read_waiting(view):
        row = read_proposal(view, waiting.proposal_id)
        if row is not None and not row.expired(context.time_ms):
            found.append((waiting, row))
    return found
