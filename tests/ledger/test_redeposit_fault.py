"""Shares out of keys that were dealt again: what opens, who is at fault, and who is not."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec.structs
import pytest
from tests.reading import Scene
from tests.world import seed

from tradeline_ledger.bundle import withhold
from tradeline_ledger.deposit import share_paths, share_root
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import InclusionError, SealError, UnopenedError, VerificationError
from tradeline_ledger.facts import Facts
from tradeline_ledger.history import EventId
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.release import Answer, EntryProof, EntryShares, EventShare
from tradeline_ledger.share_fault import CLAIM, FaultClaim, Part, SignedShares, verify_fault
from tradeline_ledger.sharing import split
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Deposit, decode_submission

FIRST = EventId(1, 0)
MEMBERS = (1, 2, 3)


@dataclass
class Again:
    """A scene whose batch was dealt again in its own epoch before the inquiry."""

    scene: Scene
    placed: int
    redeposit: Redeposit
    shares: list[bytes]
    """By committee position."""

    @property
    def proof(self) -> EntryProof:
        return self.scene.committee.entry_proof(self.placed, self.scene.common.size)

    def answer(self, member: int, *, share: bytes | None = None) -> Answer:
        """Return an answer out of the re-deposit; `share` is in place of the first event's."""
        own = self.shares[member - 1]
        given = []
        for each in self.scene.committee.payload(member, self.scene.common, paths=True):
            assert each.index == FIRST.index
            positions = [one.position for one in each.shares]
            paths = share_paths(own, positions)
            shares = tuple(
                EventShare(at, own[32 * at : 32 * at + 32], tuple(path))
                for at, path in zip(positions, paths, strict=True)
            )
            if share is not None:
                shares = (msgspec.structs.replace(shares[0], share=share), *shares[1:])
            given.append(EntryShares(each.index, self.placed, 0, shares))
        return self.scene.committee.answer(member, self.scene.common, payload=tuple(given))

    def claim(self, answers: dict[int, Answer], **changes: object) -> FaultClaim:
        signed = tuple(SignedShares(v, a.signature, a.payload) for v, a in sorted(answers.items()))
        claim = FaultClaim(FIRST, self.redeposit.deposits, self.proof, signed)
        return msgspec.structs.replace(claim, **changes)

    def facts(self) -> Facts:
        """Return what a bundle without keys proves; made of the batch's own deposits."""
        reading = self.scene.read(answers=self.scene.answers())
        return self.scene.verify(withhold(reading.bundle)).facts


def again(keys: bytes | None = None) -> Again:
    """Return such a scene; `keys` are dealt in place of the right ones."""
    scene = Scene()
    world = scene.committee.world
    salt = len(world.leaves)
    scene.file(2, scene.event(2, "a"), scene.event(2, "b"))
    count = decode_submission(world.contents[FIRST.index]).batch.count
    right = b"".join(seed("key", 2, salt, i) for i in range(count))
    epoch = world.registry.epoch
    random = b"".join(seed("again", i) for i in range(count * (epoch.threshold - 1)))
    shares = split(keys * count if keys else right, epoch.threshold, len(epoch.committee), random)
    deposits = tuple(Deposit(seed("sealed", i), share_root(own)) for i, own in enumerate(shares))
    content = world.redeposit(2, FIRST.index, deposits)
    executed = world.block(world.entry(2, Kind.REDEPOSIT, encode(content)))
    assert executed.placed[0].applied.outcome.accepted
    placed = executed.placed[0].index
    scene.ask()
    return Again(scene, placed, content, shares)


@pytest.fixture(scope="module")
def good() -> Again:
    return again()


@pytest.fixture(scope="module")
def bad() -> Again:
    return again(seed("another key"))


def test_shares_of_the_redeposit_open_and_are_not_mixed_with_others(good: Again) -> None:
    answers = {member: good.answer(member) for member in MEMBERS}
    assert len(good.scene.read(answers=answers).report.events) == 2
    mixed = {**good.scene.answers((1, 2)), 3: good.answer(3)}
    with pytest.raises(UnopenedError):
        good.scene.read(answers=mixed)
    both = {**good.scene.answers((1, 2, 4)), 3: good.answer(3)}
    assert len(good.scene.read(answers=both).report.events) == 2


def test_right_shares_of_the_redeposit_convict_nobody(good: Again) -> None:
    facts = good.facts()
    answers = {member: good.answer(member) for member in MEMBERS}
    with pytest.raises(VerificationError, match="combine to its key; nobody is at fault"):
        verify_fault(good.claim(answers), facts)
    # Held against the deposits of the batch, which they are not of, they count for nothing.
    batch = decode_submission(good.scene.committee.world.contents[FIRST.index]).batch
    wrong = good.claim(answers, deposits=batch.deposits, redeposit=None)
    with pytest.raises(SealError, match="answered with no share"):
        verify_fault(wrong, facts)


def test_a_false_share_of_the_redeposit_convicts_its_member(good: Again) -> None:
    claim = good.claim({2: good.answer(2, share=seed("false"))})
    blame = verify_fault(CLAIM.decode(encode(claim)), good.facts())
    assert (blame.part, blame.member, blame.event) == (Part.COMMITTEE_MEMBER, 2, FIRST)


def test_keys_dealt_wrong_again_convict_the_dealer(bad: Again) -> None:
    answers = {member: bad.answer(member) for member in MEMBERS}
    with pytest.raises(UnopenedError):
        bad.scene.read(answers=answers)
    blame = verify_fault(CLAIM.decode(encode(bad.claim(answers))), bad.facts())
    assert (blame.part, blame.member, blame.event) == (Part.DEALER, 2, FIRST)
    claims = tuple(
        msgspec.structs.replace(bad.claim(answers), event=EventId(1, at)) for at in (0, 2)
    )
    reading = bad.scene.read(answers=answers, claims=claims)
    assert [each.member for each in reading.blamed] == [2, 2]
    assert len(reading.report.invalid) == 2


def test_only_the_proven_redeposit_of_that_batch_counts(bad: Again) -> None:
    facts = bad.facts()
    answers = {member: bad.answer(member) for member in MEMBERS}
    proof = bad.proof
    batch = decode_submission(bad.scene.committee.world.contents[FIRST.index]).batch
    other = bad.scene.committee.entry_proof(bad.scene.inquiry, bad.scene.common.size)
    path = (seed("path"), *proof.path[1:])
    for changes, error, said in (
        ({"deposits": batch.deposits}, VerificationError, "does not deal the keys"),
        ({"redeposit": other}, VerificationError, "expected redeposit"),
        ({"redeposit": msgspec.structs.replace(proof, path=path)}, InclusionError, "."),
        (
            {"redeposit": msgspec.structs.replace(proof, content=b"x")},
            VerificationError,
            "its content hashes to",
        ),
    ):
        with pytest.raises(error, match=said):
            verify_fault(bad.claim(answers, **changes), facts)
