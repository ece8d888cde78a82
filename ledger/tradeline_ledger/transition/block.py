"""
Blocks: the entries of one height, executed together, and replayed from the log.

A block that places nothing appends nothing. Otherwise its leaves end with a block leaf, which
chains to the one before and carries the root of the registry from the next height on. A block
before a height at which a proposal is due has that effect, also without an entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import RulesError, VerificationError
from tradeline_ledger.genesis import RULES, TIME_MS_MAX
from tradeline_ledger.merkle import SIZE_MAX, leaf_hash
from tradeline_ledger.state import HeadState
from tradeline_ledger.statement import CONTENT_BYTES_MAX, Entry, block_leaf, decode_leaf, entry_leaf
from tradeline_ledger.statement import BlockLeaf as _BlockLeaf
from tradeline_ledger.transition.apply import apply
from tradeline_ledger.transition.context import Applied, Context
from tradeline_ledger.transition.enactment import enact, registry_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import Registry
    from tradeline_ledger.state import View
    from tradeline_ledger.transition.context import Memory, Writes


HEIGHT_MAX: Final = SIZE_MAX
"""Engines count heights in signed 64 bits."""


@dataclass(frozen=True, slots=True)
class Block:
    """What an engine decided: the entries of one height, in order."""

    height: int
    time_ms: int
    entries: Sequence[bytes]
    """Encoded entries."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry that got its place in the log."""

    index: int
    leaf: bytes
    applied: Applied


@dataclass(frozen=True, slots=True)
class Executed:
    """Everything that follows from one block; nothing of it is written yet."""

    placed: tuple[Placed, ...]
    dropped: tuple[tuple[int, Applied], ...]
    """Place in the block and result, of entries that got no place."""
    leaves: tuple[bytes, ...]
    """To append, the block leaf last; empty if the block has no effect."""
    writes: dict[bytes, bytes]
    """State rows to put."""
    head: HeadState
    """After the block; the one before if it has no effect."""
    registry: Registry
    """In force from the next height."""


