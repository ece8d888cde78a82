"""
Key changes: the root key adds, ends and replaces the member's other keys.

A change is in force from the block after its own. Its number, which keeps it from being posted
twice, is what a node says; a wrong one gets the change refused, and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tradeline_client.flows.entry import Placement, place
from tradeline_client.requests import Flow, Request, Response, from_json, try_each
from tradeline_ledger.encoding import encode
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from tradeline_client.session import Session
    from tradeline_ledger.registry import Feed

KEPT = Replaced(None, None, None, None, None)
"""Replaces no key."""


class _Count(msgspec.Struct, frozen=True):
    key_changes: int


def change_keys(
    session: Session,
    *,
    added: tuple[Feed, ...] = (),
    ended: tuple[int, ...] = (),
    replaced: Replaced = KEPT,
) -> Flow[Placement]:
    """
    Sign a change of this member's keys with the root key, post it and confirm it.

    Raises:
        FolderError: the root key is kept elsewhere, or no feed may carry the change.
        RefusedError: the rules don't allow it; it changes nothing.
        UnavailableError and others: as `entry.place`.
    """
    root = session.keystore.root
    feed = session.keystore.feed_for(Kind.KEY, session.folder.profile.desk_feed)
    number = yield from try_each(session.nodes(), lambda node: _ask(session, node), _count)
    change = encode(
        KeyChange(session.ledger.ledger_id, session.member, number, added, ended, replaced)
    )
    content = encode(Key(change, root.sign("key", change)))
    return (yield from place(session, Kind.KEY, content, feed=feed))


def _ask(session: Session, node: int) -> Request:
    return Request(node, "GET", f"/v1/members/{session.member}/key-changes")


def _count(response: Response) -> int:
    return from_json(_Count, response).key_changes
