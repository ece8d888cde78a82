"""A contributor that deals bad shares to a real network, as a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.network.trial import trial_of

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SEED = 3
HOLD_S = 0.5


def test_contributor_that_deals_bad_shares_harms_nobody_and_is_convicted(tmp_path: Path) -> None:
    with trial_of(tmp_path / "trial", SEED, "bad-shares") as running:
        row = running.run("bad-shares", 1, HOLD_S)
        verdict = running.finish(tmp_path / "mirror")
    assert not verdict.problems
    assert (verdict.lost, verdict.forks) == (0, 0)
    assert not running.load.lies
    assert row.notes["bad batches placed"] == 7
    assert row.notes["bad deposits on the ledger"] == 4
    assert [path.name.partition("-")[0] for path in tmp_path.rglob("*.evidence")] == ["dealing"]
