"""
Evidence files of what a reader found out about the shares of a body (docs/formats.md, section 10).

A claim that convicts is checked against everything that the reader collected. The file holds only
what a third party needs: of a false share one answer and a bundle that opens nothing; of wrong
dealing t shares of the one event, which open it with none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec.structs

from tradeline_ledger.bundle import BUNDLE
from tradeline_ledger.conviction import (
    DealingEvidence,
    DealtShare,
    SignedStatement,
    encode_dealing,
    encode_false_share,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.release import PAYLOAD
from tradeline_ledger.share_fault import Part
from tradeline_ledger.statement import EntryLeaf, decode_leaf

if TYPE_CHECKING:
    from tradeline_ledger.history import EventId
    from tradeline_ledger.release import EventShare
    from tradeline_ledger.share_fault import Blame, FaultClaim, SignedShares
    from tradeline_ledger.trust import TrustedLog


def fault_evidence(log: TrustedLog, bundle: bytes, claim: FaultClaim, blame: Blame) -> bytes:
    """
    Return the evidence file of `blame`, which `verify_fault` returned for `claim`.

    `bundle` is the one without keys that the claim was checked against, and `log` its registry.

    Raises:
        LedgerError: they convict nobody, or don't belong together.
    """
    if blame.part is Part.COMMITTEE_MEMBER:
        accused = tuple(each for each in claim.answers if each.validator == blame.member)
        return encode_false_share(bundle, encode(msgspec.structs.replace(claim, answers=accused)))
    return encode_dealing(_dealing(log, bundle, claim))


def _dealing(log: TrustedLog, bundle: bytes, claim: FaultClaim) -> DealingEvidence:
    proofs = BUNDLE.decode(bundle).proofs
    where = (claim.event.index, claim.event.position)
    entry = next((each for each in proofs.entries if each.index == claim.event.index), None)
    event = next((each for each in proofs.events if (each.index, each.position) == where), None)
    leaf = None if entry is None else decode_leaf(entry.leaf)
    if entry is None or event is None or not isinstance(leaf, EntryLeaf):
        raise VerificationError(f"event {claim.event} is not in the bundle")
    if entry.batch is None or event.body is None:
        raise VerificationError(f"event {claim.event} has no body in the bundle")
    epoch = log.registry.epochs[entry.batch.epoch]
    shares = []
    for answer in claim.answers:
        position, share = epoch.position(answer.validator), _share(answer, claim.event)
        if position is None or share is None or share.path is None:
            raise VerificationError(f"member {answer.validator} gave no share with its path")
        shares.append(DealtShare(position, share.share, share.path))
    shares.sort(key=lambda each: each.position)
    return DealingEvidence(
        EvidenceType.DEALING,
        log.ledger.file,
        log.steps,
        SignedStatement(leaf.statement, leaf.signature),
        entry.batch,
        claim.deposits,
        claim.event.position,
        event.header,
        event.path,
        event.body,
        tuple(shares[: epoch.threshold]),
    )


def _share(answer: SignedShares, event: EventId) -> EventShare | None:
    return next(
        (
            share
            for entry in PAYLOAD.decode(answer.payload)
            if entry.index == event.index
            for share in entry.shares
            if share.position == event.position
        ),
        None,
    )
