"""
The outbox: entries that members handed over, kept until they are placed or can't be any more.

What was taken is on the disk before it is acknowledged, and offered to the engine one by one, feed
by feed in order, again and again: after a restart, and when blocks pass without it. An entry whose
position another statement took, or whose key was ended, is *lost*, and the outbox says so. Two
different statements that one key signed for one position are kept as evidence.
"""

from __future__ import annotations

import enum
import threading
import time
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.state import FeedState
from tradeline_ledger.statement import (
    ENTRY,
    FIRST_PREV,
    STATEMENT,
    EntryLeaf,
    decode_leaf,
    statement_hash,
)
from tradeline_node.application import inspect
from tradeline_node.errors import BusyError, EngineError
from tradeline_node.outbox_rows import Evidence, OutboxRows, Place, Queued

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tradeline_ledger.statement import Entry, Statement
    from tradeline_node.committed import Committed
    from tradeline_node.engine import Admission, OrderingEngine
    from tradeline_node.entry_memory import EntryMemory
    from tradeline_node.store import LedgerStore

RESEND_MS: Final = 2000
"""After which an entry that is not placed yet is offered again."""
AWAY_S: Final = 5.0
"""After which entries go through another node: longer than an engine takes to start again."""
POLL_MS: Final = 200
"""Between looks at the queue when nothing wakes the outbox."""
QUEUED_MAX: Final = 10_000
QUEUED_BYTES_MAX: Final = 256 << 20
_POSITIONAL: Final = {Outcome.POSITION_PAST, Outcome.POSITION_AHEAD, Outcome.PREV_WRONG}


class Standing(enum.StrEnum):
    """Where a statement stands."""

    QUEUED = "queued"
    PLACED = "placed"
    LOST = "lost"
    """It can't be placed any more."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StatementStatus:
    """Where a statement stands, and what became of it."""

    standing: Standing
    index: int | None = None
    """Log index, if it is placed."""
    height: int | None = None
    outcome: Outcome | None = None
    """In the log if it is placed, the reason if it is lost."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Handover:
    """What became of an entry that was handed over."""

    hash: bytes
    """Of its statement; empty if it has none."""
    standing: Standing
    """PLACED, QUEUED, or UNKNOWN if it was not taken."""
    outcome: Outcome
    """Of the log, or what it would be in the next block; *dropped* if it was not taken."""
    detail: str
    index: int | None = None
    """Log index, if it is placed."""


