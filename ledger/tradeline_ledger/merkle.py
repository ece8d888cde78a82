"""
The Merkle tree of RFC 6962, section 2.1, the shape of the log and of every `…_root`.

Sizes count leaves and are 1-based; indexes name leaves and are 0-based. Leaves enter as their
hashes (`leaf_hash`), 32 bytes each.

A tree in memory is a list of leaf hashes: `root_of`, `levels_of`, `path_of`. A tree in a store is
the set of its complete nodes: `NodeId` (level, index) covers the leaves
[index << level, (index + 1) << level) and is stored once all of them exist, so it never changes.
Functions on stored trees plan which nodes they need, ask `read` for all of them in one call, and
then compute; they store nothing, `new_nodes` returns what to store. Functions with `read` take
arguments of our own making; `verify_inclusion` and `verify_consistency` trust none of theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tradeline_ledger.errors import ConsistencyError, InclusionError
from tradeline_ledger.hashing import HASH_BYTES

NodeId = tuple[int, int]
"""(level, index) of a complete node; level 0 holds the leaf hashes."""

ReadNodes = Callable[[list[NodeId]], list[bytes]]
"""Returns the hashes of stored nodes, in the order in which they are asked for."""

SIZE_MAX: Final = 2**63 - 1
"""Leaves in one tree; other implementations of these formats count in signed 64 bits."""
PATH_HASHES_MAX: Final = 63
"""Hashes in the path of one leaf of a tree of `SIZE_MAX` leaves."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""

