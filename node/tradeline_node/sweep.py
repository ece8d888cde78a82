"""
The sweep: custody follows the log, forgets what was never ordered, and erases what is to be gone.

docs/formats.md, section 4. The log says which attachments are ordered and which events got a mark;
a look at the index then finds the attachments in which something may have to go, so that a sweep
costs what there is to erase and not what there is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import calendar, state
from tradeline_ledger.mark import MARK
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf
from tradeline_ledger.submission import decode_batch, decode_submission
from tradeline_node.custody import CustodyStore
from tradeline_node.custody_index import Held
from tradeline_node.errors import StoreDamagedError
from tradeline_node.retention import last_months

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore

LEAVES_AT_ONCE: Final = 1000
ATTACHMENTS_MAX: Final = 10_000
"""Attachments that one sweep looks at; the next one goes on."""


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What one sweep did."""

    events: int
    """Bodies erased."""
    attachments: int
    """Attachment files that they were in."""
    discarded: int
    """Attachments that were never ordered and whose receipts have ended."""
    findings: tuple[str, ...]
    """Damaged files, from which nothing could be erased."""
    more: bool
    """Whether there is more to look at."""


class Sweeper:
    """Sweeps the custody store of one node. Any thread may call it."""

    def __init__(self, store: LedgerStore, custody: CustodyStore) -> None:
        """Follow the log in `store`."""
        self._store = store
        self._custody = custody
        self._lock = threading.Lock()
        self._settled = False

    def due(self) -> bool:
        """Return whether a sweep has something to look at, by what the log said at `follow`."""
        return bool(self._custody.due(self._month(self._store.head.time_ms), 1))

    def follow(self) -> int:
        """
        Have the custody store take note of the log; return how many attachments it discarded.

        Cheap: call it after every block, or after several.

        Raises:
            StoreError: the disk is full or failed.
        """
        with self._lock:
            return self._follow()

    def sweep(self) -> SweepResult:
        """
        Follow the log, then erase what is to be gone as of the last applied block.

        When it returns, the bytes are in no file of the custody store.

        Raises:
            StoreError: the disk is full or failed.
        """
        with self._lock:
            discarded = self._follow()
            month = self._month(self._store.head.time_ms)
            events = attachments = 0
            findings = []
            due = self._custody.due(month, ATTACHMENTS_MAX)
            for held in due:
                try:
                    erased = self._sweep(held, month)
                except StoreDamagedError as error:
                    findings.append(str(error))
                    continue
                events += erased
                attachments += bool(erased)
            more = len(due) == ATTACHMENTS_MAX
            return SweepResult(events, attachments, discarded, tuple(findings), more)

    def _follow(self) -> int:
        head = self._store.head
        if not self._settled:
            self._settle()
        size = self._custody.followed()
        if size > head.size:
            # The log was replaced by an older copy: begin anew.
            size = 0
        while size < head.size:
            end = min(size + LEAVES_AT_ONCE, head.size)
            self._note(size, end)
            size = end
        return self._custody.discard_expired(head.time_ms, self._placed_at)

    def _note(self, start: int, end: int) -> None:
        placed, marked = [], []
        for index, encoded in enumerate(self._store.leaves(start, end), start):
            leaf = decode_leaf(encoded)
            if not isinstance(leaf, EntryLeaf) or leaf.outcome:
                continue
            kind = STATEMENT.decode(leaf.statement).kind
            if kind == Kind.SUBMISSION:
                row = state.read(self._store, state.SUBMISSION, state.submission_key(index))
                assert row is not None, index
                placed.append((row.batch_hash, index))
            elif kind == Kind.REDEPOSIT:
                again = state.read(self._store, state.REDEPOSIT, state.redeposit_key(index))
                assert again is not None, index
                placed.append((again.hash, index))
            elif kind == Kind.MARK:
                target = MARK.decode(self._store.content(index)).target.index
                marked += [target, *state.redeposits(self._store, target)]
        self._custody.placed(placed, marked, end)

    def _settle(self) -> None:
        """Look up attachments that came, or were taken in again, after their place was noted."""
        for batch_hash in self._custody.unordered():
            index = self._placed_at(batch_hash)
            if index is not None:
                self._custody.place_late(batch_hash, index)
        self._settled = True

    def _sweep(self, held: Held, month: int) -> int:
        assert held.log_index is not None, held
        file = self._custody.open_file(held.batch_hash)
        if file is None:
            return self._custody.erase(held.batch_hash, [], None)
        index = held.log_index
        with file:
            if file.is_redeposit:
                index = REDEPOSIT.decode(file.batch()).index
                batch = decode_submission(self._store.content(index)).batch
            else:
                batch = decode_batch(file.batch())
        kept = last_months(self._store, index, batch.retain_months())
        gone = [position for position, last in enumerate(kept) if last is None or last < month]
        due = min((last for last in kept if last is not None and last >= month), default=None)
        return self._custody.erase(held.batch_hash, gone, due)

    def _placed_at(self, batch_hash: bytes) -> int | None:
        row = self._store.get(state.batch_key(batch_hash))
        return None if row is None else int.from_bytes(row, "big")

    def _month(self, time_ms: int) -> int:
        return calendar.month(time_ms, self._store.ledger.params.utc_offset_min)
