"""What an event costs while the ledger grows: more events, and ever more subjects."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradeline_ledger.measured import Measured, percentile
from tradeline_node.bench.apply import BATCH_EVENTS, BLOCK_BATCHES, Ingest
from tradeline_node.bench.stopwatch import rss_mib

if TYPE_CHECKING:
    from collections.abc import Callable

SUBJECTS_FROM: Final = 10_000
SUBJECTS_UNTIL: Final = 10_000_000
PHASES: Final = 4
"""Ten times as many subjects each."""
LOOKUPS: Final = 500
_MEMBER: Final = 1
_MIX: Final = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


def measure_growth(events: int, show: Callable[[int, int], None]) -> Measured:
    """
    Return the cost of an event in one store, from 10^4 to 10^7 subjects.

    A quarter of the events is drawn from each number of subjects. `show` is told the events done
    and all.
    """
    blocks = max(1, -(-events // (PHASES * BLOCK_BATCHES * BATCH_EVENTS)))
    batches = min(BLOCK_BATCHES, max(1, events // (PHASES * BATCH_EVENTS)))
    total = PHASES * blocks * batches * BATCH_EVENTS
    phases = []
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
        ingest = Ingest(Path(folder))
        try:
            for power in range(PHASES):
                make_tags = partial(tags_of, SUBJECTS_FROM * 10**power)
                before, cpu_s = ingest.events, dict(ingest.watch.cpu_s)
                wall_s = ingest.watch.seconds
                for _ in range(blocks):
                    ingest.block(batches, make_tags)
                    show(ingest.events, total)
                spent = {k: v - cpu_s.get(k, 0.0) for k, v in ingest.watch.cpu_s.items()}
                added = ingest.events - before
                phases.append(
                    {
                        "subjects": SUBJECTS_FROM * 10**power,
                        "events": ingest.events,
                        "cpu_us_per_event": round(sum(spent.values()) * 1e6 / added, 3),
                        "wall_us_per_event": round(
                            (ingest.watch.seconds - wall_s) * 1e6 / added, 3
                        ),
                        "rss_mib": round(rss_mib(), 1),
                        **_lookups(ingest, SUBJECTS_FROM * 10**power),
                    }
                )
            size_mib = _size_mib(Path(folder))
        finally:
            ingest.close()
    costs = [phase["cpu_us_per_event"] for phase in phases]
    more: dict[str, Any] = {
        "growth": round(max(costs) / min(costs), 3),
        "disk_bytes_per_event": round(size_mib * (1 << 20) / ingest.events, 1),
        "phases": phases,
    }
    watch = ingest.watch
    return Measured(
        "growth", ingest.events, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib(), more
    )


def tags_of(subjects: int, random: np.random.Generator, count: int) -> bytes:
    """Return the tags of `count` subjects drawn from so many; a subject has one tag for ever."""
    return _tags(random.integers(0, subjects, count, dtype=np.uint64))


def _tags(numbers: np.ndarray[Any, np.dtype[np.uint64]]) -> bytes:
    """Return one tag for each number: spread evenly, as keyed hashes are, and quick to make."""
    halves = []
    for salt in (1, 2):
        mixed = (numbers * np.uint64(2) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in zip((30, 27), _MIX, strict=True):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        halves.append(mixed ^ (mixed >> np.uint64(31)))
    return np.stack(halves, axis=1).tobytes()


def _lookups(ingest: Ingest, subjects: int) -> dict[str, float]:
    """Return what it takes to find the history of one tag."""
    random = np.random.default_rng(subjects)
    drawn = tags_of(subjects, random, LOOKUPS)
    laps_us, found = [], 0
    size = ingest.store.head.size
    for at in range(0, len(drawn), len(drawn) // LOOKUPS):
        tag = drawn[at : at + len(drawn) // LOOKUPS]
        started = time.perf_counter()
        events = ingest.store.history(_MEMBER, tag, size)
        laps_us.append((time.perf_counter() - started) * 1e6)
        found += len(events)
    return {
        "history_p50_us": round(percentile(laps_us, 50), 1),
        "history_p99_us": round(percentile(laps_us, 99), 1),
        "history_events": round(found / LOOKUPS, 2),
    }


def _size_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / (1 << 20)
