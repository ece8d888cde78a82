"""
Lifting a hold: found out from the others how far the network is, come so far, and waited a little.

One up-to-date honest answer is enough, and f of the n validators may lie or be behind. So f + 1 of
the others have to show a checkpoint that a quorum cosigned, and the newest one counts; the own log
must reach it, with the same root. Of the heights of the engine, which nobody cosigned, the largest
f are left out, since they may be made up.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import LedgerError
from tradeline_node.engine.cometbft import DRIVER as COMETBFT
from tradeline_node.errors import NodeError, PeerError, StoreDamagedError
from tradeline_node.others import Others, told
from tradeline_node.signing_hold import HOLD_BLOCKS, Seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_node.logs import Log
    from tradeline_node.peers import PeerClient
    from tradeline_node.service import Node
    from tradeline_node.signing_hold import SigningHold
    from tradeline_node.store import LedgerStore

LOOK_S: Final = 0.5
"""Between looks at the own log, while held."""
ASK_S: Final = 2.0
"""Between questions to the others, while held."""
_LEDGER_BYTES_MAX: Final = 64 * 1024


def make_hold_watch(node: Node, peers: PeerClient) -> HoldWatch:
    """Return the watch of a node's hold, which asks the other validators with `peers`."""
    others = Others(node.store, peers, node.member)
    blocks = HOLD_BLOCKS if node.config.engine.driver == COMETBFT else 0
    return HoldWatch(node.hold, node.store, others, node.log, blocks=blocks)


class HoldWatch:
    """Watches the hold of one node."""

    def __init__(
        self,
        hold: SigningHold,
        store: LedgerStore,
        others: Others,
        log: Log,
        *,
        blocks: int,
    ) -> None:
        """
        Watch `hold` for the node of `store`, beside `others`.

        `blocks` are the heights to wait for after the network's: `HOLD_BLOCKS`, or 0 for an engine
        that casts no votes.
        """
        self._hold, self._store, self._others, self._log = hold, store, others, log
        self._blocks = blocks
        self.detail = "the others have not been asked yet"
        """What it waits for, for people."""

    async def run(self) -> None:
        """Return once the hold is lifted, or at once if there is none."""
        held = False
        while self._hold.holds():
            held = True
            before = self.detail
            try:
                waiting = await self._look()
            except NodeError as error:
                self.detail, waiting = str(error), ASK_S
            if self.detail != before:
                self._log.warning("signing is held", reason=self.detail)
            if waiting:
                await asyncio.sleep(waiting)
        if held:
            self._log.info("signing is held no more")

    async def _look(self) -> float:
        """Take one step; return how long to wait before the next one, 0 if it is lifted."""
        seen = self._hold.seen
        if seen is None:
            seen = await self._find_out()
            if seen is None:
                return ASK_S
            self._hold.see(seen)
        height = self._store.engine_height
        if height < seen.height + self._blocks:
            self.detail = (
                f"the engine is at height {height}, the network was at {seen.height}; the node "
                f"signs from {seen.height + self._blocks} on"
            )
            return LOOK_S
        self._hold.lift()
        return 0.0

    async def _find_out(self) -> Seen | None:
        """Return how far the network is if the own log is as far; else say what is missing."""
        validators = self._store.registry.epoch.validators
        needed = answers_needed(len(validators))
        shown, failures = await self._others.shown()
        counted = [each for each in shown if each.member in validators]
        if len(counted) < needed:
            self.detail = (
                f"{len(counted)} other validators show their newest checkpoint, {needed} are "
                f"needed: {told(failures)}"
            )
            return None
        head = self._store.head
        newest = max(
            (each.checkpoint for each in counted), key=lambda each: each.size, default=None
        )
        if newest is not None and newest.size > head.size:
            self.detail = f"the log has {head.size} leaves here, {newest.size} at the others"
            return None
        for checkpoint in (each.checkpoint for each in counted):
            root = self._store.root(checkpoint.size)
            if root != checkpoint.root:
                raise StoreDamagedError(
                    f"the own log has root {root.hex()} at size {checkpoint.size}, members "
                    f"{list(checkpoint.cosigners)} cosigned {checkpoint.root.hex()}; run "
                    "`tradeline node doctor --deep --peers`"
                )
        claims = [await self._claimed_height(each.member) for each in counted]
        claimed = trusted_height([each for each in claims if each is not None], len(validators))
        return Seen(head.size, max(claimed, self._store.engine_height))

    async def _claimed_height(self, member: int) -> int | None:
        """Return the height of the engine that a node says it has, None if it says nothing."""
        for address in self._others.addresses():
            if address.member == member:
                try:
                    body = await self._others.get(address, "/v1/ledger", _LEDGER_BYTES_MAX)
                    height = json.loads(body)["applied_height"]
                except (PeerError, LedgerError, ValueError, KeyError, TypeError):
                    return None
                return height if type(height) is int else None
        return None


def answers_needed(validators: int) -> int:
    """Return how many others must answer so that one of them is honest: f + 1, or all."""
    return min((validators - 1) // 3 + 1, validators - 1)


def trusted_height(claims: Sequence[int], validators: int) -> int:
    """Return the largest of `claims` that no f of the validators can have made up, 0 if none."""
    faulty = (validators - 1) // 3
    ordered = sorted(claims, reverse=True)
    return ordered[min(faulty, len(ordered) - 1)] if ordered else 0
