"""
Who is at fault when shares do not open a body (docs/formats.md, sections 4 and 7).

A batch, or a re-deposit of it, commits to every share by `share_root`, so a share with its path
either is the one that was dealt or convicts the committee member that signed the answer. If t
shares are those that were dealt and combine to another key than the body commits to, the member
that dealt them is at fault.

A claim is checked against the facts of the same inquiry, which a bundle without keys proves to
anybody. It holds shares in clear: t answers in one claim open every body that they answer for.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

from msgspec import Meta

from tradeline_ledger.agreement import node_keys
from tradeline_ledger.encoding import B64, U32, Codec, Record, check_ascending, encode
from tradeline_ledger.errors import (
    InclusionError,
    MalformedError,
    SealError,
    SignatureError,
    VerificationError,
)
from tradeline_ledger.hashing import HASH_BYTES, digest
from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.proof import EntryVerifier, TreeHead
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.registry import COMMITTEE_MAX
from tradeline_ledger.release import (
    ANSWER_BYTES_MAX,
    PAYLOAD,
    EntryProof,
    common_hash,
    payload_hash,
    verify_history,
)
from tradeline_ledger.sharing import combine
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Deposit

if TYPE_CHECKING:
    from tradeline_ledger.facts import Facts, ProvenEvent
    from tradeline_ledger.release import BatchPart, EventShare

CLAIM_BYTES_MAX: Final = COMMITTEE_MAX * ANSWER_BYTES_MAX


class SignedShares(Record, frozen=True):
    """The shares that one committee member answered with, and its signature."""

    validator: U32
    signature: B64
    """Sig(node key, "history", `release.history_message`)."""
    payload: bytes
    """Exact bytes of its `EntryShares`, with share paths."""


class FaultClaim(Record, frozen=True):
    """That somebody is at fault for the shares of one event."""

    event: EventId
    deposits: Annotated[tuple[Deposit, ...], Meta(max_length=COMMITTEE_MAX)]
    """
    Those of the event's batch or of the re-deposit, by committee position; they stand in its
    content.
    """
    redeposit: EntryProof | None
    """The re-deposit that the answers name, with its content; None if they name the batch."""
    answers: Annotated[tuple[SignedShares, ...], Meta(min_length=1, max_length=COMMITTEE_MAX)]
    """Ascending by validator."""

    def __post_init__(self) -> None:
        """Refuse answers out of order."""
        check_ascending(tuple(each.validator for each in self.answers), "answers")


CLAIM: Final[Codec[FaultClaim]] = Codec(FaultClaim, "fault claim", CLAIM_BYTES_MAX)


@enum.unique
class Part(enum.Enum):
    """Which part somebody played in sharing a key."""

    COMMITTEE_MEMBER = "committee member"
    DEALER = "dealer"


@dataclass(frozen=True, slots=True)
class Blame:
    """Who is proven to be at fault. Made by `verify_fault`."""

    part: Part
    member: int
    event: EventId
    detail: str


class _Dealt(NamedTuple):
    """Deposits: the log index of what placed them, and their epoch."""

    placed: int
    epoch: int


def verify_fault(claim: FaultClaim, facts: Facts) -> Blame:
    """
    Return whom `claim` convicts: the first committee member with a false share, else the dealer.

    Raises:
        MalformedError: the claim lacks what it needs, such as share paths.
        SignatureError: an answer is not signed by its committee member for this inquiry.
        SealError: fewer answers than the threshold, all of them right.
        VerificationError: nobody is at fault, or the claim is about something else.
    """
    proven, body, part = _event(claim, facts)
    dealt = _dealt(claim, facts, part)
    epoch = facts.log.registry.epochs[dealt.epoch]
    hashed = common_hash(encode(facts.common))
    shares: dict[int, bytes] = {}
    for answer in claim.answers:
        position = epoch.position(answer.validator)
        if position is None or position >= len(claim.deposits):
            raise VerificationError(
                f"member {answer.validator} is not in the committee of epoch {epoch.epoch}"
            )
        _check_signature(answer, hashed, facts)
        share = _share(answer, claim.event, dealt)
        assert share.path is not None, claim.event
        try:
            verify_inclusion(
                leaf_hash(share.share),
                claim.event.position,
                part.count,
                share.path,
                claim.deposits[position].share_root,
            )
        except InclusionError as error:
            return Blame(
                Part.COMMITTEE_MEMBER,
                answer.validator,
                claim.event,
                f"its share is not the one that was dealt to it: {error}",
            )
        shares[position] = share.share
    key = combine(shares, epoch.threshold)
    if digest("body-key", key) == body[:HASH_BYTES]:
        raise VerificationError(
            f"the shares of event {claim.event} combine to its key; nobody is at fault"
        )
    return Blame(
        Part.DEALER,
        proven.entry.statement.member,
        claim.event,
        f"{epoch.threshold} shares that it dealt combine to another key than its body commits to",
    )


def _event(claim: FaultClaim, facts: Facts) -> tuple[ProvenEvent, bytes, BatchPart]:
    proven = next((each for each in facts.events if each.id == claim.event), None)
    if proven is None or proven.body is None or proven.entry.batch is None:
        raise VerificationError(f"event {claim.event} has no body in these facts")
    part = proven.entry.batch
    return proven, proven.body, part


def _dealt(claim: FaultClaim, facts: Facts, part: BatchPart) -> _Dealt:
    """Return where the deposits of a claim were placed, once they are proven to be those."""
    if claim.redeposit is None:
        if digest("deposits", encode(claim.deposits)) != part.deposits_hash:
            raise VerificationError(f"the deposits are not those of batch {claim.event.index}")
        return _Dealt(claim.event.index, part.epoch)
    verifier = EntryVerifier(facts.common.ledger_id, facts.log.registry)
    head = TreeHead(facts.common.size, facts.common.root)
    entry = verifier.entry(claim.redeposit, head).expect(Kind.REDEPOSIT)
    assert entry.content is not None, entry.index
    content = REDEPOSIT.decode(entry.content)
    if content.index != claim.event.index or content.deposits != claim.deposits:
        raise VerificationError(
            f"entry {entry.index} does not deal the keys of batch {claim.event.index} by these "
            "deposits"
        )
    return _Dealt(entry.index, content.epoch)


def _check_signature(answer: SignedShares, hashed: bytes, facts: Facts) -> None:
    payload = payload_hash(answer.payload)
    for key in node_keys(facts.log.registry, answer.validator, facts.block.height):
        try:
            verify_history(key, hashed, answer.validator, payload, answer.signature)
        except SignatureError:
            continue
        return
    raise SignatureError(f"answer of member {answer.validator} is signed by none of its node keys")


def _share(answer: SignedShares, event: EventId, dealt: _Dealt) -> EventShare:
    for entry in PAYLOAD.decode(answer.payload):
        # Out of other deposits of the batch the share is another one.
        if entry.index != event.index or (entry.placed, entry.epoch) != dealt:
            continue
        for share in entry.shares:
            if share.position == event.position:
                if share.path is None:
                    raise MalformedError(
                        f"share of member {answer.validator} has no path; ask with share paths"
                    )
                return share
    raise SealError(f"member {answer.validator} answered with no share of event {event}")
