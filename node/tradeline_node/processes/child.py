"""A process of ours as its supervisor sees it: started with orders, ready or failed, ended."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_node.errors import NodeError
from tradeline_node.processes.orders import LINE_BYTES_MAX, Failure, Orders, Ready, decode_answer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLL_S: Final = 0.1
ALLOCATOR: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
"""
For glibc: attachments of megabytes come and go, and their pages are kept for the next one. Given
back and faulted in again each time, they cost a process that takes custody 8 % of its time.
"""


class ChildError(NodeError):
    """A process said that it can't do its work, or ended without a word."""


class Child:
    """Runs one module of `tradeline_node.processes`."""

    def __init__(self, name: str, orders: Orders, log_file: Path, stop_s: float) -> None:
        """Run module `name`; what it writes to its standard error is added to `log_file`."""
        self._name, self._orders = name, orders
        self._log_file, self._stop_s = log_file, stop_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        return self._process.pid if self._process is not None and self.runs() else None

    def runs(self) -> bool:
        """Return whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, given_up: Callable[[], bool]) -> Ready:
        """
        Start the process and return what it says once it does its work.

        Raises:
            ChildError: it can't do its work, ended, or was given up.
        """
        # -P: what happens to lie in the working folder is not to be imported.
        command = [sys.executable, "-P", "-m", f"tradeline_node.processes.{self._name}"]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=ALLOCATOR | os.environ,
            )
        assert self._process.stdin is not None, command
        try:
            self._process.stdin.write(msgspec.json.encode(self._orders) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: what it said, or its log, says why
        return self._answer(self._process, given_up)

    def stop(self) -> None:
        """End the process, by force if it takes too long. Safe to call twice."""
        if self._process is None:
            return
        if self.runs():
            self._process.terminate()
            try:
                self._process.wait(self._stop_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self, process: subprocess.Popen[bytes], given_up: Callable[[], bool]) -> Ready:
        assert process.stdout is not None, self._name
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
                if given_up():
                    raise ChildError(f"{self._name} was stopped while it started")
                if selector.select(POLL_S):
                    read = os.read(process.stdout.fileno(), LINE_BYTES_MAX)
                    if not read:
                        break
                    line += read
        try:
            answer = decode_answer(line)
        except msgspec.MsgspecError as error:
            raise ChildError(
                f"the process {self._name} ended at its start without a word; see {self._log_file}"
            ) from error
        if isinstance(answer, Failure):
            raise ChildError(answer.failure)
        return answer


class Backoff:
    """Waits longer and longer between starts, and short again after a steady run."""

    WAITS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
    STEADY_S: Final = 30.0

    def __init__(self) -> None:
        """Begin short."""
        self._failures = 0
        self._started = time.monotonic()

    def started(self) -> None:
        """Note a start."""
        self._started = time.monotonic()

    def wait_s(self) -> float:
        """Return how long to wait before the next start, after an end."""
        if time.monotonic() - self._started > self.STEADY_S:
            self._failures = 0
        wait_s = self.WAITS_S[min(self._failures, len(self.WAITS_S) - 1)]
        self._failures += 1
        return wait_s
