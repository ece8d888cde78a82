"""
What a node does in the background: custody follows the log, what is to be gone is erased, and
releases are recorded on the ledger. One thread, woken by blocks and releases.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from tradeline_node.errors import NodeError
from tradeline_node.sweep import Sweeper, SweepResult

if TYPE_CHECKING:
    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.released_log import ReleasedLog

PAUSE_S: Final = 0.5
"""Between two rounds: what one of them does for several blocks costs as much as for one."""
SWEEPS_MAX: Final = 1000
"""Sweeps in a row, each of up to 10,000 attachments; damaged ones come up in each of them."""
RETRY_S: Final = 10.0
"""After a failure, and when nothing happens: records on their way are looked at again."""


def sweep_all(sweeper: Sweeper) -> SweepResult:
    """
    Sweep until there is nothing more to look at, and return what all of it did.

    Raises:
        StoreError: the disk is full or failed.
    """
    events = attachments = discarded = 0
    findings: tuple[str, ...] = ()
    more = True
    for _ in range(SWEEPS_MAX):
        result = sweeper.sweep()
        events, attachments = events + result.events, attachments + result.attachments
        discarded += result.discarded
        findings, more = result.findings, result.more
        if not more:
            break
    return SweepResult(events, attachments, discarded, findings, more)


class Housekeeping:
    """The background thread of one node."""

    def __init__(
        self,
        sweeper: Sweeper,
        released: ReleasedLog,
        *,
        sweep_ms: int,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Sweep when something is due; again what could not be erased after `sweep_ms`."""
        self._sweeper, self._released = sweeper, released
        self._sweep_s = sweep_ms / 1000
        self._metrics, self._log = metrics, log
        self._again_at = 0.0
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self.failure = ""
        """Why the last round failed; empty if it did not."""

    def start(self) -> None:
        """Begin."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Have a look soon; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """End after the round that runs."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def sweep(self) -> SweepResult:
        """Sweep now, in the caller's thread."""
        result = sweep_all(self._sweeper)
        self._again_at = time.monotonic() + self._sweep_s if self._sweeper.due() else 0.0
        self._metrics.erased.inc(result.events)
        if result.events or result.findings:
            self._log.info("swept", events=result.events, attachments=result.attachments)
        for finding in result.findings:
            self._log.error("an attachment can't be swept", finding=finding)
        return result

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(RETRY_S)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self._round()
                self.failure = ""
            except NodeError as error:
                if str(error) != self.failure:
                    self._log.error("housekeeping failed", reason=str(error))
                self.failure = str(error)
            except Exception as error:  # noqa: BLE001  the boundary of the thread: log, try later
                self.failure = f"unexpected {type(error).__name__}"
                self._log.exception("housekeeping failed unexpectedly")
            self._stop.wait(RETRY_S if self.failure else PAUSE_S)

    def _round(self) -> None:
        self._sweeper.follow()
        if time.monotonic() >= self._again_at and self._sweeper.due():
            self.sweep()
        if self._released.pending() and self._released.post():
            self._wake.set()
