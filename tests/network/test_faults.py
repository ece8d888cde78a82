"""
Faults injected into four real nodes under load: nothing acknowledged is lost, nothing forks, and
all recovers by itself. `python -m scripts.soak` injects more of them, more often.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.network.byzantine import CONTRIBUTOR, VILLAIN, misbehaving, twins
from tests.network.trial import Trial, trial

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

SEED: Final = 4
HOLD_S: Final = 2.0
ROUNDS: Final = {
    "kill": 4,
    "node-down": 1,
    "partition-3-1": 1,
    "partition-2-2": 1,
    "one-way-cut": 1,
    "pause": 1,
    "flood": 1,
    "wipe": 1,
    "swizzle": 1,
    "mixed": 1,
}
WRONG: Final = ("garbage-proposals", "wrong-shares")
LYING: Final = ("accepts-anything", "wrong-history")


def check(running: Trial, target: Path) -> None:
    verdict = running.finish(target)
    assert not verdict.problems
    assert (verdict.lost, verdict.forks) == (0, 0)
    assert verdict.acked >= len(running.rows)
    assert not running.load.lies


def test_processes_links_and_disks_fail_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with trial(tmp_path / "trial", SEED) as running:
        for fault, rounds in ROUNDS.items():
            running.run(fault, rounds, HOLD_S)
        check(running, tmp_path / "mirror")
    assert not list(tmp_path.rglob("*.evidence"))


def test_validator_that_is_not_honest_harms_nobody(tmp_path: Path) -> None:
    with trial(tmp_path / "trial", SEED, villain=VILLAIN, loaded=[CONTRIBUTOR]) as running:
        running.inject("proposes garbage, wrong shares", misbehaving(*WRONG, reading=True), HOLD_S)
        running.inject("approves all, wrong history", misbehaving(*LYING, reading=True), HOLD_S)
        running.run("lies-and-kills", 1, HOLD_S)
        running.inject("equivocates", twins, HOLD_S)
        check(running, tmp_path / "mirror")
        assert [row.notes["reports read"] for row in running.rows] == [1, 1, 1, 0]
        assert running.rows[-1].notes["equivocation convicted"] == 1
