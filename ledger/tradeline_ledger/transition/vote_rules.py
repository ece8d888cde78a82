"""Votes: a validator approves or rejects a proposal, once or until it thinks otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import (
    ProposalStanding,
    WaitingRow,
    proposal_key,
    read_proposal,
    read_waiting,
)
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import PROPOSAL_VOTE, VoteChoice
from tradeline_ledger.transition.context import Ruling
from tradeline_ledger.transition.enactment import decided

if TYPE_CHECKING:
    from tradeline_ledger.governance import ProposalState
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Context, Signed


def rule(view: View, signed: Signed, context: Context) -> Ruling:
    """
    Return the ruling on a vote.

    Raises:
        MalformedError: the content does not decode.
    """
    vote = PROPOSAL_VOTE.decode(signed.entry.content)
    row = read_proposal(view, vote.proposal_id)
    if row is None:
        return Ruling(Outcome.VOTE_PROPOSAL_UNKNOWN)
    if signed.member.id not in context.registry.epoch.validators:
        return Ruling(Outcome.VOTE_NOT_VALIDATOR)
    if row.standing != ProposalStanding.OPEN:
        return Ruling(Outcome.VOTE_PROPOSAL_CLOSED)
    if row.expired(context.time_ms):
        return Ruling(Outcome.VOTE_PROPOSAL_EXPIRED)
    voted = _voted(row, signed.member.id, VoteChoice(vote.choice))
    if voted == row:
        return Ruling(Outcome.VOTE_WITHOUT_EFFECT)
    after, due = decided(voted, context)
    writes = [(proposal_key(vote.proposal_id), encode(after))]
    if after.standing != ProposalStanding.OPEN:
        rows = tuple(
            WaitingRow(each.proposal_id, due) if each.proposal_id == vote.proposal_id else each
            for each in read_waiting(view)
            if each.proposal_id != vote.proposal_id or due is not None
        )
        writes.append((state.WAITING_KEY, encode(rows)))
    return Ruling(Outcome.ACCEPTED, tuple(writes))


def _voted(row: ProposalState, member: int, choice: VoteChoice) -> ProposalState:
    approvals, rejections = set(row.approvals) - {member}, set(row.rejections) - {member}
    (approvals if choice is VoteChoice.APPROVE else rejections).add(member)
    return msgspec.structs.replace(
        row, approvals=tuple(sorted(approvals)), rejections=tuple(sorted(rejections))
    )
