"""Dealing keys to a new committee from the command line, against real node processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.cli import Cli
from tests.client.network import payment
from tests.client.test_cli_governance import Council
from tests.client.test_end_to_end import PASSPHRASE, Consortium
from tests.world import subject

from tradeline_client.client import Client

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    made = Consortium(tmp_path)
    made.init()
    made.start()
    yield made
    made.stop()


def test_a_contributor_follows_a_change_of_the_committee(
    consortium: Consortium, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cli = Cli(capsys)
    council = Council(cli, consortium, tmp_path)
    options = ("--folder", consortium.client("bank"), "--passphrase-file", consortium.passphrase)
    with Client.open(consortium.client("bank"), PASSPHRASE) as bank:
        events = [bank.plain(payment(f"row-{i}"), subject(i)) for i in range(4)]
        indexes = [
            each.placement.index
            for each in bank.submit_many(bank.batches(events, 2))
            if not isinstance(each, Exception)
        ]
    nothing = cli("redeposit", *options)
    assert (nothing.code, nothing.err) == (0, "")
    assert nothing.out == "nothing to deal again: every live batch has its keys at epoch 0\n"

    wish = '[[change]]\nwhat = "committee"\nvalidators = [1, 2, 3, 4]\ncommittee = [1, 2, 3]'
    identity = council.propose(wish)
    for member in ("lender", "payment"):
        council(member, "approve", identity)
    dealt = cli("redeposit", *options, "--json")
    assert dealt.code == 0, dealt.err
    assert (dealt.json["epoch"], dealt.json["left"]) == (1, 0)
    rows = [(each["index"], each["status"], each["events"]) for each in dealt.json["batches"]]
    assert rows == [(index, "dealt", 2) for index in indexes]
    assert cli("redeposit", *options, "--json").json == {"epoch": 1, "batches": [], "left": 0}

    again = cli("redeposit", *options, "--batch", indexes[0])
    assert again.code == 0
    assert "1 of 1 batches dealt to epoch 1" in again.out
    unknown = cli("redeposit", *options, "--batch", 9999)
    assert unknown.code == 1
    assert "no batch at log index 9999" in unknown.err
