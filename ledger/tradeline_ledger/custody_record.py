"""
Custody records: what committee members that gave no receipt found (docs/formats.md, section 8).

A submission is accepted with receipts of t committee members. The others fetch the attachment
afterwards, and within a day of block time say on the ledger whether their deposit is good. A bad
one obliges the contributor to deposit again.
"""

from __future__ import annotations

from typing import Final

from tradeline_ledger.encoding import U8, U32, U64, Codec, Record

CUSTODY_BYTES_MAX: Final = 32 * 1024
CUSTODY_ROWS_MAX: Final = 1_000
CUSTODY_WITHIN_MS: Final = 86_400_000
"""After the block that placed the deposits."""


class CustodyRow(Record, frozen=True):
    """What one committee member says of its deposit of one batch."""

    index: U64
    """Log index of the submission."""
    epoch: U32
    """Epoch of the deposits, those in force."""
    ok: U8
    """1: it holds the attachment and its deposit is as committed to; 0: the deposit is bad."""

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        if self.ok > 1:
            raise ValueError(f"ok is {self.ok}, expected 0 or 1")


CUSTODY: Final[Codec[tuple[CustodyRow, ...]]] = Codec(
    tuple[CustodyRow, ...], "custody record", CUSTODY_BYTES_MAX
)
