"""`tradeline metro2`: what is in a file, and nothing of whom it is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.cli import Cli
from tests.metro2 import account, file_of

from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.record import Form

LINES = Form(Packing.CHARACTER, blocked=False, lines=True)
PERSONAL = ("DOE", "JANE", "536900001", "MADE UP STREET", "SPRINGFIELD", "62701", "1971", "LOAN 1")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture
def right(tmp_path: Path) -> Path:
    path = tmp_path / "right.dat"
    late = {"account_status": "71", "amount_past_due": 400}
    listed = [(account(1),), (account(2, account_type="48"),), (account(3, **late),)]
    path.write_bytes(file_of(listed[0], form=LINES))
    (tmp_path / "wrong.dat").write_bytes(file_of(*listed, form=LINES))
    return path


def test_right_file_is_counted(cli: Cli, right: Path) -> None:
    ran = cli("metro2", "check", right, "--json")

    assert ran.code == 0
    assert ran.json == {
        "form": {"packing": "character", "blocked": False, "lines": True},
        "accounts": 1,
        "refused": 0,
        "statuses": {"11": 1},
        "segments": {},
        "events": {"account.opened": 1, "account.payment": 1, "account.statement": 1},
        "wrong": 0,
        "faults": [],
    }


def test_wrong_file_says_of_each_record_why_and_fails(cli: Cli, right: Path) -> None:
    ran = cli("metro2", "check", right.with_name("wrong.dat"), "--json")

    assert ran.code == 1
    assert (ran.json["accounts"], ran.json["refused"], ran.json["wrong"]) == (3, 2, 2)
    assert [(each["record"], each["field"], each["code"]) for each in ran.json["faults"]] == [
        (3, "account_type", "no-product"),
        (4, "date_of_first_delinquency", "no-first-delinquency"),
    ]
    printed = cli("metro2", "check", right.with_name("wrong.dat"))
    assert printed.code == 1
    assert "no-product" in printed.out
    assert not [name for name in PERSONAL if name in printed.out]


def test_file_of_another_format_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n", encoding="ascii")

    ran = cli("metro2", "check", path, "--json")

    assert ran.code == 1
    assert ran.json["form"] is None
    assert ran.json["faults"][0]["code"] == "no-header"


def test_file_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    ran = cli("metro2", "check", tmp_path / "none.dat")

    assert ran.code == 1
    assert "none.dat: No such file" in ran.err


def test_records_are_shown_without_what_names_anybody(cli: Cli, right: Path) -> None:
    whole = cli("metro2", "show", right, "--json")
    one = cli("metro2", "show", right, "--record", "2", "--count", "1", "--json")
    text = cli("metro2", "show", right)

    assert [each["segments"][0]["segment"] for each in whole.json] == ["header", "base", "trailer"]
    assert one.json == whole.json[1:2]
    fields = one.json[0]["segments"][0]["fields"]
    assert (fields["account_status"], fields["date_opened"]) == ("11", "2024-03-15")
    assert "account_status: 11" in text.out
    for ran in (whole, text):
        assert not [name for name in PERSONAL if name in ran.out]


def test_record_that_can_not_be_read_is_shown_as_its_fault(cli: Cli, right: Path) -> None:
    content = right.read_bytes()
    at = content.index(b"LOAN 1")
    right.write_bytes(content[: at - 1] + b"\x07" + content[at:])

    ran = cli("metro2", "show", right, "--record", "2", "--count", "1")

    assert "cycle_identifier: field: got byte 0x07" in ran.out
