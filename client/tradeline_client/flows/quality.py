"""Quality statements of this member: posted like every entry, by the inquiry desk's feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.flows.entry import Placement, place
from tradeline_ledger.encoding import encode
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from tradeline_client.requests import Flow
    from tradeline_client.session import Session
    from tradeline_ledger.quality import Quality


def state_quality(session: Session, content: Quality) -> Flow[Placement]:
    """
    Post a statement that `month.count_month` made.

    Raises:
        RefusedError: another was accepted since, or the log does not bear it out.
        UnavailableError and others: as `entry.place`.
    """
    feed = session.keystore.feed_for(Kind.QUALITY, session.folder.profile.desk_feed)
    return (yield from place(session, Kind.QUALITY, encode(content), feed=feed))
