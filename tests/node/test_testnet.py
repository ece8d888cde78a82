"""Four validators as a user runs them: started, looked at, killed part by part, ended."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.node.test_process import environment, get, is_free

pytestmark = pytest.mark.network

NAMES = ("bank", "lender", "payment", "court")
WAIT_S = 60.0


def tradeline(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tradeline_node", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**environment(), **more},
        stdin=subprocess.DEVNULL,
    )


def wait_for(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.1)
    return found


class Net:
    """A founded network of four."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Drawn, since another test process looks for ports at the same time.
        ports = random.sample(range(8200, 9800, 20), 80)
        self.base = next(port for port in ports if self._free(port))
        done = tradeline(
            *("testnet", "init", "--dir", str(folder)), *("--base-port", str(self.base))
        )
        assert done.returncode == 0, done.stderr

    def _free(self, first: int) -> bool:
        return all(is_free(first + i) and is_free(first + 100 + i) for i in range(4))

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return tradeline("testnet", command, "--dir", str(self.folder), *arguments)

    def status(self) -> dict[str, dict[str, Any]]:
        found = json.loads(self.run("status", "--json").stdout)
        return {each["name"]: each for each in found["nodes"]}

    def pid(self, member: str, part: str) -> int | None:
        running = json.loads((self.folder / member / "running.json").read_text())
        pid = running["pids"][part]
        return None if pid is None else int(pid)

    def all_ready(self) -> dict[str, dict[str, Any]] | None:
        found = self.status()
        return found if all(each["ready"] for each in found.values()) else None

    @contextmanager
    def up(self) -> Iterator[None]:
        done = self.run("up", "--detach")
        assert done.returncode == 0, done.stdout + done.stderr
        try:
            yield
        finally:
            done = self.run("down")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Net:
    return Net(tmp_path_factory.mktemp("testnet") / "net")


def test_network_starts_is_seen_survives_kills_and_ends(net: Net) -> None:
    with net.up():
        ready = wait_for(net.all_ready, "readiness")
        assert list(ready) == list(NAMES)
        assert len({each["checkpoint"]["root"] for each in ready.values()}) == 1
        pids = [pid for each in ready.values() for pid in each["pids"].values()]
        assert len(set(pids)) == 12
        assert list(ready["bank"]["pids"]) == ["application", "engine", "http"]
        again = net.run("up", "--detach", "--json")
        assert [each["name"] for each in json.loads(again.stdout)["nodes"]] == list(NAMES)
        assert {each["name"]: each["pids"] for each in net.status().values()} == {
            each["name"]: each["pids"] for each in ready.values()
        }, "what runs is left alone"

        for member, part in zip(NAMES, ("application", "engine", "http"), strict=False):
            before = net.pid(member, part)
            assert before is not None
            os.kill(before, signal.SIGKILL)
            wait_for(partial(_restarted, net, member, part, before), f"restart of {part}")
        heights = {name: each["height"] for name, each in ready.items()}
        after = wait_for(net.all_ready, "readiness after kills")
        assert all(after[name]["height"] > heights[name] for name in NAMES)
        lines = net.run("logs", "lender", "--lines", "5").stdout.splitlines()
        assert any(line.startswith("lender/node") for line in lines)

        second = tradeline("node", "run", str(net.folder / "bank"))
        assert second.returncode == 1
        assert "is in use by another node" in second.stderr
    assert all(not each["ready"] for each in net.status().values())
    assert net.run("down").stdout == "no node was running\n"
    for member in NAMES:
        assert not (net.folder / member / "running.json").exists()


def test_node_ends_all_its_processes_when_its_supervisor_is_killed(net: Net) -> None:
    with net.up():
        running = json.loads((net.folder / "court" / "running.json").read_text())
        os.kill(running["pid"], signal.SIGKILL)

        def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() for pid in running["pids"].values())

        wait_for(gone, "the end of its processes")
        assert net.status()["court"]["reason"] == "it does not run"
        assert net.run("up", "--detach").returncode == 0
        url = net.status()["court"]["url"]
        wait_for(lambda: get(f"{url}/readyz").status_code == 200, "readiness")


