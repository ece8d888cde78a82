"""Two mirrors of one ledger compared: the same, one a prefix of the other, or a fork."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_client.audit.folder import CHECKPOINT, MirrorFolder
from tradeline_client.errors import FileError
from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.fork import encode_fork
from tradeline_ledger.merkle import (
    NodeId,
    consistency_path,
    fold_root,
    leaf_hash,
    new_nodes,
    root_nodes,
)
from tradeline_ledger.note import decode_note
from tradeline_ledger.tile import bundles_between, decode_bundle, encode_path

if TYPE_CHECKING:
    from pathlib import Path


class Relation(enum.Enum):
    """How two mirrors stand to each other."""

    SAME = "same"
    PREFIX = "prefix"
    """One is an earlier state of the other."""
    FORK = "fork"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of `compare`."""

    relation: Relation
    smaller: Path
    """The mirror of the smaller size; the first, if they have one size."""
    larger: Path
    sizes: tuple[int, int]
    first_difference: int | None
    """Log index of the first leaf that differs; None unless it is a fork."""
    evidence: bytes | None
    """Evidence file of a fork, see `tradeline_ledger.evidence`."""


def compare(first: Path, second: Path) -> Comparison:
    """
    Return how two mirrors stand to each other, with evidence where they forked.

    Both are taken as they are: audit each of them to know whether it follows its own checkpoint.

    Raises:
        FileError: a file of one of them is missing.
        MalformedError: a file does not decode.
        VerificationError: the mirrors are of two ledgers, or one does not lead to its checkpoint.
    """
    mirrors = sorted((_Mirror(first), _Mirror(second)), key=lambda each: each.checkpoint.size)
    smaller, larger = mirrors
    size = smaller.checkpoint.size
    prefix_root = larger.root(size)
    if smaller.checkpoint.origin == larger.checkpoint.origin and (
        prefix_root == smaller.checkpoint.root
    ):
        same = size == larger.checkpoint.size
        return Comparison(
            Relation.SAME if same else Relation.PREFIX,
            smaller.path,
            larger.path,
            (size, larger.checkpoint.size),
            None,
            None,
        )
    path = consistency_path(size, larger.checkpoint.size, larger.read)
    evidence = encode_fork(smaller.note, larger.note, prefix_root, path)
    pairs = enumerate(zip(smaller.leaves, larger.leaves, strict=False))
    difference = next((index for index, (a, b) in pairs if a != b), None)
    sizes = (size, larger.checkpoint.size)
    return Comparison(Relation.FORK, smaller.path, larger.path, sizes, difference, evidence)


class _Mirror:
    """Checkpoint and tree of one mirror, from its bundles of entries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        folder = MirrorFolder(path)
        self.note = self._file(folder, CHECKPOINT)
        self.checkpoint: Checkpoint = decode_checkpoint(decode_note(self.note).text)
        self.leaves: list[bytes] = []
        for bundle in bundles_between(0, self.checkpoint.size):
            encoded = self._file(folder, encode_path(bundle))
            self.leaves += [leaf_hash(leaf) for leaf in decode_bundle(encoded, bundle.width)]
        self._nodes: dict[NodeId, bytes] = dict(new_nodes(0, self.leaves, self.read))

    def read(self, ids: list[NodeId]) -> list[bytes]:
        """Return complete nodes of the tree; see `merkle.ReadNodes`."""
        return [self._nodes[each] for each in ids]

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves."""
        return fold_root(self.read(root_nodes(size)))

    def _file(self, folder: MirrorFolder, name: str) -> bytes:
        data = folder.read(name)
        if data is None:
            raise FileError(f"{self.path} has no {name}; is it a mirror made by tradeline mirror?")
        return data
