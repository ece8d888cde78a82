"""Metro 2 records to events and back: what is held or refused, and the trap of the buckets."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metro2 import account, file_of, read, sample

from tradeline_client.errors import Metro2Error
from tradeline_client.metro2 import codes
from tradeline_client.metro2.from_events import record_of
from tradeline_client.metro2.layout import BASE, J1, J2, K1, K2, L1, Segment, segment
from tradeline_client.metro2.record import Record
from tradeline_client.metro2.refusal import RecordFault
from tradeline_client.metro2.to_events import AccountEvent, events_of
from tradeline_ledger.grid import METRO2_PROFILE, METRO2_STATUS, PBOC
from tradeline_ledger.schemas import ASSET_STATUS, DEFAULT, RESOLUTION, SCHEMAS

TODAY = "2026-03-01"
HELD = (
    *("consumer_account_number", "portfolio_type", "account_type", "date_opened", "credit_limit"),
    *("highest_credit", "terms_duration", "terms_frequency", "scheduled_monthly_payment"),
    *("actual_payment", "account_status", "payment_rating", "payment_history_profile"),
    *("special_comment", "compliance_condition_code", "current_balance", "amount_past_due"),
    *("original_charge_off_amount", "date_of_account_information", "date_of_first_delinquency"),
    *("date_closed", "date_of_last_payment", "social_security_number", "ecoa_code"),
)
"""Fields of a base segment that events hold."""
BUCKETS = list(zip(METRO2_STATUS.symbols, METRO2_STATUS.firsts, strict=True))
LATE = {"current_balance": 5_000, "amount_past_due": 700}
SINCE = {"date_of_first_delinquency": date(2025, 9, 15)}


def record(*segments: Segment) -> Record:
    _, (_, found, _), faults = read(file_of(segments))
    assert not faults
    return found


def events(*segments: Segment) -> tuple[AccountEvent, ...]:
    made, faults = events_of(record(*segments), TODAY)
    assert not faults
    return made


def fault(*segments: Segment) -> RecordFault:
    made, (found,) = events_of(record(*segments), TODAY)
    assert not found.rejects or not made
    return found


def said(made: tuple[AccountEvent, ...], name: str) -> dict[str, Any]:
    """Return day and fields of the one event of a type."""
    (event,) = [each for each in made if each.schema.name == name]
    return {"on": event.occurred_on, **SCHEMAS.fields_to_json(event.schema, event.fields)}


def names(made: tuple[AccountEvent, ...]) -> list[str]:
    return [each.schema.name.removeprefix("account.") for each in made]


def held(base: Segment) -> dict[str, Any]:
    return {name: base[name] for name in HELD}


def test_account_paid_as_agreed_is_opened_stated_and_paid() -> None:
    made = events(account(7))

    assert names(made) == ["opened", "statement", "payment"]
    assert said(made, "account.opened") == {
        "on": "2024-03-15",
        "product": "personal_loan",
        "portfolio": "instalment",
        "role": "primary",
        "currency": "USD",
        "limit_minor": 1_200_000,
        "term_months": 36,
        "payment_frequency": "monthly",
    }
    assert said(made, "account.statement") == {
        "on": "2026-01-31",
        "period": "2026-01",
        "currency": "USD",
        "statement_balance_minor": 520_000,
        "days_past_due": 0,
        "past_due_minor": 0,
        "paid_minor": 35_000,
        "scheduled_due_minor": 35_000,
        "asset_status": "performing",
    }
    assert {each.account for each in made} == {"LOAN 7"}
    assert {each.subject.identifier for each in made} == {"536900007"}


@pytest.mark.parametrize(("status", "days"), BUCKETS)
def test_status_becomes_the_least_days_of_its_bucket(status: str, days: int) -> None:
    if days:
        made = events(account(1, account_status=status, **LATE, **SINCE))
        stage = said(made, "account.delinquency")
        assert stage["days_past_due"] == days
        assert stage["stage"] == f"days_{days}"
        assert stage["first_delinquent_on"] == "2025-09-15"
    else:
        made = events(account(1, account_status=status))
    assert said(made, "account.statement")["days_past_due"] == days


def test_1_of_metro_2_is_30_days_and_not_the_1_of_pboc() -> None:
    made = events(account(1, account_status="71", **LATE, **SINCE))

    days = said(made, "account.statement")["days_past_due"]
    (written,) = record_of(made, "2026-01", "LOAN 1")
    assert days == 30
    assert written.text("account_status") == "71"
    assert (METRO2_PROFILE.symbol(days), PBOC.symbol(days)) == ("1", "1")
    assert (METRO2_PROFILE.symbol(days + 1), PBOC.symbol(days + 1)) == ("1", "2")
    assert (METRO2_PROFILE.symbol(days - 1), PBOC.symbol(days - 1)) == ("0", "1")


def test_amount_past_due_at_status_11_is_a_day_late() -> None:
    made = events(account(1, amount_past_due=350))

    assert said(made, "account.statement")["days_past_due"] == 1
    assert "delinquency" not in names(made)


@pytest.mark.parametrize(
    ("status", "month", "kind", "asset"),
    [
        ("97", "L", "charge_off", "written_off"),
        ("93", "G", "collection", "non_performing"),
        ("94", "H", "foreclosure", "non_performing"),
        ("95", "J", "repossession", "non_performing"),
        ("96", "K", "repossession", "non_performing"),
    ],
)
def test_default_is_reported_in_the_month_in_which_it_was_declared(
    status: str, month: str, kind: str, asset: str
) -> None:
    values = {"account_status": status, "payment_rating": "5", **LATE, **SINCE}
    first = events(account(1, **values, payment_history_profile="5432100"))
    later = events(account(1, **values, payment_history_profile=f"{month}543210"))

    assert said(first, "account.default")["kind"] == kind
    assert said(first, "account.default")["amount_minor"] == 500_000
    assert "default" not in names(later)
    assert said(later, "account.statement")["asset_status"] == asset


def test_days_of_a_charge_off_count_from_the_first_delinquency() -> None:
    made = events(
        account(1, account_status="97", original_charge_off_amount=6_000, **LATE, **SINCE)
    )

    assert said(made, "account.statement")["days_past_due"] == 138
    assert said(made, "account.default")["amount_minor"] == 600_000


@pytest.mark.parametrize(
    ("values", "reason", "resolved"),
    [
        ({"account_status": "13"}, "paid", None),
        ({"account_status": "13", "special_comment": "M"}, "lender", None),
        ({"account_status": "13", "compliance_condition_code": "XA"}, "subject_request", None),
        ({"account_status": "05"}, "transferred", None),
        ({"account_status": "62"}, "paid", "settled_full"),
        ({"account_status": "64", "special_comment": "AU"}, "paid", "settled_less"),
        ({"account_status": "89"}, "paid", "asset_in_lieu"),
    ],
)
def test_closure_says_why(values: dict[str, Any], reason: str, resolved: str | None) -> None:
    made = events(account(1, date_closed=date(2026, 1, 20), current_balance=0, **values))

    assert said(made, "account.closed")["reason"] == reason
    assert said(made, "account.closed")["on"] == "2026-01-20"
    if resolved is None:
        assert "resolved" not in names(made)
    else:
        assert said(made, "account.resolved")["kind"] == resolved


def test_each_consumer_gets_the_events_with_the_own_role() -> None:
    person: dict[str, Any] = {
        "surname": "ROE",
        "first_name": "RICHARD",
        "social_security_number": 536_90_1001,
    }
    joint = segment(J1, {"segment_identifier": "J1", "ecoa_code": "2", **person})
    maker = segment(
        J2,
        {
            "segment_identifier": "J2",
            "ecoa_code": "5",
            **person,
            "social_security_number": 536901002,
        },
    )

    made = events(account(1), joint, maker)

    opened = [each for each in made if each.schema.name == "account.opened"]
    roles = [SCHEMAS.fields_to_json(each.schema, each.fields)["role"] for each in opened]
    assert roles == ["primary", "joint", "guarantor"]
    assert [each.subject.identifier for each in opened] == ["536900001", "536901001", "536901002"]
    assert len({each.ref for each in made}) == len(made) == 9


def test_consumer_whose_association_ended_gets_no_events() -> None:
    person: dict[str, Any] = {
        "surname": "ROE",
        "first_name": "RICHARD",
        "social_security_number": 536_90_1001,
    }
    ended = segment(J1, {"segment_identifier": "J1", "ecoa_code": "T", **person})

    made, (found,) = events_of(record(account(1), ended), TODAY)

    assert (found.field, found.code, found.rejects) == ("J1 ecoa_code", "association-ended", False)
    assert names(made) == ["opened", "statement", "payment"]


def test_sold_claim_is_given_up_and_bought_one_taken_over() -> None:
    creditor = segment(K1, {"segment_identifier": "K1", "original_creditor_name": "OLD BANK"})

    def sale(indicator: str) -> Segment:
        name = {"purchased_indicator": indicator, "purchased_name": "OTHER BANK"}
        return segment(K2, {"segment_identifier": "K2", **name})

    sold = events(account(1, account_status="05", current_balance=0), sale("2"))
    bought = events(account(1), creditor, sale("1"))

    assert said(sold, "account.transferred") == {
        "on": "2026-01-31",
        "direction": "given_up",
        "counterparty": "OTHER BANK",
        "opened_on": "2024-03-15",
    }
    assert said(bought, "account.transferred")["direction"] == "taken_over"
    assert said(bought, "account.transferred")["original_creditor"] == "OLD BANK"
    assert fault(account(1), sale("1")).code == "no-original-creditor"


def test_changed_number_is_an_update() -> None:
    changed = {"change_indicator": "1", "new_consumer_account_number": "LOAN 1 B"}
    number = segment(L1, {"segment_identifier": "L1", **changed})

    assert said(events(account(1), number), "account.updated")["reason"] == "number_change"


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"consumer_account_number": ""}, "consumer_account_number", "no-account"),
        ({"account_status": "DA"}, "account_status", "deletion"),
        ({"account_status": "DF"}, "account_status", "deletion"),
        ({"date_of_account_information": None}, "date_of_account_information", "no-date"),
        (
            {"date_of_account_information": date(2026, 3, 2)},
            "date_of_account_information",
            "future-date",
        ),
        ({"date_opened": None}, "date_opened", "no-date"),
        ({"date_opened": date(2026, 2, 1)}, "date_opened", "date-order"),
        ({"date_closed": date(2024, 3, 14)}, "date_closed", "date-order"),
        ({"account_type": "48"}, "account_type", "no-product"),
        ({"terms_duration": "LOC"}, "terms_duration", "no-duration"),
        ({"account_status": "71", **SINCE}, "amount_past_due", "dpd-without-amount"),
        ({"account_status": "71", **LATE}, "date_of_first_delinquency", "no-first-delinquency"),
        ({"account_status": "97", **LATE}, "date_of_first_delinquency", "no-first-delinquency"),
        ({"ecoa_code": ""}, "base ecoa_code", "no-role"),
        ({"social_security_number": 0}, "base social_security_number", "identifier"),
        ({"social_security_number": 666_12_3456}, "base social_security_number", "identifier"),
    ],
)
def test_record_that_can_be_no_events_says_which_field_is_wrong(
    values: dict[str, Any], field: str, code: str
) -> None:
    found = fault(account(1, **values))

    assert (found.field, found.code, found.rejects) == (field, code, True)
    assert all((found.got, found.expected, found.fix))
    assert "666123456" not in str(found)


def test_closure_without_a_reason_is_left_out_and_the_rest_stands() -> None:
    made, (found,) = events_of(record(account(1, date_closed=date(2026, 1, 20))), TODAY)

    assert (found.code, found.rejects) == ("closed-without-reason", False)
    assert names(made) == ["opened", "statement", "payment"]


def test_sample_of_another_implementation_is_held_once_its_contradictions_are_mended() -> None:
    _, (_, found, _), _ = read(sample("unpacked_fixed_file.dat"))
    # Opened after it was closed, with a mortgage of no duration in the portfolio of collections.
    assert fault(*found.segments).code == "date-order"
    mended: dict[str, Any] = {
        "date_opened": date(2000, 11, 22),
        "account_type": "26",
        "terms_duration": "360",
        "special_comment": "",
        "date_closed": date(2002, 8, 2),
        "date_of_account_information": date(2002, 8, 31),
        "current_balance": 0,
        "terms_frequency": "M",
        "date_of_first_delinquency": None,
        "account_status": "13",
        "payment_rating": "0",
    }
    given_values = dict(zip((each.name for each in BASE.fields), found.base.values, strict=True))
    base = segment(BASE, {**given_values, **mended})

    written = record_of(events(base, *found.segments[1:]), "2002-08", "553723456")

    expected = held(base) | {"payment_history_profile": "B" * 24}
    assert held(written[0]) == expected
    assert [each.layout.name for each in written] == ["base", "J1"]


MONTHS = [date(2025 + month // 12, month % 12 + 1, 28) for month in range(14)]


@st.composite
def courses(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return what one account reports month after month: late or not, and how it ends."""
    portfolio = draw(st.sampled_from(sorted(codes.PORTFOLIOS)))
    kind = codes.PORTFOLIOS[portfolio]
    terms = {
        "portfolio_type": portfolio,
        "account_type": draw(st.sampled_from(sorted({*codes.ACCOUNT_TYPES.values()}))),
        "terms_duration": codes.TERMS.get(kind) or f"{draw(st.integers(1, 999)):03}",
        "terms_frequency": draw(st.sampled_from(["", *codes.FREQUENCIES])),
        "highest_credit": 0,
        "date_opened": MONTHS[0].replace(day=3),
    }
    limit = "credit_limit" if kind in codes.LIMITED else "highest_credit"
    terms[limit] = draw(st.integers(0, 999_999_999))
    count = draw(st.integers(1, len(MONTHS) - 2))
    course, history, since = [], "", None
    for day in MONTHS[:count]:
        bucket = draw(st.integers(0, 6))
        balance = draw(st.just(int(bucket > 0)) | st.integers(1, 999_999))
        since = (since or day.replace(day=2)) if bucket else None
        course.append(
            {
                "account_status": METRO2_STATUS.symbol(bucket * 30),
                "current_balance": balance,
                "amount_past_due": draw(st.integers(1, balance)) if bucket else 0,
                "date_of_first_delinquency": since,
            }
        )
        history = (str(bucket) if bucket or balance else "E") + history
    course += draw(
        st.sampled_from([[], *ends(since or MONTHS[count].replace(day=2), MONTHS[count:])])
    )
    told, history = [], ""
    for day, values in zip(MONTHS, course, strict=False):
        paid = draw(st.integers(1, 9_999) | st.just(0))
        told.append(
            {
                **terms,
                "actual_payment": paid,
                "scheduled_monthly_payment": draw(st.integers(0, 9_999)),
                "date_of_last_payment": day.replace(day=5) if paid else None,
                "date_of_account_information": day,
                "payment_history_profile": (history + "B" * 24)[:24],
                **values,
            }
        )
        history = month_code(values) + history
    return told