class Overlay:
    """A view that shows rows written in this block before those of the state below."""

    __slots__ = ("below", "rows")

    def __init__(self, below: View) -> None:
        """Start empty above `below`."""
        self.below = below
        self.rows: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`; see `View`."""
        value = self.rows.get(key)
        return self.below.get(key) if value is None else value

    def put(self, writes: Writes) -> None:
        """Show `writes` from now on."""
        self.rows.update(writes)


def execute_genesis(ledger: Ledger) -> Executed:
    """Return block 0, whose only leaf is its block leaf."""
    genesis, registry = ledger.genesis, ledger.registry
    leaf = block_leaf(0, genesis.time_ms, ledger.ledger_id, registry.root, genesis.rules)
    head = HeadState(0, genesis.time_ms, 1, leaf_hash(leaf))
    rows = {state.member_key(each.id, each.from_height): encode(each) for each in registry.members}
    rows |= {state.epoch_key(each.epoch): encode(each) for each in registry.epochs}
    rows[state.HEAD_KEY] = encode(head)
    return Executed((), (), (leaf,), rows, head, registry)


def execute(
    view: View,
    ledger: Ledger,
    registry: Registry,
    head: HeadState,
    block: Block,
    *,
    memory: Memory | None = None,
) -> Executed:
    """
    Return what `block` does to the state that `view`, `registry` and `head` show.

    Entries that `memory` holds are not opened again.

    Raises:
        RulesError: the block is to be executed by rules that this version does not know.
    """
    rules = ledger.rules_of(registry)
    check_rules(rules, block.height)
    assert block.height > head.height, (block.height, head.height)
    assert head.time_ms < block.time_ms <= TIME_MS_MAX, (block.time_ms, head.time_ms)
    overlay, pending = Overlay(view), registry
    placed: list[Placed] = []
    dropped: list[tuple[int, Applied]] = []
    for place, encoded in enumerate(block.entries):
        index = head.size + len(placed)
        context = Context(ledger, registry, pending, block.height, block.time_ms, index, memory)
        applied = apply(overlay, encoded, context)
        if applied.signed is None or applied.ruling is None:
            dropped.append((place, applied))
            continue
        overlay.put(applied.writes)
        leaf = entry_leaf(block.height, applied.outcome, applied.signed.entry)
        placed.append(Placed(index, leaf, applied))
        if applied.ruling.record is not None:
            pending = pending.with_version(applied.ruling.record)
    enacted = enact(overlay, ledger, pending, block.height, block.time_ms)
    if not placed and not enacted.writes:
        return Executed((), tuple(dropped), (), {}, head, registry)
    after = enacted.registry
    overlay.put(enacted.writes)
    if after is not registry:
        overlay.put(registry_rows(registry, after))
    last = block_leaf(block.height, block.time_ms, head.block_hash, after.root, rules)
    leaves = (*(each.leaf for each in placed), last)
    end = HeadState(block.height, block.time_ms, head.size + len(leaves), leaf_hash(last))
    overlay.put(((state.HEAD_KEY, encode(end)),))
    return Executed(tuple(placed), tuple(dropped), leaves, overlay.rows, end, after)


def check_rules(rules: int, height: int) -> None:
    """
    Accept rules that this version knows.

    Raises:
        RulesError: it does not.
    """
    if rules > RULES:
        raise RulesError(
            f"block {height} is executed by rules {rules}, this version knows rules up to {RULES}; "
            "install the version that the members voted for"
        )


def replay(
    view: View,
    ledger: Ledger,
    registry: Registry,
    head: HeadState,
    *,
    leaves: Sequence[bytes],
    contents: Sequence[bytes],
) -> Executed:
    """
    Return what one block of the log does, having checked that it was executed as the rules say.

    `leaves` are the block's, the block leaf last; `contents` those of its entries, in order.

    Raises:
        MalformedError: a leaf does not decode.
        RulesError: the block was executed by rules that this version does not know.
        VerificationError: the rules lead to another leaf, named by its log index.
    """
    if len(leaves) != len(contents) + 1:
        raise VerificationError(
            f"leaf {head.size}: a block has a content for each entry, and a block leaf; "
            f"got {len(leaves)} leaves and {len(contents)} contents"
        )
    last = decode_leaf(leaves[-1])
    if not isinstance(last, _BlockLeaf):
        raise VerificationError(f"leaf {head.size + len(contents)} is no block leaf")
    if last.height <= head.height or last.time_ms <= head.time_ms:
        raise VerificationError(
            f"leaf {head.size + len(contents)}: block {last.height} at {last.time_ms} ms does not "
            f"come after block {head.height} at {head.time_ms} ms"
        )
    if last.height > HEIGHT_MAX or last.time_ms > TIME_MS_MAX:
        raise VerificationError(f"no block has height {last.height} or time {last.time_ms} ms")
    entries = []
    for offset, (leaf, content) in enumerate(zip(leaves[:-1], contents, strict=True)):
        placed = decode_leaf(leaf)
        if isinstance(placed, _BlockLeaf):
            raise VerificationError(f"leaf {head.size + offset} ends a block within a block")
        if len(content) > CONTENT_BYTES_MAX:
            raise VerificationError(f"the content of leaf {head.size + offset} is too long")
        entries.append(encode(Entry(placed.statement, placed.signature, content)))
    executed = execute(
        view, ledger, registry, head, Block(last.height, last.time_ms, tuple(entries))
    )
    _compare(executed, leaves, head.size)
    return executed


def _compare(executed: Executed, leaves: Sequence[bytes], first: int) -> None:
    if executed.dropped:
        place, applied = executed.dropped[0]
        raise VerificationError(
            f"leaf {first + place} should have no place in the log: "
            f"{applied.outcome.code}: {applied.detail}"
        )
    if not executed.leaves:
        raise VerificationError(f"leaf {first} ends a block that has no effect, so it has no leaf")
    for offset, (computed, claimed) in enumerate(zip(executed.leaves, leaves, strict=True)):
        if computed != claimed:
            raise VerificationError(
                f"leaf {first + offset} is {claimed.hex()}, the rules lead to {computed.hex()}"
            )
