"""Tiles and entry bundles: the paths of other implementations, and logs of many sizes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.errors import InclusionError, MalformedError
from tradeline_ledger.merkle import NodeId, leaf_hash, new_nodes, root_of
from tradeline_ledger.tile import (
    ENTRY_BYTES_MAX,
    Bundle,
    Tile,
    bundles_between,
    decode_bundle,
    decode_path,
    decode_tile,
    encode_bundle,
    encode_path,
    encode_tile,
    tile_nodes,
    tiles_between,
    verify_bundle,
)

PATHS: dict[str, Tile | Bundle] = {
    "tile/0/000": Tile(0, 0),
    "tile/0/001.p/5": Tile(0, 1, 5),
    "tile/5/x123/x456/078": Tile(5, 123456078),
    "tile/5/x123/x456/078.p/2": Tile(5, 123456078, 2),
    "tile/0/x001/x234/067": Tile(0, 1234067),
    "tile/63/x001/000.p/255": Tile(63, 1000, 255),
    "tile/entries/x003/x057/500": Bundle(3057500),
    "tile/entries/999.p/1": Bundle(999, 1),
    "tile/0/x009/x223/x372/x036/x854/x775/807": Tile(0, 2**63 - 1),
}


@pytest.mark.parametrize("path", PATHS)
def test_path_round_trips(path: str) -> None:
    assert decode_path(path) == PATHS[path]
    assert encode_path(PATHS[path]) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tiles/0/000",
        "tile/-1/000",
        "tile/00/000",
        "tile/64/000",
        "tile/data/000",
        "tile/Entries/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/001",
        "tile/0/123/456/078",
        "tile/0/x123/x456/x078",
        "tile/0/X123/456",
        "tile/0/xx123/456",
        "tile/0/x1234/56",
        "tile/0/x123//456",
        "tile/0/12a",
        "tile/0/-01",
        "tile/0/٠٠١",
        "tile/0/²00",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.P/1",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/" + "x001/" * 1000 + "000",
    ],
)
def test_other_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        decode_path(path)


@given(st.text("tile/enrsx0123456789.p-", max_size=40))
def test_text_names_one_tile_or_none(text: str) -> None:
    for path in (text, f"tile/{text}", f"tile/0/{text}"):
        with contextlib.suppress(MalformedError):
            assert encode_path(decode_path(path)) == path


def test_sizes_have_the_tiles_of_the_specification() -> None:
    tiles = list(tiles_between(0, 70_000))
    assert tiles[:273] == [Tile(0, index) for index in range(273)]
    assert tiles[273:] == [Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_between(0, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_between(0, 0)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (1, 1, []),
        (0, 1, [Tile(0, 0, 1)]),
        (1, 2, [Tile(0, 0, 2)]),
        (255, 257, [Tile(0, 0), Tile(0, 1, 1), Tile(1, 0, 1)]),
        (256, 260, [Tile(0, 1, 4)]),
        (65_535, 65_536, [Tile(0, 255), Tile(1, 0), Tile(2, 0, 1)]),
    ],
)
def test_growth_makes_only_the_tiles_that_changed(old: int, new: int, expected: list[Tile]) -> None:
    assert list(tiles_between(old, new)) == expected
    assert list(bundles_between(old, new)) == [
        Bundle(tile.index, tile.width) for tile in expected if not tile.level
    ]


@given(st.lists(st.integers(0, 200_000), min_size=2, max_size=2).map(sorted))
def test_growth_adds_up_to_all_tiles(sizes: list[int]) -> None:
    old, new = sizes
    # Full tiles of the old size stay, partial ones are replaced.
    kept = {tile for tile in tiles_between(0, old) if tile.width == 256}
    grown = list(tiles_between(old, new))
    unchanged = {
        tile for tile in tiles_between(0, old) if old >> 8 * tile.level == new >> 8 * tile.level
    }
    assert kept | unchanged | set(grown) == set(tiles_between(0, new))
    assert not (kept | unchanged) & set(grown)


def test_tiles_of_a_log_hold_the_roots_of_the_tiles_below() -> None:
    leaves = [leaf_hash(index.to_bytes(4, "big")) for index in range(1000)]
    nodes: dict[NodeId, bytes] = dict(new_nodes(0, leaves, lambda _: []))
    for size in (1, 255, 256, 257, 513, 1000):
        for tile in tiles_between(0, size):
            hashes = [nodes[node] for node in tile_nodes(tile)]
            span = 256**tile.level
            first = tile.index * 256
            assert hashes == [
                root_of(leaves[at * span : (at + 1) * span])
                for at in range(first, first + tile.width)
            ]
            encoded = encode_tile(hashes)
            assert decode_tile(encoded, tile.width) == hashes
            for width in (tile.width - 1, tile.width + 1):
                with pytest.raises(MalformedError, match=f"expected {32 * width}"):
                    decode_tile(encoded, width)
            with pytest.raises(MalformedError, match="bytes, expected"):
                decode_tile(encoded[:-1], tile.width)


ENTRIES = [b"one", b"", b"three" * 1000, bytes(ENTRY_BYTES_MAX)]


def test_bundle_is_lengths_and_entries() -> None:
    assert encode_bundle([b"one", b""]) == b"\0\3one\0\0"
    assert decode_bundle(encode_bundle(ENTRIES), 4) == ENTRIES


@pytest.mark.parametrize(
    ("encoded", "width", "why"),
    [
        (b"", 1, "has 0 entries"),
        (b"\0\3one", 2, "has 1 entries"),
        (b"\0\3one\0\0", 1, "2 bytes more, expected exactly 1"),
        (b"\0\3one\0", 1, "1 bytes more"),
        (b"\0\3on", 1, "ends within entry 0: 4 bytes, expected 5"),
        (b"\0", 1, "ends within entry 0"),
        (b"\0\3one\0", 2, "ends within entry 1"),
        (b"\xff\xff", 1, "expected 65537"),
    ],
)
def test_malformed_bundle_is_refused(encoded: bytes, width: int, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        decode_bundle(encoded, width)


def test_bundle_that_is_not_its_tile_is_refused() -> None:
    hashes = [leaf_hash(entry) for entry in ENTRIES]
    assert verify_bundle(ENTRIES, hashes) == ENTRIES
    for at in range(len(ENTRIES)):
        altered = [*ENTRIES[:at], ENTRIES[at] + b"!", *ENTRIES[at + 1 :]]
        with pytest.raises(InclusionError, match=f"entry {at} of the bundle"):
            verify_bundle(altered, hashes)
    with pytest.raises(InclusionError, match="3 entries, its tile has 4"):
        verify_bundle(ENTRIES[:-1], hashes)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries
