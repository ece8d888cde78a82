"""
One node: everything in one member folder, wired together.

Opened in two steps, since one engine may drive several nodes: `Node.open` opens stores and keys,
`attach` gives it the engine. Then `start` and `stop` run in the event loop that serves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.genesis import Ledger
from tradeline_ledger.registry import MemberRecord
from tradeline_node.checkpoint_watch import CheckpointWatch, make_watch
from tradeline_node.custody import BOX_KEY_NAME, CustodyStore
from tradeline_node.custody_backlog import CustodyBacklog, open_backlog
from tradeline_node.custody_service import CustodyService
from tradeline_node.errors import ConfigError, EngineError, RequestError, StoreError
from tradeline_node.evidence_keeper import EvidenceKeeper, make_keeper
from tradeline_node.evidence_store import EvidenceStore
from tradeline_node.followed_store import FollowedStore
from tradeline_node.genesis_file import read_genesis
from tradeline_node.health import Component, examine
from tradeline_node.hold_watch import HoldWatch, make_hold_watch
from tradeline_node.housekeeping import Housekeeping
from tradeline_node.http.limits import SERVED_MIB, MemberSlots, NonceMemory, RateLimit, Slots, Turns
from tradeline_node.keystore import FOLDER_MODE, Keystore, open_keystore
from tradeline_node.late_fetch import LateFetch, make_late_fetch
from tradeline_node.logs import Log, node_log
from tradeline_node.metrics import Metrics
from tradeline_node.ordered_attachment import OrderedAttachments
from tradeline_node.outbox import Handover, Outbox, Standing
from tradeline_node.outside_witnesses import OutsideWitnesses, make_outside
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.peers import PeerClient
from tradeline_node.publish import Publisher
from tradeline_node.published import PublishedStore
from tradeline_node.pulse import Pulse
from tradeline_node.receipts import Receipts
from tradeline_node.redeposit_service import RedepositService
from tradeline_node.relay import Relay
from tradeline_node.release_service import ReleaseService
from tradeline_node.released_log import ReleasedLog, open_released_log
from tradeline_node.share_box import open_share_box
from tradeline_node.signing_hold import SigningHold
from tradeline_node.store import LedgerStore
from tradeline_node.sweep import Sweeper
from tradeline_node.tag_keys import FOLDER_NAME as TAG_KEYS_NAME
from tradeline_node.tag_keys import TagKeys
from tradeline_node.witness import WitnessService, WitnessStore, make_witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tradeline_node.committed import Committed
    from tradeline_node.config import Config
    from tradeline_node.engine import OrderingEngine
    from tradeline_node.engine.reported_votes import DuplicateVotes
    from tradeline_node.entry_memory import EntryMemory

MEBIBYTE: Final = 1 << 20
CUSTODY_AT_ONCE: Final = 2
RELEASES_AT_ONCE: Final = 2
READS_AT_ONCE: Final = 4
BULK_AT_ONCE: Final = 2
"""Chunks of the log, each of some 8 MiB."""
WAITING_MAX: Final = 64
LINE_STREAMS_EACH: Final = 4
"""Streams of lines of one member: the one it follows, and those that broke and don't know yet."""
HANDED_OVER_MAX: Final = 10_000
"""Entries on their way whose time to their place is measured."""


@dataclass(slots=True)
class _Stores:
    """What is open and has to be closed."""

    ledger: LedgerStore
    custody: CustodyStore
    published: PublishedStore
    evidence: EvidenceStore
    witnessed: WitnessStore


