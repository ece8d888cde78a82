"""Key changes, for tests of what they do to entries on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world import DESK, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind, content_hash

if TYPE_CHECKING:
    from tests.node.workload import Feeds

UNCHANGED = Replaced(None, None, None, None, None)


def end_feed(feeds: Feeds, member: int, feed: int, *, poster: int) -> bytes:
    """Return the entry that ends a feed, carried by another member's feed."""
    return _entry(feeds, member, (feed,), UNCHANGED, poster)


def replace_node_key(feeds: Feeds, member: int, *, poster: int) -> bytes:
    """Return the entry that replaces a node key: feed 0 goes on under another key."""
    replaced = Replaced(SigningKey(seed("another", member)).public, None, None, None, None)
    return _entry(feeds, member, (), replaced, poster)


def _entry(
    feeds: Feeds, member: int, ended: tuple[int, ...], replaced: Replaced, poster: int
) -> bytes:
    world = feeds.world
    change = encode(KeyChange(world.ledger.ledger_id, member, 0, (), ended, replaced))
    signature = world.institution(member).root.sign("key", change)
    content = encode(Key(change, signature))
    return feeds.sign(poster, DESK, Kind.KEY, content, content_hash(Kind.KEY, content))
