"""
One node's log against another's: the first record in which they differ.

Tiles of both trees are compared from the top down, so that equal logs cost a few requests and
different ones a few more. With `deep`, every leaf and content is compared as well, for a node may
have the right hashes beside a damaged record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tradeline_ledger.checkpoint import decode_checkpoint
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.merkle import leaf_hash
from tradeline_ledger.note import NOTE_BYTES_MAX, decode_note
from tradeline_ledger.registry import MemberRecord
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    STATEMENT,
    BlockLeaf,
    Kind,
    decode_leaf,
)
from tradeline_ledger.tile import (
    BUNDLE_BYTES_MAX,
    TILE_HEIGHT,
    TILE_WIDTH,
    Bundle,
    Tile,
    decode_bundle,
    decode_tile,
    encode_path,
    tile_nodes,
)
from tradeline_node.errors import NodeError, PeerError
from tradeline_node.peers import PeerClient

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore

NEWEST_LEAVES: Final = 256
"""Leaves and contents that are compared without `deep`."""
DIFFERENCES_MAX: Final = 20
_JSON_BYTES_MAX: Final = 64 * 1024
_OK: Final = 200
_DEEP: Final = "run `tradeline node doctor --deep` on both nodes; restore the one with findings"


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that the two nodes don't have alike."""

    where: str
    detail: str
    remedy: str = _DEEP


@dataclass(slots=True)
class Compared:
    """What a comparison with one peer found."""

    peer: int
    size: int
    """Leaves that both have."""
    differences: list[Difference] = field(default_factory=list)
    """The first record that differs first."""


async def compare_log(
    store: LedgerStore, client: PeerClient, peer: MemberRecord, *, deep: bool
) -> Compared:
    """
    Return how the log of `peer` differs from that in `store`, as far as both go.

    Raises:
        PeerError: it does not answer.
        StoreError: the own store can't be read.
    """
    asked = _Asked(client, peer)
    ledger = await asked.json("/v1/ledger")
    if ledger.get("ledger_id") != store.ledger.ledger_id.hex():
        raise PeerError(f"member {peer.id} serves another ledger, {ledger.get('ledger_id')!r}")
    size = ledger.get("size")
    if not isinstance(size, int) or size < 1:
        raise PeerError(f"member {peer.id} says that its log has {size!r:.40} leaves")
    compared = Compared(peer.id, min(store.head.size, size))
    await _compare_checkpoint(store, asked, compared)
    first = await _first_difference(store, asked, compared.size)
    if first is not None:
        compared.differences.append(await _describe(store, asked, first))
        return compared
    start = 0 if deep else max(0, compared.size - NEWEST_LEAVES)
    await _compare_records(store, asked, compared, start)
    return compared


@dataclass(frozen=True, slots=True)
class _Asked:
    client: PeerClient
    peer: MemberRecord

    async def read(self, target: str, bytes_max: int) -> bytes:
        answer = await self.client.request(self.peer, target, bytes_max=bytes_max)
        if answer.status != _OK:
            raise PeerError(f"member {self.peer.id} answers {answer.status} to {target}")
        return answer.body

    async def json(self, target: str) -> dict[str, object]:
        try:
            found = json.loads(await self.read(target, _JSON_BYTES_MAX))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise PeerError(f"member {self.peer.id} answers {target} with no JSON object")
        return found

    async def tile(self, level: int, index: int, width: int) -> list[bytes]:
        tile = Tile(level, index, width)
        encoded = await self.read("/" + encode_path(tile), width * 32)
        try:
            return decode_tile(encoded, width)
        except LedgerError as error:
            raise PeerError(f"member {self.peer.id}: {error}") from error

    async def bundle(self, index: int, width: int) -> list[bytes]:
        encoded = await self.read("/" + encode_path(Bundle(index, width)), BUNDLE_BYTES_MAX)
        try:
            return decode_bundle(encoded, width)
        except LedgerError as error:
            raise PeerError(f"member {self.peer.id}: {error}") from error


