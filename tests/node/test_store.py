from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.node.workload import Feeds
from tests.world import BULK, DESK, World, make_ledger, next_prev, seed

from tradeline_ledger import state
from tradeline_ledger.consent import consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.merkle import (
    fold_root,
    leaf_hash,
    root_nodes,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tradeline_ledger.statement import (
    ENTRY,
    BlockLeaf,
    EntryLeaf,
    Kind,
    content_hash,
    decode_leaf,
    statement_hash,
)
from tradeline_ledger.submission import decode_submission, header_tag
from tradeline_ledger.transition import Block, execute
from tradeline_node import index as tables
from tradeline_node.errors import AbsentError, StoreDamagedError, StoreError
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tradeline_ledger.transition import Executed


class Pair:
    """A store beside the plain model, given the same blocks."""

    def __init__(self, path: Path) -> None:
        self.world = World()
        self.path = path
        self.feeds = Feeds(self.world)
        self.store = LedgerStore.open(path, self.world.ledger)

    def block(self, *entries: bytes) -> Executed:
        before = self.store.head
        executed = self.world.block(*entries)
        own = execute(
            self.store,
            self.store.ledger,
            self.store.registry,
            before,
            Block(executed.head.height, self.world.time_ms, entries),
        )
        root = self.store.root_after(own)
        assert self.store.head == before, "root_after writes nothing"
        self.store.commit(own, executed.head.height)
        assert root == self.world.root
        return own

    def reopen(self) -> None:
        self.store.close()
        self.store = LedgerStore.open(self.path, self.world.ledger)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path / "ledger")
    yield pair
    pair.store.close()


def filled(pair: Pair) -> EventId:
    """Fill both with one of everything; return an event that was marked."""
    world, feeds = pair.world, pair.feeds
    pair.block(feeds.submission(1, 40, "a"), feeds.submission(3, 1, "b"), feeds.refused(2))
    target = EventId(1, 17)
    pair.block(feeds.consent(), feeds.mark(1, target))
    inquiry = encode(world.inquiry(consent_id(encode(world.terms()))))
    pair.block(
        feeds.sign(1, DESK, Kind.INQUIRY, inquiry, content_hash(Kind.INQUIRY, inquiry)),
        feeds.submission(1, 40, "c"),
    )
    return target


def test_new_store_holds_block_0_of_its_genesis(pair: Pair) -> None:
    store, world = pair.store, pair.world
    assert (store.head.size, store.head.height, store.engine_height) == (1, 0, 0)
    assert store.root(1) == world.root == leaf_hash(store.leaf(0))
    assert store.content(0) == world.ledger.genesis_bytes
    assert store.content_by_hash(world.ledger.ledger_id) == world.ledger.genesis_bytes
    assert store.registry == world.ledger.registry
    assert store.verify() == []


def test_store_holds_what_the_model_holds_also_after_reopening(pair: Pair) -> None:
    filled(pair)
    for _ in range(2):
        store, world = pair.store, pair.world
        assert store.head == world.head
        assert store.registry == world.registry
        assert store.leaves(0, store.head.size) == world.leaves
        for index, content in world.contents.items():
            assert store.content(index) == content
        for key, value in world.rows.items():
            assert store.get(key) == value
        state_rows = {key for key, _ in store.iterate(b"") if key[:1].isupper()}
        assert state_rows == set(world.rows)
        assert store.verify() == []
        pair.reopen()


def test_proofs_of_every_leaf_and_size_lead_to_the_roots(pair: Pair) -> None:
    filled(pair)
    store, size = pair.store, pair.store.head.size
    hashes = [leaf_hash(leaf) for leaf in store.leaves(0, size)]
    for upto in range(1, size + 1):
        root = store.root(upto)
        assert root == root_of(hashes[:upto])
        for index, path in enumerate(store.inclusion_paths(range(upto), upto)):
            verify_inclusion(hashes[index], index, upto, path, root)
        path = store.consistency_path(upto, size)
        verify_consistency(upto, size, path, root, store.root(size))


def test_history_lists_events_and_marks_of_a_tag_in_log_order_up_to_a_size(pair: Pair) -> None:
    target = filled(pair)
    store, size = pair.store, pair.store.head.size
    events: dict[tuple[int, bytes], list[EventId]] = {}
    for placed in (1, 2, 9):
        submission = decode_submission(store.content(placed))
        member = {1: 1, 2: 3, 9: 1}[placed]
        for position, tag in enumerate(submission.batch.tags()):
            events.setdefault((member, tag), []).append(EventId(placed, position))
    assert len(events) > 40
    for (member, tag), expected in events.items():
        assert store.history(member, tag, size) == expected
        assert store.history(member, tag, 3) == [each for each in expected if each.index < 3]
        assert store.history(member + 1, tag, size) == []
        assert all(header_tag(store.event_header(each)) == tag for each in expected)
    tag = seed("tag", 1, "a", 17)[:16]
    assert store.marks(1, tag, size) == [(6, target)]
    assert store.marks(1, tag, 6) == []
    assert store.marks(3, tag, size) == []


