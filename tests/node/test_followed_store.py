"""A ledger store that one process writes and another reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.test_store_damage import key_change
from tests.node.workload import Feeds
from tests.world import GENESIS_MS, World, make_ledger

from tradeline_ledger.transition import Block
from tradeline_node.application import Application
from tradeline_node.committed import Committed, committed_since
from tradeline_node.errors import StoreError
from tradeline_node.followed_store import FollowedStore
from tradeline_node.store import LedgerStore


class Pair:
    """A writer, and who follows it."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.folder = folder
        self.store = LedgerStore.open(folder / "store", self.world.ledger)
        self.application = Application(self.store)
        self.heard: list[Committed] = []
        self.application.on_commit.append(self.heard.append)
        self.feeds = Feeds(self.world, self.store)
        self.followed = self.follow()

    def follow(self) -> FollowedStore:
        return FollowedStore.follow(
            self.folder / "store", self.world.ledger, self.folder / "secondary"
        )

    def block(self, *entries: bytes) -> None:
        height = self.store.engine_height + 1
        self.application.finalize(Block(height, GENESIS_MS + height, entries))
        self.application.commit()

    def same(self) -> bool:
        ours, theirs = self.followed, self.store
        size = theirs.head.size
        return (
            (ours.head, ours.engine_height, ours.registry.root)
            == (theirs.head, theirs.engine_height, theirs.registry.root)
            and ours.leaves(0, size) == theirs.leaves(0, size)
            and ours.root(size) == theirs.root(size)
        )

    def close(self) -> None:
        self.followed.close()
        self.store.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def test_follower_sees_blocks_when_it_advances_and_not_before(pair: Pair) -> None:
    assert pair.same()
    assert not pair.followed.advance()
    before = pair.followed.head
    pair.block(pair.feeds.submission(1, 3, 0), pair.feeds.refused(2))
    assert pair.followed.head == before
    assert pair.followed.advance()
    assert pair.same()
    assert list(committed_since(pair.followed, before.size)) == pair.heard


def test_blocks_that_come_together_are_told_one_by_one(pair: Pair) -> None:
    for number in range(5):
        pair.block(pair.feeds.submission(1 + number % 3, 2, number))
        pair.block()
    assert pair.followed.advance()
    told = list(committed_since(pair.followed, 1))
    assert told == [each for each in pair.heard if each.grew]
    assert [len(each.placed) for each in told] == [1] * 5
    assert all(each.placed[0].events == 2 for each in told)


def test_follower_sees_height_and_registry_change(pair: Pair) -> None:
    pair.block()
    assert pair.followed.advance()
    assert pair.followed.engine_height == 1
    root = pair.followed.registry.root
    pair.block(key_change(pair.world, pair.feeds))
    assert pair.followed.advance()
    assert pair.followed.registry.root != root
    assert pair.same()


def test_follower_goes_on_when_the_writer_starts_again(pair: Pair) -> None:
    pair.block(pair.feeds.submission(1, 3, 0))
    pair.store.close()
    pair.store = LedgerStore.open(pair.folder / "store", pair.world.ledger)
    pair.application = Application(pair.store)
    pair.feeds.view = pair.store
    pair.block(pair.feeds.submission(2, 3, 1))
    assert pair.followed.advance()
    assert pair.same()


def test_reads_go_on_while_blocks_are_written_and_followed(pair: Pair) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                size = pair.followed.head.size
                pair.followed.root(size)
                assert len(pair.followed.leaves(0, size)) == size
                assert sum(1 for _ in pair.followed.iterate(b"")) >= size
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    for number in range(60):
        pair.block(pair.feeds.submission(1 + number % 4, 20, number))
        pair.followed.advance()
    done.set()
    for each in readers:
        each.join()
    assert not failures
    assert pair.same()


def test_store_that_is_missing_or_of_another_ledger_is_not_followed(
    pair: Pair, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="can't be opened"):
        FollowedStore.follow(tmp_path / "absent", pair.world.ledger, tmp_path / "notes")
    other = make_ledger(refused_per_day=7)
    with pytest.raises(StoreError, match="is of ledger"):
        FollowedStore.follow(pair.folder / "store", other, tmp_path / "notes")


def test_follower_takes_no_blocks(pair: Pair) -> None:
    application = Application(pair.followed)
    application.finalize(Block(1, GENESIS_MS + 1, (pair.feeds.refused(1),)))
    with pytest.raises(StoreError, match="opened to read"):
        application.commit()
