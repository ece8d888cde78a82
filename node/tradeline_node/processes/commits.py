"""
How the process that writes the ledger store tells the one that reads it that there is more.

A byte on a UNIX socket says that a block was committed, no more: what it did is read from the
store. So nothing is lost with a connection, and who reads slowly holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, cast

from tradeline_node.committed import committed_since
from tradeline_node.errors import EngineError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tradeline_node.committed import Committed
    from tradeline_node.followed_store import FollowedStore
    from tradeline_node.logs import Log

LOOK_AGAIN_S: Final = 1.0
"""Between looks at the store when nothing is told."""
RETRY_S: Final = 0.1
UNREAD_BYTES_MAX: Final = 1024
"""Of one connection: who has as much unread knows that there is more."""
_READ_BYTES: Final = 4096


class CommitServer:
    """Tells whoever is connected of each commit; for one event loop."""

    def __init__(self) -> None:
        """Tell nobody yet."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Transport] = set()

    async def start(self, path: Path) -> None:
        """
        Listen on the socket `path`, in a folder that only this user may enter.

        Raises:
            EngineError: the socket can't be made.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(
                lambda: _Listener(self._connections), str(path)
            )
        except OSError as error:
            raise EngineError(f"the socket {path} can't be made: {error.strerror}") from error

    def tell(self) -> None:
        """Say that a block was committed."""
        for each in self._connections:
            if each.get_write_buffer_size() < UNREAD_BYTES_MAX:
                each.write(b"\n")

    async def stop(self) -> None:
        """Close all connections."""
        if self._server is None:
            return
        self._server.close()
        for each in list(self._connections):
            each.close()
        await self._server.wait_closed()


class _Listener(asyncio.Protocol):
    """One connection."""

    def __init__(self, connections: set[asyncio.Transport]) -> None:
        self._connections = connections
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self._connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._connections.discard(self._transport)


class CommitFollower:
    """Advances a `FollowedStore` when there is more, in a thread of its own, and tells what."""

    def __init__(
        self,
        path: Path,
        store: FollowedStore,
        committed: Callable[[Committed], None],
        log: Log,
    ) -> None:
        """Listen at the socket `path`; `committed` is called for each block that grew the log."""
        self._path, self._store = path, store
        self._committed, self._log = committed, log
        self._told = store.head.size
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; safe to call twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as own:
                own.settimeout(LOOK_AGAIN_S)
                own.connect(str(self._path))
                self._listen(own)
            # The writer is away; what it wrote before is shown all the same.
            self._advance()
            self._stopping.wait(RETRY_S)

    def _listen(self, own: socket.socket) -> None:
        """Follow until the writer closes the connection."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                if not own.recv(_READ_BYTES):
                    return
            self._advance()

    def _advance(self) -> None:
        try:
            self._store.advance()
            for each in committed_since(self._store, self._told):
                self._committed(each)
                self._told = each.head.size
        except StoreError as error:
            self._log.error("the ledger store can't be followed", reason=str(error))
            self._stopping.wait(LOOK_AGAIN_S)
        except Exception as error:  # noqa: BLE001  the boundary of the thread: log and show it
            self._store.failure = f"unexpected {type(error).__name__}, see the log"
            self._log.exception("following the ledger store failed unexpectedly")
            self._stopping.set()
