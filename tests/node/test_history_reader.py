from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.custody_world import Committee
from tests.world import seed

from tradeline_ledger.history import EventId
from tradeline_ledger.inquiry import INQUIRY, scope_tags
from tradeline_node.errors import AbsentError
from tradeline_node.history_reader import read_histories
from tradeline_node.scope import derive_scope


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path, members=(1, 2, 3))
    yield made
    made.close()


def test_one_cursor_finds_what_one_look_up_a_tag_finds(committee: Committee) -> None:
    for who in ([1, 2, 1], [3], [2, 1]):
        batch, attachment, _ = committee.batch(2, who)
        committee.submit(2, batch, attachment)
    store, world = committee.nodes[3].store, committee.world
    scope = sorted(
        {(member, world.tag(member, who, 2026)) for member in (1, 2, 3) for who in range(1, 6)}
        | {(2, seed("nobody", i)[:16]) for i in range(20)}
        | {(0, bytes(16)), (2**32 - 1, b"\xff" * 16)}
    )
    for size in range(store.head.size + 1):
        one_by_one = [
            (member, tag, events)
            for member, tag in scope
            if (events := store.history(member, tag, size))
        ]
        assert store.histories(scope, size) == one_by_one
    assert len(store.histories(scope, store.head.size)) == 3
    with pytest.raises(AbsentError, match=r"leaves"):
        store.histories(scope, store.head.size + 1)


def test_events_come_in_log_order_whatever_tag_they_are_under(committee: Committee) -> None:
    indexes = []
    for member, category in ((3, 2), (2, 1), (3, 1)):
        batch, attachment, _ = committee.batch(member, [9, 1, 1], category=category)
        indexes.append(committee.submit(member, batch, attachment))
    asked = committee.inquire()
    store, world = committee.nodes[1].store, committee.world
    inquiry = INQUIRY.decode(store.content(asked.index))
    keys = [key.year_key for key in asked.request.year_keys]
    scope = derive_scope(inquiry, store.registry, 99, committee.nodes[1].tag_keys, keys)
    assert scope == scope_tags(
        inquiry,
        store.registry.ever(),
        {each.id: [each.tag_key] for each in world.institutions},
        [(key.year, key.year_key) for key in asked.request.year_keys],
    )
    found = read_histories(store, scope, store.head.size)
    events = [each.event for each in found.events]
    assert events == [
        *(EventId(index, position) for index in indexes for position in (1, 2)),
        EventId(asked.index, 0),
    ]
    assert [each.header for each in found.events] == [store.event_header(each) for each in events]
    assert sorted(found.submissions) == indexes
