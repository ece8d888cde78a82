"""Clusters of replicas under an ordering engine, for the suite that every driver passes."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.node.cluster import free_ports, wait_for
from tests.world import GENESIS_MS, INSTITUTIONS, Institution, World, make_ledger, next_prev

from tradeline_node.application import Application
from tradeline_node.engine.abci_handler import AbciHandler
from tradeline_node.engine.abci_server import AbciServer
from tradeline_node.engine.applied_height import AppliedHeight
from tradeline_node.engine.cometbft import CometBftEngine
from tradeline_node.engine.cometbft_home import Wiring
from tradeline_node.engine.cometbft_process import CometBftProcess
from tradeline_node.engine.cometbft_rpc import CometBftRpc
from tradeline_node.engine.local import LocalEngine
from tradeline_node.logs import node_log
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from tradeline_node.engine import OrderingEngine, abci_pb2

REPLICAS: Final = 4
BINARY: Final = Path(__file__).parents[2] / "engine/bin/cometbft"
WAIT_S: Final = 20


class Cluster(Protocol):
    """Replicas and the engines in front of them; a driver is another implementation of this."""

    world: World

    @property
    def stores(self) -> list[LedgerStore]:
        """Return the open stores, one a replica."""
        ...

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
        self.open_stores: list[LedgerStore] = []
        self.applications: list[Application] = []
        self.local: LocalEngine
        self.clock_ms: Callable[[], int]

    def engine(self, replica: int) -> OrderingEngine:
        assert replica < REPLICAS
        return self.local

    @property
    def stores(self) -> list[LedgerStore]:
        return self.open_stores

    def open(self, **limits: int) -> LocalEngine:
        self.open_stores = [
            LedgerStore.open(self.folder(i), self.world.ledger) for i in range(REPLICAS)
        ]
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


class CometBftCluster:
    """Four replicas in this process, each with a CometBFT process of its own beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        ports = free_ports(REPLICAS)
        self.founders = tuple(
            replace(each, engine_port=port)
            for each, port in zip(INSTITUTIONS, ports, strict=False)
            if each.validator
        ) + tuple(each for each in INSTITUTIONS if not each.validator)
        self.world = World(ledger=make_ledger(self.founders), institutions=self.founders)
        self.replicas: list[Replica] = []

    @property
    def stores(self) -> list[LedgerStore]:
        return [each.store for each in self.replicas]

    def engine(self, replica: int) -> OrderingEngine:
        return self.replicas[replica].engine

    def start(self) -> None:
        self.replicas = [
            Replica(self.folder(i), self.path / f"engine-{i}", self.world, self.founders[i])
            for i in range(REPLICAS)
        ]
        with ThreadPoolExecutor(REPLICAS) as threads:
            for each in [threads.submit(replica.start) for replica in self.replicas]:
                each.result()
        wait_for(lambda: not any(each.rpc.sync_info().catching_up for each in self.replicas))
        furthest = max(store.engine_height for store in self.stores)
        wait_for(lambda: all(store.engine_height >= furthest for store in self.stores))

    def stop(self) -> None:
        for each in self.replicas:
            each.stop()

    def folder(self, replica: int) -> Path:
        return self.path / str(replica)


class Replica:
    """One store with its application, ABCI server and engine process."""

    def __init__(self, folder: Path, home: Path, world: World, own: Institution) -> None:
        self.store = LedgerStore.open(folder, world.ledger)
        self.application = Application(self.store)
        self.misbehavior: list[abci_pb2.Misbehavior] = []
        self._runtime = tempfile.TemporaryDirectory(prefix="tl-")
        runtime = Path(self._runtime.name)
        (home / "data").mkdir(parents=True, exist_ok=True)
        self._applied = AppliedHeight(home / "data")
        handler = AbciHandler(self.application, self._applied, self.misbehavior.append)
        log = node_log("replica")
        self.server = AbciServer(handler, log)
        self.wiring = Wiring(
            application=runtime / "abci",
            rpc=runtime / "rpc",
            listen=f"127.0.0.1:{own.engine_port}",
            external=f"127.0.0.1:{own.engine_port}",
            peers=[
                record.engine_peer
                for record in world.ledger.registry.members
                if record.engine_peer and record.id != own.id
            ],
            keys=runtime / "keys",
        )
        self.process = CometBftProcess(
            BINARY,
            home,
            world.ledger,
            self.wiring,
            validator=own.engine,
            peer=own.peer,
            moniker=f"replica-{own.id}",
            log_file=home / "engine.log",
        )
        self.rpc = CometBftRpc(self.wiring.rpc)
        self.engine = CometBftEngine(self.store, self.rpc)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._call(self.server.start(self.wiring.application))
        self.process.start()
        self.engine.start()

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self.engine.stop()
        self.process.stop()
        self._call(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._applied.close()
        self.store.close()
        self._runtime.cleanup()

    def _call(self, coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)


DRIVERS: Final[dict[str, Callable[[Path], Cluster]]] = {
    "local": LocalCluster,
    "cometbft": CometBftCluster,
}
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
