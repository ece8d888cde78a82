"""
A candidate file: the member record of an institution that wants to found a ledger or to join one,
signed by its root key (docs/formats.md, section 2).

Its operator makes it beside the keys and hands it to the others. There is nothing secret in it.
"""

from __future__ import annotations

from typing import Final

from tradeline_ledger.encoding import B64, Codec, Record, encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.registry import MEMBER_RECORD, MEMBER_RECORD_BYTES_MAX, MemberRecord
from tradeline_ledger.signing import SigningKey, valid_key, verify

CANDIDATE_BYTES_MAX: Final = MEMBER_RECORD_BYTES_MAX + 256
_NAME: Final = "tradeline/v1 candidate"


class _Candidate(Record, frozen=True):
    name: str
    record: bytes
    signature: B64
    """Sig(root key, "candidate", record)."""

    def __post_init__(self) -> None:
        """Refuse other files."""
        if self.name != _NAME:
            raise ValueError(f"file begins with {self.name!r}, expected {_NAME!r}")


_CANDIDATE: Final[Codec[_Candidate]] = Codec(_Candidate, "candidate file", CANDIDATE_BYTES_MAX)


def sign_candidate(record: MemberRecord, root: SigningKey) -> bytes:
    """Return the candidate file of `record`, whose root key is `root`."""
    assert record.root_key == root.public, record.id
    encoded = encode(record)
    return encode(_Candidate(_NAME, encoded, root.sign("candidate", encoded)))


def open_candidate(file: bytes) -> MemberRecord:
    """
    Return the record of a candidate file.

    It is in force from height 0 without an end, every key in it is valid and serves one purpose,
    and it has an HPKE key, by which the consortium key is handed to its member.

    Raises:
        MalformedError: it does not decode, or the record is none of a candidate.
        SignatureError: the root key did not sign it.
    """
    decoded = _CANDIDATE.decode(file)
    record = MEMBER_RECORD.decode(decoded.record)
    verify(record.root_key, "candidate", decoded.record, decoded.signature)
    check_candidate(record)
    return record


def check_candidate(record: MemberRecord) -> None:
    """
    Accept a record that a ledger can take in.

    Raises:
        MalformedError: it is none of a candidate; says what it lacks.
    """
    if record.from_height or record.until_height is not None:
        raise MalformedError(f"candidate {record.id} must be in force from height 0 without an end")
    keys = record.key_list()
    if len(set(keys)) != len(keys) or not all(map(valid_key, keys)):
        raise MalformedError(
            f"candidate {record.id} has a weak key, or one that serves two purposes; make its keys "
            "afresh with `tradeline node init`"
        )
    if record.hpke_key is None:
        raise MalformedError(
            f"candidate {record.id} has no HPKE key, so the consortium key can't be handed to it"
        )
