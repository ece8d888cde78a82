"""
Re-deposits: a batch's keys dealt again, to the committee in force (docs/formats.md, section 8).

When the committee changes, or a committee member found its deposit bad, the batch's member deals
the keys again with fresh polynomials. Bodies stay as they are. The deposits in force for an
inquiry are the last that were accepted at or before its block.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import U32, U64, Codec, Record, check_ascending, encode
from tradeline_ledger.hashing import digest
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.submission import Deposit, Receipt

REDEPOSIT_BYTES_MAX: Final = 16 * 1024

Deposits = Annotated[tuple[Deposit, ...], Meta(min_length=1, max_length=COMMITTEE_MAX)]


class Redeposit(Record, frozen=True):
    """Content of a re-deposit."""

    index: U64
    """Log index of the submission."""
    epoch: U32
    """Whose committee the keys are dealt to."""
    deposits: Deposits
    """By committee position."""
    receipts: Annotated[tuple[Receipt, ...], Meta(max_length=COMMITTEE_MAX)]
    """Over `redeposit_hash` in place of a batch hash, ascending by validator."""

    def __post_init__(self) -> None:
        """Refuse receipts out of order."""
        check_ascending(tuple(each.validator for each in self.receipts), "receipts")

    def hash(self, ledger_id: bytes, member: int) -> bytes:
        """Return the hash that the receipts name; `member` is the batch's."""
        return redeposit_hash(ledger_id, member, self.index, self.epoch, self.deposits)


REDEPOSIT: Final[Codec[Redeposit]] = Codec(Redeposit, "redeposit", REDEPOSIT_BYTES_MAX)


def redeposit_hash(
    ledger_id: bytes, member: int, index: int, epoch: int, deposits: tuple[Deposit, ...]
) -> bytes:
    """Return the hash under which custody and receipts know the re-deposit of a submission."""
    where = member.to_bytes(4, "big") + index.to_bytes(8, "big") + epoch.to_bytes(4, "big")
    return digest("redeposit", ledger_id + where + digest("deposits", encode(deposits)))
