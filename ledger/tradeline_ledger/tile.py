"""
Tiles and entry bundles, c2sp.org/tlog-tiles: the log as files that never change.

A tile of level L holds 256 hashes of the tree's level 8 L, so each of its hashes stands for one
full tile of the level below. A bundle holds the entries of one tile of level 0. At the right edge
of the log they are partial, with the width of what is there; a full one replaces them later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import decode_integer
from tradeline_ledger.errors import InclusionError, MalformedError
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.merkle import SIZE_MAX, NodeId, leaf_hash

TILE_HEIGHT: Final = 8
"""Levels of the tree from one level of tiles to the next."""
TILE_WIDTH: Final = 1 << TILE_HEIGHT
"""Hashes in a full tile, entries in a full bundle."""
TILE_LEVEL_MAX: Final = 63
ENTRY_BYTES_MAX: Final = 0xFFFF
"""What two bytes of length can say."""
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)
PATH_CHARS_MAX: Final = 64

_LENGTH_BYTES: Final = 2
_GROUP_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Tile:
    """Consecutive hashes of one level of tiles."""

    level: int
    """0 to 63; level 0 holds leaf hashes."""
    index: int
    """Position in its level, from 0."""
    width: int = TILE_WIDTH
    """Hashes, 1 to 256; less than 256 makes it partial."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The entries whose leaf hashes are one tile of level 0."""

    index: int
    """Position, from 0; entry 256 `index` is its first."""
    width: int = TILE_WIDTH
    """Entries, 1 to 256; less than 256 makes it partial."""


def encode_path(resource: Tile | Bundle) -> str:
    """Return the path under the log's prefix, such as `tile/0/x001/234.p/5`."""
    assert 0 <= resource.index <= SIZE_MAX, resource
    assert 0 < resource.width <= TILE_WIDTH, resource
    kind = "entries" if isinstance(resource, Bundle) else str(resource.level)
    digits = str(resource.index)
    digits = digits.zfill(-(-len(digits) // _GROUP_DIGITS) * _GROUP_DIGITS)
    groups = [digits[at : at + _GROUP_DIGITS] for at in range(0, len(digits), _GROUP_DIGITS)]
    path = "/".join(["tile", kind, *(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if resource.width == TILE_WIDTH else f"{path}.p/{resource.width}"


def decode_path(path: str) -> Tile | Bundle:
    """
    Return the tile or bundle that `path` names, if it is the one path of that name.

    Raises:
        MalformedError: anything else.
    """
    malformed = MalformedError(
        f"path {path[:PATH_CHARS_MAX]!r} names no tile; expected tile/<L>/<N>[.p/<W>] or "
        "tile/entries/<N>[.p/<W>]"
    )
    full, partial, width_text = path.partition(".p/")
    prefix, _, rest = full.partition("/")
    kind, _, groups = rest.partition("/")
    digits = groups.replace("/", "").replace("x", "")
    if len(path) > PATH_CHARS_MAX or prefix != "tile" or not digits.isdigit():
        raise malformed
    index = decode_integer(digits.lstrip("0") or "0", "index of the tile")
    width = decode_integer(width_text, "width of the tile") if partial else TILE_WIDTH
    if not 0 < width < TILE_WIDTH + (not partial):
        raise malformed
    resource: Tile | Bundle
    if kind == "entries":
        resource = Bundle(index, width)
    else:
        resource = Tile(decode_integer(kind, "level of the tile"), index, width)
        if resource.level > TILE_LEVEL_MAX:
            raise malformed
    if encode_path(resource) != path:
        raise malformed
    return resource


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """
    Yield the tiles of a log of `new_size` leaves that a log of `old_size` has not.

    From size 0 these are all tiles of the log. Level by level, partial ones last in their level.
    """
    assert 0 <= old_size <= new_size <= SIZE_MAX, (old_size, new_size)
    for level in range(-(-new_size.bit_length() // TILE_HEIGHT)):
        old, new = old_size >> TILE_HEIGHT * level, new_size >> TILE_HEIGHT * level
        if old == new:
            return
        for index in range(old // TILE_WIDTH, new // TILE_WIDTH):
            yield Tile(level, index)
        if new % TILE_WIDTH:
            yield Tile(level, new // TILE_WIDTH, new % TILE_WIDTH)


def bundles_between(old_size: int, new_size: int) -> Iterator[Bundle]:
    """Yield the bundles of a log of `new_size` leaves that a log of `old_size` has not."""
    for tile in tiles_between(old_size, new_size):
        if tile.level:
            return
        yield Bundle(tile.index, tile.width)


def tile_nodes(tile: Tile) -> list[NodeId]:
    """Return the stored nodes of the tree whose hashes, in this order, are the tile."""
    first = tile.index * TILE_WIDTH
    return [(TILE_HEIGHT * tile.level, first + offset) for offset in range(tile.width)]


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """Return the tile's file: the hashes of `tile_nodes`, one after the other."""
    assert 0 < len(hashes) <= TILE_WIDTH, len(hashes)
    return b"".join(hashes)


def decode_tile(encoded: bytes, width: int) -> list[bytes]:
    """
    Return the `width` hashes of a tile's file, unverified.

    Raises:
        MalformedError: not exactly that many bytes.
    """
    if len(encoded) != width * HASH_BYTES:
        raise MalformedError(
            f"tile of width {width} has {len(encoded)} bytes, expected {width * HASH_BYTES}"
        )
    return [encoded[at : at + HASH_BYTES] for at in range(0, len(encoded), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle's file: each entry after its length in two bytes."""
    assert 0 < len(entries) <= TILE_WIDTH, len(entries)
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def decode_bundle(encoded: bytes, width: int) -> list[bytes]:
    """
    Return the `width` entries of a bundle's file, unverified.

    Raises:
        MalformedError: it ends within an entry, or holds more or fewer of them.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(encoded) and len(entries) < width:
        start = at + _LENGTH_BYTES
        end = start + int.from_bytes(encoded[at:start], "big")
        if max(start, end) > len(encoded):
            raise MalformedError(
                f"bundle ends within entry {len(entries)}: {len(encoded)} bytes, expected {end}"
            )
        entries.append(encoded[start:end])
        at = end
    if len(entries) != width or at != len(encoded):
        raise MalformedError(
            f"bundle has {len(entries)} entries and {len(encoded) - at} bytes more, expected "
            f"exactly {width} entries"
        )
    return entries


def verify_bundle(entries: Sequence[bytes], hashes: Sequence[bytes]) -> Sequence[bytes]:
    """
    Return `entries` if they hash to the tile of level 0 beside them, whose `hashes` are verified.

    Raises:
        InclusionError: another number, or an entry that is not the leaf.
    """
    if len(entries) != len(hashes):
        raise InclusionError(
            f"bundle has {len(entries)} entries, its tile has {len(hashes)} hashes"
        )
    for offset, (entry, expected) in enumerate(zip(entries, hashes, strict=True)):
        computed = leaf_hash(entry)
        if computed != expected:
            raise InclusionError(
                f"entry {offset} of the bundle has leaf hash {computed.hex()}, its tile has "
                f"{expected.hex()}; do not use this bundle"
            )
    return entries
