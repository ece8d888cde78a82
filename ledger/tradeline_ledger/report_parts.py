"""
What a report says: values that only `tradeline_ledger.report` makes, all of them verified.

Each event that the histories count is in exactly one of a report's lists: shown, gone, withheld,
invalid, or an inquiry. Times are ms since 1970 UTC; months count as `year * 12 + month - 1`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradeline_ledger.event import Event
    from tradeline_ledger.history import EventId
    from tradeline_ledger.mark import MarkReason
    from tradeline_ledger.registry import Role
    from tradeline_ledger.resolution import Chain, EffectiveEvent
    from tradeline_ledger.schema import EventSchema
    from tradeline_ledger.standing import ProvenMark, Standing


@enum.unique
class Fault(enum.Enum):
    """Why an event is invalid. Its member signed it and is answerable for it."""

    UNSEALED = "unsealed"
    """The key is right and the body does not open: it was sealed for another place, or copied."""
    UNREADABLE = "unreadable"
    """The body opens and holds no event that follows its schema."""
    SUBJECT = "subject"
    """`check` is that of another subject."""
    YEAR = "year"
    """It happened in a year that the inquiry did not ask for."""
    CATEGORY = "category"
    """Its type belongs to a category that the inquiry did not ask this member for."""
    RETAIN_MONTH = "retain-month"
    """Its header names another month than that of its category and day."""
    PLACE = "place"
    """Other events under the same tag are of another subject, year or category."""
    CORRECTION = "correction"
    """It corrects what is no earlier event of the same member and place."""
    DEALT_WRONG = "dealt-wrong"
    """Its member dealt shares that do not combine to the key."""


@enum.unique
class WarningCode(enum.Enum):
    """What a reader of the report should know."""

    SUBJECT_UNCHECKED = "subject-unchecked"
    """No `year_key` was given, so that events were not compared with the subject."""
    CONTENT_WITHHELD = "content-withheld"
    """The bundle lacks the keys of some events."""
    BODY_LAPSED = "body-lapsed"
    """A body is gone although its month was moved; ask whether it went before that."""
    TAGS_SPLIT = "tags-split"
    """One member files one subject, year and category under more tags than it had tag keys."""
    TYPE_UNKNOWN = "type-unknown"
    """An event is of a type that this program does not know; a newer one may."""


@dataclass(frozen=True, slots=True)
class ReportWarning:
    """One warning."""

    code: WarningCode
    text: str


@dataclass(frozen=True, slots=True)
class ReportMember:
    """A member that a report names, as it was at the end of the inquiry's block."""

    id: int
    name: str
    group: int
    roles: Role
    """None of them if it was removed."""


@dataclass(frozen=True, slots=True)
class Filed:
    """What is known of every event without its content."""

    id: EventId
    member: int
    """Who filed it."""
    height: int
    """Block that placed it."""
    created_ms: int
    """Its signer's clock."""
    retain_month: int
    """Past it the body is deleted."""
    marks: tuple[ProvenMark, ...]
    """Records about it, in log order."""


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """An event that is shown: complete, of the right subject, and valid."""

    filed: Filed
    event: Event
    """Decoded; fields are wire values in the order of `schema`."""
    schema: EventSchema = field(repr=False)
    identifier: int | None
    """Which of the subject's identifiers it was filed under; None if not checked."""

    @property
    def id(self) -> EventId:
        """Where it stands in the log."""
        return self.filed.id

    @property
    def type(self) -> str:
        """Name of its type, such as `account.opened`."""
        return self.schema.name


@dataclass(frozen=True, slots=True)
class GoneEvent:
    """An event whose body was deleted, as it must be."""

    filed: Filed
    standing: Standing
    """ERASED, EXPIRED or LAPSED."""
    reason: MarkReason | None
    """Why it was erased; None if its month is over."""


@dataclass(frozen=True, slots=True)
class InvalidEvent:
    """An event that its member should not have filed so. The bundle proves it."""

    filed: Filed
    fault: Fault
    detail: str
    event: Event | None
    """Decoded, where it decodes."""


@dataclass(frozen=True, slots=True)
class ReportInquiry:
    """Who asked for this subject's history."""

    filed: Filed
    consent_id: bytes
    """16 bytes."""
    purpose: int
    """A `Purpose`."""
    categories: tuple[int, ...]
    contributors: tuple[int, ...] | None
    """None: all."""
    years: tuple[int, ...]
    own: bool
    """Whether it is the one that this report answers."""


@dataclass(frozen=True, slots=True)
class HistoryCount:
    """What one member holds under one tag of the scope."""

    member: int
    events: int
    """Inquiries included."""
    marks: int


@dataclass(frozen=True, slots=True)
class Completeness:
    """As of when a report is complete, and on whose word."""

    size: int
    """Log size at the end of the inquiry's block."""
    root: bytes
    height: int
    time_ms: int
    """Block time."""
    validators: tuple[int, ...]
    """Committee members that signed these counts alike, ascending."""
    threshold: int
    """How many had to."""
    committee: int
    """How many there are."""
    scope_hash: bytes
    """Of every (member, tag) that was looked up; the reader can't compute it."""
    histories: tuple[HistoryCount, ...]
    """Those that are not empty, in the order of the statement; all others are empty."""


@dataclass(frozen=True, slots=True)
class Report:
    """A subject's verified history, complete as of one block. Made by `tradeline_ledger.report`."""

    ledger_id: bytes
    inquiry: int
    """Log index."""
    reader: int
    """Member that asked."""
    consent_id: bytes
    purpose: int
    """A `Purpose`."""
    categories: tuple[int, ...]
    """Asked for; inquiries are always included."""
    contributors: tuple[int, ...] | None
    """Asked; None: all members ever."""
    years: tuple[int, ...]
    completeness: Completeness
    members: tuple[ReportMember, ...]
    """Those named anywhere in the report, ascending."""
    events: tuple[ReportEvent, ...]
    """Shown ones, corrections and what they correct included, in log order."""
    effective: tuple[EffectiveEvent, ...]
    """What stands after corrections: the values to score with."""
    chains: tuple[Chain, ...]
    """Events that were corrected or retracted, with all that was said about them."""
    inquiries: tuple[ReportInquiry, ...]
    gone: tuple[GoneEvent, ...]
    """Erased and expired ones."""
    withheld: tuple[Filed, ...]
    """Those whose keys a bundle leaves out."""
    unknown: tuple[Filed, ...]
    """Those of a type that this program does not know."""
    invalid: tuple[InvalidEvent, ...]
    warnings: tuple[ReportWarning, ...]
