"""
Chunks of the log: whole blocks with leaves and contents, as one node hands them to another.

A chunk brings the proof that the log up to its end is the beginning of the log of a checkpoint. So
whoever has the log before it, and a checkpoint that a quorum cosigned, knows of each chunk by
itself that its leaves are right before anything is done with them (docs/formats.md, section 9).
Contents follow from the leaves: executing the block compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import U64, Codec, Record
from tradeline_ledger.errors import ConsistencyError, VerificationError
from tradeline_ledger.merkle import leaf_hash, verify_consistency
from tradeline_ledger.statement import CONTENT_BYTES_MAX, LEAF_BYTES_MAX
from tradeline_ledger.trust import Path

if TYPE_CHECKING:
    from tradeline_ledger.merkle import Frontier

CHUNK_BYTES_MAX: Final = 16 << 20
CHUNK_BLOCKS_MAX: Final = 10_000
BLOCK_LEAVES_MAX: Final = 100_001
"""Entries of one block and the block leaf."""


class LogBlock(Record, frozen=True):
    """One block that has leaves."""

    leaves: Annotated[
        tuple[Annotated[bytes, Meta(max_length=LEAF_BYTES_MAX)], ...],
        Meta(min_length=1, max_length=BLOCK_LEAVES_MAX),
    ]
    """Of its entries, then the block leaf."""
    contents: Annotated[
        tuple[Annotated[bytes, Meta(max_length=CONTENT_BYTES_MAX)], ...],
        Meta(max_length=BLOCK_LEAVES_MAX - 1),
    ]
    """Of its entries, in their order."""

    def __post_init__(self) -> None:
        """Refuse a block without exactly one content an entry."""
        if len(self.leaves) != len(self.contents) + 1:
            raise ValueError(
                f"a block of {len(self.leaves)} leaves has {len(self.contents)} contents, expected "
                f"{len(self.leaves) - 1}"
            )


class LogChunk(Record, frozen=True):
    """Consecutive blocks of a log."""

    first: U64
    """Log index of the first leaf."""
    path: Path
    """Consistency path from the end of the last block to the size that was asked for."""
    blocks: Annotated[tuple[LogBlock, ...], Meta(min_length=1, max_length=CHUNK_BLOCKS_MAX)]


LOG_CHUNK: Final[Codec[LogChunk]] = Codec(LogChunk, "log chunk", CHUNK_BYTES_MAX)


def verify_chunk(chunk: LogChunk, before: Frontier, size: int, root: bytes) -> Frontier:
    """
    Return the tree after `chunk`, whose leaves are those of the log with `root` at `size`.

    `before` is the tree of the leaves before it, of which the caller knows that they are; it is
    left as it was. Contents are not looked at.

    Raises:
        VerificationError: it begins elsewhere, or goes beyond `size`.
        ConsistencyError: its leaves are not those of that log.
    """
    if chunk.first != before.size:
        raise VerificationError(
            f"log chunk begins at leaf {chunk.first}, leaf {before.size} was asked for"
        )
    end = before.size + sum(len(block.leaves) for block in chunk.blocks)
    if end > size:
        raise VerificationError(f"log chunk ends at size {end}, at most {size} was asked for")
    after = before.copy()
    for block in chunk.blocks:
        for leaf in block.leaves:
            after.append(leaf_hash(leaf))
    try:
        verify_consistency(end, size, chunk.path, after.root, root)
    except ConsistencyError as error:
        raise ConsistencyError(
            f"log chunk of leaves {chunk.first} to {end - 1} is not of the log with root "
            f"{root.hex()} at size {size}: {error}"
        ) from error
    return after
