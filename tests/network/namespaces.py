"""
Members in network namespaces of their own, with a real interface each, at a bridge.

The bridge is in a namespace, too, so that all of it goes when the namespaces do, and no firewall
of the machine takes part. Packets are dropped by `tc` on their way from the bridge to who shall not
get them; delays and losses are made by `line.py`. Everybody else, such as clients of the members
and observers, is outside, on the machine itself, with one interface at the bridge.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import IPv4Network
from itertools import permutations
from pathlib import Path
from typing import Any, Final, Self

from tests.network.links import QUORUM_MISSES

from tradeline_node.founding import ENGINE_PORT_STEP

NETS: Final = IPv4Network("10.203.0.0/16")
"""One /24 of it is a run's: the lower half as registered, the upper half for observers."""
OBSERVED: Final = 128
"""From a node's registered address to the one that is reachable whatever is cut."""
OUTSIDE: Final = "outside"
OUTSIDE_AT: Final = 126
BASE_PORT: Final = 7101
_BRIDGE: Final = "bridge"
_OWN: Final = "node"
"""A node's interface, in its namespace."""
_NAME: Final = re.compile(r"tradeline-(\d+)-[a-z-]+")
_FOLDER: Final = Path("/run/netns")
_CUT, _REFUSED = 1, 16
"""Numbers of filters: those of cuts, and from where those of connections begin."""
_LINE: Final = Path(__file__).with_name("line.py")


def lacking() -> str:
    """Return what this machine lacks for namespaces, "" if nothing."""
    if sys.platform != "linux":
        return "Linux"
    missing = [each for each in ("ip", "tc", "nsenter") if shutil.which(each) is None]
    if os.geteuid() != 0:
        missing.append("root")
    if not missing and subprocess.run(("unshare", "-n", "true"), check=False).returncode != 0:
        missing.append("network namespaces")
    return ", ".join(missing)


def leftovers() -> list[str]:
    """Return the namespaces of runs whose process is gone."""
    found = [_NAME.fullmatch(each.name) for each in _FOLDER.glob("tradeline-*")]
    return [each[0] for each in found if each and not Path("/proc", each[1]).exists()]


def remove(namespaces: Sequence[str]) -> None:
    """End what runs in these namespaces and take them away, with interfaces and bridges."""
    for name in namespaces:
        try:
            for pid in _run("ip", "netns", "pids", name).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run("ip", "netns", "delete", name)
        except subprocess.CalledProcessError:
            if Path(_FOLDER, name).exists():  # else another run took it away
                raise


