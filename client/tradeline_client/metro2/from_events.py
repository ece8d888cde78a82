"""
Metro 2 record of an account out of its events.

What events don't hold, names and addresses among it, is taken from the member's own files or left
blank. Amounts are rounded down to whole dollars, balances below zero are written as zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.errors import Metro2Error
from tradeline_client.metro2 import codes
from tradeline_client.metro2.layout import BASE, J1, K1, K2, Segment, segment
from tradeline_ledger.calendar import month_of
from tradeline_ledger.event_types.account import DIRECTION
from tradeline_ledger.grid import METRO2_PROFILE, METRO2_STATUS, MonthlyHistory, metro2_profile
from tradeline_ledger.identifier import IdType, SubjectId
from tradeline_ledger.schemas import (
    ASSET_STATUS,
    CLOSED,
    CLOSURE,
    DEFAULT,
    DEFAULTED,
    DELINQUENCY,
    OPENED,
    PAYMENT_MADE,
    RESOLUTION,
    RESOLVED,
    STATEMENT,
    TRANSFERRED,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tradeline_client.metro2.kind import Value
    from tradeline_client.metro2.to_events import AccountEvent
    from tradeline_ledger.schema import EventSchema

_DOLLARS_MAX: Final = 999_999_999
_CODES_OF_ROLES: Final = {number: code for code, number in reversed(codes.ROLES.items())} | {
    codes.ROLES[code]: code for code in "1235"
}
_CODES_OF_PORTFOLIOS: Final = {number: code for code, number in codes.PORTFOLIOS.items()}
_CODES_OF_FREQUENCIES: Final = {number: code for code, number in codes.FREQUENCIES.items()}


def record_of(
    events: Iterable[AccountEvent],
    period: str,
    account_number: str,
    persons: Mapping[SubjectId, Mapping[str, Value]] | None = None,
) -> tuple[Segment, ...]:
    """
    Return the segments that report an account for a month.

    Args:
        events: of the account and of all its consumers; those after the month are left out.
        period: `YYYY-MM`.
        account_number: what the member calls the account.
        persons: further fields of the segment of each consumer, such as name and address.

    Raises:
        Metro2Error: the opening or the statement of the month is missing, or an amount or a
            consumer is none that Metro 2 can name.
    """
    account = _History.of(event for event in events if event.occurred_on[:7] <= period)
    opened, statement = account.last(OPENED), account.statements.get(period)
    if not opened or statement is None:
        raise Metro2Error(
            f"an account has no {'statement' if opened else 'opening'} to write for {period}; "
            "read the events of the whole account, and write months that were reported"
        )
    values = _terms(opened) | _month(account, statement) | _state(account, statement)
    values |= {
        "processing_indicator": "1",
        "correction_indicator": "0",
        "consumer_account_number": account_number,
        "date_opened": date.fromisoformat(account.opened_on),
        "payment_history_profile": _profile(account, period),
    }
    known = persons or {}
    listed = sorted(account.roles.items(), key=lambda item: item[1])
    (holder, role), *others = listed
    base = segment(BASE, {**values, **_consumer(holder, role), **known.get(holder, {})})
    appended = [
        segment(J1, {"segment_identifier": "J1", **_consumer(who, role), **known.get(who, {})})
        for who, role in others
    ]
    return (base, *appended, *_sale(account))


@dataclass(slots=True)
class _History:
    """What events say of one account, the same for each of its consumers."""

    opened_on: str = ""
    roles: dict[SubjectId, int] = field(default_factory=dict)
    statements: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By period."""
    latest: dict[EventSchema, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    """Day and fields of the last event of each type."""

    @classmethod
    def of(cls, events: Iterable[AccountEvent]) -> _History:
        """Return the history that events tell."""
        found = cls()
        for event in sorted(events, key=lambda event: event.occurred_on):
            names = (each.name for each in event.schema.fields)
            fields = dict(zip(names, event.fields, strict=True))
            if fields.get("currency") not in (None, codes.CURRENCY):
                raise Metro2Error(
                    f"an amount is in {fields['currency']}, expected {codes.CURRENCY}: Metro 2 has "
                    "dollars only"
                )
            found.latest[event.schema] = event.occurred_on, fields
            if event.schema is OPENED:
                found.opened_on = event.occurred_on
                found.roles[event.subject] = fields["role"]
            elif event.schema is STATEMENT:
                found.statements[fields["period"]] = {**fields, "on": event.occurred_on}
        return found

    def last(self, schema: EventSchema) -> dict[str, Any]:
        """Return the fields of the last event of a type, none of which if there was none."""
        return self.latest.get(schema, ("", {}))[1]

    def day(self, schema: EventSchema) -> str:
        """Return the day of the last event of a type, or nothing."""
        return self.latest.get(schema, ("", {}))[0]

    def default_kind(self) -> str:
        """Return what the account defaulted with, or nothing."""
        number = self.last(DEFAULTED).get("kind")
        return DEFAULT.names[number - 1] if number else ""


def _terms(opened: dict[str, Any]) -> dict[str, Value]:
    portfolio = opened["portfolio"]
    limit = "credit_limit" if portfolio in codes.LIMITED else "highest_credit"
    term = opened["term_months"]
    duration = f"{min(term, 999):03}" if portfolio in codes.TERMED else codes.TERMS[portfolio]
    return {
        "portfolio_type": _CODES_OF_PORTFOLIOS[portfolio],
        "account_type": codes.ACCOUNT_TYPES[opened["product"]],
        limit: _dollars(opened["limit_minor"]),
        "terms_duration": duration,
        "terms_frequency": _CODES_OF_FREQUENCIES.get(opened["payment_frequency"] or 0, ""),
    }


def _month(account: _History, statement: dict[str, Any]) -> dict[str, Value]:
    paid_on = account.day(PAYMENT_MADE)
    return {
        "current_balance": _dollars(max(statement["statement_balance_minor"], 0)),
        "amount_past_due": _dollars(statement["past_due_minor"] or 0),
        "actual_payment": _dollars(statement["paid_minor"] or 0),
        "scheduled_monthly_payment": _dollars(statement["scheduled_due_minor"] or 0),
        "date_of_account_information": date.fromisoformat(statement["on"]),
        "date_of_last_payment": date.fromisoformat(paid_on) if paid_on else None,
    }


def _state(account: _History, statement: dict[str, Any]) -> dict[str, Value]:
    """Return status, rating and what goes with them."""
    status = _status(account, statement)
    days = statement["days_past_due"]
    values: dict[str, Value] = {
        "account_status": status,
        "payment_rating": METRO2_PROFILE.symbol(days) if status in codes.RATED else "",
    }
    late = account.day(DELINQUENCY) == statement["on"]
    since = account.last(DELINQUENCY) if late else account.last(DEFAULTED)
    if since:
        values["date_of_first_delinquency"] = date.fromisoformat(since["first_delinquent_on"])
    if account.default_kind() == "charge_off":
        values["original_charge_off_amount"] = _dollars(account.last(DEFAULTED)["amount_minor"])
    if closed := account.last(CLOSED):
        values["date_closed"] = date.fromisoformat(account.day(CLOSED))
        reason = CLOSURE.names[closed["reason"] - 1]
        if reason == "subject_request":
            values["compliance_condition_code"] = codes.CLOSED_BY_CONSUMER
        elif reason == "lender":
            values["special_comment"] = codes.CLOSED_BY_LENDER
    if account.last(RESOLVED).get("kind") == RESOLUTION.number("settled_less"):
        values["special_comment"] = codes.PAID_FOR_LESS
    return values


def _status(account: _History, statement: dict[str, Any]) -> str:
    asset_status = ASSET_STATUS.names[(statement["asset_status"] or 1) - 1]
    if asset_status == "written_off":
        return "97"
    kind = account.default_kind()
    if asset_status == "non_performing":
        if account.last(RESOLVED).get("kind") == RESOLUTION.number("asset_in_lieu"):
            return "89"
        return next((status for status, (name, _) in codes.DEFAULTS.items() if name == kind), "93")
    if asset_status == "transferred":
        return "05"
    if account.last(RESOLVED) and kind:
        return next(status for status, name in codes.PAID_DEFAULTS.items() if name == kind)
    if account.last(CLOSED) and not statement["statement_balance_minor"]:
        return "13"
    return METRO2_STATUS.symbol(statement["days_past_due"])


def _profile(account: _History, period: str) -> str:
    """Return a symbol for each of the months before `period`, the latest first."""
    days: dict[int, int] = {}
    marks: dict[int, str] = {}
    for statement in account.statements.values():
        month = month_of(statement["on"])
        days[month] = statement["days_past_due"]
        if mark := _mark(account, statement):
            marks[month] = mark
    # What stands before the first statement is not known to the ledger.
    first = max(month_of(account.opened_on), min(days))
    return metro2_profile(MonthlyHistory(first, days, marks), month_of(f"{period}-01"))


def _mark(account: _History, statement: dict[str, Any]) -> str:
    """Return the symbol of a month that is no number of days, or nothing."""
    asset_status = ASSET_STATUS.names[(statement["asset_status"] or 1) - 1]
    if asset_status == "written_off":
        return "L"
    if asset_status == "non_performing":
        kind = account.default_kind()
        return next((code for name, code in codes.DEFAULTS.values() if name == kind), "G")
    owes = statement["days_past_due"] or statement["statement_balance_minor"]
    return "" if owes else "E"


def _sale(account: _History) -> tuple[Segment, ...]:
    sale = account.last(TRANSFERRED)
    if not sale:
        return ()
    sold = sale["direction"] == DIRECTION.number("given_up")
    original = sale["original_creditor"]
    first = {"segment_identifier": "K1", "original_creditor_name": original}
    second = {
        "segment_identifier": "K2",
        "purchased_indicator": codes.SOLD_TO if sold else codes.PURCHASED_FROM,
        "purchased_name": sale["counterparty"],
    }
    return (*([segment(K1, first)] if original else []), segment(K2, second))


def _consumer(subject: SubjectId, role: int) -> dict[str, Value]:
    if subject.id_type is not IdType.US_SSN:
        raise Metro2Error(
            f"a consumer is known by {subject.id_type.name}, expected US_SSN: Metro 2 has no field "
            "for others"
        )
    return {
        "social_security_number": int(subject.identifier),
        "ecoa_code": _CODES_OF_ROLES[role],
    }


def _dollars(minor: int) -> int:
    dollars = minor // codes.MINOR_PER_DOLLAR
    if dollars > _DOLLARS_MAX:
        raise Metro2Error("an amount has more than 9 digits of dollars, which Metro 2 can't hold")
    return dollars
