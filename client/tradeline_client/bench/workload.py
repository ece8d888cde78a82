"""Made-up reports about made-up subjects, the same in every run of one day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_ledger.calendar import last_date, month_of, period
from tradeline_ledger.event import Report
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier, resident_id
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBJECTS: Final = 10_000
_SEED: Final = 20_260_921
_PRESENT_YEAR: Final = 2026
_COUNTY: Final = "110101"
_BIRTH_DAYS: Final = 28
_SEQUENCES: Final = 900
_MONTHS: Final = 12


def subjects(count: int) -> list[SubjectId]:
    """Return `count` different persons, born in the 1870s: they belong to nobody living."""
    found = []
    for number in range(count):
        day, sequence = divmod(number, _SEQUENCES)
        month, day = divmod(day, _BIRTH_DAYS)
        text = resident_id(_COUNTY, f"187{month // 12}-{month % 12 + 1:02}-{day + 1:02}", sequence)
        found.append(parse_identifier(IdType.RESIDENT_ID, text, _PRESENT_YEAR))
    return found


def reports(
    count: int, people: Sequence[SubjectId], today: str, salt: str = ""
) -> list[tuple[Report, SubjectId]]:
    """Return statements of accounts, all fields given, about people drawn at random."""
    random = np.random.default_rng(_SEED)
    drawn = random.integers(0, len(people), count).tolist()
    amounts = random.integers(1, 10_000_000, (count, 4)).tolist()
    last = month_of(today) - 1
    return [
        (_statement(f"{salt}{number}", who, last - number % 6, amounts[number]), people[who])
        for number, who in enumerate(drawn)
    ]


def year_of(person: SubjectId, today: str) -> list[tuple[Report, SubjectId]]:
    """Return a statement about one person for each of the last twelve months."""
    last = month_of(today) - 1
    amounts = (2_000_000, 100_000, 100_000, 2_100_000)
    return [
        (_statement(f"year {number}", SUBJECTS, last - number, amounts), person)
        for number in range(_MONTHS)
    ]


def _statement(ref: str, who: int, month: int, amounts: Sequence[int]) -> Report:
    balance, paid, minimum, closing = amounts
    return Report(
        schema=STATEMENT,
        occurred_on=last_date(month),
        basis=Basis.CONTRACT,
        ref=f"statement {ref}",
        account=f"card {who}",
        fields=STATEMENT.values(
            period=period(month),
            currency="CNY",
            statement_balance_minor=balance,
            days_past_due=0,
            past_due_minor=0,
            paid_minor=paid,
            minimum_due_minor=minimum,
            closing_balance_minor=closing,
        ),
    )
