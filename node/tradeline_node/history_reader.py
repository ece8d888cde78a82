"""Histories of a scope, folded from the node's index (docs/formats.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.history import EventId, HistoryRow, fold_head, fold_marks
from tradeline_ledger.inquiry import INQUIRY, inquiry_header
from tradeline_ledger.state import SubmissionState
from tradeline_ledger.submission import header_at

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore

CONTENTS_AT_ONCE: Final = 32
"""Contents of submissions in memory at a time: 2 MiB for batches of 1,000."""


@dataclass(frozen=True, slots=True)
class Filed:
    """One event of a history."""

    event: EventId
    member: int
    tag: bytes
    header: bytes


@dataclass(frozen=True, slots=True)
class Histories:
    """The histories of a scope that are not empty, as of one log size."""

    rows: tuple[HistoryRow, ...]
    """Ascending by (member, tag)."""
    events: tuple[Filed, ...]
    """Of all rows, in log order."""
    marks: tuple[int, ...]
    """Log indexes of the marks about them, ascending."""
    submissions: dict[int, SubmissionState]
    """Those of the events' entries that are submissions; the others are inquiries."""


def read_histories(store: LedgerStore, scope: Sequence[tuple[int, bytes]], size: int) -> Histories:
    """Return the histories of `scope`, (member, tag) pairs ascending, as of log size `size`."""
    found = store.histories(scope, size)
    ids = sorted(event for _, _, events in found for event in events)
    submissions = _submissions(store, dict.fromkeys(event.index for event in ids))
    headers = _headers(store, ids, submissions)
    rows, filed, records = [], [], []
    for member, tag, events in found:
        own = [headers[event] for event in events]
        marks = store.marks(member, tag, size)
        head = fold_head(zip(events, own, strict=True))
        marks_head = fold_marks((target, record) for record, target in marks)
        rows.append(HistoryRow(member, tag, len(events), head, len(marks), marks_head))
        filed += [Filed(event, member, tag, headers[event]) for event in events]
        records += [record for record, _ in marks]
    filed.sort(key=lambda each: each.event)
    return Histories(tuple(rows), tuple(filed), tuple(sorted(records)), submissions)


def later_marks(store: LedgerStore, missing: Iterable[Filed], size: int, until: int) -> list[int]:
    """
    Return the log indexes, ascending, of the marks in [size, until) about `missing` events.

    They explain what was deleted after the history's size.
    """
    events = {each.event: (each.member, each.tag) for each in missing}
    return sorted(
        record
        for member, tag in set(events.values())
        for record, target in store.marks(member, tag, until)
        if record >= size and target in events
    )


def _submissions(store: LedgerStore, indexes: Iterable[int]) -> dict[int, SubmissionState]:
    rows = ((index, store.get(state.submission_key(index))) for index in indexes)
    return {index: state.SUBMISSION.decode(row) for index, row in rows if row is not None}


def _headers(
    store: LedgerStore, ids: Sequence[EventId], submissions: dict[int, SubmissionState]
) -> dict[EventId, bytes]:
    """Return the header of each event; `ids` are in log order."""
    positions: dict[int, list[EventId]] = {}
    for event in ids:
        positions.setdefault(event.index, []).append(event)
    indexes = list(positions)
    headers = {}
    for start in range(0, len(indexes), CONTENTS_AT_ONCE):
        chunk = indexes[start : start + CONTENTS_AT_ONCE]
        for index, content in zip(chunk, store.contents(chunk), strict=True):
            if index in submissions:
                for event in positions[index]:
                    headers[event] = header_at(content, event.position)
            else:
                (event,) = positions[index]
                headers[event] = inquiry_header(INQUIRY.decode(content))
    return headers
