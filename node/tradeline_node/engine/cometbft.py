"""
The `cometbft` engine: consensus by a CometBFT process beside each node, tolerating f < n/3 faults.

The process asks the node's application over ABCI (`abci_server`); this driver is what outbox and
health see of it, over its RPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tradeline_ledger.outcome import Outcome
from tradeline_node.application import inspect
from tradeline_node.engine import Admission, EngineStatus
from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from tradeline_node.engine.cometbft_rpc import CometBftRpc
    from tradeline_node.store import LedgerStore

DRIVER: Final = "cometbft"


class Runner(Protocol):
    """Runs the CometBFT process."""

    def start(self) -> None:
        """
        Start it and return once its RPC answers.

        Raises:
            EngineError: it does not come up.
        """
        ...

    def stop(self) -> None:
        """End it; safe to call twice."""
        ...

    @property
    def failure(self) -> str | None:
        """Why it is not started again, None while it is or runs."""
        ...


class CometBftEngine:
    """An `OrderingEngine` in front of one CometBFT process."""

    def __init__(self, store: LedgerStore, rpc: CometBftRpc, runner: Runner) -> None:
        """Submit for the node of `store`."""
        self._store, self._rpc, self._runner = store, rpc, runner
        self._stopped = False

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
        if self._stopped:
            raise EngineError("the engine was stopped; start the node")
        checked = self._rpc.offer(entry)
        if not checked.known:
            return Admission(checked.admitted, Outcome(checked.outcome), checked.detail)
        # It waits, was placed, or can't be placed any more: the committed state says which.
        applied = inspect(self._store, entry)
        waits = applied.signed is not None or applied.outcome is Outcome.POSITION_AHEAD
        return Admission(waits, applied.outcome, applied.detail)

    def start(self) -> None:
        """
        Start the process; see `OrderingEngine.start`.

        Raises:
            EngineError: it does not come up.
        """
        self._stopped = False
        self._runner.start()

    def stop(self) -> None:
        """End the process. Safe to call twice."""
        self._stopped = True
        self._runner.stop()

    def status(self) -> EngineStatus:
        """Return how the engine does."""
        failure = self._runner.failure
        try:
            waiting, waiting_bytes = (0, 0) if self._stopped else self._rpc.waiting()
            running = not self._stopped
        except EngineError:
            waiting, waiting_bytes, running = 0, 0, False
        return EngineStatus(DRIVER, self.height, running, failure, waiting, waiting_bytes)
