"""
What a block did, as the parts of a node that listen to commits need it.

The process that applies blocks knows it from executing them; a process that only reads the ledger
store finds the same in the leaves that are new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.merkle import leaf_hash
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.state import HeadState
from tradeline_ledger.statement import STATEMENT, BlockLeaf, Kind, decode_leaf, statement_hash
from tradeline_ledger.submission import header_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tradeline_ledger.transition import Executed
    from tradeline_node.stored_log import StoredLog

LEAVES_AT_ONCE: Final = 1024
"""Read from a log in one go."""


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """One entry that has its place."""

    index: int
    """In the log."""
    hash: bytes
    """Of its statement."""
    outcome: Outcome
    events: int
    """Of an accepted submission, else 0."""


@dataclass(frozen=True, slots=True)
class Committed:
    """One block."""

    head: HeadState
    """After it."""
    registry_root: bytes
    """In force from the next height."""
    placed: Sequence[PlacedEntry]
    """In log order."""
    dropped: Sequence[Outcome]
    """Of entries without a place; unknown to who follows."""
    grew: bool
    """Whether the log has more leaves than before, be it a block leaf alone."""


def committed_of(executed: Executed) -> Committed:
    """Return what a block did that was executed here."""
    placed = []
    for each in executed.placed:
        signed, outcome = each.applied.signed, each.applied.outcome
        assert signed is not None, each.index
        accepted = signed.submission is not None and outcome is Outcome.ACCEPTED
        events = signed.submission.batch.count if signed.submission and accepted else 0
        placed.append(
            PlacedEntry(each.index, statement_hash(signed.entry.statement), outcome, events)
        )
    dropped = tuple(applied.outcome for _, applied in executed.dropped)
    grew = bool(executed.leaves)
    return Committed(executed.head, executed.registry.root, placed, dropped, grew)


def committed_since(log: StoredLog, size: int) -> Iterator[Committed]:
    """
    Yield what each block did that stands in `log` from leaf `size` on, where a block begins.

    Raises:
        StoreError: the log can't be read.
    """
    placed: list[PlacedEntry] = []
    for start in range(size, log.head.size, LEAVES_AT_ONCE):
        end = min(start + LEAVES_AT_ONCE, log.head.size)
        for index, encoded in enumerate(log.leaves(start, end), start):
            leaf = decode_leaf(encoded)
            if isinstance(leaf, BlockLeaf):
                head = HeadState(leaf.height, leaf.time_ms, index + 1, leaf_hash(encoded))
                yield Committed(head, leaf.registry_root, placed, (), grew=True)
                placed = []
                continue
            outcome = Outcome(leaf.outcome)
            kind = STATEMENT.decode(leaf.statement).kind
            accepted = kind == Kind.SUBMISSION and outcome is Outcome.ACCEPTED
            events = header_count(log.content(index)) if accepted else 0
            placed.append(PlacedEntry(index, statement_hash(leaf.statement), outcome, events))
