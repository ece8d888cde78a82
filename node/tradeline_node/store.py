"""
The ledger store: the log, its tree and contents, the state, and what is derived from them.

One writer, the application that an engine drives, commits a block as one synced batch of rows: all
of it is there after a crash, or nothing. Any thread may read. All rows but leaves and contents
follow from those two, so a store whose other tables are missing or damaged builds them anew.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.hashing import digest
from tradeline_ledger.merkle import fold_root, leaf_hash, new_nodes, root_nodes
from tradeline_ledger.params import SETTINGS_RECORD
from tradeline_ledger.registry import EPOCH_RECORD, MEMBER_RECORD, Registry
from tradeline_ledger.state import HEAD
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_ledger.submission import header_at, header_tag
from tradeline_ledger.transition import execute_genesis
from tradeline_node import index as tables
from tradeline_node.database import REMEDY, Database
from tradeline_node.durable import FOLDER_MODE
from tradeline_node.errors import AbsentError, StoreDamagedError, StoreError
from tradeline_node.high_water import HighWater
from tradeline_node.stored_log import StoredLog
from tradeline_node.verify import Frozen, rebuild, verify_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.history import EventId
    from tradeline_ledger.merkle import NodeId
    from tradeline_ledger.transition import Executed
    from tradeline_node.verify import Finding, Progress

REBUILDS_MAX: Final = 3
"""How often one process builds the derived tables anew before it calls the store damaged."""


class LedgerStore(StoredLog):
    """
    One open ledger store, made by `open`: a `View` of the state, and the log.

    What was committed last is in `head`, `registry` and `engine_height`.
    """

    def __init__(self, database: Database, ledger: Ledger, *, read_only: bool) -> None:
        """Use an open database; `open` is what others call."""
        super().__init__(database)
        self.ledger = ledger
        self.registry: Registry = ledger.registry
        """In force from the height after `head`."""
        self.engine_height = 0
        """Last height that the engine committed, blocks that placed nothing included."""
        self.failure: str | None = None
        """Why the store takes no further blocks, None while it does."""
        self._read_only = read_only
        self._write_lock = threading.RLock()
        self._peaks: dict[NodeId, bytes] = {}
        self._rebuilds = 0
        self._high_water: HighWater | None = None

    @classmethod
    def open(cls, path: Path, ledger: Ledger, *, read_only: bool = False) -> LedgerStore:
        """
        Return the store in folder `path`; a new one begins with block 0 of `ledger`.

        A store that only reads shows what was there when it was opened.

        Raises:
            StoreError: it can't be opened, or is another ledger's.
            StoreDamagedError: leaves or contents are damaged, or acknowledged ones are missing.
        """
        if not read_only:
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        store = cls(Database(path, read_only=read_only), ledger, read_only=read_only)
        try:
            store._begin()
            if not read_only:
                store._check_high_water(HighWater(path))
        except BaseException:
            store.close()
            raise
        return store

    def root_after(self, executed: Executed) -> bytes:
        """Return the log root after a block that follows on `head`: the engine's app hash."""
        return self._grow(executed)[1]

    def commit(self, executed: Executed, engine_height: int, *, synced: bool = True) -> None:
        """
        Write a block that follows on `head`: when it returns, all of it is on the disk.

        One that is not `synced` is written, and on the disk with the next one that is: for blocks
        that can be had again.

        Raises:
            StoreError: it may be there or not. The store takes no further blocks, reads go on,
                and opening it again shows what became of it.
        """
        with self._write_lock:
            if self.failure is not None or self._read_only:
                raise StoreError(f"the store takes no blocks: {self.failure or 'opened to read'}")
            rows, root = self._grow(executed)
            size = executed.head.size
            rows += executed.writes.items()
            rows.append((tables.MARKER, tables.encode_marker(engine_height, size, root)))
            histories: list[bytes] = []
            if executed.leaves:
                owner = partial(self._owner, executed)
                added, histories = tables.block_rows(executed, self.head.size, owner)
                rows += added
            try:
                self._database.write(rows, histories, synced=synced)
                if self._high_water is not None and synced:
                    self._high_water.write(size, root)
            except StoreError as error:
                self.failure = str(error)
                raise
            self._advance(executed, engine_height, rows)

    def rebuild_index(self) -> None:
        """
        Build all tables but leaves and contents anew from those two, whatever they hold now.

        Raises:
            StoreDamagedError: leaves or contents are damaged themselves; nothing was changed.
            StoreError: the store can't be written.
        """
        with self._write_lock:
            if self._read_only:
                raise StoreDamagedError(
                    "tables of the ledger store must be built anew, and it was opened to read: "
                    "start the node, which does it, or open the store to write"
                )
            rebuild(Frozen(self._database), self.ledger)
            self._load()

    def verify(self, progress: Progress | None = None) -> list[Finding]:
        """
        Replay the whole log and compare every row; return what is wrong, naming the record.

        Blocks committed meanwhile are not looked at. `progress` is called with (leaves done, all).

        Raises:
            StoreError: the store can't be read at all.
        """
        with self._write_lock:
            frozen = Frozen(self._database)
        return verify_rows(frozen, self.ledger, progress)

    def checkpoint_to(self, path: Path) -> None:
        """
        Make a consistent copy of the store, a backup, in folder `path`, which must not exist.

        Raises:
            StoreError: it can't be made.
        """
        self._database.copy_to(path)

    def close(self) -> None:
        """Close the store; a block that is being committed is finished first."""
        with self._write_lock:
            self.failure = self.failure or "closed"
            if self._high_water is not None:
                self._high_water.close()
                self._high_water = None
            self._database.close()

    def _begin(self) -> None:
        """Write block 0 of a new store, or load one of this ledger; rebuild what is stale."""
        genesis = self._database.get(tables.CONTENT + tables.number(0))
        if genesis == self.ledger.genesis_bytes:
            try:
                self._load()
            except StoreDamagedError:
                self.rebuild_index()
            return
        if genesis is not None:
            self._refuse_other(genesis)
        if next(self._database.iterate(), None) is not None:
            raise StoreDamagedError(f"ledger store {self._database.path} has no genesis; {REMEDY}")
        first = execute_genesis(self.ledger)
        rows = tables.genesis_rows(first, self.ledger.ledger_id, self.ledger.genesis_bytes)
        root = leaf_hash(first.leaves[0])
        rows += [(tables.node_key((0, 0)), root), *first.writes.items()]
        rows.append((tables.MARKER, tables.encode_marker(0, 1, root)))
        self._database.write(rows)
        self._load()

    def _refuse_other(self, genesis: bytes) -> None:
        found = digest("genesis", genesis)
        leaf = self._database.get(tables.LEAF + tables.number(0)) or b""
        if self.ledger.ledger_id in leaf:
            raise StoreDamagedError(
                f"ledger store {self._database.path}: content 0 is not the genesis; {REMEDY}"
            )
        raise StoreError(
            f"ledger store {self._database.path} is of ledger {found.hex()}, the genesis file of "
            f"{self.ledger.ledger_id.hex()}; point the node at its own folder"
        )

    def _load(self) -> None:
        """
        Take head, registry and peaks from the rows, checking that they are of one block.

        Raises:
            StoreDamagedError: they are not.
        """
        marker = tables.decode_marker(self._database.get(tables.MARKER) or b"")
        try:
            head = HEAD.decode(self._database.get(state.HEAD_KEY) or b"")
            members = [MEMBER_RECORD.decode(v) for _, v in self.iterate(state.MEMBER_PREFIX)]
            epochs = [EPOCH_RECORD.decode(v) for _, v in self.iterate(state.EPOCH_PREFIX)]
            settings = [SETTINGS_RECORD.decode(v) for _, v in self.iterate(state.SETTINGS_PREFIX)]
            registry = Registry(tuple(members), tuple(epochs), tuple(settings))
            last = decode_leaf(
                self._database.get(tables.LEAF + tables.number(head.size - 1)) or b""
            )
            peaks = root_nodes(head.size)
            hashes = self.nodes(peaks)
        except (LedgerError, AbsentError, OverflowError) as error:
            raise StoreDamagedError(f"tables of the ledger store are damaged: {error}") from error
        whole = (
            marker is not None
            and isinstance(last, BlockLeaf)
            and (marker.size, marker.root) == (head.size, fold_root(hashes))
            and (last.height, last.registry_root) == (head.height, registry.root)
        )
        if not whole or marker is None:
            raise StoreDamagedError("tables of the ledger store are not of one block")
        self.head, self.registry, self.engine_height = head, registry, marker.engine_height
        self._peaks = dict(zip(peaks, hashes, strict=True))

    def _check_high_water(self, high_water: HighWater) -> None:
        """Refuse a database that lacks what was committed before it was closed or killed."""
        self._high_water = high_water
        mark = high_water.read()
        if mark is not None and (mark.size > self.head.size or self.root(mark.size) != mark.root):
            raise StoreDamagedError(
                f"ledger store {self._database.path} ends at {self.head.size} leaves, and had "
                f"committed {mark.size} with root {mark.root.hex()}: its write-ahead log is "
                f"damaged or it is an old copy; {REMEDY}"
            )

    def _grow(self, executed: Executed) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return the rows of the nodes that a block completes, and the root after it."""
        size = self.head.size
        assert executed.head.size == size + len(executed.leaves), (executed.head.size, size)
        hashes = [leaf_hash(leaf) for leaf in executed.leaves]
        nodes = new_nodes(size, hashes, lambda ids: [self._peaks[node] for node in ids])
        known = self._peaks | dict(nodes)
        root = fold_root([known[node] for node in root_nodes(executed.head.size)])
        return [(tables.node_key(node), hash_) for node, hash_ in nodes], root

    def _owner(self, executed: Executed, target: EventId) -> tables.Owner:
        """Return member and tag under which the target of a mark is filed."""
        placed = target.index - self.head.size
        if placed < 0:
            member = self._statement(target.index)[1].member
            return member, header_tag(header_at(self.content(target.index), target.position))
        signed = executed.placed[placed].applied.signed
        assert signed is not None, target
        assert signed.submission is not None, target
        return signed.member.id, signed.submission.batch.tag(target.position)

    def _advance(
        self, executed: Executed, engine_height: int, rows: list[tuple[bytes, bytes]]
    ) -> None:
        """Show a block that was written."""
        written = dict(rows)
        size = executed.head.size
        self._peaks = {
            node: self._peaks.get(node) or written[tables.node_key(node)]
            for node in root_nodes(size)
        }
        self.registry, self.engine_height = executed.registry, engine_height
        self.head = executed.head

    def _mend(self, what: str) -> None:
        with self._write_lock:
            self._rebuilds += 1
            if self._rebuilds > REBUILDS_MAX:
                raise StoreDamagedError(f"ledger store {self._database.path}: {what}; {REMEDY}")
            self.rebuild_index()
