"""An institution joins a running network of CometBFT validators, by commands alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.node.cluster import free_ports
from tests.node.test_process import environment
from tests.node.test_testnet import Net, wait_for

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

NEW = 5


class Newcomer:
    """The newcomer's folder, and the commands of everybody."""

    def __init__(self, net: Net, path: Path) -> None:
        self.net, self.path = net, path
        self.folder = path / "newcomer"
        self.passphrase = path / "passphrase"
        self.passphrase.write_bytes(b"of the newcomer\n")
        self.http, self.engine = free_ports(2)

    def tradeline(self, program: str, *words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", f"tradeline_{program}", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def own(self, *words: object, program: str = "node") -> str:
        return self.tradeline(program, *words, "--passphrase-file", self.passphrase)

    def governance(self, member: str, *words: object) -> str:
        folder = self.net.folder / member
        options = ("--folder", folder / "client", "--passphrase-file", folder / "passphrase")
        return self.tradeline("client", "governance", *words, *options)

    def init(self) -> None:
        ports = ("--http-port", self.http, "--engine-port", self.engine)
        self.own("node", "init", self.folder, "--member", NEW, "--name", "Savings bank", *ports)

    def be_admitted(self) -> None:
        file = self.path / "proposal.toml"
        file.write_text(
            'title = "Admit"\nreason = "As agreed."\n[[change]]\nwhat = "admit"\n'
            f'candidate = "{self.folder / "candidate"}"\n'
        )
        posted = json.loads(self.governance("bank", "propose", file, "--json"))
        for member in ("lender", "payment"):
            self.governance(member, "approve", posted["what"].split()[-1])

    def join(self) -> None:
        invite = self.path / "invite"
        self.tradeline(
            "node", "node", "invite", self.net.folder / "bank", self.folder / "candidate", invite
        )
        self.own("node", "join", invite, self.folder, "--yes")


def test_newcomer_is_admitted_joins_and_replicates(net: Net, tmp_path: Path) -> None:
    newcomer = Newcomer(net, tmp_path)
    with net.up():
        wait_for(net.all_ready, "readiness")
        newcomer.init()
        newcomer.be_admitted()
        newcomer.join()
        ready = tmp_path / "ready"
        options = ("--passphrase-file", newcomer.passphrase, "--ready-file", ready)
        node = subprocess.Popen(
            [
                *(sys.executable, "-m", "tradeline_node", "node", "run"),
                *map(str, (newcomer.folder, *options)),
            ],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: ready.exists() or node.poll() is not None, "the newcomer's start")
            assert node.poll() is None
            wait_for(lambda: healthy(newcomer), "catching up")
            client = ("--folder", newcomer.folder / "client")
            taken = json.loads(
                newcomer.own("tag-key", "share", *client, "--json", program="client")
            )
            assert [each["taken"] for each in taken] == [True] * 4
        finally:
            node.terminate()
            assert node.wait(30) == 0


def healthy(newcomer: Newcomer) -> bool:
    """Return whether the newcomer's node runs, and has nothing that the others don't have."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tradeline_node", "node", "doctor", "--peers", "--json"),
            *map(str, (newcomer.folder, "--passphrase-file", newcomer.passphrase)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    (report,) = json.loads(done.stdout)
    return done.returncode == 0 and "the node runs" in report["checks"]


@pytest.fixture
def net(tmp_path: Path) -> Net:
    return Net(tmp_path / "net")
