"""
A ledger store that another process writes, read here as it grows.

The process that the consensus engine drives is the only one that writes; so reads never stall it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.state import HEAD
from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_node import index as tables
from tradeline_node.database import Database
from tradeline_node.durable import FOLDER_MODE
from tradeline_node.errors import StoreDamagedError
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger

LOADS_MAX: Final = 20
LOAD_AGAIN_S: Final = 0.05
"""A store that is being written is looked at again before it is called damaged."""


class FollowedStore(LedgerStore):
    """What a `LedgerStore` shows, as of the last `advance`. It takes no blocks."""

    @classmethod
    def follow(cls, path: Path, ledger: Ledger, notes: Path) -> FollowedStore:
        """
        Return the store in folder `path`, which its writer has made; `notes` is for RocksDB's own.

        Raises:
            StoreError: it can't be opened, or is another ledger's.
            StoreDamagedError: its tables are not of one block; its writer can build them anew.
        """
        notes.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        store = cls(Database(path, secondary=notes), ledger, read_only=True)
        try:
            genesis = store.get(tables.CONTENT + tables.number(0))
            if genesis is not None and genesis != ledger.genesis_bytes:
                store._refuse_other(genesis)
            store._load_whole()
        except BaseException:
            store.close()
            raise
        return store

    def advance(self) -> bool:
        """
        Show what was written meanwhile; return whether that is anything. One thread calls this.

        Raises:
            StoreError: the store can't be read.
            StoreDamagedError: its tables are not of one block.
        """
        self._database.catch_up()
        marker = tables.decode_marker(self.get(tables.MARKER) or b"")
        if marker is not None and marker.engine_height == self.engine_height:
            return False
        if marker is not None and marker.size == self.head.size:
            self.engine_height = marker.engine_height
            return True
        if not self._step():
            self._load_whole()
        return True

    def _step(self) -> bool:
        """Show new blocks that changed no registry; return False if there is more to load."""
        try:
            marker = tables.decode_marker(self.get(tables.MARKER) or b"")
            head = HEAD.decode(self.get(state.HEAD_KEY) or b"")
            leaf = decode_leaf(self.get(tables.LEAF + tables.number(head.size - 1)) or b"")
        except (MalformedError, OverflowError):
            return False
        known = (
            marker is not None
            and marker.size == head.size
            and isinstance(leaf, BlockLeaf)
            and (leaf.height, leaf.registry_root) == (head.height, self.registry.root)
        )
        if known and marker is not None:
            # Blocks are found under their heights before the head says that they are there.
            self.head, self.engine_height = head, marker.engine_height
        return known

    def _load_whole(self) -> None:
        """Load head and registry anew; what is torn by a block that is being written, again."""
        for attempt in range(1, LOADS_MAX + 1):
            try:
                self._load()
            except StoreDamagedError:
                if attempt == LOADS_MAX:
                    raise
                time.sleep(LOAD_AGAIN_S)
                self._database.catch_up()
            else:
                return
