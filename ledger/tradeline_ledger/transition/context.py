"""What the rules of one entry are given and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tradeline_ledger.outcome import Outcome

if TYPE_CHECKING:
    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.inquiry import Inquiry
    from tradeline_ledger.mark import Mark
    from tradeline_ledger.params import Params
    from tradeline_ledger.registry import MemberRecord, Registry
    from tradeline_ledger.statement import Entry, Statement
    from tradeline_ledger.submission import Submission

Writes = tuple[tuple[bytes, bytes], ...]
"""Rows to put, key and value."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What an entry's bytes say by themselves, decoded and checked; the same in every state."""

    entry: Entry
    statement: Statement
    key: bytes
    """The feed key whose signature it carries."""
    submission: Submission | None
    """Decoded content of kind SUBMISSION. Any content hashes to the statement's `content_hash`."""


class Memory(Protocol):
    """
    Remembers opened entries, so that check, proposal and execution open each only once.

    A function of bytes gives the same result remembered as computed: nothing depends on what a
    memory holds.
    """

    def get(self, encoded: bytes) -> Opened | None:
        """Return what `put` was given for the same bytes, None if it is not remembered."""
        ...

    def put(self, encoded: bytes, opened: Opened) -> None:
        """Remember an opened entry."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The block that an entry stands in."""

    ledger: Ledger
    registry: Registry
    """In force at this height."""
    pending: Registry
    """As changed by the entries before this one; in force from the next height."""
    height: int
    time_ms: int
    """Block time."""
    index: int
    """Log index that the entry gets if it is placed."""
    memory: Memory | None = None
    """Of entries opened before; None opens each anew."""

    @property
    def params(self) -> Params:
        """The parameters in force at this height."""
        return self.ledger.params_of(self.registry)


@dataclass(frozen=True, slots=True)
class Signed:
    """An entry whose statement is in its turn and signed by the feed's key in force."""

    entry: Entry
    statement: Statement
    member: MemberRecord
    """The member's version in force."""
    feed_kinds: int
    """What the feed may sign."""
    submission: Submission | None
    """Decoded content of kind SUBMISSION."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules of one kind say."""

    outcome: Outcome
    writes: Writes = ()
    """Empty unless accepted."""
    record: MemberRecord | None = None
    """A member's new version, from the next height."""
    inquiry: Inquiry | None = None
    """Decoded content of an accepted inquiry."""
    mark: Mark | None = None
    """Decoded content of an accepted mark."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Result of `apply`."""

    outcome: Outcome
    detail: str
    """What was got and expected, for whoever handed the entry over; not part of the log."""
    signed: Signed | None
    """None if dropped."""
    writes: Writes
    """Rows to put, the feed's included; empty if dropped."""
    ruling: Ruling | None
    """None if dropped."""
