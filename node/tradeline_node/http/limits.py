"""Limits on who asks how often: token buckets, nonces that were seen, and turns for slow work."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import anyio.to_thread

from tradeline_ledger.request import WINDOW_S
from tradeline_node.errors import RequestError

T = TypeVar("T")

BUCKETS_MAX: Final = 10_000
"""Members and addresses remembered; the one not seen for longest is forgotten first."""
NONCES_MAX: Final = 1_000_000
"""In one generation of `NonceMemory`; about 100 MB."""
SERVED_MIB: Final = (32, 512)
"""Attachments served to one member: MiB a second, and at once."""
GENERATION_S: Final = 2 * WINDOW_S
"""A request is accepted from 300 s before to 300 s after the clock here: so long a nonce counts."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to somebody."""

    limit: int
    """Requests a second."""
    remaining: int
    retry_after_s: int
    """0 if the request was allowed."""

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers that tell it (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "ratelimit-policy": f'"{name}";q={self.limit};w=1',
            "ratelimit": f'"{name}";r={self.remaining};t=1',
        }


class RateLimit:
    """A token bucket for each key."""

    def __init__(self, per_second: int, burst: int, clock_s: Callable[[], float]) -> None:
        """Refill `per_second` tokens a second up to `burst`; `clock_s` is monotonic."""
        self._per_second, self._burst, self._clock_s = per_second, max(burst, 1), clock_s
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, tokens: int = 1) -> Allowance:
        """
        Take `tokens` of `key` if there is one at least; see `Allowance.retry_after_s`.

        More than there are leave a debt, which is refilled first.
        """
        now_s = self._clock_s()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(float(self._burst), now_s)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        refilled = bucket.tokens + (now_s - bucket.at_s) * self._per_second
        bucket.tokens, bucket.at_s = min(float(self._burst), refilled), now_s
        if bucket.tokens < 1:
            wait_s = (1 - bucket.tokens) / self._per_second
            return Allowance(self._per_second, 0, max(1, int(wait_s + 0.999)))
        bucket.tokens -= tokens
        return Allowance(self._per_second, max(0, int(bucket.tokens)), 0)


class NonceMemory:
    """
    Nonces of accepted requests, of as long as they could be accepted again.

    After a restart it is empty: what was signed in the last 300 s could be sent once more, to a
    node whose every write is idempotent.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """Start empty; `clock_s` is monotonic."""
        self._clock_s = clock_s
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()
        self._since_s = clock_s()

    def use(self, member: int, feed: int, nonce: bytes) -> None:
        """
        Take a nonce of that key.

        Raises:
            RequestError: it was used before, or too many are remembered.
        """
        now_s = self._clock_s()
        if now_s - self._since_s >= GENERATION_S:
            fresh = now_s - self._since_s < 2 * GENERATION_S
            self._old, self._new = self._new if fresh else set(), set()
            self._since_s = now_s
        key = member.to_bytes(4, "big") + feed.to_bytes(4, "big") + nonce
        if key in self._new or key in self._old:
            raise RequestError("request-replayed", "the nonce was used in an earlier request")
        if len(self._new) >= NONCES_MAX:
            raise RequestError("node-busy", retry_after_s=GENERATION_S)
        self._new.add(key)


class Turns:
    """
    Runs blocking work in threads, few at a time, and keeps a bounded number waiting.

    Four nodes may share one process and two cores: the event loop must go on, and so must the
    engine.
    """

    def __init__(self, at_once: int, waiting_max: int) -> None:
        """Run `at_once` at a time; `waiting_max` more may wait."""
        self._limiter = anyio.CapacityLimiter(at_once)
        self._max = at_once + waiting_max
        self._count = 0

    async def run(self, work: Callable[[], T]) -> T:
        """
        Return what `work` returns.

        Raises:
            RequestError: as many wait already as may.
        """
        if self._count >= self._max:
            raise RequestError("node-busy", retry_after_s=1)
        self._count += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._count -= 1


class Slots:
    """Counts what is open at a time, such as streams."""

    def __init__(self, count_max: int) -> None:
        """Allow `count_max` at a time."""
        self._max = count_max
        self.count = 0
        """Open now."""

    def __enter__(self) -> None:
        """Take a slot; RequestError if there is none."""
        if self.count >= self._max:
            raise RequestError("streams-full", retry_after_s=5)
        self.count += 1

    def __exit__(self, *_exception: object) -> None:
        """Give it back."""
        self.count -= 1


class MemberSlots:
    """Counts what each member has open, so that none can take what others need."""

    def __init__(self, each_max: int) -> None:
        """Allow each member `each_max` at a time."""
        self._each_max = each_max
        self._slots: dict[int, Slots] = {}

    def __getitem__(self, member: int) -> Slots:
        """Return the slots of one member."""
        return self._slots.setdefault(member, Slots(self._each_max))
