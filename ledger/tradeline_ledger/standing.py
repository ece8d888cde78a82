"""
Standing: what is left of an event, and why (DESIGN.md, section 9).

A body goes when a mark erases it or when its month is over, as of block time. A body that is
missing for no such reason makes a report incomplete; one that should be gone is passed over.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger import calendar
from tradeline_ledger.body import body_hash
from tradeline_ledger.errors import IncompleteError, SealError
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.submission import header_body_hash, header_retain_month

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.history import EventId
    from tradeline_ledger.mark import Mark
    from tradeline_ledger.release import EventProof
    from tradeline_ledger.statement import BlockLeaf


@enum.unique
class Standing(enum.Enum):
    """What is left of an event."""

    PRESENT = "present"
    """Its body is there."""
    ERASED = "erased"
    """A mark erased its body."""
    EXPIRED = "expired"
    """The month past which its body is deleted is over."""
    LAPSED = "lapsed"
    """Its body is gone; its month was moved, and one of the months that it had is over."""


@dataclass(frozen=True, slots=True)
class ProvenMark:
    """An accepted mark about an event."""

    index: int
    """Log index of the record."""
    mark: Mark
    created_ms: int
    """Its signer's clock."""
    later: bool
    """Whether it came after the inquiry's block."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The months as of which bodies may be gone."""

    month: int
    """Of the end of the inquiry's block."""
    latest_month: int
    """Of the end of the checkpoint's log: a release is answered after its block."""

    @classmethod
    def of(cls, block: BlockLeaf, latest: BlockLeaf, utc_offset_min: int) -> Clock:
        """Return the clock of two block leaves, in the ledger's local time."""
        return cls(
            calendar.month(block.time_ms, utc_offset_min),
            calendar.month(latest.time_ms, utc_offset_min),
        )


def standing_of(
    proof: EventProof, event: EventId, marks: Sequence[ProvenMark], clock: Clock
) -> tuple[Standing, bytes | None, int]:
    """
    Return what is left of an event, its body, and the month in force at the inquiry's block.

    Raises:
        SealError: the body is not the one that the header names.
        IncompleteError: the body is missing and nothing explains it.
    """
    months = [header_retain_month(proof.header)]
    later = list(months)
    erased = False
    for each in marks:
        erased = erased or each.mark.what == MarkKind.ERASE
        if each.mark.what == MarkKind.RETAIN and isinstance(each.mark.value, int):
            later.append(each.mark.value)
            if not each.later:
                months.append(each.mark.value)
    if erased:
        return Standing.ERASED, None, months[-1]
    if clock.month > months[-1]:
        return Standing.EXPIRED, None, months[-1]
    if proof.body is not None:
        if body_hash(proof.body) != header_body_hash(proof.header):
            raise SealError(f"body of event {event} is not the one that its header names")
        return Standing.PRESENT, proof.body, months[-1]
    if clock.latest_month > later[-1]:
        return Standing.EXPIRED, None, months[-1]
    if clock.latest_month > min(later):
        return Standing.LAPSED, None, months[-1]
    raise IncompleteError(
        f"body of event {event} is missing; no mark erased it and its month is not over; ask "
        "another committee member for it"
    )