async def _first_difference(store: LedgerStore, asked: _Asked, size: int) -> int | None:
    """Return the index of the first leaf with another hash, None if all are equal."""
    level = max(0, (size.bit_length() - 1) // TILE_HEIGHT)
    start, end = 0, size >> TILE_HEIGHT * level
    while True:
        found = await _first_node(store, asked, level, start, end)
        if level == 0:
            return found
        level -= 1
        if found is None:
            # All complete nodes are equal: what differs is to the right of them.
            start, end = end * TILE_WIDTH, size >> TILE_HEIGHT * level
        else:
            start, end = found * TILE_WIDTH, (found + 1) * TILE_WIDTH


async def _first_node(
    store: LedgerStore, asked: _Asked, level: int, start: int, end: int
) -> int | None:
    """Return the first node of [start, end) of one level of tiles that differs."""
    for index in range(start // TILE_WIDTH, -(-end // TILE_WIDTH)):
        width = min(TILE_WIDTH, end - index * TILE_WIDTH)
        theirs = await asked.tile(level, index, width)
        ours = store.nodes(tile_nodes(Tile(level, index, width)))
        for offset, (own, other) in enumerate(zip(ours, theirs, strict=True)):
            at = index * TILE_WIDTH + offset
            if own != other and at >= start:
                return at
    return None


async def _compare_checkpoint(store: LedgerStore, asked: _Asked, compared: Compared) -> None:
    """Compare the checkpoint that the peer serves with the root that the own log has there."""
    answer = await asked.client.request(asked.peer, "/checkpoint", bytes_max=NOTE_BYTES_MAX)
    if answer.status != _OK:
        return  # it has none with a quorum yet
    try:
        head = decode_checkpoint(decode_note(answer.body).text)
    except LedgerError as error:
        raise PeerError(f"member {asked.peer.id} serves no checkpoint: {error}") from error
    if head.size <= store.head.size and head.root != store.root(head.size):
        compared.differences.append(
            Difference(
                f"checkpoint of size {head.size}",
                f"there it has root {head.root.hex()}, here {store.root(head.size).hex()}",
            )
        )


async def _describe(store: LedgerStore, asked: _Asked, index: int) -> Difference:
    width = index % TILE_WIDTH + 1
    theirs = (await asked.bundle(index // TILE_WIDTH, width))[-1]
    ours = store.leaf(index)
    return Difference(
        f"leaf {index}",
        f"here: {_told(ours)}; there: {_told(theirs)}. Everything before it is equal",
    )


async def _compare_records(
    store: LedgerStore, asked: _Asked, compared: Compared, start: int
) -> None:
    for index in range(start // TILE_WIDTH, -(-compared.size // TILE_WIDTH)):
        first = index * TILE_WIDTH
        width = min(TILE_WIDTH, compared.size - first)
        theirs = await asked.bundle(index, width)
        ours = store.leaves(first, first + width)
        hashes = store.nodes(tile_nodes(Tile(0, index, width)))
        for offset in range(max(0, start - first), width):
            if len(compared.differences) >= DIFFERENCES_MAX:
                return
            at = first + offset
            for whose, leaf in (("here", ours[offset]), ("there", theirs[offset])):
                if leaf_hash(leaf) != hashes[offset]:
                    compared.differences.append(
                        Difference(
                            f"leaf {at}", f"the record {whose} is not what its hash commits to"
                        )
                    )
            await _compare_content(store, asked, compared, at, ours[offset])


async def _compare_content(
    store: LedgerStore, asked: _Asked, compared: Compared, index: int, leaf: bytes
) -> None:
    decoded = decode_leaf(leaf)
    if isinstance(decoded, BlockLeaf):
        return
    name = STATEMENT.decode(decoded.statement).content_hash.hex()
    try:
        theirs = await asked.read(f"/content/{name}", CONTENT_BYTES_MAX)
    except PeerError as error:
        compared.differences.append(Difference(f"content of leaf {index}", str(error)))
        return
    if theirs != store.content(index):
        compared.differences.append(
            Difference(f"content of leaf {index}", "here and there are different bytes")
        )


def _told(leaf: bytes) -> str:
    """Return what a leaf says, without its content."""
    try:
        decoded = decode_leaf(leaf)
        if isinstance(decoded, BlockLeaf):
            return f"end of block {decoded.height}"
        statement = STATEMENT.decode(decoded.statement)
    except (LedgerError, NodeError):
        return f"{len(leaf)} bytes that are no leaf"
    known = statement.kind in set(Kind)
    kind = Kind(statement.kind).name.lower() if known else f"kind {statement.kind}"
    return (
        f"{kind} by member {statement.member}, feed {statement.feed}, seq {statement.seq}, "
        f"in block {decoded.height}"
    )
