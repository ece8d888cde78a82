"""A node starts: while its engine makes blocks, and without what the start does not need."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.imported import brought_along
from tests.node.cluster import Cluster, wait_for
from tests.node.workload import Feeds

from tradeline_ledger.transition import Block
from tradeline_node import service
from tradeline_node.application import Application
from tradeline_node.publish import Publisher


def test_block_that_comes_while_a_node_starts_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(tmp_path / "net")
    made: list[Publisher] = []

    def make(store: Any, *given: Any, **more: Any) -> Publisher:
        """Commit a block in all stores before the first publisher is there, and one after."""
        world = cluster.world()
        entry = Feeds(world).refused(1 + len(made))
        made.append(Publisher(store, *given, **more))
        for node in cluster.nodes if len(made) in (1, 4) else []:
            application = Application(node.store)
            application.on_commit.append(node.committed)
            time_ms = node.store.head.time_ms + 1
            application.finalize(Block(node.store.engine_height + 1, time_ms, (entry,)))
            application.commit()
        return made[-1]

    monkeypatch.setattr(service, "Publisher", make)
    with cluster.running():
        for node in cluster.nodes:
            assert node.store.head.size == 5
            wait_for(partial(node.published.own, 5), "signing")


def test_supervisor_starts_without_importing_a_web_server() -> None:
    heavy = ["fastapi", "pydantic", "uvicorn", "starlette"]
    assert brought_along("import tradeline_node.processes.supervisor", heavy) == []
