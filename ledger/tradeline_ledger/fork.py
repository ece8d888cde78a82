"""
Evidence of a forked log: two signed checkpoints that no append-only log has both.

A failing proof convinces nobody, since anybody can send one. So the evidence of a fork carries a
consistency path that does lead to the larger checkpoint, and the root of the smaller size that it
starts from: another than the smaller checkpoint's (docs/formats.md, section 10). Where one key
cosigned both, the evidence names it: its owner said of both that it knows no other log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint
from tradeline_ledger.cosignature import verify_cosignatures
from tradeline_ledger.encoding import B32, U8, Codec, Record
from tradeline_ledger.errors import MalformedError, SignatureError, VerificationError
from tradeline_ledger.evidence_file import EvidenceType, check_type, evidence_type, unwrap, wrap
from tradeline_ledger.merkle import PATH_HASHES_MAX, verify_consistency
from tradeline_ledger.note import (
    NOTE_BYTES_MAX,
    VKEY_CHARS_MAX,
    KeyType,
    Note,
    VerifierKey,
    decode_note,
    decode_vkey,
    encode_vkey,
    verify_note,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FORK_BYTES_MAX: Final = 2 * NOTE_BYTES_MAX + 64 * PATH_HASHES_MAX + 256
WITNESS_BYTES_MAX: Final = FORK_BYTES_MAX + 4 * VKEY_CHARS_MAX

_Path = Annotated[tuple[B32, ...], Meta(max_length=PATH_HASHES_MAX)]


class ForkEvidence(Record, frozen=True):
    """Two checkpoints of one origin that can't both be true."""

    type: U8
    """1."""
    smaller: bytes
    """Signed note of the checkpoint of the smaller size, or of the same."""
    larger: bytes
    """Signed note of the other."""
    prefix_root: B32
    """Root of the larger log at the smaller size."""
    path: _Path
    """Consistency path from (smaller size, `prefix_root`) to the larger checkpoint."""

    def __post_init__(self) -> None:
        """Refuse other types."""
        check_type(self.type, EvidenceType.FORK)


class WitnessEvidence(Record, frozen=True):
    """Two checkpoints of one origin that can't both be true, both cosigned by one key."""

    type: U8
    """2."""
    smaller: bytes
    larger: bytes
    prefix_root: B32
    path: _Path
    accused: str
    """vkey, type 0x04, of the cosigner."""

    def __post_init__(self) -> None:
        """Refuse other types."""
        check_type(self.type, EvidenceType.WITNESS)


_FORK: Final[Codec[ForkEvidence]] = Codec(ForkEvidence, "evidence", FORK_BYTES_MAX)
_WITNESS: Final[Codec[WitnessEvidence]] = Codec(WitnessEvidence, "evidence", WITNESS_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Fork:
    """A proven fork."""

    smaller: Checkpoint
    larger: Checkpoint
    smaller_note: Note
    larger_note: Note
    accused: VerifierKey | None
    """The key, of type 0x04, that the evidence proves to have cosigned both, if it names one."""

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
    encoded = wrap(ForkEvidence(EvidenceType.FORK, smaller, larger, prefix_root, tuple(path)))
    decode_fork(encoded)
    return encoded


def encode_equivocation(fork: bytes, accused: VerifierKey) -> bytes:
    """
    Return the evidence file against the cosigner of both checkpoints of the evidence `fork`.

    Raises:
        MalformedError: `fork` is no evidence file of a fork.
        SignatureError: `accused` did not cosign both.
        VerificationError: it proves no fork.
    """
    record = _FORK.decode(unwrap(fork))
    encoded = wrap(
        WitnessEvidence(
            EvidenceType.WITNESS,
            record.smaller,
            record.larger,
            record.prefix_root,
            record.path,
            encode_vkey(accused),
        )
    )
    decode_fork(encoded)
    return encoded


def decode_fork(data: bytes) -> Fork:
    """
    Return the fork that an evidence file proves; whose signatures count is the caller's to say.

    Raises:
        MalformedError: no evidence file of a fork.
        SignatureError: the cosigner that it names did not cosign both checkpoints.
        VerificationError: the two checkpoints may be of one log.
    """
    if evidence_type(data) is EvidenceType.WITNESS:
        named = _WITNESS.decode(unwrap(data))
        return _verify(named, decode_vkey(named.accused))
    return _verify(_FORK.decode(unwrap(data)), None)


def _verify(record: ForkEvidence | WitnessEvidence, accused: VerifierKey | None) -> Fork:
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
    if accused is not None:
        _check_cosigned(accused, smaller_note, larger_note)
    return Fork(smaller, larger, smaller_note, larger_note, accused)


def _check_cosigned(accused: VerifierKey, *notes: Note) -> None:
    if accused.type is not KeyType.COSIGNATURE:
        raise MalformedError(f"the key accused, of {accused.name!r}, is no cosigner's (type 0x04)")
    for note in notes:
        if not verify_cosignatures(note, [accused]):
            raise SignatureError(f"{accused.name!r} did not cosign both checkpoints")
