"""Evidence of every type: what a file proves, and against whom (docs/formats.md, section 10)."""

from __future__ import annotations

from tradeline_ledger.conviction import Conviction, verify_conviction
from tradeline_ledger.evidence_file import EvidenceType, evidence_type
from tradeline_ledger.fork import Fork, decode_fork
from tradeline_ledger.quality_evidence import verify_quality_evidence


def verify_evidence(data: bytes) -> Fork | Conviction:
    """
    Return what an evidence file proves. Whose keys it is about must be known from elsewhere.

    Raises:
        MalformedError: no evidence file.
        VerificationError: it proves nothing; the subclass says in what.
    """
    match evidence_type(data):
        case EvidenceType.FORK | EvidenceType.WITNESS:
            return decode_fork(data)
        case EvidenceType.QUALITY:
            return verify_quality_evidence(data)
        case _:
            return verify_conviction(data)
