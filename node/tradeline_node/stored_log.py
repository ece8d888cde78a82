"""Reading the log that a store holds: leaves, contents, tree, blocks, histories."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Final

from tradeline_ledger.history import EventId
from tradeline_ledger.inquiry import INQUIRY, inquiry_header
from tradeline_ledger.merkle import (
    consistency_path,
    fold_root,
    inclusion_paths,
    leaf_hash,
    levels_of,
    path_at,
    root_nodes,
)
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf, statement_hash
from tradeline_ledger.submission import GROUP_LEVEL, header_at, header_count, headers_at
from tradeline_node import index as tables
from tradeline_node.database import REMEDY
from tradeline_node.errors import AbsentError, StoreDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tradeline_ledger.merkle import NodeId
    from tradeline_ledger.state import HeadState
    from tradeline_ledger.statement import Statement
    from tradeline_node.database import Database

_GROUP: Final = 1 << GROUP_LEVEL
_U64_BYTES: Final = 8


class StoredLog(abc.ABC):
    """
    The log up to `head`, as the rows of a database say; any thread may read.

    A row of a derived table that is found damaged is built anew, together with all of them.
    """

    head: HeadState
    """The end of the log."""

    def __init__(self, database: Database) -> None:
        """Read from `database`; whoever extends this sets `head`."""
        self._database = database

    def get(self, key: bytes) -> bytes | None:
        """Return the row under `key`; see `tradeline_ledger.state.View`."""
        return self._database.get(key)

    def iterate(self, prefix: bytes, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose keys begin with `prefix`, ascending, from key `start` on."""
        return self._database.iterate(prefix, start)

    # Leaves and contents

    def leaf(self, index: int) -> bytes:
        """
        Return a leaf of the log.

        Raises:
            AbsentError: the log is shorter.
        """
        return self.leaves(index, index + 1)[0]

    def leaves(self, start: int, end: int) -> list[bytes]:
        """
        Return the leaves [start, end).

        Raises:
            AbsentError: the log is shorter.
        """
        self._check_size(end)
        if start < 0:
            raise AbsentError(f"no leaf {start}")
        found = self._database.get_many([tables.LEAF + tables.number(i) for i in range(start, end)])
        leaves = [leaf for leaf in found if leaf is not None]
        if len(leaves) != end - start:
            raise StoreDamagedError(f"leaf {start + found.index(None)} is missing; {REMEDY}")
        return leaves

    def content(self, index: int) -> bytes:
        """
        Return the content of the entry at `index`; of index 0, the genesis.

        Raises:
            AbsentError: no entry is there.
        """
        return self.contents([index])[0]

    def contents(self, indexes: Sequence[int]) -> list[bytes]:
        """
        Return the contents of the entries at `indexes`, in that order.

        Raises:
            AbsentError: no entry is at one of them.
        """
        if not all(0 <= each < self.head.size for each in indexes):
            raise AbsentError(f"a log of {self.head.size} leaves has no content {max(indexes)}")
        found = self._database.get_many([tables.CONTENT + tables.number(i) for i in indexes])
        contents = [content for content in found if content is not None]
        if len(contents) != len(indexes):
            missing = indexes[found.index(None)]
            self._statement(missing)
            raise StoreDamagedError(f"content {missing} is missing; {REMEDY}")
        return contents

    def content_by_hash(self, content_hash: bytes) -> bytes | None:
        """Return the content of that hash, the genesis under the ledger's id; None if unknown."""

        def names(index: int) -> bool:
            if index == 0:
                return content_hash in self.leaf(0)
            return self._statement(index)[1].content_hash == content_hash

        index = self._located(tables.CONTENT_INDEX + content_hash, names)
        return None if index is None else self.content(index)

    def placed_at(self, hash_: bytes) -> int | None:
        """Return the log index of the statement of that hash, None if it has no place."""
        return self._located(
            tables.STATEMENT + hash_,
            lambda index: statement_hash(self._statement(index)[0].statement) == hash_,
        )

    def statement_at(self, member: int, feed: int, seq: int) -> int | None:
        """Return the log index of a position of a feed, None if it is not taken."""

        def names(index: int) -> bool:
            statement = self._statement(index)[1]
            return (statement.member, statement.feed, statement.seq) == (member, feed, seq)

        return self._located(tables.position_key(member, feed, seq), names)

    # The tree

    def nodes(self, ids: list[NodeId]) -> list[bytes]:
        """
        Return the hashes of complete nodes of the log's tree, in the order asked for.

        Raises:
            AbsentError: one is not complete.
        """
        found = self._database.get_many([tables.node_key(node) for node in ids])
        hashes = [hash_ for hash_ in found if hash_ is not None]
        if len(hashes) == len(ids):
            return hashes
        level, index = ids[found.index(None)]
        if (index + 1) << level > self.head.size:
            raise AbsentError(f"no node ({level}, {index}) in a log of {self.head.size} leaves")
        self._mend(f"node ({level}, {index})")
        return self.nodes(ids)

    def root(self, size: int) -> bytes:
        """
        Return the root of the log's first `size` leaves.

        Raises:
            AbsentError: the log is shorter.
        """
        self._check_size(size)
        return fold_root(self.nodes(root_nodes(size)))

    def inclusion_paths(self, indexes: Sequence[int], size: int) -> list[list[bytes]]:
        """
        Return the path of each leaf of `indexes` in the tree of `size` leaves.

        Raises:
            AbsentError: the log is shorter, or an index is not below `size`.
        """
        self._check_size(size)
        if not all(0 <= each < size for each in indexes):
            raise AbsentError(f"index {max(indexes)} is not below size {size}")
        return inclusion_paths(indexes, size, self.nodes)

    def consistency_path(self, old: int, new: int) -> list[bytes]:
        """
        Return the path from size `old` to size `new`.

        Raises:
            AbsentError: not 0 < old <= new, or the log is shorter.
        """
        self._check_size(new)
        if not 0 < old <= new:
            raise AbsentError(f"no path from size {old} to size {new}")
        return consistency_path(old, new, self.nodes)

    # Blocks

    def block_of(self, index: int) -> tuple[int, int]:
        """
        Return the log indexes of the first and the last leaf of the block that has leaf `index`.

        The last is the block leaf.

        Raises:
            AbsentError: the log is shorter.
        """
        first, size = self._block(decode_leaf(self.leaf(index)).height)
        return first, size - 1

    def block_end(self, height: int) -> int:
        """
        Return the size of the log after the block of `height`, whether or not it placed anything.

        A height to come has the size of today.

        Raises:
            AbsentError: the height is negative.
        """
        if height < 0:
            raise AbsentError(f"no block {height}")
        if height >= self.head.height:
            return self.head.size
        key = self._database.last_key(tables.BLOCK, tables.BLOCK + tables.number(height))
        return self._block(0 if key is None else int.from_bytes(key[1:], "big"))[1]

    def block_sizes(self, from_height: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (height, size after it) of the blocks that placed something, ascending."""
        start = tables.BLOCK + tables.number(from_height)
        for key, value in self._database.iterate(tables.BLOCK, start):
            yield int.from_bytes(key[1:], "big"), int.from_bytes(value[_U64_BYTES:], "big")

    # Events

    def history(self, member: int, tag: bytes, size: int) -> list[EventId]:
        """
        Return the events filed under (member, tag) in the log's first `size` leaves, in log order.

        Raises:
            AbsentError: the log is shorter.
        """
        self._check_size(size)
        events = []
        for key, _ in self._database.iterate(tables.tag_prefix(tables.HISTORY, member, tag)):
            event = tables.decode_history_key(key)
            if event is None:
                self._mend(tables.describe(key))
                return self.history(member, tag, size)
            if event.index >= size:
                break
            events.append(event)
        return events

    def histories(
        self, scope: Sequence[tuple[int, bytes]], size: int
    ) -> list[tuple[int, bytes, list[EventId]]]:
        """
        Return (member, tag, `history`) of each (member, tag) of `scope` with an event, in order.

        Costs half of as many calls of `history` where most tags have no event.

        Raises:
            AbsentError: the log is shorter.
        """
        self._check_size(size)
        histories = []
        prefixes = (tables.tag_prefix(tables.HISTORY, member, tag) for member, tag in scope)
        found = self._database.keys_under(prefixes)
        for (member, tag), keys in zip(scope, found, strict=True):
            events = []
            for key in keys:
                event = tables.decode_history_key(key)
                if event is None:
                    self._mend(tables.describe(key))
                    return self.histories(scope, size)
                if event.index >= size:
                    break
                events.append(event)
            if events:
                histories.append((member, tag, events))
        return histories

    def marks(self, member: int, tag: bytes, size: int) -> list[tuple[int, EventId]]:
        """
        Return (log index of the mark, its target) of the marks about events under (member, tag).

        In log order, of the log's first `size` leaves.

        Raises:
            AbsentError: the log is shorter.
        """
        self._check_size(size)
        marks = []
        for key, value in self._database.iterate(tables.tag_prefix(tables.MARKED, member, tag)):
            mark = tables.decode_marked_row(key, value)
            if mark is None:
                self._mend(tables.describe(key))
                return self.marks(member, tag, size)
            if mark[0] >= size:
                break
            marks.append(mark)
        return marks

    def event_header(self, event: EventId) -> bytes:
        """
        Return the header of an event: one of a submission's, or the one that an inquiry is.

        Raises:
            AbsentError: there is no such event.
        """
        kind = self._accepted_kind(event.index)
        content = self.content(event.index)
        if kind == Kind.SUBMISSION and 0 <= event.position < header_count(content):
            return header_at(content, event.position)
        if kind == Kind.INQUIRY and event.position == 0:
            return inquiry_header(INQUIRY.decode(content))
        raise AbsentError(f"no event {event}")

    def event_paths(self, index: int, positions: Sequence[int]) -> list[list[bytes]]:
        """
        Return the path to `events_root` of each event at `positions` of a submission.

        Raises:
            AbsentError: no submission is there, or it has fewer events.
        """
        if self._accepted_kind(index) != Kind.SUBMISSION:
            raise AbsentError(f"entry {index} is no accepted submission")
        content = self.content(index)
        count = header_count(content)
        if not all(0 <= position < count for position in positions):
            raise AbsentError(f"entry {index} has {count} events, not {max(positions) + 1}")
        upper = levels_of(self._groups(index, -(-count // _GROUP)))
        lower: dict[int, list[list[bytes]]] = {}
        for group in {position // _GROUP for position in positions}:
            end = min((group + 1) * _GROUP, count)
            within = headers_at(content, group * _GROUP, end)
            lower[group] = levels_of([leaf_hash(header) for header in within])
        return [
            path_at(lower[position // _GROUP], position % _GROUP)
            + path_at(upper, position // _GROUP)
            for position in positions
        ]

    def _check_size(self, size: int) -> None:
        if not 0 <= size <= self.head.size:
            raise AbsentError(f"the log has {self.head.size} leaves, not {size}")

    def _accepted_kind(self, index: int) -> int:
        leaf, statement = self._statement(index)
        if leaf.outcome != Outcome.ACCEPTED:
            raise AbsentError(f"entry {index} was refused and has no events")
        return statement.kind

    def _statement(self, index: int) -> tuple[EntryLeaf, Statement]:
        leaf = decode_leaf(self.leaf(index))
        if not isinstance(leaf, EntryLeaf):
            raise AbsentError(f"leaf {index} is no entry's")
        return leaf, STATEMENT.decode(leaf.statement)

    def _located(self, key: bytes, names: Callable[[int], bool]) -> int | None:
        """Return the log index under `key` if the leaf there is one that `names` it."""
        value = self.get(key)
        if value is None:
            return None
        index = int.from_bytes(value, "big")
        try:
            if len(value) == _U64_BYTES and names(index):
                return index
        except AbsentError:
            if index >= self.head.size and len(value) == _U64_BYTES:
                return None  # a block that is being committed
        self._mend(tables.describe(key))
        return self._located(key, names)

    def _block(self, height: int) -> tuple[int, int]:
        """Return the first leaf of a block that placed something, and the size after it."""
        value = self.get(tables.BLOCK + tables.number(height)) or b""
        first, size = int.from_bytes(value[:_U64_BYTES], "big"), int.from_bytes(value[8:], "big")
        if len(value) == 2 * _U64_BYTES and first < size <= self.head.size:
            return first, size
        self._mend(f"block {height}")
        return self._block(height)

    def _groups(self, index: int, count: int) -> list[bytes]:
        groups = tables.decode_groups(self.get(tables.GROUPS + tables.number(index)) or b"")
        if groups is not None and len(groups) == count:
            return groups
        self._mend(f"event groups {index}")
        return self._groups(index, count)

    @abc.abstractmethod
    def _mend(self, what: str) -> None:
        """
        Build the derived tables anew, because `what` in them is damaged.

        Raises:
            StoreDamagedError: that can't be done, or was done in vain.
        """
