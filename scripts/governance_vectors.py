"""
What `make_vectors` writes about proposals and votes: a small ledger of its own, and every change.

Its members are those of the other vectors. One proposal admits a member, opens an epoch and sets
the params at a stated height, which comes in a block without entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec.structs
from tests.committee import Committee
from tests.draft import NO_CHANGE
from tests.governance import NEWCOMER, newcomer_record, post, proposal, replace_keys, vote
from tests.world import DESK_KINDS, seed

from tradeline_ledger.encoding import Record, encode
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    Admit,
    Change,
    ProposalVote,
    Remove,
    Resume,
    SetCommittee,
    SetEndpoint,
    SetParams,
    SetRoles,
    SetRules,
    Suspend,
    VoteChoice,
    proposal_id,
)
from tradeline_ledger.registry import Feed
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import ENTRY

if TYPE_CHECKING:
    from scripts.make_vectors import Vectors

EFFECT_HEIGHT: Final = 6


def changes() -> tuple[tuple[str, Change], ...]:
    """Return a change of each kind, with its name."""
    params = msgspec.structs.replace(Committee().world.ledger.params, profile="eu")
    feed = Feed(3, SigningKey(seed("new feed")).public, DESK_KINDS)
    tag_key = msgspec.structs.replace(NO_CHANGE, tag_key_hash=seed("new tag key"))
    root = SigningKey(seed("new root")).public
    return (
        ("admit", Admit(newcomer_record())),
        ("roles", SetRoles(5, 6)),
        ("suspend", Suspend(5)),
        ("resume", Resume(5)),
        ("remove", Remove(5)),
        ("endpoint", SetEndpoint(4, "https://4.example", seed("pin"), NEWCOMER.engine_peer)),
        ("keys", replace_keys(5, root_key=root, added=(feed,), ended=(1,), replaced=tag_key)),
        ("params", SetParams(params)),
        ("committee", SetCommittee((1, 2, 3, 4, 6), (1, 2, 3, 6))),
        ("rules", SetRules(2)),
    )


def fill(out: Vectors) -> None:
    """Add every change, a proposal, its votes and what comes of it."""
    listed = changes()
    for name, change in listed:
        out.record(f"change: {name}", change)
    committee = Committee()
    world = committee.world
    named = dict(listed)
    content = proposal(
        world,
        named["admit"],
        named["params"],
        named["committee"],
        title="Savings bank joins",
        reason="It lends in three provinces. European profile from the same day.",
        effect_height=EFFECT_HEIGHT,
    )
    encoded = out.record("proposal", content)
    identity = out.hash("proposal id", proposal_id(encoded), "proposal", encoded)
    outcome, _ = post(world, content)
    assert outcome is Outcome.ACCEPTED, outcome
    for name, choice in (("approve", VoteChoice.APPROVE), ("reject", VoteChoice.REJECT)):
        out.record(f"vote content: {name}", ProposalVote(identity, choice))
    for member in (2, 3):
        entry = vote(world, member, identity)
        assert ENTRY.decode(entry).content == encode(ProposalVote(identity, 1))
        world.block(entry)
    while world.registry.epoch.epoch == 0:
        executed = world.block()
    assert len(executed.leaves) == 1, "the change comes in a block without entries"
    out.value(f"leaf {world.head.size - 1}: block leaf alone", executed.leaves[0])
    records: tuple[Record, ...] = (
        *world.registry.members,
        *world.registry.epochs,
        *world.registry.settings,
    )
    out.record("epoch record 1", world.registry.epoch)
    out.record("settings record", world.registry.settings[0])
    leaves = [encode(each) for each in records]
    out.root("registry root after", world.registry.root, leaves)
    assert root_of([leaf_hash(leaf) for leaf in leaves]) == world.registry.root
    (step,) = committee.steps()
    out.record("registry step", step)
