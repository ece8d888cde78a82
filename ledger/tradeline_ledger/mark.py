"""Marks: records about events, which erase or move its month (docs/formats.md, section 8)."""

from __future__ import annotations

import enum
from typing import Final

from tradeline_ledger.encoding import B32, U8, U64, Codec, Record
from tradeline_ledger.history import EventId

MARK_BYTES_MAX: Final = 256


@enum.unique
class MarkKind(enum.IntEnum):
    """What a mark does."""

    ERASE = 1
    """The body is deleted everywhere; no value."""
    RETAIN = 2
    """The month past which the body is deleted becomes the value."""
    DISPUTE = 3
    """Reserved."""
    ANNOTATION = 4
    """Reserved."""


MARKS_IMPLEMENTED: Final = frozenset({MarkKind.ERASE, MarkKind.RETAIN})


@enum.unique
class MarkReason(enum.IntEnum):
    """Why an event is marked."""

    RETENTION = 1
    CORRECTION = 2
    COURT_ORDER = 3
    SUBJECT_REQUEST = 4
    CONTRIBUTOR_ERROR = 5
    BEHAVIOUR_NOT_ENDED = 6
    BEHAVIOUR_ENDED = 7


class Mark(Record, frozen=True):
    """Content of a mark."""

    target: EventId
    what: U8
    """A `MarkKind`."""
    value: U64 | B32 | None
    """None for erase, a month number for retain."""
    reason: U8
    """A `MarkReason`."""


MARK: Final[Codec[Mark]] = Codec(Mark, "mark", MARK_BYTES_MAX)
