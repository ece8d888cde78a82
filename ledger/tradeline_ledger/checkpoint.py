"""
Checkpoints, c2sp.org/tlog-checkpoint: the head of a log as the text of a signed note.

    origin
    number of leaves
    base64 of the root

Extension lines are refused. No log of ours writes them, nobody can audit them, and not every
type of cosignature covers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import (
    KEY_NAME_BYTES_MAX,
    check_utf8,
    decode_base64,
    decode_integer,
    encode_base64,
)
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.merkle import EMPTY_ROOT, SIZE_MAX

CHECKPOINT_BYTES_MAX: Final = KEY_NAME_BYTES_MAX + 128
"""The text alone, without signatures."""

_LEDGER_ID_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: what its first `size` leaves hash to."""

    origin: str
    """Names the log."""
    size: int
    """Leaves in the log."""
    root: bytes
    """Root of the tree over them, 32 bytes."""


def origin_of(ledger_id: bytes) -> str:
    """Return the origin of a ledger's log, also the name of each key that signs its checkpoints."""
    assert len(ledger_id) == HASH_BYTES, len(ledger_id)
    return f"tradeline.{ledger_id.hex()[:_LEDGER_ID_DIGITS]}"


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text to sign."""
    assert 0 <= checkpoint.size <= SIZE_MAX, checkpoint
    assert len(checkpoint.root) == HASH_BYTES, checkpoint
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"


def decode_checkpoint(text: str) -> Checkpoint:
    """
    Return the checkpoint that `text` is the one encoding of.

    Raises:
        MalformedError: other than three lines, a wrong line, or a root that no empty log has.
    """
    check_utf8(text, "checkpoint", CHECKPOINT_BYTES_MAX)
    match text.split("\n"):
        case [origin, size_text, root_text, ""]:
            check_utf8(origin, "origin", KEY_NAME_BYTES_MAX)
        case lines:
            raise MalformedError(
                f"checkpoint has {len(lines) - 1} lines, expected origin, size and root, each "
                "with a newline, and no extension lines"
            )
    if any(char < " " for char in origin):
        raise MalformedError(f"origin {origin!r} contains a control character")
    size = decode_integer(size_text, "size of the checkpoint")
    root = decode_base64(root_text, "root of the checkpoint")
    if len(root) != HASH_BYTES:
        raise MalformedError(f"root of the checkpoint has {len(root)} bytes, expected 32")
    if not size and root != EMPTY_ROOT:
        raise MalformedError(
            f"checkpoint of an empty log has root {root.hex()}, expected SHA-256 of nothing"
        )
    return Checkpoint(origin, size, root)
