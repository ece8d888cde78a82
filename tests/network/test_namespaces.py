"""Links of packets: what is cut does not come, what is healed does, and nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import pytest
from tests.network.members import environment
from tests.network.namespaces import OUTSIDE, NamespaceLinks, lacking, leftovers, remove

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

NAMES = ("first", "second", "third")
PORT = 7900
WITHIN_S = 60.0
LISTEN = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
    listening.bind(("0.0.0.0", {PORT}))
    while True:
        print(listening.recv(100).decode().strip(), flush=True)
"""
LEAVE = f"""
import os, signal, subprocess
from tests.network.namespaces import NamespaceLinks
with NamespaceLinks({NAMES}) as links:
    left = subprocess.Popen((*links.within("first"), "sleep", "600"), stdout=subprocess.DEVNULL)
    print(os.getpid(), left.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Air:
    """Says and hears datagrams, of which each is another."""

    def __init__(self, links: NamespaceLinks, folder: Path) -> None:
        self.links, self.folder, self.count = links, folder, 0

    def say(self, here: str, there: str) -> str:
        return self._send(here, self.links.engine_at(here, there).split(":")[0])

    def heard(self, there: str, said: str) -> bool:
        """Return whether it came."""
        self._settle(there)
        return said in self._lines(there)

    def wait_for(self, there: str, said: str) -> None:
        """Return once it has come, however slowly."""
        until = time.monotonic() + WITHIN_S
        while said not in self._lines(there):
            assert time.monotonic() < until, f"{there} does not hear {said}"
            time.sleep(0.02)

    def pairs(self) -> set[tuple[str, str]]:
        """Return who is heard by whom."""
        said = {
            (here, there): self.say(here, there)
            for here, there in permutations((*NAMES, OUTSIDE), 2)
            if there != OUTSIDE
        }
        for name in NAMES:
            self._settle(name)
        return {pair for pair, token in said.items() if token in self._lines(pair[1])}

    def _settle(self, there: str) -> None:
        """Wait for what is said past all cuts: all that was said before has come, or won't."""
        until = time.monotonic() + WITHIN_S
        past = self.links.url(there).removeprefix("https://").split(":")[0]
        said: set[str] = set()
        while said.isdisjoint(self._lines(there)):
            said.add(self._send(OUTSIDE, past))
            assert time.monotonic() < until, f"{there} hears nothing at all"
            time.sleep(0.02)

    def _send(self, here: str, host: str) -> str:
        self.count += 1
        within: Sequence[str] = () if here == OUTSIDE else self.links.within(here)
        command = f"echo {self.count} > /dev/udp/{host}/{PORT}"
        # Without an interface there is an error, which is silence, too.
        subprocess.run((*within, "bash", "-c", command), check=False, stderr=subprocess.DEVNULL)
        return str(self.count)

    def _lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text().splitlines()


def require() -> None:
    """Skip where there are no namespaces; root in CI has them."""
    missing = lacking()
    if missing and os.environ.get("CI") and os.geteuid() == 0:
        pytest.fail(f"CI is root and has no namespaces, lacking {missing}")
    if missing:
        pytest.skip(f"no namespaces here, lacking {missing}")


@pytest.fixture
def links() -> Iterator[NamespaceLinks]:
    require()
    with NamespaceLinks(NAMES, 1) as links:
        yield links


@pytest.fixture
def air(links: NamespaceLinks, tmp_path: Path) -> Iterator[Air]:
    listening = []
    for name in NAMES:
        with (tmp_path / name).open("wb") as file:
            command = (*links.within(name), sys.executable, "-c", LISTEN)
            listening.append(subprocess.Popen(command, stdout=file))
    air = Air(links, tmp_path)
    until = time.monotonic() + WITHIN_S
    while len(air.pairs()) < 9:  # each of three hears the two others and who is outside
        assert time.monotonic() < until
    yield air
    for each in listening:
        each.kill()
        each.wait()


def namespaces() -> str:
    return subprocess.run(("ip", "netns"), check=True, capture_output=True, text=True).stdout


def test_partitions_and_cuts_drop_what_they_should_and_heal(
    links: NamespaceLinks, air: Air
) -> None:
    everything = air.pairs()
    of_third = {pair for pair in everything if "third" in pair}
    links.partition(["first", "second"], ["third"])
    assert air.pairs() == everything - of_third
    links.heal()
    links.partition(["first"], ["second"], ["third"])
    assert air.pairs() == {pair for pair in everything if OUTSIDE in pair}
    links.heal()
    links.silence("third")
    assert air.pairs() == {pair for pair in everything if pair[0] != "third"}
    links.heal()
    assert air.pairs() == everything


def test_interface_that_is_down_hears_nothing_until_it_is_up(
    links: NamespaceLinks, air: Air
) -> None:
    links.pull("third")
    said = air.say("first", "third"), air.say("third", "first")
    links.plug("third")
    assert not air.heard("third", said[0])
    assert not air.heard("first", said[1])
    until = time.monotonic() + WITHIN_S
    while not air.heard("third", air.say("first", "third")):
        assert time.monotonic() < until


def test_lines_lose_all_or_delay_and_are_taken_out(links: NamespaceLinks, air: Air) -> None:
    with links.lossy(1):
        said = air.say("first", "second")
    assert not air.heard("second", said)
    with links.slowed(200, 300):
        started = time.monotonic()
        air.wait_for("second", air.say("first", "second"))
        assert time.monotonic() - started >= 0.2
    assert air.heard("second", air.say("first", "second"))


def test_refused_connection_leaves_other_packets_alone(links: NamespaceLinks, air: Air) -> None:
    host, port = links.engine_at("first", "second").split(":")
    serve = f"import socket; socket.create_server(('{host}', {port})).accept()"
    ask = f"import socket; socket.create_connection(('{host}', {port}), 2)"
    with subprocess.Popen((*links.within("second"), sys.executable, "-c", serve)) as server:
        command = (*links.within("first"), sys.executable, "-c", ask)
        links.refuse("first", "second")
        refused = subprocess.run(command, check=False, capture_output=True, text=True)
        assert "TimeoutError" in refused.stderr or "ConnectionRefused" in refused.stderr
        assert air.heard("second", air.say("first", "second"))
        assert server.poll() is None
        links.refuse("first", "second", refused=False)
        until = time.monotonic() + WITHIN_S
        while subprocess.run(command, check=False, capture_output=True).returncode != 0:
            assert time.monotonic() < until
        assert server.wait() == 0


def test_nothing_stays_behind_of_a_run_that_ends_or_is_killed() -> None:
    require()
    with NamespaceLinks(NAMES) as links:
        assert f"tradeline-{os.getpid()}-first" in namespaces()
        assert links.hosts
    assert f"tradeline-{os.getpid()}-" not in namespaces()
    done = subprocess.run(
        (sys.executable, "-c", LEAVE),
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    pid, left = done.stdout.split()
    assert f"tradeline-{pid}-third" in leftovers()
    remove(leftovers())
    assert f"tradeline-{pid}-" not in namespaces()
    until = time.monotonic() + WITHIN_S
    while Path("/proc", left).exists() and "Z" not in Path("/proc", left, "stat").read_text():
        assert time.monotonic() < until
        time.sleep(0.02)
