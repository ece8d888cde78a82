"""Marks on this member's own events: erase one everywhere, or move the month that it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.flows.entry import Placement, place
from tradeline_ledger.encoding import encode
from tradeline_ledger.mark import Mark, MarkKind, MarkReason
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from tradeline_client.requests import Flow
    from tradeline_client.session import Session
    from tradeline_ledger.history import EventId


def erase(session: Session, event: EventId, reason: MarkReason) -> Flow[Placement]:
    """
    Have the body of an event deleted on every node, and its key here; the header stays.

    The key goes once the order is on the ledger, also where it was there before
    (`Session.settle`).

    Raises:
        RefusedError: the ledger refused it, `MARK_WITHOUT_EFFECT` if it was erased already.
        UnavailableError and others: as `entry.place`; the key is still here.
    """
    return (yield from _mark(session, Mark(event, MarkKind.ERASE, None, reason), event.encoded()))


def retain(session: Session, event: EventId, month: int, reason: MarkReason) -> Flow[Placement]:
    """
    Have the body of an event kept until `month`, `year * 12 + month - 1`, instead.

    Raises:
        RefusedError and others: as `entry.place`.
    """
    return (yield from _mark(session, Mark(event, MarkKind.RETAIN, month, reason)))


def _mark(session: Session, mark: Mark, about: bytes | None = None) -> Flow[Placement]:
    feed = session.keystore.feed_for(Kind.MARK, session.folder.profile.bulk_feed)
    return (yield from place(session, Kind.MARK, encode(mark), feed=feed, about=about))
