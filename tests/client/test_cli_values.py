"""Values of options, and whom a command is about."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from tradeline_client.cli import values
from tradeline_client.cli.subject import read_subject
from tradeline_client.errors import FileError
from tradeline_ledger.consent import (
    ChangeReason,
    DataLife,
    EvidenceType,
    Frequency,
    Purpose,
)
from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.history import EventId
from tradeline_ledger.identifier import resident_id, uscc
from tradeline_ledger.mark import MarkReason

CANARY = resident_id("110101", "1871-03-05", 123)
FIRM = uscc("91", "310000", "MA1FL0XXX")


@pytest.mark.parametrize(
    ("names", "numbers", "left_out"),
    [
        (values.PurposeName, Purpose, {Purpose.SUPERVISORY}),
        (values.EvidenceName, EvidenceType, set()),
        (values.ChangeReasonName, ChangeReason, set()),
        (values.MarkReasonName, MarkReason, set()),
    ],
)
def test_every_number_has_its_name(names: Any, numbers: Any, left_out: set[int]) -> None:
    named = [values.number_of(numbers, name) for name in get_args(names)]

    assert named == [each for each in numbers if each not in left_out]


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (values.event_id, "12/0", EventId(12, 0)),
        (values.consent_id, "0aFF" * 8, bytes.fromhex("0aff" * 8)),
        (values.public_key, "01" * 32, bytes([1]) * 32),
        (values.years, "2024", (2024,)),
        (values.years, "2024-2026", (2024, 2025, 2026)),
        (values.years, "2026, 2020-2021,2020", (2020, 2021, 2026)),
        (values.month, "2031-07", 2031 * 12 + 6),
        (values.categories, "public-record,account", (1, 2)),
        (values.members, "4,1,4", (1, 4)),
        (values.frequency, "once", Frequency(0, 1)),
        (values.frequency, "3/day", Frequency(1, 3)),
        (values.frequency, "12/year", Frequency(3, 12)),
        (values.life, "decision", DataLife(1, 0)),
        (values.life, "6-month", DataLife(2, 6)),
        (values.moment, "2026-11-30", "2026-11-30"),
    ],
)
def test_a_value_is_read(read: Any, text: str, expected: object) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((values.event_id, text) for text in ("", "12", "12/", "/0", "-1/0", "１/0", "1/0/0")),
        *((values.consent_id, text) for text in ("", "0" * 31, "g" * 32, "0" * 33)),
        *((values.public_key, text) for text in ("", "0" * 63, "g" * 64)),
        *((values.years, text) for text in ("", "24", "2026-2024", "2024-", "2024;2025")),
        *((values.categories, text) for text in ("", "inquiry", "account,", "loan")),
        *((values.members, text) for text in ("", "0", "1,", "x", "1;2", "9999999999")),
        *((values.month, text) for text in ("2031", "2031-13", "2031-00")),
        *((values.frequency, text) for text in ("", "3", "x/day", "3/week", "3/once", "-1/day")),
        *((values.life, text) for text in ("", "6", "0-day", "6-week", "70000-day", "six-month")),
        *((values.moment, text) for text in ("", "2026-02-30", "2026-11-30T12:00", "tomorrow")),
    ],
)
def test_another_value_is_refused(read: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"got|expected|period|YYYY"):
        read(text)


def test_a_day_is_one_of_the_ledgers_local_time() -> None:
    start = values.instant_ms("2026-11-30", 480, end=False)
    end = values.instant_ms("2026-11-30", 480, end=True)

    assert start == values.instant_ms("2026-11-29T16:00:00Z", 480, end=False)
    assert end - start == 86_400_000


def test_subjects_are_read_from_a_file(tmp_path: Path) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    one.write_text(json.dumps({"type": "resident_id", "id": CANARY}))
    firm = {"type": "uscc", "id": FIRM}
    several.write_text(json.dumps([{"type": "resident_id", "id": CANARY}, firm, firm]))

    assert [each.identifier for each in read_subject(one, 2026)] == [CANARY]
    assert [each.identifier for each in read_subject(several, 2026)] == [CANARY, FIRM]


def test_subjects_are_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    given = json.dumps({"type": "uscc", "id": FIRM}).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))

    assert [each.identifier for each in read_subject(Path("-"), 2026)] == [FIRM]


@pytest.mark.parametrize(
    "content",
    [
        f"{CANARY}",
        f'{{"type": "resident_id", "id": "{CANARY}"',
        f'{{"type": "resident_id", "id": {CANARY[:-1]}}}',
        f'{{"type": "{CANARY}", "id": "resident_id"}}',
        f'{{"type": "resident_id", "id": "{CANARY[:-1]}-"}}',
        f'[["{CANARY}"]]',
        json.dumps([{"type": "resident_id", "id": CANARY}] * 9),
        "[]",
        f'{{"{CANARY}": 1}}',
        " " * 20_000,
    ],
)
def test_no_error_about_a_subject_shows_an_identifier(tmp_path: Path, content: str) -> None:
    file = tmp_path / "subject"
    file.write_text(content)

    with pytest.raises((FileError, IdentifierError)) as caught:
        read_subject(file, 2026)

    assert CANARY[:-1] not in str(caught.value)


def test_without_file_and_terminal_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())

    with pytest.raises(FileError, match="--subject-file"):
        read_subject(None, 2026)


def test_on_a_terminal_identifiers_are_typed_unseen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed = iter([CANARY, FIRM])
    monkeypatch.setattr("sys.stdin", Terminal("resident_id\ny\nuscc\nn\n"))
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))

    subjects = read_subject(None, 2026)

    assert [each.identifier for each in subjects] == [CANARY, FIRM]
    printed = capsys.readouterr()
    assert CANARY not in printed.out + printed.err
    assert not printed.out.strip()
