"""What a node does by itself once the cause of a failure is gone."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tradeline_node.engine.cometbft_rpc import CometBftRpc, Progress
from tradeline_node.errors import EngineError
from tradeline_node.logs import node_log
from tradeline_node.processes import recovery
from tradeline_node.processes.recovery import end_when_mended, takes_writes
from tradeline_node.processes.vigil import LOOK_S, STILL_S, Vigil
from tradeline_node.service import Node


class Engine:
    """Tells what a test says, and counts how often it is asked."""

    def __init__(self) -> None:
        self.seen: Progress | None = Progress(7, (8, 8))
        self.asked = 0

    def progress(self) -> Progress:
        self.asked += 1
        if self.seen is None:
            raise EngineError("no answer")
        return self.seen


class Watched:
    """A vigil over it, with a clock."""

    def __init__(self) -> None:
        self.engine, self.now_s = Engine(), 100.0
        self.vigil = Vigil(self.engine, lambda: self.now_s)

    def after(self, seconds: float, seen: Progress | None = None) -> str:
        """Return what it says within so many seconds, looked at four times each."""
        if seen is not None:
            self.engine.seen = seen
        verdict = ""
        for _ in range(int(seconds * 4)):
            self.now_s += 0.25
            verdict = self.vigil.gives_up() or verdict
        return verdict


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_engine_that_stands_still_while_a_peer_goes_on_is_given_up(watched: Watched) -> None:
    assert not watched.after(STILL_S - LOOK_S, Progress(7, (8, 9)))
    verdict = watched.after(2 * LOOK_S + 1, Progress(7, (8, 30)))
    assert "height 7 since" in verdict
    assert "a peer is 23 further" in verdict


def test_engine_that_comes_further_or_stands_with_all_others_goes_on(watched: Watched) -> None:
    for height in range(8, 40):
        assert not watched.after(LOOK_S, Progress(height, (500,)))
    assert not watched.after(10 * STILL_S, Progress(40, (41, 41)))
    assert not watched.after(10 * STILL_S, Progress(40, ()))
    assert not watched.after(STILL_S - LOOK_S, Progress(40, (45,)))


def test_engine_that_does_not_answer_is_left_to_who_starts_it(watched: Watched) -> None:
    watched.engine.seen = None
    assert not watched.after(10 * STILL_S)


def test_engine_of_a_node_that_was_suspended_gets_time_to_catch_up(watched: Watched) -> None:
    assert not watched.after(LOOK_S, Progress(7, (8,)))
    watched.now_s += 1000
    assert not watched.after(STILL_S - LOOK_S, Progress(7, (900,)))
    assert watched.after(2 * LOOK_S)


def test_engine_is_not_asked_all_the_time(watched: Watched) -> None:
    watched.after(20 * LOOK_S)
    assert watched.engine.asked == 20


def test_progress_is_read_from_two_answers(tmp_path: Path) -> None:
    class Told(CometBftRpc):
        def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
            assert params == {}
            return cast("dict[str, Any]", answers[method])

    sync = {"sync_info": {"latest_block_height": "12", "catching_up": False}}
    peers = [{"peer_state": {"round_state": {"height": str(each)}}} for each in (13, 14)]
    answers = {
        "status": {"result": sync},
        "dump_consensus_state": {"result": {"peers": peers}},
    }
    assert Told(tmp_path).progress() == Progress(12, (13, 14))
    answers["dump_consensus_state"] = {"result": {"peers": [{"node_address": "x"}]}}
    with pytest.raises(EngineError, match="peer without 'peer_state'"):
        Told(tmp_path).progress()


def test_disk_that_takes_writes_is_told_from_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert takes_writes(tmp_path)
    assert list(tmp_path.iterdir()) == []

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recovery, "write_file", full)
    assert not takes_writes(tmp_path)
    assert not takes_writes(tmp_path / "missing")


@pytest.mark.parametrize("part", ["store", "custody", "outbox", "publisher"])
def test_process_whose_disk_failed_ends_once_it_is_mended(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_S", 0.01)
    mended = asyncio.Event()
    probed: list[Path] = []
    node = SimpleNamespace(
        store=SimpleNamespace(failure=None),
        custody=SimpleNamespace(halted=None),
        outbox=SimpleNamespace(failure=None),
        publisher=SimpleNamespace(disk_failure=""),
        config=SimpleNamespace(folder=tmp_path),
        log=node_log("tests"),
    )

    def probe(folder: Path) -> bool:
        probed.append(folder)
        return mended.is_set()

    monkeypatch.setattr(recovery, "takes_writes", probe)

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(end_when_mended(cast("Node", node), stop))
        await asyncio.sleep(0.1)
        assert probed == []
        failed = getattr(node, part)
        failed.__dict__.update(dict.fromkeys(failed.__dict__, "the disk is full"))
        await asyncio.sleep(0.1)
        assert len(probed) > 1
        assert not stop.is_set()
        mended.set()
        await asyncio.wait_for(task, 5)
        assert stop.is_set()

    asyncio.run(main())
