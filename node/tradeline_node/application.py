"""
The application that an ordering engine drives, modelled on ABCI 2.0.

The same object serves every engine. `check` answers for entries that wait, `prepare` and `process`
for a proposed block, `finalize` executes a decided one and writes nothing, `commit` writes it. The
app hash is the root of the log.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.genesis import TIME_MS_MAX
from tradeline_ledger.state import FeedState
from tradeline_ledger.statement import ENTRY, FIRST_PREV, STATEMENT, statement_hash
from tradeline_ledger.transition import Block, Context, apply, execute, replay
from tradeline_ledger.transition.block import HEIGHT_MAX, check_rules
from tradeline_node.committed import committed_of
from tradeline_node.entry_memory import EntryMemory
from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tradeline_ledger.registry import Registry
    from tradeline_ledger.statement import Statement
    from tradeline_ledger.transition import Applied, Executed
    from tradeline_node.committed import Committed
    from tradeline_node.store import LedgerStore

VERDICTS_MAX: Final = 16_384
"""Entries whose check is remembered for a recheck."""


class _Verdict(NamedTuple):
    """An entry that was admitted while the registry had this root."""

    registry_root: bytes
    feed_key: bytes
    seq: int
    prev: bytes
    hash: bytes


class _Cursors:
    """A view of the state in which feeds stand where admitted entries lead them."""

    def __init__(self, below: LedgerStore, feeds: Mapping[bytes, bytes]) -> None:
        self._below = below
        self._feeds = feeds

    def get(self, key: bytes) -> bytes | None:
        return self._feeds.get(key) or self._below.get(key)


def inspect(
    store: LedgerStore,
    entry: bytes,
    *,
    feeds: Mapping[bytes, bytes] | None = None,
    time_ms: int | None = None,
    memory: EntryMemory | None = None,
) -> Applied:
    """
    Return what `entry` would do in the next block of `store`.

    `feeds` are rows of feeds, by key, in place of those committed; `time_ms` is the time that the
    block will have, if it is known. With `memory`, the entry is opened only once.
    """
    head, registry = store.head, store.registry
    time = max(head.time_ms + 1, time_ms or 0)
    height = max(head.height, store.engine_height) + 1
    context = Context(store.ledger, registry, registry, height, time, head.size, memory)
    return apply(_Cursors(store, feeds or {}), entry, context)


class Application:
    """
    One replica of the ledger: a store, and what an engine may ask of it.

    `prepare`, `process`, `finalize`, `commit` and `replay` are for one thread, the engine's; the
    others for any.
    """

    def __init__(self, store: LedgerStore) -> None:
        """Serve `store`."""
        self.store = store
        self.on_commit: list[Callable[[Committed], None]] = []
        """Called in the engine's thread after each block is on the disk; must be quick."""
        self.memory = EntryMemory()
        """Of entries opened; replicas of one process may share one."""
        self._lock = threading.RLock()
        self._admitted: dict[bytes, bytes] = {}
        self._verdicts: OrderedDict[bytes, _Verdict] = OrderedDict()
        self._executed: tuple[Block, Executed] | None = None
        self._finalized: tuple[Block, Executed] | None = None

    def info(self) -> tuple[int, bytes]:
        """
        Return the last height committed and its app hash; an engine replays what comes after.

        Raises:
            RulesError: the next block is executed by rules that this version does not know.
        """
        head = self.store.head
        check_rules(self.store.ledger.rules_of(self.store.registry), head.height + 1)
        return self.store.engine_height, self.store.root(self.store.head.size)

    # Entries that wait

    def check(self, entry: bytes, *, time_ms: int | None = None) -> Applied:
        """
        Return what `entry` would do after the entries of its feed that were admitted before.

        Unless it is dropped it is admitted: the next entry of its feed may follow. Several entries
        of a feed may so be on their way; the next `commit` forgets all that were admitted, and the
        engine asks again about those that still wait (`recheck`), in the order of admission.
        `time_ms` is the time that the next block will have, if the engine knows.
        """
        with self._lock:
            applied = inspect(
                self.store, entry, feeds=self._admitted, time_ms=time_ms, memory=self.memory
            )
            if applied.signed is not None:
                statement = applied.signed.statement
                hash_ = statement_hash(applied.signed.entry.statement)
                self._admit(
                    sha256(entry).digest(),
                    _Verdict(
                        self.store.registry.root,
                        state.feed_key(statement.member, statement.feed),
                        statement.seq,
                        statement.prev,
                        hash_,
                    ),
                )
            return applied

    def recheck(self, entry: bytes, *, time_ms: int | None = None) -> bool:
        """Admit an entry once more after a commit; return whether it can still be placed."""
        digest = sha256(entry).digest()
        with self._lock:
            verdict = self._verdicts.get(digest)
            if verdict is None or verdict.registry_root != self.store.registry.root:
                return self.check(entry, time_ms=time_ms).signed is not None
            encoded = self._admitted.get(verdict.feed_key) or self.store.get(verdict.feed_key)
            feed = state.FEED.decode(encoded) if encoded else FeedState(0, FIRST_PREV, 0)
            fits = (feed.next_seq, feed.prev) == (verdict.seq, verdict.prev)
            if fits:
                self._admit(digest, verdict)
            return fits

    # Blocks

    def prepare(
        self,
        entries: Sequence[bytes],
        bytes_max: int,
        *,
        height: int,
        time_ms: int,
        overhead_bytes: int = 0,
    ) -> list[bytes]:
        """
        Return the block that this replica proposes: each feed's entries in order.

        Left out is what can't be placed, and what is beyond `bytes_max` of entries, each counted
        with `overhead_bytes` more than it has.
        """
        chosen: list[bytes] = []
        for entry in _feed_order(entries):
            bytes_max -= len(entry) + overhead_bytes
            if bytes_max < 0:
                break
            chosen.append(entry)
        executed = self._execute(Block(height, time_ms, tuple(chosen)))
        dropped = {place for place, _ in executed.dropped}
        return [entry for place, entry in enumerate(chosen) if place not in dropped]

    def process(self, block: Block) -> bool:
        """Return whether a proposed block is acceptable: it comes next and nothing is dropped."""
        return self._comes_next(block) and not self._execute(block).dropped

    def finalize(self, block: Block) -> bytes:
        """
        Execute a decided block and return its app hash; nothing is written.

        Raises:
            EngineError: the block does not come next.
            RulesError: it is executed by rules that this version does not know.
        """
        if not self._comes_next(block):
            raise EngineError(
                f"the engine decided block {block.height} at {block.time_ms} ms, the store is at "
                f"{self.store.engine_height} and {self.store.head.time_ms} ms; is it this "
                "engine's store?"
            )
        executed = self._execute(block)
        self._finalized = (block, executed)
        return self.store.root_after(executed)

    @property
    def decided_registry(self) -> Registry:
        """The registry after the block finalized last, before and after its commit."""
        return self.store.registry if self._finalized is None else self._finalized[1].registry

    def commit(self) -> Executed:
        """
        Write the block finalized last: when it returns, the block is on the disk.

        Raises:
            StoreError: it may be there or not; nothing of it may be acknowledged.
        """
        assert self._finalized is not None, "commit follows finalize"
        block, executed = self._finalized
        self._finalized = None
        return self._commit(executed, block.height)

    def replay(
        self, leaves: Sequence[bytes], contents: Sequence[bytes], *, synced: bool = True
    ) -> Executed:
        """
        Execute and write one block of another replica's log.

        Several may be written before one that is `synced`: a crash then takes back some of them.

        Raises:
            MalformedError: a leaf does not decode.
            VerificationError: the rules lead to other leaves.
            StoreError: it can't be written.
        """
        store = self.store
        executed = replay(
            store, store.ledger, store.registry, store.head, leaves=leaves, contents=contents
        )
        return self._commit(executed, executed.head.height, synced=synced)

    def _comes_next(self, block: Block) -> bool:
        head = self.store.head
        height = max(head.height, self.store.engine_height)
        return height < block.height <= HEIGHT_MAX and head.time_ms < block.time_ms <= TIME_MS_MAX

    def _commit(self, executed: Executed, height: int, *, synced: bool = True) -> Executed:
        with self._lock:
            self.store.commit(executed, height, synced=synced)
            self._admitted.clear()
            self._executed = None
        if self.on_commit:
            committed = committed_of(executed)
            for listener in self.on_commit:
                listener(committed)
        return executed

    def _execute(self, block: Block) -> Executed:
        """Return what a block does; one that was proposed is not executed again when decided."""
        if self._executed is not None and self._executed[0] == block:
            return self._executed[1]
        store = self.store
        executed = execute(
            store, store.ledger, store.registry, store.head, block, memory=self.memory
        )
        self._executed = (block, executed)
        return executed

    def _admit(self, digest: bytes, verdict: _Verdict) -> None:
        after = FeedState(verdict.seq + 1, verdict.hash, self.store.head.size)
        self._admitted[verdict.feed_key] = encode(after)
        self._verdicts[digest] = verdict
        self._verdicts.move_to_end(digest)
        if len(self._verdicts) > VERDICTS_MAX:
            self._verdicts.popitem(last=False)


def _feed_order(entries: Sequence[bytes]) -> list[bytes]:
    """Return `entries` with those of each feed ascending by position, in the places they had."""
    feeds: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
    order: list[tuple[int, int]] = []
    for entry in entries:
        statement = _statement(entry)
        if statement is not None:
            feed = (statement.member, statement.feed)
            feeds.setdefault(feed, []).append((statement.seq, entry))
            order.append(feed)
    for waiting in feeds.values():
        waiting.sort(key=lambda each: each[0], reverse=True)
    return [feeds[feed].pop()[1] for feed in order]


def _statement(entry: bytes) -> Statement | None:
    try:
        return STATEMENT.decode(ENTRY.decode(entry).statement)
    except MalformedError:
        return None
