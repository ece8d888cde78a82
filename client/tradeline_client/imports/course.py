"""
The courses of a contributor's accounts while it imports: what new events must agree on.

Only events that are new are checked: what was sent before, or corrects what was sent, was checked
when it was. The courses are kept by the keyed references of accounts, 80 bytes for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

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
from tradeline_ledger.course_columns import findings_of, step_columns
from tradeline_ledger.mac import SHORT_MAC_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeline_client.imports.columns import EventColumns

Ints = NDArray[np.int64]

_KEPT: Final = np.dtype(
    [("account", f"V{SHORT_MAC_BYTES}"), ("course", "<i8", len(Course._fields))]
)
_EPOCH_MONTH: Final = 1970 * MONTHS_PER_YEAR


class Courses:
    """What is remembered of each account, by its keyed reference."""

    __slots__ = ("_courses", "_places")

    def __init__(self, kept: bytes = b"") -> None:
        """Go on from what `dump` returned, or begin without any account."""
        table = np.frombuffer(kept, _KEPT)
        self._places = {account: at for at, account in enumerate(table["account"].tolist())}
        self._courses: Ints = table["course"].astype(np.int64).reshape(-1, len(Course._fields))

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"Courses({len(self)} accounts, not shown)"

    def check(self, accounts: NDArray[np.void], moves: Ints) -> Ints:
        """
        Return what is wrong with new events, and remember those that are reported.

        Args:
            accounts: keyed reference of the account, 16 bytes an event.
            moves: of `moves_of`, a row an event, in the order of reporting.

        Returns:
            For each event bits of which `faults_of` makes faults; 0 where nothing is wrong.
        """
        places = self._places
        at = np.fromiter(
            (places.setdefault(account, len(places)) for account in accounts.tolist()),
            np.int64,
            len(accounts),
        )
        new = len(places) - len(self._courses)
        if new:
            begun = np.array([Course()], np.int64).repeat(new, axis=0)
            self._courses = np.concatenate([self._courses, begun])
        touched, place = np.unique(at, return_inverse=True)
        self._courses[touched], bits = step_columns(self._courses[touched], place, moves)
        return bits

    def dump(self) -> bytes:
        """Return all courses as bytes, to be kept encrypted in the member's folder."""
        table = np.empty(len(self), _KEPT)
        table["account"] = np.frombuffer(b"".join(self._places), f"V{SHORT_MAC_BYTES}")
        table["course"] = self._courses
        return table.tobytes()


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


def faults_of(rows: Ints, lines: Ints, bits: Ints) -> tuple[RowFault, ...]:
    """
    Return the faults of rows, in their order.

    Args:
        rows: 0-based row of the file, an event.
        lines: 1-based line on which that row starts.
        bits: what `Courses.check` returned.
    """
    return tuple(
        RowFault(
            row=int(rows[at]),
            line=int(lines[at]),
            column="",
            field=found.field,
            code=found.code,
            got=found.got,
            expected=found.expected,
            fix=found.fix,
            severity=found.severity,
        )
        for at in np.flatnonzero(bits).tolist()
        for found in findings_of(int(bits[at]))
    )


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
