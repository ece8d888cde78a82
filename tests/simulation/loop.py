"""
An asyncio event loop on the clock of the simulation, one for each life of a process.

Coroutines of the product run in it as they are. What they give to threads is done at once, in the
loop's own, so that a run is the same each time; a crash of the disk within ends the process.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVarTuple

from tests.simulation.disk import CrashError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

Ts = TypeVarTuple("Ts")


class SimLoop(asyncio.AbstractEventLoop):
    """Runs callbacks as events of the simulation."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        after: Callable[[int, Callable[[], None]], None],
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        """
        Run in the process of `guard`, which a crash of the disk ends.

        `after` has the simulation call something once so many ms are over.
        """
        self._now_ms, self._after, self._guard = now_ms, after, guard
        self._ready: deque[asyncio.Handle] = deque()
        self._due = False
        self._alive = True
        self._crash: CrashError | None = None
        self.failures: list[str] = []
        """What escaped a callback or a task."""

    def time(self) -> float:
        return self._now_ms() / 1000

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._put(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._after(max(0, round(when * 1000) - self._now_ms()), lambda: self._put(handle))
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(
        self, _executor: object, func: Callable[[*Ts], Any], *args: *Ts
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except CrashError as crash:
            self._crash = crash
            raise
        except Exception as error:  # noqa: BLE001  the caller's to see
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._alive and self._crash is None:
            self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def kill(self) -> None:
        """End all tasks; nothing runs here any more."""
        self._alive, self._crash = False, None
        for task in asyncio.all_tasks(self):
            task.cancel()
        self._drain()

    def _put(self, handle: asyncio.Handle) -> None:
        if handle.cancelled():
            return
        self._ready.append(handle)
        if self._alive and not self._due:
            self._due = True
            self._after(0, self._on_due)

    def _on_due(self) -> None:
        if self._alive:
            self._guard(self._drain)

    def _drain(self) -> None:
        """Run what is ready; raises `CrashError` if the disk crashed meanwhile."""
        self._due = False
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self._ready and self._crash is None:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(before)
        if self._crash is not None:
            raise self._crash

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass
