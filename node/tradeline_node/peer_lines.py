"""
Following the lines that the other validators sign: a stream from each, for as long as it lasts.

A validator's lines come over one request that stays open, each as it is signed, so a checkpoint has
its quorum one way over the network after the slowest of the quorum signed it, at the price of a
few hundred bytes. A stream that breaks is asked for again from the oldest lines that are wanted.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING, Final

from tradeline_node.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tradeline_ledger.registry import MemberRecord
    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.peers import PeerClient

LINES_BYTES_MAX: Final = 4096
"""Of one item of a stream: one text, two lines."""
HEARTBEAT_S: Final = 1.5
"""After which a stream without lines sends an empty item; below what a peer has for an answer."""
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_S: Final = 5.0
"""After which a stream that breaks is taken for one that worked."""
ASK_AGAIN_S: Final = 5.0
"""Between asking again for lines that went by before this node could use them."""
_LENGTH: Final = struct.Struct(">H")


def encode_item(note: bytes) -> bytes:
    """Return a note as an item of the stream; without bytes it says that the stream is alive."""
    assert len(note) <= LINES_BYTES_MAX, len(note)
    return _LENGTH.pack(len(note)) + note


class PeerLines:
    """Follows the streams of the other validators, in one event loop."""

    def __init__(
        self,
        peers: PeerClient,
        *,
        record: Callable[[int], MemberRecord | None],
        after: Callable[[int], int],
        overdue: Callable[[int], bool],
        receive: Callable[[int, bytes], None],
        metrics: Metrics,
        log: Log,
    ) -> None:
        """
        Ask through `peers` and hand on what comes.

        Args:
            peers: asks in the name of this node.
            record: returns the record of a member that is in force.
            after: returns the size after which lines of a member are wanted.
            overdue: says whether lines are wanted that a stream which began later can't bring.
            receive: takes a note of a member, not verified yet; raises `PeerError` if it is none.
            metrics: shows which peers are up.
            log: tells of those that are not.
        """
        self._peers, self._metrics, self._log = peers, metrics, log
        self._record, self._after, self._overdue = record, after, overdue
        self._receive = receive
        self.failures: dict[int, str] = {}
        """Why a member's lines are missing; without those that send theirs."""

    async def follow(self, member: int) -> None:
        """Follow one validator until cancelled."""
        failed = 0
        while True:
            began = time.monotonic()
            try:
                async for note in self._stream(member):
                    if note:
                        self._receive(member, note)
                    self._metrics.peer_up.labels(str(member)).set(1)
                    self.failures.pop(member, None)
            except PeerError as error:
                self._failed(member, str(error))
                if time.monotonic() - began > STEADY_S:
                    failed = 0  # one that ends as soon as it began is asked less and less often
                await asyncio.sleep(RETRY_S[min(failed, len(RETRY_S) - 1)])
                failed += 1

    async def _stream(self, member: int) -> AsyncIterator[bytes]:
        """Yield the notes of one stream, empty ones too; end it where older ones are wanted."""
        record = self._record(member)
        if record is None:
            raise PeerError(f"member {member} is not in the registry any more")
        target = f"/cosignatures?after={self._after(member)}"
        began, waiting = time.monotonic(), bytearray()
        async with self._peers.stream(record, target) as chunks:
            async for chunk in chunks:
                waiting += chunk
                for note in _items(member, waiting):
                    yield note
                if time.monotonic() - began > ASK_AGAIN_S and self._overdue(member):
                    return
        raise PeerError(f"member {member} ended its stream of lines")

    def _failed(self, member: int, reason: str) -> None:
        self._metrics.peer_up.labels(str(member)).set(0)
        if reason != self.failures.get(member):
            self._log.warning("no lines of a peer", peer=member, reason=reason)
        self.failures[member] = reason


def _items(member: int, waiting: bytearray) -> Iterator[bytes]:
    """Take the items off the front of `waiting` that are whole."""
    while len(waiting) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(waiting)
        if length > LINES_BYTES_MAX:
            raise PeerError(
                f"member {member} sends lines of {length} bytes, at most {LINES_BYTES_MAX}"
            )
        if len(waiting) < _LENGTH.size + length:
            return
        note = bytes(waiting[_LENGTH.size : _LENGTH.size + length])
        del waiting[: _LENGTH.size + length]
        yield note
