"""
The courses of a contributor's accounts while it imports: what new events must agree on.

docs/cleansing.md, section 6, says what is looked for. Only events that are new are judged, and move
a course: what was sent before, or corrects what was sent, was judged when it was. An account whose
opening was not seen is unknown and not wrong: it may be older than the first import.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_shelf import Shelf, Shelves
from tradeline_client.imports.fault import RowFault
from tradeline_ledger.account_course import (
    COURSE_TYPES,
    FIRST_DELINQUENT_ON,
    NONE,
    PERIOD,
    Course,
    Move,
    kind_field,
)
from tradeline_ledger.calendar import MONTHS_PER_YEAR
from tradeline_ledger.course_columns import HELD_UP, bit_of, findings_of, step_columns
from tradeline_ledger.finding import Finding, Severity
from tradeline_ledger.schemas import DEFAULTED, DELINQUENCY, OPENED, RESOLVED, STATEMENT

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeline_client.imports.columns import EventColumns

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

UNOPENED: Final = "account-not-opened"
ELSEWHERE: Final = (
    "account-opened-twice",
    "period-reported",
    "account-closed-twice",
    "days-past-due-jump",
)
"""
Codes that the other checks of an import find better: near duplicates know which of two events was
corrected, and the history of balances what sources do that report buckets.
"""

_KEPT: Final = np.dtype(
    [("key", "<u8"), *((name, "<i8" if name == "periods" else "<i4") for name in Course._fields)]
)
_KEY: Final = np.dtype([("key", "<u8")])
_EPOCH_MONTH: Final = 1970 * MONTHS_PER_YEAR
_LONG_AGO: Final = -719_162
"""0001-01-01: opening of accounts whose opening was not seen."""
_UNKNOWN: Final = Course(opened_on=_LONG_AGO, days_past_due=1)
"""Of an account nothing of which was seen: it may be open, and past due."""
_HARD: Final = HELD_UP & ~sum(bit_of(code) for code in (*ELSEWHERE, UNOPENED))
_SHOWN: Final = ~sum(bit_of(code) for code in ELSEWHERE)
_BY_REF: Final = np.array([DELINQUENCY.number, DEFAULTED.number, RESOLVED.number])
"""Types whose second report would contradict the first; no near duplicate tells those apart."""
_RANKS: Final = 2
_UP_TO_DATE: Final = 1


@dataclass(frozen=True, slots=True, repr=False)
class CourseEvents:
    """Events that say something about accounts, a column each."""

    account: NDArray[np.uint64]
    """Digest of the account as it is written."""
    ref: NDArray[np.uint64]
    """Digest of the reference as it is written."""
    rows: Ints
    """0-based row of the file."""
    moves: Ints
    """Of `moves_of`, a row an event."""

    def select(self, chosen: NDArray[Any]) -> Self:
        """Return the events that a mask or places choose."""
        return type(self)(*[getattr(self, each.name)[chosen] for each in fields(self)])

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return the events of several types as one; of none, no event."""
        if not parts:
            none = np.zeros(0, np.uint64)
            return cls(
                none, none, np.zeros(0, np.int64), np.zeros((0, len(Move._fields)), np.int64)
            )
        if len(parts) == 1:
            return parts[0]
        return cls(
            *[np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)]
        )


