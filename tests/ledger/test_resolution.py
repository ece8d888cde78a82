"""Corrections of corrections."""

from __future__ import annotations

from tests.reading import Scene

from tradeline_ledger.event import Event
from tradeline_ledger.history import EventId
from tradeline_ledger.resolution import resolve

SCENE = Scene()


def at(index: int) -> EventId:
    return EventId(index, 0)


def amounts(*steps: tuple[str, int] | tuple[str, int, int]) -> dict[EventId, int]:
    """Return what stands, by original, after events at 1, 2, ...; each names what it is about."""
    events: dict[EventId, Event] = {}
    for number, step in enumerate(steps, 1):
        match step:
            case ("new", int()):
                events[at(number)] = SCENE.event(2, number)
            case ("supersede", int(target), int(amount)):
                events[at(number)] = SCENE.supersede(2, number, at(target), amount)
            case ("retract", int(target)):
                events[at(number)] = SCENE.retract(2, number, at(target))
    effective, chains = resolve(events)
    for chain in chains:
        assert set(chain.corrections) <= set(events)
        assert (chain.current is None) or chain.current.original == chain.original
    return {each.original: each.fields[1] for each in effective}


def test_without_corrections_every_event_stands() -> None:
    assert amounts(("new", 0), ("new", 0)) == {at(1): 100, at(2): 100}


def test_the_last_correction_of_one_event_stands() -> None:
    assert amounts(("new", 0), ("supersede", 1, 5), ("supersede", 1, 6)) == {at(1): 6}


def test_a_correction_of_a_correction_stands() -> None:
    assert amounts(("new", 0), ("supersede", 1, 5), ("supersede", 2, 6)) == {at(1): 6}


def test_a_retracted_event_stands_no_more_whatever_was_said_about_it() -> None:
    assert amounts(("new", 0), ("supersede", 1, 5), ("retract", 1)) == {}
    assert amounts(("new", 0), ("retract", 1), ("supersede", 1, 5)) == {}


def test_a_retracted_correction_brings_back_what_it_replaced() -> None:
    assert amounts(("new", 0), ("supersede", 1, 5), ("retract", 2)) == {at(1): 100}
    assert amounts(("new", 0), ("supersede", 1, 5), ("supersede", 1, 6), ("retract", 3)) == {
        at(1): 5
    }
    assert amounts(("new", 0), ("supersede", 1, 5), ("supersede", 2, 6), ("retract", 3)) == {
        at(1): 5
    }


def test_a_retracted_retraction_brings_back_the_event() -> None:
    assert amounts(("new", 0), ("retract", 1), ("retract", 2)) == {at(1): 100}


def test_a_long_chain_is_resolved() -> None:
    steps = [("supersede", number, number) for number in range(1, 3000)]
    assert amounts(("new", 0), *steps) == {at(1): 2999}


def test_chains_list_every_correction_in_log_order() -> None:
    events = {
        at(1): SCENE.event(2, 1),
        at(2): SCENE.supersede(2, 2, at(1), 5),
        at(3): SCENE.event(2, 3),
        at(4): SCENE.supersede(2, 4, at(2), 6),
        at(5): SCENE.supersede(2, 5, EventId(0, 9), 7),
    }
    effective, chains = resolve(events)
    assert [(each.original, each.source) for each in effective] == [
        (EventId(0, 9), at(5)),
        (at(1), at(4)),
        (at(3), at(3)),
    ]
    assert [(each.original, each.corrections) for each in chains] == [
        (EventId(0, 9), (at(5),)),
        (at(1), (at(2), at(4))),
    ]


def test_a_correction_keeps_its_own_day_and_account() -> None:
    events = {at(1): SCENE.event(2, 1), at(2): SCENE.supersede(2, 2, at(1), 5)}
    ((current,), _) = resolve(events)
    assert current.schema.name == "account.payment"
    assert (current.occurred_on, current.account) == (
        events[at(2)].occurred_on,
        events[at(2)].account,
    )
