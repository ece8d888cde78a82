"""Problem documents that others wrote, and the table behind `tradeline explain`."""

from __future__ import annotations

import json

import pytest

from tradeline_ledger.advice import ADVICE
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.problem import Problem, all_codes, explain, problem


def test_document_is_read_as_it_was_written() -> None:
    made = problem("position-past", "seq 3 is taken", instance="ab12", index=7)
    again = Problem.from_json(made.to_json())
    assert again == made
    assert (again.status, again.extra) == (409, {"index": 7})
    assert json.loads(made.to_json())["type"].endswith("/problems/position-past")


def test_further_fields_never_replace_the_standard_ones() -> None:
    document = json.loads(problem("not-found", status_code=1, index=2).to_json())
    made = Problem("not-found", 404, "t", "d", "r", extra={"status": 200, "code": "accepted"})
    assert (document["status"], document["index"]) == (404, 2)
    assert json.loads(made.to_json())["status"] == 404


def test_detail_stands_in_for_itself_only() -> None:
    assert problem("not-found").detail == explain("not-found").meaning
    assert problem("not-found", "no leaf 9").detail == "no leaf 9"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"status":"404"}',
        b'{"status":404,"code":5}',
        b'{"status":404,"detail":{}}',
        b"[" * 100_000,
        b'{"status":404,"code":"' + b"x" * 20_000 + b'"}',
        b'{"status":404,"code":"\xff"}',
    ],
)
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(MalformedError):
        Problem.from_json(document)


def test_text_of_others_is_made_printable() -> None:
    document = json.dumps({"status": 500, "code": "x", "detail": "\x1b[31mred\r\n\u202e"})
    assert Problem.from_json(document.encode()).detail == " [31mred   "


def test_every_outcome_is_explained() -> None:
    for outcome in Outcome:
        row = explain(outcome.code)
        assert (row.meaning, row.remedy) == ADVICE[outcome]
        assert row.status in ((200,) if outcome.accepted else (409, 422))
    assert len({each.code for each in all_codes()}) == len(all_codes())


def test_unknown_code_is_refused() -> None:
    with pytest.raises(MalformedError, match="'nonsense'"):
        explain("nonsense")
