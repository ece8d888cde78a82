"""Replay: whoever applies the same leaves and contents arrives at the same, or learns where not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec.structs
import pytest
from tests.story import story

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Registry
from tradeline_ledger.state import HeadState
from tradeline_ledger.statement import (
    CONTENT_BYTES_MAX,
    BlockLeaf,
    EntryLeaf,
    block_leaf,
    decode_leaf,
)
from tradeline_ledger.transition import execute_genesis, replay

ROOT: Final = Path(__file__).parents[2]
LedgerBlock = tuple[list[bytes], list[bytes]]
"""Leaves and contents of one block."""


@dataclass
class Replica:
    """Somebody who starts from the genesis and takes block after block."""

    rows: dict[bytes, bytes]
    leaves: list[bytes]
    registry: Registry
    head: HeadState

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    @classmethod
    def start(cls) -> Replica:
        first = execute_genesis(story().world.ledger)
        return cls(dict(first.writes), list(first.leaves), first.registry, first.head)

    def take(self, leaves: Sequence[bytes], contents: Sequence[bytes]) -> None:
        executed = replay(
            self, story().world.ledger, self.registry, self.head, leaves=leaves, contents=contents
        )
        self.rows |= executed.writes
        self.leaves += executed.leaves
        self.registry, self.head = executed.registry, executed.head

    @property
    def root(self) -> bytes:
        return root_of([leaf_hash(leaf) for leaf in self.leaves])


@cache
def blocks() -> list[LedgerBlock]:
    """Return the blocks of the story after block 0."""
    world = story().world
    ends = [i for i, leaf in enumerate(world.leaves) if isinstance(decode_leaf(leaf), BlockLeaf)]
    return [
        (
            world.leaves[before + 1 : end + 1],
            [world.contents[index] for index in range(before + 1, end)],
        )
        for before, end in pairwise(ends)
    ]


def replica(until: int) -> Replica:
    """Return a replica that has taken the first `until` blocks."""
    taken = Replica.start()
    for leaves, contents in blocks()[:until]:
        taken.take(leaves, contents)
    return taken


@cache
def replicas() -> list[Replica]:
    return [replica(until) for until in range(len(blocks()) + 1)]


def copy(until: int) -> Replica:
    old = replicas()[until]
    return Replica(dict(old.rows), list(old.leaves), old.registry, old.head)


def refuse(number: int, leaves: Sequence[bytes], contents: Sequence[bytes], match: str) -> None:
    taken = copy(number)
    before = (dict(taken.rows), list(taken.leaves), taken.head)
    with pytest.raises(LedgerError, match=match):
        taken.take(leaves, contents)
    assert (taken.rows, taken.leaves, taken.head) == before


NUMBERS: Final = range(14)


def test_replay_equals_execution() -> None:
    world, taken = story().world, replica(len(blocks()))
    assert taken.leaves == world.leaves
    assert taken.rows == world.rows
    assert taken.head == world.head
    assert taken.registry == world.registry
    assert taken.root == world.root
    assert len(blocks()) == len(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_changed_byte_of_every_leaf_is_found(number: int) -> None:
    """At its block, or, if nothing but the block time can have changed, at the next or the root."""
    leaves, contents = blocks()[number]
    following = blocks()[number + 1 : number + 2]
    for place, leaf in enumerate(leaves):
        for at in range(len(leaf)):
            altered = leaf[:at] + bytes([leaf[at] ^ 0x01]) + leaf[at + 1 :]
            taken = copy(number)
            try:
                taken.take([*leaves[:place], altered, *leaves[place + 1 :]], contents)
            except LedgerError:
                continue
            assert taken.root != replicas()[number + 1].root
            was, now = decode_leaf(leaf), decode_leaf(altered)
            assert isinstance(was, BlockLeaf)
            assert isinstance(now, BlockLeaf)
            assert msgspec.structs.replace(now, time_ms=was.time_ms) == was
            for next_leaves, next_contents in following:
                with pytest.raises(LedgerError, match=r"leaf|come after block"):
                    taken.take(next_leaves, next_contents)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_changed_byte_of_every_content_is_found(number: int) -> None:
    leaves, (content,) = blocks()[number]
    first = replicas()[number].head.size
    step = max(1, len(content) // 400)
    taken = copy(number)
    for at in range(0, len(content), step):
        altered = content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :]
        with pytest.raises(VerificationError, match=f"leaf {first} should have no place"):
            taken.take(leaves, [altered])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_changed_outcome_is_found_and_named(number: int) -> None:
    leaves, contents = blocks()[number]
    leaf, first = decode_leaf(leaves[0]), replicas()[number].head.size
    assert isinstance(leaf, EntryLeaf)
    for outcome in (Outcome.ACCEPTED, Outcome.KIND_UNKNOWN, Outcome.INQUIRY_READER_WRONG, 42):
        if outcome != leaf.outcome:
            altered = encode(msgspec.structs.replace(leaf, outcome=int(outcome)))
            refuse(number, [altered, leaves[1]], contents, f"leaf {first} is .*, the rules lead to")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_changed_block_leaf_is_found_and_named(number: int) -> None:
    leaves, contents = blocks()[number]
    last, end = decode_leaf(leaves[1]), replicas()[number].head.size + 1
    assert isinstance(last, BlockLeaf)
    changes = {
        "prev_block": bytes(32),
        "registry_root": bytes(32),
        "rules": 2,
        "height": last.height + 1,
    }
    for name, value in changes.items():
        altered = encode(msgspec.structs.replace(last, **{name: value}))
        # Another height stands in every leaf of the block.
        place = end - 1 if name == "height" else end
        refuse(number, [leaves[0], altered], contents, f"leaf {place} is ")


def test_another_block_time_is_found_where_anything_depends_on_it() -> None:
    world = story().world
    placed = story().inquired.index
    number = next(i for i, (leaves, _) in enumerate(blocks()) if world.leaves[placed] in leaves)
    leaves, contents = blocks()[number]
    last = decode_leaf(leaves[1])
    assert isinstance(last, BlockLeaf)
    late = encode(msgspec.structs.replace(last, time_ms=last.time_ms + 16 * 60_000))
    refuse(number, [leaves[0], late], contents, f"leaf {placed} is ")
    earlier = encode(msgspec.structs.replace(last, time_ms=last.time_ms - 1000))
    refuse(number, [leaves[0], earlier], contents, "does not come after block")


def test_time_and_height_never_go_back_or_beyond() -> None:
    leaves, contents = blocks()[3]
    head, last = replicas()[3].head, decode_leaf(leaves[1])
    assert isinstance(last, BlockLeaf)
    for height, time_ms, why in (
        (head.height, last.time_ms, "does not come after"),
        (last.height, head.time_ms, "does not come after"),
        (2**63, last.time_ms, "no block has height"),
        (last.height, 2**53, "no block has height"),
    ):
        altered = block_leaf(height, time_ms, last.prev_block, last.registry_root, 1)
        refuse(3, [leaves[0], altered], contents, why)


def test_blocks_in_another_order_are_found() -> None:
    for number in range(len(blocks()) - 1):
        leaves, contents = blocks()[number + 1]
        refuse(number, leaves, contents, "leaf|block")


def test_a_block_left_out_doubled_or_merged_is_found() -> None:
    (one, first), (two, second) = blocks()[:2]
    taken = copy(1)
    with pytest.raises(VerificationError, match="does not come after block 1"):
        taken.take(one, first)
    refuse(0, [one[0], two[0], one[1]], [*first, *second], r"leaf 2 is ")
    refuse(0, [*one, *two], [*first, b"", *second], "leaf 2 ends a block within a block")


@pytest.mark.parametrize(
    ("leaves", "contents", "match"),
    [
        ([], [], "a content for each entry"),
        ([b"x", b"y"], [], "a content for each entry"),
        ([b"x", b"y"], [b"", b""], "a content for each entry"),
    ],
)
def test_a_block_has_a_content_for_each_entry(
    leaves: list[bytes], contents: list[bytes], match: str
) -> None:
    refuse(0, leaves, contents, match)


def test_an_empty_block_stands_in_no_log() -> None:
    head = replicas()[0].head
    leaf = block_leaf(1, head.time_ms + 1, head.block_hash, replicas()[0].registry.root, 1)
    refuse(0, [leaf], [], "leaf 1 ends a block that has no effect")


def test_a_block_that_ends_with_an_entry_is_no_block() -> None:
    (one, first), (two, second) = blocks()[:2]
    refuse(0, [one[0], two[0]], first, "leaf 2 is no block leaf")
    assert second


def test_what_no_entry_can_be_is_an_error_and_no_crash() -> None:
    leaves, contents = blocks()[0]
    leaf = decode_leaf(leaves[0])
    assert isinstance(leaf, EntryLeaf)
    fields = (1, leaf.height, leaf.outcome, bytes(300), leaf.signature)
    refuse(0, [encode(fields), leaves[1]], contents, "statement has more than 256 bytes")
    refuse(0, leaves, [bytes(CONTENT_BYTES_MAX + 1)], "content of leaf 1 is too long")
    refuse(0, [b"\xc1", leaves[1]], contents, "does not decode")


def test_a_refused_entry_is_replayed_as_refused() -> None:
    index = story().refused.index
    leaf = decode_leaf(replicas()[-1].leaves[index])
    assert isinstance(leaf, EntryLeaf)
    assert leaf.outcome == Outcome.INQUIRY_READER_WRONG


SCRIPT: Final = """
import hashlib, sys
sys.path[:0] = [sys.argv[1]] + [f"{sys.argv[1]}/{name}" for name in ("ledger", "node", "client")]
from tests.story import story
world = story().world
rows = hashlib.sha256(b"".join(k + v for k, v in sorted(world.rows.items()))).hexdigest()
print(hash("tradeline"), world.root.hex(), world.head.size, rows)
"""


def test_two_hash_seeds_give_the_same_app_hash() -> None:
    runs = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(ROOT)],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        runs.append(done.stdout.split())
    assert runs[0][0] != runs[1][0], "the seeds took effect"
    assert runs[0][1:] == runs[1][1:]
    assert runs[0][1] == story().world.root.hex()
