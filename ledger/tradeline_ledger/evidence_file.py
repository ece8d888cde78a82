"""
The form that all evidence files share: a first line, and a record that begins with its type.

docs/formats.md, section 10. What a type proves and how is in `fork`, `conviction` and
`quality_evidence`.
"""

from __future__ import annotations

import enum
from typing import Final

from tradeline_ledger.encoding import Record, encode
from tradeline_ledger.errors import MalformedError

_MAGIC: Final = b"tradeline/v1 evidence\n"
_TYPE_AT: Final = len(_MAGIC) + 1
"""After the head of an array of fewer than 16 fields, one byte."""


@enum.unique
class EvidenceType(enum.IntEnum):
    """What an evidence file proves; first field of its record."""

    FORK = 1
    """Two signed checkpoints that no append-only log has both."""
    WITNESS = 2
    """The same, both cosigned by one key."""
    STATEMENTS = 3
    """Two statements of one key at one position of a feed."""
    VOTES = 4
    """Two consensus votes of one validator for one height, round and type."""
    DEALING = 5
    """Shares as a contributor dealt them make another key than its body commits to."""
    FALSE_SHARE = 6
    """A committee member released a share that was not dealt to it."""
    QUALITY = 7
    """A quality statement that a report contradicts."""


def is_evidence(data: bytes) -> bool:
    """Return whether `data` begins as an evidence file does."""
    return data.startswith(_MAGIC)


def evidence_type(data: bytes) -> EvidenceType:
    """
    Return what an evidence file is of; nothing of it is checked.

    Raises:
        MalformedError: no evidence file, or of a type that is not known.
    """
    if not is_evidence(data):
        raise MalformedError("no evidence file: it begins otherwise")
    found = data[_TYPE_AT] if len(data) > _TYPE_AT else None
    if found not in set(EvidenceType):
        raise MalformedError(
            f"evidence file is of type {found}, expected one of {[*map(int, EvidenceType)]}; it "
            "was altered, or a newer version of this software wrote it"
        )
    return EvidenceType(found)


def wrap(record: Record | tuple[object, ...]) -> bytes:
    """Return the evidence file of a record, or of its fields; the first one is its type."""
    return _MAGIC + encode(record)


def unwrap(data: bytes) -> bytes:
    """
    Return the encoded record of an evidence file.

    Raises:
        MalformedError: no evidence file.
    """
    if not is_evidence(data):
        raise MalformedError("no evidence file: it begins otherwise")
    return data[len(_MAGIC) :]


def check_type(found: int, expected: EvidenceType) -> None:
    """
    Accept a record of the expected type.

    Raises:
        ValueError: another one; inside a record's `__post_init__` it becomes `MalformedError`.
    """
    if found != expected:
        raise ValueError(f"evidence is of type {found}, expected {int(expected)}")
