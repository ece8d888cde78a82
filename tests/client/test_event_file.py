"""Files of events: every wrong line is named, none shows an identifier."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tradeline_client import event_file
from tradeline_client.event_file import LINE_BYTES_MAX, read_event, read_events
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.identifier import resident_id

TODAY = "2026-11-23"
CANARY = resident_id("110101", "1871-03-05", 123)
GOOD: dict[str, Any] = {
    "subject": {"type": "resident_id", "id": CANARY},
    "type": "account.statement",
    "occurred_on": "2026-07-31",
    "basis": "contract",
    "ref": "row 2",
    "account": "loan 88",
    "fields": {
        "period": "2026-07",
        "currency": "CNY",
        "statement_balance_minor": 120,
        "days_past_due": 0,
    },
}


def line(**changes: Any) -> bytes:
    value = {**GOOD, **changes}
    return json.dumps({k: v for k, v in value.items() if v is not ...}).encode()


def fields(**changes: Any) -> dict[str, Any]:
    return {k: v for k, v in {**GOOD["fields"], **changes}.items() if v is not ...}


def test_a_file_is_read_line_by_line() -> None:
    lines = [b"\xef\xbb\xbf" + line(), b"\n", line(ref="row 3") + b"\r\n", b"  \n"]

    found = read_events(lines, TODAY)

    assert not found.faults
    assert found.lines == 2
    assert [(each.line, each.report.ref) for each in found.events] == [(1, "row 2"), (3, "row 3")]
    assert found.events[0].subject is found.events[1].subject, "one subject is kept once"


BAD: list[tuple[str, bytes, str]] = [
    ("no JSON", b'{"type": ', "no JSON: Expecting value at column 10"),
    ("no UTF-8", b'{"type": "\xff"}', "byte 11 is not UTF-8"),
    ("no object", b"[1]", "expected a JSON object"),
    ("too deep", b"[" * 20_000, "nested too deep"),
    ("too long", b" " * LINE_BYTES_MAX + b"{}", "at most 65536 are read"),
    ("a key twice", b'{"ref": "a", "ref": "b"}', "key 'ref' stands twice"),
    ("no subject", line(subject=...), "subject: got nothing"),
    ("subject of another shape", line(subject=CANARY), "subject is not readable"),
    ("subject of another type", line(subject={"type": "x", "id": CANARY}), "not readable"),
    (
        "check digit",
        line(
            subject={"type": "resident_id", "id": CANARY[:-1] + ("1" if CANARY[-1] != "1" else "2")}
        ),
        "wrong check digit",
    ),
    ("identifier in another field", line(occurred_on=CANARY), "occurred_on: got text of 18"),
    ("identifier as type", line(type=CANARY), "type: got text of 18 characters"),
    ("identifier as key", line(**{CANARY: 1}), "unknown key text of 18 characters"),
    (
        "identifier as amount",
        line(fields=fields(statement_balance_minor=int(CANARY[:17]))),
        "digits",
    ),
    (
        "unknown type",
        line(type="account.opend"),
        "type: got 'account.opend', an unknown event type",
    ),
    ("unknown version", line(version=9), "version: got 9, an unknown version"),
    ("unknown key", line(acount="x"), "unknown key 'acount', expected account"),
    ("unknown field", line(fields=fields(balance=1)), "unknown field 'balance'"),
    ("missing field", line(fields=fields(currency=...)), "field currency: got nothing, expected"),
    ("float money", line(fields=fields(statement_balance_minor=1.5)), "float money: got float 1.5"),
    ("not a number", b'{"ref": NaN}', "got NaN, which is no JSON"),
    ("huge integer", b'{"ref": ' + b"1" * 4_400 + b"}", "integer of 4400 digits"),
    ("impossible day", line(occurred_on="2026-02-30"), "occurred_on: got '2026-02-30'"),
    ("day to come", line(occurred_on="2026-11-24"), "expected not after today, 2026-11-23"),
    ("unknown basis", line(basis="whim"), "basis: got 'whim', expected one of"),
    ("basis not of this type", line(basis="public"), "basis: got 3, expected one of"),
    ("no account", line(account=...), "account: got none, expected one"),
    ("no reference", line(ref=...), "ref: got null, expected 1 to 128 characters"),
    ("target without need", line(target={"index": 1, "position": 0}), "target: got one"),
    (
        "correction without target",
        line(type="correction.retract", fields={"reason": "dispute"}),
        "target: got none",
    ),
]


@pytest.mark.parametrize(("content", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_wrong_with_a_line_is_said(content: bytes, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_event(content, TODAY)

    assert said in str(caught.value)
    assert CANARY[:-1] not in str(caught.value)


def test_all_wrong_lines_are_reported_with_their_numbers() -> None:
    lines = [line(), *(content for _, content, _ in BAD), b"", line()]

    found = read_events(lines, TODAY)

    assert [fault.line for fault in found.faults] == list(range(2, len(BAD) + 2))
    assert len(found.events) == 2
    assert found.lines == len(BAD) + 2


def test_the_list_of_wrong_lines_ends_and_the_count_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_file, "FAULTS_MAX", 3)

    found = read_events([b"x"] * 10, TODAY)

    assert (len(found.faults), found.wrong) == (3, 10)


def test_a_file_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "EVENTS_MAX", 2)

    found = read_events([line()] * 9, TODAY)

    assert found.faults[0].line == 3
    assert "at most 2 lines" in found.faults[0].detail
    assert found.lines == 3
