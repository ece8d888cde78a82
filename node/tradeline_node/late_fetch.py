"""
Fetching what this committee member lacks from the others: attachments, deposits and tag keys.

Whoever gave a receipt is asked first. Requests are hedged: a member that has not answered within a
moment is not waited for, the next one is asked beside it, and the first good answer counts. What
nobody serves is asked for again, with longer and longer pauses. Everything is checked against the
log before it is kept, so it does not matter who served it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tradeline_ledger.deposit import ATTACHMENT_BYTES_MAX
from tradeline_node.errors import KeystoreError, NodeError, PeerError, RequestError
from tradeline_node.tag_keys import SEALED_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from tradeline_node.custody_backlog import CustodyBacklog, Wanted
    from tradeline_node.logs import Log
    from tradeline_node.peers import PeerClient
    from tradeline_node.pulse import Pulse
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore
    from tradeline_node.tag_keys import TagKeys

GRACE_S: Final = 2.0
"""For which the contributor itself may bring what it has just put on the ledger."""
HEDGE_S: Final = 1.0
"""After which the next member is asked beside one that has not answered."""
ANSWER_S: Final = 60.0
"""For the body of one answer, beside the time that any answer may take."""
AT_ONCE: Final = 2
"""Attachments fetched at the same time, of up to 64 MiB each."""
LOOKED_AT_MAX: Final = 4096
"""Deposits in one round; the next round goes on."""
POLL_S: Final = 5.0
PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""Before something that nobody served is asked for again."""


@dataclass(slots=True)
class _Trial:
    """How often something was asked for in vain, and when it is asked for again."""

    count: int
    at_s: float


