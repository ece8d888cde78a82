"""
Proposals and votes: how the members change their registry (docs/formats.md, section 8).

A proposal lists changes, and names the registry that it was made against and the height from which
they are to be in force. It passes with the approval of a quorum of the validators.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

from msgspec import Meta

from tradeline_ledger.encoding import (
    B16,
    B32,
    U8,
    U16,
    U32,
    U64,
    Codec,
    Record,
    check_ascending,
    check_text,
)
from tradeline_ledger.engine_peer import check_engine_peer
from tradeline_ledger.hashing import digest
from tradeline_ledger.key import Replaced
from tradeline_ledger.params import Params
from tradeline_ledger.registry import (
    COMMITTEE_MAX,
    ENDPOINT_CHARS_MAX,
    FEEDS_MAX,
    VALIDATORS_MAX,
    Feed,
    MemberRecord,
    Role,
)

PROPOSAL_BYTES_MAX: Final = 64 * 1024
CHANGES_MAX: Final = 32
TITLE_CHARS_MAX: Final = 128
REASON_CHARS_MAX: Final = 2_000
PROPOSAL_ID_BYTES: Final = 16
VOTING_MS_MAX: Final = 90 * 86_400_000
"""From the block that places a proposal to its `expires_ms`."""
EFFECT_AHEAD_MAX: Final = 10_000_000
"""Heights from the block that places a proposal to its `effect_height`."""
WAITING_MAX: Final = 32
"""Proposals that are open, or passed and not in force yet."""
WAITING_MEMBER_MAX: Final = 4
"""Of them by one member."""
WAITING_OTHERS_MAX: Final = 16
"""Of them by members that are no validators, so that validators always have room."""
VOTE_BYTES_MAX: Final = 64

GRANTED_ROLES: Final = sum(int(role) for role in Role) & ~int(Role.SUSPENDED)
"""What a change of roles may set; suspension is a change of its own."""


@enum.unique
class ChangeKind(enum.IntEnum):
    """What a change of a proposal is about."""

    ADMIT = 1
    ROLES = 2
    SUSPEND = 3
    RESUME = 4
    REMOVE = 5
    ENDPOINT = 6
    KEYS = 7
    PARAMS = 8
    COMMITTEE = 9
    RULES = 10


@enum.unique
class Waiver(enum.IntFlag):
    """A guard that a proposal says it knows of and sets aside."""

    QUORUM = 1
    """More validators may change at once than the network can lose."""
    STRAND = 2
    """Events may become unreadable, because too few are left of a committee that holds them."""


class Admit(Record, frozen=True, tag=1):
    """Admit a member."""

    record: MemberRecord
    """Whole; `from_height` is 0 and `until_height` nil, the height is set when it takes effect."""

    def __post_init__(self) -> None:
        """Refuse heights, and a member that would be admitted suspended."""
        record = self.record
        if record.from_height or record.until_height is not None or record.suspended:
            raise ValueError("a member is admitted from height 0 without an end, not suspended")


class SetRoles(Record, frozen=True, tag=2):
    """Set a member's roles."""

    member: U32
    roles: U16
    """Sum of `Role` without SUSPENDED."""

    def __post_init__(self) -> None:
        """Refuse unknown roles."""
        if self.roles & ~GRANTED_ROLES:
            raise ValueError(f"unknown roles {self.roles & ~GRANTED_ROLES}")


class Suspend(Record, frozen=True, tag=3):
    """Suspend a member: what it signs is placed and refused, and it reads nothing."""

    member: U32


class Resume(Record, frozen=True, tag=4):
    """End a member's suspension."""

    member: U32


class Remove(Record, frozen=True, tag=5):
    """Remove a member; what it signed before stays valid."""

    member: U32


class SetEndpoint(Record, frozen=True, tag=6):
    """Say where a member's node is reached."""

    member: U32
    endpoint: str
    tls_pin: B32 | None
    engine_peer: str

    def __post_init__(self) -> None:
        """Refuse what no member record holds."""
        if self.endpoint:
            check_text(self.endpoint, "endpoint", ENDPOINT_CHARS_MAX)
        if self.engine_peer:
            check_engine_peer(self.engine_peer)


class ReplaceKeys(Record, frozen=True, tag=7):
    """Give a member other keys, where its root key is lost or stolen or can't do it."""

    member: U32
    root_key: B32 | None
    engine_key: B32 | None
    added: Annotated[tuple[Feed, ...], Meta(max_length=FEEDS_MAX)]
    """Ascending by number; numbers never used before."""
    ended: Annotated[tuple[U32, ...], Meta(max_length=FEEDS_MAX)]
    """Ascending."""
    replaced: Replaced
    """A new HPKE key of a committee member opens a new epoch."""

    def __post_init__(self) -> None:
        """Refuse lists out of order."""
        check_ascending(tuple(each.feed for each in self.added), "added feeds")
        check_ascending(self.ended, "ended feeds")


