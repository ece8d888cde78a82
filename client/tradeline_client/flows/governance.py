"""
Proposals and votes: post them, and see where they stand.

The proposal itself is proven: its content hashes to its id, and its entry stands in the log. Where
it stands and who voted is what a quorum of the validators' nodes says alike. What it changes is
computed here, by the rules that the nodes go by.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import AnswerError, ClientError, UnavailableError
from tradeline_client.flows.checkpoint import content_of, leaf_at, newest, registry
from tradeline_client.flows.entry import Placement, place
from tradeline_client.flows.pages import all_pages
from tradeline_client.registry_diff import Difference, differences
from tradeline_client.requests import (
    Flow,
    Request,
    Round,
    from_json,
    raise_failures,
    read,
)
from tradeline_ledger.amendment import Moment, amend
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import (
    PROPOSAL,
    PROPOSAL_BYTES_MAX,
    Proposal,
    ProposalVote,
    VoteChoice,
    proposal_id,
)
from tradeline_ledger.registry import Registry, quorum
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind
from tradeline_ledger.trust import registry_after

if TYPE_CHECKING:
    from tradeline_client.session import Session

STANDINGS: Final = ("open", "expired", "passed", "rejected", "enacted", "failed")


class _View(msgspec.Struct, frozen=True):
    """What one node says of a proposal."""

    proposal_id: str
    index: int
    standing: str
    approvals: tuple[int, ...]
    rejections: tuple[int, ...]
    needed: int
    decided_height: int | None
    enacted_height: int | None
    failure: str | None


class _Page(msgspec.Struct):
    proposals: list[_View]
    next: str | None


@dataclass(frozen=True, slots=True)
class ProposalStatus:
    """A proposal, proven, and where it stands."""

    proposal_id: bytes
    proposal: Proposal
    index: int
    """Log index."""
    member: int
    """Who proposed."""
    standing: str
    """One of `STANDINGS`."""
    approvals: tuple[int, ...]
    """Members whose vote stands at approve."""
    rejections: tuple[int, ...]
    needed: int
    """Approvals of validators that make it pass."""
    enacted_height: int | None
    """First height at which its changes are in force."""
    failure: str | None
    """Code of the outcome because of which its changes could not be made, or can't today."""
    agreed_by: tuple[int, ...]
    """Validators whose nodes say the same of standing and votes; a quorum."""
    differences: tuple[Difference, ...]
    """What it changes: of the registry today while it waits, else of the one that it changed."""


def propose(session: Session, proposal: Proposal) -> Flow[Placement]:
    """
    Post a proposal.

    Raises:
        RefusedError: the rules don't allow it as things are; it changes nothing.
        UnavailableError and others: as `entry.place`.
    """
    feed = session.keystore.feed_for(Kind.PROPOSAL, session.folder.profile.desk_feed)
    return (yield from place(session, Kind.PROPOSAL, encode(proposal), feed=feed))


def vote(session: Session, identity: bytes, choice: VoteChoice) -> Flow[Placement]:
    """
    Approve or reject a proposal, as a validator.

    Raises:
        RefusedError: this member is no validator, or the proposal takes no votes.
        UnavailableError and others: as `entry.place`.
    """
    feed = session.keystore.feed_for(Kind.VOTE, session.folder.profile.desk_feed)
    content = encode(ProposalVote(identity, choice))
    return (yield from place(session, Kind.VOTE, content, feed=feed))


def preview(
    session: Session, proposal: Proposal, now: Registry
) -> tuple[tuple[Difference, ...], str | None]:
    """
    Return what a proposal would change in the registry `now`, or the code of what stands against.

    Whether keys of events would be stranded is for the nodes to say: they count the batches.
    """
    moment = Moment(now.epoch.from_height + 1, now.epoch.from_ms + 1)
    after = amend(session.ledger, now, proposal, moment, lambda _: 0)
    if isinstance(after, Registry):
        return tuple(differences(session.ledger, now, after)), None
    return (), after.code


def show(session: Session, identity: bytes) -> Flow[ProposalStatus]:
    """
    Return one proposal.

    Raises:
        NodeProblemError: there is no such proposal.
        UnavailableError: no quorum of the nodes answers and agrees.
        VerificationError: what they say is not what the log holds.
    """
    yield from registry(session)
    view, agreed_by = yield from _agreed(session, identity)
    now = yield from registry(session)
    checkpoint = yield from newest(session, size_min=view.index + 1)
    proven = yield from leaf_at(session, view.index, checkpoint)
    leaf = proven.leaf
    if not isinstance(leaf, EntryLeaf) or leaf.outcome != Outcome.ACCEPTED:
        raise AnswerError(proven.node, f"leaf {view.index} is no accepted entry")
    statement = STATEMENT.decode(leaf.statement)
    content = yield from content_of(
        session, Kind.PROPOSAL, statement.content_hash, PROPOSAL_BYTES_MAX
    )
    if statement.kind != Kind.PROPOSAL or proposal_id(content) != identity:
        raise AnswerError(proven.node, f"entry {view.index} is another proposal")
    proposal = PROPOSAL.decode(content)
    found: tuple[Difference, ...] = ()
    failure = view.failure
    if view.enacted_height is not None:
        before = registry_after(now, view.enacted_height - 2)
        after = registry_after(now, view.enacted_height - 1)
        found = tuple(differences(session.ledger, before, after))
    elif view.standing in ("open", "passed"):
        found, failure = preview(session, proposal, now)
    return ProposalStatus(
        proposal_id=identity,
        proposal=proposal,
        index=view.index,
        member=statement.member,
        standing=view.standing,
        approvals=view.approvals,
        rejections=view.rejections,
        needed=view.needed,
        enacted_height=view.enacted_height,
        failure=failure,
        agreed_by=agreed_by,
        differences=found,
    )


def show_all(session: Session) -> Flow[list[ProposalStatus]]:
    """
    Return every proposal, oldest first.

    Raises:
        UnavailableError, VerificationError: as `show`.
    """
    ids = yield from all_pages(
        session, "/v1/proposals", _Page, lambda page: [each.proposal_id for each in page.proposals]
    )
    found = []
    for each in ids:
        found.append((yield from show(session, each)))  # noqa: PERF401  yields
    return sorted(found, key=lambda each: each.index)


def _agreed(session: Session, identity: bytes) -> Flow[tuple[_View, tuple[int, ...]]]:
    """Return what a quorum of the validators' nodes says alike, and which of them."""
    target = f"/v1/proposals/{identity.hex()}"
    nodes = session.nodes()
    answers = yield Round(tuple(Request(node, "GET", target) for node in nodes))
    views: dict[int, _View] = {}
    failures: dict[int, Exception] = {}
    for node, answer in zip(nodes, answers, strict=True):
        try:
            view = from_json(_View, read(answer))
            if view.proposal_id != identity.hex() or view.standing not in STANDINGS:
                raise AnswerError(node, "it shows another proposal, or an unknown standing")
            views[node] = view
        except (ClientError, LedgerError) as error:
            failures[node] = error
    needed = quorum(len(session.registry.epoch.validators))
    if not views:
        raise_failures("no node shows the proposal", failures)
    (common, count) = Counter(views.values()).most_common(1)[0]
    if count >= needed:
        return common, tuple(sorted(node for node, view in views.items() if view == common))
    raise UnavailableError(
        f"{count} nodes say the same of the proposal, {needed} are needed; ask again in a moment",
        {node: str(error) for node, error in failures.items()},
    )
