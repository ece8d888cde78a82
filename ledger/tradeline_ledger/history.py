"""
Histories: what a ledger holds under one (member, tag), folded to a count and two hashes.

docs/formats.md, section 5. Nothing is rewritten at ingest: whoever reads folds the history from
an index of blind writes, as of the log size that it asks for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tradeline_ledger.encoding import B16, B32, U32, U64, Record
from tradeline_ledger.hashing import ZERO_HASH, label
from tradeline_ledger.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = label("head")
_MARK = label("mark")


class EventId(Record, frozen=True, order=True):
    """Where an event stands in the log."""

    index: U64
    """Log index of its entry."""
    position: U32
    """Position in the batch."""

    def __str__(self) -> str:
        """Return the form that the command line takes: `index/position`."""
        return f"{self.index}/{self.position}"

    def encoded(self) -> bytes:
        """Return `index u64 || position u32`."""
        return self.index.to_bytes(8, "big") + self.position.to_bytes(4, "big")


class HistoryRow(Record, frozen=True):
    """One history that is not empty, as of the end of a block."""

    member: U32
    tag: B16
    count: U32
    """Events, 1-based."""
    head: B32
    """Fold of positions and headers, see `fold_head`."""
    marks_count: U32
    """Accepted marks about these events."""
    marks: B32
    """Fold of the marks, see `fold_marks`."""


def fold_head(events: Iterable[tuple[EventId, bytes]], head: bytes = ZERO_HASH) -> bytes:
    """Return `head` after `events`, each an id and its encoded header, in log order."""
    sha256 = hashlib.sha256
    for event, header in events:
        head = sha256(_HEAD + head + event.encoded() + leaf_hash(header)).digest()
    return head


def fold_marks(marks: Iterable[tuple[EventId, int]], head: bytes = ZERO_HASH) -> bytes:
    """Return `head` after `marks`, each a target and the record's log index, in log order."""
    sha256 = hashlib.sha256
    for target, record in marks:
        head = sha256(_MARK + head + target.encoded() + record.to_bytes(8, "big")).digest()
    return head
