"""
The course of one account: what its events must agree on among themselves.

`step` takes the events of an account in the order in which they are reported and says what does
not fit what was reported before. The state is eight integers, so that a contributor can keep one
for each of millions of accounts. It never forgets that an account is closed or delinquent, and
remembers for `PERIODS_MAX` months which statements it has seen. Events that come late are
compared with what their own day and month allow, and leave the newer state as it is.

Only the contributor can check this: it alone sees all events of an account in clear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tradeline_ledger.calendar import day_of, month_of_day, parse_period
from tradeline_ledger.event_types.account import (
    CLOSED,
    DEFAULTED,
    DELINQUENCY,
    DIRECTION,
    OPENED,
    PAYMENT,
    PAYMENT_MADE,
    RESOLVED,
    STATEMENT,
    TRANSFERRED,
    UPDATED,
)
from tradeline_ledger.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_ledger.schema import EventSchema

PERIODS_MAX: Final = 62
"""Months before the newest statement whose statements are remembered."""
BUCKET_DAYS: Final = 30
NONE: Final = -1
"""Stands for a number that is not known; no day, month or count is negative here."""

PERIOD: Final = "period"
FIRST_DELINQUENT_ON: Final = "first_delinquent_on"
RECOVERY: Final = PAYMENT.number("recovery")
GIVEN_UP: Final = DIRECTION.number("given_up")


class Course(NamedTuple):
    """What is remembered of one account: integers only."""

    opened_on: int = NONE
    """Day of opening, counted from 1970-01-01."""
    closed_on: int = NONE
    """Day of closure or of giving the claim up."""
    period: int = NONE
    """Month of the newest statement."""
    periods: int = 0
    """Bit k: there is a statement of k months before `period`; 63 bits, so that no sign is lost."""
    stated_on: int = NONE
    """Day of the newest statement."""
    days_past_due: int = 0
    """Of the newest statement."""
    first_delinquent_on: int = NONE
    """Of the delinquency that lasts; `NONE` while there is none."""
    resolved_on: int = NONE
    """Day up to which no delinquency lasts: of the last resolution or statement without one."""


class Move(NamedTuple):
    """What one event says about the course of its account: integers only."""

    schema: int
    """Number of the event type."""
    day: int
    """`occurred_on`, counted from 1970-01-01."""
    period: int = NONE
    """Month of a statement."""
    days_past_due: int = NONE
    """Of a statement or delinquency."""
    first_delinquent_on: int = NONE
    """Of a delinquency or default, counted from 1970-01-01."""
    kind: int = NONE
    """Kind of a payment, direction of a transfer."""


def kind_field(schema: EventSchema) -> str:
    """Return the field whose number is the `kind` of a move."""
    return "direction" if schema.number == TRANSFERRED.number else "kind"


def move_of(schema: EventSchema, values: tuple[Any, ...], occurred_on: str) -> Move | None:
    """Return what a checked event says about its account; None if nothing."""
    if schema.number not in COURSE_TYPES:
        return None
    given = dict(zip((item.name for item in schema.fields), values, strict=True))
    first, period = given.get(FIRST_DELINQUENT_ON), given.get(PERIOD)
    return Move(
        schema=schema.number,
        day=day_of(occurred_on),
        period=NONE if period is None else parse_period(period),
        days_past_due=given.get("days_past_due", NONE),
        first_delinquent_on=NONE if first is None else day_of(first),
        kind=given.get(kind_field(schema), NONE),
    )


def step(course: Course, move: Move) -> tuple[Course, tuple[Finding, ...]]:
    """
    Return the course after an event, and what is wrong with the event.

    An event with a finding that rejects or quarantines it leaves the course as it was: if a person
    accepts it after all, `advance` moves on.
    """
    found = [code for code, breaks in _STEPS[move.schema] if breaks(course, move)]
    if not found:
        return advance(course, move), ()
    findings = tuple(FINDINGS[code] for code in found)
    if any(each.severity is not Severity.WARNING for each in findings):
        return course, findings
    return advance(course, move), findings


def advance(course: Course, move: Move) -> Course:
    """Return the course after an event that is reported, whatever is doubtful about it."""
    match move.schema:
        case OPENED.number:
            return course._replace(opened_on=move.day)
        case STATEMENT.number:
            return _after_statement(course, move)
        case DELINQUENCY.number | DEFAULTED.number if move.day > course.resolved_on:
            return course._replace(first_delinquent_on=move.first_delinquent_on)
        case RESOLVED.number if move.day >= course.first_delinquent_on:
            return _cured(course, move.day)
        case CLOSED.number:
            return course._replace(closed_on=move.day)
        case TRANSFERRED.number if move.kind == GIVEN_UP:
            return course._replace(closed_on=move.day)
        case _:
            return course


def _after_statement(course: Course, move: Move) -> Course:
    ahead = move.period - course.period
    if course.period != NONE and ahead <= 0:
        # A late month fills its hole; what is newer stays.
        mask = 1 << -ahead if -ahead <= PERIODS_MAX else 0
        return course._replace(periods=course.periods | mask)
    shifted = 0 if course.period == NONE or ahead > PERIODS_MAX else course.periods << ahead
    course = course._replace(
        period=move.period,
        periods=(shifted | 1) & ((1 << PERIODS_MAX + 1) - 1),
        stated_on=move.day,
        days_past_due=move.days_past_due,
    )
    return _cured(course, move.day) if move.days_past_due == 0 else course


def _cured(course: Course, day: int) -> Course:
    return course._replace(first_delinquent_on=NONE, resolved_on=max(course.resolved_on, day))


def _unopened(course: Course, _: Move) -> bool:
    return course.opened_on == NONE


def _opened_twice(course: Course, _: Move) -> bool:
    return course.opened_on != NONE


def _before_opening(course: Course, move: Move) -> bool:
    return move.day < course.opened_on


def _repeated_period(course: Course, move: Move) -> bool:
    if course.period == NONE:
        return False
    back = course.period - move.period
    return 0 <= back <= PERIODS_MAX and bool(course.periods >> back & 1)


def _closed_twice(course: Course, _: Move) -> bool:
    return course.closed_on != NONE


def _after_closure(course: Course, move: Move) -> bool:
    """
    Say whether an event of a closed account comes after its closure.

    The statement of the month of closure is drawn up after it; a recovery may come years later, and
    so may the end of what was still owed.
    """
    if course.closed_on == NONE or move.day <= course.closed_on:
        return False
    if move.schema == STATEMENT.number:
        return move.period > month_of_day(course.closed_on)
    recovery = move.schema == PAYMENT_MADE.number and move.kind == RECOVERY
    return not recovery and move.schema not in MAY_FOLLOW_CLOSURE


def _closed_too_early(course: Course, move: Move) -> bool:
    return course.closed_on == NONE and course.period > month_of_day(move.day)


def _re_aged(course: Course, move: Move) -> bool:
    lasting = course.first_delinquent_on not in (NONE, move.first_delinquent_on)
    return lasting and move.day > course.resolved_on


def _overdue_too_long(_: Course, move: Move) -> bool:
    return move.days_past_due > move.day - move.first_delinquent_on + 1


def _not_past_due(course: Course, _: Move) -> bool:
    return course.first_delinquent_on == NONE and course.days_past_due == 0


def _rises_too_fast(course: Course, move: Move) -> bool:
    """
    Say whether days past due rise by more buckets than months, and by more days than have passed.

    From 29 to 60 days within 31 days is two buckets, and right.
    """
    if course.period == NONE or move.period <= course.period:
        return False
    buckets = move.days_past_due // BUCKET_DAYS - course.days_past_due // BUCKET_DAYS
    passed = move.day - course.stated_on
    return (
        buckets > move.period - course.period and move.days_past_due - course.days_past_due > passed
    )


MAY_FOLLOW_CLOSURE: Final = frozenset({RESOLVED.number, TRANSFERRED.number, CLOSED.number})

_ANY: Final = (
    ("account-not-opened", _unopened),
    ("before-opening", _before_opening),
    ("after-closure", _after_closure),
)
_STEPS: Final[dict[int, tuple[tuple[str, Callable[[Course, Move], bool]], ...]]] = {
    OPENED.number: (("account-opened-twice", _opened_twice),),
    UPDATED.number: _ANY,
    STATEMENT.number: (
        *_ANY,
        ("period-reported", _repeated_period),
        ("days-past-due-jump", _rises_too_fast),
    ),
    PAYMENT_MADE.number: _ANY,
    DELINQUENCY.number: (
        *_ANY,
        ("first-delinquent-changed", _re_aged),
        ("past-due-too-long", _overdue_too_long),
    ),
    DEFAULTED.number: (
        *_ANY,
        ("first-delinquent-changed", _re_aged),
        ("default-unprepared", _not_past_due),
    ),
    RESOLVED.number: (*_ANY, ("nothing-to-resolve", _not_past_due)),
    CLOSED.number: (
        *_ANY,
        ("account-closed-twice", _closed_twice),
        ("closed-too-early", _closed_too_early),
    ),
    TRANSFERRED.number: _ANY,
}


COURSE_TYPES: Final = frozenset(_STEPS)
"""Numbers of the types that say something about the course of an account."""

_R, _Q, _W = Severity.REJECT, Severity.QUARANTINE, Severity.WARNING
FINDINGS: Final = {
    each[0]: Finding(*each)
    for each in (
        (
            *("account-not-opened", _R, "account", "an account that was never opened"),
            "account.opened before any other event of the account",
            "report account.opened first, or look at the reference of the account",
        ),
        (
            *("before-opening", _Q, "occurred_on", "a day before the account was opened"),
            "a day on or after that of account.opened",
            "look at the day, or correct the day of opening",
        ),
        (
            *("after-closure", _R, "occurred_on", "a day after the account was closed"),
            "nothing but recoveries, resolution and transfer after closure",
            "retract the closure if the account is open, or look at the reference of the account",
        ),
        (
            *("account-opened-twice", _R, "account", "a second account.opened"),
            "one account.opened for an account",
            "correct the first one, or report changed terms as account.updated",
        ),
        (
            *("period-reported", _R, "period", "a month that has its statement"),
            "one statement for an account and month",
            "report it as a correction of the statement of that month",
        ),
        (
            *("days-past-due-jump", _W, "days_past_due", "more than one stage in a month"),
            "days past due that rise no faster than days pass",
            "look whether a month is missing or the scale is wrong",
        ),
        (
            *("first-delinquent-changed", _R, "first_delinquent_on", "another first day past due"),
            "the same first day past due for as long as the delinquency lasts",
            "report the day that was reported first, or correct the earlier events",
        ),
        (
            *("past-due-too-long", _Q, "days_past_due", "more days past due than have passed"),
            "at most the days since first_delinquent_on",
            "look at both; one of them is wrong",
        ),
        (
            *("default-unprepared", _Q, "first_delinquent_on", "a default without delinquency"),
            "a delinquency, or a statement with days past due, before a default",
            "report the missing months first, or accept it if the lender declared it at once",
        ),
        (
            *("nothing-to-resolve", _Q, "kind", "a resolution without delinquency"),
            "a delinquency, a default or a statement with days past due before it",
            "report the missing months first, or look at the reference of the account",
        ),
        (
            *("account-closed-twice", _R, "account", "a second account.closed"),
            "one account.closed for an account",
            "correct the first one",
        ),
        (
            *("closed-too-early", _Q, "occurred_on", "a closure before the newest statement"),
            "a closure in the month of the last statement or later",
            "look at the day of closure, or retract the statements after it",
        ),
    )
}
"""What `step` can find, by code, in the order in which it looks."""
