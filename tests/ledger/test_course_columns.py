"""Courses of many accounts at once go as those of each account by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeline_ledger.account_course import FINDINGS, NONE, PERIODS_MAX, Course, Move, step
from tradeline_ledger.calendar import day_of, month_of_day
from tradeline_ledger.course_columns import findings_of, step_columns

ACCOUNTS = 4
FIRST_DAY = day_of("2020-01-15")
DAYS = st.integers(FIRST_DAY, FIRST_DAY + 31 * (PERIODS_MAX + 20))
LATENESS = st.sampled_from([0, 0, 1, 29, 30, 60, 95, 200])


@st.composite
def moves(draw: st.DrawFn) -> Move:
    day = draw(DAYS)
    schema = draw(st.sampled_from([1, 1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7, 8, 16]))
    late = draw(LATENESS)
    return Move(
        schema=schema,
        day=day,
        period=month_of_day(day) - draw(st.integers(0, 3)) if schema == 3 else NONE,
        days_past_due=late if schema == 3 else max(late, 1) if schema == 5 else NONE,
        first_delinquent_on=day - draw(LATENESS) if schema in (5, 6) else NONE,
        kind=draw(st.integers(1, 5)) if schema == 4 else draw(st.integers(1, 2)),
    )


EVENTS = st.lists(st.tuples(st.integers(0, ACCOUNTS - 1), moves()), max_size=60)


@settings(max_examples=200)
@given(EVENTS, st.sampled_from([1, 3]))
def test_columns_find_and_remember_what_single_steps_do(
    events: list[tuple[int, Move]], together_min: int
) -> None:
    courses = [Course()] * ACCOUNTS
    expected = []
    for account, move in events:
        courses[account], findings = step(courses[account], move)
        expected.append(findings)
    after, bits = step_columns(
        np.array([Course()] * ACCOUNTS, np.int64),
        np.array([account for account, _ in events], np.int64),
        np.array([move for _, move in events], np.int64).reshape(-1, len(Move._fields)),
        together_min,
    )
    assert [findings_of(int(each)) for each in bits] == expected
    assert [Course(*row) for row in after.tolist()] == courses


def test_columns_of_many_accounts_find_everything_that_there_is_to_find() -> None:
    """Random numbers for want of time: the shrinking test above rarely breaks every rule."""
    draw, accounts, events = random.Random(7), 300, 20_000
    moves = []
    for _ in range(events):
        schema = draw.choice([1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 16])
        day = FIRST_DAY + draw.randrange(2000)
        late = draw.choice([1, 29, 30, 60, 95, 200]) if draw.random() < 0.5 else 0
        period = month_of_day(day) - draw.randrange(3)
        first = day - late + draw.choice([0, 0, 5])
        moves.append(Move(schema, day, period, late, first, draw.randint(1, 5)))
    account = [draw.randrange(accounts) for _ in moves]
    courses, expected = [Course()] * accounts, []
    for place, move in zip(account, moves, strict=True):
        courses[place], findings = step(courses[place], move)
        expected.append(findings)
    after, bits = step_columns(
        np.array([Course()] * accounts, np.int64), np.array(account), np.array(moves, np.int64)
    )
    assert [findings_of(int(each)) for each in bits] == expected
    assert [Course(*row) for row in after.tolist()] == courses
    assert {each.code for findings in expected for each in findings} == set(FINDINGS)


@pytest.mark.parametrize("accounts", [1, 1000])
def test_months_of_statements_are_remembered_for_every_account(accounts: int) -> None:
    courses = np.array([Course(opened_on=0)] * accounts, np.int64)
    everyone = np.arange(accounts)
    for offset in (0, 1, 3, 2, 3):
        day = FIRST_DAY + 31 * offset
        move = Move(3, day, month_of_day(FIRST_DAY) + offset, 0)
        courses, bits = step_columns(courses, everyone, np.array([move] * accounts, np.int64))
        codes = {each.code for each in findings_of(int(bits[0]))}
        assert set(bits.tolist()) == {bits[0]}
    assert codes == {"period-reported"}
    assert set(courses[:, 3].tolist()) == {0b1111}