class LateFetch:
    """Fetches in one event loop, until cancelled."""

    def __init__(
        self,
        store: LedgerStore,
        backlog: CustodyBacklog,
        tag_keys: TagKeys,
        *,
        member: int,
        peers: PeerClient,
        blocks: Pulse,
        done: Callable[[], None],
        log: Log,
    ) -> None:
        """
        Fetch for the node of `member`, whenever `blocks` fires and now and then.

        `done` is called when something was found that is to be said on the ledger.
        """
        self._store, self._backlog, self._tag_keys = store, backlog, tag_keys
        self._member, self._peers = member, peers
        self._blocks, self._done, self._log = blocks, done, log
        self._trials: dict[Hashable, _Trial] = {}
        self.failure = ""
        """Why the last round failed; empty if it did not."""

    async def run(self) -> None:
        """Fetch until cancelled."""
        seen = self._blocks.count
        while True:
            try:
                await self.round()
                self.failure = ""
            except NodeError as error:
                if str(error) != self.failure:
                    self._log.error("fetching of attachments failed", reason=str(error))
                self.failure = str(error)
            await self._blocks.wait(self._wait_s(), since=seen)
            seen = self._blocks.count

    async def round(self) -> None:
        """
        Look once at everything that is due.

        Raises:
            NodeError: a store can't be read or written.
        """
        await asyncio.to_thread(self._backlog.follow)
        keys = await self._fetch_tag_keys()
        placed = await asyncio.to_thread(self._backlog.open, LOOKED_AT_MAX)
        now_s = _now_s()
        open_ = {*keys, *placed}
        self._trials = {what: trial for what, trial in self._trials.items() if what in open_}
        for each in placed:
            self._trials.setdefault(each, _Trial(0, now_s + GRACE_S))
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(each: int) -> None:
            async with turns:
                await self._fetch(each)

        await asyncio.gather(*(one(each) for each in placed if self._is_due(each)))

    def _wait_s(self) -> float:
        now_s = _now_s()
        return max(0.05, min([POLL_S, *(each.at_s - now_s for each in self._trials.values())]))

    def _is_due(self, what: Hashable) -> bool:
        trial = self._trials.get(what)
        return trial is None or trial.at_s <= _now_s()

    def _failed(self, what: Hashable) -> None:
        count = self._trials[what].count if what in self._trials else 0
        pause_s = PAUSES_S[min(count, len(PAUSES_S) - 1)]
        self._trials[what] = _Trial(count + 1, _now_s() + pause_s)

    async def _fetch(self, placed: int) -> None:
        """Fetch all that is lacking for the deposits at one log index."""
        while (wanted := await asyncio.to_thread(self._backlog.look, placed)) is not None:
            asked = self._members(wanted.holders, placed)

            async def take(body: bytes, wanted: Wanted = wanted) -> None:
                await asyncio.to_thread(self._backlog.take, wanted, body)

            target = f"/v1/custody/{wanted.hash.hex()}"
            if not await self._first(asked, target, ATTACHMENT_BYTES_MAX, take):
                self._failed(placed)
                return
            self._log.info("attachment fetched", index=wanted.index)
        self._trials.pop(placed, None)
        self._done()

    async def _fetch_tag_keys(self) -> list[Hashable]:
        """Ask who is or was in the committee for tag keys that are lacking here; return which."""
        registry = self._store.registry
        lacking: list[Hashable] = []
        if not registry.has_served(self._member):
            return lacking
        for member, hash_ in self._tag_keys.missing(registry):
            what = ("tag-key", member, hash_)
            lacking.append(what)
            if not self._is_due(what):
                continue

            async def take(body: bytes, member: int = member) -> None:
                await asyncio.to_thread(self._tag_keys.put, registry, member, body)

            target = f"/v1/tag-keys/{member}/{hash_.hex()}"
            if await self._first(self._members((), member), target, SEALED_BYTES, take):
                self._trials.pop(what, None)
                self._log.info("tag key got from another committee member", owner=member)
            else:
                self._failed(what)
        return lacking

    def _members(self, first: tuple[int, ...], turn: int) -> list[int]:
        """Return whom to ask: `first`, then all others of any committee; in turns."""
        epochs = reversed(self._store.registry.epochs)
        ever = dict.fromkeys(each.member for epoch in epochs for each in epoch.committee)
        others = [each for each in ever if each not in first and each != self._member]
        start = turn % len(first) if first else 0
        return [*first[start:], *first[:start], *others]

    async def _first(
        self,
        members: list[int],
        target: str,
        bytes_max: int,
        take: Callable[[bytes], Awaitable[None]],
    ) -> bool:
        """Return whether one of `members` served at `target` what `take` accepts."""
        waiting: set[asyncio.Task[bool]] = set()
        rest = iter(members)
        try:
            while True:
                member = next(rest, None)
                if member is not None:
                    asked = self._ask(member, target, bytes_max, take)
                    waiting.add(asyncio.create_task(asked))
                if not waiting:
                    return False
                ready, waiting = await asyncio.wait(
                    waiting,
                    timeout=HEDGE_S if member is not None else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if any(task.result() for task in ready):
                    return True
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _ask(
        self,
        member: int,
        target: str,
        bytes_max: int,
        take: Callable[[bytes], Awaitable[None]],
    ) -> bool:
        record = self._store.registry.member(member)
        if record is None:
            return False
        try:
            answer = await self._peers.request(record, target, bytes_max=bytes_max, wait_s=ANSWER_S)
            if answer.status != HTTPStatus.OK:
                return False
            await take(answer.body)
        except PeerError:
            return False
        except KeystoreError as error:
            self._log.error("a deposit can't be looked at", reason=str(error))
            return False
        except RequestError as error:
            self._log.warning("a peer serves what is not named", peer=member, reason=error.detail)
            return False
        return True


def _now_s() -> float:
    """Return the clock of the event loop, which its waits go by as well."""
    return asyncio.get_running_loop().time()


def make_late_fetch(node: Node, peers: PeerClient) -> LateFetch:
    """Return what fetches for `node`, which asks the others by `peers`."""
    return LateFetch(
        node.store,
        node.backlog,
        node.tag_keys,
        member=node.member,
        peers=peers,
        blocks=node.blocks,
        done=node.housekeeping.wake,
        log=node.log,
    )