class Node:
    """One member's node. Its representation shows no key."""

    def __init__(
        self, config: Config, ledger: Ledger, keys: Keystore, stores: _Stores, tag_keys: TagKeys
    ) -> None:
        """Wire what is open; `open` is what others call."""
        self.config, self.ledger, self.keys = config, ledger, keys
        self.member = keys.member
        self.store, self.custody = stores.ledger, stores.custody
        self.tag_keys, self.published = tag_keys, stores.published
        self.evidence, self.witnessed = stores.evidence, stores.witnessed
        self.metrics = Metrics()
        self.log: Log = node_log(config.node.name)
        self.clock_s = time.time
        http = config.http
        self.nonces = NonceMemory(time.monotonic)
        self.member_rate = RateLimit(http.requests_per_second, http.requests_burst, time.monotonic)
        self.anonymous_rate = RateLimit(
            http.anonymous_per_second, 2 * http.anonymous_per_second, time.monotonic
        )
        self.streams, self.waits = Slots(http.streams_max), Slots(http.waits_max)
        self.line_streams = MemberSlots(LINE_STREAMS_EACH)
        self.turns = Turns(READS_AT_ONCE, WAITING_MAX)
        self.bulk_turns = Turns(BULK_AT_ONCE, WAITING_MAX)
        self.served = RateLimit(*SERVED_MIB, time.monotonic)
        self.custody_turns = Turns(CUSTODY_AT_ONCE, WAITING_MAX)
        self.release_turns = Turns(RELEASES_AT_ONCE, WAITING_MAX)
        self.blocks = Pulse()
        """Fires in the event loop after each block that placed something."""
        self.stopping = False
        self.hold = SigningHold(config.folder)
        self.hold_watch: HoldWatch
        self._relay: Relay
        self._handed_over: dict[bytes, float] = {}
        self.custody_service: CustodyService
        self.attachments: OrderedAttachments
        self.redeposit_service: RedepositService
        self.release_service: ReleaseService
        self.outbox: Outbox
        self.housekeeping: Housekeeping
        self.publisher: Publisher
        self.keeper: EvidenceKeeper
        self.witness: WitnessService
        self.reported_votes: Callable[[], list[DuplicateVotes]] = list
        """Returns votes that the engine has reported since it was asked last."""
        self.watch: CheckpointWatch
        self.outside: OutsideWitnesses
        self.late: LateFetch
        self.backlog: CustodyBacklog
        self._engine: OrderingEngine | None = None
        self._peers: PeerClient | None = None
        self._released: ReleasedLog | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"Node({self.config.node.name}, member={self.member})"

    @classmethod
    def open(cls, config: Config, passphrase: bytes, follow: Path | None = None) -> Node:
        """
        Open the node of a member folder.

        With `follow`, a folder for notes of its own, the ledger store is another process's to
        write, and read here as it grows (`FollowedStore`).

        Raises:
            ConfigError: no genesis, or one that does not verify.
            KeystoreError: the keystore does not open, or is not this member's.
            StoreError: a store can't be opened, is another ledger's, or in use.
        """
        SigningHold(config.folder).check_complete()
        ledger = read_genesis(config.path(config.node.genesis))
        path = config.path(config.node.keys)
        keys = open_keystore(path, passphrase)
        if keys.member != config.node.member:
            raise ConfigError(
                f"{path} holds the keys of member {keys.member}, node.member is "
                f"{config.node.member}; put the right keystore in place or correct node.toml"
            )
        folder = config.path(config.storage.ledger)
        store = (
            LedgerStore.open(folder, ledger)
            if follow is None
            else FollowedStore.follow(folder, ledger, follow)
        )
        try:
            keys.check(store.registry.member(keys.member), path)
            return cls._open_custody(config, ledger, keys, store)
        except BaseException:
            store.close()
            raise

    @classmethod
    def _open_custody(
        cls, config: Config, ledger: Ledger, keys: Keystore, store: LedgerStore
    ) -> Node:
        folder = config.path(config.storage.custody)
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        hpke = keys.hpke_keys
        box = open_share_box(folder / BOX_KEY_NAME, hpke, ledger.ledger_id, keys.member)
        with contextlib.ExitStack() as opened:
            custody = CustodyStore(
                folder,
                box,
                kept_until_ms=store.head.time_ms + ledger.params_of(store.registry).receipt_ms,
                quota_bytes=config.storage.custody_quota_mib * MEBIBYTE,
            )
            opened.callback(custody.close)
            tag_keys = TagKeys(folder / TAG_KEYS_NAME, ledger.ledger_id, keys.member, hpke)
            evidence = EvidenceStore(config.path(config.storage.evidence))
            published = PublishedStore(config.path(config.storage.published))
            opened.callback(published.close)
            witnessed = WitnessStore(config.path(config.storage.witnessed))
            opened.pop_all()
        stores = _Stores(store, custody, published, evidence, witnessed)
        node = cls(config, ledger, keys, stores, tag_keys)
        receipts = Receipts(store, keys.member, keys.node, node.clock_ms)
        deposits = OwnDeposits(ledger.ledger_id, keys.member, hpke)
        node.custody_service = CustodyService(
            store,
            custody,
            tag_keys,
            member=keys.member,
            receipts=receipts,
            deposits=deposits,
            box=box,
        )
        node.attachments = OrderedAttachments(
            store, custody, member=keys.member, deposits=deposits, box=box
        )
        node.redeposit_service = RedepositService(
            store,
            custody,
            tag_keys,
            member=keys.member,
            receipts=receipts,
            deposits=deposits,
            attachments=node.attachments,
            box=box,
        )
        return node

    def attach(self, engine: OrderingEngine, memory: EntryMemory | None = None) -> None:
        """
        Let `engine` order the entries that are handed over here.

        Whoever drives it tells `committed` of each block; `memory` is that of its application, if
        it is in this process.

        Raises:
            StoreError: the outbox can't be opened.
        """
        self._engine = engine
        self.outbox = Outbox(
            self.config.path(self.config.storage.outbox),
            self.store,
            engine,
            memory=memory,
        )
        self.backlog = open_backlog(self)
        self._released = open_released_log(self)
        hpke = self.keys.hpke_keys
        self.release_service = ReleaseService(
            self.store,
            self.custody,
            self.tag_keys,
            self._released,
            member=self.member,
            node_key=self.keys.node,
            hpke=hpke,
            deposits=OwnDeposits(self.ledger.ledger_id, self.member, hpke),
            stalled=self._stalled,
        )
        self.housekeeping = Housekeeping(
            Sweeper(self.store, self.custody),
            self._released,
            sweep_ms=self.config.storage.sweep_ms,
            metrics=self.metrics,
            log=self.log,
        )

    async def start(self) -> None:
        """Begin to publish and to keep house; the engine may start before or after."""
        self._peers = PeerClient(
            self.keys.node,
            self.member,
            self.ledger.ledger_id,
            self.config.publish.peer_timeout_ms,
            self.clock_s,
        )
        self.publisher = Publisher(
            self.store,
            self.published,
            self.keys,
            peers=self._peers,
            settings=self.config.publish,
            metrics=self.metrics,
            log=self.log,
            clock_s=self.clock_s,
        )
        self.keeper = make_keeper(self)
        self.witness = make_witness(self)
        self.hold_watch = make_hold_watch(self, self._peers)
        self.watch, self.outside = make_watch(self, self._peers), make_outside(self)
        # Blocks may come already, in another thread: they are told once there is who listens.
        self._loop = asyncio.get_running_loop()
        self._relay = Relay(self.store, self.member, self._peers, self._loop, self.log)
        self.late = make_late_fetch(self, self._peers)
        parts = (self.publisher, self.watch, self.outside, self.late)
        self._tasks = [asyncio.create_task(self._run(each)) for each in parts]

    def end_streams(self) -> None:
        """Let requests that wait, and streams, come to their end; ask the others nothing more."""
        self.stopping = True
        self.blocks.fire()
        self.publisher.end_streams()
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """End what `start` began; the engine must have stopped. `close` closes the stores."""
        self.end_streams()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peers is not None:
            await self._peers.close()

    def close(self) -> None:
        """Close all stores; for a node that was opened and never started, too."""
        if self._engine is not None:
            self.housekeeping.stop()
            self.outbox.close()
        if self._released is not None:
            self._released.close()
            self.backlog.close()
        self.published.close()
        self.witnessed.close()
        self.custody.close()
        self.store.close()

    @property
    def record(self) -> MemberRecord:
        """The version of this node's member that is in force."""
        record = self.store.registry.member(self.member)
        assert record is not None, self.member
        return record

    def clock_ms(self) -> int:
        """Return the clock, ms since 1970 UTC."""
        return int(self.clock_s() * 1000)

    def submit(self, entry: bytes) -> Handover:
        """
        Hand an entry over, and return that it is queued, or placed already.

        Raises:
            RequestError: it can't be placed; its code is the outcome's.
            BusyError: too many wait.
            StoreError, EngineError: the node takes no writes.
        """
        self.check_writes()
        started = time.monotonic()
        handover = self.outbox.put(entry)
        if handover.standing is Standing.QUEUED:
            if len(self._handed_over) >= HANDED_OVER_MAX:  # of those that were lost
                self._handed_over.clear()
            self._handed_over[handover.hash] = started
        if handover.standing is Standing.UNKNOWN:
            raise RequestError(handover.outcome.code, handover.detail)
        return handover

    def check_writes(self) -> None:
        """
        Accept that the node takes writes.

        Raises:
            StoreError, EngineError: it does not; says why.
        """
        for failure in (self.store.failure, self.custody.halted, self.outbox.failure):
            if failure:
                raise StoreError(failure)
        self.hold.check()
        reason = self.engine_failure()
        if reason:
            raise EngineError(reason)

    def halted(self) -> str:
        """Return why the node takes no writes, or "" if it does."""
        try:
            self.check_writes()
        except (StoreError, EngineError) as error:
            return str(error)
        return ""

    def engine_failure(self) -> str:
        """Return why the engine has halted, or "" if it has not."""
        if self._engine is None:
            return "no engine"
        return self._engine.status().failure or ""

    def engine_stalled(self) -> str:
        """Return why the blocks known here may not be all that were decided, or ""."""
        return (self._engine.status().stalled or "") if self._engine is not None else ""

    def health(self) -> tuple[Component, ...]:
        """Return the state of every part."""
        return examine(self)

    def refresh_metrics(self) -> None:
        """Set the metrics that nobody sets when they change."""
        head, metrics = self.store.head, self.metrics
        metrics.log_size.set(head.size)
        metrics.block_height.set(head.height)
        metrics.block_time.set(head.time_ms / 1000)
        metrics.checkpoint_age.set(self.publisher.behind_s())
        metrics.custody_bytes.set(self.custody.usage().bytes)
        metrics.streams.set(self.streams.count)
        metrics.outbox_pending.set(self.outbox.pending())
        metrics.halted.set(bool(self.halted()))
        if self._engine is not None:
            engine = self._engine.status()
            metrics.applied_height.set(engine.height)
            metrics.engine_stalled.set(engine.stalled is not None)
            metrics.engine_waiting.set(engine.waiting)
            metrics.engine_waiting_bytes.set(engine.waiting_bytes)

    def committed(self, committed: Committed) -> None:
        """Take note of a block, in the thread that wrote or read it."""
        self.outbox.notice(committed)
        for placed in committed.placed:
            self.metrics.entries.labels(placed.outcome.code).inc()
            self.metrics.events.inc(placed.events)
            started = self._handed_over.pop(placed.hash, None)
            if started is not None:
                self.metrics.append_seconds.observe(time.monotonic() - started)
        for outcome in committed.dropped:
            self.metrics.entries.labels(outcome.code).inc()
        if not committed.grew or self._loop is None or self.stopping:
            return
        self.publisher.committed(committed)
        self.housekeeping.wake()
        self._loop.call_soon_threadsafe(self.blocks.fire)

    async def _run(self, part: Publisher | CheckpointWatch | OutsideWitnesses | LateFetch) -> None:
        try:
            if part is self.publisher:  # and all else that signs, or hands on what was signed
                await self.hold_watch.run()
                self.outbox.start(self._relay)
                self.housekeeping.start()
            await part.run()
        except Exception:  # the boundary of the task: log, and show it in the health
            self.log.exception("a task failed unexpectedly", where=type(part).__name__)
            part.failure = "unexpected failure, see the log; restart the node"

    def _stalled(self) -> str | None:
        return self.halted() or self.engine_stalled() or None
