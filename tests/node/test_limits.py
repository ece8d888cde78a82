"""Token buckets, remembered nonces, and turns for slow work."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tradeline_node.errors import RequestError
from tradeline_node.http import limits
from tradeline_node.http.limits import GENERATION_S, NonceMemory, RateLimit, Slots, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bucket_allows_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(2, 4, clock)
    assert [limit.take("a").retry_after_s for _ in range(5)] == [0, 0, 0, 0, 1]
    assert limit.take("b").remaining == 3
    clock.now += 0.5
    assert [limit.take("a").retry_after_s for _ in range(2)] == [0, 1]
    clock.now += 1_000
    assert limit.take("a").remaining == 3


def test_allowance_tells_what_is_left() -> None:
    headers = RateLimit(2, 4, Clock()).take("a").headers("member")
    assert headers == {"ratelimit-policy": '"member";q=2;w=1', "ratelimit": '"member";r=3;t=1'}


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUCKETS_MAX", 10)
    limit = RateLimit(1, 1, Clock())
    for number in range(100):
        limit.take(str(number))
    assert len(limit._buckets) == 10


def test_nonce_counts_once_for_as_long_as_it_could_be_used() -> None:
    clock = Clock()
    memory = NonceMemory(clock)
    memory.use(1, 2, b"n" * 16)
    memory.use(1, 3, b"n" * 16)
    memory.use(2, 2, b"n" * 16)
    for later in (0.0, GENERATION_S - 1, 1.0):
        clock.now += later
        with pytest.raises(RequestError, match="request-replayed"):
            memory.use(1, 2, b"n" * 16)
    clock.now += 2 * GENERATION_S
    memory.use(1, 2, b"n" * 16)


def test_memory_of_nonces_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NONCES_MAX", 3)
    memory = NonceMemory(Clock())
    for number in range(3):
        memory.use(1, 1, bytes([number]) * 16)
    with pytest.raises(RequestError, match="node-busy"):
        memory.use(1, 1, b"x" * 16)


def test_slots_are_given_back() -> None:
    slots = Slots(1)
    with slots, pytest.raises(RequestError, match="streams-full"), slots:
        raise AssertionError
    assert slots.count == 0


def test_turns_bound_what_runs_and_what_waits() -> None:
    go, started = threading.Event(), threading.Barrier(3, timeout=10)
    running: list[int] = []

    def work() -> int:
        running.append(1)
        if not go.is_set():
            started.wait()
        go.wait(10)
        return 7

    async def check() -> None:
        turns = Turns(2, 1)
        tasks = [asyncio.create_task(turns.run(work)) for _ in range(3)]
        await asyncio.to_thread(started.wait)
        assert len(running) == 2
        with pytest.raises(RequestError, match="node-busy"):
            await turns.run(work)
        go.set()
        assert await asyncio.gather(*tasks) == [7, 7, 7]
        assert await turns.run(work) == 7

    asyncio.run(check())


def test_more_tokens_than_there_are_leave_a_debt() -> None:
    clock = [0.0]
    limit = RateLimit(2, 4, lambda: clock[0])
    assert limit.take("a", 10).retry_after_s == 0
    assert limit.take("a").retry_after_s > 0
    clock[0] = 3.0  # 4 - 10 + 3 * 2
    assert limit.take("a").retry_after_s > 0
    clock[0] = 3.5
    assert limit.take("a").retry_after_s == 0
    assert limit.take("b", 4).remaining == 0
