"""The Taiwan card data set as events: totals on the real file, and what each row turns into."""

from __future__ import annotations

import csv
import io
import random
from functools import cache
from itertools import pairwise

import pytest
from tests.card_events import events_of
from tests.cards import clients, wheel

from tradeline_client.datasets import TAIWAN_CARDS, DatasetError, read_dataset
from tradeline_client.taiwan import (
    CardClient,
    amount_in_default_minor,
    card_reports,
    count_types,
    months_shift,
    parse_clients,
)
from tradeline_ledger.calendar import month_of
from tradeline_ledger.event import (
    References,
    Report,
    bind,
    decode_event,
    encode_event,
    report_to_json,
)
from tradeline_ledger.identifier import IdType, parse_identifier, resident_id
from tradeline_ledger.schemas import SCHEMAS

TODAY = "2026-11-23"
SHIFT = months_shift(TODAY)
SOMEBODY = parse_identifier(IdType.RESIDENT_ID, resident_id("110101", "1890-03-07", 42), 2026)
NOT_FOR_THE_LEDGER = ("SEX", "AGE", "EDUCATION", "MARRIAGE")


@cache
def everything() -> dict[int, list[Report]]:
    """Return the reports of the real file, by number of the client."""
    return card_reports(((client, SOMEBODY) for client in clients()), SHIFT)


def reports_of(client: CardClient, shift: int) -> list[Report]:
    return card_reports([(client, SOMEBODY)], shift)[client.number]


def test_the_ready_mapping_gives_what_plain_code_gives_for_all_30_000_cards() -> None:
    found = everything()
    assert list(found) == list(range(1, 30_001))
    for client in clients():
        assert found[client.number] == events_of(client, SHIFT)


def test_real_file_gives_the_known_totals() -> None:
    everyone = clients()
    assert len(everyone) == 30_000
    assert [client.number for client in everyone] == list(range(1, 30_001))
    assert count_types(report for reports in everything().values() for report in reports) == {
        "account.opened": 30_000,
        "account.statement": 180_000,
        "account.delinquency": 25_026,
        "account.default": 6_636,
    }


def test_oddities_of_the_data_are_kept() -> None:
    everyone = clients()
    bills = [bill for client in everyone for bill in client.bills_twd]
    late = [client.months_late for client in everyone]
    jumps = sum(before <= 0 and after == 2 for months in late for before, after in pairwise(months))
    assert sum(bill < 0 for bill in bills) == 3_932
    assert max(bills) == 1_664_089
    assert jumps == 6_209
    assert {month for months in late for month in months} == set(range(-2, 9))
    owing = [client for client in everyone if client.defaulted]
    assert sum(max(client.bills_twd) <= 0 for client in owing) == 347
    assert min(amount_in_default_minor(client.bills_twd) for client in owing) == 100


def test_every_event_of_every_client_follows_its_schema() -> None:
    references = References(b"r" * 32)
    refs = set()
    count = longest = 0
    for reports in everything().values():
        for report in reports:
            event = bind(report, references, lambda _year, ref: ref)
            encoded = encode_event(event)
            refs.add(event.ref)
            count += 1
            longest = max(longest, len(encoded))
            if count % 500 == 0:
                assert decode_event(encoded) == event
    assert count == len(refs) == 241_662
    assert longest <= 256 - 4, "a card event fits the smallest bucket of padding"


def test_months_end_in_the_month_before_today() -> None:
    for today, first, last, after in (
        ("2026-11-23", "2026-05", "2026-10", "2026-11-01"),
        ("2026-01-01", "2025-07", "2025-12", "2026-01-01"),
        ("2005-10-31", "2005-04", "2005-09", "2005-10-01"),
    ):
        reports = reports_of(clients()[0], months_shift(today))
        statements = [report for report in reports if report.schema.name == "account.statement"]
        assert statements[0].fields[0] == first
        assert statements[-1].fields[0] == last
        assert reports[0].occurred_on == f"{first}-01"
        assert reports[-1].occurred_on == after <= today
        assert all(month_of(report.occurred_on) <= month_of(today) for report in reports)


