"""One node applying sealed entries: executed, durable and indexed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_ledger.measured import Measured
from tradeline_ledger.sample import SAMPLE_MS, Sample, SampleFeed
from tradeline_ledger.submission import TAG_BYTES
from tradeline_ledger.transition import Block
from tradeline_node.application import Application
from tradeline_node.bench.stopwatch import Stopwatch, rss_mib
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_EVENTS: Final = 1_000
BLOCK_BATCHES: Final = 10
"""Batches of one block, one after another of one feed for each of the members."""
BLOCK_MS: Final = 50
SEED: Final = 20_260_921
_HASH_BYTES: Final = 32


class Ingest:
    """A store that blind batches go into, block by block. Close it when done."""

    def __init__(self, folder: Path, sample: Sample | None = None) -> None:
        """Open a store below `folder`, of `sample` or of four members."""
        sample = sample or Sample()
        self.store = LedgerStore.open(folder / "ledger", sample.ledger)
        self.application = Application(self.store)
        self.watch = Stopwatch()
        self.events = 0
        self._feeds = [SampleFeed(sample, member) for member in sample.members]
        self._random = np.random.default_rng(SEED)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def block(self, batches: int, make_tags: Callable[[np.random.Generator, int], bytes]) -> None:
        """Commit one block of that many batches; only executing and writing it is measured."""
        entries = []
        for number in range(batches):
            tags = make_tags(self._random, BATCH_EVENTS)
            feed = self._feeds[number % len(self._feeds)]
            entries.append(feed.blind(tags, self._random.bytes(_HASH_BYTES * BATCH_EVENTS)))
        height = self.store.engine_height + 1
        block = Block(height, SAMPLE_MS + height * BLOCK_MS, tuple(entries))
        with self.watch.lap():
            with self.watch.stage("execute"):
                self.application.finalize(block)
            with self.watch.stage("write"):
                executed = self.application.commit()
        assert all(placed.applied.outcome.accepted for placed in executed.placed), "all accepted"
        self.events += batches * BATCH_EVENTS


def random_tags(random: np.random.Generator, count: int) -> bytes:
    """Return tags of subjects that are all different."""
    return random.bytes(TAG_BYTES * count)


def measure_apply(events: int) -> Measured:
    """Return what it takes to apply that many events, rounded up to whole blocks or batches."""
    left = -(-events // BATCH_EVENTS)
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as folder:
        ingest = Ingest(Path(folder))
        try:
            while left > 0:
                ingest.block(min(left, BLOCK_BATCHES), random_tags)
                left -= BLOCK_BATCHES
        finally:
            ingest.close()
    watch = ingest.watch
    return Measured("apply", ingest.events, watch.seconds, watch.laps_ms, watch.cpu_s, rss_mib())
