"""
A network of several nodes on one machine: every member folder below one folder, each with a
supervisor of its own, as on a machine of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.note import decode_note
from tradeline_node.config import Config, load_config
from tradeline_node.errors import ConfigError, NodeError, PeerError
from tradeline_node.genesis_file import read_genesis
from tradeline_node.keystore import open_keystore
from tradeline_node.peers import PeerClient
from tradeline_node.processes.supervisor import LOCK_NAME, LOGS_NAME, RUNNING_NAME
from tradeline_node.run import Running, member_folders
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_node.keystore import Keystore

READY_S: Final = 120.0
STOP_S: Final = 60.0
POLL_S: Final = 0.1
STATUS_TIMEOUT_MS: Final = 3_000
ANSWER_BYTES_MAX: Final = 64 << 10
NODE_LOG: Final = "node.log"
"""In the folder of logs: what the supervisor says when nobody watches it."""
_SAID: Final = "tradeline: "
"""Begins the line that a command fails with."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How one node of the network does."""

    name: str
    member: int
    ready: bool
    reason: str
    """Why it is not ready, empty if it is."""
    height: int | None
    """Last block applied; None if the node does not say."""
    checkpoint: Mapping[str, Any] | None
    """`size` and `root` (hexadecimal) of the newest with a quorum; None before the first."""
    pids: Mapping[str, int | None]
    """Of application, engine and http; empty while the node does not run."""
    url: str
    folder: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return asdict(self)


class Testnet:
    """The nodes of a folder; each command is a call."""

    __test__ = False  # it is no test of pytest's

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """
        Take the member folders below `folder`.

        Raises:
            ConfigError: there is none, one is wrong, or its engine is not cometbft.
        """
        self.folder = folder
        self._environment = environment
        self.configs = [load_config(each, environment) for each in member_folders(folder)]
        self.configs.sort(key=lambda each: each.node.member)
        for config in self.configs:
            if config.engine.driver != "cometbft":
                raise ConfigError(
                    f"{config.folder} has engine.driver {config.engine.driver}; nodes of the local "
                    f"engine run in one process: tradeline node run {folder}"
                )
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        """By member. While their standard input is held open here, nodes go on."""

    def start(self, passphrase_file: Path | None, *, detach: bool) -> list[Running]:
        """
        Start every node that does not run, and return all once they serve.

        A detached node outlives this process; others end with it, however it ends.

        Raises:
            NodeError: one does not come up; those that were started are ended.
        """
        started = self._started
        try:
            for config in self.configs:
                if running_pid(config) is None:
                    started[config.node.member] = _start(config, passphrase_file, detach=detach)
            deadline = time.monotonic() + READY_S
            return [
                _wait_ready(config, started.get(config.node.member), deadline)
                for config in self.configs
            ]
        except BaseException:
            for process in started.values():
                process.terminate()
            for process in started.values():
                process.wait()
            raise

    def wait(self, stopped: Callable[[], bool]) -> None:
        """Return when `stopped`, or when no node runs any more."""
        while not stopped() and any(running_pid(config) is not None for config in self.configs):
            time.sleep(POLL_S)

    def stop(self) -> list[str]:
        """
        End every node that runs and return their names, once all have ended.

        Raises:
            NodeError: one does not end in time.
        """
        pids = {config.node.name: running_pid(config) for config in self.configs}
        for pid in pids.values():
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for config in self.configs:
            while running_pid(config) is not None:
                if time.monotonic() > deadline:
                    raise NodeError(
                        f"{config.node.name} (process {pids[config.node.name]}) does not end; see "
                        f"{config.folder / LOGS_NAME}, and end it by force if you must"
                    )
                time.sleep(POLL_S)
        return [name for name, pid in pids.items() if pid is not None]

    def status(self, passphrase_file: Path | None) -> list[NodeStatus]:
        """
        Return how each node does, in the order of members.

        What a node tells members only is asked for with its own key, where its passphrase is
        known from `passphrase_file` or the file that node.toml names.
        """
        return asyncio.run(self._status(passphrase_file))

    async def _status(self, passphrase_file: Path | None) -> list[NodeStatus]:
        return list(
            await asyncio.gather(*(_status(config, passphrase_file) for config in self.configs))
        )

    def logs(self, names: Sequence[str]) -> list[Path]:
        """
        Return the log files that are there, of all nodes or those called `names`.

        Raises:
            ConfigError: no node has such a name.
        """
        known = {config.node.name: config.folder / LOGS_NAME for config in self.configs}
        for name in names:
            if name not in known:
                raise ConfigError(f"no node is called {name!r}; there are {', '.join(known)}")
        chosen = [known[name] for name in names] if names else list(known.values())
        return [file for folder in chosen for file in sorted(folder.glob("*.log"))]


