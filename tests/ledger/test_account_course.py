"""What the events of one account must agree on, in every order that files bring them in."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.account_course import (
    FINDINGS,
    NONE,
    PERIODS_MAX,
    Course,
    Move,
    advance,
    move_of,
    step,
)
from tradeline_ledger.calendar import day_of, parse_period
from tradeline_ledger.finding import Severity
from tradeline_ledger.schemas import SCHEMAS


def move(name: str, day: str, **given: Any) -> Move:
    """Return what an event says, with only the fields that matter given, as in JSON."""
    schema = SCHEMAS.named(f"account.{name}")
    values = tuple(
        item.kind.from_json(given.pop(item.name)) if item.name in given else None
        for item in schema.fields
    )
    assert not given, given
    found = move_of(schema, values, day)
    assert found is not None
    return found


def statement(period: str, days_past_due: int = 0, day: str | None = None) -> Move:
    return move("statement", day or f"{period}-28", period=period, days_past_due=days_past_due)


def delinquency(day: str, first: str, days_past_due: int) -> Move:
    return move("delinquency", day, first_delinquent_on=first, days_past_due=days_past_due)


def default(day: str, first: str) -> Move:
    return move("default", day, kind="charge_off", first_delinquent_on=first)


OPENED = move("opened", "2024-01-10")
CLOSED = move("closed", "2024-06-10", reason="paid")


def codes(*moves: Move) -> list[str]:
    """Return the findings of the last move; those before it have none that hold them up."""
    course = Course()
    for each in moves[:-1]:
        course, findings = step(course, each)
        assert all(found.severity is Severity.WARNING for found in findings), findings
    _, findings = step(course, moves[-1])
    return [found.code for found in findings]


def test_ordinary_course_has_no_finding() -> None:
    course = Course()
    for each in (
        OPENED,
        move("payment", "2024-01-20", kind="regular"),
        statement("2024-01"),
        move("updated", "2024-02-01", reason="limit"),
        statement("2024-02", 20),
        statement("2024-03", 49),
        delinquency("2024-03-28", "2024-02-08", 49),
        statement("2024-04", 80),
        delinquency("2024-04-28", "2024-02-08", 80),
        default("2024-05-10", "2024-02-08"),
        move("resolved", "2024-05-20", kind="cured"),
        statement("2024-05"),
        CLOSED,
        statement("2024-06", day="2024-06-30"),
        move("payment", "2026-01-01", kind="recovery"),
    ):
        course, findings = step(course, each)
        assert findings == (), each


COURSES: Final[list[tuple[tuple[Move, ...], list[str]]]] = [
    ((statement("2024-01"),), ["account-not-opened"]),
    ((move("payment", "2024-01-20", kind="regular"),), ["account-not-opened"]),
    ((CLOSED,), ["account-not-opened"]),
    ((OPENED, OPENED), ["account-opened-twice"]),
    ((OPENED, statement("2023-12")), ["before-opening"]),
    ((OPENED, move("payment", "2024-01-09", kind="regular")), ["before-opening"]),
    ((OPENED, move("payment", "2024-01-10", kind="regular")), []),
    ((OPENED, statement("2024-01"), statement("2024-01", 3)), ["period-reported"]),
    ((OPENED, statement("2024-03"), statement("2024-01")), []),
    (
        (OPENED, statement("2024-01"), statement("2024-03"), statement("2024-01")),
        ["period-reported"],
    ),
    (
        (OPENED, statement("2024-03"), statement("2024-01"), statement("2024-01")),
        ["period-reported"],
    ),
    ((OPENED, CLOSED, CLOSED), ["account-closed-twice"]),
    ((OPENED, CLOSED, statement("2024-06", day="2024-06-30")), []),
    ((OPENED, CLOSED, statement("2024-07")), ["after-closure"]),
    ((OPENED, CLOSED, statement("2024-05")), []),
    ((OPENED, CLOSED, move("payment", "2024-06-11", kind="regular")), ["after-closure"]),
    ((OPENED, CLOSED, move("payment", "2024-06-11", kind="recovery")), []),
    ((OPENED, CLOSED, move("updated", "2024-07-01", reason="limit")), ["after-closure"]),
    (
        (OPENED, CLOSED, delinquency("2024-07-01", "2024-06-01", 30)),
        ["after-closure"],
    ),
    ((OPENED, statement("2024-07"), CLOSED), ["closed-too-early"]),
    ((OPENED, statement("2024-06"), CLOSED), []),
    (
        (OPENED, move("transferred", "2024-06-10", direction="given_up"), statement("2024-07")),
        ["after-closure"],
    ),
    (
        (
            *(OPENED, move("transferred", "2024-06-10", direction="taken_over")),
            statement("2024-07"),
        ),
        [],
    ),
    (
        (
            *(OPENED, delinquency("2024-03-01", "2024-01-31", 30)),
            delinquency("2024-04-01", "2024-03-02", 30),
        ),
        ["first-delinquent-changed"],
    ),
    (
        (
            OPENED,
            delinquency("2024-03-01", "2024-01-31", 30),
            default("2024-04-01", "2024-02-01"),
        ),
        ["first-delinquent-changed"],
    ),
    (
        (
            *(OPENED, delinquency("2024-03-01", "2024-01-31", 30), statement("2024-03")),
            delinquency("2024-05-01", "2024-04-01", 30),
        ),
        [],
    ),
    (
        (
            *(OPENED, delinquency("2024-03-01", "2024-01-31", 30)),
            move("resolved", "2024-03-05", kind="cured"),
            delinquency("2024-05-01", "2024-04-01", 30),
        ),
        [],
    ),
    ((OPENED, delinquency("2024-03-01", "2024-01-31", 31)), []),
    ((OPENED, delinquency("2024-03-01", "2024-01-31", 32)), ["past-due-too-long"]),
    ((OPENED, default("2024-04-01", "2024-02-01")), ["default-unprepared"]),
    ((OPENED, statement("2024-03", 40), default("2024-04-01", "2024-02-18")), []),
    ((OPENED, move("resolved", "2024-03-05", kind="cured")), ["nothing-to-resolve"]),
    ((OPENED, statement("2024-01"), statement("2024-02", 60)), ["days-past-due-jump"]),
    ((OPENED, statement("2024-01"), statement("2024-02", 59)), []),
    ((OPENED, statement("2024-01"), statement("2024-03", 60)), []),
    ((OPENED, statement("2024-03", 29), statement("2024-04", 60)), []),
    ((OPENED, statement("2024-03", 25), statement("2024-04", 60)), ["days-past-due-jump"]),
    ((OPENED, statement("2024-03"), statement("2024-02", 90)), []),
]
"""Moves of one account, and the findings that they give."""


@pytest.mark.parametrize(("moves", "expected"), COURSES)
def test_event_that_does_not_fit_the_course_is_found(
    moves: tuple[Move, ...], expected: list[str]
) -> None:
    assert codes(*moves) == expected


def test_every_finding_is_tried_here() -> None:
    assert {code for _, expected in COURSES for code in expected} == set(FINDINGS)
    assert all(code == found.code for code, found in FINDINGS.items())
    assert {each.severity for each in FINDINGS.values()} == set(Severity)


def test_event_that_is_held_up_leaves_the_course_as_it_was() -> None:
    course, _ = step(Course(), OPENED)
    again, findings = step(course, default("2024-04-01", "2024-02-01"))
    assert findings[0].severity is Severity.QUARANTINE
    assert again == course
    accepted = advance(course, default("2024-04-01", "2024-02-01"))
    assert accepted.first_delinquent_on == day_of("2024-02-01")


def test_course_is_integers_of_64_bits_and_comes_back_from_them() -> None:
    course = Course()
    for each in (
        OPENED,
        *(statement(f"{year}-0{month}") for year in range(2025, 2040) for month in (1, 2)),
    ):
        course, _ = step(course, each)
    assert all(0 <= value < 2**64 or value == NONE for value in course)
    assert Course(*course) == course


def test_application_says_nothing_about_the_course() -> None:
    schema = SCHEMAS.named("account.application")
    assert move_of(schema, (None,) * len(schema.fields), "2024-01-01") is None


PERIODS = st.lists(st.integers(0, 2 * PERIODS_MAX), min_size=1, max_size=30)


@given(PERIODS)
def test_second_statement_of_a_remembered_month_is_always_found(offsets: list[int]) -> None:
    start = parse_period("2024-01")
    course, seen, newest = Course(opened_on=0), set[int](), -1
    for offset in offsets:
        day = day_of("2024-01-28") + 31 * offset
        course, findings = step(course, Move(3, day, start + offset, 0))
        found = [each.code for each in findings]
        remembered = newest - offset <= PERIODS_MAX
        assert found == (["period-reported"] if offset in seen and remembered else [])
        seen.add(offset)
        newest = max(newest, offset)


@given(st.permutations([statement(f"2024-{month:02}") for month in range(1, 13)]))
def test_months_in_any_order_end_in_one_course(statements: list[Move]) -> None:
    course, _ = step(Course(), OPENED)
    for each in statements:
        course, findings = step(course, each)
        assert findings == ()
    assert course.period == parse_period("2024-12")
    assert course.periods == (1 << 12) - 1
