"""
Requests to witnesses, c2sp.org/tlog-witness: a checkpoint and the proof that it extends another.

    old <size of the checkpoint that the witness cosigned last>
    base64 of a hash of the consistency path, one a line, at most 63
    <empty line>
    the checkpoint, a signed note

Nothing in a request is verified by decoding it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tradeline_ledger.c2sp import decode_base64, decode_integer, encode_base64
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.hashing import HASH_BYTES
from tradeline_ledger.merkle import PATH_HASHES_MAX
from tradeline_ledger.note import Note, decode_note

WITNESS_REQUEST_BYTES_MAX: Final = 256 << 10
"""The checkpoint with all its lines included; the format itself sets no limit."""
SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
"""Of the answer that says which size was cosigned last."""
_OLD: Final = "old "


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """One request, unverified."""

    old_size: int
    """What its sender believes that the witness cosigned last; 0: nothing."""
    path: tuple[bytes, ...]
    """Consistency path from there to the checkpoint, 32 bytes each."""
    note: Note
    """The checkpoint with its signatures."""


def encode_witness_request(old_size: int, path: Sequence[bytes], note: bytes) -> bytes:
    """Return the body that asks for a cosignature of the checkpoint `note`."""
    assert len(path) <= PATH_HASHES_MAX, len(path)
    lines = [f"{_OLD}{old_size}", *map(encode_base64, path), ""]
    return "".join(f"{line}\n" for line in lines).encode() + note


def decode_witness_request(body: bytes) -> WitnessRequest:
    """
    Return the request that `body` is.

    Raises:
        MalformedError: no such request, or over a limit.
    """
    if len(body) > WITNESS_REQUEST_BYTES_MAX:
        raise MalformedError(
            f"request has {len(body)} bytes, at most {WITNESS_REQUEST_BYTES_MAX} are allowed"
        )
    head, blank, note = body.partition(b"\n\n")
    if not blank:
        raise MalformedError("request has no empty line between its proof and its checkpoint")
    try:
        first, *rest = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("request has other than ASCII before its checkpoint") from error
    if not first.startswith(_OLD):
        raise MalformedError(f"first line of the request is {first[:40]!r}, expected 'old <size>'")
    if len(rest) > PATH_HASHES_MAX:
        raise MalformedError(f"proof has {len(rest)} lines, at most {PATH_HASHES_MAX} are allowed")
    path = tuple(decode_base64(line, "line of the proof") for line in rest)
    if any(len(each) != HASH_BYTES for each in path):
        raise MalformedError("a line of the proof is not of 32 bytes")
    return WitnessRequest(
        decode_integer(first.removeprefix(_OLD), "old size"), path, decode_note(note)
    )
