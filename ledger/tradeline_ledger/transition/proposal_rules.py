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
    WAITING_MEMBER_MAX,
    WAITING_OTHERS_MAX,
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
    outcome = _check_waiting([row for _, row in waiting], proposal, signed.member.id, context)
    if outcome is not None:
        return Ruling(outcome)
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


def _check_waiting(
    waiting: list[ProposalState], proposal: Proposal, member: int, context: Context
) -> Outcome | None:
    """
    Refuse more than can wait, and what another that waits is about.

    Who is no validator keeps no validator from proposing: neither by filling the list, nor by a
    proposal of its own about the same thing, its own removal say.
    """
    validators = context.registry.epoch.validators
    others = [row for row in waiting if row.member not in validators]
    full = (
        len(waiting) >= WAITING_MAX
        or sum(row.member == member for row in waiting) >= WAITING_MEMBER_MAX
        or (member not in validators and len(others) >= WAITING_OTHERS_MAX)
        or not has_room(context.pending, proposal)
    )
    if full:
        return Outcome.PROPOSAL_TOO_MANY
    rivals = (
        row
        for row in waiting
        if row.standing == ProposalStanding.PASSED
        or member not in validators
        or row.member in validators
    )
    if any(row.proposal.touches() & proposal.touches() for row in rivals):
        return Outcome.PROPOSAL_CONFLICT
    return None


def _still_waiting(view: View, context: Context) -> list[tuple[WaitingRow, ProposalState]]:
    """Return the proposals that wait, without those that have expired."""
    found = []
    for waiting in read_waiting(view):
        row = read_proposal(view, waiting.proposal_id)
        if row is not None and not row.expired(context.time_ms):
            found.append((waiting, row))
    return found
