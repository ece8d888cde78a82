"""
The `local` engine: blocks made in this process, the same for every replica in it.

For a demo, for tests and for development: it orders honestly and tolerates no faulty process.
"""

from __future__ import annotations

import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_ledger.errors import LedgerError
from tradeline_ledger.transition import Block
from tradeline_node.engine import Admission, EngineStatus
from tradeline_node.errors import BusyError, EngineError, NodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradeline_ledger.transition import Executed
    from tradeline_node.application import Application

DRIVER: Final = "local"
BLOCK_MS: Final = 50
"""From one block to the next, unless one is full."""
BLOCK_ENTRIES_MAX: Final = 1000
BLOCK_BYTES_MAX: Final = 4 << 20
WAITING_BYTES_MAX: Final = 32 << 20


class _Waiting(NamedTuple):
    entry: bytes
    admission: Admission


class LocalEngine:
    """An `OrderingEngine` for the replicas of one process. One thread makes the blocks."""

    def __init__(
        self,
        applications: Sequence[Application],
        clock_ms: Callable[[], int],
        *,
        block_ms: int = BLOCK_MS,
        block_entries_max: int = BLOCK_ENTRIES_MAX,
        block_bytes_max: int = BLOCK_BYTES_MAX,
    ) -> None:
        """
        Drive `applications`, one a replica; `clock_ms` is the block time, ms since 1970 UTC.

        A block time is never below the one before, whatever the clock says.
        """
        assert applications, "an engine without replicas"
        self._applications = tuple(applications)
        for each in self._applications[1:]:
            each.memory = self._applications[0].memory  # an entry is opened once a process
        self._clock_ms = clock_ms
        self._block_ms = block_ms
        self._block_entries_max = block_entries_max
        self._block_bytes_max = block_bytes_max
        self._wake = threading.Condition(threading.RLock())
        self._pool: dict[bytes, _Waiting] = {}
        """By digest, in the order of admission."""
        self._pool_bytes = 0
        self._halted: str | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def height(self) -> int:
        """Height of the last block committed."""
        return self._applications[0].store.engine_height

    def submit(self, entry: bytes) -> Admission:
        """
        Offer an entry; see `OrderingEngine.submit`.

        Raises:
            BusyError: too many entries wait.
            EngineError: the engine halted or was stopped.
        """
        digest = sha256(entry).digest()
        with self._wake:
            self._check_running()
            waiting = self._pool.get(digest)
            if waiting is not None:
                return waiting.admission
            if self._pool_bytes + len(entry) > WAITING_BYTES_MAX:
                raise BusyError(f"{len(self._pool)} entries wait for a block; try again later")
            applied = self._applications[0].check(entry, time_ms=self._clock_ms())
            admission = Admission.of(applied)
            if admission.admitted:
                self._pool[digest] = _Waiting(entry, admission)
                self._pool_bytes += len(entry)
                self._wake.notify_all()
            return admission

    def start(self) -> None:
        """
        Bring replicas that are behind up to date, then make blocks; see `OrderingEngine.start`.

        Raises:
            EngineError: the replicas' logs are not of one ledger, or one can't be written.
        """
        self.catch_up()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="local-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the block that is being made, and make no more. Safe to call twice."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def status(self) -> EngineStatus:
        """Return how the engine does."""
        with self._wake:
            return EngineStatus(
                driver=DRIVER,
                height=self.height,
                running=self._thread is not None and self._thread.is_alive(),
                failure=self._halted,
                stalled=None,
                waiting=len(self._pool),
                waiting_bytes=self._pool_bytes,
            )

    def catch_up(self) -> None:
        """
        Replay the log of the replica that is furthest into those that are behind.

        Raises:
            EngineError: a log is no beginning of that one, or a replica can't be written.
        """
        furthest = max(self._applications, key=lambda each: each.store.head.size)
        for application in self._applications:
            try:
                _copy_blocks(furthest, application)
            except (LedgerError, NodeError) as error:
                self._halt(error)
                raise EngineError(f"a replica can't be brought up to date: {error}") from error

    def produce(self) -> Executed | None:
        """
        Make one block of what waits, now; return None if nothing of it can be placed.

        The engine's thread calls this; a test without a thread may.

        Raises:
            EngineError: a replica failed or came to another result; the engine halted.
        """
        try:
            return self._produce()
        except Exception as error:
            self._halt(error)
            raise EngineError(f"the engine halted: {error}") from error

    def _run(self) -> None:
        due = time.monotonic()
        while self._wait_until(due):
            due = time.monotonic() + self._block_ms / 1000
            try:
                self.produce()
            except EngineError:
                return  # `status` and every submit say why

    def _wait_until(self, due: float) -> bool:
        """Wait for the next block to be due and something to be in it; False to stop."""
        with self._wake:
            while not self._stopping and self._halted is None:
                left = due - time.monotonic()
                if self._pool and (left <= 0 or self._block_is_full()):
                    return True
                self._wake.wait(left if self._pool else None)
            return False

    def _block_is_full(self) -> bool:
        return (
            len(self._pool) >= self._block_entries_max or self._pool_bytes >= self._block_bytes_max
        )

    def _produce(self) -> Executed | None:
        offered = self._offered()
        first = self._applications[0]
        height = max(each.store.engine_height for each in self._applications) + 1
        time_ms = max(self._clock_ms(), first.store.head.time_ms + 1)
        entries = first.prepare(
            [each.entry for each in offered.values()],
            self._block_bytes_max,
            height=height,
            time_ms=time_ms,
        )
        block = Block(height, time_ms, tuple(entries))
        if entries:
            self._decide(block)
        with self._wake:
            executed = [each.commit() for each in self._applications] if entries else None
            for digest in offered:
                self._forget(digest)
            for digest, waiting in list(self._pool.items()):
                if not first.recheck(waiting.entry, time_ms=time_ms + 1):
                    self._forget(digest)
        return executed[0] if executed else None

    def _offered(self) -> dict[bytes, _Waiting]:
        """Return what waits, in the order of admission, as much as one block holds."""
        offered: dict[bytes, _Waiting] = {}
        size = 0
        with self._wake:
            if self._halted is not None:
                raise EngineError(self._halted)
            for digest, waiting in self._pool.items():
                size += len(waiting.entry)
                if len(offered) == self._block_entries_max or size > self._block_bytes_max:
                    break
                offered[digest] = waiting
        return offered

    def _decide(self, block: Block) -> None:
        """Have every replica accept and execute `block`; all must come to the same result."""
        for number, each in enumerate(self._applications):
            if not each.process(block):
                raise EngineError(f"replica {number} does not accept block {block.height}")
        hashes = [each.finalize(block) for each in self._applications]
        for number, app_hash in enumerate(hashes):
            if app_hash != hashes[0]:
                raise EngineError(
                    f"replica {number} has app hash {app_hash.hex()} after block {block.height}, "
                    f"replica 0 has {hashes[0].hex()}; verify both stores"
                )

    def _forget(self, digest: bytes) -> None:
        self._pool_bytes -= len(self._pool.pop(digest).entry)

    def _check_running(self) -> None:
        if self._halted is not None:
            raise EngineError(f"the engine halted: {self._halted}; restart the node")
        if self._stopping:
            raise EngineError("the engine was stopped; start the node")

    def _halt(self, error: Exception) -> None:
        with self._wake:
            self._halted = self._halted or f"{type(error).__name__}: {error}"
            self._wake.notify_all()


def _copy_blocks(source: Application, target: Application) -> None:
    """Replay into `target` the blocks that it lacks of `source`."""
    behind = target.store.head
    ours, theirs = target.store.root(behind.size), source.store.root(behind.size)
    if ours != theirs:
        raise EngineError(
            f"two replicas have roots {ours.hex()} and {theirs.hex()} at size {behind.size}: "
            "their logs fork; verify both stores and move the wrong one away"
        )
    if source.store.head.size == behind.size:
        return
    first = behind.size
    for _, size in source.store.block_sizes(behind.height + 1):
        leaves = source.store.leaves(first, size)
        target.replay(leaves, source.store.contents(range(first, size - 1)))
        first = size
