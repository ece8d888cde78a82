"""The audit of a mirror: clean ones pass, and any changed byte of any file is found."""

from __future__ import annotations

from pathlib import Path

import msgspec.structs
import pytest
from tests.governance import enact, standing
from tests.mirror import signed_checkpoint, write_mirror
from tests.world import World, make_ledger

from tradeline_client.audit import audit
from tradeline_ledger.consent import consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import RulesError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.policy import Policy, validators_policy
from tradeline_ledger.proposal import SetCommittee, SetParams, SetRoles, SetRules
from tradeline_ledger.statement import ENTRY, Kind, block_leaf, entry_leaf

MONTH = 2026 * 12 + 60


@pytest.fixture(scope="module")
def world() -> World:
    """A ledger with one of everything that a small ledger has."""
    world = World()
    for number in range(3):
        rows = [(world.tag(1, who, 2026), MONTH, b"event") for who in range(5)]
        batch, _, _ = world.batch(1, rows, salt=number)
        world.block(world.submission(1, batch))
    terms = world.terms()
    consent = world.entry(1, Kind.CONSENT, world.consent(terms))
    world.block(consent)
    for _ in range(3):
        inquiry = encode(world.inquiry(consent_id(encode(terms))))
        world.block(world.entry(1, Kind.INQUIRY, inquiry))
    return world


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    write_mirror(world, tmp_path)
    return tmp_path


def policy_of(world: World) -> Policy:
    validators = [each.record for each in world.institutions if each.validator]
    return validators_policy(world.ledger.origin, validators)


def test_a_clean_mirror_has_no_finding_and_is_anchored(world: World, folder: Path) -> None:
    seen: list[tuple[int, int]] = []

    report = audit(folder, policy_of(world), lambda done, size: seen.append((done, size)))

    assert report.findings == []
    assert report.trust_findings == []
    assert report.ok
    assert report.anchored
    assert (report.blocks, report.entries, report.events) == (8, 7, 15)
    assert report.count(Kind.INQUIRY) == 2
    assert report.refused(Kind.INQUIRY) == 1
    assert report.root == world.root.hex()
    assert len(report.cosigners) == 4
    assert seen[-1] == (len(world.leaves), len(world.leaves))
    assert report.to_json()["reads"]["reads_without_consent"] == 0


def test_without_a_policy_the_second_verdict_is_open(folder: Path) -> None:
    report = audit(folder)

    assert report.ok
    assert not report.anchored
    assert report.to_json()["anchored"] is None


def test_another_ledgers_policy_does_not_anchor_the_folder(folder: Path) -> None:
    other = World(make_ledger(refused_per_day=7))

    report = audit(folder, policy_of(other))

    assert report.consistent
    assert not report.ok
    assert [each.code for each in report.trust_findings] == ["not-anchored"]


def test_every_changed_byte_of_every_file_is_found(folder: Path) -> None:
    missed: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        good = path.read_bytes()
        step = 1 if len(good) < 700 else 23
        for at in range(0, len(good), step):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            if audit(folder).consistent:
                missed.append(f"{path.relative_to(folder)} byte {at}")
        path.write_bytes(good)
    assert missed == []


@pytest.mark.parametrize("change", [b"", None, b"x"])
def test_a_file_cut_removed_or_grown_is_found(folder: Path, change: bytes | None) -> None:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        good = path.read_bytes()
        if change is None:
            path.unlink()
        else:
            path.write_bytes(good + change if change else good[:-1])
        report = audit(folder)
        assert not report.consistent, path
        path.write_bytes(good)
    assert audit(folder).consistent


def test_a_changed_content_names_its_file_and_entry(world: World, folder: Path) -> None:
    index = next(iter(world.contents))
    path = next(
        p for p in (folder / "content").iterdir() if p.read_bytes() == world.contents[index]
    )
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")

    finding = audit(folder).findings[0]

    assert finding.code == "content-wrong"
    assert finding.where == f"content/{path.name} (entry {index})"


def test_an_unexpected_file_is_named(folder: Path) -> None:
    (folder / "content" / "note.txt").write_text("hello")

    findings = audit(folder).findings

    assert [(each.code, each.where) for each in findings] == [
        ("file-unexpected", "content/note.txt")
    ]


def test_an_empty_folder_is_a_finding_not_an_error(tmp_path: Path) -> None:
    report = audit(tmp_path)

    assert [each.code for each in report.findings] == ["file-missing"]


