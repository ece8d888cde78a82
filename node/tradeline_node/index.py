"""
The rows of a ledger store that are not state, and how a block makes them.

State rows have upper-case table letters and come from the transition (`tradeline_ledger.state`);
the tables here have lower-case ones. Leaves and contents are the log itself; all else follows
from them. An event costs one row, written without reading anything: a history is folded when
somebody reads it (docs/formats.md, section 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_ledger.encoding import B32, U16, U64, Codec, Record, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import HASH_BYTES, digest
from tradeline_ledger.history import EventId
from tradeline_ledger.statement import statement_hash
from tradeline_ledger.submission import HEADER_BYTES, TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tradeline_ledger.merkle import NodeId
    from tradeline_ledger.submission import Batch
    from tradeline_ledger.transition import Executed, Placed

LEAF: Final = b"l"
"""`index u64` → leaf."""
CONTENT: Final = b"c"
"""`index u64` → content of the entry; of leaf 0, the genesis."""
NODE: Final = b"n"
"""`level u8 ‖ index u64` → hash of a complete node of the log's tree."""
BLOCK: Final = b"b"
"""`height u64` → first leaf u64 ‖ size after it u64, of blocks that placed something."""
CONTENT_INDEX: Final = b"d"
"""`content hash` → log index u64 of the last entry with that content."""
STATEMENT: Final = b"s"
"""`statement hash` → log index u64."""
POSITION: Final = b"p"
"""`member u32 ‖ feed u32 ‖ seq u64` → log index u64."""
GROUPS: Final = b"e"
"""`index u64` → roots of the groups of 16 events of that submission, joined."""
HISTORY: Final = b"h"
"""`member u32 ‖ tag ‖ index u64 ‖ position u32` → nothing."""
MARKED: Final = b"m"
"""`member u32 ‖ tag ‖ index u64 of the mark` → target index u64 ‖ position u32."""
MARKER: Final = b"i"
"""The one row that says how far the tables go, a `Marker`."""

LOG_TABLES: Final = (LEAF, CONTENT)
"""From which all other rows follow."""
NAMES: Final = {
    LEAF: "leaf",
    CONTENT: "content",
    NODE: "tree node",
    BLOCK: "block",
    CONTENT_INDEX: "content hash",
    STATEMENT: "statement hash",
    POSITION: "feed position",
    GROUPS: "event groups",
    HISTORY: "history",
    MARKED: "marks",
    MARKER: "marker",
}
FORMAT: Final = 1
"""Of these tables; a store with another builds them anew."""

EVENT_ID_BYTES: Final = 12
_TAG_AT: Final = 3
_SIGNED_TAG_AT: Final = 5
_INDEX_AT: Final = _SIGNED_TAG_AT + TAG_BYTES
_POSITION_AT: Final = _INDEX_AT + 8
_HISTORY_KEY_BYTES: Final = _POSITION_AT + 4
_MARKED_KEY_BYTES: Final = _INDEX_AT + 8


class Marker(Record, frozen=True):
    """What the tables were written for, read at open."""

    format: U16
    engine_height: U64
    """Last height that the engine committed, blocks that placed nothing included."""
    size: U64
    """Leaves."""
    root: B32
    check: B32
    """Hash of the fields above."""


MARKER_CODEC: Final[Codec[Marker]] = Codec(Marker, "marker", 128)

Owner = tuple[int, bytes]
"""Member and tag under which an event is filed."""


def encode_marker(engine_height: int, size: int, root: bytes) -> bytes:
    """Return the value of the marker row."""
    return encode(Marker(FORMAT, engine_height, size, root, _check(engine_height, size, root)))


def decode_marker(value: bytes) -> Marker | None:
    """Return the marker that `value` is, None if it is damaged or of another format."""
    try:
        marker = MARKER_CODEC.decode(value)
    except MalformedError:
        return None
    check = _check(marker.engine_height, marker.size, marker.root)
    return marker if (marker.format, marker.check) == (FORMAT, check) else None


def number(value: int) -> bytes:
    """Return a log index, size or height as keys and values hold it."""
    return value.to_bytes(8, "big")


def node_key(node: NodeId) -> bytes:
    """Return the key of a node of the log's tree."""
    return NODE + node[0].to_bytes(1, "big") + node[1].to_bytes(8, "big")


def position_key(member: int, feed: int, seq: int) -> bytes:
    """Return the key of the place of one position of a feed."""
    return POSITION + member.to_bytes(4, "big") + feed.to_bytes(4, "big") + number(seq)


def tag_prefix(table: bytes, member: int, tag: bytes) -> bytes:
    """Return what the keys of one tag in table `HISTORY` or `MARKED` begin with."""
    return table + member.to_bytes(4, "big") + tag


def block_value(first: int, size: int) -> bytes:
    """Return the value of a block's row."""
    return number(first) + number(size)


def genesis_rows(executed: Executed, ledger_id: bytes, genesis: bytes) -> list[tuple[bytes, bytes]]:
    """Return the rows of block 0 but its nodes: the genesis is the content that leaf 0 names."""
    first = number(0)
    return [
        (LEAF + first, executed.leaves[0]),
        (CONTENT + first, genesis),
        (CONTENT_INDEX + ledger_id, first),
        (BLOCK + first, block_value(0, 1)),
    ]


