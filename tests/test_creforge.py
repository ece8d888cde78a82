"""Made-up lenders, their files and their books: the loop of `scripts/creforge-check`, in small."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from scripts.creforge.books import Delivery, identities
from scripts.creforge.check import CACHE, Loop, Plan
from scripts.creforge.faults import check_faults
from scripts.creforge.lenders import Lenders
from scripts.creforge.readers import expected
from scripts.creforge.state import Account, canonical
from scripts.creforge.tool import LOCK, Tool, provide

from tradeline_ledger.history import EventId
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier
from tradeline_ledger.resolution import EffectiveEvent
from tradeline_ledger.schema import EventSchema
from tradeline_ledger.schemas import CLOSED, OPENED, STATEMENT

SUBJECTS: Final = ("S0000000000001", "SWJTBXRWVMB4W", "S946T7GXHK51Q")
PLAN: Final = Plan(seed=3, subjects=10, months=12, lenders=3, issues="nasty", read=6)
OPENING: Final = {
    "product": "mortgage",
    "portfolio": "mortgage",
    "role": "primary",
    "currency": "USD",
    "limit_minor": 25_000_050,
    "term_months": 360,
    "rate_ppm": 47_500,
    "security": "pledge",
}
STATED: Final = {
    "period": "2023-05",
    "currency": "USD",
    "statement_balance_minor": 1_204,
    "minimum_due_minor": 100,
    "paid_minor": 0,
    "days_past_due": 150,
    "asset_status": "overdue",
}


def event(schema: EventSchema, day: str, **fields: object) -> EffectiveEvent:
    named = {
        item.name: item.kind.from_json(fields[item.name])
        for item in schema.fields
        if item.name in fields
    }
    id_ = EventId(1, 0)
    return EffectiveEvent(id_, id_, schema, day, bytes(16), schema.values(**named))


def account(*events: EffectiveEvent) -> Account:
    made = Account()
    for each in events:
        made.take(each)
    return made


def test_each_subject_is_a_valid_person_of_the_nineteenth_century() -> None:
    people = identities(SUBJECTS)
    assert len(set(people.values())) == 3
    assert people == identities(reversed(SUBJECTS))
    for each in people.values():
        assert parse_identifier(IdType.RESIDENT_ID, each.identifier, 1899) == each


def test_every_package_of_the_tool_is_pinned_by_a_hash() -> None:
    blocks = LOCK.read_text(encoding="utf-8").split("\n\n")[0].split("==")[1:]
    assert len(blocks) > 10
    assert all("--hash=sha256:" in block for block in blocks)


def test_an_account_is_put_together_from_what_stands_about_it() -> None:
    found = account(
        event(OPENED, "2015-06-07", **OPENING),
        event(STATEMENT, "2023-05-31", **STATED),
    )
    assert found.account_row() == {
        "product_type": "mortgage",
        "open_date": "2015-06-07",
        "credit_limit": "",
        "principal": "250000.50",
        "tenor_months": "360",
        "interest_rate": "0.047500",
        "secured": "true",
        "close_date": "",
        "close_reason": "",
    }
    assert found.month_rows() == [
        {
            "as_of_month": "2023-05-01",
            "balance": "12.04",
            "amount_due": "1.00",
            "amount_paid": "0.00",
            "dpd_bucket": "120+",
            "months_in_arrears": "6",
            "status": "delinquent",
        }
    ]
    assert found.twice == 0


@pytest.mark.parametrize(
    ("reason", "said", "status"),
    [
        ("paid", "paid_off", "closed"),
        ("subject_request", "closed_by_customer", "closed"),
        ("transferred", "refinanced", "closed"),
        ("lender", "written_off", "delinquent"),
    ],
)
def test_a_closed_account_says_why(reason: str, said: str, status: str) -> None:
    found = account(
        event(OPENED, "2015-06-07", **OPENING),
        event(STATEMENT, "2023-05-31", **STATED),
        event(CLOSED, "2023-05-31", reason=reason),
    )
    assert found.account_row()["close_date"] == "2023-05-31"
    assert found.account_row()["close_reason"] == said
    assert found.month_rows()[0]["status"] == status


def test_what_stands_twice_is_counted() -> None:
    stated = event(STATEMENT, "2023-05-31", **STATED)
    assert account(event(OPENED, "2015-06-07", **OPENING), stated, stated).twice == 1


def test_a_reader_misses_what_is_not_as_in_the_books() -> None:
    row = {
        **account(event(OPENED, "2015-06-07", **OPENING)).account_row(),
        "account_id": "A1",
        "subject_id": "S1",
        "inquiry_id": "",
        "lender_id": "L0001",
    }
    month = account(event(STATEMENT, "2023-05-31", **STATED)).month_rows()[0]
    books = expected([row], {"A1": [month]})
    assert books == expected([{**row, "interest_rate": "0.0475"}], {"A1": [month]})
    assert books != expected([row], {"A1": [{**month, "balance": "12.05"}]})
    assert books != expected([row], {"A1": []})
    assert isinstance(books["S1"], Counter)


def test_amounts_of_the_books_are_written_alike() -> None:
    said = canonical({"balance": "7.5", "credit_limit": "", "interest_rate": "0.0", "status": "x"})
    assert said == {
        "balance": "7.50",
        "credit_limit": "",
        "interest_rate": "0.000000",
        "status": "x",
    }


@pytest.fixture(scope="module")
def tool() -> Tool:
    return provide(Path(os.environ.get("TRADELINE_CACHE", CACHE)))


@pytest.mark.network
@pytest.mark.timeout(300)
def test_every_delivery_issue_ends_in_the_books_of_the_lenders(tool: Tool, tmp_path: Path) -> None:
    said = Loop(tool, PLAN, tmp_path).run()
    assert set(said["issues_by_type"]) == {
        *("late", "duplicate", "correction", "out_of_order_correction"),
        *("missing_then_catch_up", "partial"),
    }
    assert said["differences"] == 0, said
    assert said["rebuilt"]["ok"]
    assert said["rebuilt"]["tables"]["account_month"]["rebuilt_rows"] > 200
    assert said["corrected"] > 0
    assert said["duplicates"] > 0
    assert said["outdated"] > 0
    assert (said["lenders"], said["rejected"]) == (3, 0)
    assert said["reports"]["subjects"] == 6
    assert said["reports"]["accounts"] > 10


@pytest.mark.network
@pytest.mark.timeout(300)
def test_a_lender_that_ignores_corrections_is_found_out(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_alone(
        self: Loop, lenders: Lenders, sent: list[Delivery], people: Mapping[str, SubjectId]
    ) -> None:
        kept = [each for each in sent if each.kind != "correction"]
        whole(self, lenders, kept, people)

    whole = Loop._import
    monkeypatch.setattr(Loop, "_import", first_alone)
    said = Loop(tool, replace(PLAN, subjects=5, lenders=2, read=3), tmp_path).run()
    assert said["rebuilt"]["differences"] > 0
    assert set(said["rebuilt"]["causes"]) <= {"correction", "out_of_order_correction"}
    assert said["differences"] > said["rebuilt"]["differences"]


@pytest.mark.network
@pytest.mark.timeout(300)
def test_every_kind_of_fault_is_found(tool: Tool, tmp_path: Path) -> None:
    said = check_faults(tool, tmp_path, seed=3, subjects=30, months=12)
    assert len(said["classes"]) == 16
    for name, found in said["classes"].items():
        assert found["found"] > 0, (name, found)
    assert said["recall"] > 0.9
    assert said["precision"] > 0.95
