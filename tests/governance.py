"""Proposals and votes in a world of `tests.world`."""

from __future__ import annotations

from typing import Any

import msgspec.structs
from tests.world import DAY_MS, Institution, World

from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import ProposalState, read_proposal
from tradeline_ledger.key import Replaced
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    Change,
    Proposal,
    ProposalVote,
    ReplaceKeys,
    VoteChoice,
    proposal_id,
)
from tradeline_ledger.registry import MemberRecord, Role
from tradeline_ledger.statement import Kind
from tradeline_ledger.transition import Executed

NEWCOMER = Institution(6, "Savings bank", Role.CONTRIBUTOR | Role.READER | Role.VALIDATOR)
KEPT = Replaced(None, None, None, None, None)


def proposal(world: World, *changes: Change, **fields: Any) -> Proposal:
    """Return a proposal on the registry in force that may take effect at once."""
    values: dict[str, Any] = {
        "ledger_id": world.ledger.ledger_id,
        "registry_root": world.registry.root,
        "title": "A change",
        "reason": "Because the members want it.",
        "effect_height": 0,
        "expires_ms": world.time_ms + 30 * DAY_MS,
        "waived": 0,
        "changes": changes,
    }
    return Proposal(**(values | fields))


def post(
    world: World, content: Proposal, member: int = 1, feed: int | None = None
) -> tuple[Outcome, bytes]:
    """Post a proposal in a block of its own; return the outcome and its id."""
    encoded = encode(content)
    executed = world.block(world.entry(member, Kind.PROPOSAL, encoded, feed))
    return executed.placed[0].applied.outcome, proposal_id(encoded)


def vote(world: World, member: int, identity: bytes, *, approve: bool = True) -> bytes:
    """Return the entry of a vote."""
    choice = VoteChoice.APPROVE if approve else VoteChoice.REJECT
    return world.entry(member, Kind.VOTE, encode(ProposalVote(identity, choice)))


def cast(world: World, member: int, identity: bytes, *, approve: bool = True) -> Outcome:
    """Vote in a block of its own; return the outcome."""
    executed = world.block(vote(world, member, identity, approve=approve))
    return executed.placed[0].applied.outcome


def enact(world: World, *changes: Change, voters: tuple[int, ...] = (2, 3), **fields: Any) -> bytes:
    """Have members 1 and `voters` decide on changes; return the proposal's id."""
    outcome, identity = post(world, proposal(world, *changes, **fields))
    assert outcome is Outcome.ACCEPTED, outcome
    for member in voters:
        outcome = cast(world, member, identity)
        assert outcome is Outcome.ACCEPTED, outcome
    return identity


def standing(world: World, identity: bytes) -> ProposalState:
    """Return where a proposal stands."""
    row = read_proposal(world, identity)
    assert row is not None, identity
    return row


def pass_heights(world: World, count: int) -> list[Executed]:
    """Execute blocks without entries."""
    return [world.block() for _ in range(count)]


def newcomer_record(**fields: Any) -> MemberRecord:
    """Return the record of a sixth member with a node; `fields` replace some."""
    return msgspec.structs.replace(NEWCOMER.record, **fields)


def replace_keys(member: int, **fields: Any) -> ReplaceKeys:
    """Return a change of keys that changes what `fields` say."""
    values: dict[str, Any] = {
        "member": member,
        "root_key": None,
        "engine_key": None,
        "added": (),
        "ended": (),
        "replaced": KEPT,
    }
    return ReplaceKeys(**(values | fields))
