"""The stream of blocks: server-sent events, resumable by the size of the log."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from tradeline_ledger.merkle import SIZE_MAX
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_node.http.access import CurrentNode, log_reader
from tradeline_node.http.models import BlockModel
from tradeline_node.http.problems import described_signed
from tradeline_node.service import Node

WAIT_S: Final = 15.0
"""How often a stream without blocks looks whether the node stops."""


async def _slot(node: CurrentNode) -> AsyncIterator[None]:
    """Hold one of the node's streams for as long as the response lasts."""
    with node.streams:
        yield


router = APIRouter(tags=["log"])


@router.get(
    "/v1/stream",
    dependencies=[Depends(log_reader), Depends(_slot)],
    response_class=EventSourceResponse,
    responses=described_signed(),
)
async def stream_blocks(
    node: CurrentNode,
    last_event_id: Annotated[int | None, Header(ge=0, le=SIZE_MAX)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """
    Send one event a block, its id the size of the log after it.

    Begins after the block that ended at `Last-Event-ID`, or else with the last block.
    """
    head = node.store.head
    size = node.store.block_of(head.size - 1)[0] if last_event_id is None else last_event_id
    while not node.stopping:
        if size >= node.store.head.size:
            await node.blocks.wait(WAIT_S)
            continue
        block = _block_from(node, size)
        size = block.size
        yield ServerSentEvent(id=str(size), event="block", data=block)


def _block_from(node: Node, index: int) -> BlockModel:
    """Return the block that leaf `index` is in."""
    first, last = node.store.block_of(index)
    leaf = decode_leaf(node.store.leaf(last))
    assert isinstance(leaf, BlockLeaf), last
    root = base64.b64encode(node.store.root(last + 1)).decode("ascii")
    return BlockModel(
        height=leaf.height, size=last + 1, root=root, time_ms=leaf.time_ms, placed=last - first
    )
