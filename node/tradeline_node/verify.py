"""
Full verification of a ledger store: replay the log, compare every row with what it leads to.

Leaves and contents are the log, all other rows follow from them. So verification finds any changed
byte: in the log, because the rules or a signature no longer hold; in the rest, because the replay
arrives at another row. Building the other tables anew is the same replay, written out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.errors import MalformedError, VerificationError
from tradeline_ledger.merkle import fold_root, leaf_hash, new_nodes, root_nodes
from tradeline_ledger.statement import STATEMENT, BlockLeaf, Kind, content_hash, decode_leaf
from tradeline_ledger.submission import decode_submission, header_at, header_tag
from tradeline_ledger.transition import execute_genesis, replay
from tradeline_node import index as tables
from tradeline_node.errors import StoreDamagedError
from tradeline_node.replayed_rows import ReplayedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.history import EventId
    from tradeline_ledger.merkle import NodeId
    from tradeline_ledger.transition import Executed
    from tradeline_node.database import Database

    Progress = Callable[[int, int], None]
    """Told (leaves done, leaves in all)."""
    _Row = tuple[bytes, bytes]

FINDINGS_MAX: Final = 1000
"""After so many, verification stops."""
_CHUNK_BYTES: Final = 4 << 20
"""Of rows that a rebuild writes at once."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong in a store."""

    code: str
    """leaf, content or block (the log itself), row-differs, row-missing, row-extra, unreadable."""
    where: str
    """The record, such as `leaf 17` or `state 'C' …`; never a tag."""
    detail: str


