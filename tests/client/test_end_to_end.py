"""A real consortium: found it, run its nodes as a process, and use it as members do."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from tests.client.network import payment
from tests.client.test_consent import question
from tests.world import DAY_MS, seed, subject

from tradeline_client.client import AsyncClient, Client
from tradeline_client.draft import Wish
from tradeline_client.errors import JournalConflictError, RefusedError
from tradeline_client.flows.checkpoint import newest
from tradeline_client.flows.mirror import mirror
from tradeline_client.flows.quality import state_quality
from tradeline_client.flows.submit import PlacedBatch
from tradeline_client.month import count_month
from tradeline_client.quality import replay
from tradeline_client.session import clock_ms
from tradeline_ledger.calendar import month_of
from tradeline_ledger.consent import (
    Change,
    ChangeReason,
    DataLife,
    Evidence,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.quality import MonthStanding
from tradeline_ledger.quality_facts import LedgerFacts
from tradeline_ledger.quality_index import quality_index
from tradeline_ledger.state import ConsentStanding
from tradeline_ledger.trust import VerifiedCheckpoint

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

PASSPHRASE: Final = b"correct horse battery staple"
READY_S: Final = 60
PROGRAM: Final = (sys.executable, "-m", "tradeline_node", "node")


class Consortium:
    """The folder of a consortium and the process that runs its nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "consortium"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_bytes(PASSPHRASE)
        self.passphrase.chmod(0o600)
        self.ready = folder / "ready"
        self.log = folder / "log"
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process: subprocess.Popen[bytes] | None = None

    def init(self) -> None:
        command = (sys.executable, "-m", "tradeline_node", "testnet", "init", "--engine", "local")
        subprocess.run(
            (
                *command,
                *("--dir", str(self.folder), "--base-port", str(free_port(4))),
                *("--passphrase-file", str(self.passphrase)),
            ),
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        self.ready.unlink(missing_ok=True)
        command = (*PROGRAM, "run", str(self.folder), "--ready-file", str(self.ready))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (*command, "--passphrase-file", str(self.passphrase)),
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while not self.ready.exists():
            running = self.process.poll() is None and time.monotonic() < deadline
            assert running, self.log.read_text()[-4000:]
            time.sleep(0.05)
        assert json.loads(self.ready.read_bytes())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.log.read_text()[-4000:]
            self.process = None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def client(self, member: str) -> Path:
        return self.folder / member / "client"


def free_port(count: int) -> int:
    """Return the first of `count` ports in a row that nobody listens on, and no connection gets."""
    for _ in range(50):
        first = 20_000 + secrets.randbelow(12_000)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    made = Consortium(tmp_path_factory.mktemp("network"))
    made.init()
    made.start()
    yield made
    made.stop()


def wish(second: int = 2) -> Wish:
    now_ms = clock_ms()
    return Wish(
        second=second,
        purpose=Purpose.LOAN_APPLICATION,
        categories=(1, 2),
        years=(2025, 2026),
        from_ms=now_ms - 1000,
        until_ms=now_ms + 30 * DAY_MS,
        frequency=Frequency(FrequencyUnit.DAY, 5),
        life=DataLife(2, 3),
        template="loan-application-1",
        language="en",
        notice_hash=seed("notice"),
        evidence=Evidence(EvidenceType.SIGNED_DOCUMENT, seed("evidence")),
        reference="application 4711",
    )


def test_members_submit_consent_inquire_and_read(consortium: Consortium) -> None:
    with (
        Client.open(consortium.client("bank"), PASSPHRASE) as bank,
        Client.open(consortium.client("lender"), PASSPHRASE) as lender,
        Client.open(consortium.client("payment"), PASSPHRASE) as payments,
    ):
        events = [bank.plain(payment(f"row-{i}"), subject(i % 10)) for i in range(30)]
        placed = list(bank.submit_many(bank.batches(events, 10)))
        assert len(placed) == 3
        for each in placed:
            assert isinstance(each, PlacedBatch)
            placement = each.placement
            assert placement.outcome is Outcome.ACCEPTED
            verify_inclusion(
                leaf_hash(placement.leaf),
                placement.index,
                placement.checkpoint.size,
                list(placement.path),
                placement.checkpoint.root,
            )
        assert bank.pending() == []
        assert bank.session.vault.verify().unplaced == ()

        draft = lender.draft_consent(wish(second=3), [subject(1)])
        signed = payments.sign_consent(draft, [subject(1)])
        lender.grant(signed)
        shown = lender.consent(signed.consent_id)
        assert shown.standing is ConsentStanding.ACTIVE
        assert [each.consent_id for each in payments.consents()] == [signed.consent_id]

        reading = lender.ask(question(signed.consent_id))
        assert reading.report is not None
        payments.change_consent(signed.consent_id, Change.REVOKE, ChangeReason.SUBJECT)
        with pytest.raises(RefusedError, match="inquiry-consent-revoked"):
            lender.inquire(question(signed.consent_id))

        (event,) = bank.find_reference("row-3")
        assert bank.erase(event.id, MarkReason.COURT_ORDER).outcome is Outcome.ACCEPTED
        assert bank.find(event.id).erased


def test_every_nodes_log_gives_the_same_quality(consortium: Consortium, tmp_path: Path) -> None:
    with Client.open(consortium.client("lender"), PASSPHRASE) as lender:
        session = lender.session
        events = [lender.plain(payment(f"march-{i}"), subject(i)) for i in range(20)]
        assert all(isinstance(e, PlacedBatch) for e in lender.submit_many(lender.batches(events)))
        month = month_of("2026-03-05")
        first = measured(lender, tmp_path / "before", session.nodes()[0])
        content = count_month(
            session.vault, first, session.member, month, standing=MonthStanding.COMPLETE
        )
        placed = lender.run(state_quality(session, content))
        assert placed.outcome is Outcome.ACCEPTED
        checkpoint = lender.run(newest(session, size_min=placed.index + 1))
        found = [
            quality_index(
                measured(lender, tmp_path / str(node), node, checkpoint), session.member, month
            )
            for node in session.nodes()
        ]
    assert len(found) >= 2
    assert found[0].stated is not None
    assert found[0].stated.content == content
    assert content.events == 20
    assert all(each == found[0] for each in found)


def measured(
    client: Client, path: Path, node: int, checkpoint: VerifiedCheckpoint | None = None
) -> LedgerFacts:
    """Return what the log of a node says, replayed from a mirror of it."""
    head = checkpoint or client.checkpoint()
    client.run(mirror(path, node, client.session.ledger, head, lambda _done, _all: None))
    return replay(path).facts


def test_asynchronous_client_does_the_same(consortium: Consortium) -> None:
    async def main() -> None:
        async with AsyncClient.open(consortium.client("payment"), PASSPHRASE) as client:
            events = [client.plain(payment(f"async-{i}"), subject(i)) for i in range(25)]
            results = [each async for each in client.submit_many(client.batches(events, 5))]
            assert [isinstance(each, PlacedBatch) for each in results] == [True] * 5
            indexes = [each.placement.index for each in results if isinstance(each, PlacedBatch)]
            assert indexes == sorted(indexes)
            assert (await client.checkpoint()).size > indexes[-1]
            assert (await client.registry()).root == client.session.registry.root

    asyncio.run(main())


def test_copied_folder_is_stopped_and_a_killed_consortium_loses_nothing(
    consortium: Consortium, tmp_path: Path
) -> None:
    source = consortium.client("court")
    target = tmp_path / "copy"
    target.mkdir(mode=0o700)
    for name in ("client.toml", "client.keys", "genesis"):
        (target / name).write_bytes((source / name).read_bytes())
        (target / name).chmod(0o600)
    with Client.open(source, PASSPHRASE) as court:
        sealed = next(court.batches([court.plain(payment("court-1"), subject(1))]))
        placed = court.submit(sealed)
        consortium.kill()
        consortium.start()
        again = court.session.journal.statement(placed.placement.statement_hash)
        assert again.log_index == placed.placement.index
        assert court.checkpoint().size >= placed.placement.checkpoint.size
        assert court.position(1).next_seq == 1
    with Client.open(target, PASSPHRASE) as copy:
        sealed = next(copy.batches([copy.plain(payment("court-2"), subject(1))]))
        with pytest.raises(JournalConflictError):
            copy.submit(sealed)
