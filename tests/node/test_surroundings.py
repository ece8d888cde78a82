"""The doctor on what is around a node: ports, engine, clock, copies of it, the other nodes."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.node.cluster import PASSPHRASE, Cluster, free_ports, institutions
from tests.world import seed
from typer.testing import CliRunner

from tradeline_ledger.fingerprint import fingerprint
from tradeline_node.cli import app
from tradeline_node.config import Config, load_config
from tradeline_node.doctor import examine_folder
from tradeline_node.findings import Finding
from tradeline_node.founding import Founding, found
from tradeline_node.keystore import read_passphrase
from tradeline_node.tls import server_context, tls_key, tls_pin

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a consortium whose nodes speak TLS."""
    folder = tmp_path_factory.mktemp("surroundings") / "net"
    with Cluster(folder, founders=institutions(tls=True)).running() as cluster:
        cluster.hand_over_tag_keys()
        cluster.submit(1)
        yield cluster


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a network of the cometbft engine that never ran."""
    folder = tmp_path_factory.mktemp("surroundings") / "testnet"
    port = min(free_ports(20))
    members = ("bank", "lender")
    found(
        folder, Founding("Trial", members, (), (), port, 480, 1_790_000_000_000, "cometbft"), None
    )
    return folder


@pytest.fixture
def bank(founded: Path, tmp_path: Path) -> Path:
    """Return a copy of one member folder of it."""
    return Path(shutil.copytree(founded / "bank", tmp_path / "bank"))


def examine(
    folder: Path, *, peers: bool = False, passphrase: bytes | None = None, **environment: str
) -> list[Finding]:
    def given(config: Config) -> bytes:
        return passphrase or read_passphrase(config.folder / "passphrase", "it")

    reports = examine_folder(folder, environment, given, deep=False, peers=peers)
    return [each for report in reports for each in report.findings]


def codes(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.code, each.where) for each in findings]


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_nothing_is_wrong_with_a_network_that_never_ran(founded: Path) -> None:
    assert examine(founded) == []


@pytest.mark.parametrize("key", ["http.port", "engine.p2p_port"])
def test_taken_port_is_named(bank: Path, key: str) -> None:
    port = int(load_config(bank, {}).values()[key])
    with taken(port):
        (finding,) = examine(bank)
    assert finding.code == "port"
    assert str(port) in finding.detail
    assert key in finding.detail


def test_missing_engine_and_one_of_another_version_are_named(bank: Path) -> None:
    (missing,) = examine(bank, TRADELINE_NODE_ENGINE_BINARY="absent")
    assert missing.code == "engine"
    assert "absent can't be run" in missing.detail
    other = bank / "cometbft"
    other.write_text("#!/bin/sh\necho 0.38.1+abc\n")
    other.chmod(0o700)
    (old,) = examine(bank, TRADELINE_NODE_ENGINE_BINARY="cometbft")
    assert "is version 0.38.1, expected 0.39.4" in old.detail


def test_engine_folder_of_another_chain_is_named(bank: Path) -> None:
    config = bank / "engine" / "config"
    config.mkdir(parents=True)
    (config / "genesis.json").write_text(json.dumps({"chain_id": "tl-other"}))
    (finding,) = examine(bank)
    assert finding.code == "engine"
    assert "of chain tl-other, the genesis is of tl-" in finding.detail
    (config / "genesis.json").write_text("not JSON")
    assert examine(bank) == []


def test_run_that_was_cut_off_is_mentioned(bank: Path) -> None:
    (bank / "running.json").write_text("{}")
    passphrase = read_passphrase(bank / "passphrase", "it")
    (report,) = examine_folder(bank, {}, lambda _: passphrase, deep=False, peers=False)
    assert report.findings == []
    assert any("running.json is left" in each for each in report.checks)


def test_second_folder_with_one_key_is_named(founded: Path, tmp_path: Path) -> None:
    net = Path(shutil.copytree(founded, tmp_path / "net"))
    shutil.copytree(net / "bank", net / "copy")
    findings = [each for each in examine(net) if each.code == "double"]
    assert [each.where for each in findings] == [str(net / "copy")]
    assert str(net / "bank") in findings[0].detail


def test_others_that_are_not_reached_are_named_with_their_engines(bank: Path) -> None:
    findings = examine(bank, peers=True)
    assert codes(findings) == [("peer", "member 2"), ("engine-peer", "member 2")]
    assert "is not reached" in findings[1].detail


def test_running_network_has_nothing_to_find(running: Cluster) -> None:
    assert examine(running.folder, peers=True, passphrase=PASSPHRASE) == []


@contextmanager
def impostor(port: int) -> Iterator[bytes]:
    """Speak TLS on a port by a key of nobody; yields the key's hash."""
    key = tls_key(seed("tls", "impostor"))
    context = server_context(key)
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=_handshake, args=(context, listening))
        thread.start()
        yield tls_pin(key)
        thread.join()


def _handshake(context: ssl.SSLContext, listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection, suppress(OSError):
        context.wrap_socket(connection, server_side=True).close()


def test_other_tls_key_is_named_with_both_hashes(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "net", founders=institutions(tls=True))
    other = cluster.institution(2)
    with impostor(other.port) as pin:
        findings = examine(cluster.member_folder(1), peers=True, passphrase=PASSPHRASE)
    details = {each.where: each.detail for each in findings}
    assert details.keys() == {"member 2", "member 3", "member 4"}
    assert pin.hex() in details["member 2"]
    assert other.pin.hex() in details["member 2"]


@pytest.mark.parametrize(("off_s", "way"), [(DAY_S, "ahead of"), (-DAY_S, "behind")])
def test_clock_that_is_far_off_is_named(
    running: Cluster, monkeypatch: pytest.MonkeyPatch, off_s: float, way: str
) -> None:
    for module in ("surroundings", "twin"):
        monkeypatch.setattr(f"tradeline_node.{module}.clock_s", lambda: time.time() + off_s)
    findings = examine(running.member_folder(1), peers=True, passphrase=PASSPHRASE)
    assert {each.code for each in findings} == {"clock"}
    of_peers = [each for each in findings if each.where == "this machine"]
    assert f"s {way} those of 3 other nodes" in of_peers[0].detail
    assert 86_390 < float(of_peers[0].detail.split()[3]) < 86_410
    assert len(findings) == (1 if off_s > 0 else 2)


def test_copy_of_a_node_that_runs_elsewhere_is_named(running: Cluster, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(running.member_folder(2), tmp_path / "copy"))
    moved = str(free_ports(1)[0])
    findings = examine(folder, peers=True, passphrase=PASSPHRASE, TRADELINE_NODE_HTTP_PORT=moved)
    assert codes(findings) == [("double", running.url(2))]
    assert fingerprint(running.institution(2).pin) in findings[0].detail


def test_each_folder_is_opened_by_its_own_passphrase(founded: Path) -> None:
    done = CliRunner().invoke(app, ["node", "doctor", str(founded)])
    assert done.exit_code == 0, done.output
    assert "nothing is wrong" in done.stdout
