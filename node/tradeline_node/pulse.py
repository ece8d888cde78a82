"""A signal that wakes everybody who waits, each time that something happens."""

from __future__ import annotations

import asyncio


class Pulse:
    """For one event loop. Whoever looks first and waits then, without a pause, misses nothing."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._event = asyncio.Event()

    def fire(self) -> None:
        """Wake all who wait now; from other threads by `loop.call_soon_threadsafe`."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return True at the next `fire`, False when `timeout_s` is over before."""
        event = self._event
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True