def ends(since: date, left: list[date]) -> list[list[dict[str, Any]]]:
    """Return how an account can end: paid, sold, or in default and paid in the month after."""
    default = {
        "current_balance": 4_000,
        "amount_past_due": 4_000,
        "date_of_first_delinquency": since,
    }
    closed = {"payment_rating": "0", "current_balance": 0, "date_closed": left[0].replace(day=20)}
    paid = {"current_balance": 0, "date_closed": left[1].replace(day=20)}
    paid["date_of_first_delinquency"] = since
    off = {"original_charge_off_amount": 4_500}
    return [
        [{"account_status": "13", "payment_rating": "0", **closed}],
        [{"account_status": "13", "payment_rating": "0", "special_comment": "M", **closed}],
        [
            {
                "account_status": "13",
                "payment_rating": "0",
                "compliance_condition_code": "XA",
                **closed,
            }
        ],
        [{"account_status": "05", "payment_rating": "0", **closed}],
        [{"account_status": "97", **default, **off}, {"account_status": "64", **paid, **off}],
        [{"account_status": "93", **default}, {"account_status": "62", **paid}],
        [
            {"account_status": "96", **default},
            {"account_status": "63", "special_comment": "AU", **paid},
        ],
    ]


def month_code(values: dict[str, Any]) -> str:
    status = values["account_status"]
    default = {"97": "L", "93": "G", "96": "K"}.get(status)
    late = {"71": "1", "78": "2", "80": "3", "82": "4", "83": "5", "84": "6"}.get(status)
    return default or late or ("0" if values["current_balance"] else "E")


