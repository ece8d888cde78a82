"""What one simulated run is made of: a seed, and the faults and sizes that follow from it."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

NODES: Final = 4
BYZANTINE_MEMBER: Final = 4
BYZANTINE: Final = ("", "garbage", "equivocation", "app-hash", "silence", "altered-log")


SHARES: Final = {"governance": 0.2, "custody": 0.15}
"""Of seeds that turn up what costs much; all else is turned up in a third of them."""


@dataclass(frozen=True)
class Knobs:
    """The values of a quiet run; `draw` turns a random part of them up."""

    drop: float = 0.0
    """Of messages between nodes, a share."""
    duplicate: float = 0.0
    delay_ms: int = 20
    """At most, of a message; messages overtake each other."""
    crash: float = 0.0
    """Chance of a node and a second."""
    power: float = 0.0
    """Share of crashes that are power cuts."""
    commit_fault: float = 0.0
    """Chance that a commit is cut short, or that its write fails."""
    blackout: bool = False
    """All nodes lose power at one moment."""
    lying_disk: int = 0
    """Member whose disk answers before it has written; 0: none."""
    wipe: int = 0
    """Member whose folder is lost once; 0: none."""
    bulk: bool = False
    """A wiped node takes the log from a peer before it takes blocks."""
    restore: int = 0
    """Member whose node comes back with an older backup once; 0: none."""
    partition: float = 0.0
    """Chance of a second that the network falls apart into two halves, or heals."""
    one_way: float = 0.0
    """Chance of a second that one direction between two nodes is cut, or heals."""
    byzantine: str = ""
    """How member 4 misbehaves."""
    skew_ms: int = 0
    """By which the clock of member 3 is off."""
    resend: bool = True
    """Whether clients hand an entry over to other nodes as well."""
    copied_key: float = 0.0
    """Chance that a client signs two statements for one position."""
    forged: float = 0.0
    """Chance a step that an attacker hands over something forged, stale or cut short."""
    busy: float = 0.0
    """Chance that an engine takes no entry now."""
    empty: float = 0.1
    """Chance that a round without entries makes a block."""
    governance: bool = False
    """Members propose and vote, and state what they reported."""
    custody: bool = False
    """Batches are brought into custody, fetched, dealt again and read."""
    bad_deposit: float = 0.0
    """Chance that one deposit of a batch does not open."""
    entries_max: int = 40
    """That clients sign."""
    block_bytes: int = 4 << 20
    """At least as large as the largest entry."""

    @classmethod
    def draw(cls, seed: int) -> Knobs:
        """Return the knobs of a seed: some faults of all, so that each meets each in some run."""
        rng = random.Random(f"{seed}/knobs")
        lively: dict[str, Any] = {
            "drop": rng.choice((0.02, 0.1, 0.3)),
            "duplicate": rng.choice((0.1, 0.5)),
            "delay_ms": rng.choice((100, 500, 1500)),
            "crash": rng.choice((0.05, 0.2, 0.5)),
            "power": rng.choice((0.3, 1.0)),
            "commit_fault": rng.choice((0.02, 0.1)),
            "blackout": True,
            "lying_disk": rng.choice((1, 2)),
            "wipe": rng.choice((1, 2, 3)),
            "bulk": True,
            "partition": rng.choice((0.2, 0.5)),
            "one_way": rng.choice((0.2, 0.6)),
            "byzantine": rng.choice(BYZANTINE[1:]),
            "skew_ms": rng.choice((-5 * 86_400_000, 3_600_000, 5 * 86_400_000)),
            "resend": False,
            "copied_key": rng.choice((0.1, 0.3)),
            "forged": rng.choice((0.1, 0.4)),
            "busy": rng.choice((0.1, 0.5)),
            "empty": 0.5,
            "block_bytes": 4000,
            "governance": True,
            "custody": True,
            "restore": rng.choice((1, 2, 3)),
            "bad_deposit": rng.choice((0.1, 0.3)),
        }
        on = {
            name: value for name, value in lively.items() if rng.random() < SHARES.get(name, 0.35)
        }
        if on.get("byzantine") == "altered-log":  # only who takes a whole log meets it
            on |= {"wipe": lively["wipe"], "bulk": True}
        return cls(**on)

    def quieter(self, name: str) -> Knobs:
        """Return these knobs with one of them at rest."""
        return replace(self, **{name: getattr(Knobs(), name)})

    def changed(self) -> dict[str, Any]:
        """Return the knobs that are not at rest, by name."""
        return {n: v for n, v in asdict(self).items() if v != getattr(Knobs(), n)}
