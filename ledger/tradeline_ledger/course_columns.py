"""
The courses of many accounts at once: `account_course.step`, a column at a time.

A month's file has one statement for each of its accounts, so the first events of all accounts are
taken together, then the second ones, and so on. What is left of a few accounts with many events
is taken one by one. A test compares both ways on random events.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_ledger.account_course import (
    BUCKET_DAYS,
    FINDINGS,
    GIVEN_UP,
    MAY_FOLLOW_CLOSURE,
    NONE,
    PERIODS_MAX,
    RECOVERY,
    Course,
    Move,
    step,
)
from tradeline_ledger.calendar import MONTHS_PER_YEAR
from tradeline_ledger.event_types.account import (
    CLOSED,
    DEFAULTED,
    DELINQUENCY,
    OPENED,
    PAYMENT_MADE,
    RESOLVED,
    STATEMENT,
    TRANSFERRED,
)
from tradeline_ledger.finding import Finding, Severity

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TOGETHER_MIN: Final = 64
"""Least events that are faster together than one by one."""

_CODES: Final = tuple(FINDINGS)
HELD_UP: Final = sum(
    1 << bit
    for bit, finding in enumerate(FINDINGS.values())
    if finding.severity is not Severity.WARNING
)
"""Bits of the findings that reject or hold an event, which then leaves its course as it is."""
_PERIODS: Final = np.uint64((1 << PERIODS_MAX + 1) - 1)
_EPOCH_MONTH: Final = 1970 * MONTHS_PER_YEAR


def step_columns(
    courses: Ints, account: NDArray[np.integer], moves: Ints, together_min: int = TOGETHER_MIN
) -> tuple[Ints, Ints]:
    """
    Return the courses after events, and what is wrong with each event.

    Args:
        courses: a row an account, its columns the fields of `Course`.
        account: row of `courses`, an event.
        moves: a row an event, its columns the fields of `Move`, in the order of reporting.
        together_min: least events that are taken together.

    Returns:
        New courses, and for each event bits that `findings_of` names; 0 where nothing is wrong.
    """
    assert courses.shape[1:] == (len(Course._fields),), courses.shape
    assert moves.shape == (len(account), len(Move._fields)), moves.shape
    courses = courses.copy()
    found = np.zeros(len(account), np.int64)
    order = np.argsort(account, kind="stable")
    while len(order):
        sorted_accounts = account[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = sorted_accounts[1:] != sorted_accounts[:-1]
        now = order[first]
        if len(now) < together_min:
            break
        courses[account[now]], found[now] = _step(courses[account[now]], moves[now])
        order = order[~first]
    for event in np.sort(order):
        course, findings = step(
            Course(*courses[account[event]].tolist()), Move(*moves[event].tolist())
        )
        courses[account[event]] = course
        found[event] = sum(bit_of(each.code) for each in findings)
    return courses, found


def findings_of(bits: int) -> tuple[Finding, ...]:
    """Return the findings that bits of `step_columns` stand for."""
    return tuple(FINDINGS[code] for bit, code in enumerate(_CODES) if bits >> bit & 1)


def bit_of(code: str) -> int:
    """Return the bit that stands for a finding."""
    return 1 << _CODES.index(code)


def _step(courses: Ints, moves: Ints) -> tuple[Ints, Ints]:
    """Return the next courses and findings of events of as many different accounts."""
    # Columns are read many times: each is made contiguous once.
    course = Course(*np.ascontiguousarray(courses.T))
    move = Move(*np.ascontiguousarray(moves.T))
    broken = _broken(course, move)
    found = np.zeros(len(moves), np.int64)
    for code in _CODES:
        if broken[code].any():
            found[broken[code]] |= bit_of(code)
    after = _advanced(course, move)
    held_up = found & HELD_UP != 0
    after[held_up] = courses[held_up]
    return after, found


def _broken(course: Any, move: Any) -> dict[str, Mask]:
    """Return by code which events are wrong; fields of a `Course` and a `Move` are columns here."""
    kind = move.schema
    statement, delinquency = kind == STATEMENT.number, kind == DELINQUENCY.number
    default, closing, opening = (
        kind == DEFAULTED.number,
        kind == CLOSED.number,
        kind == OPENED.number,
    )
    known, newer = course.period != NONE, move.period > course.period
    back = course.period - move.period
    remembered = known & (back >= 0) & (back <= PERIODS_MAX)
    seen = course.periods >> np.clip(back, 0, PERIODS_MAX) & 1
    late = (course.closed_on != NONE) & (move.day > course.closed_on)
    may_follow = np.isin(kind, sorted(MAY_FOLLOW_CLOSURE))
    may_follow |= (kind == PAYMENT_MADE.number) & (move.kind == RECOVERY)
    may_follow |= statement & (move.period <= _month_of_day(course.closed_on))
    re_aged = (course.first_delinquent_on != NONE) & (move.day > course.resolved_on)
    re_aged &= move.first_delinquent_on != course.first_delinquent_on
    nothing_due = (course.first_delinquent_on == NONE) & (course.days_past_due == 0)
    buckets = move.days_past_due // BUCKET_DAYS - course.days_past_due // BUCKET_DAYS
    jumps = buckets > move.period - course.period
    jumps &= move.days_past_due - course.days_past_due > move.day - course.stated_on
    return {
        "account-not-opened": ~opening & (course.opened_on == NONE),
        "account-opened-twice": opening & (course.opened_on != NONE),
        "before-opening": ~opening & (move.day < course.opened_on),
        "period-reported": statement & remembered & (seen == 1),
        "account-closed-twice": closing & (course.closed_on != NONE),
        "after-closure": ~opening & late & ~may_follow,
        "closed-too-early": (
            closing & (course.closed_on == NONE) & (course.period > _month_of_day(move.day))
        ),
        "first-delinquent-changed": (delinquency | default) & re_aged,
        "past-due-too-long": (
            delinquency & (move.days_past_due > move.day - move.first_delinquent_on + 1)
        ),
        "default-unprepared": default & nothing_due,
        "nothing-to-resolve": (kind == RESOLVED.number) & nothing_due,
        "days-past-due-jump": statement & known & newer & jumps,
    }


def _advanced(course: Any, move: Any) -> Ints:
    """Return what `account_course.advance` does, as rows of courses."""
    kind = move.schema
    statement = kind == STATEMENT.number
    ahead = move.period - course.period
    newest = statement & ((course.period == NONE) | (ahead > 0))
    periods = course.periods.astype(np.uint64)
    forward = np.clip(ahead, 0, PERIODS_MAX).astype(np.uint64)
    kept = (course.period != NONE) & (ahead <= PERIODS_MAX)
    shifted = np.where(kept, periods << forward, np.uint64(0)) & _PERIODS | np.uint64(1)
    behind = np.clip(-ahead, 0, PERIODS_MAX).astype(np.uint64)
    filled = periods | np.where(-ahead <= PERIODS_MAX, np.uint64(1) << behind, np.uint64(0))
    periods = np.where(newest, shifted, np.where(statement, filled, periods))

    delinquent = (kind == DELINQUENCY.number) | (kind == DEFAULTED.number)
    delinquent &= move.day > course.resolved_on
    cured = newest & (move.days_past_due == 0)
    cured |= (kind == RESOLVED.number) & (move.day >= course.first_delinquent_on)
    ended = (kind == CLOSED.number) | (kind == TRANSFERRED.number) & (move.kind == GIVEN_UP)
    first = np.where(delinquent, move.first_delinquent_on, course.first_delinquent_on)
    after = {
        "opened_on": np.where(kind == OPENED.number, move.day, course.opened_on),
        "closed_on": np.where(ended, move.day, course.closed_on),
        "period": np.where(newest, move.period, course.period),
        "periods": periods.astype(np.int64),
        "stated_on": np.where(newest, move.day, course.stated_on),
        "days_past_due": np.where(newest, move.days_past_due, course.days_past_due),
        "first_delinquent_on": np.where(cured, NONE, first),
        "resolved_on": np.where(
            cured, np.maximum(course.resolved_on, move.day), course.resolved_on
        ),
    }
    return np.column_stack([after[name] for name in Course._fields])


def _month_of_day(days: Ints) -> Ints:
    months: Ints = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months + _EPOCH_MONTH