@settings(max_examples=150)
@given(course=courses())
def test_any_course_of_an_account_is_written_as_it_was_read(course: list[dict[str, Any]]) -> None:
    told: list[AccountEvent] = []
    for values in course:
        base = account(1, **values)
        told += events(base)
        period = f"{values['date_of_account_information']:%Y-%m}"

        (written,) = record_of(told, period, "LOAN 1")

        expected = held(base)
        if not values["actual_payment"]:
            # The day of an earlier payment still is the last one.
            expected["date_of_last_payment"] = written["date_of_last_payment"]
        assert held(written) == expected


def test_consumers_and_sale_are_written_and_names_come_from_the_member() -> None:
    person: dict[str, Any] = {
        "surname": "ROE",
        "first_name": "RICHARD",
        "social_security_number": 536_90_1001,
    }
    joint = segment(J1, {"segment_identifier": "J1", "ecoa_code": "2", **person})
    sale = {"purchased_indicator": "2", "purchased_name": "OTHER BANK"}
    sold = segment(K2, {"segment_identifier": "K2", **sale})
    made = events(account(1, account_status="05", payment_rating="0"), joint, sold)
    who = {each.subject for each in made if each.subject.identifier == "536901001"}

    written = record_of(made, "2026-01", "LOAN 1", {who.pop(): {**person}})

    assert written[1:] == (joint, sold)


def test_month_that_was_not_reported_is_not_written() -> None:
    made = events(account(1))

    with pytest.raises(Metro2Error, match="no statement to write for 2026-02"):
        record_of(made, "2026-02", "LOAN 1")
    with pytest.raises(Metro2Error, match="no opening"):
        record_of(made[1:], "2026-01", "LOAN 1")


def test_history_has_a_gap_where_a_month_was_not_reported() -> None:
    told = [
        *events(account(1, date_of_account_information=date(2025, 10, 31), actual_payment=0)),
        *events(account(1, date_of_account_information=date(2025, 12, 31), actual_payment=0)),
    ]

    (written,) = record_of(told, "2025-12", "LOAN 1")

    assert written.text("payment_history_profile") == "D0" + "B" * 22


def test_every_choice_of_the_ledger_that_the_codes_name_exists() -> None:
    assert {name for name, _ in codes.DEFAULTS.values()} <= set(DEFAULT.names)
    assert set(codes.PAID_DEFAULTS.values()) <= set(DEFAULT.names)
    assert {"settled_full", "settled_less", "asset_in_lieu"} <= set(RESOLUTION.names)
    assert {"performing", "overdue", "written_off"} <= set(ASSET_STATUS.names)
