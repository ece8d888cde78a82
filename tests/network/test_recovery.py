"""A node of a real network that is restored from an old backup, under load."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.network.trial import trial

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SEED = 11
HOLD_S = 2.0


def test_node_restored_from_an_old_backup_contradicts_nothing_it_signed(tmp_path: Path) -> None:
    with trial(tmp_path / "trial", SEED) as running:
        row = running.run("old-backup", 1, HOLD_S)
        verdict = running.finish(tmp_path / "mirror")
    assert row.notes["held and lifted"] == 1
    assert not verdict.problems
    assert (verdict.lost, verdict.forks) == (0, 0)
    assert verdict.acked > 0
    assert not list(tmp_path.rglob("*.evidence"))