# Copying a prefixed state is faster than hashing a prefixed string. Never updated, only copied.
_LEAF_PREFIX: Final = hashlib.sha256(b"\x00")
_NODE_PREFIX: Final = hashlib.sha256(b"\x01")


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data), 32 bytes."""
    state = _LEAF_PREFIX.copy()
    state.update(data)
    return state.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right), 32 bytes."""
    state = _NODE_PREFIX.copy()
    state.update(left)
    state.update(right)
    return state.digest()


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over `leaf_hashes` in their order; `EMPTY_ROOT` if there is none."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level: Sequence[bytes] = leaf_hashes
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def levels_of(leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """
    Return all levels of one tree, for `path_at`: the leaf hashes first, [root] last.

    A level of odd length hands its last hash on to the next one, which makes the right edge of an
    incomplete tree. The tree without leaves has one level, which is empty.
    """
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        levels.append(_level_above(levels[-1]))
    return levels


def path_at(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """Return the path of leaf `index` in the tree that `levels_of` returned as `levels`."""
    assert 0 <= index < len(levels[0]), (index, len(levels[0]))
    path = []
    for level in levels:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


def path_of(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """
    Return the path of leaf `index`: hashes from the leaf's sibling up to the root's child.

    Hashes the whole tree; for more than one path of it use `levels_of` and `path_at`.
    """
    return path_at(levels_of(leaf_hashes), index)


def new_nodes(
    size: int, leaf_hashes: Sequence[bytes], read: ReadNodes
) -> list[tuple[NodeId, bytes]]:
    """
    Return the nodes that appending `leaf_hashes` to a tree of `size` leaves completes.

    Level by level, level 0 (the leaf hashes themselves) included. Reads at most one node a level,
    in one call, and none if `size` is 0.
    """
    new_size = size + len(leaf_hashes)
    assert 0 <= size <= new_size <= SIZE_MAX, (size, len(leaf_hashes))
    # A new node needs a stored one only as the left child of the first new node of its level.
    needed = [
        (level, (size >> level) - 1)
        for level in range(size.bit_length())
        if size >> level & 1 and new_size >> (level + 1) > size >> (level + 1)
    ]
    stored = dict(zip(needed, read(needed), strict=True)) if needed else {}

    nodes: list[tuple[NodeId, bytes]] = []
    level, row = 0, list(leaf_hashes)
    while row:
        first = size >> level
        nodes += (((level, first + offset), hash_) for offset, hash_ in enumerate(row))
        left = stored.get((level, first - 1))
        if left is not None:
            row.insert(0, left)
        row = _pair_hashes(row)
        level += 1
    return nodes


def root_nodes(size: int) -> list[NodeId]:
    """Return the largest complete nodes that together cover a tree of `size` leaves, in order."""
    return _cover(0, size)


def fold_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree that the nodes of `root_nodes`, in this order, cover."""
    return _fold(hashes) if hashes else EMPTY_ROOT


def inclusion_nodes(index: int, size: int) -> list[NodeId]:
    """Return the stored nodes that the path of leaf `index` in a tree of `size` is made of."""
    return [node for group in _path_plan(index, size, 0) for node in group]


def inclusion_path(index: int, size: int, read: ReadNodes) -> list[bytes]:
    """Return the path of leaf `index` in a stored tree of `size` leaves, lowest sibling first."""
    return inclusion_paths([index], size, read)[0]


def inclusion_paths(indexes: Sequence[int], size: int, read: ReadNodes) -> list[list[bytes]]:
    """Return the path of each of `indexes`, in that order; reads each node once, in one call."""
    return _read_plans([_path_plan(index, size, 0) for index in indexes], read)


def path_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that the path of `leaf`, a leaf hash, leads to; of our own making."""
    assert 0 <= index < size, (index, size)
    return _climb(leaf, path, index, (index ^ (size - 1)).bit_length())


def consistency_path(old_size: int, new_size: int, read: ReadNodes) -> list[bytes]:
    """Return RFC 6962's PROOF(old_size, D[new_size]) from a stored tree; 0 < old <= new."""
    assert 0 < old_size <= new_size <= SIZE_MAX, (old_size, new_size)
    if old_size == new_size:
        return []
    # The proof is the path of the last complete subtree of the old tree, after that subtree's own
    # hash; which is left out where it is the whole old tree, whose root the verifier has.
    level = _trailing_zeros(old_size)
    plan = _path_plan(old_size - 1, new_size, level)
    if old_size != 1 << level:
        plan.insert(0, [(level, (old_size >> level) - 1)])
    return _read_plans([plan], read)[0]


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """
    Accept that `leaf`, a leaf hash, is leaf `index` of the tree (size, root).

    Every argument is untrusted. A root does not commit to its size: take both from one checkpoint.

    Raises:
        InclusionError: index, size or a length is wrong, or the path leads to another root.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise InclusionError(f"index {index} is outside a tree of {size} leaves")
    inner = (index ^ (size - 1)).bit_length()
    expected = inner + (index >> inner).bit_count()
    if len(path) != expected:
        raise InclusionError(
            f"path of leaf {index} of {size} has {len(path)} hashes, expected {expected}"
        )
    if len(leaf) != HASH_BYTES or any(len(sibling) != HASH_BYTES for sibling in path):
        raise InclusionError(f"leaf hash or path of leaf {index} has a hash not of 32 bytes")
    computed = _climb(leaf, path, index, inner)
    if computed != root:
        raise InclusionError(
            f"leaf {index} of {size} leads to root {computed.hex()}, expected {root.hex()}; "
            "do not use this leaf"
        )


def verify_consistency(
    old_size: int, new_size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """
    Accept that the tree (new_size, new_root) extends the tree (old_size, old_root).

    Every argument is untrusted. Every tree extends the empty one, so there is nothing to verify
    from size 0 and asking for it is an error.

    Raises:
        ConsistencyError: a size or length is wrong, or the path leads to other roots.
    """
    if not 0 < old_size <= new_size <= SIZE_MAX:
        raise ConsistencyError(
            f"cannot compare size {old_size} with {new_size}; expected 0 < old size <= new size"
        )
    expected = _consistency_hashes(old_size, new_size)
    if len(path) != expected:
        raise ConsistencyError(
            f"path from size {old_size} to {new_size} has {len(path)} hashes, expected {expected}"
        )
    if old_size == new_size:
        if old_root != new_root:
            raise ConsistencyError(
                f"two roots of size {old_size}: {old_root.hex()} and {new_root.hex()}; "
                "keep both signed checkpoints as evidence"
            )
        return
    if any(len(hash_) != HASH_BYTES for hash_ in (old_root, new_root, *path)):
        raise ConsistencyError(f"a hash from size {old_size} to {new_size} is not of 32 bytes")

    level = _trailing_zeros(old_size)
    seed, *siblings = path if old_size != 1 << level else (old_root, *path)
    index = (old_size - 1) >> level
    inner = (index ^ ((new_size - 1) >> level)).bit_length()
    # The old tree is what lies to the left of the path: it ends with the seed.
    left = [sibling for step, sibling in enumerate(siblings) if step >= inner or index >> step & 1]
    for what, computed, root in (
        ("old", _climb(seed, left, 0, 0), old_root),
        ("new", _climb(seed, siblings, index, inner), new_root),
    ):
        if computed != root:
            raise ConsistencyError(
                f"path from size {old_size} to {new_size} leads to {what} root {computed.hex()}, "
                f"expected {root.hex()}"
            )


def prefix_root(old_size: int, new_size: int, path: Sequence[bytes]) -> bytes | None:
    """
    Return the root that a consistency path implies for its first `old_size` leaves.

    None where it has another length, or implies none: of a complete subtree (`old_size` a power of
    two) it leaves the root out. `verify_consistency` with this root and the larger tree's tells
    whether that tree really began so.
    """
    if not 0 < old_size < new_size <= SIZE_MAX or old_size.bit_count() == 1:
        return None
    if len(path) != _consistency_hashes(old_size, new_size):
        return None
    level = _trailing_zeros(old_size)
    index = (old_size - 1) >> level
    inner = (index ^ ((new_size - 1) >> level)).bit_length()
    seed, *siblings = path
    left = [sibling for step, sibling in enumerate(siblings) if step >= inner or index >> step & 1]
    return _climb(seed, left, 0, 0)


class Frontier:
    """
    A tree that only grows, kept as its largest complete nodes: at most 63 hashes.

    For those who compute roots as leaves come and serve no proofs. Start one in mid-log with the
    hashes of `root_nodes(size)`.
    """

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Take the size and its `root_nodes` hashes, or nothing for the empty tree."""
        self.size = size
        """Leaves in the tree."""
        self._peaks = list(peaks)
        assert len(self._peaks) == size.bit_count(), (size, len(self._peaks))

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash at index `size`."""
        peaks, size = self._peaks, self.size
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def copy(self) -> Frontier:
        """Return one that grows on by itself from here."""
        return Frontier(self.size, self._peaks)

    @property
    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return fold_root(self._peaks)


def _pair_hashes(level: Sequence[bytes]) -> list[bytes]:
    """Hash the pairs of a level; the last hash of an odd level has no partner and is left out."""
    prefix = _NODE_PREFIX.copy
    pairs = iter(level)
    above: list[bytes] = []
    append = above.append
    for left, right in zip(pairs, pairs, strict=False):
        state = prefix()
        state.update(left)
        state.update(right)
        append(state.digest())
    return above


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    above = _pair_hashes(level)
    if len(level) & 1:
        above.append(level[-1])
    return above


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Join complete nodes that get smaller from left to right, the smallest two first."""
    *rest, folded = hashes
    for hash_ in reversed(rest):
        folded = node_hash(hash_, folded)
    return folded


def _cover(start: int, size: int) -> list[NodeId]:
    """Return the largest complete nodes over leaves [start, size), `start` being one's border."""
    return [
        (level, (size >> level) - 1)
        for level in reversed(range((size - start).bit_length()))
        if size >> level & 1
    ]


def _path_plan(index: int, size: int, level: int) -> list[list[NodeId]]:
    """
    Return the nodes behind each hash of the path of leaf `index`, from `level` up.

    A group of more than one node is the right edge of an incomplete tree and must be folded.
    """
    assert 0 <= index < size <= SIZE_MAX, (index, size)
    plan: list[list[NodeId]] = []
    index >>= level
    last = (size - 1) >> level
    while last:
        sibling = index ^ 1
        if sibling < last or (sibling == last and (last + 1) << level <= size):
            plan.append([(level, sibling)])
        elif sibling == last:
            plan.append(_cover(last << level, size))
        index >>= 1
        last >>= 1
        level += 1
    return plan


def _read_plans(plans: list[list[list[NodeId]]], read: ReadNodes) -> list[list[bytes]]:
    needed = sorted({node for plan in plans for group in plan for node in group})
    hashes = dict(zip(needed, read(needed), strict=True)) if needed else {}
    return [[_fold([hashes[node] for node in group]) for group in plan] for plan in plans]


def _climb(hash_: bytes, path: Sequence[bytes], index: int, inner: int) -> bytes:
    """
    Hash from a node up to the root that `path` leads to.

    In the first `inner` steps the bits of `index` say on which side the path's hash stands; above
    them the node is on the right edge of the tree, and all that stands beside it is on its left.
    """
    prefix = _NODE_PREFIX.copy
    for step, sibling in enumerate(path):
        state = prefix()
        if step >= inner or index >> step & 1:
            state.update(sibling)
            state.update(hash_)
        else:
            state.update(hash_)
            state.update(sibling)
        hash_ = state.digest()
    return hash_


def _consistency_hashes(old_size: int, new_size: int) -> int:
    """Return the exact number of hashes in the path between two sizes."""
    if old_size == new_size:
        return 0
    level = _trailing_zeros(old_size)
    index = (old_size - 1) >> level
    inner = (index ^ ((new_size - 1) >> level)).bit_length()
    seeds = 0 if old_size == 1 << level else 1
    return seeds + inner + (index >> inner).bit_count()


def _trailing_zeros(size: int) -> int:
    return (size & -size).bit_length() - 1