def test_an_inquiry_is_an_event_of_its_own(pair: Pair) -> None:
    filled(pair)
    world, store = pair.world, pair.store
    tag = world.tag(1, 1, 2026, 3)
    (event,) = store.history(1, tag, store.head.size)
    assert event == EventId(8, 0)
    assert header_tag(store.event_header(event)) == tag
    with pytest.raises(AbsentError, match="no accepted submission"):
        store.event_paths(8, [0])


def test_event_paths_lead_to_the_events_root_whatever_the_batch_size(pair: Pair) -> None:
    for count in (1, 2, 15, 16, 17, 31, 33, 100, 256, 257):
        index = pair.store.head.size
        pair.block(pair.feeds.submission(1, count, count))
        batch = decode_submission(pair.store.content(index)).batch
        for position, path in enumerate(pair.store.event_paths(index, range(count))):
            leaf = leaf_hash(pair.store.event_header(EventId(index, position)))
            verify_inclusion(leaf, position, count, path, batch.events_root)
        with pytest.raises(AbsentError, match="events"):
            pair.store.event_paths(index, [count])


def test_statements_contents_and_blocks_are_found(pair: Pair) -> None:
    filled(pair)
    store = pair.store
    ends = list(store.block_sizes())
    assert ends == [(0, 1), (1, 5), (2, 8), (3, 11)]
    assert list(store.block_sizes(2)) == ends[2:]
    for height, size in ends:
        assert store.block_end(height) == size
    for index in range(store.head.size):
        first, last = store.block_of(index)
        assert first <= index <= last
        assert (last + 1) in {size for _, size in ends}
    entry = pair.feeds.refused(2, "later")
    hash_ = next_prev(entry)
    assert store.placed_at(hash_) is None
    assert store.statement_at(2, DESK, 1) is None
    pair.block(entry)
    assert store.placed_at(hash_) == store.statement_at(2, DESK, 1) == 11
    assert store.content_by_hash(content_hash(Kind.MARK, store.content(11))) == store.content(11)
    assert store.content_by_hash(seed("nothing")) is None


def test_a_block_that_places_nothing_moves_only_the_engine_height(pair: Pair) -> None:
    filled(pair)
    store, head = pair.store, pair.store.head
    executed = execute(
        store, store.ledger, store.registry, head, Block(9, head.time_ms + 5, (b"junk",))
    )
    assert store.root_after(executed) == store.root(head.size)
    store.commit(executed, 9)
    pair.reopen()
    assert (pair.store.head, pair.store.engine_height) == (head, 9)
    assert pair.store.block_end(9) == head.size
    assert pair.store.verify() == []


def test_what_is_not_in_the_log_is_absent_and_not_an_error_of_the_store(pair: Pair) -> None:
    filled(pair)
    store, size = pair.store, pair.store.head.size
    for ask in (
        lambda: store.leaf(size),
        lambda: store.leaves(-1, 1),
        lambda: store.content(size),
        lambda: store.content(4),  # a block leaf
        lambda: store.root(size + 1),
        lambda: store.inclusion_paths([size], size),
        lambda: store.consistency_path(0, size),
        lambda: store.consistency_path(2, size + 1),
        lambda: store.nodes([(3, 1)]),
        lambda: store.history(1, bytes(16), size + 1),
        lambda: store.event_header(EventId(3, 0)),  # refused
        lambda: store.event_header(EventId(1, 40)),
        lambda: store.event_header(EventId(4, 0)),
        lambda: store.block_of(size),
        lambda: store.block_end(-1),
    ):
        with pytest.raises(AbsentError):
            ask()
    assert store.failure is None


def test_store_of_another_ledger_is_refused(pair: Pair) -> None:
    pair.store.close()
    other = make_ledger(refused_per_day=7)
    with pytest.raises(StoreError, match=f"the genesis file of {other.ledger_id.hex()}"):
        LedgerStore.open(pair.path, other)
    pair.store = LedgerStore.open(pair.path, pair.world.ledger)


