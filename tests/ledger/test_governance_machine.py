"""
Proposals and votes against a plain model: whoever proposes and votes, in whatever order.

The model knows two things that can change, the roles of member 5 and the set of validators, and
counts votes by itself. At the end a replay of the log must arrive at the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.governance import proposal
from tests.ledger.test_governance import assert_replays
from tests.world import World

from tradeline_ledger.encoding import encode
from tradeline_ledger.governance import read_proposal, read_waiting
from tradeline_ledger.proposal import ProposalVote, SetCommittee, SetRoles, proposal_id
from tradeline_ledger.statement import Kind

HOUR_MS: Final = 3_600_000
ROLES: Final = st.sampled_from([2, 4, 6])
VALIDATORS: Final = st.sampled_from([(1, 2, 3), (1, 2, 3, 4), (1, 2, 4), (2, 3, 4), (1, 2)])
MEMBERS: Final = st.sampled_from([1, 2, 3, 4, 5])


@dataclass
class Wish:
    """A proposal as the model knows it."""

    member: int
    what: str
    value: Any
    effect: int
    expires_ms: int
    said: dict[int, bool] = field(default_factory=dict)
    """Last vote of each member: approve or not."""
    standing: str = "open"
    due: int = 0


class GovernanceMachine(RuleBasedStateMachine):
    """Members propose and vote; time and heights pass."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.wishes: dict[bytes, Wish] = {}
        self.now: dict[str, Any] = {"roles": 4, "validators": (1, 2, 3, 4)}
        self.from_heights = {"roles": 0, "validators": 0}

    def _needed(self) -> int:
        return {1: 1, 2: 2, 3: 3, 4: 3}[len(self.now["validators"])]

    def _open(self, wish: Wish) -> bool:
        return wish.standing == "open" and self.world.time_ms < wish.expires_ms

    def _decide(self, wish: Wish) -> None:
        validators = self.now["validators"]
        counted = [wish.said[each] for each in validators if each in wish.said]
        if counted.count(True) >= self._needed():
            wish.standing, wish.due = "passed", max(wish.effect, self.world.height + 1)
        elif len(validators) - counted.count(False) < self._needed():
            wish.standing = "rejected"

    def _end_block(self) -> None:
        due = [w for w in self.wishes.values() if w.standing == "passed"]
        changed = set()
        for wish in sorted(due, key=lambda each: each.due):
            if wish.due <= self.world.height + 1:
                fails = wish.what in changed or self._defect(wish.what, wish.value)
                wish.standing = "failed" if fails else "enacted"
                if not fails:
                    changed.add(wish.what)
                    self.now[wish.what] = wish.value
                    self.from_heights[wish.what] = self.world.height + 1

    def _defect(self, what: str, value: Any) -> str:
        before = self.now[what]
        if before == value:
            return "proposal-without-effect"
        if what == "validators":
            stay = len(set(before) & set(value))
            if any(stay < {1: 1, 2: 2, 3: 3, 4: 3}[len(each)] for each in (before, value)):
                return "proposal-quorum-lost"
        return ""

    def _place(self, entry: bytes, hours: int = 0) -> str:
        executed = self.world.block(entry, later_ms=1000 + hours * HOUR_MS)
        assert not executed.dropped, executed.dropped
        return executed.placed[0].applied.outcome.code

    def _propose(self, member: int, what: str, value: Any, ahead: int, hours: int) -> None:
        change = SetRoles(5, value) if what == "roles" else SetCommittee(value, value)
        content = proposal(
            self.world,
            change,
            title=f"Wish {len(self.wishes)}",
            effect_height=self.world.height + ahead if ahead else 0,
            expires_ms=self.world.time_ms + hours * HOUR_MS,
        )
        encoded = encode(content)
        outcome = self._place(self.world.entry(member, Kind.PROPOSAL, encoded))
        validators = self.now["validators"]
        waits = [w for w in self.wishes.values() if self._open(w) or w.standing == "passed"]
        expected = self._defect(what, value) or "accepted"
        if any(
            each.what == what
            and (each.standing == "passed" or each.member in validators or member not in validators)
            for each in waits
        ):
            expected = "proposal-conflict"
        if [each.member for each in waits].count(member) >= 4:
            expected = "proposal-too-many"
        assert outcome == expected
        if outcome == "accepted":
            wish = Wish(member, what, value, content.effect_height, content.expires_ms)
            self.wishes[proposal_id(encoded)] = wish
            if member in self.now["validators"]:
                wish.said[member] = True
            self._decide(wish)
        self._end_block()

    @rule(member=MEMBERS, value=ROLES, ahead=st.integers(0, 9), hours=st.integers(1, 4))
    def propose_roles(self, member: int, value: int, ahead: int, hours: int) -> None:
        self._propose(member, "roles", value, ahead, hours)

    @rule(member=MEMBERS, value=VALIDATORS, ahead=st.integers(0, 9), hours=st.integers(1, 4))
    def propose_validators(
        self, member: int, value: tuple[int, ...], ahead: int, hours: int
    ) -> None:
        self._propose(member, "validators", value, ahead, hours)

    @precondition(lambda self: self.wishes)
    @rule(
        member=MEMBERS,
        back=st.integers(1, 3),
        approve=st.integers(0, 4),
        hours=st.sampled_from([0, 0, 0, 1]),
    )
    def vote(self, member: int, back: int, approve: int, hours: int) -> None:
        self._vote(member, back, yes=approve > 0, hours=hours)

    @precondition(lambda self: self.wishes)
    @rule(members=st.lists(MEMBERS, min_size=2, max_size=4, unique=True), yes=st.booleans())
    def vote_alike(self, members: list[int], yes: bool) -> None:
        for member in members:
            self._vote(member, 1, yes=yes, hours=0)

    def _vote(self, member: int, back: int, *, yes: bool, hours: int) -> None:
        identity = list(self.wishes)[-min(back, len(self.wishes))]
        wish = self.wishes[identity]
        entry = self.world.entry(member, Kind.VOTE, encode(ProposalVote(identity, 1 if yes else 2)))
        outcome = self._place(entry, hours)
        if member not in self.now["validators"]:
            expected = "vote-not-validator"
        elif wish.standing != "open":
            expected = "vote-proposal-closed"
        elif not self._open(wish):
            expected = "vote-proposal-expired"
        elif wish.said.get(member) is yes:
            expected = "vote-without-effect"
        else:
            expected = "accepted"
        assert outcome == expected
        if outcome == "accepted":
            wish.said[member] = yes
            self._decide(wish)
        self._end_block()

    @rule(blocks=st.integers(1, 4), hours=st.integers(0, 2))
    def wait(self, blocks: int, hours: int) -> None:
        for _ in range(blocks):
            self.world.block(later_ms=1000 + hours * HOUR_MS)
            self._end_block()

    @invariant()
    def the_registry_is_what_was_decided(self) -> None:
        record = self.world.registry.member(5)
        assert record is not None
        assert (record.roles, record.from_height) == (self.now["roles"], self.from_heights["roles"])
        epoch = self.world.registry.epoch
        assert (epoch.validators, epoch.from_height) == (
            self.now["validators"],
            self.from_heights["validators"],
        )

    @invariant()
    def every_proposal_stands_where_the_model_says(self) -> None:
        names = {1: "open", 2: "passed", 3: "rejected", 4: "enacted", 5: "failed"}
        for identity, wish in self.wishes.items():
            row = read_proposal(self.world, identity)
            assert row is not None
            assert names[row.standing] == wish.standing
            assert dict.fromkeys(row.approvals, True) | dict.fromkeys(row.rejections, False) == (
                wish.said
            )
        waiting = {each.proposal_id for each in read_waiting(self.world)}
        assert waiting >= {i for i, w in self.wishes.items() if w.standing == "passed"}

    def teardown(self) -> None:
        assert_replays(self.world)


GovernanceMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
TestGovernanceMachine = GovernanceMachine.TestCase
