"""Whom a verifier believes: checkpoints, steps of the registry, policies."""

from __future__ import annotations

from dataclasses import replace

import msgspec.structs
import pytest
from tests.committee import Committee
from tests.world import make_ledger, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    ConsistencyError,
    InclusionError,
    MalformedError,
    PolicyError,
    SignatureError,
    VerificationError,
)
from tradeline_ledger.note import Note, decode_note, decode_vkey, encode_note
from tradeline_ledger.policy import verify_checkpoint
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.registry import Registry
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import BlockLeaf, block_leaf, decode_leaf
from tradeline_ledger.trust import (
    STEP,
    STEPS,
    RegistryStep,
    TrustedLog,
    encode_registry,
    log_vkey,
    open_registry,
    policy_of,
    registry_after,
    verify_block,
)

NEW_NOTE = SigningKey(seed("new note"))
NEW_COSIGNER = SigningKey(seed("new cosigner"))


@pytest.fixture
def committee() -> Committee:
    """A ledger whose bank changes its note and cosigner keys in block 2."""
    committee = Committee()
    terms = committee.world.terms()
    committee.consent(terms)
    committee.change_keys(1, 0, note_key=NEW_NOTE.public, cosigner_key=NEW_COSIGNER.public)
    committee.consent(committee.world.terms(who=2))
    return committee


def start(committee: Committee) -> TrustedLog:
    return TrustedLog.start(committee.world.ledger)


def test_a_quorum_of_validators_makes_a_checkpoint(committee: Committee) -> None:
    verified = start(committee).verify_checkpoint(
        committee.checkpoint(3, signers=(2,), cosigners=(2, 3, 4))
    )
    assert (verified.size, verified.root) == (3, committee.root(3))
    assert (verified.signers, verified.cosigners) == ((2,), (2, 3, 4))


def test_below_the_quorum_of_cosigners_is_refused(committee: Committee) -> None:
    with pytest.raises(PolicyError, match=r"cosigned by members \[2, 3\], 3 of the 4"):
        start(committee).verify_checkpoint(committee.checkpoint(3, cosigners=(2, 3)))


def test_one_member_twice_counts_once(committee: Committee) -> None:
    note = committee.checkpoint(3, cosigners=(2, 3, 3, 3))
    with pytest.raises(PolicyError, match=r"cosigned by members \[2, 3\]"):
        start(committee).verify_checkpoint(note)


def test_an_ended_key_beside_the_new_one_of_the_same_member_counts_once(
    committee: Committee,
) -> None:
    log = start(committee).advance(committee.steps()[0])
    both = committee.checkpoint(cosigners=(1, 2, 3))  # the bank's old key
    with pytest.raises(PolicyError, match=r"cosigned by members \[2, 3\]"):
        log.verify_checkpoint(both)
    new = committee.checkpoint(cosigners=(1, 2, 3), cosigner_keys={1: NEW_COSIGNER})
    assert log.verify_checkpoint(new).cosigners == (1, 2, 3)


def test_an_ended_note_key_signs_no_checkpoint(committee: Committee) -> None:
    log = start(committee).advance(committee.steps()[0])
    with pytest.raises(PolicyError, match="signed by no note key of a validator in force"):
        log.verify_checkpoint(committee.checkpoint(signers=(1,), cosigners=(2, 3, 4)))


def test_a_bad_line_under_any_members_key_refuses_the_note(committee: Committee) -> None:
    note = decode_note(committee.checkpoint(3))
    for place, line in enumerate(note.signatures):
        lines = list(note.signatures)
        flipped = line.data[:-1] + bytes([line.data[-1] ^ 1])
        lines[place] = replace(line, data=flipped)
        with pytest.raises(SignatureError):
            start(committee).verify_checkpoint(encode_note(Note(note.text, tuple(lines))))


def test_a_note_by_unknown_keys_is_refused(committee: Committee) -> None:
    other = Committee()
    stranger = {number: SigningKey(seed("stranger", number)) for number in (1, 2, 3, 4)}
    note = other.checkpoint(1, cosigner_keys=stranger)
    with pytest.raises(PolicyError, match=r"cosigned by members \[\]"):
        start(committee).verify_checkpoint(note)


def test_a_checkpoint_of_another_ledger_is_refused(committee: Committee) -> None:
    other = Committee()
    other.world.ledger = make_ledger(refused_per_day=7)
    with pytest.raises(PolicyError, match="expected 'tradeline"):
        start(committee).verify_checkpoint(other.checkpoint(1))


def test_followed_checkpoints_extend_each_other(committee: Committee) -> None:
    log = start(committee).follow(committee.checkpoint(3), ())
    log = log.follow(committee.checkpoint(5, cosigners=(2, 3, 4)), committee.consistency(3, 5))
    assert log.checkpoint is not None
    assert log.checkpoint.size == 5
    with pytest.raises(ConsistencyError):
        log.follow(committee.checkpoint(3), ())


def test_a_fork_is_not_followed(committee: Committee) -> None:
    log = start(committee).follow(committee.checkpoint(3), ())
    fork = committee.checkpoint(5, root=seed("fork"))
    with pytest.raises(ConsistencyError):
        log.follow(fork, committee.consistency(3, 5))


