"""The command line against real node processes, from the first event to the auditor's verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli import Cli, Ran
from tests.client.test_end_to_end import Consortium
from tests.story import JUDGED, LOAN
from tests.world import subject

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]

CANARY = subject(7).identifier
WHO = {"type": "resident_id", "id": CANARY}
YEAR = datetime.now(UTC).year
MEMBERS = ("bank", "lender", "payment", "court")


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    made = Consortium(tmp_path_factory.mktemp("cli"))
    made.init()
    made.start()
    yield made
    made.stop()


@dataclass
class Desks:
    """A command line in each member's folder, and a folder for files."""

    cli: Cli
    consortium: Consortium
    path: Path

    def __call__(self, member: str, *arguments: object, code: int = 0) -> Ran:
        options = ("--folder", self.consortium.client(member))
        ran = self.cli(*arguments, *options, "--passphrase-file", self.consortium.passphrase)
        assert ran.code == code, ran.err
        assert CANARY[:-1] not in ran.out + ran.err, "an identifier was printed"
        return ran

    def file(self, name: str, content: str) -> Path:
        (self.path / name).write_text(content)
        return self.path / name

    def submit(self, member: str, *events: dict[str, Any]) -> list[str]:
        lines = "".join(json.dumps({"subject": WHO, **each}) + "\n" for each in events)
        ran = self(member, "submit", self.file("events.jsonl", lines), "--json")
        return [each["event"] for each in ran.json["events"]]

    def consent(self, frequency: str) -> str:
        """Obtain a consent of the lender's, signed by the payment firm; return its id."""
        draft = self.path / f"draft-{frequency.replace('/', '-')}"
        who = self.file("who.json", json.dumps(WHO))
        text = self.file("text", "You agree that …")
        drafted = self(
            *("lender", "consent", "draft", "--second", 3, "--purpose", "loan-application"),
            *("--categories", "account,public-record", "--years", "2025-2026"),
            *("--until", f"{YEAR + 1}-12-31", "--from", "2026-01-01", "--template", "loan-v1"),
            *("--notice", text, "--evidence", text, "--evidence-type", "signed-document"),
            *("--reference", "application 77", "--frequency", frequency),
            *("--subject-file", who, "--out", draft, "--json"),
        )
        self("payment", "consent", "sign", draft, "--subject-file", who)
        self("lender", "consent", "grant", draft)
        return str(drafted.json["consent"])


@pytest.fixture
def desks(consortium: Consortium, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Desks:
    return Desks(Cli(capsys), consortium, tmp_path)


def test_from_the_first_event_to_the_auditors_verdict(desks: Desks) -> None:
    """One story: each step goes on where the one before ended."""
    for member in MEMBERS:
        desks(member, "tag-key", "share")
    loan = desks.submit("bank", *LOAN)
    (judged,) = desks.submit("court", *JUDGED)
    consent = desks.consent("9/day")
    policy = desks.consortium.client("lender") / "policy"

    first = desks.path / "first.bundle"
    read = desks("lender", "report", "--consent", consent, "--out", first, "--json").json
    assert first.stat().st_mode & 0o777 == 0o600
    assert [each["id"] for each in read["report"]["events"]] == sorted([*loan, judged])
    assert read["report"]["warnings"] == []
    assert read["bundle"] == {"file": str(first), "bytes": first.stat().st_size, "content": True}

    verified = desks.cli("verify", first, "--trust", policy, "--json")
    assert (verified.code, verified.json["anchored"]) == (0, True)
    tampered = bytearray(first.read_bytes())
    tampered[len(tampered) // 2] ^= 1
    altered = desks.path / "altered.bundle"
    altered.write_bytes(tampered)
    found = desks.cli("verify", altered, "--trust", policy, "--json")
    assert found.code == 3
    assert found.json["findings"][0]["detail"]

    desks("bank", "erase", loan[0], "--reason", "court-order")
    index, position = map(int, loan[1].split("/"))
    fields = {**LOAN[1]["fields"], "statement_balance_minor": 7}
    replacement = {"type": "account.statement", "version": 1, "fields": fields}
    correction = {
        **LOAN[1],
        "type": "correction.supersede",
        "ref": "row 2, corrected",
        "target": {"index": index, "position": position},
        "fields": {"reason": "furnisher_error", "replacement": replacement},
    }
    (corrected,) = desks.submit("bank", correction)

    asked = desks("lender", "inquire", "--consent", consent, "--json").json["inquiry"]
    second = desks.path / "second.bundle"
    options = ("--inquiry", asked, "--without-content", "--out", second)
    printed = desks("lender", "report", *options)
    assert "erased: court_order" in printed.out
    assert f"replaced by {corrected}" in printed.out
    assert "statement_balance 0.07 CNY" in printed.out
    assert "statement_balance -1.20 CNY" in printed.out
    assert "Complete as of block" in printed.out
    assert "2 Online lender  loan_application" in printed.out
    shown = desks.cli("verify", second, "--trust", policy, "--history", "--json").json
    assert (shown["ok"], shown["history"]["events"]) == (True, [])
    assert [each["own"] for each in shown["history"]["inquiries"]] == [False, True]

    mirror = desks.path / "mirror"
    copied = desks("court", "mirror", mirror, "--json").json
    again = desks("court", "mirror", mirror, "--node", 2, "--json").json
    assert copied["fetched"] > 0
    assert again["size"] >= copied["size"]
    audited = desks.cli("audit", mirror, "--trust", policy, "--json")
    assert audited.code == 0
    assert (audited.json["ok"], audited.json["reads"]["inquiries_accepted"]) == (True, 2)


def test_reads_without_a_consent_in_force_are_refused(desks: Desks) -> None:
    for member in MEMBERS:
        desks(member, "tag-key", "share")
    consent = desks.consent("once")
    out = desks.path / "bundle"

    wrong = desks(
        "lender", "report", "--consent", consent, "--purpose", "guarantor", "--out", out, code=1
    )
    desks("lender", "report", "--consent", consent, "--out", out)
    twice = desks("lender", "inquire", "--consent", consent, code=1)
    desks("payment", "consent", "revoke", consent)
    revoked = desks("lender", "inquire", "--consent", consent, code=1)
    other = desks("bank", "inquire", "--consent", consent, code=1)

    assert "inquiry-purpose-wrong" in wrong.err
    assert "inquiry-frequency-used" in twice.err
    assert "inquiry-consent-revoked" in revoked.err
    assert "this folder has no consent" in other.err
    shown = desks("payment", "consent", "show", consent, "--json").json
    assert (shown["standing"], shown["agreed_by"]) == ("revoked", [1, 2, 3, 4])
    assert consent in desks("lender", "consent", "list").out


def test_no_identifier_is_in_any_file_of_a_node(desks: Desks) -> None:
    desks.submit("bank", *({**each, "ref": f"{each['ref']} again"} for each in LOAN))
    files = [path for path in desks.consortium.folder.rglob("*") if path.is_file()]
    files.append(desks.consortium.log)

    assert len(files) > 20
    for file in files:
        assert CANARY.encode() not in file.read_bytes(), file