def test_second_writer_is_refused_and_a_reader_is_not(pair: Pair) -> None:
    filled(pair)
    with pytest.raises(StoreError, match="in use by another process"):
        LedgerStore.open(pair.path, pair.world.ledger)
    reader = LedgerStore.open(pair.path, pair.world.ledger, read_only=True)
    assert reader.root(reader.head.size) == pair.world.root
    assert reader.verify() == []
    executed = pair.world.block(pair.feeds.refused(4))
    with pytest.raises(StoreError, match="opened to read"):
        reader.commit(executed, 4)
    reader.close()


def test_copy_of_a_running_store_is_a_store(pair: Pair, tmp_path: Path) -> None:
    filled(pair)
    pair.store.checkpoint_to(tmp_path / "copy")
    pair.block(pair.feeds.refused(4))
    copy = LedgerStore.open(tmp_path / "copy", pair.world.ledger)
    assert copy.head.size == pair.store.head.size - 2
    assert copy.root(copy.head.size) == pair.store.root(copy.head.size)
    assert copy.verify() == []
    copy.close()


DERIVED = [table for table in tables.NAMES if table not in tables.LOG_TABLES]


@pytest.mark.parametrize("table", DERIVED, ids=tables.NAMES.get)
def test_index_without_a_table_is_built_anew(pair: Pair, table: bytes) -> None:
    filled(pair)
    database = pair.store._database
    rows = dict(database.iterate(table))
    assert rows
    database.write((), deleted=rows)
    missing = [each for each in pair.store.verify() if each.code == "row-missing"]
    assert len(missing) == len(rows)
    pair.store.rebuild_index()
    assert dict(pair.store.iterate(table)) == rows
    assert pair.store.verify() == []


def test_state_and_rows_that_should_not_be_there_are_mended_too(pair: Pair) -> None:
    filled(pair)
    before = dict(pair.store.iterate(b""))
    feed = state.feed_key(1, BULK)
    pair.store._database.write(
        [(feed, b"bad"), (b"Zjunk", b"1"), (b"hjunk", b""), (state.HEAD_KEY, b"")],
        deleted=[state.member_key(2, 0)],
    )
    found = {(each.code, each.where[:9]) for each in pair.store.verify()}
    assert {code for code, _ in found} == {"row-differs", "row-missing", "row-extra"}
    pair.reopen()
    assert dict(pair.store.iterate(b"")) == before
    assert pair.store.head == pair.world.head


@pytest.mark.parametrize(
    "marker", [None, b"", tables.encode_marker(3, 8, bytes(32)), b"\x95" + bytes(100)]
)
def test_stale_marker_is_found_at_open_and_the_tables_are_built_anew(
    pair: Pair, marker: bytes | None
) -> None:
    filled(pair)
    before = dict(pair.store.iterate(b""))
    history = next(iter(pair.store.iterate(tables.HISTORY)))[0]
    rows = [] if marker is None else [(tables.MARKER, marker)]
    pair.store._database.write(rows, deleted=[history] if rows else [history, tables.MARKER])
    pair.reopen()
    assert dict(pair.store.iterate(b"")) == before
    assert pair.store.engine_height == 3


TAG = seed("tag", 1, "a", 17)[:16]
DAMAGE: dict[str, tuple[bytes, bytes]] = {
    "history": (tables.tag_prefix(tables.HISTORY, 1, TAG) + b"x", b""),
    "marks": (tables.tag_prefix(tables.MARKED, 1, TAG) + bytes(8), b""),
    "block": (tables.BLOCK + tables.number(1), b""),
    "groups": (tables.GROUPS + tables.number(1), b"12"),
    "position": (tables.position_key(1, BULK, 0), tables.number(2)),
    "position beyond the log": (tables.position_key(1, BULK, 0), bytes(7)),
}


