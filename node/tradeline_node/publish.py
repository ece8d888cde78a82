"""
Publishing: this node's signatures on checkpoints, and the newest checkpoint with a quorum.

All validators must sign at the same sizes to make a quorum, and not at every block. So a block is
a candidate if it is the first one of its slot of block time, which all nodes see alike, or if it
changes the registry; and when no block comes for the length of a slot, the head is one. A node
signs only (size, root) that it computed itself, once, and stores its lines before it serves them.
Every other validator gets them as they are signed, and sends its own (`peer_lines`); a signature
under another root is kept, and becomes an evidence file (`evidence_keeper`; docs/formats.md,
sections 9 and 10).
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint, origin_of
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.note import Note, Signature, encode_note, sign_note
from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_ledger.trust import change_heights
from tradeline_node.errors import NodeError, PeerError, PublishError, StoreError
from tradeline_node.gather import Gathered, Gathering, MemberLines, read_lines, size_of
from tradeline_node.peer_lines import HEARTBEAT_S, PeerLines
from tradeline_node.published import OwnLines, PeerEvidence, PublishedStore
from tradeline_node.pulse import Pulse
from tradeline_node.registry_step import make_step

if TYPE_CHECKING:
    from tradeline_node.committed import Committed
    from tradeline_node.config import PublishSection
    from tradeline_node.keystore import Keystore
    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.peers import PeerClient
    from tradeline_node.store import LedgerStore

CANDIDATES_MAX: Final = 8
"""Unsigned candidates that are kept; a node that is further behind signs the newest only."""
LINES_CACHED_MAX: Final = 64
STEPS_RESUMED_MAX: Final = 1 << 20
NOTE_LINES_MAX: Final = 100
"""Go's reader of notes stops there."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """The end of a block, at which validators sign."""

    size: int
    height: int
    forced: bool = False
    """The block changes the registry."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint with a quorum of cosignatures."""

    size: int
    height: int
    note: bytes
    etag: str
    """Quoted, for the ETag header."""


