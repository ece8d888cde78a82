"""Deposits in force that a committee member found bad: their contributor has to deposit again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger import state

if TYPE_CHECKING:
    from tradeline_node.store import LedgerStore

SCANNED_MAX: Final = 10_000
"""Records of custody that one page looks at; a page may be empty with a cursor."""
_PLACED_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class BadDeposit:
    """One finding."""

    index: int
    """Log index of the submission."""
    placed: int
    """Log index of the submission or re-deposit that placed the deposits."""
    validator: int
    """Who found its deposit bad."""
    record: int
    """Log index of the custody record that says so."""


def bad_deposits(
    store: LedgerStore, member: int, placed: int
) -> tuple[list[BadDeposit], int | None]:
    """
    Return what was found bad of `member`, of deposits placed at `placed` or later.

    The second result is where the next page begins; None on the last.
    """
    found: list[BadDeposit] = []
    prefix = state.CUSTODY_PREFIX
    start = state.custody_key(placed, 0)
    for scanned, (key, value) in enumerate(store.iterate(prefix, start)):
        at = int.from_bytes(key[len(prefix) : len(prefix) + _PLACED_BYTES], "big")
        if scanned >= SCANNED_MAX and at > placed:
            return found, at
        said = int.from_bytes(value, "big")
        if said & 1:
            continue
        submission = _in_force(store, member, at)
        if submission is not None:
            validator = int.from_bytes(key[len(prefix) + _PLACED_BYTES :], "big")
            found.append(BadDeposit(submission, at, validator, said >> 1))
    return found, None


def _in_force(store: LedgerStore, member: int, placed: int) -> int | None:
    """Return the submission of `member` whose deposits in force were placed there, if any."""
    again = state.read(store, state.REDEPOSIT, state.redeposit_key(placed))
    index = placed if again is None else again.submission
    row = state.read(store, state.SUBMISSION, state.submission_key(index))
    if row is None or row.member != member:
        return None
    deposits = state.deposits_at(store, index, store.head.size)
    return index if deposits is not None and deposits.placed == placed else None