def block_rows(
    executed: Executed, first: int, owner: Callable[[EventId], Owner]
) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    """
    Return the rows of a block that placed something, but its nodes and state.

    First rows with values, then the keys of histories, whose values are empty. `first` is the log
    index of the block's first leaf; `owner` says where the target of a mark is filed.
    """
    rows = [(LEAF + number(first + i), leaf) for i, leaf in enumerate(executed.leaves)]
    rows.append((BLOCK + number(executed.head.height), block_value(first, executed.head.size)))
    histories: list[bytes] = []
    for placed in executed.placed:
        rows += _entry_rows(placed)
        rows += _accepted_rows(placed, owner, histories)
    return rows, histories


def history_keys(member: int, batch: Batch, index: int) -> list[bytes]:
    """Return the key of each event of a batch in table `HISTORY`, ascending by tag."""
    count = batch.count
    headers = np.frombuffer(batch.headers, dtype=np.uint8).reshape(count, HEADER_BYTES)
    keys = np.empty((count, _HISTORY_KEY_BYTES), dtype=np.uint8)
    prefix = HISTORY + member.to_bytes(4, "big")
    keys[:, :_SIGNED_TAG_AT] = np.frombuffer(prefix, dtype=np.uint8)
    keys[:, _SIGNED_TAG_AT:_INDEX_AT] = headers[:, _TAG_AT : _TAG_AT + TAG_BYTES]
    keys[:, _INDEX_AT:_POSITION_AT] = np.frombuffer(number(index), dtype=np.uint8)
    positions = np.arange(count, dtype=">u4")
    keys[:, _POSITION_AT:] = positions.view(np.uint8).reshape(count, 4)
    # Neighbours in the table are written one after the other, which spares the processor's cache.
    starts = np.ascontiguousarray(keys[:, _SIGNED_TAG_AT : _SIGNED_TAG_AT + 8])
    joined = keys[np.argsort(starts.view(">u8").ravel(), kind="stable")].tobytes()
    step = _HISTORY_KEY_BYTES
    return [joined[at : at + step] for at in range(0, len(joined), step)]


def decode_history_key(key: bytes) -> EventId | None:
    """Return the event of a key of table `HISTORY`, None if the key is damaged."""
    if len(key) != _HISTORY_KEY_BYTES:
        return None
    return decode_event_id(key[_INDEX_AT:])


def decode_marked_row(key: bytes, value: bytes) -> tuple[int, EventId] | None:
    """Return the mark's log index and target of a row of table `MARKED`, None if damaged."""
    if len(key) != _MARKED_KEY_BYTES or len(value) != EVENT_ID_BYTES:
        return None
    return int.from_bytes(key[_INDEX_AT:], "big"), decode_event_id(value)


def decode_event_id(encoded: bytes) -> EventId:
    """Return the event that `index u64 ‖ position u32` names."""
    return EventId(int.from_bytes(encoded[:8], "big"), int.from_bytes(encoded[8:], "big"))


def decode_groups(value: bytes) -> list[bytes] | None:
    """Return the hashes of a row of table `GROUPS`, None if it is damaged."""
    if not value or len(value) % HASH_BYTES:
        return None
    return [value[at : at + HASH_BYTES] for at in range(0, len(value), HASH_BYTES)]


def describe(key: bytes) -> str:
    """Return what the row under `key` is, for messages: table and place, never a tag."""
    table, rest = key[:1], key[1:]
    name = NAMES.get(table, f"state {table.decode('latin-1')!r}")
    if table in (LEAF, CONTENT, GROUPS) and len(rest) == len(number(0)):
        return f"{name} {int.from_bytes(rest, 'big')}"
    if table == BLOCK:
        return f"{name} {int.from_bytes(rest, 'big')}"
    if table == NODE:
        return (
            f"{name} (level {int.from_bytes(rest[:1], 'big')}, {int.from_bytes(rest[1:], 'big')})"
        )
    if table == HISTORY:
        return f"{name} row of event {decode_event_id(key[_INDEX_AT:])}"
    if table == MARKED:
        return f"{name} row of record {int.from_bytes(key[_INDEX_AT:], 'big')}"
    return f"{name} {rest.hex()}".rstrip()


def _entry_rows(placed: Placed) -> Iterable[tuple[bytes, bytes]]:
    signed, index = placed.applied.signed, number(placed.index)
    assert signed is not None, placed.index
    statement = signed.statement
    return (
        (CONTENT + index, signed.entry.content),
        (CONTENT_INDEX + statement.content_hash, index),
        (STATEMENT + statement_hash(signed.entry.statement), index),
        (position_key(statement.member, statement.feed, statement.seq), index),
    )


def _accepted_rows(
    placed: Placed, owner: Callable[[EventId], Owner], histories: list[bytes]
) -> Sequence[tuple[bytes, bytes]]:
    """Return the rows that only an accepted entry has; its histories go to `histories`."""
    signed, ruling, index = placed.applied.signed, placed.applied.ruling, placed.index
    assert signed is not None, index
    assert ruling is not None, index
    if not ruling.outcome.accepted:
        return ()
    member = signed.member.id
    if signed.submission is not None:
        batch = signed.submission.batch
        histories += history_keys(member, batch, index)
        return ((GROUPS + number(index), b"".join(batch.groups)),)
    if ruling.inquiry is not None:
        event = EventId(index, 0)
        histories.append(tag_prefix(HISTORY, member, ruling.inquiry.tag) + event.encoded())
    elif ruling.mark is not None:
        target = ruling.mark.target
        key = tag_prefix(MARKED, *owner(target)) + number(index)
        return ((key, target.encoded()),)
    return ()


def _check(engine_height: int, size: int, root: bytes) -> bytes:
    return digest("store-marker", encode((FORMAT, engine_height, size, root)))