def test_a_step_leads_to_the_registry_of_its_block(committee: Committee) -> None:
    step = STEPS.decode(encode(committee.steps()))[0]
    log = start(committee).advance(STEP.decode(encode(step)))
    assert log.registry == committee.world.registry
    assert (log.height, log.size, log.steps) == (2, step.index + 1, (step,))


def test_a_step_is_refused_if_any_part_of_it_is_changed(committee: Committee) -> None:
    step = committee.steps()[0]
    log = start(committee)
    weak = committee.checkpoint(step.index + 1, cosigners=(3, 4)).decode()
    old, new = step.members
    thief = msgspec.structs.replace(new, cosigner_key=SigningKey(seed("thief")).public)
    attacks: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"checkpoint": weak}, PolicyError, "3 of the 4"),
        ({"index": step.index - 1}, InclusionError, "leaf"),
        ({"path": (*step.path[:-1], seed("path"))}, InclusionError, "leads to root"),
        ({"members": (old, thief)}, VerificationError, "makes root"),
        ({"members": (new,)}, VerificationError, "makes root"),
        (
            {"leaf": committee.world.leaves[1], "index": 1, "path": committee.path(1, 5)},
            VerificationError,
            "expected a block leaf",
        ),
    ]
    for change, error, words in attacks:
        with pytest.raises(error, match=words):
            log.advance(msgspec.structs.replace(step, **change))


def test_a_step_is_taken_once_and_in_order(committee: Committee) -> None:
    committee.change_keys(2, 0, cosigner_key=SigningKey(seed("second")).public)
    first, second = committee.steps()
    log = start(committee)
    with pytest.raises(VerificationError, match="a step before it may be missing"):
        log.advance(second)
    log = log.advance(first)
    with pytest.raises(VerificationError, match="take steps in the order"):
        log.advance(first)


def test_a_quorum_cannot_rewrite_the_past(committee: Committee) -> None:
    """Even validators who all sign can't change a version that has ended unseen."""
    log = start(committee).advance(committee.steps()[0])
    forged = Committee()
    old, new = (r for r in committee.world.registry.members if r.id == 1)
    lie = msgspec.structs.replace(old, name="Another name")
    later = msgspec.structs.replace(new, until_height=9)
    last = msgspec.structs.replace(new, from_height=9, name="Bank 2")
    rest = tuple(r for r in committee.world.registry.members if r.id != 1)
    registry = Registry((lie, later, last, *rest), log.registry.epochs)
    forged.world.leaves = [*committee.world.leaves, block_leaf(8, 1, bytes(32), registry.root, 1)]
    index = len(forged.world.leaves) - 1
    note = forged.checkpoint(cosigners=(2, 3, 4)).decode()
    leaf, path = forged.world.leaves[index], forged.path(index, index + 1)
    step = RegistryStep(note, index, leaf, path, (lie, later, last), None, None)
    with pytest.raises(VerificationError, match="rewrites the version of member 1"):
        log.advance(step)


def test_registry_bytes_are_checked_against_a_proven_block(committee: Committee) -> None:
    index, block = committee.block_of(len(committee.world.leaves) - 1)
    verified = start(committee).verify_checkpoint(committee.checkpoint(cosigners=(2, 3, 4)))
    proven = verify_block(
        committee.world.leaves[index], index, committee.path(index, index + 1), verified
    )
    assert proven == block
    encoded = encode_registry(committee.world.registry)
    assert open_registry(encoded, proven) == committee.world.registry
    with pytest.raises(VerificationError, match="ask for the registry of that block"):
        open_registry(encode_registry(committee.world.ledger.registry), proven)
    with pytest.raises(MalformedError):
        open_registry(encoded[:-1], proven)


def test_the_registry_of_any_block_follows_from_a_later_one(committee: Committee) -> None:
    for index, encoded in enumerate(committee.world.leaves):
        leaf = decode_leaf(encoded)
        if isinstance(leaf, BlockLeaf):
            root = registry_after(committee.world.registry, leaf.height).root
            assert root == leaf.registry_root, index


def test_the_policy_of_a_registry_accepts_its_checkpoints(committee: Committee) -> None:
    ledger = committee.world.ledger
    text = policy_of(ledger, ledger.registry)
    policy = decode_policy(text.encode())
    assert text.count("\nwitness ") == 4
    assert f"log {log_vkey(ledger, ledger.registry.members[0])}" in text
    assert decode_vkey(log_vkey(ledger, ledger.registry.members[0])).name == ledger.origin
    accepted = verify_checkpoint(committee.checkpoint(3, cosigners=(1, 3, 4)), policy)
    assert accepted.checkpoint.size == 3
    with pytest.raises(PolicyError):
        verify_checkpoint(committee.checkpoint(3, cosigners=(1, 3)), policy)


def test_a_member_without_a_note_key_has_no_vkey(committee: Committee) -> None:
    notary = committee.world.institution(5).record
    with pytest.raises(PolicyError, match="member 5 has no note key"):
        log_vkey(committee.world.ledger, notary)
