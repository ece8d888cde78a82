"""
Registry steps, made: what a reader needs to walk from the registry that it pinned to today's.

See `tradeline_ledger.trust` for what a step is and how it is verified.
"""

from __future__ import annotations

from tradeline_ledger.encoding import encode
from tradeline_ledger.registry import MemberRecord, Registry
from tradeline_ledger.trust import RegistryStep, registry_after
from tradeline_node.store import LedgerStore


def change_heights(registry: Registry) -> list[int]:
    """Return the heights of the blocks that changed the registry, ascending."""
    return sorted({each.from_height - 1 for each in registry.members if each.from_height > 0})


def make_step(store: LedgerStore, height: int, note: bytes, size: int) -> bytes:
    """
    Return the encoded step of the block at `height`, proved by the checkpoint `note` of `size`.

    The block changed the registry, and ends at or below `size`.
    """
    index = store.block_end(height) - 1
    path = tuple(store.inclusion_paths([index], size)[0])
    members = changed_versions(store.registry, height)
    return encode(RegistryStep(note.decode(), index, store.leaf(index), path, members))


def changed_versions(registry: Registry, height: int) -> tuple[MemberRecord, ...]:
    """Return all versions of the members that the block at `height` changed, as of its end."""
    after = registry_after(registry, height)
    changed = {each.id for each in after.members if each.from_height == height + 1}
    return tuple(each for each in after.members if each.id in changed)