@pytest.mark.parametrize(("key", "value"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_index_is_built_anew_when_it_is_read(pair: Pair, key: bytes, value: bytes) -> None:
    filled(pair)
    size = pair.store.head.size

    def answers() -> tuple[object, ...]:
        store = pair.store
        return (
            store.history(1, TAG, size),
            store.marks(1, TAG, size),
            store.block_of(2),
            store.event_paths(1, [3]),
            store.statement_at(1, BULK, 0),
        )

    before = answers()
    pair.store._database.write([(key, value)])
    assert pair.store.verify() != []
    assert answers() == before
    assert pair.store.verify() == []


def test_statement_that_leads_to_another_leaf_is_looked_up_again(pair: Pair) -> None:
    filled(pair)
    (key, value), *_ = pair.store.iterate(tables.STATEMENT)
    pair.store._database.write([(key, tables.number(4))])
    assert pair.store.placed_at(key[1:]) == int.from_bytes(value, "big")


def test_store_whose_index_does_not_mend_is_called_damaged(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pair)
    pair.store._database.write([(tables.BLOCK + tables.number(1), b"")])
    monkeypatch.setattr("tradeline_node.store.rebuild", lambda *_: None)
    with pytest.raises(StoreDamagedError, match="block 1"):
        pair.store.block_of(2)


def test_index_whose_building_was_cut_short_is_built_at_the_next_open(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pair)
    before = dict(pair.store.iterate(b""))
    database = pair.store._database
    database.write((), deleted=[key for key, _ in pair.store.iterate(tables.HISTORY)])
    write, calls = database.write, 0

    def cut(*args: Any, **kwargs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise StoreError("killed")
        write(*args, **kwargs)

    monkeypatch.setattr("tradeline_node.verify._CHUNK_BYTES", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", cut)
        with pytest.raises(StoreError, match="killed"):
            pair.store.rebuild_index()
    assert pair.store.get(tables.MARKER) is None
    pair.reopen()
    assert dict(pair.store.iterate(b"")) == before


def test_readers_and_verification_see_whole_blocks_while_blocks_are_committed(pair: Pair) -> None:
    world, store = pair.world, pair.store
    done = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        while not done.is_set():
            head = store.head
            assert fold_root(store.nodes(root_nodes(head.size))) == store.root(head.size)
            last = decode_leaf(store.leaf(head.size - 1))
            assert isinstance(last, BlockLeaf)
            assert last.height == head.height
            for event in store.history(1, TAG, head.size):
                assert header_tag(store.event_header(event)) == TAG
            for hash_ in (key[1:] for key, _ in store.iterate(tables.STATEMENT)):
                index = store.placed_at(hash_)
                assert index is None or statement_hash(entry_of(store.leaf(index))) == hash_

    def verify() -> None:
        while not done.is_set():
            assert store.verify() == []

    def run(what: Callable[[], None]) -> None:
        try:
            what()
        except BaseException as error:  # noqa: BLE001  told to the test below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(what,)) for what in (read, read, verify)]
    for thread in threads:
        thread.start()
    for number in range(40):
        pair.block(pair.feeds.submission(1, 40, "a" if number == 3 else number))
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.head == world.head


def entry_of(leaf: bytes) -> bytes:
    decoded = decode_leaf(leaf)
    assert isinstance(decoded, EntryLeaf)
    return decoded.statement


def test_index_is_not_built_from_a_damaged_log(pair: Pair) -> None:
    filled(pair)
    before = dict(pair.store.iterate(b""))
    key = tables.CONTENT + tables.number(1)
    pair.store._database.write([(key, before[key][:-1])])
    with pytest.raises(StoreDamagedError, match="content 1"):
        pair.store.rebuild_index()
    after = dict(pair.store.iterate(b""))
    assert {k for k in before if before[k] != after.get(k)} == {key}
    pair.store._database.write([(key, before[key])])


def test_store_that_lost_what_it_had_committed_does_not_open(pair: Pair, tmp_path: Path) -> None:
    pair.block(pair.feeds.refused(2, 0))
    pair.store.checkpoint_to(tmp_path / "old")
    pair.block(pair.feeds.refused(2, 1))
    pair.store.close()
    (tmp_path / "old" / "high-water").write_bytes((pair.path / "high-water").read_bytes())
    with pytest.raises(StoreDamagedError, match="ends at 3 leaves, and had committed 5"):
        LedgerStore.open(tmp_path / "old", pair.world.ledger)
    (tmp_path / "old" / "high-water").unlink()
    LedgerStore.open(tmp_path / "old", pair.world.ledger).close()
    pair.store = LedgerStore.open(pair.path, pair.world.ledger)


def test_contents_that_two_entries_share_are_kept_under_both(pair: Pair) -> None:
    content = b"the same"
    hash_ = content_hash(Kind.MARK, content)
    entries = [pair.feeds.sign(2, DESK, Kind.MARK, content, hash_) for _ in range(2)]
    pair.block(*entries)
    assert pair.store.contents([1, 2]) == [content, content]
    assert pair.store.content_by_hash(hash_) == content
    assert ENTRY.decode(entries[0]).content == content
    assert pair.store.verify() == []


def test_verify_reports_its_progress_and_uses_the_disk_when_the_log_is_large(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pair)
    monkeypatch.setattr("tradeline_node.replayed_rows.MEMORY_BYTES_MAX", 1000)
    done: list[tuple[int, int]] = []
    assert pair.store.verify(lambda *each: done.append(each)) == []
    assert done == [(5, 11), (8, 11), (11, 11)]
    database = pair.store._database
    database.write([(b"hjunk", b"")], deleted=[state.feed_key(1, BULK)])
    assert {each.code for each in pair.store.verify()} == {"row-extra", "row-missing"}
    assert not list(pair.path.parent.glob("replay-*"))
