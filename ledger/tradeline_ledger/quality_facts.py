"""
What the log itself says about how members contribute: counted while its blocks are executed.

Whoever replays a log, or executes its blocks as a node does, counts the same. What it takes to
remember grows with submissions and erasures, and not with events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tradeline_ledger import calendar
from tradeline_ledger.custody_record import CUSTODY
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkKind, MarkReason
from tradeline_ledger.quality import QUALITY, Quality
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.params import Params
    from tradeline_ledger.transition import Executed
    from tradeline_ledger.transition.block import Placed

FAULTY: Final = frozenset({MarkReason.CORRECTION, MarkReason.CONTRIBUTOR_ERROR})
"""Reasons of an erasure that say that the event should not have been submitted so."""


@dataclass(frozen=True, slots=True)
class SubmissionFacts:
    """What is public of one accepted submission."""

    time_ms: int
    """Of its block."""
    events: int
    retain_months: tuple[tuple[int, int], ...]
    """Month numbers of its event headers and how many have each, ascending."""


@dataclass(frozen=True, slots=True)
class StatedQuality:
    """An accepted quality statement and its place."""

    index: int
    time_ms: int
    """Of its block."""
    content: Quality


@dataclass(slots=True)
class Conduct:
    """What a member did in one local month, by block time."""

    entries: int = 0
    """That took a place, of any kind but those that its node signs."""
    refused: int = 0
    """Of them."""
    submissions: int = 0
    bad_deposits: int = 0
    """That committee members said were bad, of submissions placed in the month."""
    faulty_erasures: int = 0
    """Events erased because they should not have been submitted so."""
    other_erasures: int = 0


@dataclass(slots=True)
class MemberFacts:
    """What the log says about one member as a contributor."""

    submissions: dict[int, SubmissionFacts] = field(default_factory=dict)
    """Accepted ones, by log index."""
    conduct: dict[int, Conduct] = field(default_factory=dict)
    """By month of block time."""
    stated: dict[int, list[StatedQuality]] = field(default_factory=dict)
    """Accepted quality statements by the month that they are about, the last one in force."""
    erased: set[EventId] = field(default_factory=set)
    """Events that the member ordered to be erased."""

    def in_force(self, month: int) -> StatedQuality | None:
        """Return the statement in force on a month, None if the member stated nothing."""
        stated = self.stated.get(month)
        return stated[-1] if stated else None

    def in_month(self, month: int) -> Conduct:
        """Return what the member did in a month."""
        return self.conduct.setdefault(month, Conduct())


class LedgerFacts:
    """Facts about all members, as of the last block that was observed."""

    def __init__(self, ledger: Ledger) -> None:
        """Start before the first block."""
        self._ledger = ledger
        self._owners: dict[int, int] = {}
        self.members: dict[int, MemberFacts] = {}
        self.size = 0
        """Leaves observed."""
        self.time_ms = 0
        """Time of the last block."""
        self.params: tuple[Params, ...] = (ledger.params,)
        """That were ever in force, the first ones first."""

    @property
    def utc_offset_min(self) -> int:
        """Local time of the ledger, the same for ever."""
        return self._ledger.params.utc_offset_min

    def member(self, number: int) -> MemberFacts:
        """Return the facts about a member, empty ones if it did nothing."""
        return self.members.setdefault(number, MemberFacts())

    def observe(self, executed: Executed) -> None:
        """Count one block; blocks come in the order of the log, the genesis block first."""
        self.size, self.time_ms = executed.head.size, executed.head.time_ms
        settings = executed.registry.settings
        self.params = (self._ledger.params, *(each.params for each in settings))
        month = calendar.month(self.time_ms, self.utc_offset_min)
        for placed in executed.placed:
            self._observe(placed, month)

    def _observe(self, placed: Placed, month: int) -> None:
        signed, ruling = placed.applied.signed, placed.applied.ruling
        assert signed is not None, placed.index
        assert ruling is not None, placed.index
        kind, accepted = signed.statement.kind, placed.applied.outcome.accepted
        if kind == Kind.CUSTODY:
            if accepted:
                self._count_custody(signed.entry.content)
            return
        if kind == Kind.RELEASED:
            return
        facts = self.member(signed.member.id)
        conduct = facts.in_month(month)
        conduct.entries += 1
        if not accepted:
            conduct.refused += 1
        elif signed.submission is not None:
            batch = signed.submission.batch
            months = tuple(sorted(Counter(batch.retain_months()).items()))
            facts.submissions[placed.index] = SubmissionFacts(self.time_ms, batch.count, months)
            self._owners[placed.index] = signed.member.id
            conduct.submissions += 1
        elif ruling.mark is not None and ruling.mark.what == MarkKind.ERASE:
            facts.erased.add(ruling.mark.target)
            if ruling.mark.reason in FAULTY:
                conduct.faulty_erasures += 1
            else:
                conduct.other_erasures += 1
        elif kind == Kind.QUALITY:
            content = QUALITY.decode(signed.entry.content)
            stated = StatedQuality(placed.index, self.time_ms, content)
            facts.stated.setdefault(content.month, []).append(stated)

    def _count_custody(self, content: bytes) -> None:
        """Count what a committee member said for the month in which the batch was placed."""
        for row in CUSTODY.decode(content):
            if not row.ok:
                facts = self.member(self._owners[row.index])
                placed_ms = facts.submissions[row.index].time_ms
                month = calendar.month(placed_ms, self.utc_offset_min)
                facts.in_month(month).bad_deposits += 1
