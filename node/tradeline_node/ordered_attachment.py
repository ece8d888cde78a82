"""
Attachments of batches that are in the log already, as a committee member takes them in late.

They come from another committee member, or from the contributor that deals its keys again. What
the ledger says is gone by now may be missing in them, and is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger import calendar, state
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.submission import decode_submission
from tradeline_node.attachment_check import check_bodies_left, check_sealed
from tradeline_node.custody_file import AttachmentItems
from tradeline_node.errors import RequestError
from tradeline_node.retention import last_months

if TYPE_CHECKING:
    from tradeline_ledger.state import SubmissionState
    from tradeline_ledger.submission import Batch
    from tradeline_node.custody import CustodyStore
    from tradeline_node.own_deposit import OwnDeposits
    from tradeline_node.share_box import ShareBox
    from tradeline_node.store import LedgerStore


@dataclass(frozen=True, slots=True)
class Ordered:
    """A batch that is in the log, and what is left of it."""

    index: int
    """Log index of its submission."""
    state: SubmissionState
    batch: Batch
    gone: frozenset[int]
    """Positions of the events whose bodies are to be gone."""

    @property
    def over(self) -> bool:
        """Whether nothing is left of it."""
        return len(self.gone) == self.batch.count


class OrderedAttachments:
    """Takes in attachments in the name of one node. Any thread may call it."""

    def __init__(
        self,
        store: LedgerStore,
        custody: CustodyStore,
        *,
        member: int,
        deposits: OwnDeposits,
        box: ShareBox,
    ) -> None:
        """Keep in `custody`, for the node of `member`, what the log in `store` names."""
        self._store = store
        self._custody = custody
        self._member = member
        self._deposits = deposits
        self._box = box

    def find(self, index: int) -> Ordered | None:
        """Return the batch of the accepted submission at `index`, None if there is none."""
        row = state.read(self._store, state.SUBMISSION, state.submission_key(index))
        if row is None:
            return None
        batch = decode_submission(self._store.content(index)).batch
        offset = self._store.ledger.params.utc_offset_min
        month = calendar.month(self._store.head.time_ms, offset)
        months = last_months(self._store, index, batch.retain_months())
        gone = frozenset(i for i, last in enumerate(months) if last is None or last < month)
        return Ordered(index, row, batch, gone)

    def lacks(self, ordered: Ordered) -> bool:
        """Return whether the attachment is not here, though something of it should be."""
        return not ordered.over and self._custody.held(ordered.state.batch_hash) is None

    def keep(self, ordered: Ordered, attachment: bytes) -> bool | None:
        """
        Keep the encoded `attachment`; return whether this node's deposit in it is good.

        None if it has none, since it is not in the committee of the batch's epoch.

        Raises:
            RequestError: a part is not what the batch commits to; who sent it is at fault.
            KeystoreError: the HPKE key of that epoch is not here.
            StoreError: the disk is full or failed.
        """
        batch, row = ordered.batch, ordered.state
        try:
            parts = ATTACHMENT.decode(attachment)
        except MalformedError as error:
            raise RequestError("custody-malformed", str(error)) from error
        bodies = check_bodies_left(parts.bodies, batch.body_hashes(), ordered.gone)
        sealed = check_sealed(parts.sealed, [each.sealed_hash for each in batch.deposits])
        own, good = b"", None
        epoch = self._store.registry.epochs[batch.epoch]
        position = epoch.position(self._member)
        if position is not None:
            try:
                shares = self._deposits.open(
                    sealed[position],
                    batch.deposits[position],
                    epoch,
                    dealer=row.member,
                    events_root=batch.events_root,
                    count=batch.count,
                )
                own, good = self._box.seal(row.batch_hash, shares), True
            except SealError:
                good = False
        items = AttachmentItems(
            row.batch_hash, row.member, batch.encode(), tuple(bodies), tuple(sealed), own
        )
        # Month 0: the next sweep looks at it, since marks may have come before.
        self._custody.put(
            items, expires_ms=self._store.head.time_ms, due_month=0, log_index=ordered.index
        )
        return good
