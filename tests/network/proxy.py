"""
TCP links between nodes that can be cut, delayed and refused while bytes are on their way.

A cut link holds what is sent, as a network does that loses packets: connections stay, TCP sends
again, and after the cut all of it arrives in order. All links live in one thread of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

CHUNK_BYTES: Final = 1 << 16
CHUNKS_MAX: Final = 256
"""On their way in one direction of one connection; then the sender has to wait."""
CALL_S: Final = 10.0
HOST: Final = "127.0.0.1"


class Way(Flag):
    """Directions of a link, seen from who connects."""

    NONE = 0
    THERE = auto()
    BACK = auto()
    BOTH = THERE | BACK


@dataclass
class Link:
    """One port that leads to another; change it by `Proxies`."""

    port: int
    """Where it listens."""
    target: int
    """Where it leads."""
    random: random.Random
    """Of delays."""
    cut: Way = Way.NONE
    delay_ms: tuple[int, int] = (0, 0)
    """Least and most that a chunk takes, each way; chunks stay in order."""
    refused: bool = False
    """Connections are ended, and none is taken."""
    flowing: dict[Way, asyncio.Event] = field(default_factory=dict)
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    bytes: dict[Way, int] = field(default_factory=lambda: {Way.THERE: 0, Way.BACK: 0})
    """That arrived."""


class Proxies:
    """Serves links while the context lasts. Any thread may change them."""

    def __init__(self, seed: int = 0) -> None:
        """Delays are drawn by `seed`."""
        self._seed = seed
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._links: list[Link] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, port: int, target: int) -> Link:
        """Listen on `port` and lead to `target`, both of loopback."""
        link = Link(port, target, random.Random(f"{self._seed} {port}"))
        self._call(self._open(link))
        self._links.append(link)
        return link

    def cut(self, links: Iterable[Link], way: Way = Way.BOTH) -> None:
        """Hold what goes `way` on these links, in addition to what is held already."""
        self._call(self._set_cut([(each, each.cut | way) for each in links]))

    def heal(self, links: Iterable[Link]) -> None:
        """Let everything flow on these links, what was held first."""
        self._call(self._set_cut([(each, Way.NONE) for each in links]))

    def delay(self, links: Iterable[Link], least_ms: int, most_ms: int) -> None:
        """Delay each chunk that is sent from now on."""
        for each in links:
            each.delay_ms = (least_ms, most_ms)

    def refuse(self, links: Iterable[Link], *, refused: bool = True) -> None:
        """End all connections of these links and take none, or take them again."""
        self._call(self._set_refused(list(links), refused))

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_S)

    async def _open(self, link: Link) -> None:
        for way in (Way.THERE, Way.BACK):
            link.flowing[way] = asyncio.Event()
            link.flowing[way].set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(_carry(link, reader, writer))
            link.connections.add(task)
            task.add_done_callback(link.connections.discard)

        self._servers.append(await asyncio.start_server(connected, HOST, link.port))

    async def _set_cut(self, changes: list[tuple[Link, Way]]) -> None:
        for link, cut in changes:
            link.cut = cut
            for way, flowing in link.flowing.items():
                if way in cut:
                    flowing.clear()
                else:
                    flowing.set()

    async def _set_refused(self, links: list[Link], refused: bool) -> None:
        for each in links:
            each.refused = refused
        if refused:
            await _end(links)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()
        await _end(self._links)


async def _end(links: list[Link]) -> None:
    tasks = [task for link in links for task in link.connections]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection until one side ends it."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        opened.callback(writer.transport.abort)
        if link.refused:
            return
        back, there = await asyncio.open_connection(HOST, link.target)
        opened.callback(there.transport.abort)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(link, Way.THERE, reader, there))
            group.create_task(_pump(link, Way.BACK, back, writer))


async def _pump(
    link: Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry one direction; ends when its source does and all of it has arrived."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_MAX)

    async def read() -> None:
        data: bytes | None = None
        while data != b"":
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                data = b""  # a reset is an end
            least, most = link.delay_ms
            await queue.put((loop.time() + link.random.uniform(least, most) / 1000, data))

    async def write() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await link.flowing[way].wait()
            if not data:
                break
            link.bytes[way] += len(data)
            with contextlib.suppress(OSError):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(write())