class Publisher:
    """
    Signs and gathers, in one event loop; `committed` is called by the engine's thread.

    The newest checkpoint with a quorum is `newest`, None before the first.
    """

    def __init__(
        self,
        store: LedgerStore,
        published: PublishedStore,
        keystore: Keystore,
        *,
        peers: PeerClient,
        settings: PublishSection,
        metrics: Metrics,
        log: Log,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        """Start from what the node has signed already; nothing is signed before `run`."""
        self._store, self._published, self._keys = store, published, keystore
        self._settings, self._metrics, self._log = settings, metrics, log
        self._clock_s = clock_s
        self._origin = origin_of(store.ledger.ledger_id)
        head = store.head
        self._slot = head.time_ms // settings.slot_ms
        self._registry_root = store.registry.root
        self._head = Target(head.size, head.height)
        self._candidates: deque[Target] = deque(maxlen=CANDIDATES_MAX)
        self._forced: list[Target] = []
        self._lock = threading.Lock()
        self._wake = Pulse()
        self.signed = Pulse()
        """Fires when this node has signed something."""
        self.advanced = Pulse()
        """Fires when `newest` has changed."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own: dict[int, OwnLines] = {}
        newest = published.newest()
        self._signed_size = newest.size if newest else 0
        self._signed_time_s = newest.time_s if newest else 0
        self._gathering = Gathering()
        self._ended = False
        self._behind_since: float | None = None
        self.newest: Published | None = None
        self.failure = self.disk_failure = ""
        """Why nothing is signed any more; the same if it is the disk. Empty while all is well."""
        self.peer_lines = PeerLines(
            peers,
            record=store.registry.member,
            after=lambda member: self._gathering.after(member, self._signed_size),
            overdue=self._gathering.overdue,
            receive=self._receive,
            metrics=metrics,
            log=log,
        )

    def committed(self, committed: Committed) -> None:
        """Take note of what the store has committed, if the log grew."""
        head, root = committed.head, committed.registry_root
        slot = head.time_ms // self._settings.slot_ms
        forced = root != self._registry_root
        with self._lock:
            self._head = Target(head.size, head.height, forced)
            if forced:
                self._forced.append(self._head)
            elif slot != self._slot:
                self._candidates.append(self._head)
        self._slot, self._registry_root = slot, root
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.fire)

    async def run(self) -> None:
        """Sign and gather until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(self._resume)
        except NodeError as error:
            self._fail(error)
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sign_always())
            followed = {self._keys.member}
            while True:
                seen = self.signed.count
                fresh = set(self._store.registry.epoch.validators) - followed
                for member in sorted(fresh):
                    tasks.create_task(self.peer_lines.follow(member))
                followed |= fresh
                await self.signed.wait(since=seen)

    async def lines(self, size: int) -> OwnLines | None:
        """Return what this node signed at `size`, None if nothing."""
        return self._own.get(size) or await asyncio.to_thread(self._published.own, size)

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """
        Yield what this node signed past the size `after`, then what it signs, each as a note.

        Of the past, these are changes of the registry and the newest `LINES_CACHED_MAX`. An empty
        note comes first, and whenever there was nothing for `HEARTBEAT_S`.
        """
        yield b""
        kept = await asyncio.to_thread(self._published.kept_after, after)
        past = {each.size: each for each in kept} | self._own
        sent = after
        for size in sorted(each for each in past if each > after):
            yield past[size].note
            sent = size
        while not (self.failure or self._ended):
            seen = self.signed.count
            for size in sorted(each for each in self._own if each > sent):
                yield self._own[size].note
                sent = size
            if not await self.signed.wait(HEARTBEAT_S, since=seen):
                yield b""

    def end_streams(self) -> None:
        """Let streams come to their end."""
        self._ended = True
        self.signed.fire()

    async def freshest(self, wait_s: float) -> Published | None:
        """Return `newest`, once it is of what is signed here or `wait_s` is over."""
        seen = self.advanced.count
        if self._signed_size > (self.newest.size if self.newest else 0):
            await self.advanced.wait(wait_s, since=seen)
        return self.newest

    def add_outside(self, size: int, lines: Sequence[Signature]) -> None:
        """Publish the checkpoint of `size`, if it is the newest, with verified lines of others."""
        gathered = self._gathering.by_size.get(size)
        if gathered is not None and gathered.complete:
            gathered.outside |= {each.name: each for each in lines}
            self._publish(gathered)

    def steps(self, from_height: int, count: int) -> list[bytes]:
        """Return up to `count` registry steps of blocks from a height on, in order."""
        heights = [each for each in change_heights(self._store.registry) if each >= from_height]
        kept = dict(self._published.steps(from_height, count))
        # A step that lacks its checkpoint still ends the list: the next one builds on it.
        return [kept[height] for height in takewhile(kept.__contains__, heights[:count])]

    def behind_s(self) -> float:
        """Return for how long leaves have waited for a checkpoint with a quorum, seconds."""
        covered = self.newest.size if self.newest else 0
        if self._head.size <= covered or self._behind_since is None:
            return 0.0
        return time.monotonic() - self._behind_since

    def _resume(self) -> None:
        """Take up what was signed last, and registry steps that lack their checkpoint."""
        with self._lock:
            head = self._store.head
            if head.size > self._head.size:
                self._head = Target(head.size, head.height)
        newest = self._published.newest()
        if newest is not None and newest.size <= self._store.head.size:
            self._start_from(newest.size)
        have = {height for height, _ in self._published.steps(0, STEPS_RESUMED_MAX)}
        for height in change_heights(self._store.registry):
            if height not in have:
                size = self._store.block_end(height)
                self._published.keep(size)
                if size <= self._signed_size:
                    self._start_from(size, forced=True)
                else:
                    self._forced.append(Target(size, height, forced=True))

    def _start_from(self, size: int, *, forced: bool = False) -> None:
        """Gather again for a size of the past, with the own lines if there are any."""
        block = decode_leaf(self._store.leaf(size - 1))
        if not isinstance(block, BlockLeaf):
            raise PublishError(
                f"size {size}, which was signed, does not end on a block; the ledger store is "
                "another one than it was: restore it, or run `tradeline node doctor --deep`"
            )
        target = Target(size, block.height, forced)
        gathered = self._gather(target, self._store.root(size))
        own = self._published.own(size)
        if own is None:
            return
        if own.root != gathered.root:
            raise PublishError(
                f"size {size} was signed with root {own.root.hex()}, the store has "
                f"{gathered.root.hex()}: restore the store, or run `tradeline node doctor --deep`"
            )
        self._own[size] = own
        self._take(target, read_lines(own.note, self._member(target), self._origin))

    def _gather(self, target: Target, root: bytes) -> Gathered:
        registry, height = self._store.registry, target.height
        before, after = (registry.epoch_at(at).validators for at in (height, height + 1))
        renewed = frozenset(
            number
            for number in after
            if (old := registry.member_at(number, height)) is not None
            and (new := registry.member_at(number, height + 1)) is not None
            and (old.note_key, old.cosigner_key) != (new.note_key, new.cosigner_key)
        )
        gathered = Gathered(target, root, before, after, renewed)
        return self._gathering.by_size.setdefault(target.size, gathered)

    async def _sign_always(self) -> None:
        while True:
            due = self._due(idle=False)
            if not due:
                waits = self._head.size > self._signed_size
                slot_s = self._settings.slot_ms / 1000
                woken = await self._wake.wait(slot_s if waits else None)
                due = self._due(idle=not woken)
            if not due:
                continue
            self._behind_since = self._behind_since or time.monotonic()
            try:
                lines = await asyncio.to_thread(self._sign, due)
            except NodeError as error:
                self._fail(error)
                return
            for each, target in zip(lines, due, strict=True):
                self._remember(each, target)
            self.signed.fire()

    def _fail(self, error: NodeError) -> None:
        self.failure = str(error)
        self.disk_failure = self.failure if type(error) is StoreError else ""
        self._log.error("signing of checkpoints ended", reason=self.failure)
        self.signed.fire()

    def _due(self, *, idle: bool) -> list[Target]:
        with self._lock:
            due = {*self._candidates, *(t for t in self._forced if t.size > self._signed_size)}
            self._candidates.clear()
            if idle:
                due.add(self._head)
        # A node is no member before it is admitted and after it is removed: it signs nothing then.
        return sorted(
            each
            for each in due
            if each.size > self._signed_size and self._signer(each, self._keys.member) is not None
        )

    def _sign(self, due: list[Target]) -> list[OwnLines]:
        """Sign and cosign the targets, ascending, and make the lines durable."""
        lines = []
        time_s = max(int(self._clock_s()), self._signed_time_s)
        name = cosigner_name(self._origin, self._keys.member)
        for target in due:
            self._check_keys(target)
            root = self._store.root(target.size)
            text = encode_checkpoint(Checkpoint(self._origin, target.size, root))
            signatures = (
                sign_note(text, self._origin, self._keys.note),
                cosign(text, name, self._keys.cosigner, time_s),
            )
            note = encode_note(Note(text, signatures))
            lines.append(OwnLines(target.size, root, time_s, note, target.forced))
        self._published.add(lines, self._settings.kept_lines)
        self._signed_time_s = time_s
        return lines

    def _check_keys(self, target: Target) -> None:
        record = self._member(target)
        own = (self._keys.note.public, self._keys.cosigner.public)
        if (record.note_key, record.cosigner_key) != own:
            raise PublishError(
                f"note or cosigner key of node.keys is not in force at height {target.height}; put "
                "the keystore with the keys of the registry in place and restart"
            )

    def _remember(self, lines: OwnLines, target: Target) -> None:
        self._own[lines.size] = lines
        for size in sorted(self._own)[:-LINES_CACHED_MAX]:
            del self._own[size]
        self._signed_size = max(self._signed_size, lines.size)
        self._gather(target, lines.root)
        self._take(target, read_lines(lines.note, self._member(target), self._origin))
        self._add_early(target)

    def _receive(self, member: int, note: bytes) -> None:
        """Take what a peer signed, now or once this node has signed there as well."""
        size = size_of(note, member)
        gathered = self._gathering.by_size.get(size)
        if gathered is not None:
            self._add(member, gathered.target, note)
        elif size > self._signed_size:
            self._gathering.hold(member, size, note)

    def _add(self, member: int, target: Target, note: bytes) -> None:
        """Take a note of a peer at a target, its lines verified."""
        try:
            lines = read_lines(note, self._member(target, member), self._origin)
        except PeerError:
            self._metrics.verify_failures.labels("cosignature").inc()
            raise
        self._metrics.peer_size.labels(str(member)).set(lines.size)
        self._take(target, lines)

    def _add_early(self, target: Target) -> None:
        """Take what peers signed at a target before this node did."""
        for member, note in self._gathering.held(target.size):
            if self._signer(target, member) is not None:
                try:
                    self._add(member, target, note)
                except PeerError as error:
                    self._log.warning("lines of a peer are refused", peer=member, reason=str(error))

    def _take(self, target: Target, lines: MemberLines) -> None:
        """Add verified lines to what is gathered; make the checkpoint once there is a quorum."""
        gathered = self._gathering.by_size.get(target.size)
        if gathered is None:  # a newer one has its quorum meanwhile
            return
        if lines.size != target.size:
            raise PeerError(
                f"member {lines.member} answers with size {lines.size}, asked for {target.size}"
            )
        if lines.root != gathered.root:
            self._keep_evidence(lines, gathered.root)
            raise PeerError(
                f"member {lines.member} signed another root of size {lines.size}; one of both "
                "nodes computed wrongly or was altered: run `tradeline node doctor --deep --peers`"
            )
        gathered.lines[lines.member] = lines
        if gathered.vouched and target.forced:
            self._keep_step(target, gathered.note(self._keys.member, NOTE_LINES_MAX))
        if gathered.complete:
            self._publish(gathered)

    def _keep_evidence(self, lines: MemberLines, root: bytes) -> None:
        time_s = int(self._clock_s())
        evidence = PeerEvidence(lines.member, lines.size, root, lines.note, time_s)
        self._published.add_evidence(evidence)
        self._metrics.verify_failures.labels("root").inc()
        self._log.error("a peer signed another root", peer=lines.member, size=lines.size)

    def _publish(self, gathered: Gathered) -> None:
        target = gathered.target
        note = gathered.note(self._keys.member, NOTE_LINES_MAX)
        if self.newest is not None and target.size < self.newest.size:
            return
        first = self.newest is None or target.size > self.newest.size
        etag = f'"{target.size}-{hashlib.sha256(note).hexdigest()[:16]}"'
        self.newest = Published(target.size, target.height, note, etag)
        self._gathering.drop_before(target.size)
        if first:
            self._behind_since = None if target.size >= self._head.size else time.monotonic()
            self._metrics.checkpoint_size.set(target.size)
            self.advanced.fire()

    def _keep_step(self, target: Target, note: bytes) -> None:
        self._published.add_step(
            target.height, make_step(self._store, target.height, note, target.size)
        )
        with self._lock:
            self._forced = [each for each in self._forced if each.height != target.height]

    def _member(self, target: Target, member: int | None = None) -> MemberRecord:
        number = self._keys.member if member is None else member
        record = self._signer(target, number)
        assert record is not None, number
        return record

    def _signer(self, target: Target, number: int) -> MemberRecord | None:
        """Return the version whose keys sign a target; of who is admitted by its block, the new."""
        registry, height = self._store.registry, target.height
        return registry.member_at(number, height) or registry.member_at(number, height + 1)
