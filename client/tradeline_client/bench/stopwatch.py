"""Clocks of a benchmark: processor time by stage, wall clock by lap, memory."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopwatch:
    """Adds up what stages take; preparations between them are not counted."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self.cpu_s: dict[str, float] = {}
        self.laps_ms: list[float] = []

    @property
    def seconds(self) -> float:
        """Wall clock of all laps."""
        return sum(self.laps_ms) / 1000

    @contextmanager
    def lap(self) -> Iterator[None]:
        """Measure the wall clock of one unit of work."""
        started = time.perf_counter()
        yield
        self.laps_ms.append((time.perf_counter() - started) * 1000)

    @contextmanager
    def stage(self, name: str, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
        """Measure the processor time of one stage: of all threads, or as `clock` says."""
        started = clock()
        yield
        self.cpu_s[name] = self.cpu_s.get(name, 0.0) + clock() - started


def rss_mib() -> float:
    """Return the resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)
