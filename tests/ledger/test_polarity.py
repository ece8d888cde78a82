"""Which way events speak, and what is doubtful about events that are valid."""

from __future__ import annotations

from typing import Any

import pytest

from tradeline_ledger.finding import Severity
from tradeline_ledger.polarity import Polarity
from tradeline_ledger.rule import OCCURRED_ON
from tradeline_ledger.schema import EventSchema
from tradeline_ledger.schemas import SCHEMAS

POSITIVE, NEUTRAL, NEGATIVE = Polarity.POSITIVE, Polarity.NEUTRAL, Polarity.NEGATIVE


def values_of(schema: EventSchema, given: dict[str, Any]) -> tuple[Any, ...]:
    """Return wire values where only what is given is read from JSON."""
    return tuple(
        item.kind.from_json(given[item.name]) if item.name in given else None
        for item in schema.fields
    )


@pytest.mark.parametrize(
    ("name", "given", "polarity"),
    [
        ("account.opened", {}, NEUTRAL),
        ("account.statement", {"days_past_due": 0}, POSITIVE),
        ("account.statement", {"days_past_due": 1}, NEGATIVE),
        ("account.statement", {"days_past_due": 0, "five_class": "special_mention"}, POSITIVE),
        ("account.statement", {"days_past_due": 0, "five_class": "substandard"}, NEGATIVE),
        ("account.statement", {"days_past_due": 0, "asset_status": "written_off"}, NEGATIVE),
        ("account.payment", {"kind": "regular"}, POSITIVE),
        ("account.payment", {"kind": "recovery"}, NEGATIVE),
        ("account.delinquency", {}, NEGATIVE),
        ("account.default", {}, NEGATIVE),
        ("account.resolved", {"kind": "cured"}, NEUTRAL),
        ("account.resolved", {"kind": "settled_less"}, NEGATIVE),
        ("guarantee.given", {}, NEUTRAL),
        ("guarantee.called", {}, NEGATIVE),
        ("public.judgment", {"status": "in_force"}, NEGATIVE),
        ("public.judgment", {"status": "set_aside"}, NEUTRAL),
        ("public.dishonest_debtor", {"status": "listed"}, NEGATIVE),
        ("public.dishonest_debtor", {"status": "removed"}, NEUTRAL),
        ("public.award", {}, POSITIVE),
        ("public.licence", {"status": "granted"}, NEUTRAL),
        ("public.licence", {"status": "revoked"}, NEGATIVE),
        ("utility.postpaid", {"months_in_arrears": 0}, POSITIVE),
        ("utility.postpaid", {"months_in_arrears": 1}, NEGATIVE),
        ("platform.summary", {"disputes_lost": 0, "chargebacks": 1}, NEGATIVE),
        ("watchlist.listed", {}, NEGATIVE),
        ("reward.granted", {}, POSITIVE),
        ("risk.signal", {"severity": "low"}, NEUTRAL),
        ("risk.signal", {"severity": "high"}, NEGATIVE),
        ("subject.identity", {}, NEUTRAL),
    ],
)
def test_polarity_follows_the_fields(name: str, given: dict[str, Any], polarity: Polarity) -> None:
    schema = SCHEMAS.named(name)
    assert schema.polarity(values_of(schema, given)) is polarity


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("account.statement", {"days_past_due": 91, "five_class": "substandard"}, {}),
        (
            "account.statement",
            {"days_past_due": 91, "five_class": "normal"},
            {"grade-too-good": Severity.WARNING},
        ),
        (
            "account.statement",
            {"days_past_due": 5000},
            {"unusual": Severity.QUARANTINE},
        ),
        (
            "account.statement",
            {"days_past_due": 1, "statement_balance_minor": 5, "past_due_minor": 6},
            {"less-than": Severity.WARNING},
        ),
        ("account.opened", {"rate_ppm": 360_000, "limit_minor": 1}, {}),
        (
            "account.opened",
            {"rate_ppm": 360_001, "limit_minor": 1},
            {"unusual": Severity.QUARANTINE},
        ),
        ("account.opened", {"limit_minor": 0}, {"unusual": Severity.WARNING}),
        ("account.application", {"decision": "declined"}, {"needed": Severity.WARNING}),
        (
            "org.financials",
            {"assets_minor": 1000, "liabilities_minor": 700, "equity_minor": 199},
            {"sum": Severity.QUARANTINE},
        ),
        (
            "org.financials",
            {"assets_minor": 1000, "liabilities_minor": 700, "equity_minor": 200},
            {},
        ),
        (
            "org.profile",
            {
                "shareholders": [
                    {"name": "A", "share_permille": 600},
                    {"name": "B", "share_permille": 401},
                ]
            },
            {"rows-above-whole": Severity.QUARANTINE},
        ),
    ],
)
def test_doubts_say_what_becomes_of_the_event(
    name: str, given: dict[str, Any], found: dict[str, Severity]
) -> None:
    schema = SCHEMAS.named(name)
    findings = schema.doubtful(values_of(schema, given), "2026-06-15")
    assert {each.code: each.severity for each in findings} == found
    assert all(each.expected and each.fix and each.field for each in findings)


def test_doubt_shows_no_amount() -> None:
    schema = SCHEMAS.named("account.statement")
    given = {"days_past_due": 1, "statement_balance_minor": 51423, "past_due_minor": 61423}
    (finding,) = schema.doubtful(values_of(schema, given), "2026-06-15")
    assert finding.got == "statement_balance_minor not shown, past_due_minor not shown"
    assert "1423" not in repr(finding)


@pytest.mark.parametrize("schema", [*SCHEMAS], ids=lambda schema: schema.name)
def test_every_rule_doubt_and_case_names_fields_of_its_type(schema: EventSchema) -> None:
    names = {item.name for item in schema.fields} | {OCCURRED_ON}
    for rule in (*schema.rules, *(doubt.rule for doubt in schema.doubts)):
        assert set(rule.reads) <= names
        assert rule.code
        assert rule.expected
    assert {condition.field for condition, _ in schema.leaning.cases} <= names
    assert all(doubt.severity is not Severity.REJECT for doubt in schema.doubts)
