"""Nodes as real processes: found, run, asked, stopped, and what goes wrong at the start."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.node.cluster import free_ports

from tradeline_node.errors import ConfigError
from tradeline_node.run import load_configs

pytestmark = pytest.mark.network

ROOT = Path(__file__).parent.parent.parent
START_S = 60.0


def environment() -> dict[str, str]:
    paths = [str(ROOT / name) for name in ("ledger", "node", "client")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRADELINE")}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tradeline_node", "node", *arguments]


def init(*arguments: str) -> subprocess.CompletedProcess[str]:
    return execute(
        *(sys.executable, "-m", "tradeline_node", "testnet", "init", "--engine", "local"),
        *arguments,
    )


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return execute(*command(*arguments))


def execute(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a founded consortium `net` and its `passphrase`."""
    folder = tmp_path_factory.mktemp("process")
    (folder / "passphrase").write_text("of tests\n")
    for _ in range(5):
        first = min(free_ports(20))
        done = init(
            *("--dir", str(folder / "net"), "--without-node", "regulator"),
            *("--base-port", str(first), "--passphrase-file", str(folder / "passphrase")),
        )
        assert done.returncode == 0, done.stderr
        if all(is_free(first + offset) for offset in range(4)):
            break
        shutil.rmtree(folder / "net")
    assert "next    tradeline node run" in done.stderr
    return folder


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the nodes of `folder` until the context ends; yields the process and the URLs."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        command(
            *("run", str(folder / "net"), "--passphrase-file", str(folder / "passphrase")),
            *("--ready-file", str(ready), *arguments),
        ),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the nodes are not ready"
            time.sleep(0.05)
        found = json.loads(ready.read_text())
        assert found["pid"] == process.pid
        yield process, [each["url"] for each in found["nodes"]]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(START_S)
        if process.stdout and process.stderr:
            process.stdout.close()
            process.stderr.close()


def get(url: str) -> httpx2.Response:
    return httpx2.get(url, trust_env=False, timeout=10, verify=False)


def test_nodes_run_publish_and_stop_at_sigterm(founded: Path) -> None:
    with running(founded) as (process, urls):
        assert len(urls) == 4
        deadline = time.monotonic() + START_S
        while any("no-quorum-yet" in get(f"{url}/healthz").text for url in urls):
            assert time.monotonic() < deadline
        for url in urls:
            assert get(f"{url}/readyz").status_code == 200
            assert get(f"{url}/healthz").json()["ok"]
            assert get(f"{url}/v1/ledger").status_code == 401
        with socket.create_connection(("127.0.0.1", int(urls[0].rsplit(":", 1)[1]))):
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=START_S)
        assert process.returncode == 0, errors
        for shown in (*urls, "next:", "tradeline node doctor"):
            assert shown in errors
        assert "Traceback" not in errors
        assert "\x1b" not in errors
    assert not (founded / "ready.json").exists()


def test_nodes_start_again_after_they_were_killed(founded: Path) -> None:
    with running(founded) as (process, _):
        process.kill()
        process.wait()
    with running(founded) as (_, urls):
        assert get(f"{urls[0]}/readyz").status_code == 200
        done = call(
            *("doctor", str(founded / "net"), "--deep", "--peers", "--json"),
            *("--passphrase-file", str(founded / "passphrase")),
        )
        assert done.returncode == 0, done.stdout
        assert [each["findings"] for each in json.loads(done.stdout)] == [[]] * 4
        swept = call(
            "sweep",
            str(founded / "net"),
            "--passphrase-file",
            str(founded / "passphrase"),
            "--json",
        )
        assert json.loads(swept.stdout)["bank"] == {
            "events": 0,
            "attachments": 0,
            "running": True,
        }


def refused(folder: Path, *arguments: str) -> str:
    """Return the one line with which a start is refused."""
    done = call("run", str(folder), *arguments)
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_each_failed_start_says_what_to_do(founded: Path, tmp_path: Path) -> None:
    passphrase = ("--passphrase-file", str(founded / "passphrase"))
    net = founded / "net"
    (tmp_path / "wrong").write_text("wrong")
    assert "is locked" in refused(net, "--passphrase-file", str(tmp_path / "wrong"))
    assert "no terminal to ask on" in refused(net)
    assert "did you mean 'http.port'" in refused(net, *passphrase, "--set", "http.prot=1")
    assert "run the folder above" in refused(net / "bank", *passphrase)
    other = tmp_path / "other"
    assert init("--dir", str(other), *passphrase).returncode == 0
    copy = Path(shutil.copytree(net, tmp_path / "copy"))
    for member in ("bank", "lender", "payment", "court"):
        shutil.copy(other / "genesis", copy / member / "genesis")
    assert "is of ledger" in refused(copy, *passphrase)


def test_nodes_that_cannot_run_together_are_refused(founded: Path, tmp_path: Path) -> None:
    net = founded / "net"
    assert len(load_configs(net, {}, ())) == 4
    with pytest.raises(ConfigError, match=r"two nodes have the same http\.port"):
        load_configs(net, {}, ["http.port=7999"])
    with pytest.raises(ConfigError, match="tradeline testnet init"):
        load_configs(tmp_path, {}, ())
    copy = Path(shutil.copytree(net, tmp_path / "copy"))
    config = copy / "bank" / "node.toml"
    config.write_text(config.read_text() + "[engine]\nblock_ms = 7\n")
    with pytest.raises(ConfigError, match="one engine drives both"):
        load_configs(copy, {}, ())


def test_taken_port_and_locked_store_are_told_apart(founded: Path, tmp_path: Path) -> None:
    passphrase = ("--passphrase-file", str(founded / "passphrase"))
    with running(founded) as (_, urls):
        port = urls[0].rsplit(":", 1)[1]
        told = refused(founded / "net", *passphrase)
        assert f"can't listen on 127.0.0.1 port {port}" in told
        assert "http.port" in told
        copy = tmp_path / "copy"
        shutil.copytree(founded / "net", copy, ignore=shutil.ignore_patterns("ledger"))
        (copy / "bank" / "ledger").symlink_to(founded / "net" / "bank" / "ledger")
        for name, own in zip(("bank", "court", "lender", "payment"), free_ports(4), strict=True):
            path = copy / name / "node.toml"
            path.write_text(re.sub("port = [0-9]+", f"port = {own}", path.read_text()))
        told = refused(copy, *passphrase)
        assert "ledger" in told
        assert "another process" in told


def test_configuration_is_shown_with_its_origin(founded: Path) -> None:
    bank = str(founded / "net" / "bank")
    shown = call("config", "show", bank, "--origin", "--json", "--set", "log.level=debug")
    found = json.loads(shown.stdout)
    assert found["log.level"] == {"value": "debug", "origin": "flag --set"}
    assert found["http.requests_burst"] == {"value": 1000, "origin": "default"}
    assert call("config", "check", str(founded / "net")).returncode == 0
    assert "http.port" in call("config", "keys").stdout
