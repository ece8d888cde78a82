"""
Custody: takes attachments of batches that are not ordered yet and gives receipts for them.

docs/formats.md, section 4. Everything that a batch says about its attachment is checked before
anything is written, and everything is durable before the receipt is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradeline_ledger import state
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import MemberRecord, Role
from tradeline_ledger.submission import Batch, Receipt, decode_batch
from tradeline_node.attachment_check import check_all_bodies, check_sealed
from tradeline_node.custody import CustodyStore
from tradeline_node.custody_file import AttachmentItems
from tradeline_node.errors import RequestError
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.receipts import Receipts
from tradeline_node.share_box import ShareBox
from tradeline_node.tag_keys import TagKeys

if TYPE_CHECKING:
    from tradeline_ledger.params import Params
    from tradeline_node.store import LedgerStore


@dataclass(frozen=True, slots=True)
class _Offer:
    member: int
    batch: Batch
    encoded: bytes
    batch_hash: bytes
    position: int
    """Committee position of this node."""


class CustodyService:
    """Gives receipts in the name of one committee member. Any thread may call it."""

    def __init__(
        self,
        store: LedgerStore,
        custody: CustodyStore,
        tag_keys: TagKeys,
        *,
        member: int,
        receipts: Receipts,
        deposits: OwnDeposits,
        box: ShareBox,
    ) -> None:
        """Serve for committee member `member`, who signs `receipts` and opens `deposits`."""
        self._store = store
        self._custody = custody
        self._tag_keys = tag_keys
        self._member = member
        self._receipts = receipts
        self._deposits = deposits
        self._box = box
        self._ledger_id = store.ledger.ledger_id

    def accept(self, member: int, batch: bytes, attachment: bytes) -> Receipt:
        """
        Return a receipt for an attachment of `member`, which is durable here by then.

        `batch` and `attachment` are encoded. The same batch again gets a fresh receipt and is not
        written again.

        Raises:
            RequestError: a part is not what the batch commits to, or the batch can't be placed as
                things are; says which position, and what to do.
            StoreError: the disk is full or failed.
        """
        record = self._contributor(member)
        try:
            decoded = decode_batch(batch)
        except MalformedError as error:
            raise RequestError("custody-malformed", str(error)) from error
        position = self._committee_position(decoded)
        batch_hash = decoded.hash(self._ledger_id, member)
        offer = _Offer(member, decoded, batch, batch_hash, position)
        index = self._placed_at(batch_hash)
        if index is not None and self._custody.held(batch_hash) is not None:
            raise RequestError(
                "custody-placed", f"batch {batch_hash.hex()} is entry {index}", index=index
            )
        if not self._tag_keys.has(record):
            raise RequestError(
                "custody-tag-key-missing",
                f"this node lacks the tag key of member {member} that is in force",
            )
        expires_ms = self._receipts.expires_ms()
        if not self._custody.extend(batch_hash, expires_ms):
            self._custody.put(
                self._check(offer, attachment),
                expires_ms=expires_ms,
                # What is in the log already may be marked already.
                due_month=0 if index is not None else min(decoded.retain_months()),
                log_index=index,
            )
            if index is None:
                self._place_late(batch_hash)
        return self._receipts.sign(member, batch_hash, expires_ms)

    def _contributor(self, member: int) -> MemberRecord:
        record = self._store.registry.member(member)
        if record is None or not record.has(Role.CONTRIBUTOR):
            raise RequestError(
                Outcome.ROLE_MISSING.code, f"member {member} does not have the role contributor"
            )
        return record

    @property
    def _params(self) -> Params:
        return self._store.ledger.params_of(self._store.registry)

    def _committee_position(self, batch: Batch) -> int:
        """Return this node's position in the committee of the batch's epoch."""
        epochs = self._store.registry.epochs
        overlap_until = epochs[-1].from_ms + self._params.epoch_overlap_ms
        allowed = batch.epoch == epochs[-1].epoch or (
            batch.epoch == epochs[-1].epoch - 1 and self._store.head.time_ms < overlap_until
        )
        if not allowed:
            raise RequestError(
                Outcome.EPOCH_WRONG.code,
                f"the batch names epoch {batch.epoch}, in force is {epochs[-1].epoch}",
            )
        epoch = epochs[batch.epoch]
        if len(batch.deposits) != len(epoch.committee):
            raise RequestError(
                Outcome.DEPOSITS_WRONG.code,
                f"the batch has {len(batch.deposits)} deposits, the committee of epoch "
                f"{epoch.epoch} has {len(epoch.committee)} members",
            )
        position = epoch.position(self._member)
        if position is None:
            members = ", ".join(str(each.member) for each in epoch.committee)
            raise RequestError(
                "custody-not-committee",
                f"member {self._member} is not in the committee of epoch {epoch.epoch}: {members}",
            )
        return position

    def _check(self, offer: _Offer, attachment: bytes) -> AttachmentItems:
        """Return what is to be kept, every part of it checked."""
        batch, position = offer.batch, offer.position
        try:
            parts = ATTACHMENT.decode(attachment)
        except MalformedError as error:
            raise RequestError("custody-malformed", str(error)) from error
        bodies = check_all_bodies(parts.bodies, batch.body_hashes())
        sealed = check_sealed(parts.sealed, [each.sealed_hash for each in batch.deposits])
        try:
            shares = self._deposits.open(
                sealed[position],
                batch.deposits[position],
                self._store.registry.epochs[batch.epoch],
                dealer=offer.member,
                events_root=batch.events_root,
                count=batch.count,
            )
        except SealError as error:
            raise RequestError(
                "custody-deposit-wrong",
                f"deposit {position}, for member {self._member}: {error}",
                position=position,
            ) from error
        own = self._box.seal(offer.batch_hash, shares)
        return AttachmentItems(
            offer.batch_hash, offer.member, offer.encoded, tuple(bodies), tuple(sealed), own
        )

    def _place_late(self, batch_hash: bytes) -> None:
        """Note the place of a batch that came into the log while its attachment was written."""
        index = self._placed_at(batch_hash)
        if index is not None:
            self._custody.place_late(batch_hash, index)

    def _placed_at(self, batch_hash: bytes) -> int | None:
        row = self._store.get(state.batch_key(batch_hash))
        return None if row is None else int.from_bytes(row, "big")
