"""
Getting back what a node has lost with its disk: log, tag keys, attachments, its own shares.

What it needs is its keystore, node.toml and the genesis. The log comes from the others and is
replayed (`catch_up`); tag keys come from other committee members, sealed to this node and compared
with the registry; attachments too, each part compared with what its batch says, and this node's
own deposit in it is opened again with its HPKE key. What is there already stays, so a recovery that
was cut off goes on where it was, and a node restored from an old backup gets what came after it.

All signing is held from the first moment: what the node signed is lost as well (`signing_hold`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger import state
from tradeline_ledger.deposit import ATTACHMENT_BYTES_MAX
from tradeline_node.catch_up_command import catch_up_node
from tradeline_node.errors import KeystoreError, PeerError, RequestError
from tradeline_node.others import Fault, Others
from tradeline_node.peers import PeerClient
from tradeline_node.service import Node
from tradeline_node.signing_hold import SigningHold
from tradeline_node.tag_keys import SEALED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tradeline_node.config import Config

FETCHES_AT_ONCE: Final = 4
FETCH_WAIT_S: Final = 60.0
"""Beside the time that a peer has for any answer: an attachment may have 64 MiB."""
FINDINGS_MAX: Final = 100


@dataclass(slots=True)
class Recovered:
    """What a recovery did."""

    size: int = 0
    """Leaves of the log."""
    leaves: int = 0
    """Of them, replayed now."""
    tag_keys: int = 0
    """Fetched."""
    attachments: int = 0
    """Fetched, deposits of later epochs among them."""
    missing: int = 0
    """Attachments that no other node gave."""
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    """What is missing or wrong, and what to do, up to `FINDINGS_MAX`."""
    faults: list[Fault] = field(default_factory=list)
    """Who served what does not verify."""

    def find(self, text: str) -> None:
        """Take note of a finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Something in custody that this node lacks."""

    index: int
    """Log index of the submission, or of the re-deposit."""
    hash: bytes
    """Under which it is served."""
    keep: Callable[[bytes], bool | None]
    """Checks and keeps it; returns whether this node's deposit in it is good."""


def recover_node(
    config: Config,
    passphrase: bytes,
    *,
    leaves: Callable[[int, int], None] | None = None,
    attachments: Callable[[int, int], None] | None = None,
) -> Recovered:
    """
    Get back from the others what a stopped node lacks.

    `leaves` and `attachments` are called with what is there and what is to be there.

    Raises:
        ConfigError, KeystoreError: node.toml, genesis or keystore are missing or wrong.
        PeerError: the others don't serve the log; what came before stays.
        StoreError: a store is damaged, in use, or can't be written; move a damaged one away.
    """
    started = time.monotonic()
    hold = SigningHold(config.folder)
    hold.check_complete()
    if not hold.holds():
        now = datetime.fromtimestamp(int(time.time()), UTC).isoformat()
        hold.place(f"recovered from the others on {now}")
    caught = catch_up_node(config, passphrase, progress=leaves)
    done = Recovered(caught.size, caught.leaves, faults=caught.faults)
    node = Node.open(config, passphrase)
    try:
        asyncio.run(_Recovery(node, done, attachments or (lambda _done, _all: None)).run())
    finally:
        node.close()
    done.seconds = time.monotonic() - started
    return done


def to_json(done: Recovered) -> dict[str, Any]:
    """Return what a recovery did as JSON shows it."""
    return {**asdict(done), "faults": [each._asdict() for each in done.faults]}


