"""The lender's and the auditor's example, run as they stand on a real consortium."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.network import payment
from tests.client.test_end_to_end import PASSPHRASE, Consortium, wish
from tests.world import subject

from tradeline_client.client import Client
from tradeline_client.flows.mirror import mirror

pytestmark = [pytest.mark.network, pytest.mark.timeout(240)]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    made = Consortium(tmp_path_factory.mktemp("examples"))
    made.init()
    made.start()
    yield made
    made.stop()


def _silent(done: int, total: int) -> None:
    assert done <= total


def run(name: str, *arguments: object, cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_lender_reads_and_the_bundle_verifies_elsewhere(
    consortium: Consortium, tmp_path: Path
) -> None:
    lender_folder = consortium.client("lender")
    with (
        Client.open(consortium.client("bank"), PASSPHRASE) as bank,
        Client.open(lender_folder, PASSPHRASE) as lender,
        Client.open(consortium.client("payment"), PASSPHRASE) as payments,
    ):
        events = [bank.plain(payment(f"example-{i}"), subject(1)) for i in range(3)]
        assert len(list(bank.submit_many(bank.batches(events)))) == 1
        draft = payments.sign_consent(
            lender.draft_consent(wish(second=3), [subject(1)]), [subject(1)]
        )
        lender.grant(draft)

    shown = run(
        "lender.py", lender_folder, consortium.passphrase, draft.consent_id.hex(), cwd=tmp_path
    )

    assert shown.count("EffectiveEvent(") == 3
    bundle = tmp_path / "application-1234.bundle"
    policy = lender_folder / "policy"
    verdict = run("verify_independent.py", bundle, "--trust", policy, "--json", cwd=tmp_path)
    assert '"anchored": true' in verdict


def test_auditor_replays_a_mirror_and_finds_a_changed_byte(
    consortium: Consortium, tmp_path: Path
) -> None:
    folder = tmp_path / "mirror"
    with Client.open(consortium.client("court"), PASSPHRASE) as court:
        head = court.checkpoint()
        court.run(mirror(folder, 1, court.session.ledger, head, _silent))
    policy = consortium.client("court") / "policy"

    said = run("auditor.py", folder, policy, cwd=tmp_path)

    assert "consistent in itself: True; anchored to my keys: True" in said
    content = max((folder / "content").iterdir(), key=lambda path: path.stat().st_size)
    changed = bytearray(content.read_bytes())
    changed[30] ^= 1
    content.write_bytes(changed)
    said = run("auditor.py", folder, policy, cwd=tmp_path, code=3)
    assert content.name in said
