"""
The quality index of a member and month (docs/quality.md), the same for everybody with the same log.

Six dimensions of 0 to 1,000 per mille each, and their weighted mean. Integers only, and divisions
round down. What is not stated counts as nothing: a member that says nothing of a month has 0.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_ledger import calendar
from tradeline_ledger.quality import Delay, MonthEnd, MonthStanding

if TYPE_CHECKING:
    from tradeline_ledger.quality import Quality
    from tradeline_ledger.quality_facts import Conduct, LedgerFacts, MemberFacts, StatedQuality

FULL: Final = 1_000
"""Per mille."""
OPEN_MAX: Final = 750
"""Completeness of a month that is declared open is at most this."""
MONTHS_BEFORE: Final = 6
"""Months before the one in question whose complete ones say how many events to expect."""


@enum.unique
class Dimension(enum.Enum):
    """What is measured."""

    COMPLETENESS = "completeness"
    """Whether all of the month is there."""
    TIMELINESS = "timeliness"
    """Whether it came in time."""
    ACCURACY = "accuracy"
    """Whether it was right the first time, and what was wrong was corrected soon."""
    VALIDITY = "validity"
    """Whether rows and entries could be taken as they came."""
    UNIQUENESS = "uniqueness"
    """Whether everything came once."""
    CONSISTENCY = "consistency"
    """Whether what the member states fits what it submitted."""


WEIGHTS: Final = {
    Dimension.COMPLETENESS: 25,
    Dimension.TIMELINESS: 20,
    Dimension.ACCURACY: 20,
    Dimension.VALIDITY: 15,
    Dimension.UNIQUENESS: 10,
    Dimension.CONSISTENCY: 10,
}
"""In hundredths of the total."""
POINTS: Final = {
    Delay.DUE: FULL,
    Delay.DAYS_30: 800,
    Delay.DAYS_60: 600,
    Delay.DAYS_90: 400,
    Delay.DAYS_180: 200,
    Delay.BEYOND: 0,
}
"""What an event of the month is worth by the delay of its submission."""
COSTS: Final = {
    Delay.DUE: 250,
    Delay.DAYS_30: 250,
    Delay.DAYS_60: 500,
    Delay.DAYS_90: 750,
    Delay.DAYS_180: FULL,
    Delay.BEYOND: FULL,
}
"""What a correction costs by its delay: late ones misled readers longer."""


class Gain(NamedTuple):
    """How much the total would rise if one dimension were full."""

    dimension: Dimension
    per_mille: int


@dataclass(frozen=True, slots=True)
class QualityIndex:
    """The quality index of one member and month. Made by `quality_index`."""

    member: int
    month: int
    """`year * 12 + month - 1`."""
    size: int
    """Log size as of which it was computed."""
    stated: StatedQuality | None
    """The statement in force, None if there is none."""
    statements: int
    """How many there were, those that were superseded included."""
    due: bool
    """Whether more than 15 days have passed since the end of the month."""
    values: dict[Dimension, int]
    """Each 0 to `FULL`, in the order of `Dimension`."""
    expected: int
    """First events that the months before let expect."""
    conduct: Conduct
    """What the member did in that month, by block time."""

    @property
    def total(self) -> int:
        """The weighted mean, 0 to `FULL`."""
        return sum(WEIGHTS[each] * value for each, value in self.values.items()) // 100

    @property
    def gains(self) -> tuple[Gain, ...]:
        """What would raise the total, the most first; dimensions that are full are left out."""
        gains = [
            Gain(each, WEIGHTS[each] * (FULL - value) // 100)
            for each, value in self.values.items()
            if value < FULL
        ]
        return tuple(sorted(gains, key=lambda gain: -gain.per_mille))


def quality_index(facts: LedgerFacts, member: int, month: int) -> QualityIndex:
    """Return the quality index of a member and month as of the last block of `facts`."""
    own = facts.member(member)
    stated = own.in_force(month)
    end = MonthEnd(month, facts.utc_offset_min)
    conduct = own.in_month(month)
    expected = 0
    values = dict.fromkeys(Dimension, 0)
    if stated is not None:
        content = stated.content
        expected = _expected(own, content)
        values = {
            Dimension.COMPLETENESS: _completeness(content, expected),
            Dimension.TIMELINESS: _timeliness(own, content, end),
            Dimension.ACCURACY: _accuracy(content, conduct),
            Dimension.VALIDITY: _validity(content, conduct),
            Dimension.UNIQUENESS: _uniqueness(content),
            Dimension.CONSISTENCY: _consistency(facts, own, content, conduct),
        }
    return QualityIndex(
        member=member,
        month=month,
        size=facts.size,
        stated=stated,
        statements=len(own.stated.get(month, ())),
        due=end.delay(facts.time_ms) is not Delay.DUE,
        values=values,
        expected=expected,
        conduct=conduct,
    )


def months_of(facts: LedgerFacts, member: int) -> list[int]:
    """
    Return the months for which a member has an index, ascending.

    From the first month stated or submitted in up to that of the last block.
    """
    own = facts.member(member)
    submitted = [
        calendar.month(each.time_ms, facts.utc_offset_min) for each in own.submissions.values()
    ]
    begun = [*own.stated, *submitted]
    last = calendar.month(facts.time_ms, facts.utc_offset_min)
    return list(range(min(begun), last + 1)) if begun else []


def _expected(own: MemberFacts, content: Quality) -> int:
    """Return the lower median of the complete months before, else what the month itself has."""
    counts = sorted(
        stated.content.first_events
        for month in range(content.month - MONTHS_BEFORE, content.month)
        if (stated := own.in_force(month)) is not None
        and stated.content.standing == MonthStanding.COMPLETE
    )
    return counts[(len(counts) - 1) // 2] if counts else content.first_events


def _completeness(content: Quality, expected: int) -> int:
    if content.standing == MonthStanding.MISSING:
        return 0
    value = _share(min(content.first_events, expected), expected)
    return min(value, OPEN_MAX) if content.standing == MonthStanding.OPEN else value


def _timeliness(own: MemberFacts, content: Quality, end: MonthEnd) -> int:
    """Corrections are left out: those of each delay are stated."""
    if content.standing == MonthStanding.MISSING:
        return 0
    events = dict.fromkeys(Delay, 0)
    for each in content.listed:
        events[end.delay(own.submissions[each.index].time_ms)] += each.events
    first = {delay: events[delay] - content.corrections[delay] for delay in Delay}
    points = sum(first[delay] * POINTS[delay] for delay in Delay)
    return points // sum(first.values()) if any(first.values()) else FULL


def _accuracy(content: Quality, conduct: Conduct) -> int:
    if content.standing == MonthStanding.MISSING:
        return 0
    cost = sum(content.corrections[delay] * COSTS[delay] for delay in Delay)
    cost += conduct.faulty_erasures * FULL
    if not cost:
        return FULL
    return max(0, FULL - cost // content.first_events) if content.first_events else 0


def _validity(content: Quality, conduct: Conduct) -> int:
    if content.standing == MonthStanding.MISSING:
        return 0
    rows = _share(content.received - content.not_taken - content.quarantined, content.received)
    entries = _share(conduct.entries - conduct.refused, conduct.entries)
    return rows * entries // FULL


def _uniqueness(content: Quality) -> int:
    if content.standing == MonthStanding.MISSING:
        return 0
    rows = _share(content.received - content.duplicates, content.received)
    events = _share(content.events - content.repeats, content.events)
    return rows * events // FULL


def _consistency(facts: LedgerFacts, own: MemberFacts, content: Quality, conduct: Conduct) -> int:
    """Compare what is stated with the headers, with other months' statements and with custody."""
    kept = {
        content.month + row.retain_months for params in facts.params for row in params.retention
    }
    claimed = _claimed(own)
    fitting = explained = placed = 0
    for each in content.listed:
        submission = own.submissions[each.index]
        headers = sum(count for month, count in submission.retain_months if month in kept)
        if claimed[each.index] <= submission.events:
            fitting += min(each.events, headers)
        explained += min(claimed[each.index], submission.events)
        placed += submission.events
    good = conduct.submissions - min(conduct.bad_deposits, conduct.submissions)
    value = _share(fitting, content.events) * _share(explained, placed) // FULL
    return value * _share(good, conduct.submissions) // FULL


def _claimed(own: MemberFacts) -> dict[int, int]:
    """Return how many events of each submission the statements in force claim, all months."""
    claimed: dict[int, int] = {}
    for stated in own.stated.values():
        for each in stated[-1].content.listed:
            claimed[each.index] = claimed.get(each.index, 0) + each.events
    return claimed


def _share(part: int, whole: int) -> int:
    """Return `part` of `whole` in per mille; of nothing, all is there."""
    return FULL * part // whole if whole else FULL
