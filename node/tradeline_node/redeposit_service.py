"""
Custody of re-deposits: a batch's keys, dealt again to the committee in force.

docs/formats.md, section 8. A receipt says that this node holds its new deposit, and that it holds
the batch's attachment: a committee member that is new gets that along with the deposit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import msgspec.structs
from msgspec import Meta

from tradeline_ledger import state
from tradeline_ledger.deposit import ATTACHMENT_BYTES_MAX, SEALED_BYTES_MAX
from tradeline_ledger.encoding import U32, U64, Codec, Record, encode
from tradeline_ledger.errors import MalformedError, SealError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.redeposit import REDEPOSIT, Deposits, Redeposit
from tradeline_ledger.registry import COMMITTEE_MAX, Role
from tradeline_node.attachment_check import check_sealed
from tradeline_node.custody_file import AttachmentItems
from tradeline_node.errors import RequestError

if TYPE_CHECKING:
    from tradeline_ledger.registry import EpochRecord
    from tradeline_ledger.submission import Receipt
    from tradeline_node.custody import CustodyStore
    from tradeline_node.ordered_attachment import Ordered, OrderedAttachments
    from tradeline_node.own_deposit import OwnDeposits
    from tradeline_node.receipts import Receipts
    from tradeline_node.share_box import ShareBox
    from tradeline_node.store import LedgerStore
    from tradeline_node.tag_keys import TagKeys

SEALED_DEPOSITS_BYTES_MAX: Final = COMMITTEE_MAX * (SEALED_BYTES_MAX + 8)
OFFER_BYTES_MAX: Final = ATTACHMENT_BYTES_MAX + SEALED_DEPOSITS_BYTES_MAX + 64 * 1024

_Sealed = Annotated[bytes, Meta(max_length=SEALED_BYTES_MAX)]


class RedepositOffer(Record, frozen=True):
    """What a contributor hands to a committee member for a re-deposit."""

    index: U64
    """Log index of the submission."""
    epoch: U32
    """Whose committee the keys are dealt to."""
    deposits: Deposits
    """By committee position, as the re-deposit will have them."""
    sealed: Annotated[tuple[_Sealed, ...], Meta(max_length=COMMITTEE_MAX)]
    """The sealed deposits, by committee position."""
    attachment: bytes | None
    """Encoded `Attachment` of the batch, for a node that lacks it."""


OFFER: Final[Codec[RedepositOffer]] = Codec(RedepositOffer, "re-deposit offer", OFFER_BYTES_MAX)
SEALED_DEPOSITS: Final[Codec[tuple[bytes | None, ...]]] = Codec(
    tuple[bytes | None, ...], "sealed deposits", SEALED_DEPOSITS_BYTES_MAX
)


@dataclass(frozen=True, slots=True)
class _Target:
    redeposit: Redeposit
    """Without receipts."""
    hash: bytes
    ordered: Ordered
    epoch: EpochRecord
    position: int
    """Committee position of this node."""


class RedepositService:
    """Takes re-deposits in the name of one committee member. Any thread may call it."""

    def __init__(
        self,
        store: LedgerStore,
        custody: CustodyStore,
        tag_keys: TagKeys,
        *,
        member: int,
        receipts: Receipts,
        deposits: OwnDeposits,
        attachments: OrderedAttachments,
        box: ShareBox,
    ) -> None:
        """Serve for committee member `member`, who signs `receipts` and opens `deposits`."""
        self._store = store
        self._custody = custody
        self._tag_keys = tag_keys
        self._member = member
        self._receipts = receipts
        self._deposits = deposits
        self._attachments = attachments
        self._box = box

    def accept(self, member: int, offer: RedepositOffer) -> Receipt:
        """
        Return a receipt for a re-deposit of `member`, which is durable here by then.

        The same one again gets a fresh receipt and is not written again.

        Raises:
            RequestError: it could not be placed as things are, or a part is not what it commits to,
                or this node lacks the attachment and it does not come along.
            KeystoreError: the HPKE key of the epoch in force is not here.
            StoreError: the disk is full or failed.
        """
        target = self._target(member, offer)
        placed = self._placed_at(target.hash)
        held = self._custody.held(target.hash) is not None
        if placed is not None and held:
            raise RequestError(
                "custody-placed", f"re-deposit {target.hash.hex()} is entry {placed}", index=placed
            )
        self._take_attachment(target.ordered, offer)
        expires_ms = self._receipts.expires_ms()
        if not self._custody.extend(target.hash, expires_ms):
            try:
                items = self._open(target, offer.sealed)
            except SealError as error:
                raise RequestError(
                    "custody-deposit-wrong",
                    f"deposit {target.position}, for member {self._member}: {error}",
                    position=target.position,
                ) from error
            self._custody.put(items, expires_ms=expires_ms, due_month=0, log_index=placed)
            placed = self._placed_at(target.hash)
            if placed is not None:
                self._custody.place_late(target.hash, placed)
        return self._receipts.sign(member, target.hash, expires_ms)

    def take(self, placed: int, sealed_deposits: bytes) -> bool:
        """
        Keep the deposits of the accepted re-deposit at `placed`, as another node serves them.

        Returns whether this node's own is good. The node is in the committee of their epoch.

        Raises:
            RequestError: they are not what it commits to; who sent them is at fault.
            KeystoreError: the HPKE key of that epoch is not here.
            StoreError: the disk is full or failed.
        """
        redeposit = REDEPOSIT.decode(self._store.content(placed))
        row = state.read(self._store, state.REDEPOSIT, state.redeposit_key(placed))
        ordered = self._attachments.find(redeposit.index)
        assert row is not None, placed
        assert ordered is not None, placed
        epoch = self._store.registry.epochs[redeposit.epoch]
        position = epoch.position(self._member)
        assert position is not None, (placed, self._member)
        try:
            sealed = SEALED_DEPOSITS.decode(sealed_deposits)
        except MalformedError as error:
            raise RequestError("custody-malformed", str(error)) from error
        checked = check_sealed(sealed, [each.sealed_hash for each in redeposit.deposits])
        without = msgspec.structs.replace(redeposit, receipts=())
        target = _Target(without, row.hash, ordered, epoch, position)
        try:
            items, good = self._open(target, checked), True
        except SealError:
            items, good = self._items(target, checked, b""), False
        self._custody.put(items, expires_ms=self._store.head.time_ms, due_month=0, log_index=placed)
        return good

    def _target(self, member: int, offer: RedepositOffer) -> _Target:
        """Return what the offer is for, once it could be placed as things are."""
        record = self._store.registry.member(member)
        if record is None or not record.has(Role.CONTRIBUTOR):
            raise RequestError(
                Outcome.ROLE_MISSING.code, f"member {member} does not have the role contributor"
            )
        ordered = self._attachments.find(offer.index)
        if ordered is None:
            raise RequestError(Outcome.REDEPOSIT_TARGET_UNKNOWN.code)
        if ordered.state.member != member:
            raise RequestError(Outcome.REDEPOSIT_NOT_OWN.code)
        if ordered.over:
            raise RequestError(
                Outcome.REDEPOSIT_ERASED.code, f"no event of submission {offer.index} is left"
            )
        epoch = self._store.registry.epoch
        if offer.epoch != epoch.epoch:
            raise RequestError(
                Outcome.REDEPOSIT_EPOCH_WRONG.code,
                f"the deposits name epoch {offer.epoch}, in force is {epoch.epoch}",
            )
        if len(offer.deposits) != len(epoch.committee):
            raise RequestError(
                Outcome.REDEPOSIT_DEPOSITS_WRONG.code,
                f"{len(offer.deposits)} deposits, the committee of epoch {epoch.epoch} has "
                f"{len(epoch.committee)} members",
            )
        position = epoch.position(self._member)
        if position is None:
            members = ", ".join(str(each.member) for each in epoch.committee)
            raise RequestError(
                "custody-not-committee",
                f"member {self._member} is not in the committee of epoch {epoch.epoch}: {members}",
            )
        if not self._tag_keys.has(record):
            raise RequestError(
                "custody-tag-key-missing",
                f"this node lacks the tag key of member {member} that is in force",
            )
        redeposit = Redeposit(offer.index, offer.epoch, offer.deposits, ())
        named = redeposit.hash(self._store.ledger.ledger_id, member)
        return _Target(redeposit, named, ordered, epoch, position)

    def _take_attachment(self, ordered: Ordered, offer: RedepositOffer) -> None:
        if not self._attachments.lacks(ordered):
            return
        if offer.attachment is None:
            raise RequestError(
                "custody-attachment-missing",
                f"this node does not hold batch {ordered.state.batch_hash.hex()} of submission "
                f"{offer.index}",
            )
        self._attachments.keep(ordered, offer.attachment)

    def _open(self, target: _Target, sealed: tuple[bytes, ...] | list[bytes]) -> AttachmentItems:
        deposits = target.redeposit.deposits
        checked = check_sealed(sealed, [each.sealed_hash for each in deposits])
        batch = target.ordered.batch
        shares = self._deposits.open(
            checked[target.position],
            deposits[target.position],
            target.epoch,
            dealer=target.ordered.state.member,
            events_root=batch.events_root,
            count=batch.count,
        )
        return self._items(target, checked, self._box.seal(target.hash, shares))

    def _items(self, target: _Target, sealed: list[bytes], own: bytes) -> AttachmentItems:
        member, encoded = target.ordered.state.member, encode(target.redeposit)
        return AttachmentItems(target.hash, member, encoded, (), tuple(sealed), own)

    def _placed_at(self, named: bytes) -> int | None:
        row = self._store.get(state.batch_key(named))
        return None if row is None else int.from_bytes(row, "big")
