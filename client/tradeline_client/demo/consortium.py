"""A consortium of the demo: its folder, and the processes that serve its nodes."""

from __future__ import annotations

import enum
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tradeline_client.errors import ConsortiumError
from tradeline_client.files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

MEMBERS: Final = ("bank", "lender", "payment", "court")
"""Members 1 to 4, each with a node."""
REGULATOR: Final = "regulator"
_PROGRAM: Final = (sys.executable, "-m", "tradeline_client")
_RUNNING_NAME: Final = "running.json"
_ENGINE_PORT_STEP: Final = 100
"""Engines have the ports this far above the HTTP ports of their nodes."""
_READY_S: Final = 120.0
_STOP_S: Final = 30.0
_POLL_S: Final = 0.05
_PORTS_FROM: Final = 7101
_PORTS_UNTIL: Final = 9000
_LOG_TAIL_CHARS: Final = 2_000


class Engine(enum.StrEnum):
    """What orders the entries of a consortium."""

    LOCAL = "local"
    """All nodes in one process."""
    COMETBFT = "cometbft"
    """Each node in three processes of its own, one of which is a CometBFT validator."""


_RUN: Final = {Engine.LOCAL: ("node", "run"), Engine.COMETBFT: ("testnet", "up", "--dir")}
"""The command that runs the nodes of the folder named after it."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """One running node."""

    name: str
    url: str


class Consortium:
    """Founds a consortium in a folder, starts and stops its nodes."""

    def __init__(
        self,
        folder: Path,
        engine: Engine = Engine.LOCAL,
        members: tuple[str, ...] = MEMBERS,
        contributors: tuple[str, ...] = (),
        retain_months: int = 60,
    ) -> None:
        """Use `folder`, which is made by `found`; only `members` have nodes."""
        self.folder = folder
        self.members = members
        self.contributors = contributors
        self.retain_months = retain_months
        self.engine = engine
        self.passphrase = secrets.token_urlsafe(24).encode()
        self.passphrase_file = folder.with_name(f"{folder.name}.passphrase")
        self._ready = folder.with_name(f"{folder.name}.ready")
        self.log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def pids(self, members: Iterable[str] | None = None) -> dict[str, list[int]]:
        """Return the ids of the processes that do the work of nodes, by what they do."""
        assert self._process is not None, "start first"
        if self.engine is Engine.LOCAL:
            return {"nodes": [self._process.pid]}
        found: dict[str, list[int]] = {}
        for member in self.members if members is None else members:
            running = json.loads((self.folder / member / _RUNNING_NAME).read_bytes())
            for what, pid in running["pids"].items():
                if pid is not None:
                    found.setdefault(what, []).append(pid)
        return found

    def supervisor(self, member: str) -> int:
        """Return the id of the process that runs those of one member's node, beside CometBFT."""
        running = json.loads((self.folder / member / _RUNNING_NAME).read_bytes())
        return int(running["pid"])

    @property
    def run(self) -> tuple[str, ...]:
        """The command that runs the nodes of the folder named after it."""
        return _RUN[self.engine]

    def client(self, member: str) -> Path:
        """Return the client folder of a member."""
        return self.folder / member / "client"

    def found(self) -> None:
        """
        Make every key, the genesis and a folder for each member.

        Raises:
            ConsortiumError: the folder exists, or no ports are free.
        """
        write_private(self.passphrase_file, self.passphrase)
        command = [
            *(*_PROGRAM, "testnet", "init", "--dir", str(self.folder)),
            *("--engine", self.engine.value),
            *("--members", ",".join(self.members), "--without-node", REGULATOR),
            *("--contributors", ",".join(self.contributors)),
            *("--retain-months", str(self.retain_months)),
            *("--base-port", str(_free_ports(len(self.members)))),
            *("--passphrase-file", str(self.passphrase_file)),
        ]
        self._run(command, (0,))

    def start(self) -> list[NodeAddress]:
        """
        Serve all nodes and return where they are.

        Raises:
            ConsortiumError: they are not ready in time.
        """
        self._ready.unlink(missing_ok=True)
        command = [
            *(*_PROGRAM, *self.run, str(self.folder), "--ready-file", str(self._ready)),
            *("--passphrase-file", str(self.passphrase_file), "--end-with-input"),
        ]
        with self.log.open("ab") as log:
            # Its input ends with this process, however that ends.
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_S
        while not self._ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise ConsortiumError(f"the nodes did not start:\n{self._tail()}")
            time.sleep(_POLL_S)
        ready = json.loads(self._ready.read_bytes())
        return [NodeAddress(each["name"], each["url"]) for each in ready["nodes"]]

    def stop(self) -> None:
        """End the process, if it runs; it finishes its block first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None, "start opens it"
        self._process.stdin.close()
        self._process = None

    def wait(self) -> None:
        """Return when the process ends, or the user interrupts."""
        assert self._process is not None, "start first"
        self._process.wait()

    def node(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """
        Run `tradeline node ARGUMENTS` and return what it printed.

        Raises:
            ConsortiumError: it ended with another exit code than `codes`.
        """
        return self._run(self._command(*arguments), codes)

    def flip_byte(self, member: str, index: int, at: int) -> str:
        """
        Change a byte of a content in the store of a member whose node is stopped.

        Raises:
            ConsortiumError: the node runs, or has no such byte.
        """
        folder = str(self.folder / member)
        command = [*_PROGRAM, "plumbing", "flip-byte", folder, str(index), "--at", str(at)]
        return self._run(command, (0,)).strip()

    def _run(self, command: list[str], codes: tuple[int, ...]) -> str:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode not in codes:
            said = (done.stdout + done.stderr).decode(errors="replace")[-_LOG_TAIL_CHARS:]
            raise ConsortiumError(f"{' '.join(command[2:5])} failed:\n{said}")
        return done.stdout.decode()

    def _command(self, *arguments: str) -> list[str]:
        return [*_PROGRAM, "node", *arguments, "--passphrase-file", str(self.passphrase_file)]

    def _tail(self) -> str:
        return self.log.read_bytes().decode(errors="replace")[-_LOG_TAIL_CHARS:]


def _free_ports(count: int) -> int:
    """Return the first of `count` consecutive ports of loopback that nobody listens on."""
    places = list(range(_PORTS_FROM, _PORTS_UNTIL, count))
    # Two that look at the same moment would find the same ones: each begins elsewhere.
    begin = os.getpid() % len(places)
    for first in places[begin:] + places[:begin]:
        ports = range(first, first + count)
        if all(_is_free(port) and _is_free(port + _ENGINE_PORT_STEP) for port in ports):
            return first
    raise ConsortiumError(f"no {count} consecutive ports are free from {_PORTS_FROM}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def cache_folder(fallback: Path) -> Path:
    """Return where downloads are kept: `TRADELINE_CACHE`, else a folder that goes with the demo."""
    named = os.environ.get("TRADELINE_CACHE")
    return type(fallback)(named) if named else fallback
