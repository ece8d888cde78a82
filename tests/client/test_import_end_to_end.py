"""Imports from the command line into a node that runs: killed, resumed, mended, verified."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tradeline_client.bench.imports import MAPPING, write_statements
from tradeline_client.client import Client
from tradeline_client.demo.consortium import Consortium
from tradeline_client.feed_keys import prepare_feed
from tradeline_client.flows.checkpoint import registry
from tradeline_client.flows.key import change_keys
from tradeline_client.imports.job_store import STORAGE_NAME, JobStore
from tradeline_ledger.mac import SHORT_MAC_BYTES

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]

ROWS: Final = 6_000
"""Of which one in a thousand can't be read."""
GOOD: Final = ROWS - ROWS // 1_000
SEED: Final = 20_261_129


class Desk:
    """A consortium of one node, and the command line of its member."""

    def __init__(self, consortium: Consortium, folder: Path) -> None:
        self.consortium = consortium
        self.folder = folder
        self.client = consortium.client("bank")

    def command(self, *words: str) -> list[str]:
        return [
            *(sys.executable, "-m", "tradeline_client", *words),
            *("--folder", str(self.client)),
            *("--passphrase-file", str(self.consortium.passphrase_file)),
        ]

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def run_and_kill(self, after_s: float, *words: str) -> bool:
        """Kill the command and its helper after a while; False if it was done by then."""
        running = subprocess.Popen(
            self.command(*words), stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            assert running.wait(after_s) == 0
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            return True
        return False

    def refs(self) -> Counter[bytes]:
        """How often each keyed reference is among the placed events of the vault."""
        with Client.open(self.client, self.consortium.passphrase) as client:
            rows = [row for row in client.session.vault.rows() if row.log_index is not None]
            assert not client.pending()
        width = SHORT_MAC_BYTES
        return Counter(
            row.refs[at : at + width] for row in rows for at in range(0, len(row.refs), width)
        )

    def two_feeds(self) -> tuple[int, int]:
        """Add a feed to the member's, and return both that may sign submissions."""
        passphrase = self.consortium.passphrase
        with Client.open(self.client, passphrase) as client:
            session = client.session
            first = session.folder.profile.bulk_feed
            known = client.run(registry(session))
            second, _ = prepare_feed(session.folder, passphrase, first, known)
            client.run(change_keys(session, added=(second,)))
        return first, second.feed

    def places(self, name: str) -> list[int]:
        """Where the batches of a job stand in the log."""
        with Client.open(self.client, self.consortium.passphrase) as client:
            key = client.session.keystore.storage_key(STORAGE_NAME)
            with closing(JobStore(self.client, key)) as store:
                found = [each.log_index for each in store.batches(store.job(name))]
        return [each for each in found if each is not None]

    def wanted(self, month: str = "2026-09") -> set[bytes]:
        """The keyed reference of every good row of a month's file."""
        with Client.open(self.client, self.consortium.passphrase) as client:
            ref = client.session.keystore.references.ref
            return {
                ref(f"statement {number:012} {month}") for number in range(ROWS) if number % 1_000
            }


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("import")
    with Consortium(folder / "nodes", members=("bank",)) as consortium:
        consortium.found()
        consortium.start()
        write_statements(folder / "september.csv", ROWS)
        (folder / "bank.toml").write_bytes(MAPPING)
        made = Desk(consortium, folder)
        made.run("tag-key", "share")
        yield made


def test_a_job_killed_again_and_again_leaves_no_duplicate_and_no_gap(desk: Desk) -> None:
    drawn = random.Random(SEED)
    start = (
        *("import", str(desk.folder / "september.csv")),
        *("--mapping", str(desk.folder / "bank.toml"), "--batch-events", "100", "--in-flight", "2"),
    )
    assert desk.run_and_kill(3.0, *start), "it was to be killed"
    resume = ("import", "--resume", "--job", "september", "--batch-events", "100")
    known = any(each["job"] == "september" for each in desk.json("import", "list"))
    for _ in range(6):
        words = resume if known else start
        if not desk.run_and_kill(drawn.uniform(1.5, 6.0), *words, "--in-flight", "2"):
            break
        known = any(each["job"] == "september" for each in desk.json("import", "list"))
    said = desk.json(*(resume if known else start))
    assert said["state"] == "done"
    assert said["rows"] == ROWS
    assert said["rejected"] == ROWS - GOOD
    assert said["events"]["accepted"] == GOOD
    assert desk.refs() == Counter(dict.fromkeys(desk.wanted(), 1))


def test_its_manifest_is_borne_out_by_the_ledger(desk: Desk) -> None:
    manifest = desk.folder / "september.json"
    desk.run("import", "manifest", "september", "--out", str(manifest))
    said = desk.json("verify", str(manifest))
    assert said["ok"]
    assert said["anchored"]
    assert said["receipts"] == ROWS
    content = json.loads(manifest.read_text())
    content["entries"][0]["batch_hash"] = "00" * 32
    forged = desk.folder / "forged.json"
    forged.write_text(json.dumps(content))
    told = desk.run("verify", str(forged), "--json", code=3)
    assert "holds another batch" in json.loads(told)["detail"]


def test_mended_rejects_of_the_job_are_imported(desk: Desk) -> None:
    rejects, mended = desk.folder / "rejects.csv", desk.folder / "mended.csv"
    assert f"rows  {ROWS - GOOD}" in desk.run(
        "import", "rejects", "september", "--out", str(rejects)
    )
    assert rejects.stat().st_mode & 0o077 == 0
    with rejects.open(newline="") as file:
        lines = list(csv.DictReader(file))
    with mended.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows([line | {"balance": "1.00"} for line in lines])
    said = desk.json("import", "--resume-rejects", str(mended), "--job", "september")
    assert said["job"] == "september mended 1"
    assert said["events"]["accepted"] == ROWS - GOOD
    assert sum(desk.refs().values()) == ROWS


def test_a_file_changed_since_its_dry_run_is_not_imported(desk: Desk) -> None:
    file, mapping = desk.folder / "changing.csv", str(desk.folder / "bank.toml")
    write_statements(file, 1_000)
    said = desk.json("import", str(file), "--mapping", mapping, "--dry-run")
    assert said["rows"] == 1_000
    with file.open("a") as more:
        more.write("x\n")
    done = subprocess.run(
        desk.command("import", str(file), "--mapping", mapping),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the file was changed since the dry run" in done.stderr


def test_a_node_that_is_away_is_waited_for(desk: Desk) -> None:
    file = desk.folder / "october.csv"
    text = (desk.folder / "september.csv").read_text()
    file.write_text(text.replace(",20260930,", ",20261031,"))
    desk.consortium.stop()
    running = subprocess.Popen(
        desk.command("import", str(file), "--mapping", str(desk.folder / "bank.toml"), "--json"),
        stdout=subprocess.PIPE,
    )
    time.sleep(8)
    assert running.poll() is None, "it gave up"
    desk.consortium.start()
    out, _ = running.communicate(timeout=300)
    assert json.loads(out)["state"] == "done"
    assert sum(desk.refs().values()) == ROWS + GOOD


def test_two_processes_import_two_feeds_of_one_folder_at_once(desk: Desk) -> None:
    before = desk.refs()
    september = (desk.folder / "september.csv").read_text()
    files = {"july": ",20260731,", "august": ",20260831,"}
    started = []
    for feed, (name, day) in zip(desk.two_feeds(), files.items(), strict=True):
        file = desk.folder / f"{name}.csv"
        file.write_text(september.replace(",20260930,", day))
        words = (
            *("import", str(file), "--mapping", str(desk.folder / "bank.toml"), "--json"),
            *("--feed", str(feed), "--batch-events", "100", "--in-flight", "2"),
        )
        started.append(subprocess.Popen(desk.command(*words), stdout=subprocess.PIPE))
    ended = [json.loads(each.communicate(timeout=300)[0]) for each in started]
    assert [each["state"] for each in ended] == ["done", "done"]
    assert [each["events"]["accepted"] for each in ended] == [GOOD, GOOD]
    july, august = (desk.places(name) for name in files)
    assert max(min(july), min(august)) < min(max(july), max(august)), "one after the other"
    new = desk.refs() - before
    wanted = desk.wanted("2026-07") | desk.wanted("2026-08")
    assert new == Counter(dict.fromkeys(wanted, 1))
