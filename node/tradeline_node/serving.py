"""
Nodes served: all member folders under one folder, or one, in one process and one event loop.

The `local` engine orders for all of them. Each node has its own server and port.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import uvicorn
import uvloop

from tradeline_ledger.endpoint import is_loopback
from tradeline_node.application import Application
from tradeline_node.engine.local import LocalEngine
from tradeline_node.errors import ConfigError
from tradeline_node.http.app import create_app
from tradeline_node.http.server import Protocol
from tradeline_node.logs import configure_logs, node_log
from tradeline_node.run import Running, listen
from tradeline_node.service import Node
from tradeline_node.tls import server_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_node.config import Config
    from tradeline_node.engine import OrderingEngine

KEEP_ALIVE_S: Final = 30


def run_local(
    configs: Sequence[Config], passphrase: bytes, announce: Callable[[list[Running]], None]
) -> None:
    """
    Run nodes of the `local` engine until SIGTERM or SIGINT; `announce` is called once all answer.

    Raises:
        NodeError: a node can't be opened, a port is taken, or the engine halted at the start.
    """
    configure_logs(configs[0].log.level, configs[0].log.format)
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(listen(config)) for config in configs]
        nodes: list[Node] = []
        for config in configs:
            node = Node.open(config, passphrase)
            opened.callback(node.close)
            nodes.append(node)
        engine = attach_local(nodes)
        engine.start()
        opened.callback(engine.stop)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signal(nodes, sockets, engine, announce))


def attach_local(nodes: Sequence[Node]) -> LocalEngine:
    """
    Return the `local` engine, which orders for all of `nodes`; it is not started.

    Raises:
        ConfigError: they are not of one ledger, or a validator is missing.
        StoreError: an outbox can't be opened.
    """
    ledgers = {node.ledger.ledger_id for node in nodes}
    if len(ledgers) != 1:
        raise ConfigError(
            "the nodes have different genesis files, so they are not of one ledger; node.genesis "
            "of each names the file"
        )
    first = nodes[0]
    missing = set(first.store.registry.epoch.validators) - {node.member for node in nodes}
    if missing:
        raise ConfigError(
            f"the local engine orders in one process only, and the folders of members "
            f"{sorted(missing)} are not among those to run; run the folder above them"
        )
    settings = first.config.engine
    applications = [Application(node.store) for node in nodes]
    engine = LocalEngine(
        applications,
        first.clock_ms,
        block_ms=settings.block_ms,
        block_entries_max=settings.block_entries_max,
    )
    for node, application in zip(nodes, applications, strict=True):
        application.on_commit.append(node.committed)
        node.attach(engine, application.memory)
    return engine


async def serve(
    nodes: Sequence[Node],
    sockets: Sequence[socket.socket],
    engine: OrderingEngine,
    announce: Callable[[list[Running]], None],
    stop: asyncio.Event,
) -> None:
    """
    Serve nodes that are open and attached to `engine`, each on its socket, until `stop` is set.

    Then finish the block that is being made, and what the nodes began; closing their stores is
    left to the caller.
    """
    servers = [_Server(_server_config(node)) for node in nodes]
    for node in nodes:
        await node.start()
    serving = [
        asyncio.create_task(server.serve(sockets=[own]))
        for server, own in zip(servers, sockets, strict=True)
    ]
    stopped = asyncio.create_task(stop.wait())
    try:
        while not all(server.started for server in servers):
            await asyncio.wait([stopped, *serving], timeout=0.01)
            if stop.is_set() or any(task.done() for task in serving):
                break
        else:
            announce([_running(node) for node in nodes])
            for node in nodes:
                node.log.info("started", member=node.member, url=_running(node).url)
        await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        for node in nodes:
            node.end_streams()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        await asyncio.to_thread(engine.stop)
        for node in nodes:
            await node.stop()
        node_log("all").info("stopped")


async def _until_signal(
    nodes: Sequence[Node],
    sockets: Sequence[socket.socket],
    engine: OrderingEngine,
    announce: Callable[[list[Running]], None],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(nodes, sockets, engine, announce, stop)


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs several of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _server_config(node: Node) -> uvicorn.Config:
    tls = _tls(node)
    return uvicorn.Config(
        create_app(node),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        ssl_context_factory=(lambda *_: tls) if tls is not None else None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, node.config.http.stop_timeout_ms // 1000),
    )


def _tls(node: Node) -> ssl.SSLContext | None:
    """
    Return what the server proves itself with, None where the registry pins no key.

    Raises:
        ConfigError: it would then serve others than this machine.
    """
    if node.record.tls_pin is not None:
        return server_context(node.keys.tls)
    host = node.config.http.host
    if not is_loopback(f"[{host}]" if ":" in host else host):
        raise ConfigError(
            f"{node.config.node.name} would listen without encryption on http.host {host}, since "
            f"the registry pins no TLS key of member {node.member}; listen on 127.0.0.1, or have "
            "the key registered"
        )
    return None


def _running(node: Node) -> Running:
    url = node.config.url(tls=node.record.tls_pin is not None)
    return Running(node.member, node.config.node.name, url, node.config.folder)
