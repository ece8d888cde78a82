"""
Comparing checkpoints: what every other validator publishes is held against the own log.

At a size that this node has, the root must be its own. A larger one must prove, by its own node's
consistency path, that it extends the newest checkpoint here, and is compared again once this log
has grown there. A signed checkpoint of another log becomes an evidence file; a proof that fails
convinces nobody, since anybody can send one, and is only said in the log and the metrics.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.errors import ConsistencyError, LedgerError
from tradeline_ledger.fork import encode_fork
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.merkle import PATH_HASHES_MAX, prefix_root, verify_consistency
from tradeline_ledger.note import KeyType, VerifierKey, decode_note, verify_note
from tradeline_node.errors import NodeError, PeerError
from tradeline_node.published import PeerEvidence

if TYPE_CHECKING:
    from tradeline_ledger.checkpoint import Checkpoint
    from tradeline_ledger.registry import MemberRecord
    from tradeline_node.evidence_keeper import EvidenceKeeper
    from tradeline_node.logs import Log
    from tradeline_node.metrics import Metrics
    from tradeline_node.peers import PeerClient
    from tradeline_node.published import PublishedStore
    from tradeline_node.service import Node
    from tradeline_node.store import LedgerStore

NOTE_BYTES_MAX: Final = 64 << 10
"""Of a peer's checkpoint: 64 validators sign and cosign."""
AHEAD_MAX: Final = 8
"""Checkpoints of one peer that this node has not grown to yet."""
_PROOF_BYTES_MAX: Final = 16 << 10
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """A checkpoint that a validator signed, as a peer served it."""

    peer: int
    head: Checkpoint
    note: bytes


class CheckpointWatch:
    """Compares in one event loop; makes evidence files of all that the node has met."""

    def __init__(
        self,
        store: LedgerStore,
        published: PublishedStore,
        keeper: EvidenceKeeper,
        *,
        member: int,
        peers: PeerClient,
        interval_ms: int,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """Compare every `interval_ms`, for the node of `member`; nothing is asked before `run`."""
        self._store, self._published, self._keeper = store, published, keeper
        self._member, self._peers = member, peers
        self._interval_s = interval_ms / 1000
        self._metrics, self._log = metrics, log
        self._ahead: dict[int, deque[_Seen]] = {}
        self._said: dict[int, str] = {}
        self.failure = ""
        """Why the last round failed; empty if it did not."""

    async def run(self) -> None:
        """Compare until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.compare()
                await asyncio.to_thread(self._keeper.collect)
                self.failure = ""
            except NodeError as error:
                if str(error) != self.failure:
                    self._log.error("comparing of checkpoints failed", reason=str(error))
                self.failure = str(error)

    async def compare(self) -> None:
        """
        Compare once with every other validator.

        Raises:
            StoreError: an own store can't be read or written.
        """
        registry = self._store.registry
        records = [registry.member(each) for each in registry.epoch.validators]
        others = [each for each in records if each is not None and each.id != self._member]
        await asyncio.gather(*(self._compare(each) for each in others))

    async def _compare(self, peer: MemberRecord) -> None:
        try:
            seen = await self._ask(peer)
            if seen is not None and not await asyncio.to_thread(self._judge, seen):
                await self._prove(peer, seen)
            self._said.pop(peer.id, None)
        except PeerError as error:
            if str(error) != self._said.get(peer.id):
                self._log.warning("a checkpoint can't be compared", peer=peer.id, reason=str(error))
            self._said[peer.id] = str(error)

    async def _ask(self, peer: MemberRecord) -> _Seen | None:
        """Return the checkpoint of a peer, None if it has none with a quorum."""
        answer = await self._peers.request(peer, "/checkpoint", bytes_max=NOTE_BYTES_MAX)
        if answer.status != _OK:
            return None
        origin = self._store.ledger.origin
        keys = {each.note_key for each in self._store.registry.members if each.note_key}
        try:
            note = decode_note(answer.body)
            head = decode_checkpoint(note.text)
            if head.origin != origin:
                raise PeerError(f"member {peer.id} serves the log {head.origin}, not {origin}")
            verify_note(note, [VerifierKey(origin, KeyType.NOTE, each) for each in sorted(keys)])
        except LedgerError as error:
            self._metrics.verify_failures.labels("checkpoint").inc()
            raise PeerError(f"member {peer.id} serves no signed checkpoint: {error}") from error
        return _Seen(peer.id, head, answer.body)

    def _judge(self, seen: _Seen) -> bool:
        """Compare what this log has grown to; return whether `seen` was among it."""
        waiting = self._ahead.setdefault(seen.peer, deque(maxlen=AHEAD_MAX))
        if all(seen.head != each.head for each in waiting):
            waiting.append(seen)
        size = self._store.head.size
        for each in [each for each in waiting if each.head.size <= size]:
            waiting.remove(each)
            own = self._store.root(each.head.size)
            if own != each.head.root:
                self._metrics.verify_failures.labels("root").inc()
                self._published.add_evidence(
                    PeerEvidence(each.peer, each.head.size, own, each.note, int(time.time()))
                )
        return seen.head.size <= size

    async def _prove(self, peer: MemberRecord, seen: _Seen) -> None:
        """Have a peer that is ahead prove that its log extends the newest checkpoint here."""
        own = self._keeper.own_note()
        if own is None:
            return
        old, new = decode_checkpoint(decode_note(own).text), seen.head
        if old.size >= new.size:
            return
        target = f"/v1/consistency?old={old.size}&new={new.size}"
        answer = await self._peers.request(peer, target, bytes_max=_PROOF_BYTES_MAX)
        path = _path(answer.body) if answer.status == _OK else None
        if path is None:
            raise PeerError(f"member {peer.id} answers {target} with {answer.status} and no path")
        try:
            verify_consistency(old.size, new.size, path, old.root, new.root)
        except ConsistencyError as error:
            self._metrics.verify_failures.labels("consistency").inc()
            fork = _fork(own, seen, path)
            if fork is not None:
                await asyncio.to_thread(self._keeper.keep_pair, peer.id, seen.note, fork)
            raise PeerError(
                f"member {peer.id} does not prove that its log of {new.size} leaves extends the "
                f"{old.size} here ({error}): run `tradeline node doctor --deep --peers`"
            ) from error


def make_watch(node: Node, peers: PeerClient) -> CheckpointWatch:
    """Return the watch of a node that keeps evidence."""
    return CheckpointWatch(
        node.store,
        node.published,
        node.keeper,
        member=node.member,
        peers=peers,
        interval_ms=node.config.publish.compare_ms,
        metrics=node.metrics,
        log=node.log,
    )


def _fork(own: bytes, seen: _Seen, path: list[bytes]) -> bytes | None:
    """Return the evidence that `path` makes of two checkpoints, None if it proves nothing."""
    old = decode_checkpoint(decode_note(own).text)
    root = prefix_root(old.size, seen.head.size, path)
    if root is None:
        return None
    try:
        return encode_fork(own, seen.note, root, path)
    except LedgerError:
        return None


def _path(body: bytes) -> list[bytes] | None:
    """Return the hashes of a consistency path in JSON, None if it is none."""
    try:
        found = json.loads(body)["path"]
        hashes = [base64.b64decode(each, validate=True) for each in found]
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        return None
    good = len(hashes) <= PATH_HASHES_MAX and all(len(each) == HASH_BYTES for each in hashes)
    return hashes if good else None
