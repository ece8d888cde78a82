"""
Catching up: the log in bulk from other nodes, checked, replayed and written, block by block.

For a node that joins late, was away for long, or lost its disk. Each round takes the newest
checkpoint that any of the others shows, fetches chunks of the log, each proved to that checkpoint
before it is looked at further, and replays them, so that nothing is written that the rules do not
lead to. Who serves what does not verify is named, and asked no more. What is written stays: after
a crash it goes on from there.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tradeline_ledger.errors import LedgerError, MalformedError, VerificationError
from tradeline_ledger.log_chunk import CHUNK_BYTES_MAX, LOG_CHUNK, LogChunk, verify_chunk
from tradeline_ledger.merkle import PATH_HASHES_MAX, Frontier, root_nodes, verify_consistency
from tradeline_node.errors import PeerError, StoreDamagedError
from tradeline_node.others import Address, Fault, Others, told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradeline_ledger.transition import Executed
    from tradeline_ledger.trust import VerifiedCheckpoint
    from tradeline_node.application import Application
    from tradeline_node.peers import PeerClient

CHUNK_WAIT_S: Final = 60.0
"""Beside the time that a peer has for any answer: a chunk has some 8 MiB."""
RETRIES_S: Final = (0.2, 1.0, 3.0)
"""Waits after which all others are asked again, if none of them answers."""
ROUNDS_MAX: Final = 1000
"""Checkpoints taken one after another: the network goes on while this catches up."""
_PROOF_BYTES_MAX: Final = 64 * PATH_HASHES_MAX + 1024


@dataclass(slots=True)
class CaughtUp:
    """What a catch-up did, so far while it runs."""

    size: int
    """Leaves of the own log."""
    leaves: int = 0
    """Replayed."""
    events: int = 0
    """Of the submissions among them that were accepted."""
    bytes: int = 0
    """Of the chunks that were fetched."""
    seconds: float = 0.0
    cosigners: tuple[int, ...] = ()
    """Of the newest checkpoint, by member id."""
    faults: list[Fault] = field(default_factory=list)
    """Who served what does not verify."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A chunk whose leaves are those of the target's log."""

    chunk: LogChunk
    after: Frontier
    member: int