def test_a_read_without_consent_written_by_colluding_validators_is_found(tmp_path: Path) -> None:
    """All validators sign a log that places a refused inquiry as accepted."""
    world = World()
    inquiry = world.entry(1, Kind.INQUIRY, encode(world.inquiry(bytes(16))))
    world.block(inquiry)
    assert world.leaves[1] == entry_leaf(1, Outcome.INQUIRY_CONSENT_UNKNOWN, ENTRY.decode(inquiry))
    world.leaves[1] = entry_leaf(1, Outcome.ACCEPTED, ENTRY.decode(inquiry))
    write_mirror(world, tmp_path)

    report = audit(tmp_path, policy_of(world))

    assert [each.code for each in report.findings] == ["block-wrong"]
    assert "the rules lead to" in report.findings[0].detail
    assert not report.anchored


def test_too_few_cosigners_is_a_finding(world: World, folder: Path) -> None:
    (folder / "checkpoint").write_bytes(signed_checkpoint(world, (1, 2)))

    assert [each.code for each in audit(folder).findings] == ["signature-wrong"]


def test_a_line_by_an_unknown_key_is_a_finding(world: World, folder: Path) -> None:
    other = World(make_ledger(refused_per_day=7))
    text = signed_checkpoint(world)
    stranger = signed_checkpoint(other, (1,)).split(b"\n\n", 1)[1]
    (folder / "checkpoint").write_bytes(text + stranger)

    assert "signature-unknown" in [each.code for each in audit(folder).findings]


def test_who_ceased_to_be_a_validator_with_the_last_block_signs_it_yet(tmp_path: Path) -> None:
    world = World()
    enact(world, SetCommittee((1, 2, 3), (1, 2, 3)))
    write_mirror(world, tmp_path / "at once")
    (tmp_path / "at once/checkpoint").write_bytes(signed_checkpoint(world, (1, 2, 3, 4)))
    assert audit(tmp_path / "at once").ok

    world.block(world.entry(1, Kind.CONSENT, world.consent(world.terms(1, 2))))
    write_mirror(world, tmp_path / "later")
    (tmp_path / "later/checkpoint").write_bytes(signed_checkpoint(world, (1, 2, 3, 4)))

    assert [each.code for each in audit(tmp_path / "later").findings] == ["signature-unknown"] * 2


def test_a_log_that_ends_within_a_block_is_a_finding(world: World, tmp_path: Path) -> None:
    cut = World()
    cut.leaves = world.leaves[:-1]
    cut.contents = {k: v for k, v in world.contents.items() if k < len(cut.leaves)}
    write_mirror(cut, tmp_path)

    assert [each.code for each in audit(tmp_path).findings] == ["block-unfinished"]


def test_votes_are_replayed_also_where_they_take_effect_in_a_block_without_entries(
    tmp_path: Path,
) -> None:
    world = World()
    params = msgspec.structs.replace(world.ledger.params, profile="eu")
    identity = enact(world, SetRoles(5, 6), SetParams(params), effect_height=7)
    while world.registry.settings == ():
        assert len(world.block().leaves) <= 1
    assert standing(world, identity).enacted_height == 7
    world.block(world.entry(5, Kind.CONSENT, world.consent(world.terms(5, 2))))
    write_mirror(world, tmp_path)
    report = audit(tmp_path, policy_of(world))
    assert report.ok
    assert report.anchored
    assert (report.blocks, report.entries) == (6, 4)
    assert report.count(Kind.VOTE) == 2


def test_a_log_of_rules_that_the_auditor_does_not_know_says_so(tmp_path: Path) -> None:
    world = World()
    enact(world, SetRules(2), effect_height=5)
    world.block()
    entry = world.entry(1, Kind.CONSENT, world.consent(world.terms()))
    head = world.head
    with pytest.raises(RulesError):
        world.block(entry)
    assert world.head == head
    placed = entry_leaf(5, Outcome.ACCEPTED, ENTRY.decode(entry))
    last = block_leaf(5, world.time_ms, world.head.block_hash, world.registry.root, 2)
    world.contents[len(world.leaves)] = ENTRY.decode(entry).content
    world.leaves += [placed, last]
    write_mirror(world, tmp_path)
    (finding,) = audit(tmp_path).findings
    assert finding.code == "rules-unknown"
    assert "install the version that the members voted for" in finding.detail
