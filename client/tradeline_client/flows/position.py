"""
Where a feed stands, taken from verified blocks before this session's first signature with it.

A folder that was restored, or whose keys were copied, must not sign a second statement for a
position. So all nodes are asked, the highest claim that can be proven counts, and the journal
must agree with it: what the journal has signed and the log does not show is sent again; what the
log shows and the journal does not know stops everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tradeline_client.errors import (
    AnswerError,
    ClientError,
    JournalConflictError,
)
from tradeline_client.flows.checkpoint import leaf_at, newest
from tradeline_client.journal import FeedPosition
from tradeline_client.requests import Flow, Request, Round, from_json, raise_failures, read
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.statement import (
    FIRST_PREV,
    STATEMENT,
    EntryLeaf,
    statement_hash,
    verify_statement,
)

if TYPE_CHECKING:
    from tradeline_client.journal import Journal
    from tradeline_client.session import Session

_UNUSED: Final = FeedPosition(0, FIRST_PREV)


class _Feed(msgspec.Struct):
    next_seq: int
    index: int | None


def ready(session: Session, feed: int) -> Flow[FeedPosition]:
    """
    Return the position at which `feed` is signed next, once journal and log agree on it.

    Asks the nodes once a session and feed.

    Raises:
        JournalConflictError: the log has statements of this feed that the journal does not know.
        UnavailableError: no node answers.
    """
    if feed not in session.ready_feeds:
        verified = yield from position(session, feed)
        _reconcile(session.journal, feed, verified)
        session.ready_feeds.add(feed)
    own = session.journal.position(feed)
    assert own is not None, feed
    return own


def position(session: Session, feed: int) -> Flow[FeedPosition]:
    """
    Return the highest position of the member's feed that any node can prove.

    Raises:
        UnavailableError: no node answers.
        VerificationError: nodes claim positions, and none of them can prove its claim.
    """
    target = f"/v1/feeds/{session.member}/{feed}"
    nodes = session.nodes()
    answers = yield Round(tuple(Request(node, "GET", target) for node in nodes))
    failures: dict[int, Exception] = {}
    claims: list[tuple[int, int | None, int]] = []
    for node, answer in zip(nodes, answers, strict=True):
        try:
            claim = from_json(_Feed, read(answer))
            if claim.next_seq < 0 or (claim.index is None) != (claim.next_seq == 0):
                raise AnswerError(node, "the feed's position and index contradict each other")
            claims.append((claim.next_seq, claim.index, node))
        except (ClientError, LedgerError) as error:
            failures[node] = error
    for next_seq, index, node in sorted(claims, key=lambda claim: claim[0], reverse=True):
        if index is None:
            return _UNUSED
        try:
            return (yield from _prove(session, feed, next_seq, index, node))
        except (ClientError, LedgerError) as error:
            failures[node] = error
    raise_failures(f"no node proves the position of feed {feed}", failures)
    raise AssertionError


def adopt(session: Session, feed: int) -> Flow[FeedPosition]:
    """
    Take the verified position of `feed`, after an operator has made sure that no copy signs.

    Statements of the journal whose positions the log has given to others are given up.

    Raises:
        StoreError: this folder signed past that position; send what is pending instead.
        UnavailableError, VerificationError: as `position`.
    """
    verified = yield from position(session, feed)
    session.journal.adopt(feed, verified)
    for signed in session.journal.pending(feed):
        if signed.seq < verified.next_seq:
            session.journal.give_up(signed.hash)
    session.ready_feeds.add(feed)
    return verified


def _prove(session: Session, feed: int, next_seq: int, index: int, node: int) -> Flow[FeedPosition]:
    checkpoint = yield from newest(session, size_min=index + 1)
    proven = yield from leaf_at(session, index, checkpoint, node)
    if not isinstance(proven.leaf, EntryLeaf):
        raise AnswerError(node, f"leaf {index} is a block's, not the last of feed {feed}")
    statement = STATEMENT.decode(proven.leaf.statement)
    if (statement.member, statement.feed, statement.seq) != (session.member, feed, next_seq - 1):
        raise AnswerError(node, f"leaf {index} is not statement {next_seq - 1} of feed {feed}")
    key = session.keystore.feed(feed).public
    verify_statement(key, proven.leaf.statement, proven.leaf.signature)
    return FeedPosition(next_seq, statement_hash(proven.leaf.statement))


def _reconcile(journal: Journal, feed: int, verified: FeedPosition) -> None:
    """Accept what the log shows, or stop."""
    own = journal.position(feed)
    if own is None and verified.next_seq == 0:
        journal.adopt(feed, verified)
        return
    own = own or _UNUSED
    agreed = own.next_seq >= verified.next_seq and _knows(journal, feed, own, verified)
    if not agreed:
        raise JournalConflictError(
            f"feed {feed}: the journal of this folder stands at position {own.next_seq}, the log "
            f"has {verified.next_seq} statements, of which the journal does not know the last",
            feed=feed,
            journal_seq=own.next_seq,
            ledger_seq=verified.next_seq,
        )


def _knows(journal: Journal, feed: int, own: FeedPosition, verified: FeedPosition) -> bool:
    """Return whether the log's last statement of the feed is the journal's for that position."""
    if verified.next_seq == 0 or own == verified:
        return True
    signed = journal.at(feed, verified.next_seq - 1)
    return signed is not None and signed.hash == verified.prev
