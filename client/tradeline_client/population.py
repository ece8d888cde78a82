"""
A made-up population around the Taiwan card data set.

The data set has cards and no persons, one bank and no court. Here each card is given to one of
three lenders, some cards are joined into persons who have one at two or three of them, persons
get identifiers, and a court registry gets a few public records. All of it is synthetic and follows
from a seed alone. The identifiers have valid check digits and birth years 1850 to 1899, so they
belong to nobody living.
"""

from __future__ import annotations

import enum
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_client.taiwan import (
    CURRENCY,
    LAST_MONTH,
    MINOR_PER_DOLLAR,
    CardClient,
    amount_in_default_minor,
    card_reports,
)
from tradeline_ledger.calendar import date_of_day, period
from tradeline_ledger.event import Report
from tradeline_ledger.identifier import IdType, SubjectId, parse_identifier, resident_id
from tradeline_ledger.mac import MacKey
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import (
    ADMIN_PENALTY,
    ENFORCEMENT,
    ENFORCEMENT_STATUS,
    JUDGMENT,
    JUDGMENT_STATUS,
    PENALTY,
    SEVERITY,
    TAX,
    TAX_ARREARS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tradeline_ledger.schema import EventSchema

FIRST_BIRTH_DAY: Final = -43829
"""1850-01-01, counted from 1970-01-01."""
BIRTH_DAYS: Final = 18262
"""Days from there to 1899-12-31."""
JOINED_SHARE: Final = 20
"""One in so many cards of a lender belongs to each of the groups that are joined."""
AUTHORITY: Final = "Court registry of the example (made up)"
SOURCE: Final = "synthetic"

# Of each thousand persons who defaulted. Who has a judgment may have an enforcement as well.
_JUDGMENTS: Final = 50
_ENFORCEMENTS: Final = 20
_TAX_ARREARS: Final = 20
_PENALTIES: Final = 10
_FINE_MINOR_MAX: Final = 100_000 * MINOR_PER_DOLLAR

_COUNTIES: Final = (
    *("110101", "110102", "110105", "110106", "110108", "120101", "120102", "120103", "120104"),
    *("120106", "310104", "330122", "360121", "510321", "532501", "610326", "620121", "652801"),
)
"""In use under the same number in every year, so that any tool finds them valid."""


@enum.unique
class Institution(enum.IntEnum):
    """Who reports."""

    BANK = 0
    ONLINE_LENDER = 1
    PAYMENT_COMPANY = 2
    COURT = 3


LENDERS: Final = (Institution.BANK, Institution.ONLINE_LENDER, Institution.PAYMENT_COMPANY)


class Person(NamedTuple):
    """One made-up person and their cards."""

    number: int
    """From 1, by the number of the first card."""
    subject: SubjectId
    """The person's identifier."""
    cards: tuple[tuple[Institution, CardClient], ...]
    """One to three cards, each at another lender."""

    @property
    def defaulted(self) -> tuple[CardClient, ...]:
        """The cards that are in default."""
        return tuple(client for _, client in self.cards if client.defaulted)


class Filing(NamedTuple):
    """One event that an institution reports about a subject."""

    institution: Institution
    subject: SubjectId
    report: Report


class _Draw:
    """Numbers that follow from a seed and a name."""

    __slots__ = ("_key",)

    def __init__(self, seed: bytes) -> None:
        self._key = MacKey(seed)

    def number(self, name: str, *of: int) -> int:
        """Return a number below 2**64 for a name and the numbers that it is about."""
        text = " ".join((name, *map(str, of)))
        return int.from_bytes(self._key.sign(text.encode("ascii"))[:8], "big")


def people_of(clients: Iterable[CardClient], seed: bytes) -> list[Person]:
    """Return persons who hold the cards of `clients`, each card once."""
    draw = _Draw(seed)
    groups = sorted(_join(_by_lender(clients, draw)), key=lambda cards: cards[0][1].number)
    used: set[str] = set()
    return [
        Person(number, _identify(number, draw, used), cards)
        for number, cards in enumerate(groups, start=1)
    ]


def identifiers(numbers: Iterable[int], seed: bytes) -> list[SubjectId]:
    """Return a made-up identifier for each number, the same ones in the same order; all differ."""
    draw = _Draw(seed)
    used: set[str] = set()
    return [_identify(number, draw, used) for number in numbers]


def filings_of(people: Iterable[Person], seed: bytes, shift: int) -> Iterator[Filing]:
    """Yield what all institutions report, person by person, moved by `shift` months."""
    draw = _Draw(seed)
    everyone = list(people)
    cards = [(client, person.subject) for person in everyone for _, client in person.cards]
    reports = card_reports(cards, shift)
    for person in everyone:
        for institution, client in person.cards:
            for report in reports[client.number]:
                yield Filing(institution, person.subject, report)
        if person.defaulted:
            for report in _public_records(person, draw, shift):
                yield Filing(Institution.COURT, person.subject, report)


_Cards = tuple[tuple[Institution, CardClient], ...]


def _by_lender(clients: Iterable[CardClient], draw: _Draw) -> list[list[CardClient]]:
    cards: list[list[CardClient]] = [[] for _ in LENDERS]
    for client in clients:
        cards[draw.number("lender", client.number) % len(LENDERS)].append(client)
    for held in cards:
        held.sort(key=lambda client: draw.number("join", client.number))
    return cards


def _join(cards: list[list[CardClient]]) -> Iterator[_Cards]:
    """Yield cards by person: some at all three lenders, as many at each two, all others alone."""
    fewest = min(len(held) for held in cards)
    each = min(fewest // len(LENDERS), max(1, fewest // JOINED_SHARE))
    rest = [iter(held) for held in cards]
    for group in (LENDERS, *combinations(LENDERS, 2)):
        for _ in range(each):
            joined = [(lender, next(rest[lender])) for lender in group]
            yield tuple(sorted(joined, key=lambda card: card[1].number))
    for lender in LENDERS:
        for client in rest[lender]:
            yield ((lender, client),)


def _identify(number: int, draw: _Draw, used: set[str]) -> SubjectId:
    attempt = 0
    while True:
        drawn, place = divmod(draw.number("identity", number, attempt), len(_COUNTIES))
        drawn, born = divmod(drawn, BIRTH_DAYS)
        identifier = resident_id(
            _COUNTIES[place], date_of_day(FIRST_BIRTH_DAY + born), drawn % 1000
        )
        if identifier not in used:
            used.add(identifier)
            # The last birth year that is drawn is the year until which it must be valid.
            return parse_identifier(IdType.RESIDENT_ID, identifier, 1899)
        attempt += 1


def _public_records(person: Person, draw: _Draw, shift: int) -> Iterator[Report]:
    """Yield what the court registry reports about a person in default, mostly nothing."""
    share = draw.number("court", person.number) % 1000
    owed_minor = amount_in_default_minor(person.defaulted[0].bills_twd)
    fine_minor = draw.number("fine", person.number) % _FINE_MINOR_MAX + 1
    day = 1 + draw.number("day", person.number) % 28
    earlier, later = (f"{period(LAST_MONTH + shift - back)}-{day:02}" for back in (2, 0))
    if share < _JUDGMENTS:
        status = JUDGMENT_STATUS.number("in_force")
        yield _record(person, JUDGMENT, earlier, amount_minor=owed_minor, status=status)
    if share < _ENFORCEMENTS:
        status = ENFORCEMENT_STATUS.number("opened")
        yield _record(person, ENFORCEMENT, later, amount_minor=owed_minor, status=status)
    if 0 <= share - _JUDGMENTS < _TAX_ARREARS:
        tax = TAX.number("personal_income")
        yield _record(person, TAX_ARREARS, earlier, amount_minor=fine_minor, tax=tax)
    if 0 <= share - _JUDGMENTS - _TAX_ARREARS < _PENALTIES:
        penalty = PENALTY.number("fine")
        yield _record(person, ADMIN_PENALTY, later, amount_minor=fine_minor, penalty=penalty)


def _record(person: Person, schema: EventSchema, occurred_on: str, **fields: int) -> Report:
    document_no = f"{SOURCE}-{schema.number}-{person.number:05}"
    return Report(
        schema=schema,
        occurred_on=occurred_on,
        basis=Basis.PUBLIC,
        ref=document_no,
        account=None,
        fields=schema.values(
            authority=AUTHORITY,
            document_no=document_no,
            severity=SEVERITY.number("general"),
            source=SOURCE,
            currency=CURRENCY,
            **fields,
        ),
    )
