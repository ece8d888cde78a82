"""
The `cometbft` engine: consensus by a CometBFT process beside each node, tolerating f < n/3 faults.

The process asks the node's application over ABCI (`abci_server`); this driver is what outbox and
health see of it, over its RPC.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.outcome import Outcome
from tradeline_node.application import inspect
from tradeline_node.engine import Admission, EngineStatus
from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from tradeline_node.engine.cometbft_rpc import CometBftRpc
    from tradeline_node.store import LedgerStore

DRIVER: Final = "cometbft"
LOOK_S: Final = 0.5
"""Between looks at the engine."""
STALLED_S: Final = 10.0
"""Without a block for so long, the engine counts as stalled: it makes empty ones twice a second."""
HEIGHTS_BEHIND_MAX: Final = 20
"""By which the store may be behind its engine."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """How the engine did at the last look."""

    running: bool
    stalled: str | None
    waiting: int = 0
    waiting_bytes: int = 0


class CometBftEngine:
    """An `OrderingEngine` in front of one CometBFT process, which others start and end."""

    def __init__(self, store: LedgerStore, rpc: CometBftRpc) -> None:
        """Submit for the node of `store`."""
        self._store, self._rpc = store, rpc
        self._seen = _Seen(running=False, stalled="the engine was not asked yet")
        self._height, self._height_since = store.engine_height, time.monotonic()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def height(self) -> int:
        """Height of the last block that this node's store has."""
        return self._store.engine_height

    def submit(self, entry: bytes) -> Admission:
        """
        Offer an entry; see `OrderingEngine.submit`.

        Raises:
            BusyError: too many entries wait.
            EngineError: the engine does not answer or was stopped.
        """
        if self._stopping.is_set():
            raise EngineError("the engine was stopped; start the node")
        checked = self._rpc.offer(entry)
        if not checked.known:
            return Admission(checked.admitted, Outcome(checked.outcome), checked.detail)
        # It waits, was placed, or can't be placed any more: the committed state says which.
        applied = inspect(self._store, entry)
        waits = applied.signed is not None or applied.outcome is Outcome.POSITION_AHEAD
        return Admission(waits, applied.outcome, applied.detail)

    def start(self) -> None:
        """Begin to look how the engine does."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._watch, name="cometbft", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Submit nothing more. Safe to call twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def status(self) -> EngineStatus:
        """Return how the engine did at the last look; it is never asked for this."""
        seen = self._seen
        stopped = self._stopping.is_set()
        return EngineStatus(
            driver=DRIVER,
            height=self.height,
            running=seen.running and not stopped,
            failure=None,  # an engine that ended is started again, and the outbox waits for it
            stalled="the engine was stopped" if stopped else seen.stalled,
            waiting=seen.waiting,
            waiting_bytes=seen.waiting_bytes,
        )

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._seen = self._look()
            self._stopping.wait(LOOK_S)

    def _look(self) -> _Seen:
        now = time.monotonic()
        if self.height != self._height:
            self._height, self._height_since = self.height, now
        try:
            info = self._rpc.sync_info()
            waiting, waiting_bytes = self._rpc.waiting()
        except EngineError as error:
            return _Seen(running=False, stalled=str(error))
        behind = info.height - self.height
        stalled = None
        if info.catching_up:
            stalled = f"the engine fetches old blocks, it has height {info.height}"
        elif behind > HEIGHTS_BEHIND_MAX:
            stalled = f"the store has height {self.height}, the engine {info.height}"
        elif now - self._height_since > STALLED_S:
            stalled = (
                f"no block after height {self.height} for {now - self._height_since:.0f} s: fewer "
                "than a quorum of validators are connected; see the peers"
            )
        return _Seen(running=True, stalled=stalled, waiting=waiting, waiting_bytes=waiting_bytes)
