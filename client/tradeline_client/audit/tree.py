"""The tree of a log, rebuilt leaf by leaf and compared with the tiles of a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.merkle import Frontier, root_of
from tradeline_ledger.tile import TILE_WIDTH, Tile, encode_path, encode_tile

if TYPE_CHECKING:
    from collections.abc import Callable


class TileTree:
    """Root and tiles of a growing log; memory is one tile a level."""

    def __init__(self, compare: Callable[[str, bytes], None]) -> None:
        """Call `compare` with name and expected bytes of every tile that must exist."""
        self._compare = compare
        self._frontier = Frontier()
        self._open: list[list[bytes]] = []
        self._full: list[int] = []

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """Root of the leaves so far."""
        return self._frontier.root

    def append(self, leaf_hash: bytes) -> None:
        """Add the hash of the next leaf."""
        self._frontier.append(leaf_hash)
        self._add(0, leaf_hash)

    def finish(self) -> None:
        """Compare the partial tiles at the right edge."""
        for level, hashes in enumerate(self._open):
            if hashes:
                tile = Tile(level, self._full[level], len(hashes))
                self._compare(encode_path(tile), encode_tile(hashes))

    def _add(self, level: int, hash_: bytes) -> None:
        if level == len(self._open):
            self._open.append([])
            self._full.append(0)
        hashes = self._open[level]
        hashes.append(hash_)
        if len(hashes) == TILE_WIDTH:
            self._compare(encode_path(Tile(level, self._full[level])), encode_tile(hashes))
            self._full[level] += 1
            self._open[level] = []
            self._add(level + 1, root_of(hashes))
