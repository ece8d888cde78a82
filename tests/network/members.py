"""
A network of members as real processes: founded, started, killed, cut off and brought back by tests.

How they reach each other is the matter of their links.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2

from tradeline_ledger.genesis import Ledger
from tradeline_ledger.member_files import CLIENT_FOLDER_NAME, NODE_CONFIG_NAME
from tradeline_node.config import encode_config
from tradeline_node.founding import Founding, found

if TYPE_CHECKING:
    from types import TracebackType

    from tests.network.links import Links

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ("bank", "lender", "payment", "court")
"""Members 1 to 4."""
PARTS: Final = ("application", "engine", "http")
PASSPHRASE: Final = b"correct horse battery staple"
READY_S: Final = 150.0
STOP_S: Final = 60.0
POLL_S: Final = 0.1
ANSWER_S: Final = 5.0
_SIZE: Final = re.compile(r"^tradeline_log_size (\S+)$", re.MULTILINE)


@dataclass
class Member:
    """One member's folder and the processes of its node."""

    number: int
    name: str
    folder: Path
    passphrase_file: Path
    url: str
    """Of its HTTP process, past what is cut."""
    within: Sequence[str] = ()
    """What its command is begun with, to run where it belongs."""
    environment: dict[str, str] = field(default_factory=dict)
    """What its processes get beside the environment of the tests."""
    process: subprocess.Popen[bytes] | None = None
    ending: bool = False
    """It was asked to end already."""

    @property
    def client(self) -> Path:
        """Folder of its client."""
        return self.folder / CLIENT_FOLDER_NAME

    def start(self) -> None:
        """Start its node; `Network.wait` says when it is ready."""
        assert self.process is None, f"{self.name} runs"
        self.ending = False
        command = (sys.executable, "-m", "tradeline_node", "node", "run", str(self.folder))
        with (self.folder.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                (*self.within, *command, "--passphrase-file", str(self.passphrase_file)),
                env=environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def pids(self) -> dict[str, int]:
        """Return the process ids that run, by `PARTS`."""
        with suppress(OSError, json.JSONDecodeError):
            found: dict[str, Any] = json.loads((self.folder / "running.json").read_bytes())
            return {part: pid for part, pid in found["pids"].items() if pid is not None}
        return {}

    def signal(self, part: str, number: signal.Signals) -> bool:
        """Signal one of its processes; return whether it was there."""
        pid = self.pids().get(part)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def ended(self) -> bool:
        """Return whether its node ended by itself, or was not started."""
        return self.process is None or self.process.poll() is not None

    def terminate(self) -> None:
        """Ask its node to end."""
        if self.process is not None and not self.ending:
            self.ending = True
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End its node as an operator does, and wait for its end."""
        self.terminate()
        if self.process is not None:
            code = self.process.wait(STOP_S)
            self.process = None
            assert code == 0, f"{self.name} ended with {code}: {self.tail()}"

    def kill(self) -> None:
        """End all its processes at once, as a machine that goes dark does."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def wipe(self) -> None:
        """Lose what the node wrote; keys and configuration are what an operator has copies of."""
        for name in ("ledger", "custody", "engine"):
            tag_keys = self.folder / name / "tag-keys"
            kept = self.folder / "tag-keys.kept"
            if tag_keys.exists():
                tag_keys.rename(kept)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            if kept.exists():
                tag_keys.parent.mkdir(mode=0o700)
                kept.rename(tag_keys)
        for path in self.folder.glob("*.sqlite*"):
            path.unlink()

    def tail(self) -> str:
        """Return the ends of its logs."""
        logs = [self.folder.parent / f"{self.name}.log", *(self.folder / "logs").glob("*.log")]
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}"
            for log in logs
            if log.exists()
        )


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process of this checkout; PYTHONPATH of `more` goes first."""
    given = dict(more or {})
    paths = given.pop("PYTHONPATH", "").split(os.pathsep)
    paths += [str(ROOT), *(str(ROOT / each) for each in ("ledger", "node", "client"))]
    return {**os.environ, **given, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class Network:
    """Four members; leaving the context ends everything that runs."""

    def __init__(
        self,
        folder: Path,
        links: Links,
        settings: Mapping[str, Any] | None = None,
        age_s: int = 0,
    ) -> None:
        """
        Found it in `folder`, as if `age_s` ago.

        `links` are up; `settings` go into every node.toml.
        """
        self.folder, self.links = folder, links
        self.passphrase_file = folder / "passphrase"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.passphrase_file.write_bytes(PASSPHRASE)
        self.passphrase_file.chmod(0o600)
        founded_ms = int((time.time() - age_s) * 1000)
        founding = Founding(
            "Network of tests",
            *(NAMES, (), (), links.base_port, 0, founded_ms, "cometbft"),
            hosts=links.hosts,
        )
        self.ledger: Ledger = found(folder / "net", founding, PASSPHRASE)
        self.members = {
            name: Member(
                *(number, name, folder / "net" / name, self.passphrase_file),
                *(links.url(name), links.within(name)),
            )
            for number, name in enumerate(NAMES, 1)
        }
        self._opened = ExitStack()
        for each in self.members.values():
            self._configure(each, settings or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self.members.values():
            member.kill()
        self._opened.close()

    @property
    def urls(self) -> dict[str, str]:
        """Of the HTTP processes, past what is cut."""
        return {name: member.url for name, member in self.members.items()}

    def at_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` once all that runs has ended."""
        self._opened.callback(callback)

    def start(self) -> None:
        """Start all nodes that don't run and wait until all are ready."""
        for member in self.members.values():
            if member.process is None:
                member.start()
        self.wait()

    def stop(self, names: Iterable[str] = NAMES) -> None:
        """End nodes as operators do."""
        members = [self.members[name] for name in names]
        for each in members:
            each.terminate()
        for each in members:
            each.stop()

    def wait(self, names: Iterable[str] = NAMES, size: int = 0, within_s: float = READY_S) -> float:
        """Return the seconds until the nodes `names` are ready and have a log of `size` or more."""
        started = time.monotonic()
        waiting = dict.fromkeys(names)
        with httpx2.Client(trust_env=False, verify=False, timeout=ANSWER_S) as client:
            while waiting:
                for name in list(waiting):
                    if _size(client, self.members[name]) >= max(size, 1):
                        del waiting[name]
                late = time.monotonic() - started > within_s
                failed = late or any(self.members[name].ended() for name in waiting)
                assert not failed, "\n".join(
                    f"{name} is not ready:\n{self.members[name].tail()}" for name in waiting
                )
                time.sleep(POLL_S if waiting else 0)
        return time.monotonic() - started

    def sizes(self, names: Iterable[str] = NAMES) -> dict[str, int]:
        """Return the log size of each node, -1 of those that are not ready."""
        with httpx2.Client(trust_env=False, verify=False, timeout=ANSWER_S) as client:
            return {name: _size(client, self.members[name]) for name in names}

    def _configure(self, member: Member, settings: Mapping[str, Any]) -> None:
        registry = {each.id: each for each in self.ledger.registry.members}
        peers = [
            f"{registry[each.number].engine_peer.partition('@')[0]}@"
            f"{self.links.engine_at(member.name, each.name)}"
            for each in self.members.values()
            if each is not member
        ]
        values = {
            "node.member": member.number,
            "node.name": member.name,
            "log.access": "public",
            "engine.driver": "cometbft",
            "engine.peers": ",".join(peers),
            **self.links.settings(member.name),
            **settings,
        }
        (member.folder / NODE_CONFIG_NAME).write_text(encode_config(values), encoding="utf-8")


def _size(client: httpx2.Client, member: Member) -> int:
    """Return the log size of a node that is ready, else -1."""
    try:
        if client.get(f"{member.url}/readyz").status_code != httpx2.codes.OK:
            return -1
        shown = _SIZE.search(client.get(f"{member.url}/metrics").text)
    except httpx2.HTTPError:
        return -1
    return int(float(shown[1])) if shown else -1


def until(look: Callable[[], bool], what: str, within_s: float) -> float:
    """Return the seconds until `look` is true."""
    started = time.monotonic()
    while not look():
        assert time.monotonic() - started < within_s, f"{what}: not within {within_s:.0f} s"
        time.sleep(POLL_S)
    return time.monotonic() - started
