"""
Sees that an engine takes no part in consensus any more although its process runs.

CometBFT stops its consensus when it can't write its journal or its log, and goes on answering. That
shows from outside: its height stands still while a peer that it is connected to has come further.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from tradeline_node.engine.cometbft_rpc import Progress

LOOK_S: Final = 2.0
"""Between two looks."""
STILL_S: Final = 20.0
"""For so long the height stands still before the engine is given up."""
HEIGHTS_BEHIND: Final = 2
"""A peer may be at the next height already while this engine is about to be."""


class Asked(Protocol):
    """Who knows how far an engine and its peers are."""

    def progress(self) -> Progress:
        """
        Return it.

        Raises:
            EngineError: the engine does not answer.
        """
        ...


class Vigil:
    """Looks at one engine from time to time; for one thread."""

    def __init__(self, rpc: Asked, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Begin with what is seen first."""
        self._rpc, self._clock_s = rpc, clock_s
        self._looked_s = self._moved_s = clock_s()
        self._height = -1

    def gives_up(self) -> str:
        """Return why the engine should be started again, or ""; asks it every `LOOK_S` only."""
        now_s = self._clock_s()
        since_s = now_s - self._looked_s
        if since_s < LOOK_S:
            return ""
        self._looked_s = now_s
        if since_s > STILL_S / 2:
            self._moved_s = now_s  # the node itself stood still; its engine gets its time
        try:
            seen = self._rpc.progress()
        except EngineError:
            self._moved_s = now_s  # that it does not answer is nothing that this is about
            return ""
        behind = max(seen.peers, default=0) - seen.height
        if seen.height != self._height or behind < HEIGHTS_BEHIND:
            self._height, self._moved_s = seen.height, now_s
            return ""
        if now_s - self._moved_s < STILL_S:
            return ""
        return (
            f"height {seen.height} since {now_s - self._moved_s:.0f} s, a peer is {behind} further"
        )
