"""
What votes must have come to, and what quality statements may say: the log, gone over once more.

Votes are counted here by themselves; of a proposal that passed, the store is only believed that its
change could not be made if another was made in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tradeline_ledger.governance import ProposalStanding, read_proposal
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    PROPOSAL,
    PROPOSAL_VOTE,
    Admit,
    Proposal,
    Remove,
    Resume,
    SetCommittee,
    SetParams,
    SetRoles,
    Suspend,
    VoteChoice,
    change_kind,
    proposal_id,
)
from tradeline_ledger.quality import QUALITY, Quality
from tradeline_ledger.registry import Role
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import decode_submission

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.oracle import Row

    from tradeline_node.store import LedgerStore

ROLES: Final = {
    Kind.SUBMISSION: Role.CONTRIBUTOR,
    Kind.MARK: Role.CONTRIBUTOR,
    Kind.REDEPOSIT: Role.CONTRIBUTOR,
    Kind.QUALITY: Role.CONTRIBUTOR,
    Kind.CONSENT: Role.READER,
    Kind.INQUIRY: Role.READER,
}
NEEDED: Final = {1: 1, 2: 2, 3: 3, 4: 3}


@dataclass
class _Wish:
    row: Row
    proposal: Proposal
    said: dict[int, bool] = field(default_factory=dict)
    standing: str = "open"
    due: int = 0


class GovernanceCheck:
    """Goes over the log of one run; `demand` ends it with what does not hold."""

    def __init__(self, store: LedgerStore, demand: Callable[[bool, str], None]) -> None:
        self._store, self._demand = store, demand
        genesis = store.ledger.registry
        self._roles = {each.id: each.roles for each in genesis.in_force()}
        self._suspended: set[int] = set()
        self._validators = genesis.epoch.validators
        self._committee = tuple(each.member for each in genesis.epoch.committee)
        self._params = store.ledger.params
        self._wishes: dict[bytes, _Wish] = {}
        self._enacted: list[_Wish] = []
        self._stated: dict[tuple[int, int], tuple[int, int]] = {}
        self._submitted: dict[int, tuple[int, int]] = {}
        """Member and count of events by log index."""

    def run(self, rows: list[Row]) -> list[str]:
        """Check all of `rows`, and the registry that they came to; return what was enacted."""
        for row in rows:
            self._pass_heights(row.height)
            self._check_standing(row)
            accepted = row.outcome is Outcome.ACCEPTED
            if row.statement.kind == Kind.PROPOSAL and accepted:
                self._propose(row)
            elif row.statement.kind == Kind.VOTE and row.outcome is not Outcome.CONTENT_MALFORMED:
                self._vote(row)
            elif row.statement.kind == Kind.SUBMISSION and accepted:
                count = decode_submission(row.content).batch.count
                self._submitted[row.index] = row.statement.member, count
            elif row.statement.kind == Kind.QUALITY and accepted:
                self._state(row, QUALITY.decode(row.content))
        self._pass_heights(self._store.engine_height + 1)
        self._compare()
        changes = [change for each in self._enacted for change in each.proposal.changes]
        return [change_kind(each).name.lower() for each in changes]

    def _check_standing(self, row: Row) -> None:
        member, kind = row.statement.member, row.statement.kind
        roles = self._roles.get(member)
        self._demand(roles is not None, f"entry {row.index} is of a member that is none")
        needed = ROLES.get(Kind(kind), 0)
        may = not needed & ~(roles or 0) and member not in self._suspended
        self._demand(
            may or row.outcome is not Outcome.ACCEPTED,
            f"entry {row.index} is accepted of a member that may not write it",
        )

    def _propose(self, row: Row) -> None:
        proposal, member = PROPOSAL.decode(row.content), row.statement.member
        wish = _Wish(row, proposal)
        if member in self._validators:
            wish.said[member] = True
        self._wishes[proposal_id(row.content)] = wish
        self._decide(wish, row.height)

    def _vote(self, row: Row) -> None:
        vote, member = PROPOSAL_VOTE.decode(row.content), row.statement.member
        wish, yes = self._wishes.get(vote.proposal_id), vote.choice == VoteChoice.APPROVE
        if member in self._suspended:
            expected = "member-suspended"
        elif wish is None:
            expected = "vote-proposal-unknown"
        elif member not in self._validators:
            expected = "vote-not-validator"
        elif wish.standing != "open":
            expected = "vote-proposal-closed"
        elif row.time_ms >= wish.proposal.expires_ms:
            expected = "vote-proposal-expired"
        elif wish.said.get(member) is yes:
            expected = "vote-without-effect"
        else:
            expected = "accepted"
            wish.said[member] = yes
            self._decide(wish, row.height)
        self._demand(
            expected == row.outcome.code,
            f"vote {row.index} is {row.outcome.code}, by the votes before it is {expected}",
        )

    def _decide(self, wish: _Wish, height: int) -> None:
        said = [wish.said[each] for each in self._validators if each in wish.said]
        needed = NEEDED[len(self._validators)]
        if said.count(True) >= needed:
            wish.standing, wish.due = "passed", max(wish.proposal.effect_height, height + 1)
        elif len(self._validators) - said.count(False) < needed:
            wish.standing = "rejected"

    def _pass_heights(self, height: int) -> None:
        """Make the changes that are in force at `height`."""
        passed = [each for each in self._wishes.values() if each.standing == "passed"]
        for wish in sorted(passed, key=lambda each: each.due):
            if wish.due <= height:
                self._enact(wish)

    def _enact(self, wish: _Wish) -> None:
        index = wish.row.index
        row = read_proposal(self._store, proposal_id(wish.row.content))
        assert row is not None, index
        if row.standing == ProposalStanding.FAILED:
            between = [each for each in self._enacted if wish.row.height < each.due <= wish.due]
            self._demand(
                bool(between) or row.failure == Outcome.PROPOSAL_STRANDS,
                f"proposal {index} passed and failed, though nothing changed before",
            )
            wish.standing = "failed"
            return
        self._demand(
            row.standing == ProposalStanding.ENACTED and row.enacted_height == wish.due,
            f"proposal {index} is due at height {wish.due}, it stands at {row.standing} of height "
            f"{row.enacted_height}",
        )
        wish.standing = "enacted"
        self._enacted.append(wish)
        for change in wish.proposal.changes:
            match change:
                case Admit(record=record):
                    self._roles[record.id] = record.roles
                case SetRoles(member=member, roles=roles):
                    self._roles[member] = roles
                case Suspend(member=member):
                    self._suspended.add(member)
                case Resume(member=member):
                    self._suspended.discard(member)
                case Remove(member=member):
                    del self._roles[member]
                    self._suspended.discard(member)
                case SetParams(params=params):
                    self._params = params
                case SetCommittee():
                    self._validators, self._committee = change.validators, change.committee
                case _:
                    pass

    def _state(self, row: Row, content: Quality) -> None:
        member = row.statement.member
        before, size = self._stated.get((member, content.month), (None, 0))
        fits = all(
            each.index < content.size
            and self._submitted.get(each.index, (0, 0))[0] == member
            and each.events <= self._submitted[each.index][1]
            for each in content.listed
        )
        self._demand(
            content.supersedes == before and size <= content.size <= row.index and fits,
            f"quality statement {row.index} is accepted, it does not fit what was placed before",
        )
        self._stated[member, content.month] = row.index, content.size

    def _compare(self) -> None:
        """Compare standings and registry with what the votes came to."""
        for identity, wish in self._wishes.items():
            row = read_proposal(self._store, identity)
            assert row is not None, wish
            found = ProposalStanding(row.standing).name.lower()
            self._demand(
                found == wish.standing,
                f"proposal {wish.row.index} is {found}, by the votes it is {wish.standing}",
            )
        registry = self._store.registry
        epoch, params = registry.epoch, self._store.ledger.params_of(registry)
        roles = {each.id: each.roles & ~int(Role.SUSPENDED) for each in registry.in_force()}
        suspended = {each.id for each in registry.in_force() if each.roles & Role.SUSPENDED}
        committee = tuple(each.member for each in epoch.committee)
        self._demand(
            (roles, suspended) == (self._roles, self._suspended)
            and (epoch.validators, committee) == (self._validators, self._committee)
            and params == self._params,
            "the registry is not what was voted for",
        )
