"""Key changes, for tests of what they do to entries on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world import DESK

from tradeline_ledger.encoding import encode
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.statement import Kind, content_hash

if TYPE_CHECKING:
    from tests.node.workload import Feeds

UNCHANGED = Replaced(None, None, None, None, None)


def end_feed(feeds: Feeds, member: int, feed: int, *, poster: int) -> bytes:
    """Return the entry that ends a feed, carried by another member's feed."""
    world = feeds.world
    change = encode(KeyChange(world.ledger.ledger_id, member, 0, (), (feed,), UNCHANGED))
    signature = world.institution(member).root.sign("key", change)
    content = encode(Key(change, signature))
    return feeds.sign(poster, DESK, Kind.KEY, content, content_hash(Kind.KEY, content))
