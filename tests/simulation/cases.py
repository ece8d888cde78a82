"""
Cases: a seed with its knobs, that is all that a run follows from.

`regressions.txt` holds the cases that once failed, one a line as `Case.text` writes it.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.simulation.knobs import Knobs
from tests.simulation.simulation import simulate

if TYPE_CHECKING:
    from tests.simulation.simulation import Result

REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")
MEMORY: Final = Path("/dev/shm")  # noqa: S108  each run makes a folder of its own there
"""Where files cost no disk, if the machine has it."""


class Case(NamedTuple):
    """What one run follows from."""

    seed: int
    knobs: Knobs

    @classmethod
    def drawn(cls, seed: int) -> Case:
        """Return the case that a seed stands for."""
        return cls(seed, Knobs.draw(seed))

    @property
    def text(self) -> str:
        """As a line of `regressions.txt`, and as arguments of scripts/simulate.py."""
        return f"--seed {self.seed} --knobs '{json.dumps(self.knobs.changed())}'"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Return the case of a line that `text` wrote."""
        seed, knobs = text.removeprefix("--seed ").split(" --knobs ")
        return cls(int(seed), Knobs(**json.loads(knobs.strip("'"))))

    def run(self) -> Result:
        """Return what the run comes to, in a folder that is gone afterwards."""
        where = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="simulation-", dir=where) as folder:
            return simulate(self.seed, Path(folder), self.knobs)

    def shrunk(self) -> Case:
        """Return a failing case with as few faults and entries as still fail."""
        case = self
        for name in self.knobs.changed():
            quieter = case._replace(knobs=case.knobs.quieter(name))
            if quieter.run().failure:
                case = quieter
        while case.knobs.entries_max > 1:
            half = replace(case.knobs, entries_max=case.knobs.entries_max // 2)
            if not case._replace(knobs=half).run().failure:
                break
            case = case._replace(knobs=half)
        return case


def regressions() -> list[Case]:
    """Return the cases that failed once."""
    lines = REGRESSIONS.read_text(encoding="utf-8").splitlines()
    return [Case.parse(line) for line in lines if line and not line.startswith("#")]
