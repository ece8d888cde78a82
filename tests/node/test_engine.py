"""What every ordering engine does: the suite runs once for each driver."""

from __future__ import annotations

import itertools
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from tests.node.cluster import wait_for
from tests.node.engines import DRIVERS, REPLICAS, Cluster, app_hashes, wait_until_placed
from tests.node.workload import Feeds

from tradeline_ledger.encoding import encode
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.statement import BlockLeaf, Entry, EntryLeaf, decode_leaf
from tradeline_ledger.transition import Block
from tradeline_node.application import Application
from tradeline_node.errors import EngineError
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(
    params=[
        "local",
        pytest.param("cometbft", marks=[pytest.mark.network, pytest.mark.timeout(300)]),
    ]
)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    cluster = DRIVERS[request.param](tmp_path)
    cluster.start()
    yield cluster
    cluster.stop()


def test_every_replica_places_the_same_entries_with_the_same_app_hash(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    entries = []
    for number in range(40):
        member = 1 + number % 4
        entry = (
            feeds.submission(member, 1 + number % 30, number)
            if number % 3
            else feeds.refused(member, number)
        )
        assert cluster.engine(member - 1).submit(entry).admitted
        entries.append(entry)
    wait_until_placed(cluster.stores, entries)
    assert len(app_hashes(cluster.stores)) == 1
    for store in cluster.stores:
        assert store.verify() == []


def test_the_same_blocks_give_the_same_app_hashes_under_every_engine(
    cluster: Cluster, tmp_path: Path
) -> None:
    feeds = Feeds(cluster.world)
    for number in range(4):
        entries = [feeds.submission(1, 5, number), feeds.refused(2, number)]
        for member, entry in enumerate(entries):
            cluster.engine(member).submit(entry)
        wait_until_placed(cluster.stores, entries)
    source = cluster.stores[0]
    other = Application(LedgerStore.open(tmp_path / "other", cluster.world.ledger))
    first = 1
    for height, size in source.block_sizes(1):
        leaves = [decode_leaf(each) for each in source.leaves(first, size)]
        block, contents = leaves.pop(), source.contents(range(first, size - 1))
        assert isinstance(block, BlockLeaf)
        placed = [
            encode(Entry(leaf.statement, leaf.signature, content))
            for leaf, content in zip(leaves, contents, strict=True)
            if isinstance(leaf, EntryLeaf)
        ]
        app_hash = other.finalize(Block(height, block.time_ms, tuple(placed)))
        assert app_hash == source.root(size)
        other.commit()
        first = size
    assert other.store.head == source.head
    other.store.close()


def test_entries_of_one_feed_are_in_flight_together_and_placed_in_order(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    entries = [feeds.refused(1, number) for number in range(50)]
    for entry in entries:
        assert cluster.engine(0).submit(entry).admitted
    wait_until_placed(cluster.stores, entries)


def test_an_entry_that_waits_or_is_placed_is_not_placed_again(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    entry = feeds.refused(1)
    assert cluster.engine(0).submit(entry).admitted
    cluster.engine(0).submit(entry)
    wait_until_placed(cluster.stores, [entry])
    size = cluster.stores[0].head.size
    assert cluster.engine(0).submit(entry).outcome is Outcome.POSITION_PAST
    after = feeds.refused(1, "after")
    cluster.engine(0).submit(after)
    wait_until_placed(cluster.stores, [after])
    assert cluster.stores[0].head.size == size + 2


def test_what_is_to_be_dropped_is_not_admitted(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    first, second = feeds.refused(1, 0), feeds.refused(1, 1)
    assert cluster.engine(0).submit(b"junk").outcome is Outcome.ENTRY_MALFORMED
    assert cluster.engine(0).submit(second).outcome is Outcome.POSITION_AHEAD
    forged = bytearray(first)
    forged[-1] ^= 1
    assert cluster.engine(0).submit(bytes(forged)).admitted is False
    for entry in (first, second):
        assert cluster.engine(0).submit(entry).admitted
    wait_until_placed(cluster.stores, [first, second])
    wait_for(lambda: cluster.engine(0).status().waiting == 0)


def test_heights_and_block_times_increase_strictly(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    for number in range(6):
        entry = feeds.refused(1, number)
        cluster.engine(0).submit(entry)
        wait_until_placed(cluster.stores, [entry])
    store = cluster.stores[0]
    blocks = [
        leaf
        for leaf in map(decode_leaf, store.leaves(0, store.head.size))
        if isinstance(leaf, BlockLeaf)
    ]
    assert len(blocks) == 7
    for before, after in itertools.pairwise(blocks):
        assert after.height > before.height
        assert after.time_ms > before.time_ms


def test_members_submit_at_once_from_many_threads(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    entries = {
        member: [feeds.refused(member, number) for number in range(30)] for member in range(1, 5)
    }

    def submit(member: int) -> None:
        for entry in entries[member]:
            assert cluster.engine(member - 1).submit(entry).admitted

    threads = [threading.Thread(target=submit, args=(member,)) for member in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until_placed(cluster.stores, [entry for each in entries.values() for entry in each])
    assert len(app_hashes(cluster.stores)) == 1


def test_stopped_engine_takes_nothing_and_goes_on_after_a_restart(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    first, second = feeds.refused(1, 0), feeds.refused(1, 1)
    cluster.engine(0).submit(first)
    wait_until_placed(cluster.stores, [first])
    height = cluster.engine(0).height
    stopped = cluster.engine(0)
    cluster.stop()
    with pytest.raises(EngineError, match="was stopped"):
        stopped.submit(second)
    assert not stopped.status().running
    cluster.start()
    assert cluster.engine(0).height >= height
    cluster.engine(0).submit(second)
    wait_until_placed(cluster.stores, [second])


@pytest.mark.parametrize("blocks", [1, 12])
@pytest.mark.parametrize("behind", [0, 2])
def test_replica_that_is_behind_catches_up_at_start(
    cluster: Cluster, blocks: int, behind: int, tmp_path: Path
) -> None:
    feeds = Feeds(cluster.world)
    first = feeds.submission(1, 20)
    cluster.engine(0).submit(first)
    wait_until_placed(cluster.stores, [first])
    cluster.stop()
    shutil.copytree(cluster.folder(behind), tmp_path / "old")
    (tmp_path / "old" / "high-water").unlink()
    cluster.start()
    for number in range(blocks):
        entry = feeds.refused(1, number)
        cluster.engine(0).submit(entry)
        wait_until_placed(cluster.stores, [entry])
    cluster.stop()
    shutil.rmtree(cluster.folder(behind))
    shutil.copytree(tmp_path / "old", cluster.folder(behind))
    cluster.start()
    assert len(app_hashes(cluster.stores)) == 1
    assert cluster.stores[behind].verify() == []
    last = feeds.refused(1, "last")
    cluster.engine(behind).submit(last)
    wait_until_placed(cluster.stores, [last])


def test_replica_that_lost_its_disk_replays_the_whole_log(cluster: Cluster) -> None:
    feeds = Feeds(cluster.world)
    entries = [feeds.submission(2, 40, number) for number in range(5)]
    for entry in entries:
        cluster.engine(1).submit(entry)
    wait_until_placed(cluster.stores, entries)
    cluster.stop()
    for replica in range(REPLICAS - 1):
        shutil.rmtree(cluster.folder(replica))
    cluster.start()
    assert len(app_hashes(cluster.stores)) == 1
    assert [store.verify() for store in cluster.stores] == [[]] * REPLICAS
