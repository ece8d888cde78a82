"""
Proofs that tie a report to the log: entries with their paths, events with theirs and their bodies.

docs/formats.md, section 7. What a history counts leads to the history's own size and root; a mark
that came later, and explains why a body is missing, to a later size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import leaf_hash, path_root
from tradeline_ledger.release import BatchPart, EntryProof, EventProof, Proofs
from tradeline_ledger.submission import parts_at
from tradeline_node.history_reader import CONTENTS_AT_ONCE, Filed, Histories

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore


class LaterMarks(NamedTuple):
    """Marks that came after a history's size."""

    indexes: Sequence[int]
    """Log indexes, ascending."""
    size: int
    """Log size that their paths lead to."""


def build_proofs(
    store: LedgerStore,
    histories: Histories,
    bodies: Mapping[EventId, bytes],
    size: int,
    later: LaterMarks,
) -> Proofs:
    """
    Return the proofs of everything in `histories`, which are as of log size `size`.

    `bodies` are those that are still there.
    """
    filed: dict[int, list[Filed]] = {}
    for each in histories.events:
        filed.setdefault(each.event.index, []).append(each)
    counted = sorted({*filed, *histories.marks})
    indexes = [*counted, *later.indexes]
    paths = store.inclusion_paths(counted, size)
    if later.indexes:
        paths += store.inclusion_paths(later.indexes, later.size)
    entries: list[EntryProof] = []
    events: list[EventProof] = []
    for start in range(0, len(indexes), CONTENTS_AT_ONCE):
        chunk = indexes[start : start + CONTENTS_AT_ONCE]
        for index, content in zip(chunk, store.contents(chunk), strict=True):
            path, leaf = tuple(paths[len(entries)]), store.leaf(index)
            if index in histories.submissions:
                part, proven = _submission(store, index, content, filed[index], bodies)
                entries.append(EntryProof(index, leaf, path, None, part))
                events += proven
            else:
                entries.append(EntryProof(index, leaf, path, content, None))
                events += (
                    EventProof(each.member, index, each.event.position, each.header, (), None)
                    for each in filed.get(index, ())
                )
    return Proofs(tuple(entries), tuple(events))


def _submission(
    store: LedgerStore,
    index: int,
    content: bytes,
    filed: Sequence[Filed],
    bodies: Mapping[EventId, bytes],
) -> tuple[BatchPart, list[EventProof]]:
    paths = store.event_paths(index, [each.event.position for each in filed])
    parts = parts_at(content)
    first = filed[0]
    events_root = path_root(leaf_hash(first.header), first.event.position, parts.events, paths[0])
    part = BatchPart(
        parts.epoch, parts.events, events_root, parts.deposits_hash, parts.receipts_hash
    )
    return part, [
        EventProof(
            each.member,
            index,
            each.event.position,
            each.header,
            tuple(path),
            bodies.get(each.event),
        )
        for each, path in zip(filed, paths, strict=True)
    ]
