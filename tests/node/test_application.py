from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.node.keys import end_feed, replace_node_key
from tests.node.workload import Feeds
from tests.world import BULK, DESK, GENESIS_MS, World, make_ledger, next_prev, seed

from tradeline_ledger.history import EventId
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import ENTRY, FIRST_PREV, STATEMENT, Kind, content_hash
from tradeline_ledger.submission import Submission, decode_submission
from tradeline_ledger.transition import Block, execute
from tradeline_node.application import Application
from tradeline_node.errors import EngineError, StoreError
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX = 4 << 20


class Node:
    def __init__(self, path: Path, world: World) -> None:
        self.world = world
        self.feeds = Feeds(world)
        self.store = LedgerStore.open(path, world.ledger)
        self.application = Application(self.store)

    def block(self, *entries: bytes) -> bytes:
        head = self.store.head
        app_hash = self.application.finalize(
            Block(head.height + 1, head.time_ms + 1000, tuple(entries))
        )
        self.application.commit()
        return app_hash


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "ledger", World())
    yield node
    node.store.close()


def test_several_entries_of_a_feed_are_admitted_before_a_block(node: Node) -> None:
    entries = [node.feeds.refused(1, i) for i in range(4)]
    for entry in entries:
        assert node.application.check(entry).outcome is Outcome.CONTENT_MALFORMED
    assert node.application.check(entries[1]).outcome is Outcome.POSITION_PAST
    other = node.feeds.refused(1, "kept back")
    ahead = node.feeds.refused(1, "next")
    assert node.application.check(ahead).outcome is Outcome.POSITION_AHEAD
    assert node.application.check(other).signed is not None
    assert node.application.check(ahead).signed is not None
    node.block(*entries)
    assert node.store.head.size == 6


def test_second_statement_at_a_position_in_flight_is_not_admitted(node: Node) -> None:
    rival = Feeds(node.world).refused(1, "rival")
    assert node.application.check(node.feeds.refused(1, "first")).signed is not None
    assert node.application.check(rival).outcome is Outcome.POSITION_PAST


def test_entries_that_a_block_passes_over_do_not_wedge_their_feed(node: Node) -> None:
    lost = [node.feeds.refused(1, i) for i in range(3)]
    for entry in lost:
        assert node.application.check(entry).signed is not None
    node.block(node.feeds.refused(2))
    # The engine lost them: handed over again, from the first.
    assert node.application.check(lost[1]).outcome is Outcome.POSITION_AHEAD
    for entry in lost:
        assert node.application.check(entry).signed is not None


def test_recheck_follows_the_committed_feed_and_the_registry(node: Node) -> None:
    entries = [node.feeds.refused(1, i) for i in range(3)]
    for entry in entries:
        node.application.check(entry)
    node.block(entries[0])
    assert not node.application.recheck(entries[0])
    assert node.application.recheck(entries[1])
    assert node.application.recheck(entries[2])
    assert not node.application.recheck(entries[2])
    unknown = node.feeds.refused(2)
    assert node.application.recheck(unknown)
    assert not node.application.recheck(b"junk")


def test_recheck_refuses_an_entry_whose_key_was_ended_meanwhile(node: Node) -> None:
    entry = node.feeds.refused(3)
    assert node.application.check(entry).signed is not None
    node.block(end_feed(node.feeds, 3, DESK, poster=2))
    assert not node.application.recheck(entry)
    assert node.application.check(entry).outcome is Outcome.KEY_ENDED