class _BrokenLogError(Exception):
    """Ends a replay; never leaves this module."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


class Frozen:
    """
    The rows of a database as of one moment: nothing may be written while this is made.

    Each of its iterators is taken once.
    """

    def __init__(self, database: Database) -> None:
        """
        Take the rows as they are now.

        Raises:
            StoreError: they can't be read.
        """
        self.database = database
        """For rows that never change once they are written."""
        self.leaves = database.iterate(tables.LEAF, tables.LEAF + tables.number(1))
        self.contents = database.iterate(tables.CONTENT)
        self.rows = database.iterate()
        self.marker = database.get(tables.MARKER)
        last = database.last_key(tables.LEAF, tables.LEAF + b"\xff" * 9) or b""
        self.size = int.from_bytes(last[1:], "big") + 1
        """Leaves."""


def verify_rows(frozen: Frozen, ledger: Ledger, progress: Progress | None) -> list[Finding]:
    """
    Replay the log and compare every row; return what is wrong.

    In a log that is broken, the first broken record is named and the other tables are not
    compared: what follows from it is unknown.
    """
    database = frozen.database
    try:
        with ReplayedRows(database.path) as rows:
            log = _Replay(frozen, ledger, rows)
            log.run(progress)
            findings = _check_marker(log)
            for key, expected, found in _differences(rows, frozen):
                if len(findings) >= FINDINGS_MAX:
                    break
                findings.append(_finding(key, expected, found))
            return findings
    except _BrokenLogError as broken:
        return [broken.finding]
    except StoreDamagedError as error:
        return [Finding("unreadable", str(database.path), str(error))]


def rebuild(frozen: Frozen, ledger: Ledger) -> None:
    """
    Write what the log leads to wherever a row differs; leaves and contents stay as they are.

    The marker goes first and comes last, so that a rebuild that was cut short is done again.

    Raises:
        StoreDamagedError: the log is broken itself; nothing was changed.
        StoreError: the database can't be written.
    """
    database = frozen.database
    with ReplayedRows(database.path) as rows:
        log = _Replay(frozen, ledger, rows)
        try:
            log.run(None)
            _check_marker(log)
        except _BrokenLogError as broken:
            finding = broken.finding
            raise StoreDamagedError(
                f"ledger store {database.path}: {finding.where}: {finding.detail}; restore a "
                "backup, or move the folder away and replay the log from the other members"
            ) from broken
        database.write((), deleted=[tables.MARKER])
        changed: list[_Row] = []
        deleted: list[bytes] = []
        size = 0
        for key, expected, _ in _differences(rows, frozen):
            if expected is None:
                deleted.append(key)
            else:
                changed.append((key, expected))
            size += len(key) + len(expected or b"")
            if size > _CHUNK_BYTES:
                database.write(changed, deleted=deleted, synced=False)
                changed, deleted, size = [], [], 0
        height = max(log.head.height, log.marker.engine_height if log.marker else 0)
        changed.append((tables.MARKER, tables.encode_marker(height, log.head.size, log.root)))
        database.write(changed, deleted=deleted)


class _Replay:
    """The log of a store, executed again from block 0 into `rows`."""

    def __init__(self, frozen: Frozen, ledger: Ledger, rows: ReplayedRows) -> None:
        self._database = frozen.database
        self._frozen = frozen
        self._ledger = ledger
        self._rows = rows
        first = execute_genesis(ledger)
        self._genesis = first
        self.head = first.head
        self._registry = first.registry
        self._peaks: dict[NodeId, bytes] = {}
        self.marker_value = frozen.marker
        self.marker = tables.decode_marker(frozen.marker or b"")
        self.suspects: list[int] = []
        """Leaves that don't hash to their stored node: one of the two is damaged."""

    @property
    def root(self) -> bytes:
        return fold_root([self._peaks[node] for node in root_nodes(self.head.size)])

    def run(self, progress: Progress | None) -> None:
        self._begin()
        for first, leaves in self._blocks():
            self._suspect(first, leaves)
            contents = [self._content(first + i) for i in range(len(leaves) - 1)]
            try:
                executed = replay(
                    self._rows,
                    self._ledger,
                    self._registry,
                    self.head,
                    leaves=leaves,
                    contents=contents,
                )
            except (MalformedError, VerificationError) as error:
                raise _BrokenLogError(self._locate(first, leaves, contents, str(error))) from error
            rows, histories = tables.block_rows(executed, first, self._owner)
            self._put(executed, rows)
            self._rows.put((key, b"") for key in histories)
            if progress is not None:
                progress(self.head.size, self._frozen.size)

    def _begin(self) -> None:
        first = self._genesis
        leaf = self._database.get(tables.LEAF + tables.number(0))
        if leaf != first.leaves[0]:
            raise _BrokenLogError(Finding("leaf", "leaf 0", "not the block leaf of the genesis"))
        if self._content(0) != self._ledger.genesis_bytes:
            raise _BrokenLogError(Finding("content", "content 0", "not the genesis"))
        self._put(
            first,
            tables.genesis_rows(first, self._ledger.ledger_id, self._ledger.genesis_bytes),
        )

    def _blocks(self) -> Iterator[tuple[int, list[bytes]]]:
        """Yield first index and leaves of each block after block 0."""
        expected, leaves = 1, list[bytes]()
        for key, leaf in self._frozen.leaves:
            if len(key) != len(tables.LEAF) + 8:
                continue  # reported with the rows that should not be there
            if key != tables.LEAF + tables.number(expected):
                raise _BrokenLogError(Finding("leaf", f"leaf {expected}", "missing"))
            expected += 1
            leaves.append(leaf)
            try:
                ends = isinstance(decode_leaf(leaf), BlockLeaf)
            except MalformedError as error:
                found = Finding("leaf", f"leaf {expected - 1}", str(error))
                raise _BrokenLogError(found) from error
            if ends:
                yield expected - len(leaves), leaves
                leaves = []
        if leaves:
            raise _BrokenLogError(
                Finding("leaf", f"leaf {expected}", "missing: the log ends within a block")
            )

    def _content(self, index: int) -> bytes:
        """Return the next content, which must be that of `index`."""
        wanted = tables.CONTENT + tables.number(index)
        for key, content in self._frozen.contents:
            if key == wanted:
                return content
            if key > wanted:
                break
        raise _BrokenLogError(Finding("content", f"content {index}", "missing"))

    def _put(self, executed: Executed, rows: list[_Row]) -> None:
        size = executed.head.size - len(executed.leaves)
        hashes = [leaf_hash(leaf) for leaf in executed.leaves]
        nodes = new_nodes(size, hashes, lambda ids: [self._peaks[node] for node in ids])
        known = self._peaks | dict(nodes)
        self._peaks = {node: known[node] for node in root_nodes(executed.head.size)}
        self.head, self._registry = executed.head, executed.registry
        self._rows.put((key, b"" if key[:1] in tables.LOG_TABLES else value) for key, value in rows)
        self._rows.put(executed.writes.items())
        self._rows.put((tables.node_key(node), hash_) for node, hash_ in nodes)

    def _owner(self, target: EventId) -> tables.Owner:
        row = state.read(self._rows, state.SUBMISSION, state.submission_key(target.index))
        content = self._database.get(tables.CONTENT + tables.number(target.index))
        assert row is not None, target
        assert content is not None, target
        return row.member, header_tag(header_at(content, target.position))

    def _suspect(self, first: int, leaves: list[bytes]) -> None:
        stored = self._database.get_many(
            [tables.node_key((0, first + i)) for i in range(len(leaves))]
        )
        hashes = map(leaf_hash, leaves)
        pairs = enumerate(zip(stored, hashes, strict=True), first)
        self.suspects += [index for index, (node, hash_) in pairs if node != hash_]

    def _locate(
        self, first: int, leaves: list[bytes], contents: list[bytes], error: str
    ) -> Finding:
        """Return which record makes a block break the rules; it may be the end of one before."""
        if self.suspects:
            return Finding("leaf", f"leaf {self.suspects[0]}", error)
        for index, (leaf, content) in enumerate(zip(leaves[:-1], contents, strict=True), first):
            if not self._hashes(leaf, content):
                return Finding("content", f"content {index}", error)
        return Finding("block", f"leaves {first} to {first + len(leaves) - 1}", error)

    def _hashes(self, leaf: bytes, content: bytes) -> bool:
        """Return whether `content` is what the statement in `leaf` names."""
        decoded = decode_leaf(leaf)
        assert not isinstance(decoded, BlockLeaf), "only the last leaf ends a block"
        try:
            statement = STATEMENT.decode(decoded.statement)
            if statement.kind == Kind.SUBMISSION:
                submission = decode_submission(content)
                actual = submission.content_hash(self._ledger.ledger_id, statement.member)
            else:
                actual = content_hash(statement.kind, content)
        except MalformedError:
            return False
        return actual == statement.content_hash


