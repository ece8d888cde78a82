"""
Many batches of one feed on their way at the same time.

While one batch waits for its block, the next ones are sealed, taken into custody and handed over:
throughput is not one block's latency a batch. Order is kept where it matters: positions in the
feed are taken, and results come, in the order of the batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeAlias

from tradeline_client.errors import RefusedError
from tradeline_client.flows.submit import PlacedBatch, deposit, finish, hand_over_batch

if TYPE_CHECKING:
    from tradeline_client.flows.submit import HandedOver
    from tradeline_client.seal import SealedBatch
    from tradeline_client.session import Session
    from tradeline_client.transport import AsyncTransport, SyncTransport
    from tradeline_ledger.submission import Receipt

IN_FLIGHT: Final = 8
"""Batches in each of two stages, custody and log, unless the caller says otherwise."""

Result: TypeAlias = PlacedBatch | RefusedError
"""A refused batch has its place, and those after it go on."""
_Deposited: TypeAlias = tuple["tuple[Receipt, ...]", dict[int, Exception]]


def submit_many(
    session: Session, transport: SyncTransport, batches: Iterable[SealedBatch], in_flight: int
) -> Iterator[Result]:
    """
    Yield what became of each batch, in order; `batches` is read `2 * in_flight` ahead at most.

    An error ends it; what was handed over stays pending and is settled by `resume`.
    """
    in_custody: deque[tuple[SealedBatch, Future[_Deposited]]] = deque()
    in_log: deque[Future[Result]] = deque()
    threads = ThreadPoolExecutor(2 * in_flight, thread_name_prefix="tradeline-batch")

    def settle(handed: HandedOver) -> Result:
        try:
            return transport.run(finish(session, handed))
        except RefusedError as error:
            return error

    def hand_over_next() -> None:
        sealed, deposited = in_custody.popleft()
        receipts, missing = deposited.result()
        handed = transport.run(hand_over_batch(session, sealed, receipts, missing))
        in_log.append(threads.submit(settle, handed))

    try:
        for sealed in batches:
            in_custody.append((sealed, threads.submit(transport.run, deposit(session, sealed))))
            if len(in_custody) >= in_flight:
                hand_over_next()
            while in_log and (len(in_log) > in_flight or in_log[0].done()):
                yield in_log.popleft().result()
        while in_custody:
            hand_over_next()
        while in_log:
            yield in_log.popleft().result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)


async def submit_many_async(
    session: Session, transport: AsyncTransport, batches: Iterable[SealedBatch], in_flight: int
) -> AsyncIterator[Result]:
    """Do what `submit_many` does, in an event loop; batches are sealed in a thread beside it."""
    in_custody: deque[tuple[SealedBatch, asyncio.Task[_Deposited]]] = deque()
    in_log: deque[asyncio.Task[Result]] = deque()
    rest = iter(batches)

    async def settle(handed: HandedOver) -> Result:
        try:
            return await transport.run(finish(session, handed))
        except RefusedError as error:
            return error

    async def hand_over_next() -> None:
        sealed, deposited = in_custody.popleft()
        receipts, missing = await deposited
        handed = await transport.run(hand_over_batch(session, sealed, receipts, missing))
        in_log.append(asyncio.ensure_future(settle(handed)))

    try:
        while (sealed := await asyncio.to_thread(next, rest, None)) is not None:
            task = asyncio.ensure_future(transport.run(deposit(session, sealed)))
            in_custody.append((sealed, task))
            if len(in_custody) >= in_flight:
                await hand_over_next()
            while in_log and (len(in_log) > in_flight or in_log[0].done()):
                yield await in_log.popleft()
        while in_custody:
            await hand_over_next()
        while in_log:
            yield await in_log.popleft()
    finally:
        left = [*(task for _, task in in_custody), *in_log]
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
