"""Two mirrors compared, and evidence of a fork that a third party can check."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mirror import signed_checkpoint, write_mirror
from tests.world import World

from tradeline_client.compare import Relation, compare
from tradeline_client.errors import FileError
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.fork import decode_fork, encode_fork
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.statement import Kind


def grow(world: World, blocks: int, who: int = 1) -> World:
    for _ in range(blocks):
        inquiry = encode(world.inquiry(bytes(16)))
        world.block(world.entry(who, Kind.INQUIRY, inquiry))
    return world


def mirror(world: World, path: Path) -> Path:
    write_mirror(world, path)
    return path


def test_a_mirror_is_the_same_as_its_copy(tmp_path: Path) -> None:
    world = grow(World(), 3)

    result = compare(mirror(world, tmp_path / "a"), mirror(world, tmp_path / "b"))

    assert result.relation is Relation.SAME
    assert result.evidence is None


@pytest.mark.parametrize("blocks", range(1, 8))
def test_an_earlier_mirror_is_a_prefix_whichever_comes_first(blocks: int, tmp_path: Path) -> None:
    world = grow(World(), blocks)
    early = mirror(world, tmp_path / "early")
    late = mirror(grow(world, 3), tmp_path / "late")

    for result in (compare(early, late), compare(late, early)):
        assert result.relation is Relation.PREFIX
        assert (result.smaller, result.larger) == (early, late)


@pytest.mark.parametrize(("left", "right"), [(2, 2), (1, 4), (3, 5), (7, 1)])
def test_a_fork_is_proven_to_a_third_party(left: int, right: int, tmp_path: Path) -> None:
    one, two = grow(grow(World(), 2), left), grow(grow(World(), 2), right, who=2)

    result = compare(mirror(one, tmp_path / "a"), mirror(two, tmp_path / "b"))

    assert result.relation is Relation.FORK
    assert result.first_difference == 5
    assert result.evidence is not None
    fork = decode_fork(result.evidence)
    records = [each.record for each in one.institutions if each.validator]
    policy = validators_policy(one.ledger.origin, records)
    assert len(fork.blame([log.key for log in policy.logs])) == 4


def test_checkpoints_of_one_log_make_no_evidence() -> None:
    world = grow(World(), 3)
    early = signed_checkpoint(world, size=3)
    late = signed_checkpoint(world)

    with pytest.raises(LedgerError):
        encode_fork(early, late, bytes(32), ())
    with pytest.raises(VerificationError, match="no fork"):
        encode_fork(late, late, world.root, ())


def test_every_changed_byte_of_evidence_is_refused_or_proves_the_same(tmp_path: Path) -> None:
    one, two = grow(World(), 2), grow(World(), 3, who=2)
    evidence = compare(mirror(one, tmp_path / "a"), mirror(two, tmp_path / "b")).evidence
    assert evidence is not None
    good = decode_fork(evidence)
    records = [each.record for each in one.institutions if each.validator]
    keys = [log.key for log in validators_policy(one.ledger.origin, records).logs]
    assert len(good.blame(keys)) == 4
    other: list[int] = []
    for at in range(len(evidence)):
        changed = evidence[:at] + bytes([evidence[at] ^ 1]) + evidence[at + 1 :]
        try:
            fork = decode_fork(changed)
            fork.blame(keys)
        except LedgerError:
            continue
        if (fork.smaller, fork.larger) != (good.smaller, good.larger):
            other.append(at)
    assert other == []


def test_a_folder_that_is_no_mirror_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has no checkpoint"):
        compare(tmp_path, tmp_path)
