"""Commands of contributors and readers, against nodes in memory: answers, exit codes, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import pytest
from tests.client.cli import Cli, Ran
from tests.client.network import Network, client_keys, make_folder
from tests.story import JUDGED, LOAN
from tests.world import subject

from tradeline_client import client as client_module
from tradeline_client.imports.job_desk import open_store
from tradeline_client.imports.job_months import Standing
from tradeline_client.keystore import Keystore, write_keystore
from tradeline_client.profile import open_folder
from tradeline_client.requests import Flow
from tradeline_client.session import Session
from tradeline_ledger.calendar import parse_period
from tradeline_ledger.outcome import Outcome

T = TypeVar("T")

PASSPHRASE: Final = b"correct horse battery staple"
CANARY: Final = subject(7).identifier
WHO: Final = {"type": "resident_id", "id": CANARY}
PLACEMENT_KEYS: Final = {
    *("what", "index", "height", "outcome", "statement_hash", "checkpoint_size", "cosigners"),
}


class MemoryTransport:
    """Carries flows to the nodes of a `Network`, one flow at a time."""

    def __init__(self, network: Network, session: Session) -> None:
        self._network = network
        self._session = session
        self._lock = Lock()

    def run(self, flow: Flow[T]) -> T:
        with self._lock:
            return self._network.run(self._session, flow)

    def close(self) -> None:
        pass


class Desk:
    """The folders of all members, and a command line for each."""

    def __init__(self, cli: Cli, path: Path) -> None:
        self._cli = cli
        self.path = path
        self.who = path / "who.json"
        self.who.write_text(json.dumps(WHO))
        for name in ("notice", "evidence"):
            (path / name).write_text(name)

    def __call__(self, member: int, *arguments: object) -> Ran:
        ran = self._cli(*arguments, "--folder", self.path / str(member))
        assert CANARY[:-1] not in ran.out + ran.err, "an identifier was printed"
        return ran

    def events(self, *lines: Any) -> Path:
        file = self.path / "events.jsonl"
        texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        file.write_text("".join(f"{text}\n" for text in texts))
        return file

    def draft(self, *flags: str, **options: str) -> Ran:
        given = {
            "second": "2",
            "purpose": "loan-application",
            "categories": "account,public-record",
            "years": "2025-2026",
            "from": "2026-09-01",
            "until": "2026-12-31",
            "template": "loan-v1",
            "notice": str(self.path / "notice"),
            "evidence": str(self.path / "evidence"),
            "evidence_type": "signed-document",
            "reference": "app-77",
            "subject_file": str(self.who),
            "out": str(self.path / "draft"),
            **options,
        }
        listed = [
            part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)
        ]
        return self(1, "consent", "draft", *listed, *flags)

    def granted(self) -> str:
        draft = self.path / "draft"
        assert self.draft().code == 0
        assert self(2, "consent", "sign", draft, "--subject-file", self.who).code == 0
        ran = self(1, "consent", "grant", draft, "--json")
        assert ran.code == 0, ran.err
        return str(json.loads(draft.read_text())["consent_id"])


@pytest.fixture
def desk(
    tmp_path: Path,
    network: Network,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    for member in (1, 2, 3, 4):
        make_folder(tmp_path / str(member), network, member)

    def open_session(path: Path, passphrase: bytes) -> Session:
        assert passphrase == PASSPHRASE
        folder = open_folder(path)
        return Session(folder, Keystore(client_keys(folder.profile.member)), network.clock_ms)

    def open_client(path: Path, passphrase: bytes) -> client_module.Client:
        session = open_session(path, passphrase)
        monkeypatch.setattr(
            client_module, "SyncTransport", lambda *_: MemoryTransport(network, session)
        )
        return client_module.Client(session)

    monkeypatch.setattr(client_module.Client, "open", staticmethod(open_client))
    secret = tmp_path / "passphrase"
    secret.write_bytes(PASSPHRASE + b"\n")
    monkeypatch.setenv("TRADELINE_PASSPHRASE_FILE", str(secret))
    return Desk(Cli(capsys), tmp_path)


def lines(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"subject": WHO, **event} for event in events]


def test_events_are_submitted_and_told_by_line(desk: Desk) -> None:
    first, second, third = lines(*LOAN)
    file = desk.events(first, "", second, third)

    ran = desk(1, "submit", file, "--batch-events", 2, "--json")

    assert ran.code == 0
    assert not ran.err
    assert ran.json.keys() == {"ok", "submitted", "lines", "batches", "events"}
    assert (ran.json["ok"], ran.json["submitted"], ran.json["lines"]) == (True, 3, 3)
    first_index, second_index = (each["index"] for each in ran.json["batches"])
    assert ran.json["events"] == [
        {"line": 1, "event": f"{first_index}/0"},
        {"line": 3, "event": f"{first_index}/1"},
        {"line": 4, "event": f"{second_index}/0"},
    ]
    assert [each["first_line"] for each in ran.json["batches"]] == [1, 4]
    assert ran.json["batches"][0].keys() == {
        *("first_line", "last_line", "index", "height", "outcome", "remedy", "events"),
        *("batch_hash", "without_receipt"),
    }


def test_receipts_are_printed_for_people(desk: Desk) -> None:
    ran = desk(1, "submit", desk.events(*lines(*LOAN)))

    assert ran.code == 0
    assert ran.out.splitlines()[0] == "3 of 3 events are on the ledger"
    assert "1/0 to 1/2  1 to 3" in ran.out


def test_events_come_from_standard_input(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    given = json.dumps(lines(*LOAN)[0]).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))

    assert desk(1, "submit", "-", "--json").json["events"] == [{"line": 1, "event": "1/0"}]


def test_one_wrong_line_and_nothing_is_submitted(desk: Desk, network: Network) -> None:
    good, other, _ = lines(*LOAN)
    wrong = {**other, "fields": {**other["fields"], "statement_balance_minor": 1.5}}
    file = desk.events(good, wrong, {**good, "subject": {"type": "resident_id", "id": CANARY[:9]}})

    ran, as_json = desk(1, "submit", file), desk(1, "submit", file, "--json")

    assert ran.code == as_json.code == 1
    assert not ran.out
    said = ran.err.splitlines()
    assert said[0].endswith("2 of 3 lines of " + str(file) + " are wrong; nothing was submitted")
    assert said[1].startswith("line 2: account.statement version 1: field statement_balance_minor:")
    assert "got float 1.5, expected" in said[1]
    assert said[2].startswith("line 3: RESIDENT_ID has 9 characters")
    assert as_json.json.keys() == {"ok", "submitted", "lines", "wrong", "faults"}
    assert [each["line"] for each in as_json.json["faults"]] == [2, 3]
    assert len(network.world.leaves) == 1
    assert not any(node.asked for node in network.nodes.values())


def test_a_file_without_events_fails(desk: Desk) -> None:
    ran = desk(1, "submit", desk.events("", " "))

    assert ran.code == 1
    assert "has no line" in ran.err


def test_a_file_is_only_checked_on_demand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADELINE_PASSPHRASE_FILE")

    ran = desk(1, "submit", desk.events(*lines(*LOAN)), "--check")

    assert ran.code == 0
    assert "all 3 lines are right; nothing was submitted" in ran.out


def test_a_correction_names_an_event_of_this_folder(desk: Desk, network: Network) -> None:
    assert desk(1, "submit", desk.events(*lines(LOAN[1]))).code == 0
    fields = {
        "reason": "furnisher_error",
        "replacement": {
            "type": "account.statement",
            "version": 1,
            "fields": {**LOAN[1]["fields"], "statement_balance_minor": 7},
        },
    }
    correction = {
        **LOAN[1],
        "type": "correction.supersede",
        "ref": "row 2b",
        "fields": fields,
        "target": {"index": 1, "position": 0},
    }
    wrong = {**correction, "target": {"index": 9, "position": 0}}
    size = len(network.world.leaves)

    refused = desk(1, "submit", desk.events(*lines(correction, wrong)))
    assert (refused.code, len(network.world.leaves)) == (1, size)
    assert "line 2: this vault has no event 9/0" in refused.err

    done = desk(1, "submit", desk.events(*lines(correction)), "--json")
    assert done.json["events"] == [{"line": 1, "event": "3/0"}]


def test_a_refused_batch_fails_with_its_remedy(
    desk: Desk, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = network.block

    def late(*entries: bytes) -> None:
        network.world.time_ms += 2 * network.world.ledger.params.receipt_ms
        place(*entries)

    monkeypatch.setattr(network, "block", late)

    ran = desk(1, "submit", desk.events(*lines(*LOAN)), "--json")

    assert ran.code == 1
    assert (ran.json["ok"], ran.json["submitted"]) == (False, 0)
    assert ran.json["batches"][0]["outcome"] == Outcome.RECEIPTS_TOO_FEW.code
    assert ran.json["batches"][0]["remedy"].startswith("Collect fresh receipts")


def test_events_are_erased_and_kept_longer(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0

    kept = desk(1, "retain", "1/2", "--month", "2040-01", "--reason", "behaviour-not-ended")
    erased = desk(1, "erase", "1/1", "--reason", "court-order", "--json")
    again = desk(1, "erase", "1/1", "--reason", "court-order")
    vault = desk(1, "vault", "verify", "--json")

    assert kept.code == erased.code == 0
    assert "retain 1/2  accepted" in kept.out
    assert erased.json.keys() == PLACEMENT_KEYS
    assert again.code == 1
    assert "mark-without-effect" in again.err
    assert (vault.json["events"], vault.json["erased"]) == (3, 1)
    assert vault.json.keys() == {"what", "batches", "events", "erased", "unplaced"}


def test_a_consent_is_drafted_signed_granted_changed_and_shown(desk: Desk) -> None:
    drafted = desk.draft("--json")
    assert drafted.code == 0
    assert drafted.json.keys() == {"consent", "file", "second_signed", "subject_signed", "terms"}
    draft = desk.path / "draft"
    assert draft.stat().st_mode & 0o777 == 0o600
    assert CANARY not in draft.read_text()

    too_early = desk(1, "consent", "grant", draft)
    assert (too_early.code, "has not signed yet" in too_early.err) == (1, True)
    signed = desk(2, "consent", "sign", draft, "--subject-file", desk.who)
    assert signed.code == 0
    assert f"next: member 1 posts it: tradeline consent grant {draft}" in signed.out
    granted = desk(1, "consent", "grant", draft, "--json")
    assert granted.json.keys() == PLACEMENT_KEYS

    consent = drafted.json["consent"]
    for name, member in (("pause", 2), ("resume", 2), ("revoke", 2)):
        changed = desk(member, "consent", name, consent)
        assert changed.code == 0, changed.err
        assert f"{name} {consent}  accepted" in changed.out
    late = desk(1, "consent", "terminate", consent)
    assert (late.code, "status-consent-ended" in late.err) == (1, True)

    shown = desk(1, "consent", "show", consent, "--json")
    assert shown.json.keys() == {
        *("consent", "standing", "index", "changed_index", "reads_used", "agreed_by", "terms"),
    }
    assert shown.json["standing"] == "revoked"
    assert shown.json["terms"]["frequency"] == "once"
    listed = desk(1, "consent", "list", "--json")
    assert listed.json == [shown.json]
    assert consent in desk(1, "consent", "list").out
    assert "purpose        loan_application" in desk(1, "consent", "show", consent).out


def test_the_second_signs_only_for_whom_it_identified(desk: Desk) -> None:
    assert desk.draft().code == 0
    other = desk.path / "other.json"
    other.write_text(json.dumps({"type": "resident_id", "id": subject(8).identifier}))

    ran = desk(2, "consent", "sign", desk.path / "draft", "--subject-file", other)

    assert ran.code == 1
    assert "not those of the identifiers that you gave" in ran.err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"purpose": "whim"}, 2, "'whim' is not one of"),
        ({"categories": "inquiry"}, 2, "got 'inquiry', expected some of account"),
        ({"years": "26"}, 2, "expected years such as"),
        ({"until": "tomorrow"}, 2, "expected a day such as"),
        ({"second": "0"}, 2, "second"),
        ({"second": "1"}, 1, "reader and second are one member"),
        ({"until": "2026-08-31"}, 1, "the window is empty"),
        ({"notice": "absent"}, 1, "absent is no file"),
        ({"subject_file": "absent"}, 1, "subject file absent can't be read"),
    ],
)
def test_terms_that_can_not_be_are_refused(
    desk: Desk, options: dict[str, str], code: int, said: str
) -> None:
    ran = desk.draft(**options)

    assert ran.code == code
    assert said in ran.err
    assert not (desk.path / "draft").exists()


def test_an_inquiry_is_posted_and_checked_against_the_subject(desk: Desk) -> None:
    consent = desk.granted()
    other = desk.path / "other.json"
    other.write_text(json.dumps({"type": "resident_id", "id": subject(8).identifier}))

    wrong = desk(1, "inquire", "--consent", consent, "--subject-file", other)
    right = desk(1, "inquire", "--consent", consent, "--subject-file", desk.who, "--json")
    again = desk(1, "inquire", "--consent", consent)

    assert (wrong.code, "nothing was asked" in wrong.err) == (1, True)
    assert right.json.keys() == {"inquiry", "consent"}
    assert (again.code, "inquiry-frequency-used" in again.err) == (1, True)
    refused = desk(1, "show", right.json["inquiry"] + 2, "--json")
    assert refused.json["outcome"] == "inquiry-frequency-used"
    assert refused.json["remedy"] == "Wait for the next unit, or ask anew."


def test_more_years_than_an_inquiry_may_name_are_refused(desk: Desk) -> None:
    draft = desk.path / "draft"
    consent = desk.draft("--json", until="2099-12-31").json["consent"]
    assert desk(2, "consent", "sign", draft, "--subject-file", desk.who).code == 0
    assert desk(1, "consent", "grant", draft).code == 0

    wide = desk(1, "inquire", "--consent", consent)
    narrow = desk(1, "inquire", "--consent", consent, "--years", "2025-2026")

    assert (wide.code, "1 to 64 years; ask for fewer" in wide.err) == (1, True)
    assert narrow.code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["report", "--out", "{path}/b"], 2, "give either --consent or --inquiry"),
        (["report", "--consent", "00" * 16, "--inquiry", "1", "--out", "{path}/b"], 2, "either"),
        (["report", "--consent", "00", "--out", "{path}/b"], 2, "32 hex digits"),
        (["report", "--consent", "00" * 16, "--out", "{path}/who.json"], 1, "exists or has no"),
        (["report", "--consent", "00" * 16, "--out", "{path}/no/b"], 1, "exists or has no"),
        (["report", "--consent", "00" * 16, "--out", "{path}/b"], 1, "this folder has no consent"),
        (["report", "--inquiry", "1", "--out", "{path}/b"], 1, "no statement at log index 1"),
        (["report", "--consent", "00" * 16], 2, "Missing option '--out'"),
        (["inquire"], 2, "Missing option '--consent'"),
        (["erase", "12", "--reason", "correction"], 2, "expected index/position such as 12/0"),
        (["erase", "1/0"], 2, "Missing option '--reason'"),
        (["retain", "1/0", "--month", "1", "--reason", "correction"], 2, "month"),
        (["show", "-1"], 2, "-1"),
        (["show", "99"], 1, "there is no entry 99"),
        (["submit", "absent"], 1, "absent: No such file"),
        (["submit", "{path}/who.json", "--batch-events", "0"], 2, "batch-events"),
        (["consent", "show", "00" * 16], 1, "Not found"),
        (["consent", "sign", "{path}/who.json"], 1, "is no draft of a consent"),
        (["vault", "restore", "{path}/absent"], 1, "is no backup of a vault"),
        (["feed", "adopt", "7"], 1, "feed 7"),
    ],
)
def test_what_can_not_be_done_is_said(
    desk: Desk, network: Network, arguments: list[str], code: int, said: str
) -> None:
    network.block()
    write_keystore(desk.path / "1/client.keys", client_keys(1), PASSPHRASE)

    ran = desk(1, *(each.format(path=desk.path) for each in arguments))

    assert ran.code == code
    assert said in ran.err
    assert not ran.out
    assert not (desk.path / "b").exists()


def test_an_entry_is_shown_with_a_proof_that_verifies(desk: Desk, network: Network) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    (desk.path / "genesis").write_bytes(network.world.ledger.file)
    proof = desk.path / "proof"

    shown = desk(2, "show", 1, "--proof", proof)
    as_json = desk(2, "show", 1, "--json")
    block = desk(2, "show", 2, "--json")
    checked = desk._cli("verify", proof, "--genesis", desk.path / "genesis", "--json")

    assert "outcome              accepted" in shown.out
    assert "content events       3" in shown.out
    assert as_json.json["content"]["receipts_of"]
    assert block.json["kind"] == "block"
    assert checked.code == 0
    assert checked.json["says"]["entry"] == "1 in block 1"


@pytest.mark.parametrize("name", ["consent", "mark", "inquiry", "status"])
def test_contents_are_shown_by_name(desk: Desk, name: str) -> None:
    consent = desk.granted()
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    assert desk(1, "erase", "3/1", "--reason", "court-order").code == 0
    assert desk(1, "inquire", "--consent", consent).code == 0
    assert desk(2, "consent", "revoke", consent).code == 0

    shown = {
        each["kind"]: each["content"]
        for index in range(1, 10, 2)
        for each in [desk(3, "show", index, "--json").json]
    }

    table: dict[str, dict[str, Any]] = {
        "consent": {"purpose": "loan_application", "second_signed": True},
        "mark": {"event": "3/1", "what": "erase", "reason": "court_order", "value": None},
        "inquiry": {"consent": consent, "categories": ["account", "public_record"]},
        "status": {"change": "revoke", "reason": "subject", "consent": consent},
    }
    assert {key: shown[name][key] for key in table[name]} == table[name]


def test_a_vault_is_backed_up_and_restored(desk: Desk) -> None:
    write_keystore(desk.path / "1/client.keys", client_keys(1), PASSPHRASE)
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    backup = desk.path / "backup"

    made = desk(1, "vault", "backup", backup, "--json")
    early = desk(1, "vault", "restore", backup)
    for file in (desk.path / "1").glob("vault.sqlite*"):
        file.unlink()
    restored = desk(1, "vault", "restore", backup)

    assert made.json["events"] == 3
    assert (early.code, "exists; move it away" in early.err) == (1, True)
    assert restored.code == 0
    assert desk(1, "vault", "verify", "--json").json["events"] == 3


def test_feeds_are_shown_and_adopted_after_a_restore(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    assert desk(1, "feed", "show", "--json").json[0] == {
        "feed": 1,
        "journal_seq": 1,
        "ledger_seq": 1,
        "pending": 0,
    }
    for file in (desk.path / "1").glob("journal.sqlite*"):
        file.unlink()

    conflict = desk(1, "submit", desk.events(*lines(*LOAN)))
    adopted = desk(1, "feed", "adopt", 1, "--json")

    assert conflict.code == 1
    assert "tradeline feed adopt" in conflict.err
    assert adopted.json["next_seq"] == 1
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    assert desk(1, "feed", "resume", "--json").json == []
    assert "never used" in desk(1, "feed", "show").out


def test_the_tag_key_is_shared(desk: Desk, network: Network) -> None:
    ran = desk(3, "tag-key", "share", "--json")

    assert ran.code == 0
    assert [each["member"] for each in ran.json] == [1, 2, 3, 4]
    assert all(3 in node.tag_keys for node in network.nodes.values())


def test_a_node_that_lies_exits_with_3(desk: Desk, network: Network) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0

    def lie(_request: object, answer: Any) -> Any:
        return type(answer)(
            answer.node, 200, {}, answer.body.replace(b'"leaf": "', b'"leaf": "AAAA')
        )

    for node in network.nodes.values():
        node.lies["GET /v1/entries/1"] = lie

    ran = desk(1, "show", 1)

    assert ran.code == 3
    assert "do not use this leaf" in ran.err


def test_nodes_that_are_down_fail_with_their_reasons(desk: Desk, network: Network) -> None:
    for node in network.nodes.values():
        node.up = False

    ran = desk(1, "submit", desk.events(*lines(*JUDGED)))

    assert ran.code == 1
    assert "connection refused" in ran.err
    assert "check the endpoints" in ran.err


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: (path / "1").chmod(0o755), "is open to others"),
        (lambda path: (path / "1/client.toml").unlink(), "is no client folder"),
        (lambda path: (path / "passphrase").write_bytes(b""), "has 0 bytes, expected 1 to"),
        (lambda path: (path / "passphrase").unlink(), "passphrase file"),
    ],
)
def test_a_folder_that_can_not_be_used_is_said(
    desk: Desk, prepare: Callable[[Path], object], said: str
) -> None:
    prepare(desk.path)

    ran = desk(1, "vault", "verify")

    assert ran.code == 1
    assert said in ran.err


def test_without_a_terminal_a_passphrase_needs_a_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRADELINE_PASSPHRASE_FILE")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    ran = desk(1, "vault", "verify")

    assert ran.code == 1
    assert "give --passphrase-file FILE" in ran.err


def test_a_folder_that_is_not_there_is_named(desk: Desk) -> None:
    ran = desk(9, "vault", "verify")

    assert ran.code == 1
    assert "is no folder; name your client folder with --folder or TRADELINE_CLIENT" in ran.err


def test_a_submission_that_broke_off_goes_on(desk: Desk, network: Network) -> None:
    many = lines(*({**LOAN[1], "ref": f"row {number}"} for number in range(6)))
    file = desk.events(*many)
    place, handed = network.block, []

    def break_off(*entries: bytes) -> None:
        place(*entries)
        handed.append(entries)
        for node in network.nodes.values():
            node.up = False

    network.block = break_off  # type: ignore[method-assign]
    broken = desk(1, "submit", file, "--batch-events", 2, "--json")
    network.block = place  # type: ignore[method-assign]
    for node in network.nodes.values():
        node.up = True

    assert broken.code == 1
    assert broken.json["ok"] is False
    assert "go on with the same command and --resume" in broken.err

    resumed = desk(1, "submit", file, "--batch-events", 2, "--resume", "--json")
    again = desk(1, "submit", file, "--resume", "--json")
    vault = desk(1, "vault", "verify", "--json")

    assert resumed.code == again.code == 0
    assert (again.json["lines"], again.json["events"]) == (0, [])
    assert "all lines are on the ledger already" in desk(1, "submit", file, "--resume").out
    assert resumed.json["lines"] < 6
    placed = {each["event"] for each in (*broken.json["events"], *resumed.json["events"])}
    assert len(placed) <= 6
    submissions = [desk(2, "show", index, "--json").json for index in range(network.published)]
    events = [each["content"]["events"] for each in submissions if each["kind"] == "submission"]
    assert sum(events) == 6, "each line is on the ledger once"
    assert vault.json["events"] >= 6


def test_own_events_are_read_back_as_they_stand(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    assert desk(1, "erase", "1/0", "--reason", "court-order").code == 0

    found = desk(1, "own", "--json").json
    assert [each["original"] for each in found["effective"]] == ["1/1", "1/2"]
    assert found["effective"][0]["fields"] == LOAN[1]["fields"]
    assert found["absent"] == [{"id": "1/0", "why": "erased"}]

    told = desk(1, "own", "--subject-file", desk.who)
    assert "2 events, 2 stand, 0 were corrected, 0 of them retracted, 1 can't be read" in told.out
    assert desk(2, "own", "--json").json["effective"] == []


def test_a_month_is_stated_and_measured_from_the_members_own_mirror(
    desk: Desk, network: Network
) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    month = LOAN[0]["occurred_on"][:7]
    rows = desk.path / "rows.json"
    rows.write_text('{"accepted": 7, "rejected": {"value": 2, "date": 1}, "duplicates": 1}')
    post = (1, "quality", "post", "--month", month, "--rows", rows)

    planned = desk(*post, "--dry-run")
    assert planned.code == 0, planned.err
    assert network.world.head.size == 3
    ran = desk(*post, "--standing", "complete", "--json")
    assert ran.code == 0, ran.err
    assert ran.json.keys() == PLACEMENT_KEYS

    told = desk(2, "quality", "--member", 1, "--month", month, "--json").json
    (found,) = told["months"]
    assert (told["member"], told["size"]) == (1, network.world.head.size)
    assert found["statement"]["rows"] == {
        "received": 11,
        "accepted": 7,
        "rejected": {"value": 2, "date": 1},
        "quarantined": 0,
        "duplicates": 1,
    }
    assert found["dimensions"]["validity"] == 727
    assert found["statement"]["index"] == ran.json["index"]
    assert planned.json["events"] == found["statement"]["events"]
    shown = desk(2, "show", ran.json["index"], "--json").json
    assert shown["content"]["month"] == month


def test_quality_is_a_table_a_chart_and_what_would_raise_it_most(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    month = LOAN[0]["occurred_on"][:7]

    before = desk(2, "quality", "--member", 1, "--month", month)
    assert before.code == 0, before.err
    assert f"{month} counts as 0 until it is stated" in before.out
    assert desk(1, "quality", "post", "--month", month).code == 0
    after = desk(2, "quality", "--member", 1)
    assert after.out.startswith("Quality of member 1 as of log size")
    assert "█" in after.out
    one = desk(2, "quality", "--member", 1, "--month", month)
    assert f"What would raise {month} most:" in one.out
    assert "+62 completeness" in one.out
    assert (
        "member 3 has neither submitted nor stated anything"
        in desk(2, "quality", "--member", 3).out
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "holds other fields"),
        ('{"received": 3}', "holds other fields"),
        ('{"rejected": {"wrong": 3}}', "names other classes"),
        ('{"rejected": 3}', "names other classes"),
        ('{"accepted": -1}', "holds what is no count"),
        ('{"accepted": 1.0}', "holds what is no count"),
        ('{"accepted": true}', "holds what is no count"),
        ('{"rejected": {"value": "3"}}', "holds what is no count"),
    ],
)
def test_counts_of_rows_that_are_none_are_refused(desk: Desk, given: str, said: str) -> None:
    rows = desk.path / "rows.json"
    rows.write_text(given)

    ran = desk(1, "quality", "post", "--month", "2026-03", "--rows", rows)

    assert ran.code == 1
    assert said in ran.err


def test_quality_is_of_a_member_that_is_named(desk: Desk) -> None:
    ran = desk(1, "quality", "--json")

    assert ran.code == 2
    assert "give the member whose quality to print" in ran.err


def test_a_month_that_was_declared_is_stated_so(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    month = LOAN[0]["occurred_on"][:7]
    plan = (1, "quality", "post", "--month", month, "--dry-run")

    assert desk(*plan).json["standing"] == "open"
    with open_store(desk.path / "1", Keystore(client_keys(1))) as store:
        store.declare(parse_period(month), Standing.COMPLETE, 0)
    stated = desk(*plan).json
    assert stated["standing"] == "complete"
    assert stated["rows"]["received"] == stated["events"]
    assert desk(*plan, "--standing", "missing").json["standing"] == "missing"


def test_events_are_filed_under_a_new_identifier_once_it_was_said_to(desk: Desk) -> None:
    assert desk(1, "submit", desk.events(*lines(*LOAN))).code == 0
    assert desk(1, "import", "rebuild", "--json").json == {
        "batches": 1,
        "events": 3,
        "unreadable": 0,
    }
    new = desk.path / "new.json"
    new.write_text(json.dumps({"type": "resident_id", "id": subject(8).identifier}))
    words = ("import", "move", "--from", desk.who, "--to", new, "--account", "loan 88")

    said = desk(1, *words, "--dry-run", "--json").json
    unasked = desk(1, *words)
    moved = desk(1, *words, "--yes", "--json").json

    assert (said["events"], said["years"], said["unreadable"]) == (3, {"2026": 3}, 0)
    assert unasked.code == 1
    assert "move it with --yes" in unasked.err
    assert (moved["job"], moved["state"]) == ("move 1", "done")
    assert (moved["events"]["retracted"], moved["events"]["moved"]) == (3, 3)
    assert desk(1, "own", "--subject-file", desk.who, "--json").json["effective"] == []
    assert len(desk(1, "own", "--subject-file", new, "--json").json["effective"]) == 3
    assert desk(1, "import", "--resume", "--job", "move 1", "--json").json["rows"] == 3
    assert "moved already" in desk(1, *words, "--yes").err


def test_a_move_says_what_it_moves(desk: Desk) -> None:
    ran = desk(1, "import", "move", "--from", desk.who, "--to", desk.who)

    assert ran.code == 1
    assert "one account by --account REF, or everything by --all" in ran.err
