"""What the demo's institutions report, and the one person whose history it follows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.datasets import TAIWAN_CARDS, fetch_wheel
from tradeline_client.population import Filing, Institution, Person, filings_of, people_of
from tradeline_client.taiwan import months_shift, read_clients
from tradeline_ledger.schemas import STATEMENT

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.event import Report

CLIENTS: Final = 30_000
"""Card holders in the data set."""
_SEED: Final = hashlib.sha256(b"tradeline demo population").digest()
FOLDERS: Final = {
    Institution.BANK: "bank",
    Institution.ONLINE_LENDER: "lender",
    Institution.PAYMENT_COMPANY: "payment",
    Institution.COURT: "court",
}
"""Member folder of each institution."""


@dataclass(frozen=True, slots=True)
class Borrowers:
    """Everything that is to be filed."""

    filings: dict[Institution, list[Filing]]
    persons: int
    cards: int
    person: Person
    """Holds cards at several lenders, one of them in default."""

    def statement(self, institution: Institution) -> Report:
        """Return the newest statement that `institution` reports about `person`."""
        own = [
            each.report
            for each in self.filings[institution]
            if each.subject == self.person.subject and each.report.schema is STATEMENT
        ]
        return max(own, key=lambda report: report.occurred_on)


def load(cache: Path, clients: int, today: str) -> Borrowers:
    """
    Return what the first `clients` card holders make, moved so that it ends the month before.

    Raises:
        DatasetError: the data set can't be fetched.
    """
    cards = read_clients(fetch_wheel(TAIWAN_CARDS, cache))[:clients]
    people = people_of(cards, _SEED)
    filings: dict[Institution, list[Filing]] = defaultdict(list)
    for filing in filings_of(people, _SEED, months_shift(today)):
        filings[filing.institution].append(filing)
    at_court = {each.subject for each in filings[Institution.COURT]}

    def interest(person: Person) -> tuple[int, bool, bool, int]:
        known = person.subject in at_court
        return len(person.cards), known, bool(person.defaulted), -person.number

    return Borrowers(dict(filings), len(people), len(cards), max(people, key=interest))