def _check_marker(log: _Replay) -> list[Finding]:
    """
    Return what is wrong with the marker.

    Raises:
        _BrokenLogError: the marker is whole, and the log leads elsewhere.
    """
    marker = log.marker
    if log.marker_value is None:
        return [Finding("row-missing", "marker", "open the store to build its tables anew")]
    if marker is None:
        return [Finding("row-differs", "marker", "damaged, or of another format")]
    detail = (
        f"the log leads to {log.head.size} leaves with root {log.root.hex()}, the marker names "
        f"{marker.size} with {marker.root.hex()}"
    )
    if log.suspects and marker.size == log.head.size and marker.root != log.root:
        # The time of the last block is in its leaf alone, so that the rules hold for any.
        raise _BrokenLogError(Finding("leaf", f"leaf {log.suspects[0]}", detail))
    if (marker.size, marker.root) != (log.head.size, log.root):
        return [Finding("row-differs", "marker", detail)]
    if marker.engine_height < log.head.height:
        return [Finding("row-differs", "marker", f"engine height {marker.engine_height}")]
    return []


def _differences(
    rows: ReplayedRows, frozen: Frozen
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield (key, expected, found) where they differ, ascending; the marker is left out."""
    expected = rows.items()
    wanted = next(expected, None)
    for key, value in frozen.rows:
        while wanted is not None and wanted[0] < key:
            yield *wanted, None
            wanted = next(expected, None)
        if wanted is not None and wanted[0] == key:
            if wanted[1] != value and key[:1] not in tables.LOG_TABLES:
                yield *wanted, value
            wanted = next(expected, None)
        elif key != tables.MARKER:
            yield key, None, value
    while wanted is not None:
        yield *wanted, None
        wanted = next(expected, None)


def _finding(key: bytes, expected: bytes | None, found: bytes | None) -> Finding:
    where = tables.describe(key)
    if expected is None:
        return Finding("row-extra", where, "the log does not lead to this row")
    if found is None:
        return Finding("row-missing", where, "the log leads to this row")
    same = 0
    while found[same : same + 1] == expected[same : same + 1] and same < len(expected):
        same += 1
    return Finding(
        "row-differs",
        where,
        f"has {len(found)} bytes, the log leads to {len(expected)}, others from byte {same} on",
    )
