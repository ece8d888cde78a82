"""A signal that wakes everybody who waits, each time that something happens."""

from __future__ import annotations

import asyncio


class Pulse:
    """
    For one event loop. Whoever looks first and waits then, without a pause, misses nothing; whoever
    has to pause in between takes `count` before it looks.
    """

    __slots__ = ("_event", "count")

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._event = asyncio.Event()
        self.count = 0
        """How often it has fired."""

    def fire(self) -> None:
        """Wake all who wait now; from other threads by `loop.call_soon_threadsafe`."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None = None, since: int | None = None) -> bool:
        """
        Return True at the next `fire`, False when `timeout_s` is over before.

        With `since`, a former `count`, at once if it has fired after that.
        """
        if since is not None and since != self.count:
            return True
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True
