"""
What is around a node, as the doctor looks at it: ports, the engine, the clock, the other nodes.

Each check says with which step of the start, or of the network's life, something is wrong.
"""

from __future__ import annotations

import json
import socket
import statistics
from time import time as clock_s
from typing import TYPE_CHECKING, Final

from tradeline_ledger.statement import BlockLeaf, decode_leaf
from tradeline_node.engine.cometbft import DRIVER as COMETBFT
from tradeline_node.engine.cometbft_process import check_binary, find_binary
from tradeline_node.errors import NodeError
from tradeline_node.peers import said
from tradeline_node.processes.supervisor import RUNNING_NAME, check_ports
from tradeline_node.run import listen
from tradeline_node.twin import UNREACHED, ask, twin_at

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_ledger.genesis import Ledger
    from tradeline_ledger.registry import MemberRecord, Registry
    from tradeline_node.config import Config
    from tradeline_node.findings import Report
    from tradeline_node.keystore import Keystore
    from tradeline_node.store import LedgerStore

CLOCK_OFF_MAX_S: Final = 30.0
"""Requests of a node whose clock is further off are refused before long."""
_GENESIS_NAME: Final = "config/genesis.json"
_OTHERS_ANSWER: Final = (
    "see whether that node runs, the network lets it be reached, and its endpoint is the registry's"
)


def check_start(report: Report, config: Config, ledger: Ledger) -> None:
    """Look for what would keep a node that does not run from starting."""
    cometbft = config.engine.driver == COMETBFT
    try:
        if cometbft:
            check_ports(config)
        else:
            listen(config).close()
    except NodeError as error:
        report.add("port", config.folder, error, "end what uses the port, or set another")
    if (config.folder / RUNNING_NAME).exists():
        report.checks.append(f"{RUNNING_NAME} is left of a run that was cut off; a start writes it")
    if not cometbft:
        return
    try:
        check_binary(find_binary(config.engine.binary, config.folder))
    except NodeError as error:
        report.add("engine", config.folder, error, "run scripts/engine, or set engine.binary")
    _check_chain(report, config.path(config.engine.home) / _GENESIS_NAME, ledger)
    report.checks.append("ports, engine")


def check_clock(report: Report, store: LedgerStore) -> None:
    """Look whether the log has blocks from the future."""
    block = decode_leaf(store.leaf(store.head.size - 1))
    assert isinstance(block, BlockLeaf), store.head.size
    ahead_s = block.time_ms / 1000 - clock_s()
    if ahead_s > CLOCK_OFF_MAX_S:
        report.add(
            "clock",
            f"block {block.height}",
            f"its time is {ahead_s:.0f} s ahead of this machine's clock",
            "set the clock right, by NTP",
        )


def check_peers(
    report: Report, config: Config, keys: Keystore, registry: Registry, *, running: bool
) -> set[int]:
    """
    Look whether the other nodes are reached, hold the keys of the registry and have the same time.

    Returns the members whose node is not reached.
    """
    timeout_s = config.publish.peer_timeout_ms / 1000
    unreached, offsets_s = set(), []
    for record in registry.members:
        if record.until_height is not None or not record.endpoint:
            continue
        if record.id == keys.member:
            if not running:
                _check_double(report, config, keys, record)
            continue
        try:
            offsets_s.append(ask(record.endpoint, record.tls_pin, timeout_s))
        except UNREACHED as error:
            unreached.add(record.id)
            detail = f"{record.endpoint} does not answer: {said(error)}"
            report.add("peer", f"member {record.id}", detail, _OTHERS_ANSWER)
        if config.engine.driver == COMETBFT and record.engine_peer:
            _check_engine_peer(report, record, timeout_s)
    off_s = statistics.median(offsets_s) if offsets_s else 0.0
    if abs(off_s) > CLOCK_OFF_MAX_S:
        way = "behind" if off_s > 0 else "ahead of"
        report.add(
            "clock",
            "this machine",
            f"its clock is {abs(off_s):.0f} s {way} those of {len(offsets_s)} other nodes",
            "set the clock right, by NTP; requests with a wrong time are refused",
        )
    report.checks.append(f"{len(offsets_s)} other nodes answer with the keys of the registry")
    return unreached


def _check_chain(report: Report, file: Path, ledger: Ledger) -> None:
    """Look whether the engine's folder is of this ledger."""
    try:
        found = json.loads(file.read_bytes())["chain_id"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        return  # each start writes it anew
    if found != ledger.chain_id:
        report.add(
            "engine",
            file,
            f"the engine's folder is of chain {found}, the genesis is of {ledger.chain_id}",
            "put the engine's folder or the genesis of one ledger in place; keep the other folder, "
            "since what its validator signed is in it",
        )


def _check_double(report: Report, config: Config, keys: Keystore, record: MemberRecord) -> None:
    """Look whether a node with these keys runs elsewhere, while this one does not."""
    if record.endpoint.rstrip("/") == config.url(tls=record.tls_pin is not None):
        return
    found = twin_at(record.endpoint, keys, config.publish.peer_timeout_ms / 1000)
    if found:
        report.add(
            "double",
            record.endpoint,
            f"{found}, and none runs here",
            "don't start this one: two validators with one key vote twice; remove the copy",
        )


def _check_engine_peer(report: Report, record: MemberRecord, timeout_s: float) -> None:
    host, _, port = record.engine_peer.partition("@")[2].rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
    except OSError as error:
        report.add(
            "engine-peer",
            f"member {record.id}",
            f"its engine at {record.engine_peer} is not reached: {error.strerror or error}",
            _OTHERS_ANSWER,
        )
