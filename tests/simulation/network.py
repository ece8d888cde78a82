"""Which messages between simulated nodes arrive, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from tests.simulation.knobs import Knobs
    from tests.simulation.replica import Replica


class Network:
    """Links between nodes, each direction on its own."""

    def __init__(self, members: list[int], knobs: Knobs, rng: random.Random) -> None:
        self._members, self._rng = members, rng
        self._drop, self._duplicate = knobs.drop, knobs.duplicate
        self._delay_ms = knobs.delay_ms
        self._halves: dict[int, int] = {}
        self._cut: set[tuple[int, int]] = set()

    def passes(self, source: Replica, target: Replica) -> bool:
        """Return whether a message gets through now."""
        if source is target:
            return True
        pair = (source.member, target.member)
        halves = self._halves.get(pair[0], 0), self._halves.get(pair[1], 0)
        if halves[0] != halves[1] or pair in self._cut:
            return False
        return self._rng.random() >= self._drop

    def delays_ms(self) -> list[int]:
        """Return after how long each copy of a message arrives."""
        copies = 2 if self._rng.random() < self._duplicate else 1
        return [self._rng.randint(1, self._delay_ms) for _ in range(copies)]

    def split(self) -> None:
        """Fall apart, 3/1 or 2/2, or heal."""
        if self._halves:
            self._halves = {}
            return
        order = self._rng.sample(self._members, len(self._members))
        self._halves = dict.fromkeys(order[: self._rng.choice((1, 2))], 1)

    def cut_one_way(self) -> None:
        """Cut one direction, or heal all."""
        if self._cut:
            self._cut = set()
        else:
            source, target = self._rng.sample(self._members, 2)
            self._cut = {(source, target)}

    def heal(self) -> None:
        """Deliver everything from now on, quickly."""
        self._halves, self._cut = {}, set()
        self._drop = self._duplicate = 0.0
        self._delay_ms = 20
