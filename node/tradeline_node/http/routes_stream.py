"""Streams: blocks as server-sent events, resumable by the size of the log; lines for validators."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import StreamingResponse

from tradeline_ledger.merkle import SIZE_MAX
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_node.http.access import Caller, CurrentNode, log_reader, member
from tradeline_node.http.models import BlockModel, binary
from tradeline_node.http.problems import described_signed
from tradeline_node.http.routes_log import OCTETS
from tradeline_node.peer_lines import encode_item
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


async def _own_slot(
    node: CurrentNode, caller: Annotated[Caller, Depends(member())]
) -> AsyncIterator[None]:
    """Hold one of the few streams of lines that each member has: no other one can take them."""
    with node.line_streams[caller.member]:
        yield


@router.get(
    "/cosignatures",
    dependencies=[Depends(_own_slot)],
    responses={
        **binary("Notes with this node's two lines, each after its length u16; 0: alive."),
        **described_signed(),
    },
)
async def stream_lines(
    node: CurrentNode, after: Annotated[int, Query(ge=0, le=SIZE_MAX)] = 0
) -> StreamingResponse:
    """Send what this node signed past a size, and then what it signs, for as long as it lasts."""
    items = (encode_item(note) async for note in node.publisher.stream(after))
    return StreamingResponse(items, media_type=OCTETS)


def _block_from(node: Node, index: int) -> BlockModel:
    """Return the block that leaf `index` is in."""
    first, last = node.store.block_of(index)
    leaf = decode_leaf(node.store.leaf(last))
    assert isinstance(leaf, BlockLeaf), last
    root = base64.b64encode(node.store.root(last + 1)).decode("ascii")
    return BlockModel(
        height=leaf.height, size=last + 1, root=root, time_ms=leaf.time_ms, placed=last - first
    )
