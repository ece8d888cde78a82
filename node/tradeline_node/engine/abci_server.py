"""
An ABCI server: the four connections that CometBFT opens, answered in order in one event loop.

Every request gets its answer, an exception among them: the engine then ends itself, and whoever
runs both starts them again as a pair. Requests are answered where they are read, one at a time, so
that check, proposal and commit never see each other half done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from google.protobuf.message import DecodeError

from tradeline_node.engine import abci_pb2 as abci
from tradeline_node.engine.abci_frames import FrameReader, encode_frame
from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_node.logs import Log


class Handler(Protocol):
    """Answers requests; one is called at a time."""

    def answer(self, request: abci.Request) -> abci.Response:
        """Return the answer; whatever it raises halts the application."""
        ...


class AbciServer:
    """Serves one application on a UNIX socket; for one event loop."""

    def __init__(self, handler: Handler, log: Log) -> None:
        """Answer with `handler`."""
        self._handler, self._log = handler, log
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()
        self.failure: str | None = None
        """Why nothing is answered any more, None while all is well."""
        self.failed = asyncio.Event()

    async def start(self, path: Path) -> None:
        """
        Listen on the socket `path`, in a folder that only this user may enter.

        Raises:
            EngineError: the socket can't be made.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_unix_server(lambda: _Connection(self), str(path))
        except OSError as error:
            raise EngineError(f"the socket {path} can't be made: {error.strerror}") from error

    async def stop(self) -> None:
        """Close all connections; the engine ends itself when it sees that."""
        if self._server is None:
            return
        self._server.close()
        for each in list(self._connections):
            each.close()
        await self._server.wait_closed()

    def answer(self, message: bytes) -> bytes:
        """Return the frame of the answer to one message."""
        if self.failure is None:
            try:
                request = abci.Request.FromString(message)
                response = self._handler.answer(request)
                return encode_frame(response.SerializeToString())
            except DecodeError as error:
                self.fail(EngineError(f"a request of the engine does not decode: {error}"))
            except Exception as error:  # noqa: BLE001  the boundary of the process: answer, halt
                self.fail(error)
        exception = abci.ResponseException(error=self.failure or "")
        return encode_frame(abci.Response(exception=exception).SerializeToString())

    def fail(self, error: Exception) -> None:
        """Halt: nothing is committed from here on, and the process should end."""
        self.failure = f"{type(error).__name__}: {error}"
        self._log.error("application halted", reason=self.failure, exc_info=error)
        self.failed.set()

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Take note of a connection."""
        self._connections.add(transport)

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection."""
        self._connections.discard(transport)


class _Connection(asyncio.Protocol):
    """One connection of the engine."""

    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._frames = FrameReader()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not derived from it
        self._server.opened(transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._transport.write(self._server.answer(message))
        except EngineError as error:
            self._server.fail(error)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._server.closed(self._transport)
