"""What simulated members propose, vote on and state of their months, as a node shows it to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec.structs
from tests.governance import KEPT, NEWCOMER, replace_keys
from tests.node.workload import MONTH
from tests.world import DESK_KINDS, GENESIS_MS, INSTITUTIONS, seed

from tradeline_ledger import calendar, state
from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import ProposalStanding, read_proposal, read_waiting
from tradeline_ledger.proposal import (
    Admit,
    Proposal,
    ProposalVote,
    Remove,
    ReplaceKeys,
    Resume,
    SetCommittee,
    SetParams,
    SetRoles,
    Suspend,
    VoteChoice,
)
from tradeline_ledger.quality import QUALITY_STATE, Delay, Listed, MonthStanding, Quality
from tradeline_ledger.registry import Feed, Role
from tradeline_ledger.signing import SigningKey

if TYPE_CHECKING:
    import random

    from tradeline_ledger.proposal import Change
    from tradeline_node.store import LedgerStore

MEMBERS: Final = (*INSTITUTIONS, NEWCOMER)
CHANGED: Final = (5, 6)
"""Members whose records proposals are about; the others keep the network going."""
AHEAD_MAX: Final = 30
"""Heights from a proposal to its effect."""
STATED: Final = calendar.month(GENESIS_MS, 480)
"""The month that quality statements are about; one that is ahead is `MONTH`."""


def proposal(store: LedgerStore, rng: random.Random, number: int, now_ms: int) -> bytes:
    """Return the content of a proposal on the registry of `store`; `number` makes it another."""
    ahead = rng.choice((0, 0, rng.randrange(1, AHEAD_MAX)))
    change = _change(store, rng, number)
    return encode(
        Proposal(
            ledger_id=store.ledger.ledger_id,
            registry_root=store.registry.root,
            title=f"Wish {number}",
            reason="Because the members want it.",
            effect_height=store.engine_height + ahead if ahead else 0,
            expires_ms=now_ms + rng.choice((1_000, 10_000, 1_000_000)),
            waived=0,
            changes=(change,),
        )
    )


def vote(store: LedgerStore, rng: random.Random, member: int) -> bytes | None:
    """Return the content of a vote on a proposal that waits, None if there is none to vote on."""
    open_ = []
    for waiting in read_waiting(store):
        row = read_proposal(store, waiting.proposal_id)
        assert row is not None, waiting
        if row.standing == ProposalStanding.OPEN and member not in row.approvals:
            open_.append(waiting.proposal_id)
    may = member in store.registry.epoch.validators
    if rng.random() < 0.95 and not (open_ and may):
        return None
    identity = rng.choice(open_) if open_ else seed("no proposal")[:16]
    choice = VoteChoice.APPROVE if rng.random() < 0.9 else VoteChoice.REJECT
    return encode(ProposalVote(identity, choice))


def quality(
    store: LedgerStore, rng: random.Random, member: int, submissions: list[tuple[int, int]]
) -> bytes:
    """Return the content of a statement on the month; now and then one that does not fit."""
    size = store.head.size + rng.choice((0, 0, 0, 0, -5, 5))
    own = [index for each, index in submissions if each == member or rng.random() < 0.05]
    listed = [Listed(index, rng.choice((1, 1, 1, 2))) for index in sorted(own) if index < size]
    month = STATED if rng.random() < 0.95 else MONTH
    row = state.read(store, QUALITY_STATE, state.quality_key(member, month))
    events = sum(each.events for each in listed)
    return encode(
        Quality(
            version=1,
            month=month,
            size=max(size, 0),
            supersedes=None if row is None else row.index,
            standing=MonthStanding.OPEN,
            received=events,
            accepted=events,
            rejected=(),
            quarantined=0,
            duplicates=0,
            listed=tuple(listed),
            corrections=(0,) * len(Delay),
            correction_prints=b"",
            repeat_prints=b"",
        )
    )


def _change(store: LedgerStore, rng: random.Random, number: int) -> Change:
    registry = store.registry
    member = rng.choice([each for each in CHANGED if registry.member(each)] or CHANGED)
    if registry.member(NEWCOMER.id) is None and rng.random() < 0.5:
        return Admit(NEWCOMER.record)
    what = rng.randrange(1, 10)
    if what == 1:
        roles = rng.choice((Role.AUTHENTICATOR, Role.READER | Role.CONTRIBUTOR, Role.OBSERVER))
        return SetRoles(member, int(roles))
    if what in (2, 3):
        return rng.choice((Suspend, Resume))(member)
    if what == 4:
        return Remove(member)
    if what == 5:
        return _new_keys(member, rng, number)
    if what == 6:
        params = store.ledger.params_of(store.registry)
        changed = msgspec.structs.replace(
            params,
            receipt_ms=rng.choice((2_000, 3_600_000)),
            epoch_overlap_ms=rng.choice((1_000, 86_400_000)),
        )
        return SetParams(changed)
    validators = rng.choice(((1, 2, 3, 4), (1, 2, 3, 4), tuple(sorted(rng.sample(range(1, 5), 3)))))
    committee = rng.sample(validators, rng.randint(2, len(validators)))
    return SetCommittee(validators, tuple(sorted(committee)))


def _new_keys(member: int, rng: random.Random, number: int) -> ReplaceKeys:
    """Return what gives a member another root key, or one more feed that nobody uses."""
    key = SigningKey(seed("voted", member, number)).public
    if rng.random() < 0.5:
        return replace_keys(member, root_key=key)
    return replace_keys(member, added=(Feed(1000 + number, key, DESK_KINDS),), replaced=KEPT)
