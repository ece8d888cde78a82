"""The log of a store, cut into chunks for nodes that catch up (`tradeline_ledger.log_chunk`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.log_chunk import CHUNK_BLOCKS_MAX, LogBlock, LogChunk
from tradeline_ledger.statement import BlockLeaf, EntryLeaf, decode_leaf
from tradeline_node.errors import RequestError, StoreDamagedError

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore

CHUNK_BYTES: Final = 8 << 20
"""A chunk ends with the block that reaches this; an engine's block has 4 MiB of entries at most,
so that a chunk stays below its limit."""


def export_chunk(store: LedgerStore, first: int, size: int) -> tuple[bytes, int]:
    """
    Return the encoded chunk of blocks from leaf `first` on, and the size at which it ends.

    It is proved to the log of `size` leaves.

    Both must be the end of a block, `first` below `size`. It ends at `size`, or with the block
    that reaches `CHUNK_BYTES`.

    Raises:
        RequestError: they are not, or this node's log is shorter.
    """
    head = store.head
    if size > head.size:
        raise RequestError("size-ahead", f"size {size} was named, this node has {head.size}")
    for end in (first, size):
        if not 0 < end <= size or not _ends_block(store, end):
            raise RequestError(
                "request-invalid", f"size {end} is not the end of a block within size {size}"
            )
    if first == size:
        raise RequestError("request-invalid", f"there is nothing from leaf {first} to size {size}")
    blocks: list[LogBlock] = []
    at, taken = first, 0
    for _, end in store.block_sizes(_height(store, first) + 1):
        leaves = tuple(store.leaves(at, end))
        contents = tuple(store.contents(range(at, end - 1)))
        blocks.append(LogBlock(leaves, contents))
        taken += sum(map(len, leaves)) + sum(map(len, contents))
        at = end
        if at >= size or taken >= CHUNK_BYTES or len(blocks) == CHUNK_BLOCKS_MAX:
            break
    path = tuple(store.consistency_path(at, size))
    return encode(LogChunk(first, path, tuple(blocks))), at


def _ends_block(store: LedgerStore, size: int) -> bool:
    return isinstance(_leaf(store, size - 1), BlockLeaf)


def _height(store: LedgerStore, size: int) -> int:
    return _leaf(store, size - 1).height


def _leaf(store: LedgerStore, index: int) -> BlockLeaf | EntryLeaf:
    encoded = store.leaf(index)
    try:
        return decode_leaf(encoded)
    except LedgerError as error:
        raise StoreDamagedError(f"leaf {index} of the store is damaged: {error}") from error
