"""Entries to load a node with: signed ahead of the log, deterministic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.world import BULK, DESK, GENESIS_MS, MINUTE_MS, World, next_prev, seed

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import Mark
from tradeline_ledger.state import FeedState
from tradeline_ledger.statement import FIRST_PREV, Kind, Statement, content_hash, sign_entry
from tradeline_ledger.submission import (
    Deposit,
    Submission,
    encode_submission,
    make_batch,
    sign_receipt,
)

if TYPE_CHECKING:
    from tradeline_ledger.state import View

EXPIRES_MS = GENESIS_MS + 10_000 * MINUTE_MS
MONTH = 2030 * 12


@dataclass
class Feeds:
    """Signs statement after statement of each feed, whatever became of the one before."""

    world: World
    view: View | None = None
    """Where the feeds stand at the start; None: at their beginning."""
    _next: dict[tuple[int, int], tuple[int, bytes]] = field(default_factory=dict)

    def position(self, member: int, feed: int) -> tuple[int, bytes]:
        if (member, feed) not in self._next:
            row = None
            if self.view is not None:
                row = state.read(self.view, state.FEED, state.feed_key(member, feed))
            row = row or FeedState(0, FIRST_PREV, 0)
            self._next[member, feed] = (row.next_seq, row.prev)
        return self._next[member, feed]

    def sign(self, member: int, feed: int, kind: int, content: bytes, hash_: bytes) -> bytes:
        seq, prev = self.position(member, feed)
        statement = Statement(
            1, self.world.ledger.ledger_id, member, feed, seq, prev, GENESIS_MS, kind, hash_
        )
        entry = sign_entry(self.world.institution(member).feed_key(feed), statement, content)
        self._next[member, feed] = (seq + 1, next_prev(entry))
        return entry

    def refused(self, member: int, salt: object = 0, feed: int = DESK) -> bytes:
        """Return an entry that takes its place and is refused."""
        content = seed("refused", member, feed, salt)
        hash_ = content_hash(Kind.MARK, content)
        return self.sign(member, feed, Kind.MARK, content, hash_)

    def mark(self, member: int, target: EventId) -> bytes:
        content = encode(Mark(target, 1, None, 1))
        return self.sign(member, BULK, Kind.MARK, content, content_hash(Kind.MARK, content))

    def consent(self, grantee: int = 1, second: int = 2) -> bytes:
        content = self.world.consent(self.world.terms(grantee, second))
        return self.sign(grantee, DESK, Kind.CONSENT, content, content_hash(Kind.CONSENT, content))

    def submission(self, member: int, events: int = 3, salt: object = 0) -> bytes:
        """Return an accepted submission; its bodies are nowhere."""
        world = self.world
        tags = [seed("tag", member, salt, i % 50)[:16] for i in range(events)]
        hashes = [seed("body", member, salt, i) for i in range(events)]
        committee = world.registry.epoch.committee
        deposit = Deposit(seed("sealed", salt), seed("shares", salt))
        batch = make_batch(0, tags, [MONTH] * events, hashes, [deposit] * len(committee))
        receipts = tuple(
            sign_receipt(
                world.institution(each.member).node,
                world.ledger.ledger_id,
                validator=each.member,
                member=member,
                batch=batch.hash(world.ledger.ledger_id, member),
                expires_ms=EXPIRES_MS,
            )
            for each in committee[: world.registry.epoch.threshold]
        )
        hash_ = Submission(batch, receipts).content_hash(world.ledger.ledger_id, member)
        content = encode_submission(batch, receipts)
        return self.sign(member, BULK, Kind.SUBMISSION, content, hash_)
