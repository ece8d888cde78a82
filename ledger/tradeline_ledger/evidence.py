"""
Evidence of a forked log: two signed checkpoints that no append-only log has both.

A failing proof convinces nobody, since anybody can send one. So the evidence of a fork carries a
consistency path that does lead to the larger checkpoint, and the root of the smaller size that it
starts from: another than the smaller checkpoint's (docs/formats.md, section 10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.encoding import B32, U8, Codec, Record, encode
from tradeline_ledger.errors import MalformedError, VerificationError
from tradeline_ledger.merkle import PATH_HASHES_MAX, verify_consistency
from tradeline_ledger.note import NOTE_BYTES_MAX, Note, decode_note, verify_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.note import VerifierKey

EVIDENCE_FORMAT: Final = 1
EVIDENCE_BYTES_MAX: Final = 2 * NOTE_BYTES_MAX + 64 * PATH_HASHES_MAX + 256
_MAGIC: Final = b"tradeline/v1 evidence\n"


class ForkEvidence(Record, frozen=True):
    """Two checkpoints of one origin that can't both be true."""

    format: U8
    """1."""
    smaller: bytes
    """Signed note of the checkpoint of the smaller size, or of the same."""
    larger: bytes
    """Signed note of the other."""
    prefix_root: B32
    """Root of the larger log at the smaller size."""
    path: tuple[B32, ...]
    """Consistency path from (smaller size, `prefix_root`) to the larger checkpoint."""

    def __post_init__(self) -> None:
        """Refuse other formats."""
        if self.format != EVIDENCE_FORMAT or len(self.path) > PATH_HASHES_MAX:
            raise ValueError(f"evidence format is {self.format}, expected {EVIDENCE_FORMAT}")


_EVIDENCE: Final[Codec[ForkEvidence]] = Codec(ForkEvidence, "evidence", EVIDENCE_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Fork:
    """A proven fork."""

    smaller: Checkpoint
    larger: Checkpoint
    smaller_note: Note
    larger_note: Note

    def blame(self, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
        """
        Return those of `keys`, all of type 0x01, that signed both checkpoints.

        Their owners equivocated; where there are none, two owners of keys fork the log.

        Raises:
            SignatureError: one checkpoint carries no valid signature by any of `keys`.
        """
        first = verify_note(self.smaller_note, keys)
        second = verify_note(self.larger_note, keys)
        return tuple(key for key in first if key in second)


def encode_fork(smaller: bytes, larger: bytes, prefix_root: bytes, path: Sequence[bytes]) -> bytes:
    """
    Return the evidence file of two signed notes.

    Raises:
        VerificationError: they do not prove a fork.
    """
    record = ForkEvidence(EVIDENCE_FORMAT, smaller, larger, prefix_root, tuple(path))
    encoded = _MAGIC + encode(record)
    decode_fork(encoded)
    return encoded


def is_evidence(data: bytes) -> bool:
    """Return whether `data` begins as an evidence file does."""
    return data.startswith(_MAGIC)


def decode_fork(data: bytes) -> Fork:
    """
    Return the fork that an evidence file proves; whose signatures count is the caller's to say.

    Raises:
        MalformedError: no evidence file.
        VerificationError: the two checkpoints may be of one log.
    """
    if not is_evidence(data):
        raise MalformedError("no evidence file: it begins otherwise")
    record = _EVIDENCE.decode(data[len(_MAGIC) :])
    smaller_note, larger_note = decode_note(record.smaller), decode_note(record.larger)
    smaller, larger = decode_checkpoint(smaller_note.text), decode_checkpoint(larger_note.text)
    if smaller.origin != larger.origin or smaller.size > larger.size:
        raise VerificationError(
            f"checkpoints of {smaller.origin} at {smaller.size} and {larger.origin} at "
            f"{larger.size}: expected one origin, the smaller first"
        )
    verify_consistency(smaller.size, larger.size, record.path, record.prefix_root, larger.root)
    if record.prefix_root == smaller.root:
        raise VerificationError("the two checkpoints are of one log: no fork")
    return Fork(smaller, larger, smaller_note, larger_note)
