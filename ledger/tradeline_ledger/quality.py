"""
Quality statements: what a member says of one month that it reported (docs/formats.md, section 8).

Sealed bodies hide how many rows a member's file had, which events correct others and which came
twice. The member says so itself, in numbers that the ledger and its readers can hold it to: every
submission with events of the month is listed, and every correction and repeat has a print that
only those who can open the event are able to compute.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from typing import Annotated, Final

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from tradeline_ledger import calendar
from tradeline_ledger.encoding import U8, U16, U32, U64, Codec, Record, check_ascending
from tradeline_ledger.hashing import label
from tradeline_ledger.history import EventId
from tradeline_ledger.mac import mac

QUALITY_BYTES_MAX: Final = 800 * 1024
QUALITY_VERSION: Final = 1
LISTED_MAX: Final = 8_192
"""Submissions that one statement lists."""
PRINT_BYTES: Final = 8
CORRECTIONS_MAX: Final = 65_536
REPEATS_MAX: Final = 16_384
_PRINT: Final = label("quality")
_BIG_ENDIAN: Final = np.dtype(">u8")


@enum.unique
class MonthStanding(enum.IntEnum):
    """What the member declares the month to be."""

    OPEN = 1
    """More of it may come."""
    COMPLETE = 2
    """All that the member has to report of it was reported."""
    MISSING = 3
    """There is something to report that is not reported yet."""
    VOID = 4
    """There is nothing to report: no rows, no events."""


@enum.unique
class RejectClass(enum.IntEnum):
    """Why rows were not taken, in classes that say nothing of a subject."""

    FORM = 1
    """The row could not be read: columns, encoding, number of fields."""
    ABSENT = 2
    """A value that must be there was not."""
    VALUE = 3
    """A value out of its bounds or its list of codes."""
    IDENTIFIER = 4
    """An identifier of a subject that can't be right."""
    DATE = 5
    """No day of the calendar, or one that can't be."""
    RULE = 6
    """Values that contradict each other."""
    TARGET = 7
    """About an account or event that the member has not reported."""
    FORBIDDEN = 8
    """What may not be reported by law."""
    OTHER = 9


@enum.unique
class Delay(enum.IntEnum):
    """How long after the end of a month something about it was placed, in local days."""

    DUE = 0
    """Up to 15 days, or before the month ended."""
    DAYS_30 = 1
    DAYS_60 = 2
    DAYS_90 = 3
    DAYS_180 = 4
    BEYOND = 5


_DELAY_DAYS: Final = (15, 30, 60, 90, 180)
"""Most days of each delay but the last."""
_Counts = Annotated[tuple[U32, ...], Meta(min_length=len(Delay), max_length=len(Delay))]
_CorrectionPrints = Annotated[bytes, Meta(max_length=CORRECTIONS_MAX * PRINT_BYTES)]
_RepeatPrints = Annotated[bytes, Meta(max_length=REPEATS_MAX * PRINT_BYTES)]


class Rejected(Record, frozen=True):
    """Rows that were not taken for one kind of reason."""

    reason: U8
    """A `RejectClass`."""
    rows: U32
    """One at least."""

    def __post_init__(self) -> None:
        """Refuse unknown reasons, and rows that are none."""
        if self.reason not in set(RejectClass) or not self.rows:
            raise ValueError("rejected rows have a known reason and are one at least")


class Listed(Record, frozen=True):
    """A submission that holds events of the month."""

    index: U64
    """Log index."""
    events: U32
    """How many of its events occurred in the month; one at least."""

    def __post_init__(self) -> None:
        """Refuse a submission without such events."""
        if not self.events:
            raise ValueError("a listed submission holds one event of the month at least")


