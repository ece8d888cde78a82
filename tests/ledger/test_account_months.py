"""Accounts of a history as grids: what stands after corrections, and nothing else."""

from __future__ import annotations

from typing import Any

from tests.ledger.event_samples import FIELDS

from tradeline_ledger.account_months import account_months
from tradeline_ledger.calendar import parse_period
from tradeline_ledger.history import EventId
from tradeline_ledger.resolution import EffectiveEvent
from tradeline_ledger.schemas import SCHEMAS

LOAN, CARD = b"l" * 16, b"c" * 16


def event(
    position: int, name: str, day: str, account: bytes | None = LOAN, **given: Any
) -> EffectiveEvent:
    schema = SCHEMAS.named(name)
    fields = SCHEMAS.fields_from_json(schema, {**FIELDS[name], **given})
    place = EventId(1, position)
    return EffectiveEvent(place, place, schema, day, account, fields)


def statement(position: int, period: str, late: int, account: bytes = LOAN) -> EffectiveEvent:
    day = f"{period}-28"
    return event(position, "account.statement", day, account, period=period, days_past_due=late)


def test_days_past_due_are_shown_in_the_grids_of_two_countries() -> None:
    (found,) = account_months(
        [
            event(0, "account.opened", "2025-06-10"),
            statement(1, "2025-07", 0),
            statement(2, "2025-08", 30),
            statement(4, "2025-10", 0),
            statement(3, "2025-09", 61),
        ]
    )
    assert found.account == LOAN
    assert found.first == EventId(1, 0)
    assert found.last_month == parse_period("2025-10")
    assert found.pboc == "/" * 19 + "#" + "N13N"
    assert found.metro2 == "0210" + "D" + "B" * 19


def test_closure_default_and_guarantor_have_their_symbols() -> None:
    (found,) = account_months(
        [
            event(0, "account.opened", "2025-06-10"),
            statement(1, "2025-06", 0),
            statement(2, "2025-07", 40),
            event(3, "account.default", "2025-08-10", kind="charge_off"),
            statement(4, "2025-08", 70),
            event(5, "account.resolved", "2025-09-10", kind="guarantor_paid"),
            event(6, "account.closed", "2025-10-01"),
        ]
    )
    assert found.last_month == parse_period("2025-10")
    assert found.pboc == "/" * 19 + "N23DC"
    assert found.metro2 == "DDL10" + "B" * 19


def test_each_account_has_its_own_months_and_other_events_none() -> None:
    found = account_months(
        [
            statement(0, "2025-07", 0, CARD),
            statement(1, "2025-07", 95),
            event(2, "guarantee.given", "2025-07-01", b"g" * 16),
            event(3, "public.award", "2025-07-01", None),
            event(4, "utility.postpaid", "2025-07-01", b"u" * 16),
            event(5, "account.opened", "2025-07-01", b"o" * 16),
        ]
    )
    assert [(each.account, each.pboc[-1], each.metro2[0]) for each in found] == [
        (CARD, "N", "0"),
        (LOAN, "4", "3"),
    ]
    assert account_months([]) == ()
