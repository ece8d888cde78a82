"""Nothing acknowledged is lost when the process is killed or the disk is full."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from tests.world import World

from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.statement import BlockLeaf, decode_leaf, statement_hash
from tradeline_ledger.transition import execute_genesis, replay
from tradeline_node.application import Application
from tradeline_node.engine.local import LocalEngine
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parent.parent.parent
ROUNDS: Final = 25


class Child:
    """A loading process."""

    def __init__(
        self, folder: Path, number: int, file_bytes_max: int = 0, under: tuple[str, ...] = ()
    ) -> None:
        """Start one, `under` another program if that is given, and wait until it loads."""
        self.journal = folder / "journal"
        command = [
            *under,
            sys.executable,
            str(Path(__file__).parent / "load_child.py"),
            str(folder),
        ]
        command += [str(self.journal), str(number), str(file_bytes_max)]
        path = os.pathsep.join(str(ROOT / each) for each in (".", "ledger", "node"))
        self.process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline() == "ready\n"
        assert self.ready or under

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def acknowledged(self) -> list[tuple[bytes, int]]:
        """Return (statement hash, log index) of whole lines of the journal."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_text().split("\n")[:-1]
        return [(bytes.fromhex(hash_), int(index)) for hash_, index in map(str.split, lines)]


def check(folder: Path, acknowledged: list[tuple[bytes, int]], *, fully: bool) -> int:
    """Open the replicas after a crash and hold them against the journal; return the log's size."""
    world = World()
    stores = [LedgerStore.open(folder / name, world.ledger) for name in ("0", "1")]
    try:
        LocalEngine([Application(each) for each in stores], lambda: 0).catch_up()
        assert len({(each.head, each.root(each.head.size)) for each in stores}) == 1
        store = stores[1]
        leaves = store.leaves(0, store.head.size)
        hashes = [
            statement_hash(leaf.statement)
            for leaf in map(decode_leaf, leaves)
            if not isinstance(leaf, BlockLeaf)
        ]
        assert len(hashes) == len(set(hashes)), "a statement has two places"
        assert store.root(store.head.size) == root_of([leaf_hash(leaf) for leaf in leaves])
        for hash_, index in acknowledged:
            assert store.placed_at(hash_) == index, "an acknowledged entry is lost or moved"
        if fully:
            compare_with_replay(world, store)
            assert store.verify() == []
        return store.head.size
    finally:
        for each in stores:
            each.close()


def compare_with_replay(world: World, store: LedgerStore) -> None:
    """Replay leaves and contents into a dictionary and compare state and head."""
    first = execute_genesis(world.ledger)
    rows, head, registry = dict(first.writes), first.head, first.registry
    for _, size in store.block_sizes(1):
        leaves = store.leaves(head.size, size)
        contents = store.contents(range(head.size, size - 1))
        executed = replay(rows, world.ledger, registry, head, leaves=leaves, contents=contents)
        rows |= executed.writes
        head, registry = executed.head, executed.registry
    assert head == store.head
    assert {key: value for key, value in store.iterate(b"") if key[:1].isupper()} == rows


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    number = random.SystemRandom().randrange(1 << 32)
    record_property("seed", number)
    moments = random.Random(number)
    sizes = [1]
    for each in range(ROUNDS):
        child = Child(tmp_path, number + each)
        time.sleep(moments.uniform(0.01, 0.4))
        child.kill()
        last = each == ROUNDS - 1
        sizes.append(check(tmp_path, child.acknowledged(), fully=last or each % 8 == 0))
    assert sizes == sorted(sizes)
    assert len(child.acknowledged()) > ROUNDS


def test_full_disk_stops_acknowledging_and_reads_go_on(tmp_path: Path) -> None:
    limit = 3 << 20
    child = Child(tmp_path, 1, limit)
    said, _ = child.process.communicate(timeout=120)
    halted, readable = said.splitlines()
    assert halted.startswith("halted the engine halted")
    _, size, failed = readable.split()
    assert int(size) > 1
    assert failed == "True"
    acknowledged = child.acknowledged()
    assert acknowledged
    # With room again, a restart finds all of it and goes on.
    before = check(tmp_path, acknowledged, fully=True)
    child = Child(tmp_path, 2)
    time.sleep(0.3)
    child.kill()
    assert check(tmp_path, child.acknowledged(), fully=True) > before


def inject(fault: str) -> tuple[str, ...]:
    """Return the command that injects a fault into what it runs; skip where that is impossible."""
    strace = shutil.which("strace")
    trial = [strace or "false", "true"]
    if strace is None or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no strace, or no right to trace")
    calls = fault.split(":", maxsplit=1)[0]
    return (strace, "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={fault}")


def test_failed_flush_stops_acknowledging_and_is_never_tried_again(tmp_path: Path) -> None:
    child = Child(tmp_path, 3, under=inject("fdatasync:error=EIO:when=30+"))
    said, _ = child.process.communicate(timeout=120)
    assert "halted the engine halted" in said
    assert "Input/output error" in said
    acknowledged = child.acknowledged()
    assert acknowledged
    before = check(tmp_path, acknowledged, fully=True)
    child = Child(tmp_path, 4)
    time.sleep(0.3)
    child.kill()
    assert check(tmp_path, child.acknowledged(), fully=True) > before


@pytest.mark.timeout(600)
@pytest.mark.parametrize("call", ["fdatasync", "write", "pwrite64"])
def test_nothing_acknowledged_is_lost_when_a_system_call_is_the_last(
    tmp_path: Path, call: str
) -> None:
    sizes = [1]
    for count in (1, 2, 3, 5, 8, 13, 40, 90):
        child = Child(tmp_path, count, under=inject(f"{call}:signal=KILL:when={count}"))
        child.process.communicate(timeout=120)
        sizes.append(check(tmp_path, child.acknowledged(), fully=count % 2 == 0))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1