ROW = CardClient(
    number=7,
    limit_twd=20_000,
    months_late=(-2, 2, 3, -1, 1, 8),
    bills_twd=(0, -50, 689, 3_102, 3_913, 0),
    paid_twd=(0, 0, 100, 689, 0, 0),
    defaulted=True,
)


def test_one_client_as_events() -> None:
    lines = [report_to_json(report) for report in reports_of(ROW, months_shift("2026-11-23"))]
    brief = [(line["type"], line["occurred_on"], line["ref"], line["fields"]) for line in lines]
    assert all(line["account"] == "card 00007" and line["basis"] == "contract" for line in lines)
    assert brief[0] == (
        "account.opened",
        "2026-05-01",
        "opened 00007",
        {
            "product": "credit_card",
            "portfolio": "revolving",
            "role": "primary",
            "currency": "TWD",
            "limit_minor": 2_000_000,
            "security": "unsecured",
        },
    )
    assert brief[2] == (
        "account.statement",
        "2026-06-30",
        "statement 00007 2026-06",
        {
            "period": "2026-06",
            "currency": "TWD",
            "statement_balance_minor": -5_000,
            "days_past_due": 60,
            "paid_minor": 0,
        },
    )
    assert [
        (ref, fields["first_delinquent_on"], fields["days_past_due"], fields["stage"])
        for name, _, ref, fields in brief
        if name == "account.delinquency"
    ] == [
        # Two months late when first seen, and the day stays while it lasts.
        ("delinquency 00007 2026-06", "2026-05-01", 60, "days_60"),
        ("delinquency 00007 2026-07", "2026-05-01", 90, "days_90"),
        ("delinquency 00007 2026-09", "2026-09-01", 30, "days_30"),
        ("delinquency 00007 2026-10", "2026-09-01", 240, "days_180"),
    ]
    assert brief[-1] == (
        "account.default",
        "2026-11-01",
        "default 00007",
        {
            "kind": "payment_default",
            "currency": "TWD",
            "amount_minor": 391_300,
            "first_delinquent_on": "2026-09-01",
        },
    )


def test_default_of_who_was_never_late_began_on_its_own_day() -> None:
    never_late = ROW._replace(months_late=(0,) * 6)
    line = report_to_json(reports_of(never_late, SHIFT)[-1])
    assert line["fields"]["first_delinquent_on"] == line["occurred_on"] == "2026-11-01"


def test_sex_marriage_education_and_age_have_no_effect_and_no_place() -> None:
    content = read_dataset(TAIWAN_CARDS, wheel()).decode("ascii")
    rows = list(csv.DictReader(io.StringIO(content)))[:500]
    private = [name for name in rows[0] if name.startswith(NOT_FOR_THE_LEDGER)]
    assert len(private) == 13
    draw = random.Random(0)
    for row in rows:
        row.update({name: str(draw.randint(0, 99)) for name in private})
    other = io.StringIO()
    writer = csv.DictWriter(other, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    assert parse_clients(other.getvalue().encode()) == clients()[:500]
    names = {item.name for schema in SCHEMAS for item in schema.fields}
    words = {word for name in names for word in name.split("_")}
    assert not words & {"sex", "gender", "age", "education", "marriage", "marital", "birth"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "'ID' is not in list"),
        (b"ID,LIMIT_BAL\n1,2\n", "default-payment-next-month"),
    ],
)
def test_file_without_its_columns_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        parse_clients(content)


def test_fraction_of_a_dollar_is_refused() -> None:
    lines = read_dataset(TAIWAN_CARDS, wheel()).splitlines()[:2]
    with pytest.raises(DatasetError, match="is not as expected: invalid literal"):
        parse_clients(lines[0] + b"\n" + lines[1].replace(b"20000.0", b"20000.5"))
