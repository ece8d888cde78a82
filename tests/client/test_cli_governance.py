"""Proposals and votes from the command line, against real node processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client.cli import Cli, Ran
from tests.client.test_end_to_end import Consortium
from tests.governance import NEWCOMER, newcomer_record

from tradeline_ledger.candidate import sign_candidate

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    made = Consortium(tmp_path_factory.mktemp("governance"))
    made.init()
    made.start()
    yield made
    made.stop()


@dataclass
class Council:
    """A command line in each member's folder."""

    cli: Cli
    consortium: Consortium
    path: Path

    def __call__(self, member: str, *arguments: object, code: int = 0) -> Ran:
        options = ("--folder", self.consortium.client(member))
        ran = self.cli(
            "governance", *arguments, *options, "--passphrase-file", self.consortium.passphrase
        )
        assert ran.code == code, ran.err
        return ran

    def show(self, member: str, index: int) -> Any:
        options = ("--folder", self.consortium.client(member), "--json")
        return self.cli(
            "show", index, *options, "--passphrase-file", self.consortium.passphrase
        ).json

    def file(self, text: str) -> Path:
        path = self.path / "proposal.toml"
        path.write_text(f'title = "A change"\nreason = "Agreed in the council."\n{text}')
        return path

    def propose(self, text: str) -> str:
        placed = self("bank", "propose", self.file(text), "--json").json
        return str(placed["what"]).removeprefix("proposal ")


@pytest.fixture
def council(consortium: Consortium, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Council:
    return Council(Cli(capsys), consortium, tmp_path)


def test_members_change_their_registry_from_the_command_line(council: Council) -> None:
    """One story: each step goes on where the one before ended."""
    wish = '[[change]]\nwhat = "roles"\nmember = 4\nroles = ["validator", "contributor", "reader"]'
    dry = council("bank", "propose", council.file(wish), "--dry-run")
    assert "member 4 roles" in dry.out
    assert council("bank", "list", "--json").json == []

    identity = council.propose(wish)
    shown = council("court", "show", identity).out
    assert "Agreed in the council." in shown
    assert "1 (3 needed)" in shown
    assert "member 4 roles" in shown
    conflict = council("lender", "propose", council.file(wish), code=1)
    assert "proposal-conflict" in conflict.err
    council("lender", "reject", identity)
    council("lender", "approve", identity)
    again = council("lender", "approve", identity, code=1)
    assert "vote-without-effect" in again.err
    council("payment", "approve", identity)
    closed = council("court", "approve", identity, code=1)
    assert "vote-proposal-closed" in closed.err
    (listed,) = council("court", "list", "--json").json
    assert (listed["standing"], listed["approvals"]) == ("enacted", [1, 2, 3])
    (difference,) = listed["differences"]
    assert difference["where"] == "member 4 roles"
    entry = council.show("court", listed["index"])
    assert (entry["content"]["proposal"], entry["content"]["title"]) == (identity, "A change")
    assert entry["content"]["changes"] == [{"what": "roles", "member": 4, "roles": 11}]
    unknown = council("court", "approve", "11" * 16, code=1)
    assert "vote-proposal-unknown" in unknown.err

    identity = council.propose('[[change]]\nwhat = "committee"\nvalidators = [1, 2, 3]')
    for member in ("lender", "payment"):
        council(member, "approve", identity)
    assert council("bank", "show", identity, "--json").json["standing"] == "enacted"
    outsider = council("court", "approve", identity, code=1)
    assert "vote-not-validator" in outsider.err
    stranded = '[[change]]\nwhat = "committee"\nvalidators = [1, 2]'
    refused = council("bank", "propose", council.file(stranded), "--dry-run", "--json").json
    assert refused == {"differences": [], "refused": "proposal-quorum-lost"}
    lost = council("bank", "propose", council.file(stranded), code=1)
    assert "proposal-quorum-lost" in lost.err


def test_an_admission_is_shown_with_every_key_before_it_is_posted(council: Council) -> None:
    candidate = sign_candidate(newcomer_record(), NEWCOMER.root)
    (council.path / "savings").write_bytes(candidate)
    wish = '[[change]]\nwhat = "admit"\ncandidate = "savings"'
    shown = council("bank", "propose", council.file(wish), "--dry-run", "--json").json
    assert shown["refused"] is None
    lines = {each["where"]: each["after"] for each in shown["differences"]}
    assert lines["member 6"] == "Savings bank: contributor, reader, validator"
    assert lines["member 6 root_key"] == NEWCOMER.root.public.hex()[:16] + "…"
    assert lines["member 6 engine_peer"] == NEWCOMER.engine_peer
    (council.path / "savings").write_bytes(candidate[:-1] + b"x")
    refused = council("bank", "propose", council.file(wish), "--dry-run", code=3)
    assert "signature" in refused.err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 changes, expected 1 to 32"),
        ("title", "is not TOML"),
        ("color = 1", "unknown key 'color', expected some of title"),
        ('waive = ["everything"]', "waive must be a list of quorum, strand"),
        ("expires_days = 91", "expires_days must be from 1 to 90"),
        ('[[change]]\nwhat = "promote"', "change 1: what is 'promote', expected admit"),
        ('[[change]]\nwhat = "suspend"', "change 1: member must be a number"),
        ('[[change]]\nwhat = "suspend"\nmember = 4\nwhy = 1', "unknown key 'why'"),
        ('[[change]]\nwhat = "roles"\nmember = 9\nroles = []', "no member 9 is in the registry"),
        ('[[change]]\nwhat = "roles"\nmember = 4\nroles = ["king"]', "roles must be a list of"),
        ('[[change]]\nwhat = "keys"\nmember = 4\nroot_key = "00"', "does not decode"),
        ('[[change]]\nwhat = "keys"\nmember = 4\nroot_key = "xy"', "hexadecimal digits"),
        ('[[change]]\nwhat = "admit"\ncandidate = "nowhere"', "nowhere can't be read"),
        ('[[change]]\nwhat = "params"\nretain_months = [1]', "a list of 6 numbers"),
        ('[[change]]\nwhat = "committee"\nvalidators = []', "has one validator at least"),
    ],
)
def test_a_wrong_file_is_named_with_its_place_and_posts_nothing(
    council: Council, text: str, why: str
) -> None:
    assert why in council("bank", "propose", council.file(text), code=1).err
