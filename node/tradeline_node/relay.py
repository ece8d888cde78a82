"""
Handing entries to another validator's node while the own engine is down.

The other node's outbox takes them like its own: they are signed by their members, so whoever hands
them on can neither change nor forge them.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tradeline_node.errors import PeerError

if TYPE_CHECKING:
    from tradeline_node.logs import Log
    from tradeline_node.peers import PeerClient
    from tradeline_node.store import LedgerStore

TARGET: Final = "/v1/entries"
ANSWER_BYTES_MAX: Final = 16 << 10
ANSWER_S: Final = 30.0
"""For asking all the others in turn."""


class Relay:
    """Hands entries to the first validator that takes them. Any thread but the loop's may call."""

    def __init__(
        self,
        store: LedgerStore,
        member: int,
        peers: PeerClient,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        """Ask the validators but `member` by `peers`, whose event loop `loop` is."""
        self._store, self._member = store, member
        self._peers, self._loop, self._log = peers, loop, log
        self._last = 0

    def __call__(self, entry: bytes) -> bool:
        """Return whether another validator's node took `entry`."""
        if self._loop.is_closed():
            return False
        future = asyncio.run_coroutine_threadsafe(self._offer(entry), self._loop)
        try:
            return future.result(ANSWER_S)
        except (TimeoutError, asyncio.CancelledError):
            future.cancel()
            return False

    async def _offer(self, entry: bytes) -> bool:
        registry = self._store.registry
        others = [each for each in registry.epoch.validators if each != self._member]
        # Who took the last one is asked first: a feed's entries then stay together.
        for number in sorted(others, key=lambda each: each != self._last):
            record = registry.member(number)
            if record is None:
                continue
            try:
                answer = await self._peers.request(
                    record, TARGET, method="POST", body=entry, bytes_max=ANSWER_BYTES_MAX
                )
            except PeerError:
                continue
            if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                if self._last != number:
                    self._log.warning("entries go through another node", peer=number)
                self._last = number
                return True
        return False