def test_nodes_end_with_the_command_that_started_them_even_if_it_is_killed(net: Net) -> None:
    command = [sys.executable, "-m", "tradeline_node", "testnet", "up", "--dir", str(net.folder)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as up:
        try:
            assert up.stdout is not None
            assert b"URL" in up.stdout.readline(), "printed once all serve"
            files = [net.folder / each / "running.json" for each in NAMES]
            running = [json.loads(each.read_text()) for each in files]
        finally:
            up.kill()
    pids = [pid for each in running for pid in (each["pid"], *each["pids"].values())]
    assert len(set(pids)) == 16
    try:
        wait_for(lambda: not any(map(_lives, pids)), "the end of all processes")
    finally:
        net.run("down")
    assert not any(each.exists() for each in files), "they ended in order"


def test_copy_of_a_folder_whose_node_runs_is_refused_and_changes_nothing(
    net: Net, tmp_path: Path
) -> None:
    copy = tmp_path / "bank"
    shutil.copytree(net.folder / "bank", copy, ignore=shutil.ignore_patterns("node.lock"))
    signed = copy / "engine/data/priv_validator_state.json"
    before = signed.read_bytes() if signed.exists() else None
    with _listening() as first, _listening() as second:
        ports = [*("--set", f"http.port={first}"), *("--set", f"engine.p2p_port={second}")]
    with net.up():
        taken = tradeline("node", "run", str(copy))
        assert "bank can't listen on" in taken.stderr
        done = tradeline("node", "run", str(copy), *ports)
        assert done.returncode == 1
        url = net.status()["bank"]["url"]
        assert f"answers at {url}: this folder is a copy" in done.stderr
        assert "end the other for good and remove its folder, or remove this one" in done.stderr
    assert not (copy / "running.json").exists()
    assert (signed.read_bytes() if signed.exists() else None) == before


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("engine missing", "can't be run"),
        ("another version", "is version 0.38.0, expected 0.39.4"),
        ("port taken", "can't listen for engines"),
        ("HTTP port taken", "can't listen on"),
        ("another member's keys", "holds the keys of member 2"),
        ("wrong passphrase", "is locked"),
        ("another ledger", "is of ledger"),
        ("local folder", "run in one process"),
    ],
)
def test_what_is_wrong_with_the_set_up_is_said_and_changes_nothing(
    net: Net, tmp_path: Path, what: str, said: str
) -> None:
    folder = tmp_path / "bank"
    shutil.copytree(net.folder / "bank", folder, ignore=shutil.ignore_patterns("node.lock"))
    more: dict[str, str] = {}
    arguments = ["node", "run", str(folder)]
    other = net.folder / "lender"
    if what == "engine missing":
        more = {"TRADELINE_NODE_ENGINE_BINARY": str(tmp_path / "absent")}
    elif what == "another version":
        engine = tmp_path / "cometbft"
        engine.write_text("#!/bin/sh\necho 0.38.0\n")
        engine.chmod(0o755)
        more = {"TRADELINE_COMETBFT": str(engine)}
    elif what == "another member's keys":
        for name in ("node.keys", "passphrase"):
            shutil.copy(other / name, folder / name)
    elif what == "wrong passphrase":
        arguments += ["--passphrase-file", str(other / "passphrase")]
    elif what == "another ledger":
        second = Net(tmp_path / "second")
        shutil.copy(second.folder / "bank/genesis", folder / "genesis")
    elif what == "local folder":
        more = {"TRADELINE_NODE_ENGINE_DRIVER": "local"}
        arguments = ["testnet", "up", "--dir", str(tmp_path)]
    before = _listing(folder)
    if "taken" in what:
        key = "http.port" if what.startswith("HTTP") else "engine.p2p_port"
        with _listening() as port:
            done = tradeline(*arguments, "--set", f"{key}={port}")
    else:
        done = tradeline(*arguments, **more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 600
    assert _listing(folder) - {"node.lock", "logs"} <= before


def _restarted(net: Net, member: str, part: str, before: int) -> bool:
    return net.pid(member, part) not in (None, before)


def _lives(pid: int) -> bool:
    """Return whether a process is there that has not ended; nobody may be there to reap it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def _listening() -> Iterator[int]:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        yield own.getsockname()[1]


def _listing(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}
