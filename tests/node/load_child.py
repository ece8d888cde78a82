"""
A process that loads a node until it is killed: started by tests, with folder, journal, seed.

It appends `statement hash, log index` to the journal once an entry is acknowledged, that is after
the commit that placed it.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import sys
import time
from pathlib import Path

from tests.node.workload import Feeds
from tests.world import GENESIS_MS, World

from tradeline_ledger.history import EventId
from tradeline_node.application import Application
from tradeline_node.committed import Committed
from tradeline_node.engine.local import LocalEngine
from tradeline_node.errors import BusyError, EngineError
from tradeline_node.store import LedgerStore

REPLICAS = 2


def main(folder: Path, journal_path: Path, seed: int, file_bytes_max: int) -> None:
    random.seed(seed)
    world = World()
    stores = [LedgerStore.open(folder / str(i), world.ledger) for i in range(REPLICAS)]
    applications = [Application(store) for store in stores]
    journal = os.open(journal_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def acknowledge(committed: Committed) -> None:
        for placed in committed.placed:
            os.write(journal, f"{placed.hash.hex()} {placed.index}\n".encode())

    # The last replica commits last: what it has is acknowledged by all.
    applications[-1].on_commit.append(acknowledge)
    ticks = itertools.count(stores[0].head.time_ms - GENESIS_MS + 1)
    engine = LocalEngine(applications, lambda: GENESIS_MS + next(ticks), block_ms=2)
    engine.start()
    feeds = Feeds(world, stores[0])
    say("ready")
    if file_bytes_max:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    try:
        load(engine, feeds, stores[0])
    except EngineError as error:
        report(engine, stores[0], error)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def load(engine: LocalEngine, feeds: Feeds, store: LedgerStore) -> None:
    for number in itertools.count(store.head.size * 1000):
        member = random.randrange(1, 5)
        draw = random.random()
        if draw < 0.5:
            events = random.choice([1, 20, 300, 1500])
            entry = feeds.submission(member, events, number)
        elif draw < 0.8:
            entry = feeds.refused(member, number)
        else:
            target = EventId(random.randrange(store.head.size), 0)
            entry = feeds.mark(member, target)
        while True:
            try:
                engine.submit(entry)
                break
            except BusyError:
                time.sleep(0.005)


def report(engine: LocalEngine, store: LedgerStore, error: EngineError) -> None:
    """Say what a halted node still does; the parent compares."""
    assert engine.status().failure, "halted without a reason"
    say(f"halted {error}")
    readable = store.leaves(0, store.head.size)
    assert store.root(store.head.size)
    say(f"readable {len(readable)} {store.failure is not None}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
