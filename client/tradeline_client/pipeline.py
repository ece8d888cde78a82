"""
Many batches of one feed on their way at the same time.

While one batch waits for its block, the next ones are sealed, taken into custody and handed over:
throughput is not one block's latency a batch. Order is kept where it matters: positions in the
feed are taken, and results come, in the order of the batches. Re-deposits go the same way.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from tradeline_client.errors import RefusedError
from tradeline_client.flows.redeposit import (
    PlacedRedeposit,
    deposit_again,
    finish_redeposit,
    hand_over_redeposit,
)
from tradeline_client.flows.submit import PlacedBatch, deposit, finish, hand_over_batch

if TYPE_CHECKING:
    from tradeline_client.flows.redeposit import Deposited, Signing
    from tradeline_client.flows.submit import HandedOver
    from tradeline_client.requests import Flow
    from tradeline_client.seal import SealedBatch
    from tradeline_client.session import Session
    from tradeline_client.transport import AsyncTransport, SyncTransport
    from tradeline_ledger.submission import Receipt

IN_FLIGHT: Final = 8
"""Twice as many batches are on their way at most, in custody and in the log."""

Item = TypeVar("Item")
Held = TypeVar("Held")
Handed = TypeVar("Handed")
Placed = TypeVar("Placed")
Result: TypeAlias = PlacedBatch | RefusedError
"""A refused batch has its place, and those after it go on."""
Redeposited: TypeAlias = PlacedRedeposit | RefusedError
_Deposited: TypeAlias = tuple["tuple[Receipt, ...]", dict[int, Exception]]


@dataclass(frozen=True, slots=True)
class _Stages(Generic[Item, Held, Handed, Placed]):
    """The three flows that an item goes through."""

    custody: Callable[[Item], Flow[Held]]
    hand_over: Callable[[Item, Held], Flow[Handed]]
    """One item after the other: it takes the position in the feed."""
    finish: Callable[[Handed], Flow[Placed]]


def submit_many(
    session: Session, transport: SyncTransport, batches: Iterable[SealedBatch], in_flight: int
) -> Iterator[Result]:
    """
    Yield what became of each batch, in order; `batches` is read `2 * in_flight` ahead at most.

    An error ends it; what was handed over stays pending and is settled by `resume`.
    """
    return _run(transport, batches, _submitting(session), in_flight)


def submit_many_async(
    session: Session, transport: AsyncTransport, batches: Iterable[SealedBatch], in_flight: int
) -> AsyncIterator[Result]:
    """Do what `submit_many` does, in an event loop; batches are sealed in a thread beside it."""
    return _run_async(transport, batches, _submitting(session), in_flight)


def redeposit_many(
    session: Session, transport: SyncTransport, batch_hashes: Iterable[bytes], in_flight: int
) -> Iterator[Redeposited]:
    """
    Deal the keys of each batch again, and yield what became of it, in order.

    An error ends it: what was handed over stays pending and is settled by `resume`, the rest is
    dealt when it is called again.
    """
    return _run(transport, batch_hashes, _depositing(session), in_flight)


def redeposit_many_async(
    session: Session, transport: AsyncTransport, batch_hashes: Iterable[bytes], in_flight: int
) -> AsyncIterator[Redeposited]:
    """Do what `redeposit_many` does, in an event loop."""
    return _run_async(transport, batch_hashes, _depositing(session), in_flight)


def _submitting(session: Session) -> _Stages[SealedBatch, _Deposited, HandedOver, PlacedBatch]:
    return _Stages(
        lambda sealed: deposit(session, sealed),
        lambda sealed, held: hand_over_batch(session, sealed, *held),
        lambda handed: finish(session, handed),
    )


def _depositing(session: Session) -> _Stages[bytes, Deposited, Signing, PlacedRedeposit]:
    return _Stages(
        lambda batch_hash: deposit_again(session, batch_hash),
        lambda _, held: hand_over_redeposit(session, held),
        lambda handed: finish_redeposit(session, handed),
    )


def _run(
    transport: SyncTransport,
    items: Iterable[Item],
    stages: _Stages[Item, Held, Handed, Placed],
    in_flight: int,
) -> Iterator[Placed | RefusedError]:
    on_their_way: deque[Future[Future[Placed | RefusedError]]] = deque()
    threads = ThreadPoolExecutor(2 * in_flight, thread_name_prefix="tradeline-batch")
    in_order = ThreadPoolExecutor(1, thread_name_prefix="tradeline-feed")
    broken = threading.Event()

    def settle(handed: Handed) -> Placed | RefusedError:
        try:
            return transport.run(stages.finish(handed))
        except RefusedError as error:
            return error

    def hand_over(item: Item, held: Future[Held]) -> Future[Placed | RefusedError]:
        if broken.is_set():  # nothing goes after what did not go; its error is told
            raise CancelledError
        try:
            handed = transport.run(stages.hand_over(item, held.result()))
        except BaseException:
            broken.set()
            raise
        return threads.submit(settle, handed)

    try:
        for item in items:
            held = threads.submit(transport.run, stages.custody(item))
            on_their_way.append(in_order.submit(hand_over, item, held))
            while len(on_their_way) >= 2 * in_flight or _is_settled(on_their_way):
                yield on_their_way.popleft().result().result()
        while on_their_way:
            yield on_their_way.popleft().result().result()
    finally:
        broken.set()
        for pool in (in_order, threads):
            pool.shutdown(wait=True, cancel_futures=True)


def _is_settled(on_their_way: deque[Future[Future[Placed | RefusedError]]]) -> bool:
    """Return whether the first one's outcome is known."""
    if not on_their_way or not on_their_way[0].done():
        return False
    return on_their_way[0].exception() is not None or on_their_way[0].result().done()


async def _run_async(
    transport: AsyncTransport,
    items: Iterable[Item],
    stages: _Stages[Item, Held, Handed, Placed],
    in_flight: int,
) -> AsyncIterator[Placed | RefusedError]:
    on_their_way: deque[asyncio.Task[Placed | RefusedError]] = deque()
    custody: deque[asyncio.Task[Held]] = deque(maxlen=2 * in_flight)
    rest = iter(items)
    in_order = asyncio.Lock()  # whoever asks first has it first
    broken = asyncio.Event()

    async def go(item: Item, held: asyncio.Task[Held]) -> Placed | RefusedError:
        async with in_order:
            if broken.is_set():
                raise CancelledError
            try:
                handed = await transport.run(stages.hand_over(item, await held))
            except BaseException:
                broken.set()
                raise
        try:
            return await transport.run(stages.finish(handed))
        except RefusedError as error:
            return error

    try:
        while (item := await asyncio.to_thread(next, rest, None)) is not None:
            custody.append(asyncio.ensure_future(transport.run(stages.custody(item))))
            on_their_way.append(asyncio.ensure_future(go(item, custody[-1])))
            while on_their_way and (len(on_their_way) >= 2 * in_flight or on_their_way[0].done()):
                yield await on_their_way.popleft()
        while on_their_way:
            yield await on_their_way.popleft()
    finally:
        left = [*custody, *on_their_way]
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
