"""Writes the mirror of a `World` as files, signed and cosigned by its validators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world import World

from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.merkle import leaf_hash, levels_of, root_of
from tradeline_ledger.note import Note, encode_note, sign_note
from tradeline_ledger.statement import STATEMENT, EntryLeaf, decode_leaf
from tradeline_ledger.tile import (
    Bundle,
    bundles_between,
    encode_bundle,
    encode_path,
    encode_tile,
    tiles_between,
)
from tradeline_ledger.trust import log_vkey, policy_of

if TYPE_CHECKING:
    from pathlib import Path


def signed_checkpoint(
    world: World, validators: tuple[int, ...] | None = None, size: int | None = None
) -> bytes:
    """Return the checkpoint of `world`, with two lines of each of `validators`; None: of all."""
    leaves = world.leaves if size is None else world.leaves[:size]
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    origin = world.ledger.origin
    text = encode_checkpoint(Checkpoint(origin, len(leaves), root))
    lines = []
    for number in validators or world.registry.epoch.validators:
        who = world.institution(number)
        lines.append(sign_note(text, origin, who.note))
        lines.append(cosign(text, cosigner_name(origin, number), who.cosigner, 1_790_000_100))
    return encode_note(Note(text, tuple(lines)))


def write_mirror(world: World, path: Path) -> None:
    """Write every file of the mirror of `world` below `path`."""
    for name, data in mirror_files(world).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def mirror_files(world: World) -> dict[str, bytes]:
    """Return every file of the mirror of `world` by its name."""
    size = len(world.leaves)
    validator = world.registry.member(world.registry.epoch.validators[0])
    assert validator is not None
    files = {
        "checkpoint": signed_checkpoint(world),
        "genesis": world.ledger.file,
        "policy": policy_of(world.ledger, world.registry).encode(),
        "log.vkey": f"{log_vkey(world.ledger, validator)}\n".encode(),
        f"content/{world.ledger.ledger_id.hex()}": world.ledger.genesis_bytes,
    }
    for index, content in world.contents.items():
        leaf = decode_leaf(world.leaves[index])
        assert isinstance(leaf, EntryLeaf)
        files[f"content/{STATEMENT.decode(leaf.statement).content_hash.hex()}"] = content
    nodes = _tile_levels(world)
    for tile in tiles_between(0, size):
        start = tile.index * 256
        files[encode_path(tile)] = encode_tile(nodes[tile.level][start : start + tile.width])
    for bundle in bundles_between(0, size):
        start = bundle.index * 256
        entries = world.leaves[start : start + bundle.width]
        files[encode_path(Bundle(bundle.index, bundle.width))] = encode_bundle(entries)
    return files


def _tile_levels(world: World) -> list[list[bytes]]:
    hashes = [leaf_hash(leaf) for leaf in world.leaves]
    levels = [hashes]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        full = len(below) // 256
        levels.append([levels_of(below[i * 256 : (i + 1) * 256])[-1][0] for i in range(full)])
    return levels
