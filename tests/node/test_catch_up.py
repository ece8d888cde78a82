"""Catching up over HTTP from other nodes: joining, resuming, and others that lie."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from tests.node.cluster import PASSPHRASE, Cluster, wait_for
from tests.world import DESK

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import ConsistencyError, MalformedError, VerificationError
from tradeline_ledger.log_chunk import LOG_CHUNK, LogBlock, LogChunk, verify_chunk
from tradeline_ledger.merkle import Frontier, root_nodes
from tradeline_ledger.statement import Kind
from tradeline_node import catch_up as catch_up_module
from tradeline_node.application import Application
from tradeline_node.catch_up import CatchUp, CaughtUp
from tradeline_node.catch_up_command import catch_up_before_engine, catch_up_node, to_json
from tradeline_node.config import load_config
from tradeline_node.errors import PeerError, RequestError, StoreDamagedError, StoreError
from tradeline_node.log_export import export_chunk
from tradeline_node.logs import node_log
from tradeline_node.others import Address
from tradeline_node.peers import PeerAnswer, PeerClient
from tradeline_node.store import LedgerStore

LATE = 4
"""The member whose node is away."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Nodes 1 to 3 of a ledger whose key changes once, with a log of a dozen blocks."""
    made = Cluster(tmp_path_factory.mktemp("net") / "net")
    with made.running((1, 2, 3)) as running:
        running.hand_over_tag_keys()
        for salt in range(4):
            running.submit(1, 3, salt)
        change = running.world().key_change(2)
        running.post(2, change)
        for salt in range(4, 8):
            running.submit(1, 3, salt)
        running.wait_for_checkpoint(running.node(1).store.head.size)
        for member in (1, 2, 3):
            wait_for(lambda member=member: running.node(member).publisher.steps(0, 1))
        yield running
