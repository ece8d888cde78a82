"""
The events of a card, made row by row in plain Python: what the ready mapping is compared with.

It shares nothing with the mapping but the schemas and the words of `tradeline_client.taiwan`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tradeline_client.taiwan import (
    CURRENCY,
    LAST_MONTH,
    MINOR_PER_DOLLAR,
    MONTHS,
    CardClient,
    amount_in_default_minor,
)
from tradeline_ledger.calendar import last_date, period
from tradeline_ledger.event import Report
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import (
    DEFAULT,
    DEFAULTED,
    DELINQUENCY,
    OPENED,
    PORTFOLIO,
    PRODUCT,
    ROLE,
    SECURITY,
    STAGE,
    STAGE_DAYS,
    STATEMENT,
)

_CREDIT_CARD = PRODUCT.number("credit_card")
_REVOLVING = PORTFOLIO.number("revolving")
_PRIMARY = ROLE.number("primary")
_UNSECURED = SECURITY.number("unsecured")
_PAYMENT_DEFAULT = DEFAULT.number("payment_default")
_LAST_STAGE = len(STAGE.names)


def events_of(client: CardClient, shift: int) -> list[Report]:
    """Return what a lender reports about one client, by day, moved by `shift` months."""
    months = _months(shift)
    account = f"card {client.number:05}"
    reports = [_opened(client, account, months[0])]
    first_delinquent_on: str | None = None
    # An index is quicker than zipping five tuples, and this runs 180,000 times.
    for place in range(MONTHS):
        month, late = months[place], client.months_late[place]
        reports.append(_statement(client, account, month, place))
        if late < 1:
            first_delinquent_on = None
            continue
        if first_delinquent_on is None:
            first_delinquent_on = f"{period(month.number - late + 1)}-01"
        reports.append(_delinquency(client, account, month, late, first_delinquent_on))
    if client.defaulted:
        reports.append(_default(client, account, months[MONTHS], first_delinquent_on))
    return reports


class _Month(NamedTuple):
    """One month with the texts that events of it need."""

    number: int
    period: str
    first_on: str
    last_on: str


@lru_cache(maxsize=4)
def _months(shift: int) -> tuple[_Month, ...]:
    """Return the six months of statements and the one after, moved by `shift` months."""
    first = LAST_MONTH - MONTHS + 1 + shift
    return tuple(
        _Month(number, period(number), f"{period(number)}-01", last_date(number))
        for number in range(first, first + MONTHS + 1)
    )


def _opened(client: CardClient, account: str, month: _Month) -> Report:
    return Report(
        schema=OPENED,
        occurred_on=month.first_on,
        basis=Basis.CONTRACT,
        ref=f"opened {client.number:05}",
        account=account,
        fields=OPENED.values(
            product=_CREDIT_CARD,
            portfolio=_REVOLVING,
            role=_PRIMARY,
            currency=CURRENCY,
            limit_minor=client.limit_twd * MINOR_PER_DOLLAR,
            security=_UNSECURED,
        ),
    )


def _statement(client: CardClient, account: str, month: _Month, place: int) -> Report:
    late = client.months_late[place]
    return Report(
        schema=STATEMENT,
        occurred_on=month.last_on,
        basis=Basis.CONTRACT,
        ref=f"statement {client.number:05} {month.period}",
        account=account,
        fields=STATEMENT.values(
            period=month.period,
            currency=CURRENCY,
            statement_balance_minor=client.bills_twd[place] * MINOR_PER_DOLLAR,
            days_past_due=max(late, 0) * STAGE_DAYS,
            past_due_minor=None if late > 0 else 0,
            paid_minor=client.paid_twd[place] * MINOR_PER_DOLLAR,
        ),
    )


def _delinquency(
    client: CardClient, account: str, month: _Month, late: int, first_delinquent_on: str
) -> Report:
    return Report(
        schema=DELINQUENCY,
        occurred_on=month.last_on,
        basis=Basis.CONTRACT,
        ref=f"delinquency {client.number:05} {month.period}",
        account=account,
        fields=DELINQUENCY.values(
            first_delinquent_on=first_delinquent_on,
            days_past_due=late * STAGE_DAYS,
            stage=min(late, _LAST_STAGE),
        ),
    )


def _default(
    client: CardClient, account: str, month: _Month, first_delinquent_on: str | None
) -> Report:
    return Report(
        schema=DEFAULTED,
        occurred_on=month.first_on,
        basis=Basis.CONTRACT,
        ref=f"default {client.number:05}",
        account=account,
        fields=DEFAULTED.values(
            kind=_PAYMENT_DEFAULT,
            currency=CURRENCY,
            amount_minor=amount_in_default_minor(client.bills_twd),
            first_delinquent_on=first_delinquent_on or month.first_on,
        ),
    )