class Courses:
    """What is remembered of each account, by the digest of its reference."""

    def __init__(self, shelves: Shelves) -> None:
        """Keep what is known in `shelves`."""
        self._courses = Shelf(shelves, "course", _KEPT)
        self._told = Shelf(shelves, "course ref", _KEY)
        self._types = Shelf(shelves, "course type", _KEY)

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        """What has to be written."""
        return self._courses, self._told, self._types

    def check(self, events: CourseEvents, lines: dict[int, int]) -> list[RowFault]:
        """
        Return what does not fit the courses of accounts, and remember what goes on.

        A row with a finding that rejects or holds it moves no course, with none of its events.

        Args:
            events: that nothing else holds, and that were not sent before as far as that is known.
            lines: line of each row.

        Raises:
            StoreError: what is known does not open.
        """
        new = self._are_new(events)
        if not new.any():
            return []
        events = _in_order(events if new.all() else events.select(new))
        kept, bits = self._stepped(events)
        out = np.unique(events.rows[bits & _HARD != 0])
        going = events
        if len(out):
            going = events.select(~np.isin(events.rows, out))
            kept, _ = self._stepped(going)
        self._courses.put(0, kept)
        self._told.put(0, _keys(going.ref[np.isin(going.moves[:, 0], _BY_REF)]))
        if (going.moves[:, 0] == OPENED.number).any():
            self._types.put(0, _keys(np.array([OPENED.number], np.uint64)))
        return _faults(events.rows, bits, lines)

    def _are_new(self, events: CourseEvents) -> Mask:
        """Return which events were not told before under their reference."""
        new = np.ones(len(events.rows), np.bool_)
        places = np.flatnonzero(np.isin(events.moves[:, 0], _BY_REF))
        if len(places):
            new[places] = ~self._told.find(0, events.ref[places])[1]
        return new

    def _stepped(self, events: CourseEvents) -> tuple[NDArray[np.void], Ints]:
        """Return what is to be kept of each account, and what is wrong with each event."""
        starts = np.ones(len(events.rows), np.bool_)
        starts[1:] = events.account[1:] != events.account[:-1]
        first, place = np.flatnonzero(starts), np.cumsum(starts) - 1
        accounts = events.account[first]
        found, there = self._courses.find(0, accounts)
        courses = np.stack([found[name].astype(np.int64) for name in Course._fields], axis=1)
        courses[~there] = _UNKNOWN
        openings = events.moves[:, 0] == OPENED.number
        opened_on = Course._fields.index("opened_on")
        if openings.any():
            courses[place[openings], opened_on] = events.moves[openings, 1]
            bits = np.zeros(len(events.rows), np.int64)
            others = np.flatnonzero(~openings)
            courses, bits[others] = step_columns(courses, place[others], events.moves[others])
        else:
            courses, bits = step_columns(courses, place, events.moves)
        bits &= _SHOWN
        unseen = ~there & (courses[:, opened_on] == _LONG_AGO)
        if unseen.any() and (openings.any() or self._opens()):
            bits[first[unseen]] |= bit_of(UNOPENED)
        kept = np.empty(len(accounts), _KEPT)
        kept["key"] = accounts
        for name, column in zip(Course._fields, courses.T, strict=True):
            kept[name] = column
        return kept, bits

    def _opens(self) -> bool:
        """Whether the contributor reports openings, so that one can be missed."""
        return bool(self._types.find(0, np.array([OPENED.number], np.uint64))[1][0])


def moves_of(columns: EventColumns) -> Ints | None:
    """Return what events say about the courses of their accounts; None if nothing."""
    schema = columns.schema
    if schema.number not in COURSE_TYPES:
        return None
    names = columns.values.schema.names
    moves = np.full((len(columns), len(Move._fields)), NONE, np.int64)
    found = Move(*moves.T)  # columns stand for the integers
    into: Any = found._asdict()
    into["schema"][:] = schema.number
    into["day"][:] = _days(columns.occurred_on)
    if PERIOD in names:
        into["period"][:] = _months(columns.values[PERIOD])
    if "days_past_due" in names:
        into["days_past_due"][:] = columns.values["days_past_due"].to_numpy(zero_copy_only=False)
    if FIRST_DELINQUENT_ON in names:
        into["first_delinquent_on"][:] = _days(columns.values[FIRST_DELINQUENT_ON])
    kind = kind_field(schema)
    if kind in names:
        into["kind"][:] = columns.values[kind].to_numpy(zero_copy_only=False)
    return moves


def _in_order(events: CourseEvents) -> CourseEvents:
    """
    Return the events by account and of one by day, whatever the order of the file.

    Of one day a statement without days past due comes last, after the resolution that it shows.
    """
    found = Move(*events.moves.T)
    last: Any = (found.schema == STATEMENT.number) & (found.days_past_due == 0)
    order = np.argsort(found.day * _RANKS + np.where(last, _UP_TO_DATE, 0), kind="stable")
    return events.select(order[np.argsort(events.account[order], kind="stable")])


def _faults(rows: Ints, bits: Ints, lines: dict[int, int]) -> list[RowFault]:
    return [
        RowFault(
            row=row,
            line=lines.get(row, 0),
            column="",
            field=found.field,
            code=found.code,
            got=found.got,
            expected=found.expected,
            fix=found.fix,
            severity=found.severity,
        )
        for at in np.flatnonzero(bits).tolist()
        for row in (int(rows[at]),)
        for found in map(_as_known, findings_of(int(bits[at])))
    ]


def _as_known(finding: Finding) -> Finding:
    """Return a finding as grave as it is where accounts may be older than the first import."""
    return replace(finding, severity=Severity.WARNING) if finding.code == UNOPENED else finding


def _keys(keys: NDArray[np.uint64]) -> NDArray[np.void]:
    records = np.empty(len(keys), _KEY)
    records["key"] = keys
    return records


def _days(column: pa.StringArray) -> Ints:
    """Return days `YYYY-MM-DD` as days from 1970-01-01."""
    import pyarrow as pa  # noqa: PLC0415 - takes 0.1 s, and only who imports files needs it

    days: Ints = column.cast(pa.date32()).cast(pa.int32()).to_numpy(zero_copy_only=False)
    return days


def _months(column: pa.StringArray) -> Ints:
    """Return months `YYYY-MM` as `year * 12 + month - 1`."""
    import pyarrow.compute as pc  # noqa: PLC0415

    first = _days(pc.binary_join_element_wise(column, "01", "-"))
    months: Ints = first.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months + _EPOCH_MONTH
