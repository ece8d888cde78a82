"""The journal: one statement a position, whatever crashes and however many sign."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.world import GENESIS_MS, seed

from tradeline_client.errors import NotFoundError, StoreError
from tradeline_client.journal import FeedPosition, Journal, Secret
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    FIRST_PREV,
    Kind,
    Statement,
    content_hash,
    sign_entry,
)

KEY = seed("journal key")
START = FeedPosition(0, FIRST_PREV)
SIGNER = SigningKey(seed("feed"))


def make(seq: int, prev: bytes) -> bytes:
    hash_ = content_hash(Kind.MARK, b"content")
    statement = Statement(1, seed("ledger"), 1, 1, seq, prev, GENESIS_MS, Kind.MARK, hash_)
    return sign_entry(SIGNER, statement, b"content")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite", KEY)


def test_positions_follow_each_other(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="take it from the ledger"):
        journal.sign(1, make)
    journal.adopt(1, START)
    first, second = journal.sign(1, make), journal.sign(1, make, about=b"batch")
    assert (first.seq, second.seq) == (0, 1)
    assert journal.pending() == journal.pending(1) == [first, second]
    assert journal.pending(2) == []
    assert journal.position(1) == FeedPosition(2, second.hash)
    assert journal.statement(second.hash).about == b"batch"
    assert journal.at(1, 0) == first
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_placed_statement_keeps_its_place_and_not_its_bytes(journal: Journal) -> None:
    journal.adopt(1, START)
    signed = journal.sign(1, make)
    journal.placed(signed.hash, 17, 0)
    assert journal.pending() == []
    found = journal.placed_at(17)
    assert (found.hash, found.entry, found.log_index) == (signed.hash, None, 17)
    with pytest.raises(NotFoundError):
        journal.placed_at(18)


def test_position_that_cannot_be_recorded_is_not_taken(journal: Journal) -> None:
    journal.adopt(1, START)

    def fail(seq: int, prev: bytes) -> bytes:
        raise RuntimeError("the machine stops here")

    with pytest.raises(RuntimeError):
        journal.sign(1, fail)
    assert journal.position(1) == START
    assert journal.sign(1, make).seq == 0


def test_many_threads_and_processes_sign_one_chain(journal: Journal, tmp_path: Path) -> None:
    journal.adopt(1, START)
    program = (
        "import sys; from pathlib import Path; from tests.client.test_journal import *\n"
        "j = Journal(Path(sys.argv[1]), KEY)\n"
        "for _ in range(10): j.sign(1, make)\n"
    )
    path = str(tmp_path / "journal.sqlite")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [
        subprocess.Popen([sys.executable, "-c", program, path], env=environment) for _ in range(2)
    ]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: journal.sign(1, make), range(20)))
    assert [other.wait(60) for other in others] == [0, 0]
    chain = journal.pending(1)
    assert [signed.seq for signed in chain] == list(range(40))
    assert journal.position(1) == FeedPosition(40, chain[-1].hash)


def test_killed_process_leaves_either_no_position_or_the_whole_statement(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    program = (
        "import os, sys, threading; from pathlib import Path\n"
        "from tests.client.test_journal import *\n"
        "j = Journal(Path(sys.argv[1]), KEY); j.adopt(1, START) if j.position(1) is None else 0\n"
        "threading.Timer(float(sys.argv[2]), lambda: os._exit(9)).start()\n"
        "while True: j.sign(1, make)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for delay in ("0.01", "0.03"):
        command = [sys.executable, "-c", program, str(path), delay]
        assert subprocess.run(command, env=environment, check=False).returncode == 9
        journal = Journal(path, KEY)
        chain, position = journal.pending(1), journal.position(1)
        assert position is not None
        assert [signed.seq for signed in chain] == list(range(position.next_seq))
        assert all(signed.entry for signed in chain)
        journal.close()


def test_adoption_goes_forward_only(journal: Journal) -> None:
    journal.adopt(1, START)
    journal.sign(1, make)
    with pytest.raises(StoreError, match="send what is pending"):
        journal.adopt(1, START)
    journal.adopt(1, FeedPosition(5, seed("prev")))
    assert journal.position(1) == FeedPosition(5, seed("prev"))


def test_statement_given_up_is_not_sent_again(journal: Journal) -> None:
    journal.adopt(1, START)
    signed = journal.sign(1, make)
    journal.give_up(signed.hash)
    assert journal.pending() == []
    assert journal.statement(signed.hash).log_index is None


def test_secrets_are_encrypted(journal: Journal, tmp_path: Path) -> None:
    journal.keep(Secret.CONSENT, b"id", b"CANARY-110101187001011234")
    assert journal.secret(Secret.CONSENT, b"id").startswith(b"CANARY")
    with pytest.raises(NotFoundError):
        journal.secret(Secret.ONE_TIME_KEY, b"id")
    with pytest.raises(StoreError, match="another keystore"):
        Journal(tmp_path / "journal.sqlite", seed("other")).secret(Secret.CONSENT, b"id")
    assert b"CANARY" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_journal_of_another_version_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.close()
    raw = sqlite3.connect(tmp_path / "journal.sqlite")
    raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(StoreError, match="version 99, this program reads 1"):
        Journal(tmp_path / "journal.sqlite", KEY)
