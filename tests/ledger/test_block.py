"""Blocks: what entries of one height see of each other, and what a block leaves in the log."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.draft import key_content
from tests.world import BULK, DESK, GENESIS_MS, World, make_ledger, next_prev, seed

from tradeline_ledger import state
from tradeline_ledger.consent import Change, Status, consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Replaced
from tradeline_ledger.mark import Mark
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Feed
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    BlockLeaf,
    EntryLeaf,
    Kind,
    content_hash,
    decode_leaf,
    kinds_of,
    sign_entry,
)
from tradeline_ledger.transition import Block, Executed, execute

THIRD: Final = SigningKey(seed("third feed"))


def outcomes(executed: Executed) -> list[Outcome]:
    return [placed.applied.outcome for placed in executed.placed]


def run(world: World, *items: tuple[int, int, Kind, bytes]) -> list[bytes]:
    """Return the entries of one block: (member, feed, kind, content), feeds in sequence."""
    entries: list[bytes] = []
    taken: dict[tuple[int, int], tuple[int, bytes]] = {}
    for member, feed, kind, content in items:
        ahead, prev = taken.get((member, feed), (0, None))
        hash_ = content_hash(kind, content)
        statement = world.statement(member, feed, kind, hash_, ahead=ahead, prev=prev)
        entry = sign_entry(world.institution(member).feed_key(feed), statement, content)
        taken[member, feed] = (ahead + 1, next_prev(entry))
        entries.append(entry)
    return entries


def revoke(identity: bytes) -> bytes:
    return encode(Status(identity, Change.REVOKE, 1, None))


def mark() -> bytes:
    return encode(Mark(EventId(0, 0), 1, None, 1))


def with_third_feed(n: int = 0, world: World | None = None) -> bytes:
    feed = Feed(3, THIRD.public, kinds_of(Kind.STATUS))
    return key_content(world or World(), 1, n, added=(feed,))


def test_several_entries_of_one_feed_stand_in_one_block() -> None:
    world = World()
    entries = run(world, *((1, DESK, Kind.STATUS, revoke(bytes([i]) * 16)) for i in range(20)))
    executed = world.block(*entries)
    assert outcomes(executed) == [Outcome.ACCEPTED] * 20
    assert world.position(1, DESK)[0] == 20
    assert world.head.size == 1 + 20 + 1


def test_entries_of_one_feed_out_of_order_are_dropped_but_hold_nobody_up() -> None:
    world = World()
    first, second, third = run(
        world, *((1, DESK, Kind.STATUS, revoke(bytes([i]) * 16)) for i in range(3))
    )
    (other,) = run(world, (3, DESK, Kind.STATUS, revoke(bytes(16))))
    executed = world.block(second, first, other, third, first)
    assert outcomes(executed) == [Outcome.ACCEPTED] * 2
    dropped = [(place, applied.outcome) for place, applied in executed.dropped]
    assert dropped == [
        (0, Outcome.POSITION_AHEAD),
        (3, Outcome.POSITION_AHEAD),
        (4, Outcome.POSITION_PAST),
    ]
    assert outcomes(world.block(second, third)) == [Outcome.ACCEPTED] * 2


def test_two_statements_at_one_position_and_the_first_has_it() -> None:
    world = World()
    (one,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes(16))))
    (two,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes([1]) * 16)))
    executed = world.block(one, two)
    assert outcomes(executed) == [Outcome.ACCEPTED]
    assert executed.dropped[0][1].outcome is Outcome.POSITION_PAST
    later = world.block(two)
    assert later.dropped[0][1].outcome is Outcome.POSITION_PAST


def test_a_later_statement_names_the_one_before_it() -> None:
    world = World()
    (one,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes(16))))
    statement = world.statement(
        1,
        DESK,
        Kind.STATUS,
        content_hash(Kind.STATUS, revoke(b"x" * 16)),
        ahead=1,
        prev=bytes([9]) * 32,
    )
    two = sign_entry(world.institution(1).feed_key(DESK), statement, revoke(b"x" * 16))
    assert world.block(one, two).dropped[0][1].outcome is Outcome.PREV_WRONG


def test_entries_of_one_block_see_what_those_before_them_did() -> None:
    world = World()
    terms = world.terms()
    consent = consent_id(encode(terms))
    inquiry = encode(world.inquiry(consent))
    entries = run(
        world,
        (1, DESK, Kind.INQUIRY, inquiry),
        (1, DESK, Kind.CONSENT, world.consent(terms)),
        (1, DESK, Kind.INQUIRY, inquiry),
        (2, DESK, Kind.STATUS, revoke(consent)),
        (1, DESK, Kind.INQUIRY, inquiry),
    )
    assert outcomes(world.block(*entries)) == [
        Outcome.INQUIRY_CONSENT_UNKNOWN,
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
        Outcome.INQUIRY_CONSENT_REVOKED,
    ]


def third_feed_entry(world: World) -> bytes:
    content = revoke(seed("third")[:16])
    statement = world.statement(1, 3, Kind.STATUS, content_hash(Kind.STATUS, content))
    return sign_entry(THIRD, statement, content)


def test_a_new_key_signs_from_the_next_height() -> None:
    world = World()
    (change,) = run(world, (2, DESK, Kind.KEY, with_third_feed()))
    executed = world.block(change, third_feed_entry(world))
    assert outcomes(executed) == [Outcome.ACCEPTED]
    assert executed.dropped[0][1].outcome is Outcome.FEED_UNKNOWN
    assert executed.registry.member(1) is not None
    assert [each.from_height for each in executed.registry.versions(1)] == [0, 2]
    assert outcomes(world.block(third_feed_entry(world))) == [Outcome.ACCEPTED]


def test_an_ended_key_signs_to_the_end_of_its_block() -> None:
    world = World()
    change = key_content(world, 1, 0, ended=(BULK,))
    entries = run(world, (2, DESK, Kind.KEY, change), (1, BULK, Kind.MARK, mark()))
    assert outcomes(world.block(*entries)) == [Outcome.ACCEPTED, Outcome.MARK_TARGET_UNKNOWN]
    (later,) = run(world, (1, BULK, Kind.MARK, mark()))
    assert world.block(later).dropped[0][1].outcome is Outcome.KEY_ENDED


def test_two_key_changes_in_one_block_make_one_version() -> None:
    world = World()
    feed = Feed(4, SigningKey(seed("fourth")).public, kinds_of(Kind.MARK))
    entries = run(
        world,
        (2, DESK, Kind.KEY, with_third_feed()),
        (3, DESK, Kind.KEY, key_content(world, 1, 1, added=(feed,), ended=(BULK,))),
        (4, DESK, Kind.KEY, key_content(world, 1, 1, ended=(DESK,))),
    )
    executed = world.block(*entries)
    assert outcomes(executed) == [
        Outcome.ACCEPTED,
        Outcome.ACCEPTED,
        Outcome.KEY_CHANGE_OUT_OF_TURN,
    ]
    old, new = executed.registry.versions(1)
    assert (old.from_height, old.until_height, new.from_height) == (0, 2, 2)
    assert [each.feed for each in new.feeds] == [DESK, 3, 4]
    for row in (old, new):
        assert world.rows[state.member_key(1, row.from_height)] == encode(row)
    assert state.count(world, state.key_changes_key(1)) == 2


def test_changes_of_two_members_in_one_block_both_count() -> None:
    world = World()
    replaced = Replaced(SigningKey(seed("n")).public, None, None, None, None)
    entries = run(
        world,
        (2, DESK, Kind.KEY, with_third_feed()),
        (2, DESK, Kind.KEY, key_content(world, 3, 0, replaced=replaced)),
    )
    executed = world.block(*entries)
    assert [len(executed.registry.versions(n)) for n in (1, 2, 3)] == [2, 1, 2]
    leaf = decode_leaf(executed.leaves[-1])
    assert isinstance(leaf, BlockLeaf)
    assert leaf.registry_root == executed.registry.root


def test_a_key_that_two_changes_of_one_block_add_is_reused() -> None:
    world = World()
    feed = Feed(3, THIRD.public, kinds_of(Kind.STATUS))
    entries = run(
        world,
        (2, DESK, Kind.KEY, with_third_feed()),
        (2, DESK, Kind.KEY, key_content(world, 5, 0, added=(feed,))),
    )
    assert outcomes(world.block(*entries)) == [Outcome.ACCEPTED, Outcome.KEY_REUSED]


def test_a_block_without_effect_appends_nothing() -> None:
    world = World()
    before = (dict(world.rows), list(world.leaves), world.head, world.registry)
    for entries in ((), (b"garbage", b"")):
        executed = world.block(*entries)
        assert executed.leaves == ()
        assert executed.writes == {}
        assert len(executed.dropped) == len(entries)
    assert (world.rows, world.leaves, world.head, world.registry) == before


def test_heights_and_times_of_empty_blocks_leave_no_trace() -> None:
    world = World()
    (entry,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes(16))))
    block = Block(1000, GENESIS_MS + 77, (entry,))
    executed = execute(world, world.ledger, world.registry, world.head, block)
    leaf = decode_leaf(executed.leaves[-1])
    assert isinstance(leaf, BlockLeaf)
    assert (leaf.height, leaf.time_ms, leaf.prev_block) == (
        1000,
        GENESIS_MS + 77,
        world.head.block_hash,
    )


def test_a_block_ends_with_a_leaf_that_chains_to_the_one_before() -> None:
    world = World()
    prev = world.head.block_hash
    for number in range(3):
        executed = world.block(*run(world, (1, DESK, Kind.STATUS, revoke(bytes([number]) * 16))))
        first, last = (decode_leaf(leaf) for leaf in executed.leaves)
        assert isinstance(first, EntryLeaf)
        assert isinstance(last, BlockLeaf)
        assert (first.height, first.outcome) == (number + 1, Outcome.ACCEPTED)
        assert (last.height, last.prev_block) == (number + 1, prev)
        assert last.registry_root == world.registry.root
        prev = leaf_hash(executed.leaves[-1])
        assert executed.head.block_hash == prev
    assert world.root == root_of([leaf_hash(leaf) for leaf in world.leaves])


def test_a_member_has_so_many_refusals_a_day_across_feeds_and_blocks() -> None:
    world = World(make_ledger(refused_per_day=3))
    one = world.block(
        *run(
            world,
            (1, BULK, Kind.MARK, mark()),
            (1, DESK, Kind.CONSENT, b"garbage"),
            (3, BULK, Kind.MARK, mark()),
        )
    )
    assert len(one.placed) == 3
    entries = run(world, *((1, BULK, Kind.MARK, mark()) for _ in range(3)))
    two = world.block(*entries)
    assert len(two.placed) == 1
    assert [applied.outcome for _, applied in two.dropped] == [
        Outcome.REFUSED_TOO_OFTEN,
        Outcome.POSITION_AHEAD,
    ]
    assert len(world.block(*run(world, (3, BULK, Kind.MARK, mark()))).placed) == 1
    tomorrow = world.block(*run(world, (1, BULK, Kind.MARK, mark())), later_ms=86_400_000)
    assert outcomes(tomorrow) == [Outcome.MARK_TARGET_UNKNOWN]


def test_writes_of_a_block_are_those_of_its_entries_and_nothing_is_written_before() -> None:
    world = World()
    rows: dict[bytes, bytes] = dict(world.rows)
    entries = run(
        world, (1, DESK, Kind.STATUS, revoke(bytes(16))), (2, DESK, Kind.KEY, with_third_feed())
    )
    block = Block(1, GENESIS_MS + 5, tuple(entries))
    executed = execute(world, world.ledger, world.registry, world.head, block)
    assert world.rows == rows
    written = {key[:1] for key in executed.writes}
    assert written == {b"F", b"R", b"K", b"G", b"H"}


def test_a_block_that_goes_back_is_our_own_mistake() -> None:
    world = World()
    world.block(*run(world, (1, DESK, Kind.STATUS, revoke(bytes(16)))))
    wrong: list[tuple[int, int]] = [(1, world.time_ms + 1), (2, world.time_ms)]
    for height, time_ms in wrong:
        with pytest.raises(AssertionError):
            execute(world, world.ledger, world.registry, world.head, Block(height, time_ms, ()))


def garbage() -> list[Any]:
    world = World()
    (entry,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes(16))))
    return [b"", b"\x93", bytes(300), entry[:-1], entry + b"\x00", entry * 2, b"\xdd" + entry]


@pytest.mark.parametrize("data", garbage(), ids=len)
def test_bad_bytes_never_stop_a_block(data: bytes) -> None:
    world = World()
    (entry,) = run(world, (1, DESK, Kind.STATUS, revoke(bytes(16))))
    executed = world.block(data, entry, data)
    assert outcomes(executed) == [Outcome.ACCEPTED]
    assert {applied.outcome for _, applied in executed.dropped} == {Outcome.ENTRY_MALFORMED}