def running_pid(config: Config) -> int | None:
    """Return the process id of the supervisor that holds a member folder, None if none does."""
    try:
        handle = os.open(config.folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return int(os.pread(handle, 20, 0) or 0) or None
    finally:
        os.close(handle)
    return None


def _start(
    config: Config, passphrase_file: Path | None, *, detach: bool
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "tradeline_node", "node", "run", str(config.folder)]
    if passphrase_file is not None:
        command += ["--passphrase-file", str(passphrase_file.resolve())]
    if not detach:
        command.append("--end-with-input")
    logs = config.folder / LOGS_NAME
    logs.mkdir(mode=0o700, exist_ok=True)
    with (logs / NODE_LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if detach else subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=detach,
        )


def _wait_ready(
    config: Config, process: subprocess.Popen[bytes] | None, deadline: float
) -> Running:
    while True:
        running = read_running(config)
        # What a killed supervisor left speaks of processes that are gone.
        own = process is None or (running is not None and running["pid"] == process.pid)
        if running is not None and own and running["url"]:
            return Running(config.node.member, config.node.name, str(running["url"]), config.folder)
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            what = "ended at its start" if ended else f"is not ready after {READY_S:.0f} s"
            raise NodeError(f"{config.node.name} {what}: {_last_line(config)}")
        time.sleep(POLL_S)


def read_running(config: Config) -> dict[str, Any] | None:
    """Return what a node that runs says of itself: pid, pids and url; None if it does not run."""
    if running_pid(config) is None:
        return None
    try:
        document: dict[str, Any] = json.loads((config.folder / RUNNING_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return document


def _last_line(config: Config) -> str:
    try:
        lines = (config.folder / LOGS_NAME / NODE_LOG).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = (line for line in reversed(lines) if line.startswith(_SAID))
    return next(said, "see its log").removeprefix(_SAID)


async def _status(config: Config, passphrase_file: Path | None) -> NodeStatus:
    running = await asyncio.to_thread(read_running, config)
    pids = running["pids"] if running is not None else {}
    reason, height, checkpoint = "it does not run", None, None
    if running is not None:
        try:
            reason, height, checkpoint = await _ask(config, passphrase_file)
        except (NodeError, LedgerError) as error:
            reason = str(error)
    url = str(running["url"]) if running is not None else ""
    return NodeStatus(
        name=config.node.name,
        member=config.node.member,
        ready=not reason,
        reason=reason,
        height=height,
        checkpoint=checkpoint,
        pids=pids,
        url=url,
        folder=str(config.folder),
    )


async def _ask(
    config: Config, passphrase_file: Path | None
) -> tuple[str, int | None, dict[str, Any] | None]:
    """Return why a node is not ready, its height and newest checkpoint, as it says."""
    named = config.node.passphrase_file
    file = passphrase_file or (config.path(named) if named else None)
    if file is None:
        return "its passphrase is not known here; give --passphrase-file", None, None
    passphrase = (await asyncio.to_thread(file.read_bytes)).removesuffix(b"\n")
    keys, ledger, pin = await asyncio.to_thread(_identity, config, passphrase)
    client = PeerClient(keys.node, keys.member, ledger.ledger_id, STATUS_TIMEOUT_MS)
    url = config.url(tls=pin is not None)

    async def get(target: str) -> tuple[int, bytes]:
        answer = await client.request_at(
            url, keys.member, target, pin=pin, bytes_max=ANSWER_BYTES_MAX
        )
        return answer.status, answer.body

    try:
        ready, said = await get("/readyz")
        described, body = await get("/v1/ledger")
        published, note = await get("/checkpoint")
    finally:
        await client.close()
    if described != _OK:
        raise PeerError(f"it answers /v1/ledger with {described}")
    reason = "" if ready == _OK else str(json.loads(said).get("detail", "not ready"))
    checkpoint = None
    if published == _OK:
        newest = decode_checkpoint(decode_note(note).text)
        checkpoint = {"size": newest.size, "root": newest.root.hex()}
    return reason, int(json.loads(body)["applied_height"]), checkpoint


def _identity(config: Config, passphrase: bytes) -> tuple[Keystore, Ledger, bytes | None]:
    """Return a node's keys, its ledger and the pin of its TLS key."""
    keys = open_keystore(config.path(config.node.keys), passphrase)
    ledger = read_genesis(config.path(config.node.genesis))
    store = LedgerStore.open(config.path(config.storage.ledger), ledger, read_only=True)
    with contextlib.closing(store):
        record = store.registry.member(keys.member)
    return keys, ledger, record.tls_pin if record is not None else None
