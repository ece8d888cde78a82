"""
From a sealed batch to its verified place: vault, custody, statement, log (DESIGN.md, section 7).

The keys are in the vault before anything leaves; the position in the feed is taken last, after
custody, so that a committee member that is slow or down never blocks the feed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    CustodyError,
    NodeProblemError,
)
from tradeline_client.flows.checkpoint import known_registry
from tradeline_client.flows.entry import Placement, confirm, hand_over, sign
from tradeline_client.flows.tag_keys import share_tag_key
from tradeline_client.requests import Answer, Flow, Request, Round, read
from tradeline_ledger.encoding import Codec
from tradeline_ledger.errors import LedgerError, VerificationError
from tradeline_ledger.history import EventId
from tradeline_ledger.problem import PROBLEM_BYTES_MAX
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Receipt, Submission, encode_submission, verify_receipt

if TYPE_CHECKING:
    from tradeline_client.journal import Signed
    from tradeline_client.seal import SealedBatch
    from tradeline_client.session import Session

CUSTODY_TIMEOUT_S: Final = 60.0
RECEIPT_BYTES_MAX: Final = 256
RECEIPT_MARGIN_MS: Final = 10_000
"""A receipt that expires sooner is not used: its block may come later."""

_RECEIPT: Final[Codec[Receipt]] = Codec(Receipt, "receipt", RECEIPT_BYTES_MAX)
_TAG_KEY_MISSING: Final = "custody-tag-key-missing"


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
    custody = _Custody(session, sealed)
    yield from custody.ask([each.member for each in session.registry.epoch.committee])
    lacking = [number for number, error in custody.failures.items() if _lacks_tag_key(error)]
    if lacking:
        yield from share_tag_key(session, lacking)
        yield from custody.ask(lacking)
    # Late ones may have it by now, and to ask again costs no copy; who lied is not asked.
    failures = custody.failures.items()
    others = [number for number, error in failures if not isinstance(error, VerificationError)]
    yield from custody.ask(others)
    if custody.needed > 0:
        raise CustodyError(
            f"{len(custody.receipts)} committee members gave a receipt for batch "
            f"{sealed.batch_hash.hex()}, {session.registry.epoch.threshold} are needed",
            {number: str(error) for number, error in custody.failures.items()},
        )
    receipts = custody.receipts
    return tuple(receipts[number] for number in sorted(receipts)), custody.failures


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


class _Custody:
    """Receipts for one batch, and why committee members gave none."""

    def __init__(self, session: Session, sealed: SealedBatch) -> None:
        self.receipts: dict[int, Receipt] = {}
        self.failures: dict[int, Exception] = {}
        self._session = session
        self._sealed = sealed
        self._body = sealed.custody_body()

    @property
    def needed(self) -> int:
        """How many receipts are missing to the threshold."""
        return self._session.registry.epoch.threshold - len(self.receipts)

    def ask(self, members: list[int]) -> Flow[None]:
        """Ask `members` at the same time until enough receipts are there, if any are missing."""
        if not members or self.needed <= 0:
            return
        answers = yield Round(tuple(map(self._request, members)), enough=self.needed)
        for number, answer in zip(members, answers, strict=True):
            try:
                self.receipts[number] = _receipt(self._session, self._sealed, number, answer)
                self.failures.pop(number, None)
            except (ClientError, LedgerError) as error:
                self.failures[number] = error

    def _request(self, number: int) -> Request:
        return Request(
            number,
            "POST",
            "/v1/custody",
            body=self._body,
            bytes_max=PROBLEM_BYTES_MAX,
            timeout_s=CUSTODY_TIMEOUT_S,
        )


def _receipt(session: Session, sealed: SealedBatch, number: int, answer: Answer) -> Receipt:
    receipt = _RECEIPT.decode(read(answer).body)
    record = session.registry.member(number)
    if record is None or record.node_key is None or receipt.validator != number:
        raise AnswerError(number, f"the receipt is by validator {receipt.validator}")
    verify_receipt(
        record.node_key, session.ledger.ledger_id, session.member, sealed.batch_hash, receipt
    )
    if receipt.expires_ms < session.clock_ms() + RECEIPT_MARGIN_MS:
        raise AnswerError(
            number, f"the receipt expires at {receipt.expires_ms} ms, too soon to count in a block"
        )
    return receipt


def _lacks_tag_key(error: Exception) -> bool:
    return isinstance(error, NodeProblemError) and error.code == _TAG_KEY_MISSING
