"""
300 seeds of four nodes under faults: nothing acknowledged is lost, no two logs differ.

`python -m scripts.simulate` runs more of them and shrinks what fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.simulation.cases import Case, regressions
from tests.simulation.knobs import Knobs

if TYPE_CHECKING:
    from tests.simulation.simulation import Result

ROOT: Final = Path(__file__).parents[2]
SEEDS: Final = 300
BATCH: Final = 20
SAMPLE: Final = (0, 7, 12)
"""Seeds that are run once more elsewhere."""

MUST_MEET: Final = {
    *("crash", "crash within a commit", "failed write", "power cut", "lying disk", "wipe"),
    "restored",
    *("altered log refused", "proposal refused", "kept evidence", "lost"),
    *("partition", "one-way cut", "forged"),
    *("outcome accepted", "outcome batch-duplicate", "outcome receipts-too-few"),
    *("outcome consent-grantee-wrong", "outcome consent-revoked-before"),
    *("outcome status-not-allowed", "outcome status-consent-ended"),
    *("outcome inquiry-consent-revoked", "outcome inquiry-consent-paused"),
    *("outcome content-malformed", "outcome key-change-out-of-turn"),
    *("enacted admit", "enacted roles", "enacted suspend", "enacted remove"),
    *("enacted keys", "enacted params", "enacted committee", "outcome member-suspended"),
    *("said ok", "said bad", "dealt again", "lie served", "read", "read refused"),
    *("outcome proposal-stale", "outcome vote-proposal-expired", "outcome quality-count-wrong"),
}


@cache
def result(seed: int) -> Result:
    return Case.drawn(seed).run()


@pytest.mark.parametrize("case", regressions(), ids=lambda case: str(case.seed))
def test_what_failed_once_holds(case: Case) -> None:
    assert not case.run().failure, case.text


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_nothing_acknowledged_is_lost_and_no_two_logs_differ(first: int) -> None:
    failures = {
        Case.drawn(seed).text: result(seed).failure
        for seed in range(first, first + BATCH)
        if result(seed).failure
    }

    assert not failures, "scripts/simulate.py takes these lines as arguments, and shrinks them"


def test_the_seeds_meet_every_fault_and_outcome_they_are_for() -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen += result(seed).seen

    assert not MUST_MEET - seen.keys()


def test_the_same_seed_gives_the_same_run_in_another_process() -> None:
    asked = f"""
from tests.simulation.cases import Case
print(*(Case.drawn(seed).run().trace for seed in {SAMPLE}))
"""
    folders = (".", "ledger", "node", "client")
    printed = subprocess.run(
        [sys.executable, "-c", asked],
        env={
            **os.environ,
            "PYTHONHASHSEED": "1",
            "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in folders),
            "TZ": "Asia/Shanghai",
        },
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )

    assert printed.stdout.split() == [result(seed).trace for seed in SAMPLE]


def test_a_case_is_written_and_read_again() -> None:
    case = Case(7, Knobs(crash=0.2, byzantine="garbage", resend=False))

    assert Case.parse(case.text) == case
    assert case.text == (
        """--seed 7 --knobs '{"crash": 0.2, "byzantine": "garbage", "resend": false}'"""
    )