class Outbox:
    """Entries on their way. Any thread may call it; one of its own offers them to the engine."""

    def __init__(
        self,
        path: Path,
        store: LedgerStore,
        engine: OrderingEngine,
        *,
        resend_ms: int = RESEND_MS,
        memory: EntryMemory | None = None,
    ) -> None:
        """
        Open the outbox in the SQLite file `path`, made if it is missing; `start` begins to send.

        `memory` is the application's, so that what was looked at here is not opened again there.

        Raises:
            StoreError: it can't be opened, or is another ledger's.
        """
        self._rows = OutboxRows(path, store.ledger.ledger_id)
        self._store = store
        self._engine = engine
        self._memory = memory
        self._relay: Callable[[bytes], bool] | None = None
        self._away_since: float | None = None
        """When the engine failed to answer first, None while it answers."""
        self._resend_s = resend_ms / 1000
        self._put_lock = threading.Lock()
        self._wake = threading.Condition()
        self._woken = False
        self._stopping = False
        self._sent: dict[bytes, float] = {}
        """When each entry on its way was offered last; only the sender writes it."""
        self._noticed: set[bytes] = set()
        self._failure: str | None = None
        self._thread: threading.Thread | None = None

    @property
    def failure(self) -> str | None:
        """Why the outbox takes no more entries, None while it does."""
        return self._rows.failure or self._failure

    def put(self, entry: bytes) -> Handover:
        """
        Take an entry, unless it would be dropped; when this returns QUEUED, it is on the disk.

        The same statement may be handed over again. Another one at a position that is taken is
        dropped, and both are kept as evidence.

        Raises:
            BusyError: too many entries are on their way.
            StoreError: the disk is full or failed; the outbox takes no more.
        """
        try:
            decoded = ENTRY.decode(entry)
            statement = STATEMENT.decode(decoded.statement)
        except MalformedError:
            applied = inspect(self._store, entry)
            return Handover(b"", Standing.UNKNOWN, applied.outcome, applied.detail)
        hash_ = statement_hash(decoded.statement)
        place = Place(statement.member, statement.feed, statement.seq)
        with self._put_lock:
            known = self.status(hash_)
            if known.standing in (Standing.PLACED, Standing.QUEUED):
                outcome = Outcome.ACCEPTED if known.outcome is None else known.outcome
                return Handover(hash_, known.standing, outcome, "", known.index)
            feeds = self._feed_after_queue(statement)
            applied = inspect(self._store, entry, feeds=feeds, memory=self._memory)
            if applied.signed is None:
                if applied.outcome is Outcome.POSITION_PAST:
                    self._keep_evidence(place, decoded)
                return Handover(hash_, Standing.UNKNOWN, applied.outcome, applied.detail)
            count, size = self._rows.size()
            if count >= QUEUED_MAX or size + len(entry) > QUEUED_BYTES_MAX:
                raise BusyError(f"{count} entries are on their way; hand this one over later")
            self._rows.add(Queued(hash_, place), entry)
        self._wake_up()
        return Handover(hash_, Standing.QUEUED, applied.outcome, applied.detail)

    def status(self, hash_: bytes) -> StatementStatus:
        """
        Return where the statement of that hash stands.

        Raises:
            StoreError: the outbox or the store can't be read.
        """
        queued = self._rows.holds(hash_)
        index = self._store.placed_at(hash_)
        if index is not None:
            leaf = decode_leaf(self._store.leaf(index))
            assert isinstance(leaf, EntryLeaf), index
            return StatementStatus(Standing.PLACED, index, leaf.height, Outcome(leaf.outcome))
        if queued:
            return StatementStatus(Standing.QUEUED)
        lost = self._rows.lost(hash_)
        if lost is not None:
            return StatementStatus(Standing.LOST, outcome=lost[0], detail=lost[1])
        return StatementStatus(Standing.UNKNOWN)

    def is_lost(self, hash_: bytes) -> bool:
        """Return whether the statement of that hash can't be placed any more."""
        return self.status(hash_).standing is Standing.LOST

    def pending(self) -> int:
        """Return how many entries are on their way."""
        return self._rows.size()[0]

    def evidence(self) -> list[Evidence]:
        """Return the evidence kept, by member, feed and position."""
        return self._rows.evidence()

    def notice(self, committed: Committed) -> None:
        """Take note of what was placed: a listener of commits."""
        placed = {each.hash for each in committed.placed if each.hash in self._sent}
        if placed:
            with self._wake:
                self._noticed |= placed
            self._wake_up()

    def start(self, relay: Callable[[bytes], bool] | None = None) -> None:
        """
        Begin to offer entries to the engine.

        `relay` hands an entry to another node and returns whether that took it; it is called
        while the own engine is away.
        """
        assert self._thread is None, "started twice"
        self._relay = relay
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and close the file. What is on its way stays there."""
        self._stopping = True
        self._wake_up()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._rows.close()

    def send(self) -> None:
        """
        Offer what is due to the engine, once; the outbox's own thread calls this.

        Raises:
            StoreError: the disk is full or failed; the outbox takes no more.
        """
        with self._wake:
            noticed, self._noticed = self._noticed, set()
        self._arrived(list(noticed))
        for _, feed in groupby(self._rows.queue(), key=lambda each: each.place[:2]):
            for queued in feed:
                try:
                    if not self._offer(queued):
                        break
                except (BusyError, EngineError):
                    return

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.send()
            except Exception as error:  # noqa: BLE001  the boundary of the thread
                self._failure = f"{type(error).__name__}: {error}"
                return
            with self._wake:
                if not self._woken:
                    self._wake.wait(POLL_MS / 1000)
                self._woken = False

    def _offer(self, queued: Queued) -> bool:
        """Offer one entry if it is due; return whether the next one of its feed may follow."""
        now = time.monotonic()
        if now - self._sent.get(queued.hash, -self._resend_s) < self._resend_s:
            return True
        entry = self._rows.entry(queued.hash)
        if entry is None or self._store.placed_at(queued.hash) is not None:
            self._arrived([queued.hash])
            return True
        try:
            admission = self._engine.submit(entry)
        except EngineError:
            if not self._relayed(entry, now):
                raise
            self._sent[queued.hash] = now
            return True
        self._away_since = None
        if admission.admitted:
            self._sent[queued.hash] = now
            return True
        self._sent.pop(queued.hash, None)
        lost = self._loss(queued, ENTRY.decode(entry), admission)
        if lost is not None:
            self._rows.lose(queued.hash, *lost)
        return lost is not None

    def _relayed(self, entry: bytes, now: float) -> bool:
        """Return whether another node took an entry, since the engine has been away for long."""
        self._away_since = self._away_since or now
        return self._relay is not None and now - self._away_since >= AWAY_S and self._relay(entry)

    def _arrived(self, hashes: list[bytes]) -> None:
        """Take entries off the queue that are placed."""
        if hashes:
            self._rows.remove(hashes)
        for each in hashes:
            self._sent.pop(each, None)

    def _loss(
        self, queued: Queued, entry: Entry, admission: Admission
    ) -> tuple[Outcome, str] | None:
        """Return why an entry that was not admitted can never be placed; None if it can yet."""
        if admission.outcome is Outcome.REFUSED_TOO_OFTEN:
            return None
        if admission.outcome not in _POSITIONAL:
            return admission.outcome, admission.detail
        # The engine looks at entries that are on their way as well: only what is placed is final.
        place, prev = queued.place, STATEMENT.decode(entry.statement).prev
        if self._store.statement_at(*place) is not None:
            if self._store.placed_at(queued.hash) is not None:
                return None
            self._keep_evidence(place, entry)
            return Outcome.POSITION_PAST, f"another statement has position {place.seq}"
        key = state.feed_key(place.member, place.feed)
        feed = state.read(self._store, state.FEED, key) or FeedState(0, FIRST_PREV, 0)
        if place.seq == feed.next_seq and prev != feed.prev:
            return Outcome.PREV_WRONG, "another statement has the position before it"
        if place.seq > feed.next_seq and self._rows.lost(prev) is not None:
            return Outcome.PREV_WRONG, "the statement before it is lost"
        return None

    def _feed_after_queue(self, statement: Statement) -> dict[bytes, bytes]:
        """Return the row of a feed as the last entry queued in it will leave it, if one is."""
        entry = self._rows.last_entry(statement.member, statement.feed)
        if entry is None:
            return {}
        last = ENTRY.decode(entry).statement
        next_seq = STATEMENT.decode(last).seq + 1
        key = state.feed_key(statement.member, statement.feed)
        committed = state.read(self._store, state.FEED, key)
        if committed is not None and committed.next_seq > next_seq:
            return {}
        return {key: encode(FeedState(next_seq, statement_hash(last), 0))}

    def _keep_evidence(self, place: Place, entry: Entry) -> None:
        """Keep a statement whose signature is right beside the other one at its position."""
        index = self._store.statement_at(*place)
        other: Entry | EntryLeaf
        if index is not None:
            leaf = decode_leaf(self._store.leaf(index))
            assert isinstance(leaf, EntryLeaf), index
            other = leaf
        else:
            encoded = self._rows.entry_at(place)
            if encoded is None:
                return
            other = ENTRY.decode(encoded)
        if other.statement != entry.statement:
            first = encode((other.statement, other.signature))
            second = encode((entry.statement, entry.signature))
            self._rows.keep(Evidence(*place, first, second))

    def _wake_up(self) -> None:
        with self._wake:
            self._woken = True
            self._wake.notify_all()
