"""Routes about changes of the registry: proposals, what became of them, and key changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from tradeline_ledger import state
from tradeline_ledger.governance import (
    PROPOSAL_STATE,
    ProposalStanding,
    ProposalState,
    read_proposal,
    tally,
)
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import change_kind, changed_member
from tradeline_ledger.state import PROPOSAL_PREFIX
from tradeline_node.http.access import CurrentNode, log_reader
from tradeline_node.http.models import (
    ChangeModel,
    KeyChangesModel,
    ProposalModel,
    ProposalPageModel,
)
from tradeline_node.http.parameters import PAGE_MAX, PathMember, QueryCursor
from tradeline_node.http.problems import NOT_FOUND, described, described_signed
from tradeline_node.service import Node

router = APIRouter(
    prefix="/v1",
    dependencies=[Depends(log_reader)],
    responses=described_signed(),
    tags=["governance"],
)

PathProposal = Annotated[
    str, Path(pattern="^[0-9a-f]{32}$", description="Proposal id, 16 bytes in hexadecimal.")
]


@router.get("/proposals")
async def read_proposals(node: CurrentNode, cursor: QueryCursor = None) -> ProposalPageModel:
    """Return the proposals that were ever accepted, by id."""
    return await node.turns.run(lambda: _page(node, cursor))


@router.get("/proposals/{proposal}", responses=described("not-found"))
async def show_proposal(proposal: PathProposal, node: CurrentNode) -> ProposalModel:
    """Return one proposal."""
    identity = bytes.fromhex(proposal)
    row = read_proposal(node.store, identity)
    if row is None:
        raise NOT_FOUND
    return _view(node, identity, row)


@router.get("/members/{member_id}/key-changes", responses=described("not-found"))
async def read_key_changes(member_id: PathMember, node: CurrentNode) -> KeyChangesModel:
    """Return how many key changes of a member were accepted."""
    if not node.store.registry.versions(member_id):
        raise NOT_FOUND
    key_changes = state.count(node.store, state.key_changes_key(member_id))
    return KeyChangesModel(member=member_id, key_changes=key_changes)


def _page(node: Node, cursor: str | None) -> ProposalPageModel:
    start = PROPOSAL_PREFIX + bytes.fromhex(cursor) if cursor else b""
    found: list[ProposalModel] = []
    for key, value in node.store.iterate(PROPOSAL_PREFIX, start):
        identity = key[len(PROPOSAL_PREFIX) :]
        if len(found) == PAGE_MAX:
            return ProposalPageModel(proposals=found, next=identity.hex())
        found.append(_view(node, identity, PROPOSAL_STATE.decode(value)))
    return ProposalPageModel(proposals=found, next=None)


def _view(node: Node, identity: bytes, row: ProposalState) -> ProposalModel:
    proposal = row.proposal
    votes = tally(row, node.store.registry.epoch.validators)
    expired = row.expired(node.store.head.time_ms)
    standing = "expired" if expired else ProposalStanding(row.standing).name.lower()
    return ProposalModel(
        proposal_id=identity.hex(),
        index=row.index,
        member=row.member,
        title=proposal.title,
        changes=[
            ChangeModel(what=change_kind(each).name.lower(), member=changed_member(each))
            for each in proposal.changes
        ],
        effect_height=proposal.effect_height,
        expires_ms=proposal.expires_ms,
        standing=standing,  # type: ignore[arg-type]  # names of the enum
        approvals=list(row.approvals),
        rejections=list(row.rejections),
        needed=votes.needed,
        decided_height=row.decided_height,
        enacted_height=row.enacted_height,
        failure=Outcome(row.failure).code if row.failure else None,
    )
