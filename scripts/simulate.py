"""
Run the simulation of four nodes under faults, any number of seeds.

    python -m scripts.simulate                    the cases that failed once, then seeds 0 to 299
    python -m scripts.simulate --seed N --seeds K seeds N to N + K - 1
    python -m scripts.simulate --seed N --knobs J one seed with the faults of the JSON object J

Run it from the root of the repository. A failure is printed with the fewest faults that still cause
it; the line can be given to this command again, and belongs into tests/simulation/regressions.txt.
The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Final

from tests.simulation.cases import Case, regressions
from tests.simulation.knobs import Knobs

SEEDS: Final = 300
"""Of a run in CI."""


def main() -> None:
    """Run the cases that were asked for."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    asked.add_argument("--seed", type=int, default=0, help="the first seed")
    asked.add_argument("--seeds", type=int, help=f"how many, {SEEDS} if no seed is named")
    asked.add_argument("--knobs", type=json.loads, help="faults in place of those of the seed")
    given = asked.parse_args()
    if given.knobs is not None:
        cases = [Case(given.seed, Knobs(**given.knobs))]
    elif "--seed" in sys.argv or given.seeds:
        cases = [Case.drawn(given.seed + i) for i in range(given.seeds or 1)]
    else:
        cases = regressions() + [Case.drawn(seed) for seed in range(SEEDS)]
    failed = run(cases)
    raise SystemExit(1 if failed else 0)


def run(cases: list[Case]) -> int:
    """Run `cases`, print what they come to, return how many failed."""
    begun, failed, entries = time.process_time(), 0, 0
    seen: Counter[str] = Counter()
    for case in cases:
        result = case.run()
        entries += result.acknowledged
        seen += result.seen
        if result.failure:
            failed += 1
            shrunk = case.shrunk()
            print(f"{result.failure}\n  {case.text}\n{shrunk.run().failure}\n  {shrunk.text}")
    for what, count in sorted(seen.items()):
        print(f"{count:8} {what}")
    seconds = time.process_time() - begun
    print(
        f"{len(cases)} cases, {entries} entries acknowledged, {failed} failed, {seconds:.0f} s CPU"
    )
    return failed


if __name__ == "__main__":
    main()
