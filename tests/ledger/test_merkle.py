"""
The Merkle tree: published constants and vectors, then every tree up to 130 leaves.

The tree under test is compared with RFC 6962's own recursive definitions, written out here.
"""

import base64
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.errors import ConsistencyError, InclusionError
from tradeline_ledger.merkle import (
    EMPTY_ROOT,
    PATH_HASHES_MAX,
    SIZE_MAX,
    Frontier,
    NodeId,
    consistency_path,
    fold_root,
    inclusion_nodes,
    inclusion_path,
    inclusion_paths,
    leaf_hash,
    levels_of,
    new_nodes,
    node_hash,
    path_at,
    path_of,
    prefix_root,
    root_nodes,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
SIZE_TRIED_MAX = 130
LEAVES = [leaf_hash(bytes([i])) for i in range(SIZE_TRIED_MAX)]


@functools.cache
def mth(start: int, end: int) -> bytes:
    """RFC 6962, section 2.1: MTH(D[start:end])."""
    if end - start == 1:
        return LEAVES[start]
    split = start + (1 << (end - start - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + mth(start, split) + mth(split, end)).digest()


def rfc_path(index: int, start: int, end: int) -> list[bytes]:
    """RFC 6962, section 2.1.1: PATH(index - start, D[start:end])."""
    if end - start == 1:
        return []
    split = start + (1 << (end - start - 1).bit_length() - 1)
    if index < split:
        return [*rfc_path(index, start, split), mth(split, end)]
    return [*rfc_path(index, split, end), mth(start, split)]


def rfc_proof(old: int, start: int, end: int, *, whole: bool = True) -> list[bytes]:
    """RFC 6962, section 2.1.2: SUBPROOF(old - start, D[start:end], whole)."""
    if old == end:
        return [] if whole else [mth(start, end)]
    split = start + (1 << (end - start - 1).bit_length() - 1)
    if old <= split:
        return [*rfc_proof(old, start, split, whole=whole), mth(split, end)]
    return [*rfc_proof(old, split, end, whole=False), mth(start, split)]


class Store:
    """Complete nodes in a dictionary; counts the calls of `read`."""

    def __init__(self) -> None:
        self.nodes: dict[NodeId, bytes] = {}
        self.size = 0
        self.reads = 0

    def read(self, ids: list[NodeId]) -> list[bytes]:
        self.reads += 1
        return [self.nodes[node] for node in ids]

    def append(self, leaves: list[bytes]) -> None:
        for node, hash_ in new_nodes(self.size, leaves, self.read):
            assert node not in self.nodes, f"node {node} was written twice"
            self.nodes[node] = hash_
        self.size += len(leaves)


@pytest.fixture(scope="module")
def store() -> Store:
    whole = Store()
    whole.append(LEAVES)
    return whole


def flip(hash_: bytes) -> bytes:
    return bytes([hash_[0] ^ 1]) + hash_[1:]


def spoilt(path: list[bytes]) -> Iterator[list[bytes]]:
    """Every hash of `path` corrupted in turn, left out and put in twice; one too many."""
    for level, hash_ in enumerate(path):
        yield [*path[:level], flip(hash_), *path[level + 1 :]]
        yield [*path[:level], *path[level + 1 :]]
        yield [*path[:level], hash_, *path[level:]]
        yield [*path[:level], hash_[:-1], *path[level + 1 :]]
    yield [*path, path[-1] if path else EMPTY_ROOT]
    yield [EMPTY_ROOT, *path]


# Published constants: transparency-dev/merkle, testonly/constants.go (Apache-2.0).
PUBLISHED_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
PUBLISHED_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
PUBLISHED_NODES: dict[NodeId, str] = {
    (0, 1): "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    (0, 7): "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
    (1, 1): "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    (1, 2): "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    (1, 3): "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    (2, 1): "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
}


@pytest.mark.parametrize("size", range(9))
def test_published_roots_are_reproduced(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(data)) for data in PUBLISHED_LEAVES[:size]]
    assert root_of(leaves).hex() == PUBLISHED_ROOTS[size]


def test_published_nodes_are_reproduced() -> None:
    log = Store()
    log.append([leaf_hash(bytes.fromhex(data)) for data in PUBLISHED_LEAVES])
    assert len(log.nodes) == 15
    for node, expected in PUBLISHED_NODES.items():
        assert log.nodes[node].hex() == expected


def test_rolling_hashes_over_all_subtrees_are_reproduced() -> None:
    """draft-ietf-plants-merkle-tree-certs-05, appendix "Subtree Test Vectors"."""
    roots, paths = hashlib.sha256(), hashlib.sha256()
    for end in range(1, 131):
        for start in range(end):
            if start % (1 << (end - start - 1).bit_length()):
                continue
            levels = levels_of(LEAVES[start:end])
            roots.update(f"[{start}, {end}) {levels[-1][0].hex()}\n".encode())
            for index in range(start, end):
                path = "".join(f" {hash_.hex()}" for hash_ in path_at(levels, index - start))
                paths.update(f"{index} [{start}, {end}){path}\n".encode())
    assert roots.hexdigest() == "94a95384a8c69acea9b50d035a58285b3a777cb7a724005faa5e1f1e1190007f"
    assert paths.hexdigest() == "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"


def vectors(name: str) -> list[dict[str, Any]]:
    source = VECTORS / name
    if not source.exists() and os.environ.get("CI") != "true":
        return []
    cases: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return cases


def unpack(case: dict[str, Any], *names: str) -> list[bytes]:
    return [base64.b64decode(case[name] or "") for name in names]


INCLUSION = vectors("merkle-inclusion.json")
CONSISTENCY = vectors("merkle-consistency.json")
NO_VECTORS = f"no vectors at {VECTORS}"


@pytest.mark.skipif(not INCLUSION, reason=NO_VECTORS)
@pytest.mark.parametrize("case", INCLUSION, ids=lambda case: case["name"])
def test_inclusion_vector_gets_its_verdict(case: dict[str, Any]) -> None:
    leaf, root = unpack(case, "leafHash", "root")
    path = [base64.b64decode(hash_) for hash_ in case["proof"] or []]
    if case["wantErr"]:
        with pytest.raises(InclusionError):
            verify_inclusion(leaf, case["leafIdx"], case["treeSize"], path, root)
    else:
        verify_inclusion(leaf, case["leafIdx"], case["treeSize"], path, root)


@pytest.mark.skipif(not CONSISTENCY, reason=NO_VECTORS)
@pytest.mark.parametrize("case", CONSISTENCY, ids=lambda case: case["name"])
def test_consistency_vector_gets_its_verdict(case: dict[str, Any]) -> None:
    old_root, new_root = unpack(case, "root1", "root2")
    path = [base64.b64decode(hash_) for hash_ in case["proof"] or []]
    if case["wantErr"]:
        with pytest.raises(ConsistencyError):
            verify_consistency(case["size1"], case["size2"], path, old_root, new_root)
    else:
        verify_consistency(case["size1"], case["size2"], path, old_root, new_root)


def test_all_published_vectors_ran() -> None:
    if not INCLUSION:
        pytest.skip(NO_VECTORS)
    assert (len(INCLUSION), len(CONSISTENCY)) == (98, 98)


def test_every_root_and_path_is_that_of_the_definition(store: Store) -> None:
    frontier = Frontier()
    assert frontier.root == root_of([]) == fold_root([]) == EMPTY_ROOT
    for size in range(1, SIZE_TRIED_MAX + 1):
        frontier.append(LEAVES[size - 1])
        stored_root = fold_root(store.read(root_nodes(size)))
        levels = levels_of(LEAVES[:size])
        assert mth(0, size) == root_of(LEAVES[:size]) == stored_root == frontier.root
        assert levels[-1] == [frontier.root]
        stored = inclusion_paths(range(size), size, store.read)
        for index in range(size):
            assert path_at(levels, index) == stored[index] == rfc_path(index, 0, size)


def test_every_spoilt_inclusion_path_is_refused() -> None:
    for size in range(1, SIZE_TRIED_MAX + 1):
        root = mth(0, size)
        levels = levels_of(LEAVES[:size])
        for index, leaf in enumerate(LEAVES[:size]):
            path = path_at(levels, index)
            verify_inclusion(leaf, index, size, path, root)
            for wrong in spoilt(path):
                with pytest.raises(InclusionError):
                    verify_inclusion(leaf, index, size, wrong, root)


def test_inclusion_path_proves_no_other_leaf_index_or_root() -> None:
    for size in range(1, 66):
        root = mth(0, size)
        for index, leaf in enumerate(LEAVES[:size]):
            path = path_of(LEAVES[:size], index)
            for other in range(-1, size + 2):
                if other != index:
                    with pytest.raises(InclusionError):
                        verify_inclusion(leaf, other, size, path, root)
            for wrong_leaf in (flip(leaf), b"", leaf + b"\0"):
                with pytest.raises(InclusionError):
                    verify_inclusion(wrong_leaf, index, size, path, root)
            for wrong_root in (flip(root), b"", root + b"\0", EMPTY_ROOT):
                with pytest.raises(InclusionError, match="leads to root"):
                    verify_inclusion(leaf, index, size, path, wrong_root)


def test_every_consistency_path_verifies_and_no_spoilt_one_does(store: Store) -> None:
    for new in range(1, SIZE_TRIED_MAX + 1):
        new_root = mth(0, new)
        for old in range(1, new + 1):
            old_root = mth(0, old)
            path = consistency_path(old, new, store.read)
            assert path == rfc_proof(old, 0, new)
            verify_consistency(old, new, path, old_root, new_root)
            for wrong in spoilt(path):
                with pytest.raises(ConsistencyError):
                    verify_consistency(old, new, wrong, old_root, new_root)
            for roots in ((flip(old_root), new_root), (old_root, flip(new_root))):
                with pytest.raises(ConsistencyError):
                    verify_consistency(old, new, path, *roots)


def test_consistency_path_proves_no_other_old_size(store: Store) -> None:
    for old, new in ((1, 2), (6, 8), (7, 13), (32, 33), (64, 130)):
        path = consistency_path(old, new, store.read)
        for other in range(-1, new + 2):
            if other != old:
                with pytest.raises(ConsistencyError):
                    verify_consistency(other, new, path, mth(0, old), mth(0, new))
        with pytest.raises(ConsistencyError, match="expected 0 < old size <= new size"):
            verify_consistency(old, old - 1, path, mth(0, old), mth(0, new))


def test_nothing_is_proved_from_the_empty_tree() -> None:
    with pytest.raises(ConsistencyError, match="0 < old size"):
        verify_consistency(0, 1, [], EMPTY_ROOT, LEAVES[0])


def test_message_says_what_was_wrong() -> None:
    root = root_of(LEAVES[:3])
    path = path_of(LEAVES[:3], 0)
    with pytest.raises(InclusionError, match="index 3 is outside a tree of 3 leaves"):
        verify_inclusion(LEAVES[0], 3, 3, path, root)
    with pytest.raises(InclusionError, match="path of leaf 0 of 3 has 1 hashes, expected 2"):
        verify_inclusion(LEAVES[0], 0, 3, path[:1], root)
    with pytest.raises(InclusionError, match="not of 32 bytes"):
        verify_inclusion(LEAVES[0], 0, 3, [path[0], b""], root)
    with pytest.raises(ConsistencyError, match="two roots of size 3"):
        verify_consistency(3, 3, [], root, EMPTY_ROOT)


def test_largest_tree_is_verified_without_building_it() -> None:
    """All siblings equal, so that roots of trees nobody can build are known."""
    for index in (0, 1, SIZE_MAX // 2, SIZE_MAX - 1):
        sibling = leaf_hash(b"sibling")
        inner = (index ^ (SIZE_MAX - 1)).bit_length()
        path = [sibling] * (inner + (index >> inner).bit_count())
        assert len(path) <= PATH_HASHES_MAX
        computed = leaf_hash(b"leaf")
        for step in range(len(path)):
            on_the_left = step >= inner or index >> step & 1
            pair = (sibling, computed) if on_the_left else (computed, sibling)
            computed = node_hash(*pair)
        verify_inclusion(leaf_hash(b"leaf"), index, SIZE_MAX, path, computed)
    with pytest.raises(InclusionError, match="outside"):
        verify_inclusion(leaf_hash(b"leaf"), 0, SIZE_MAX + 1, path, computed)


@given(st.lists(st.integers(0, 40), max_size=12))
def test_chunks_of_any_length_store_the_same_nodes(chunks: list[int]) -> None:
    leaves = [leaf_hash(i.to_bytes(2, "big")) for i in range(sum(chunks))]
    once, chunked = Store(), Store()
    once.append(leaves)
    for chunk in chunks:
        reads = chunked.reads
        chunked.append(leaves[chunked.size : chunked.size + chunk])
        assert chunked.reads <= reads + 1
    assert chunked.nodes == once.nodes
    assert fold_root(chunked.read(root_nodes(chunked.size))) == root_of(leaves)


def test_many_paths_are_read_in_one_call_without_duplicates(store: Store) -> None:
    asked: list[list[NodeId]] = []

    def read(ids: list[NodeId]) -> list[bytes]:
        asked.append(ids)
        return store.read(ids)

    paths = inclusion_paths([5, 4, 128, 5], 129, read)
    assert len(asked) == 1
    assert asked[0] == sorted(set(asked[0]))
    assert set(asked[0]) == {node for index in (4, 5, 128) for node in inclusion_nodes(index, 129)}
    assert paths == [inclusion_path(index, 129, store.read) for index in (5, 4, 128, 5)]


def test_reading_is_planned_only_where_something_is_stored(store: Store) -> None:
    store.reads = 0
    assert inclusion_path(0, 1, store.read) == []
    assert consistency_path(5, 5, store.read) == []
    assert new_nodes(5, [], store.read) == []
    assert store.reads == 0


def test_frontier_starts_in_mid_log(store: Store) -> None:
    for size in (0, 1, 7, 64, 100):
        frontier = Frontier(size, store.read(root_nodes(size)))
        for leaf in LEAVES[size:]:
            frontier.append(leaf)
        assert (frontier.size, frontier.root) == (SIZE_TRIED_MAX, mth(0, SIZE_TRIED_MAX))


def test_prefix_root_is_what_a_consistency_path_starts_from() -> None:
    for new in range(2, 21):
        for old in range(1, new):
            path = rfc_proof(old, 0, new)
            implied = prefix_root(old, new, path)
            assert implied == (None if old.bit_count() == 1 else mth(0, old))
            assert prefix_root(old, new, [*path, mth(0, 1)]) is None
