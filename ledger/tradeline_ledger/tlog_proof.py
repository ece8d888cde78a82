"""
Proofs as files, c2sp.org/tlog-proof: an entry is in the log, for whoever trusts a policy.

    c2sp.org/tlog-proof@v1
    extra <base64>          optional, unauthenticated
    index <n>
    <base64 hash>...        the path, the leaf's sibling first
    <empty line>
    checkpoint, a signed note
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import decode_base64, decode_integer, encode_base64
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.merkle import PATH_HASHES_MAX, verify_inclusion
from tradeline_ledger.note import NOTE_BYTES_MAX, Note, decode_note, encode_note
from tradeline_ledger.policy import Policy, VerifiedCheckpoint, verify_checkpoint_note

EXTRA_BYTES_MAX: Final = 64 * 1024
PROOF_BYTES_MAX: Final = NOTE_BYTES_MAX + 128 * 1024

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_HEAD_LINES_MAX: Final = PATH_HASHES_MAX + 3


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That some leaf is in a log, unverified."""

    index: int
    """Of the leaf, from 0."""
    path: tuple[bytes, ...]
    """Hashes of 32 bytes, the leaf's sibling first; at most 63."""
    checkpoint: Note
    extra: bytes = b""
    """For the application; proved by nothing."""


def encode_proof(proof: TlogProof) -> bytes:
    """Return the file of a proof."""
    assert len(proof.path) <= PATH_HASHES_MAX, len(proof.path)
    assert len(proof.extra) <= EXTRA_BYTES_MAX, len(proof.extra)
    lines = [_HEADER]
    if proof.extra:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += (encode_base64(hash_) for hash_ in proof.path)
    head = "".join(f"{line}\n" for line in lines)
    return f"{head}\n".encode() + encode_note(proof.checkpoint)


def decode_proof(encoded: bytes) -> TlogProof:
    """
    Return the proof that `encoded` is the one file of. Nothing of it is verified yet.

    Raises:
        MalformedError: another form, or over a limit.
    """
    if len(encoded) > PROOF_BYTES_MAX:
        raise MalformedError(f"proof has {len(encoded)} bytes, at most {PROOF_BYTES_MAX} allowed")
    head, blank, checkpoint = encoded.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError(f"proof is not ASCII before the checkpoint: {error}") from error
    if lines[0] != _HEADER:
        raise MalformedError(f"proof starts with {lines[0][:40]!r}, expected {_HEADER!r}")
    if not blank:
        raise MalformedError("proof has no empty line, expected one before the checkpoint")
    if len(lines) > _HEAD_LINES_MAX:
        raise MalformedError(f"path has more than {PATH_HASHES_MAX} hashes")
    extra = b""
    lines = lines[1:]
    if lines and lines[0].startswith("extra "):
        extra = decode_base64(lines[0].removeprefix("extra "), "extra data")
        lines = lines[1:]
    if len(extra) > EXTRA_BYTES_MAX:
        raise MalformedError(f"extra data has {len(extra)} bytes, at most {EXTRA_BYTES_MAX}")
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("proof has no index line, expected 'index <n>'")
    index = decode_integer(lines[0].removeprefix("index "), "index")
    path = tuple(decode_base64(line, "hash of the path") for line in lines[1:])
    if len(path) > PATH_HASHES_MAX or any(len(hash_) != HASH_BYTES for hash_ in path):
        raise MalformedError(f"path is not of at most {PATH_HASHES_MAX} hashes of 32 bytes")
    return TlogProof(index, path, decode_note(checkpoint), extra)


def verify_proof(proof: TlogProof, leaf: bytes, policy: Policy) -> VerifiedCheckpoint:
    """
    Return the checkpoint under which `leaf`, a leaf hash, is in a log that `policy` accepts.

    Raises:
        MalformedError: the note's text is not a checkpoint.
        SignatureError: a signature by a key of the policy is bad.
        PolicyError: the policy does not accept the checkpoint.
        InclusionError: the leaf is not at that index of that log.
    """
    verified = verify_checkpoint_note(proof.checkpoint, policy)
    head = verified.checkpoint
    verify_inclusion(leaf, proof.index, head.size, proof.path, head.root)
    return verified