def test_entry_is_opened_once_for_check_proposal_and_execution(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []

    def decode(content: bytes) -> Submission:
        opened.append(content)
        return decode_submission(content)

    # The package shows the function `apply` under the name of its module.
    module = sys.modules["tradeline_ledger.transition.apply"]
    monkeypatch.setattr(module, "decode_submission", decode)
    entries = [node.feeds.submission(1, 30, number) for number in range(3)]
    for entry in entries:
        assert node.application.check(entry).outcome is Outcome.ACCEPTED
    assert node.application.prepare(entries, MAX, height=1, time_ms=GENESIS_MS + 5) == entries
    node.block(*entries)
    assert len(opened) == 3
    assert node.store.verify() == []


def test_remembered_signature_is_verified_anew_after_the_key_was_replaced(node: Node) -> None:
    content = b"a list of releases"
    hash_ = content_hash(Kind.RELEASED, content)
    entry = node.feeds.sign(3, 0, Kind.RELEASED, content, hash_)
    assert node.application.check(entry).outcome is Outcome.CONTENT_MALFORMED
    node.block(replace_node_key(node.feeds, 3, poster=2))
    assert not node.application.recheck(entry)
    assert node.application.check(entry).outcome is Outcome.SIGNATURE_WRONG


def test_memory_forgets_the_oldest_entries(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [node.feeds.refused(1, number) for number in range(4)]
    monkeypatch.setattr("tradeline_node.entry_memory.ENTRY_BYTES_MAX", 2 * len(entries[0]) + 20)
    for entry in [*entries, entries[3]]:
        node.application.check(entry)
    remembered = [node.application.memory.get(entry) is not None for entry in entries]
    assert remembered == [False, False, True, True]


def test_prepare_orders_each_feed_and_leaves_out_what_cannot_be_placed(node: Node) -> None:
    bank = [node.feeds.refused(1, i) for i in range(3)]
    court = [node.feeds.refused(4, i) for i in range(2)]
    node.feeds.refused(2, "never sent")
    stranded = node.feeds.refused(2, "after the gap")
    offered = [bank[2], court[1], b"junk", bank[0], stranded, court[0], bank[1], bank[0]]
    prepared = node.application.prepare(offered, MAX, height=1, time_ms=GENESIS_MS + 5)
    assert prepared == [bank[0], *court, bank[1], bank[2]]
    assert node.application.process(Block(1, GENESIS_MS + 5, tuple(prepared)))


def test_prepare_stays_within_its_bytes(node: Node) -> None:
    entries = [node.feeds.refused(1, i) for i in range(5)]
    room = sum(len(each) for each in entries[:3]) + 10
    prepared = node.application.prepare(entries, room, height=1, time_ms=GENESIS_MS + 5)
    assert prepared == entries[:3]


def test_block_with_an_entry_to_be_dropped_is_not_accepted_and_drops_it_if_decided(
    node: Node,
) -> None:
    good = node.feeds.refused(1)
    block = Block(1, GENESIS_MS + 5, (b"junk", good))
    assert not node.application.process(block)
    app_hash = node.application.finalize(block)
    executed = node.application.commit()
    assert [place for place, _ in executed.dropped] == [0]
    assert node.application.info() == (1, app_hash)
    assert node.store.head.size == 3


@pytest.mark.parametrize(
    ("height", "time_ms"), [(1, GENESIS_MS + 9999), (2, GENESIS_MS), (2, 2**60)]
)
def test_block_that_does_not_come_next_is_neither_accepted_nor_executed(
    node: Node, height: int, time_ms: int
) -> None:
    node.block(node.feeds.refused(1))
    block = Block(height, time_ms, (node.feeds.refused(1, 2),))
    assert not node.application.process(block)
    with pytest.raises(EngineError, match="is it this engine's store"):
        node.application.finalize(block)


def test_finalize_writes_nothing_and_another_round_may_decide_another_block(node: Node) -> None:
    before = node.application.info()
    proposed = Block(1, GENESIS_MS + 5, (node.feeds.refused(1),))
    decided = Block(1, GENESIS_MS + 5, (node.feeds.refused(2),))
    assert node.application.process(proposed)
    assert node.application.finalize(proposed) != node.application.finalize(decided)
    assert node.application.info() == before
    executed = node.application.commit()
    assert executed.placed[0].applied.signed is not None
    assert executed.placed[0].applied.signed.member.id == 2


def test_empty_block_moves_the_height_and_keeps_the_app_hash(node: Node) -> None:
    app_hash = node.block(node.feeds.refused(1))
    assert node.application.finalize(Block(7, node.store.head.time_ms + 1, ())) == app_hash
    node.application.commit()
    assert node.application.info() == (7, app_hash)


def test_check_counts_with_the_time_that_the_next_block_will_have(tmp_path: Path) -> None:
    node = Node(tmp_path / "ledger", World(make_ledger(refused_per_day=1)))
    node.block(node.feeds.refused(1))
    entry = node.feeds.refused(1, 2)
    assert node.application.check(entry).outcome is Outcome.REFUSED_TOO_OFTEN
    tomorrow = GENESIS_MS + 86_400_000
    assert node.application.check(entry, time_ms=tomorrow).outcome is Outcome.CONTENT_MALFORMED
    node.store.close()


def test_listeners_hear_of_a_block_once_it_is_on_the_disk(node: Node) -> None:
    heard: list[int] = []
    node.application.on_commit.append(lambda committed: heard.append(committed.head.size))
    node.application.on_commit.append(lambda _: heard.append(node.store.head.size))
    node.block(node.feeds.refused(1))
    assert heard == [3, 3]


def test_failed_write_is_told_to_nobody_and_ends_all_writing(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[object] = []
    node.application.on_commit.append(heard.append)
    entry = node.feeds.refused(1)
    before = node.application.info()

    def fail(*_: object, **__: object) -> None:
        raise StoreError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(node.store._database, "write", fail)
        with pytest.raises(StoreError, match="no space"):
            node.block(entry)
    assert heard == []
    assert node.store.failure == "no space left on device"
    with pytest.raises(StoreError, match="takes no blocks: no space"):
        node.block(entry)
    assert node.application.info() == before
    assert node.store.leaf(0)


class AgainstTheModel(RuleBasedStateMachine):
    """Whatever is offered, lost, restarted or decided, the store is what the model is."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="application-"))
        self.world = World(make_ledger(refused_per_day=6))
        self.store = LedgerStore.open(self.folder / "ledger", self.world.ledger)
        self.application = Application(self.store)
        self.feeds = Feeds(self.world)
        self.pool: list[bytes] = []
        self.number = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def resign(self) -> None:
        """Sign on from where the model's feeds stand: what waited is lost."""
        self.feeds = Feeds(self.world, self.world)
        self.pool = []

    @rule(member=st.integers(1, 4), what=st.sampled_from(["submission", "refused", "mark"]))
    def offer(self, member: int, what: str) -> None:
        self.number += 1
        if what == "submission":
            entry = self.feeds.submission(member, 1 + self.number % 20, self.number)
        elif what == "refused":
            entry = self.feeds.refused(member, self.number)
        else:
            entry = self.feeds.mark(member, EventId(self.number % self.world.head.size, 0))
        assert self.application.check(entry).signed is not None or self.refusals_used_up(member)
        self.pool.append(entry)

    def refusals_used_up(self, member: int) -> bool:
        content = seed("probe")
        hash_ = content_hash(Kind.MARK, content)
        probe = Feeds(self.world, self.world).sign(member, DESK, Kind.MARK, content, hash_)
        return self.world.apply(probe).outcome is Outcome.REFUSED_TOO_OFTEN

    @rule(member=st.integers(1, 4), ahead=st.integers(1, 3))
    def offer_out_of_turn(self, member: int, ahead: int) -> None:
        skipping = Feeds(self.world, self.feeds.view)
        seq, _ = self.feeds.position(member, BULK)
        skipping._next[member, BULK] = (seq + ahead, FIRST_PREV)
        entry = skipping.refused(member, "ahead", BULK)
        assert self.application.check(entry).outcome is Outcome.POSITION_AHEAD

    @rule(junk=st.binary(max_size=40))
    def offer_junk(self, junk: bytes) -> None:
        assert self.application.check(junk).outcome.dropped

    @precondition(lambda self: self.pool)
    @rule(data=st.data())
    def offer_again(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(self.pool))
        assert self.application.check(entry).signed is None

    @rule(data=st.data())
    def block(self, data: st.DataObject) -> None:
        """Decide a block of some that wait, shuffled, some twice, with junk; then recheck."""
        chosen = data.draw(st.lists(st.sampled_from(self.pool), max_size=8)) if self.pool else []
        chosen += data.draw(st.lists(st.just(b"junk"), max_size=1))
        height, time_ms = self.store.engine_height + 1, self.world.time_ms + 1000
        entries = self.application.prepare(chosen, MAX, height=height, time_ms=time_ms)
        assert self.application.process(Block(height, time_ms, tuple(entries)))
        if data.draw(st.booleans()):
            entries = chosen  # a proposer that is not honest
        decided = Block(height, time_ms, tuple(entries))
        app_hash = self.application.finalize(decided)
        world = self.world
        expected = execute(world, world.ledger, world.registry, world.head, decided)
        world._commit(expected)
        world.time_ms = time_ms
        assert self.application.commit().leaves == expected.leaves
        assert app_hash == world.root
        self.pool = [each for each in self.pool if self.application.recheck(each)]
        self.resign_if_lost()

    def resign_if_lost(self) -> None:
        """Let a client sign again what can't be placed any more."""
        before, self.feeds = self.pool, Feeds(self.world, self.world)
        self.pool = []
        fresh = Application(self.store)
        for entry in before:
            if fresh.check(entry).signed is not None:
                self.pool.append(entry)
        assert self.pool == before, "what was rechecked is admitted in the same order"
        for entry in self.pool:
            self.follow(entry)

    def follow(self, entry: bytes) -> None:
        statement = STATEMENT.decode(ENTRY.decode(entry).statement)
        self.feeds._next[statement.member, statement.feed] = (statement.seq + 1, next_prev(entry))

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = LedgerStore.open(self.folder / "ledger", self.world.ledger)
        self.application = Application(self.store)
        self.resign()

    @invariant()
    def is_what_the_model_is(self) -> None:
        assert self.store.head == self.world.head
        assert self.application.info()[1] == self.world.root
        assert self.store.registry == self.world.registry

    @rule()
    def verify(self) -> None:
        assert self.store.verify() == []
        for key, value in self.world.rows.items():
            assert self.store.get(key) == value


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
