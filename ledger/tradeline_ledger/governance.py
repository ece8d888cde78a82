"""
Where proposals stand: the rows that votes write, and what follows from them.

One row lists the proposals that wait, so that a block without due changes costs one look.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import B16, U8, U16, U32, U64, Codec, Record
from tradeline_ledger.errors import DamagedError, MalformedError
from tradeline_ledger.proposal import PROPOSAL, PROPOSAL_BYTES_MAX, WAITING_MAX, Proposal
from tradeline_ledger.registry import VALIDATORS_MAX, quorum
from tradeline_ledger.state import PROPOSAL_PREFIX, WAITING_KEY, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tradeline_ledger.state import View

_Members = Annotated[tuple[U32, ...], Meta(max_length=65_536)]


@enum.unique
class ProposalStanding(enum.IntEnum):
    """Where a proposal stands; time aside, so an open one may have expired."""

    OPEN = 1
    PASSED = 2
    """Approved by a quorum; its height has not come."""
    REJECTED = 3
    """So many rejected that no quorum is left."""
    ENACTED = 4
    FAILED = 5
    """Approved, but its changes could not be made any more."""


class ProposalState(Record, frozen=True):
    """An accepted proposal, by id."""

    index: U64
    """Log index of the proposal."""
    member: U32
    """Who proposed."""
    content: bytes
    """A `Proposal`, encoded."""
    approvals: _Members
    """Who approved, ascending; they count while they are validators."""
    rejections: _Members
    standing: U8
    """A `ProposalStanding`."""
    decided_height: U64 | None
    """Block in which it passed or was rejected."""
    enacted_height: U64 | None
    """First height at which its changes are in force; None unless ENACTED."""
    failure: U16
    """`Outcome` because of which it is FAILED, else 0."""

    def expired(self, time_ms: int) -> bool:
        """Return whether it is open and can't be voted on any more in a block of that time."""
        return self.standing == ProposalStanding.OPEN and time_ms >= self.proposal.expires_ms

    @property
    def proposal(self) -> Proposal:
        """
        The proposal, decoded.

        Raises:
            DamagedError: the row is damaged.
        """
        try:
            return PROPOSAL.decode(self.content)
        except MalformedError as error:
            raise DamagedError(f"proposal {self.index} is damaged in the state: {error}") from error


class WaitingRow(Record, frozen=True):
    """One proposal that waits for votes or for its height."""

    proposal_id: B16
    due: U64 | None
    """Height from which it is to be in force, once it has passed."""


WaitingList = Annotated[tuple[WaitingRow, ...], Meta(max_length=WAITING_MAX)]

PROPOSAL_STATE: Final[Codec[ProposalState]] = Codec(
    ProposalState, "proposal state", 2 * PROPOSAL_BYTES_MAX
)
WAITING: Final[Codec[tuple[WaitingRow, ...]]] = Codec(WaitingList, "waiting proposals", 4096)


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes on a proposal, as those of the validators in force count."""

    approvals: int
    rejections: int
    needed: int
    """Quorum of the validators."""
    validators: int

    @property
    def passed(self) -> bool:
        """Whether a quorum approves."""
        return self.approvals >= self.needed

    @property
    def rejected(self) -> bool:
        """Whether too few are left for a quorum to approve."""
        return self.validators - self.rejections < self.needed


def proposal_key(identity: bytes) -> bytes:
    """Return the key of a `ProposalState`."""
    return PROPOSAL_PREFIX + identity


def read_proposal(view: View, identity: bytes) -> ProposalState | None:
    """
    Return an accepted proposal, None if there is none.

    Raises:
        DamagedError: there is one, and it does not decode.
    """
    return read(view, PROPOSAL_STATE, proposal_key(identity))


def read_waiting(view: View) -> tuple[WaitingRow, ...]:
    """
    Return the proposals that wait, oldest first; open ones that expired may be among them.

    Raises:
        DamagedError: the row does not decode.
    """
    return read(view, WAITING, WAITING_KEY) or ()


def tally(row: ProposalState, validators: Sequence[int]) -> Tally:
    """Return the votes of `validators`, 1 to 64 ids, on a proposal."""
    assert 0 < len(validators) <= VALIDATORS_MAX, validators
    approvals = len(set(validators) & set(row.approvals))
    rejections = len(set(validators) & set(row.rejections))
    return Tally(approvals, rejections, quorum(len(validators)), len(validators))


def upgrade_due(view: View) -> tuple[int, int] | None:
    """
    Return (height, rules) of the next rules that a passed proposal puts in force, None if none.

    A node that does not know these rules has to stop before that height.

    Raises:
        DamagedError: a row does not decode.
    """
    for waiting in sorted(read_waiting(view), key=lambda each: each.due or 0):
        row = read_proposal(view, waiting.proposal_id) if waiting.due is not None else None
        rules = None if row is None else row.proposal.next_rules()
        if waiting.due is not None and rules is not None:
            return waiting.due, rules
    return None
