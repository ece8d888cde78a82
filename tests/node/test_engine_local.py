"""What only the local engine can be asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.node.engines import REPLICAS, LocalCluster, app_hashes
from tests.node.keys import end_feed
from tests.node.workload import Feeds
from tests.world import GENESIS_MS, World

from tradeline_ledger.outcome import Outcome
from tradeline_ledger.transition import Block
from tradeline_node.engine.local import LocalEngine
from tradeline_node.errors import BusyError, EngineError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path)
    cluster.open()
    yield cluster
    cluster.stop()


def test_app_hashes_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    outputs = []
    for hash_seed in ("1", "4242"):
        path = os.pathsep.join(str(ROOT / each) for each in (".", "ledger", "node"))
        run = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "hashes_child.py"), tmp_path / hash_seed],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(run.stdout.splitlines())
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 12 * REPLICAS
    assert len(set(outputs[0])) == 12, "four replicas agree on every block"


def test_block_holds_no_more_than_its_limits(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    engine = cluster.open(block_entries_max=3)
    feeds = Feeds(cluster.world)
    for number in range(7):
        engine.submit(feeds.refused(1, number))
    sizes = []
    while executed := engine.produce():
        sizes.append(len(executed.placed))
    assert sizes == [3, 3, 1]
    cluster.stop()


def test_block_of_large_entries_ends_at_its_bytes(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    engine = cluster.open(block_bytes_max=130_000)
    feeds = Feeds(cluster.world)
    for number in range(5):
        engine.submit(feeds.submission(1, 1000, number))
    sizes = []
    while executed := engine.produce():
        sizes.append(len(executed.placed))
    assert sizes == [2, 2, 1]
    cluster.stop()


def test_nothing_to_place_makes_no_block(cluster: LocalCluster) -> None:
    assert cluster.local.produce() is None
    assert cluster.local.height == 0


def test_engine_that_holds_too_much_is_busy(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeline_node.engine.local.WAITING_BYTES_MAX", 1000)
    feeds = Feeds(cluster.world)
    waiting, refused = feeds.refused(1, 0), feeds.submission(2, 20)
    cluster.local.submit(waiting)
    with pytest.raises(BusyError, match="1 entries wait"):
        cluster.local.submit(refused)
    assert cluster.local.status().waiting_bytes == len(waiting)
    cluster.local.produce()
    monkeypatch.setattr("tradeline_node.engine.local.WAITING_BYTES_MAX", 1 << 20)
    assert cluster.local.submit(refused).outcome is Outcome.ACCEPTED


def test_clock_that_goes_back_does_not_take_block_time_back(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path)
    cluster.open()
    times = iter([GENESIS_MS + 9000, *[5] * 20])
    engine = LocalEngine(cluster.applications, lambda: next(times))
    feeds = Feeds(cluster.world)
    seen = []
    for number in range(3):
        engine.submit(feeds.refused(1, number))
        executed = engine.produce()
        assert executed is not None
        seen.append(executed.head.time_ms)
    assert seen == sorted(set(seen))
    cluster.stop()


def test_commit_that_fails_halts_the_engine_and_a_restart_heals_the_others(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = Feeds(cluster.world)
    first, second = feeds.refused(1, 0), feeds.refused(1, 1)

    def fail(*_: object, **__: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(cluster.stores[2]._database, "write", fail)
    cluster.local.submit(first)
    with pytest.raises(EngineError, match="disk full"):
        cluster.local.produce()
    assert cluster.local.status().failure == "StoreError: disk full"
    with pytest.raises(EngineError, match="disk full; restart the node"):
        cluster.local.submit(second)
    with pytest.raises(EngineError, match="disk full"):
        cluster.local.produce()
    sizes = [store.head.size for store in cluster.stores]
    assert sizes == [3, 3, 1, 1]
    assert cluster.stores[2].root(1) == cluster.stores[3].root(1)
    cluster.stop()
    cluster.open().catch_up()
    assert [store.head.size for store in cluster.stores] == [3] * REPLICAS
    cluster.local.submit(second)
    cluster.local.produce()
    assert len(app_hashes(cluster.stores)) == 1


def test_replica_that_computes_another_app_hash_halts_the_engine_before_any_write(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.stores[1], "root_after", lambda _: bytes(32))
    cluster.local.submit(Feeds(cluster.world).refused(1))
    with pytest.raises(EngineError, match="replica 1 has app hash 0000"):
        cluster.local.produce()
    assert [store.head.size for store in cluster.stores] == [1] * REPLICAS


def test_replica_that_does_not_accept_a_block_halts_the_engine(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.applications[3], "process", lambda _: False)
    cluster.local.submit(Feeds(cluster.world).refused(1))
    with pytest.raises(EngineError, match="replica 3 does not accept block 1"):
        cluster.local.produce()


def test_replica_with_another_log_is_not_overwritten(cluster: LocalCluster) -> None:
    feeds = Feeds(cluster.world)
    cluster.local.submit(feeds.refused(1))
    cluster.local.produce()
    other = cluster.applications[1]
    for each in (other, cluster.applications[0], cluster.applications[0]):
        member = 2 if each is other else 3
        head = each.store.head
        entry = Feeds(cluster.world, each.store).refused(member, head.size)
        each.finalize(Block(head.height + 1, head.time_ms + 1, (entry,)))
        each.commit()
    before = other.info()
    with pytest.raises(EngineError, match="their logs fork"):
        cluster.local.catch_up()
    assert other.info() == before
    assert cluster.local.status().failure


def test_entry_that_became_impossible_leaves_the_queue(cluster: LocalCluster) -> None:
    feeds = Feeds(cluster.world)
    ended = end_feed(feeds, 3, 2, poster=2)
    waiting = [feeds.refused(3, number) for number in range(3)]
    engine = LocalEngine(cluster.applications, lambda: GENESIS_MS + 50, block_entries_max=1)
    engine.submit(ended)
    for entry in waiting:
        assert engine.submit(entry).admitted
    assert engine.produce() is not None
    assert engine.status().waiting == 0
    assert engine.status().waiting_bytes == 0
    assert engine.submit(waiting[0]).outcome is Outcome.KEY_ENDED


def test_halt_in_the_thread_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = LocalCluster(tmp_path, World())
    cluster.start()
    halted = threading.Event()

    def fail(*_: object, **__: object) -> None:
        halted.set()
        raise StoreError("gone")

    monkeypatch.setattr(cluster.stores[0]._database, "write", fail)
    cluster.local.submit(Feeds(cluster.world).refused(1))
    assert halted.wait(10)
    cluster.local.stop()
    status = cluster.local.status()
    assert (status.running, status.failure) == (False, "StoreError: gone")
    cluster.stop()