class CatchUp:
    """One catch-up of the node of `application`, whose engine must not run meanwhile."""

    def __init__(
        self,
        application: Application,
        client: PeerClient,
        member: int,
        *,
        named: Sequence[Address] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """
        Ask with `client` in the name of `member` the validators of the registry, `named` before.

        `progress` is called with the leaves that the own log has and those it is to have.
        """
        self._application, self._store = application, application.store
        self._others = Others(self._store, client, member, named)
        self._progress = progress or (lambda _done, _all: None)
        self.done = CaughtUp(self._store.head.size, faults=self._others.faults)

    async def run(self) -> CaughtUp:
        """
        Return once the own log is as long as the newest checkpoint that the others show.

        Raises:
            PeerError: none of them shows a checkpoint, or serves a part of the log; says of each
                why. What was written before stays.
            StoreDamagedError: the own log is no beginning of the one that a quorum cosigned.
            StoreError: it can't be written.
        """
        started = time.monotonic()
        try:
            for _ in range(ROUNDS_MAX):
                target = await self._others.newest()
                self.done.cosigners = target.cosigners
                if target.size <= self._store.head.size:
                    break
                await self._check_own(target)
                await self._reach(target)
        finally:
            self.done.size = self._store.head.size
            self.done.seconds = time.monotonic() - started
        return self.done

    async def _check_own(self, target: VerifiedCheckpoint) -> None:
        """
        Accept the own log as a beginning of the target's.

        A wrong proof shows nothing, since anybody can send one; a right one of any node is enough.
        """
        size, root = self._store.head.size, self._store.root(self._store.head.size)
        wrong: dict[int, str] = {}
        failures: dict[int, str] = {}
        for address in self._others.addresses():
            try:
                proof = f"/v1/consistency?old={size}&new={target.size}"
                path = _read_path(await self._others.get(address, proof, _PROOF_BYTES_MAX))
                verify_consistency(size, target.size, path, root, target.root)
            except PeerError as error:
                failures[address.member] = str(error)
            except LedgerError as error:
                wrong[address.member] = str(error)
            else:
                return
        if not wrong:
            raise PeerError(f"no other node proves a log of {target.size} leaves: {told(failures)}")
        raise StoreDamagedError(
            f"ledger store: its {size} leaves with root {root.hex()} are no beginning of the log "
            f"of {target.size} leaves with root {target.root.hex()}, which members "
            f"{list(target.cosigners)} cosigned ({told(wrong)}); run `tradeline node doctor --deep "
            "--peers`, and move the store away if it is this one that is wrong: it is fetched anew"
        )

    async def _reach(self, target: VerifiedCheckpoint) -> None:
        """Fetch and replay the log up to `target`, the next chunk while one is replayed."""
        ahead = asyncio.create_task(self._chunk(self._frontier(), target))
        try:
            while True:
                verified = await ahead
                after = verified.after
                last = after.size == target.size
                if not last:
                    ahead = asyncio.create_task(self._chunk(after, target))
                try:
                    await asyncio.to_thread(self._replay, verified.chunk, target.size)
                except (MalformedError, VerificationError) as error:
                    # The leaves are right, so the contents are not what they name.
                    self._others.blame(verified.member, error)
                    await _drop(ahead)
                    ahead = asyncio.create_task(self._chunk(self._frontier(), target))
                    continue
                if last:
                    return
        finally:
            await _drop(ahead)

    async def _chunk(self, before: Frontier, target: VerifiedCheckpoint) -> _Verified:
        """Return the chunk after `before` from any of the others."""
        failures: dict[int, str] = {}
        for wait_s in (*RETRIES_S, None):
            for address in self._others.addresses():
                try:
                    return await self._fetch(address, before, target)
                except PeerError as error:
                    failures[address.member] = str(error)
                except LedgerError as error:
                    self._others.blame(address.member, error)
            if wait_s is None or not self._others.addresses():
                break
            await asyncio.sleep(wait_s)
        failures |= {each.member: each.detail for each in self._others.faults}
        raise PeerError(
            f"no other node serves the log from leaf {before.size} to size {target.size}: "
            f"{told(failures)}. What came before is written; run it again to go on"
        )

    async def _fetch(
        self, address: Address, before: Frontier, target: VerifiedCheckpoint
    ) -> _Verified:
        wanted = f"/v1/blocks?from={before.size}&size={target.size}"
        body = await self._others.get(address, wanted, CHUNK_BYTES_MAX, wait_s=CHUNK_WAIT_S)
        self.done.bytes += len(body)

        def verify() -> _Verified:
            chunk = LOG_CHUNK.decode(body)
            after = verify_chunk(chunk, before, target.size, target.root)
            return _Verified(chunk, after, address.member)

        return await asyncio.to_thread(verify)

    def _replay(self, chunk: LogChunk, size: int) -> None:
        """Replay the blocks of a chunk; all of them are on the disk when it returns."""
        last = len(chunk.blocks) - 1
        for number, block in enumerate(chunk.blocks):
            executed = self._application.replay(block.leaves, block.contents, synced=number == last)
            self.done.leaves += len(executed.leaves)
            self.done.events += _events(executed)
        self._progress(self._store.head.size, size)

    def _frontier(self) -> Frontier:
        size = self._store.head.size
        return Frontier(size, self._store.nodes(root_nodes(size)))


def _read_path(body: bytes) -> list[bytes]:
    """Return the path in an answer about consistency."""
    try:
        path = json.loads(body)["path"]
        return [base64.b64decode(each, validate=True) for each in path[: PATH_HASHES_MAX + 1]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedError(f"answer about consistency: {type(error).__name__}") from error


def _events(executed: Executed) -> int:
    events = 0
    for placed in executed.placed:
        signed = placed.applied.signed
        if placed.applied.outcome.accepted and signed is not None and signed.submission is not None:
            events += signed.submission.batch.count
    return events


async def _drop(task: asyncio.Task[_Verified]) -> None:
    """End a fetch whose chunk is not wanted any more."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
