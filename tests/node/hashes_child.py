"""A process that makes fixed blocks on four replicas and prints each block's app hash."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.node.engines import LocalCluster
from tests.node.workload import Feeds
from tests.world import DESK

from tradeline_ledger.history import EventId
from tradeline_node.errors import EngineError


def main(folder: Path) -> None:
    cluster = LocalCluster(folder)
    engine = cluster.open()
    feeds = Feeds(cluster.world)
    for number in range(12):
        for member in range(1, 5):
            engine.submit(feeds.submission(member, 5 + number, number))
            engine.submit(feeds.refused(member, number, DESK))
            engine.submit(feeds.mark(member, EventId(1 + number, member)))
        if number == 3:
            engine.submit(feeds.consent())
        executed = engine.produce()
        if executed is None:
            raise EngineError("no block")
        for store in cluster.stores:
            sys.stdout.write(f"{executed.head.height} {store.root(store.head.size).hex()}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
