"""
From a sealed batch to its verified place: vault, custody, statement, log (DESIGN.md, section 7).

The keys are in the vault before anything leaves; the position in the feed is taken last, after
custody, so that a committee member that is slow or down never blocks the feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_client.flows.checkpoint import known_registry
from tradeline_client.flows.custody import Custody
from tradeline_client.flows.entry import Placement, confirm, hand_over, sign
from tradeline_ledger.history import EventId
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Submission, encode_submission

if TYPE_CHECKING:
    from tradeline_client.journal import Signed
    from tradeline_client.requests import Flow
    from tradeline_client.seal import SealedBatch
    from tradeline_client.session import Session
    from tradeline_ledger.submission import Receipt


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A batch on its way: signed, recorded and taken by a node."""

    signed: Signed
    node: int
    """Member whose node took it."""
    batch_hash: bytes
    count: int
    """Events."""
    missing: dict[int, Exception]
    """Committee members that gave no receipt in time, and why."""


@dataclass(frozen=True, slots=True)
class PlacedBatch:
    """A batch that is on the ledger, verified."""

    placement: Placement
    batch_hash: bytes
    count: int
    """Events; event i has the id (`placement.index`, i)."""
    missing: dict[int, Exception]
    """Committee members that gave no receipt in time, and why."""

    def event(self, position: int) -> EventId:
        """Return the id of the event at `position` of the batch."""
        assert 0 <= position < self.count, (position, self.count)
        return EventId(self.placement.index, position)


def submit(session: Session, sealed: SealedBatch) -> Flow[PlacedBatch]:
    """
    Put one batch on the ledger.

    Raises:
        CustodyError: fewer committee members than the threshold took it; nothing was signed.
        RefusedError: the submission has its place, and no other effect.
        DroppedError, JournalConflictError, UnavailableError, VerificationError: as `entry.place`.
    """
    receipts, missing = yield from deposit(session, sealed)
    handed = yield from hand_over_batch(session, sealed, receipts, missing)
    return (yield from finish(session, handed))


def deposit(
    session: Session, sealed: SealedBatch
) -> Flow[tuple[tuple[Receipt, ...], dict[int, Exception]]]:
    """
    Hand batch and attachment to the committee; return receipts of a threshold of them at least.

    The second result says why the others gave none in time.

    Raises:
        StoreError: the vault can't be written; nothing left.
        CustodyError: fewer receipts than the threshold.
    """
    session.vault.put(sealed.row)
    yield from known_registry(session)
    # That of the batch, which the next one may have followed since it was sealed.
    epoch = session.registry.epochs[sealed.batch.epoch]
    custody = Custody(session, epoch, "/v1/custody", sealed.batch_hash, sealed.custody_body())
    yield from custody.gather()
    return custody.listed(), custody.failures


def hand_over_batch(
    session: Session,
    sealed: SealedBatch,
    receipts: tuple[Receipt, ...],
    missing: dict[int, Exception] | None = None,
) -> Flow[HandedOver]:
    """
    Sign a submission with these receipts and hand it to a node.

    Of one feed, the next batch may be handed over once this returns, before this one is placed.

    Raises:
        JournalConflictError: the feed was used elsewhere; nothing was signed.
        DroppedError, UnavailableError: no node takes it; it stays pending in the journal.
    """
    submission = Submission(sealed.batch, receipts)
    feed = session.keystore.feed_for(Kind.SUBMISSION, session.folder.profile.bulk_feed)
    signed = yield from sign(
        session,
        Kind.SUBMISSION,
        encode_submission(sealed.batch, receipts),
        feed=feed,
        about=sealed.batch_hash,
        hash_=submission.content_hash(session.ledger.ledger_id, session.member),
    )
    node = yield from hand_over(session, signed)
    return HandedOver(signed, node, sealed.batch_hash, sealed.batch.count, missing or {})


def finish(session: Session, handed: HandedOver) -> Flow[PlacedBatch]:
    """
    Wait for the verified place of a batch that was handed over.

    Raises:
        RefusedError: the submission has its place, and no other effect.
        DroppedError, UnavailableError, VerificationError: as `entry.confirm`.
    """
    placement = yield from confirm(session, handed.signed, handed.node)
    return PlacedBatch(placement, handed.batch_hash, handed.count, handed.missing)