class _Recovery:
    """What comes after the log, for a node that is open and not started."""

    def __init__(self, node: Node, done: Recovered, progress: Callable[[int, int], None]) -> None:
        self._node, self._done, self._progress = node, done, progress
        self._client = PeerClient(
            node.keys.node,
            node.member,
            node.ledger.ledger_id,
            node.config.publish.peer_timeout_ms,
        )
        self._others = Others(node.store, self._client, node.member)

    async def run(self) -> None:
        try:
            if self._node.store.registry.has_served(self._node.member):
                await self._tag_keys()
                await self._attachments()
        finally:
            await self._client.close()

    async def _tag_keys(self) -> None:
        registry = self._node.store.registry
        for member, hash_ in self._node.tag_keys.missing(registry):
            if await self._tag_key(member, hash_):
                self._done.tag_keys += 1
            else:
                self._done.find(
                    f"tag key {hash_.hex()} of member {member}: no other node gave it; have the "
                    "member hand it over with `tradeline tag-key`"
                )

    async def _tag_key(self, member: int, hash_: bytes) -> bool:
        target = f"/v1/tag-keys/{member}/{hash_.hex()}"
        for address in self._others.addresses():
            try:
                sealed = await self._others.get(address, target, SEALED_BYTES)
                self._node.tag_keys.put(self._node.store.registry, member, sealed)
            except PeerError:
                continue
            except RequestError as error:
                self._done.faults.append(Fault(address.member, str(error)))
                continue
            return True
        return False

    async def _attachments(self) -> None:
        wanted = list(self._wanted())
        turns = asyncio.Semaphore(FETCHES_AT_ONCE)
        looked_at = 0

        async def fetch(each: _Wanted) -> None:
            nonlocal looked_at
            async with turns:
                await self._fetch(each)
            looked_at += 1
            self._progress(looked_at, len(wanted))

        for start in range(0, len(wanted), 1000):
            async with asyncio.TaskGroup() as tasks:
                for each in wanted[start : start + 1000]:
                    tasks.create_task(fetch(each))

    def _wanted(self) -> Iterator[_Wanted]:
        """Yield what this node is to have in custody and lacks, in the order of the log."""
        node = self._node
        for key, _ in node.store.iterate(state.SUBMISSION_PREFIX):
            index = int.from_bytes(key[len(state.SUBMISSION_PREFIX) :], "big")
            ordered = node.attachments.find(index)
            if ordered is not None and node.attachments.lacks(ordered):
                keep = _keep_attachment(node, index)
                yield _Wanted(index, ordered.state.batch_hash, keep)
        for key, value in node.store.iterate(state.REDEPOSIT_PREFIX):
            row = state.REDEPOSIT.decode(value)
            placed = int.from_bytes(key[len(state.REDEPOSIT_PREFIX) :], "big")
            ordered = node.attachments.find(row.submission)
            epoch = node.store.registry.epochs[row.epoch]
            if (
                ordered is not None
                and not ordered.over
                and epoch.position(node.member) is not None
                and node.custody.held(row.hash) is None
            ):
                yield _Wanted(placed, row.hash, _keep_redeposit(node, placed))

    async def _fetch(self, wanted: _Wanted) -> None:
        reasons = []
        for address in self._others.addresses():
            try:
                body = await self._others.get(
                    address,
                    f"/v1/custody/{wanted.hash.hex()}",
                    ATTACHMENT_BYTES_MAX,
                    wait_s=FETCH_WAIT_S,
                )
                good = await asyncio.to_thread(wanted.keep, body)
            except (PeerError, KeystoreError) as error:
                reasons.append(str(error))
                continue
            except RequestError as error:
                self._done.faults.append(
                    Fault(address.member, f"attachment of entry {wanted.index}: {error}")
                )
                continue
            self._done.attachments += 1
            if good is False:
                self._done.find(
                    f"entry {wanted.index}: this node's deposit is bad, as its contributor dealt it"
                )
            return
        self._done.missing += 1
        self._done.find(f"entry {wanted.index}: no other node gave it: {'; '.join(reasons)}")


def _keep_attachment(node: Node, index: int) -> Callable[[bytes], bool | None]:
    def keep(body: bytes) -> bool | None:
        ordered = node.attachments.find(index)
        assert ordered is not None, index
        return node.attachments.keep(ordered, body)

    return keep


def _keep_redeposit(node: Node, placed: int) -> Callable[[bytes], bool | None]:
    return lambda body: node.redeposit_service.take(placed, body)
