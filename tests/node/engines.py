"""Clusters of replicas under an ordering engine, for the suite that every driver passes."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final, Protocol

from tests.world import GENESIS_MS, World, next_prev

from tradeline_node.application import Application
from tradeline_node.engine.local import LocalEngine
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tradeline_node.engine import OrderingEngine

REPLICAS: Final = 4
WAIT_S: Final = 20


class Cluster(Protocol):
    """Replicas and the engines in front of them; a driver is another implementation of this."""

    world: World
    stores: list[LedgerStore]

    def engine(self, replica: int) -> OrderingEngine:
        """Return the engine that this replica's node submits to."""
        ...

    def start(self) -> None:
        """Open all stores and start all engines."""
        ...

    def stop(self) -> None:
        """Stop all engines and close all stores."""
        ...

    def folder(self, replica: int) -> Path:
        """Return where a replica's store is."""
        ...


class LocalCluster:
    """Four replicas in this process."""

    def __init__(self, path: Path, world: World | None = None) -> None:
        self.world = world or World()
        self.path = path
        self.stores: list[LedgerStore] = []
        self.applications: list[Application] = []
        self.local: LocalEngine
        self.clock_ms: Callable[[], int]

    def engine(self, replica: int) -> OrderingEngine:
        assert replica < REPLICAS
        return self.local

    def open(self, **limits: int) -> LocalEngine:
        self.stores = [LedgerStore.open(self.folder(i), self.world.ledger) for i in range(REPLICAS)]
        self.applications = [Application(each) for each in self.stores]
        ticks = itertools.count(GENESIS_MS + self.stores[0].head.size)
        self.local = LocalEngine(
            self.applications, lambda: next(ticks), **{"block_ms": 5, **limits}
        )
        return self.local

    def start(self) -> None:
        self.open()
        self.local.start()

    def stop(self) -> None:
        self.local.stop()
        for each in self.stores:
            each.close()

    def folder(self, replica: int) -> Path:
        return self.path / str(replica)


DRIVERS: Final[dict[str, Callable[[Path], Cluster]]] = {"local": LocalCluster}
"""The suite runs once for each."""


def wait_until_placed(stores: Sequence[LedgerStore], entries: Sequence[bytes]) -> None:
    """Wait until every store has every entry."""
    until = time.monotonic() + WAIT_S
    for store in stores:
        for entry in entries:
            while store.placed_at(next_prev(entry)) is None:
                assert time.monotonic() < until, "an entry was not placed in time"
                time.sleep(0.002)


def app_hashes(stores: Sequence[LedgerStore]) -> set[tuple[int, bytes]]:
    """Return the different (size, root) of stores."""
    return {(each.head.size, each.root(each.head.size)) for each in stores}
