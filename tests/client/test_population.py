"""The made-up population: nobody real, the same from the same seed, some at several lenders."""

from __future__ import annotations

from collections import Counter

import pytest
from stdnum.cn import ric
from tests.cards import clients

from tradeline_client.population import (
    Institution,
    Person,
    filings_of,
    people_of,
)
from tradeline_client.taiwan import months_shift
from tradeline_ledger.event import References, bind, decode_event, encode_event
from tradeline_ledger.schema import Basis

SEED = b"tests"
SHIFT = months_shift("2026-11-23")


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return people_of(clients(), SEED)


def test_every_card_has_one_holder_and_one_lender(people: list[Person]) -> None:
    cards = [client.number for person in people for _, client in person.cards]
    assert sorted(cards) == list(range(1, 30_001))
    for person in people:
        lenders = [lender for lender, _ in person.cards]
        assert len(set(lenders)) == len(lenders)
        assert Institution.COURT not in lenders
    assert [person.number for person in people] == list(range(1, len(people) + 1))


def test_some_persons_have_cards_at_two_or_three_lenders(people: list[Person]) -> None:
    held = Counter(len(person.cards) for person in people)
    assert held.keys() == {1, 2, 3}
    assert held[2] == 3 * held[3]
    assert 450 < held[3] < 550
    at = Counter(lender for person in people for lender, _ in person.cards)
    assert all(9_500 < at[lender] < 10_500 for lender in at)
    assert len(at) == 3


def test_identifiers_are_valid_and_belong_to_nobody_living(people: list[Person]) -> None:
    identifiers = [person.subject.identifier for person in people]
    assert len(set(identifiers)) == len(people)
    assert {identifier[6:8] for identifier in identifiers} == {"18"}
    years = {int(identifier[6:10]) for identifier in identifiers}
    assert years == set(range(1850, 1900))
    # The library is stricter about counties than we are, and other tools use it.
    assert all(ric.is_valid(identifier) for identifier in identifiers[::25])


def test_population_follows_from_its_seed() -> None:
    some = clients()[:300]
    assert people_of(some, SEED) == people_of(list(reversed(some)), SEED)
    assert people_of(some, SEED) != people_of(some, b"other")
    first = list(filings_of(people_of(some, SEED), SEED, SHIFT))
    assert first == list(filings_of(people_of(some, SEED), SEED, SHIFT))


@pytest.mark.parametrize("count", [0, 1, 12, 30, 100])
def test_small_population_has_every_card_and_somebody_at_three_lenders(count: int) -> None:
    people = people_of(clients()[:count], SEED)
    assert sum(len(person.cards) for person in people) == count
    assert (max((len(person.cards) for person in people), default=0) == 3) == (count >= 12)


def test_court_reports_few_and_only_of_persons_in_default(people: list[Person]) -> None:
    filings = list(filings_of(people, SEED, SHIFT))
    by_type = Counter(filing.report.schema.name for filing in filings)
    assert by_type["account.opened"] == 30_000
    assert by_type["account.statement"] == 180_000
    public = {name: count for name, count in by_type.items() if name.startswith("public.")}
    assert public.keys() == {
        "public.judgment",
        "public.enforcement",
        "public.tax_arrears",
        "public.admin_penalty",
    }
    assert all(count > 20 for count in public.values())
    assert sum(public.values()) < 1_000
    in_default = {person.subject for person in people if person.defaulted}
    references = References(b"r" * 32)
    for filing in filings:
        court = filing.institution is Institution.COURT
        assert court == filing.report.schema.name.startswith("public.")
        if court:
            assert filing.subject in in_default
            assert filing.report.basis is Basis.PUBLIC
            assert filing.report.occurred_on < "2026-11-23"
            event = bind(filing.report, references, lambda _year, ref: ref)
            assert decode_event(encode_event(event)) == event
            assert "synthetic" in event.fields
            assert len(encode_event(event)) <= 256 - 4