class NamespaceLinks:
    """`Links` of packets."""

    def __init__(self, names: Sequence[str], seed: int = 0) -> None:
        """Delays and losses are drawn by `seed`."""
        self._names, self._seed = tuple(names), seed
        self.base_port = BASE_PORT
        self._net = NETS
        self._cut: set[tuple[str, str]] = set()
        self._removed = ExitStack()

    def __enter__(self) -> Self:
        remove(leftovers())
        with ExitStack() as undone:
            undone.enter_context(self._removed)
            self._build()
            undone.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._removed.close()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses that the registry gets."""
        return tuple(map(self._host, self._names))

    def settings(self, name: str) -> Mapping[str, Any]:
        """Return what node.toml says about where this member's node listens."""
        return {
            "http.host": "0.0.0.0",  # noqa: S104  only this run's namespace is there
            "http.port": self._port(name),
            "engine.p2p_host": self._host(name),
            "engine.p2p_port": self._port(name) + ENGINE_PORT_STEP,
        }

    def url(self, name: str) -> str:
        """Return where observers reach its HTTP process, whatever is cut."""
        return f"https://{self._net[self._number(name) + OBSERVED]}:{self._port(name)}"

    def within(self, name: str) -> Sequence[str]:
        """Return what a command is begun with that runs where its node does."""
        return ("nsenter", f"--net={_FOLDER / self._namespace(name)}")

    def engine_at(self, _here: str, there: str) -> str:
        """Return `host:port` at which every engine finds that of `there`."""
        return f"{self._host(there)}:{self._port(there) + ENGINE_PORT_STEP}"

    def partition(self, *groups: Sequence[str]) -> None:
        """Let nodes reach only their own group, and nobody from outside one without a quorum."""
        whole = len(self._names) - QUORUM_MISSES
        served = max(groups, key=len) if any(len(each) >= whole for each in groups) else self._names
        together = [*groups, *((name, OUTSIDE) for name in served)]
        self._drop(
            pair
            for pair in permutations((*self._names, OUTSIDE), 2)
            if not any(set(pair) <= set(group) for group in together)
        )

    def silence(self, name: str) -> None:
        """Let nobody hear the node `name`; it goes on hearing the others."""
        self._drop((name, other) for other in (*self._names, OUTSIDE) if other != name)

    def heal(self) -> None:
        """Take back `partition` and `silence`."""
        for there in {there for _, there in self._cut}:
            self._tc("filter", "delete", there, "parent", "1:", "pref", str(_CUT))
        self._cut.clear()

    def refuse(self, here: str, there: str, *, refused: bool = True) -> None:
        """Let the engine of `here` begin no connection to that of `there`, or let it again."""
        number = str(_REFUSED + self._number(here))
        if refused:
            port = str(self._port(there) + ENGINE_PORT_STEP)
            to_port = ("match", "ip", "protocol", "6", "0xff", "match", "ip", "dport", port)
            self._filter(here, there, number, *to_port, "0xffff")
        else:
            self._tc("filter", "delete", there, "parent", "1:", "pref", number)

    def pull(self, name: str) -> None:
        """Take the interface of the node `name` down."""
        _run("ip", "-n", self._namespace(name), "link", "set", _OWN, "down")

    def plug(self, name: str) -> None:
        """Take back `pull`."""
        _run("ip", "-n", self._namespace(name), "link", "set", _OWN, "up")

    @contextmanager
    def slowed(self, least_ms: int, most_ms: int) -> Iterator[None]:
        """Let all that nodes send each other take so long, in order; half of it from outside."""
        with self._carried(f"{least_ms // 2}", f"{most_ms // 2}", "0"):
            yield

    @contextmanager
    def lossy(self, share: float) -> Iterator[None]:
        """Lose this share, from 0 to 1, of what nodes send each other, about half from outside."""
        with self._carried("0", "0", f"{1 - (1 - share) ** 0.5}"):
            yield

    def _build(self) -> None:
        self._add(self._namespace(_BRIDGE))
        self._ip("link", "add", "name", _BRIDGE, "type", "bridge")
        self._ip("link", "set", _BRIDGE, "up")
        interface, self._net = self._claim()
        self._removed.callback(self._ip, "link", "delete", OUTSIDE)
        self._connect(OUTSIDE)
        _run("ip", "address", "add", f"{self._net[OUTSIDE_AT]}/24", "dev", interface)
        _run("ip", "link", "set", interface, "up")
        for name in self._names:
            own = self._namespace(name)
            self._add(own)
            self._ip("link", "add", name, "type", "veth", "peer", "name", _OWN, "netns", own)
            self._connect(name)
            for address in (self._net[self._number(name) + more] for more in (0, OBSERVED)):
                _run("ip", "-n", own, "address", "add", f"{address}/24", "dev", _OWN)
            for interface in (_OWN, "lo"):
                _run("ip", "-n", own, "link", "set", interface, "up")

    def _claim(self) -> tuple[str, IPv4Network]:
        """Make the interface outside; return its name and a net that nobody on the machine uses."""
        taken = [IPv4Network(each) for each in _routes()]
        end = ("peer", "name", OUTSIDE, "netns", self._namespace(_BRIDGE))
        for index, net in enumerate(NETS.subnets(new_prefix=24)):
            if not any(net.overlaps(each) for each in taken):
                interface = f"tradeline{index}"
                with suppress(subprocess.CalledProcessError):  # another run was quicker
                    _run("ip", "link", "add", interface, "type", "veth", *end)
                    return interface, net
        raise AssertionError(f"no free net in {NETS}")

    def _add(self, namespace: str) -> None:
        _run("ip", "netns", "add", namespace)
        self._removed.callback(remove, [namespace])

    def _connect(self, port: str) -> None:
        """Let this interface of the bridge's namespace be a port, with a class that is dropped."""
        self._ip("link", "set", port, "master", _BRIDGE, "up")
        self._tc("qdisc", "add", port, "root", "handle", "1:", "htb")
        self._tc("class", "add", port, "parent", "1:", "classid", "1:1", "htb", "rate", "1mbit")
        # No frame is as short as its limit of one byte.
        self._tc("qdisc", "add", port, "parent", "1:1", "bfifo", "limit", "1")

    def _drop(self, pairs: Iterator[tuple[str, str]]) -> None:
        for here, there in set(pairs) - self._cut:
            self._filter(here, there, str(_CUT))
            self._cut.add((here, there))

    def _filter(self, here: str, there: str, number: str, *match: str) -> None:
        """Drop what goes from `here` to `there`, both as registered."""
        pair = ("match", "ip", "src", self._host(here), "match", "ip", "dst", self._host(there))
        begun = ("filter", "add", there, "parent", "1:", "protocol", "ip", "pref", number, "u32")
        self._tc(*begun, *pair, *match, "flowid", "1:1")

    @contextmanager
    def _carried(self, *how: str) -> Iterator[None]:
        """Put a line between each node's port and the bridge."""
        within = ("nsenter", f"--net={_FOLDER / self._namespace(_BRIDGE)}")
        lines = [(name, f"{name}-line", f"{name}-end") for name in self._names]
        with ExitStack() as opened:
            for port, line, end in lines:
                self._ip("link", "add", line, "type", "veth", "peer", "name", end)
                opened.callback(self._ip, "link", "set", port, "master", _BRIDGE)
                opened.callback(self._ip, "link", "delete", line)
                self._ip("link", "set", line, "up")
                self._ip("link", "set", end, "master", _BRIDGE, "up")
                self._ip("link", "set", port, "nomaster")
            names = [each for port, line, _ in lines for each in (port, line)]
            process = subprocess.Popen(
                (*within, sys.executable, str(_LINE), str(self._seed), *how, *names),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            opened.enter_context(process)
            opened.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", f"line: {process.wait()}"
            yield
            assert process.poll() is None, f"line ended with {process.returncode}"

    def _number(self, name: str) -> int:
        return OUTSIDE_AT if name == OUTSIDE else self._names.index(name) + 1

    def _host(self, name: str) -> str:
        return str(self._net[self._number(name)])

    def _port(self, name: str) -> int:
        return self.base_port + self._number(name) - 1

    def _namespace(self, name: str) -> str:
        return f"tradeline-{os.getpid()}-{name}"

    def _ip(self, *words: str) -> None:
        _run("ip", "-n", self._namespace(_BRIDGE), *words)

    def _tc(self, what: str, action: str, port: str, *words: str) -> None:
        _run("tc", "-n", self._namespace(_BRIDGE), what, action, "dev", port, *words)


def _routes() -> list[str]:
    found = json.loads(_run("ip", "-json", "-4", "route", "show", "table", "all"))
    return [each["dst"] for each in found if each["dst"] != "default"]


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as error:
        error.add_note(f"{' '.join(command)}: {error.stderr.strip()}")
        raise
    return done.stdout