class Quality(Record, frozen=True):
    """Content of a quality statement: about the events of one month below one log size."""

    version: U8
    """1."""
    month: U16
    """`year * 12 + month - 1` of `occurred_on`."""
    size: U64
    """Log size that it speaks as of: of submissions below it, and of no later ones."""
    supersedes: U64 | None
    """Log index of the member's last accepted statement on the month; None for the first."""
    standing: U8
    """A `MonthStanding`."""
    received: U64
    """Rows of the member's files of the month."""
    accepted: U64
    """Of them, those that became events."""
    rejected: Annotated[tuple[Rejected, ...], Meta(max_length=len(RejectClass))]
    """Of them, those that were not taken, ascending by reason."""
    quarantined: U64
    """Of them, those that wait for a person to decide."""
    duplicates: U64
    """Of them, those that were recognised as rows that had come before, and not filed again."""
    listed: Annotated[tuple[Listed, ...], Meta(max_length=LISTED_MAX)]
    """Every submission with events of the month, ascending by index."""
    corrections: _Counts
    """Of these events, corrections and retractions, by `Delay`."""
    correction_prints: _CorrectionPrints
    """`event_print` of each of them, ascending."""
    repeat_prints: _RepeatPrints
    """
    Of each event that repeats an earlier one: neither is a correction, and both have one `ref`.
    """

    def __post_init__(self) -> None:
        """Refuse what does not add up, or is out of order."""
        if self.version != QUALITY_VERSION or self.standing not in set(MonthStanding):
            raise ValueError(f"version is {self.version} and standing {self.standing}")
        check_ascending(tuple(each.reason for each in self.rejected), "reasons")
        check_ascending(tuple(each.index for each in self.listed), "submissions")
        _check_prints(self.correction_prints, "prints of corrections")
        _check_prints(self.repeat_prints, "prints of repeats")
        if len(self.correction_prints) != sum(self.corrections) * PRINT_BYTES:
            raise ValueError("every correction has one print")
        if self.received != self.accepted + self.not_taken + self.quarantined + self.duplicates:
            raise ValueError(
                "the rows received are those accepted, rejected, quarantined and recognised again"
            )
        if sum(self.corrections) + self.repeats > self.events:
            raise ValueError("there are more corrections and repeats than events")
        if self.standing == MonthStanding.VOID and (self.received or self.listed):
            raise ValueError("of a void month there are neither rows nor events")

    @property
    def events(self) -> int:
        """Events of the month, corrections and repeats among them."""
        return sum(each.events for each in self.listed)

    @property
    def not_taken(self) -> int:
        """Rows that were rejected."""
        return sum(each.rows for each in self.rejected)

    @property
    def repeats(self) -> int:
        """Events that repeat an earlier one."""
        return len(self.repeat_prints) // PRINT_BYTES

    @property
    def first_events(self) -> int:
        """Events that neither correct nor repeat another."""
        return self.events - sum(self.corrections) - self.repeats


QUALITY: Final[Codec[Quality]] = Codec(Quality, "quality statement", QUALITY_BYTES_MAX)


class QualityState(Record, frozen=True):
    """A member's last accepted statement on a month, as a row of the state."""

    index: U64
    """Log index."""
    size: U64
    """That it speaks as of."""


QUALITY_STATE: Final[Codec[QualityState]] = Codec(QualityState, "quality state", 64)


class MonthEnd:
    """The last day of a month, to tell how late something is."""

    __slots__ = ("_last_day", "_utc_offset_min")

    def __init__(self, month: int, utc_offset_min: int) -> None:
        """Take a month, `year * 12 + month - 1`, of a ledger's local time."""
        after_ms = calendar.month_start_ms(month + 1, utc_offset_min)
        self._last_day = calendar.day(after_ms, utc_offset_min) - 1
        self._utc_offset_min = utc_offset_min

    def delay(self, time_ms: int) -> Delay:
        """Return how long after the month an instant is."""
        days = calendar.day(time_ms, self._utc_offset_min) - self._last_day
        return Delay(bisect_left(_DELAY_DAYS, days))


def event_print(body_key: bytes, event: EventId) -> bytes:
    """
    Return what stands for an event in a statement: `PRINT_BYTES` of a MAC under its body key.

    Whoever can open the event can compute it; to everybody else it is random.
    """
    return mac(body_key, _PRINT + event.encoded())[:PRINT_BYTES]


def join_prints(prints: list[bytes]) -> bytes:
    """Return prints in the order in which a statement holds them."""
    return b"".join(sorted(prints))


def has_print(prints: bytes, wanted: bytes) -> bool:
    """Return whether `wanted` is among the prints of a statement."""
    return bool((_split(prints) == _split(wanted)).any())


def _check_prints(prints: bytes, what: str) -> None:
    if len(prints) % PRINT_BYTES:
        raise ValueError(f"{what} have {PRINT_BYTES} bytes each")
    values = _split(prints)
    if (values[1:] < values[:-1]).any():
        raise ValueError(f"{what} must ascend")


def _split(prints: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(prints, dtype=_BIG_ENDIAN)
