"""
Registry steps, made: what a reader needs to walk from the registry that it pinned to today's.

See `tradeline_ledger.trust` for what a step is and how it is verified.
"""

from __future__ import annotations

from tradeline_ledger.encoding import encode
from tradeline_ledger.trust import RegistryStep, change_at
from tradeline_node.store import LedgerStore


def make_step(store: LedgerStore, height: int, note: bytes, size: int) -> bytes:
    """
    Return the encoded step of the block at `height`, proved by the checkpoint `note` of `size`.

    The block changed the registry, and ends at or below `size`.
    """
    index = store.block_end(height) - 1
    path = tuple(store.inclusion_paths([index], size)[0])
    change = change_at(store.registry, height)
    return encode(RegistryStep(note.decode(), index, store.leaf(index), path, *change))
