from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from tests.node.custody_world import Committee

ROOT = Path(__file__).parent.parent.parent
KILLS = 5


def test_killed_at_any_moment_custody_holds_all_that_it_gave_receipts_for(tmp_path: Path) -> None:
    rng = random.Random(20261123)
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "ledger", "node", "client"))
    acknowledged: list[str] = []
    for round_ in range(KILLS):
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.node.custody_child",
                str(tmp_path),
                str(round_ * 1000),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        seen = [child.stdout.readline() for _ in range(rng.randint(1, 6))]
        time.sleep(rng.uniform(0, 0.03))
        child.kill()
        whole, _, _ = child.stdout.read().rpartition("\n")
        acknowledged += [line.strip() for line in seen] + whole.split()
        child.wait()
        child.stdout.close()
    committee = Committee(tmp_path, members=(3,))
    custody, ledger_id = committee.nodes[3].custody, committee.world.ledger.ledger_id
    held = [batch_hash.hex() for batch_hash in custody.hashes()]
    assert set(acknowledged) <= set(held)
    assert len(acknowledged) == len(set(acknowledged))
    for batch_hash in held:
        custody.verify(bytes.fromhex(batch_hash), ledger_id)
    assert custody.findings == []
    assert list(tmp_path.rglob("*.part")) == []
    assert custody.unordered_bytes(2) == custody.usage().bytes
    committee.close()
