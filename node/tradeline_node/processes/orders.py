"""What the supervisor tells a process of ours at its start, and what that tells it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from tradeline_ledger.errors import LedgerError
from tradeline_node.config import Config, load_config
from tradeline_node.errors import NodeError
from tradeline_node.logs import configure_logs

LINE_BYTES_MAX: Final = 1 << 20
APPLICATION_SOCKET: Final = "abci"
COMMITS_SOCKET: Final = "commits"
RPC_SOCKET: Final = "rpc"
KEYS_FOLDER: Final = "keys"
SECONDARY_FOLDER: Final = "secondary"
_EXIT_FAILED: Final = 1


class Orders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line on standard input."""

    folder: str
    """The member folder."""
    settings: tuple[str, ...]
    """Values in place of node.toml's, `key=value`."""
    runtime: str
    """Folder of the sockets, of this user's only; new at each start of the node."""
    passphrase: bytes = b""
    """Of the keystore, for a process that needs keys."""

    def __repr__(self) -> str:
        return f"Orders({self.folder})"

    def socket(self, name: str) -> Path:
        """Return where the socket or folder called `name` is."""
        return Path(self.runtime) / name


class Ready(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The line on standard output once a process does its work."""

    height: int = 0
    """Of the last block in the store."""
    peers: tuple[str, ...] = ()
    """`<id>@host:port` of the other members' engines, as the registry has them now."""
    engine_key: bytes = b""
    """Engine key of this member in the registry, empty if it has none."""
    engine_peer: str = ""
    """The member's own, empty if it has none."""
    endpoint: str = ""
    """Base URL of the member's node in the registry, empty if it has none."""
    url: str = ""
    """Where it serves HTTP."""


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The line on standard output of a process that can't do its work, before it ends."""

    failure: str
    """One line, with remedy."""


def decode_answer(line: bytes) -> Ready | Failure:
    """
    Return what a process said on its standard output.

    Raises:
        msgspec.MsgspecError: it said something else.
    """
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.ValidationError:
        return msgspec.json.decode(line, type=Failure)


Work = Callable[
    [Config, Orders, Callable[[Ready], None], asyncio.Event], Coroutine[None, None, None]
]
"""Does a process's work until the event is set; calls the function once, when it is ready."""


def obey(work: Work) -> None:
    """Run a process of ours: read its orders, do `work` until told to end, and say how it went."""
    # A terminal's Ctrl-C reaches every process; the supervisor alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = msgspec.json.decode(sys.stdin.buffer.readline(LINE_BYTES_MAX), type=Orders)
    try:
        config = load_config(Path(orders.folder), os.environ, orders.settings)
        configure_logs(config.log.level, config.log.format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(work, config, orders))
    except (NodeError, LedgerError) as error:
        _say(Failure(str(error)))
        sys.exit(_EXIT_FAILED)


async def _until_told(work: Work, config: Config, orders: Orders) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    watcher = asyncio.create_task(_watch_input(stop))
    try:
        await work(config, orders, _say, stop)
    finally:
        watcher.cancel()


async def _watch_input(stop: asyncio.Event) -> None:
    """Set `stop` when whoever gave the orders is gone."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while await reader.read(1):
            pass
        stop.set()
    finally:
        transport.close()


def _say(answer: Ready | Failure) -> None:
    with contextlib.suppress(BrokenPipeError):  # then standard input has ended as well
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
