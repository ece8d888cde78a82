from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.custody_world import Committee
from tests.world import seed

from tradeline_ledger.hpke import seal, tag_key_info
from tradeline_ledger.tag import tag_key_hash
from tradeline_node.errors import RequestError
from tradeline_node.tag_keys import FOLDER_NAME


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path, members=(1, 2))
    yield made
    made.close()


def test_keys_are_sealed_at_rest_and_there_after_a_restart(committee: Committee) -> None:
    node = committee.nodes[1]
    folder = node.folder / "custody" / FOLDER_NAME
    files = list(folder.iterdir())
    assert len(files) == 5
    for each in committee.world.institutions:
        assert all(each.tag_key not in file.read_bytes() for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    node.close_services()
    (folder / "x.part").write_bytes(b"half")
    node.open_services()
    assert node.tag_keys.findings == []
    for each in committee.world.institutions:
        assert node.tag_keys.has(each.record)
        tagger = node.tag_keys.tagger(each.id, tag_key_hash(each.tag_key))
        assert tagger is not None
        year_key = committee.world.year_key(1, 2026)
        assert tagger.tag(year_key, 1) == committee.world.tag(each.id, 1, 2026)
    assert not (folder / "x.part").exists()


def test_key_handed_over_again_is_kept_once(committee: Committee) -> None:
    node = committee.nodes[1]
    folder = node.folder / "custody" / FOLDER_NAME
    before = {file: file.read_bytes() for file in folder.iterdir()}
    committee.give_tag_keys(node)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("attack", ["another member", "another node", "another key", "cut", "long"])
def test_tag_key_that_is_not_the_members_is_refused(committee: Committee, attack: str) -> None:
    node, world = committee.nodes[1], committee.world
    public, ledger_id = world.institution(1).hpke.public, world.ledger.ledger_id
    good = committee.sealed_tag_key(3, node)
    sealed = {
        "another member": committee.sealed_tag_key(4, node),
        "another node": committee.sealed_tag_key(3, committee.nodes[2]),
        "another key": committee.sealed_tag_key(3, node, seed("made up")),
        "cut": good[:-1],
        "long": seal(public, bytes(33), tag_key_info(ledger_id, 3, 1, public.key_id)),
    }[attack]
    with pytest.raises(RequestError, match=r"tag key") as error:
        node.tag_keys.put(node.store.registry, 3, sealed)
    assert error.value.code == "tag-key-wrong"
    assert world.institution(3).tag_key.hex() not in error.value.detail


def test_damaged_file_is_a_finding_and_its_member_hands_the_key_over_again(
    committee: Committee,
) -> None:
    node, world = committee.nodes[1], committee.world
    folder = node.folder / "custody" / FOLDER_NAME
    (damaged,) = folder.glob("3-*.sealed")
    node.close_services()
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    (folder / "notes.txt").write_text("not a key")
    (folder / f"2-{'00' * 32}.sealed").write_bytes(committee.sealed_tag_key(2, node))
    node.open_services()
    assert len(node.tag_keys.findings) == 3
    assert not node.tag_keys.has(world.institution(3).record)
    node.tag_keys.put(node.store.registry, 3, committee.sealed_tag_key(3, node))
    assert node.tag_keys.has(world.institution(3).record)
    node.close_services()
    node.open_services()
    assert node.tag_keys.has(world.institution(3).record)