class SetParams(Record, frozen=True, tag=8):
    """Set the parameters; `linker` and `utc_offset_min` are the same for ever."""

    params: Params


class SetCommittee(Record, frozen=True, tag=9):
    """Open a new epoch: who orders and who holds key shares."""

    validators: Annotated[tuple[U32, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]
    """Ascending."""
    committee: Annotated[tuple[U32, ...], Meta(min_length=1, max_length=COMMITTEE_MAX)]
    """Ascending, each one of `validators`."""

    def __post_init__(self) -> None:
        """Refuse lists out of order."""
        check_ascending(self.validators, "validators")
        check_ascending(self.committee, "committee members")


class SetRules(Record, frozen=True, tag=10):
    """Execute blocks by the next rules; a node that doesn't know them stops before that height."""

    rules: U16


Change = (
    Admit
    | SetRoles
    | Suspend
    | Resume
    | Remove
    | SetEndpoint
    | ReplaceKeys
    | SetParams
    | SetCommittee
    | SetRules
)


def change_kind(change: Change) -> ChangeKind:
    """Return the number that a change's encoding begins with."""
    number = type(change).__struct_config__.tag
    assert isinstance(number, int), change
    return ChangeKind(number)


def changed_member(change: Change) -> int:
    """Return the id of the member that a change is about, 0 if it is about the whole ledger."""
    match change:
        case Admit(record=record):
            return record.id
        case SetParams() | SetCommittee() | SetRules():
            return 0
        case _:
            return change.member


class Proposal(Record, frozen=True):
    """Content of a proposal."""

    ledger_id: B32
    registry_root: B32
    """Of the registry in force at the block that places it."""
    title: str
    reason: str
    """For people, in clear and for ever: nothing about a subject belongs here."""
    effect_height: U64
    """First height at which the changes are in force; the next one if it is past by then."""
    expires_ms: U64
    """Votes count in blocks with a time before this."""
    waived: U8
    """Sum of `Waiver`."""
    changes: Annotated[tuple[Change, ...], Meta(min_length=1, max_length=CHANGES_MAX)]
    """Ascending by kind, then member, without duplicates; made in this order."""

    def __post_init__(self) -> None:
        """Refuse texts, waivers and orders that no proposal has."""
        check_text(self.title, "title", TITLE_CHARS_MAX)
        check_text(self.reason, "reason", REASON_CHARS_MAX)
        if self.waived & ~sum(int(each) for each in Waiver):
            raise ValueError(f"waived is {self.waived}, expected a sum of 1 and 2")
        order = tuple((change_kind(each), changed_member(each)) for each in self.changes)
        check_ascending(order, "changes (by kind, then member)")

    def touches(self) -> frozenset[tuple[str, int]]:
        """Return what the changes are about; of two that touch the same thing only one waits."""
        touched: set[tuple[str, int]] = set()
        for change in self.changes:
            match change:
                case SetParams() | SetRules():
                    touched.add(("settings", 0))
                case SetCommittee():
                    touched.add(("epoch", 0))
                case ReplaceKeys(member=member, replaced=replaced):
                    touched.add(("member", member))
                    if replaced.hpke_key is not None:
                        touched.add(("epoch", 0))
                case _:
                    touched.add(("member", changed_member(change)))
        return frozenset(touched)

    def next_rules(self) -> int | None:
        """Return the number of the rules that it puts in force, None if it leaves them."""
        return next((each.rules for each in self.changes if isinstance(each, SetRules)), None)


@enum.unique
class VoteChoice(enum.IntEnum):
    """What a validator says of a proposal."""

    APPROVE = 1
    REJECT = 2


class ProposalVote(Record, frozen=True):
    """Content of a vote."""

    proposal_id: B16
    choice: U8
    """A `VoteChoice`."""

    def __post_init__(self) -> None:
        """Refuse other choices."""
        if self.choice not in set(VoteChoice):
            raise ValueError(f"choice is {self.choice}, expected 1 (approve) or 2 (reject)")


PROPOSAL: Final[Codec[Proposal]] = Codec(Proposal, "proposal", PROPOSAL_BYTES_MAX)
PROPOSAL_VOTE: Final[Codec[ProposalVote]] = Codec(ProposalVote, "vote", VOTE_BYTES_MAX)


def proposal_id(content: bytes) -> bytes:
    """Return the id of a proposal: the first 16 bytes of H("proposal", content)."""
    return digest("proposal", content)[:PROPOSAL_ID_BYTES]
