"""A node of a real network that is restored from an old backup, under load."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.network.faults import Scene
from tests.network.members import PASSPHRASE, until
from tests.network.trial import RECOVERED_S, trial

from tradeline_ledger.member_files import CLIENT_FOLDER_NAME
from tradeline_node.backup import backup_node
from tradeline_node.config import load_config
from tradeline_node.restore import restore_node
from tradeline_node.signing_hold import SigningHold

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SEED = 11
HOLD_S = 2.0


@contextmanager
def old_backup(scene: Scene) -> Iterator[None]:
    """One node is backed up while it runs, goes on for a while, and comes back as it was then."""
    member = scene.member()
    backup, restored = member.folder.parent / "backup", member.folder.parent / "restored"
    backup_node(load_config(member.folder, {}), PASSPHRASE, backup)
    scene.hold()
    member.kill()
    for path in member.folder.iterdir():
        if path.name == CLIENT_FOLDER_NAME:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    restore_node(backup, restored, PASSPHRASE)
    for path in restored.iterdir():
        path.rename(member.folder / path.name)
    scene.wiped.add(member.name)
    hold = SigningHold(member.folder)
    assert hold.holds()
    yield
    member.start()
    until(lambda: not hold.holds(), "lifting of the hold", RECOVERED_S)
    scene.notes["held and lifted"] += 1


def test_node_restored_from_an_old_backup_contradicts_nothing_it_signed(tmp_path: Path) -> None:
    with trial(tmp_path / "trial", SEED) as running:
        row = running.inject("old backup", old_backup, HOLD_S)
        verdict = running.finish(tmp_path / "mirror")
    assert row.notes["held and lifted"] == 1
    assert not verdict.problems
    assert (verdict.lost, verdict.forks) == (0, 0)
    assert verdict.acked > 0
    assert not list((tmp_path / "trial").glob("*/evidence/*.evidence"))
