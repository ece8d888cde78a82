"""
The process that owns the ledger store: it answers the engine, and tells who reads of each commit.

It holds no key. `python -m tradeline_node.processes.application`, started by the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tradeline_node.application import Application
from tradeline_node.durable import FOLDER_MODE
from tradeline_node.engine.abci_handler import AbciHandler
from tradeline_node.engine.abci_server import AbciServer
from tradeline_node.engine.applied_height import AppliedHeight
from tradeline_node.engine.cometbft_home import DATA_NAME
from tradeline_node.errors import EngineError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.logs import node_log
from tradeline_node.processes.commits import CommitServer
from tradeline_node.processes.orders import (
    APPLICATION_SOCKET,
    COMMITS_SOCKET,
    Orders,
    Ready,
    obey,
)
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tradeline_node.config import Config
    from tradeline_node.engine import abci_pb2 as abci


async def serve(
    config: Config, orders: Orders, say: Callable[[Ready], None], stop: asyncio.Event
) -> None:
    """
    Answer the engine until `stop` is set.

    Raises:
        ConfigError: the genesis file is none.
        StoreError: the ledger store can't be opened, or failed.
        EngineError: the engine asked what has no answer.
    """
    log = node_log(config.node.name)
    ledger = read_genesis(config.path(config.node.genesis))
    data = config.path(config.engine.home) / DATA_NAME
    data.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    def report(misbehavior: abci.Misbehavior) -> None:
        log.error(
            "the engine reports misbehavior of a validator",
            where=misbehavior.validator.address.hex(),
            height=misbehavior.height,
            kind=str(misbehavior.type),
        )

    with contextlib.ExitStack() as opened:
        store = LedgerStore.open(config.path(config.storage.ledger), ledger)
        opened.callback(store.close)
        applied = AppliedHeight(data)
        opened.callback(applied.close)
        application = Application(store)
        commits = CommitServer()
        application.on_commit.append(lambda _: commits.tell())
        server = AbciServer(AbciHandler(application, applied, report), log)
        await commits.start(orders.socket(COMMITS_SOCKET))
        await server.start(orders.socket(APPLICATION_SOCKET))
        say(_ready(store, config.node.member))
        try:
            await _first(stop.wait(), server.failed.wait())
        finally:
            await server.stop()
            await commits.stop()
        if server.failure is not None:
            raise EngineError(server.failure)


def _ready(store: LedgerStore, member: int) -> Ready:
    registry = store.registry
    own = registry.member(member)
    in_force = [each for each in registry.members if each.until_height is None]
    return Ready(
        height=store.engine_height,
        peers=tuple(
            each.engine_peer for each in in_force if each.engine_peer and each.id != member
        ),
        engine_key=(own.engine_key or b"") if own is not None else b"",
        engine_peer=own.engine_peer if own is not None else "",
        endpoint=own.endpoint if own is not None else "",
    )


async def _first(*waits: Coroutine[None, None, object]) -> None:
    """Wait until one of `waits` is over, and give up the others."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()


if __name__ == "__main__":
    obey(serve)
