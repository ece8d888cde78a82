"""
The fault of a wrong clock: application, HTTP and engine of one node are off by days.

The engine is the one of `scripts/engine --clock`. One that is ahead goes on, and dates its votes in
blocks by its clock. One that is behind takes every block for one of the future: it refuses to vote,
says so, and ends, again and again until its clock is right.
"""

from __future__ import annotations

import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.network.faults import Fault, Scene
from tests.network.members import READY_S, ROOT, Member, until
from tests.network.misbehaviour import behave

from tradeline_node.engine.cometbft_home import engine_address
from tradeline_node.engine.cometbft_process import BINARY_VARIABLE
from tradeline_node.engine.cometbft_rpc import CometBftRpc

DAYS: Final = (-400, -3, 3, 400)
DAY_S: Final = 86_400
AGE_S: Final = 500 * DAY_S
"""Of the network: an engine that starts before its genesis waits for it."""
DAY_NS: Final = DAY_S * 10**9
NEAR_NS: Final = 60 * 10**9
"""What block time may be away from the true time, while blocks come."""
REFUSAL: Final = "is too far in the future"
"""What an engine's log says of a block."""
OFFSET_VARIABLE: Final = "TL_ENGINE_OFFSET_S"
_FOR_BLOCK: Final = 2


@dataclass(frozen=True)
class Commit:
    """When a block was, and when it was voted for."""

    height: int
    time_ns: int
    votes_ns: Mapping[str, int]
    """By the voters' addresses, in hex."""


def moved_engine() -> Path:
    """Return the engine whose clock can be moved, built if it is missing."""
    subprocess.run((ROOT / "scripts/engine", "--clock"), check=True)
    return ROOT / "engine/clock/cometbft"


@contextmanager
def clock_off(scene: Scene) -> Iterator[None]:
    """The clock of one node is off by days; that of the chain is not."""
    member = scene.member()
    days = scene.random.choice(DAYS)
    scene.notes[f"{days:+} days"] += 1
    moved = {BINARY_VARIABLE: str(moved_engine()), OFFSET_VARIABLE: str(days * DAY_S)}
    refusals = _refusals(member)
    _restart(member, {**behave("clock", argument=days * DAY_S), **moved})
    if days > 0:
        scene.network.wait([member.name])
    else:
        until(lambda: _refusals(member) > refusals, "refusal of a block", READY_S)
    observed = next(each for each in scene.network.members.values() if each is not member)
    first, started_ns = _rpc(observed).sync_info().height + 1, time.time_ns()
    yield
    last, ended_ns = _rpc(observed).sync_info().height, time.time_ns()
    commits = [_commit(observed, height) for height in range(first, last + 1)]
    for each in commits:
        if not started_ns - NEAR_NS <= each.time_ns <= ended_ns + NEAR_NS:
            scene.problems.append(f"block {each.height} is not at the true time: {each.time_ns} ns")
    votes = _votes_after_ns(scene, member, commits)
    scene.notes["votes by that clock"] += len(votes)
    if bool(votes) != (days > 0):
        scene.problems.append(f"{len(votes)} votes in {len(commits)} blocks at {days:+} days")
    for off_ns in votes:
        if abs(off_ns - days * DAY_NS) > NEAR_NS:
            scene.problems.append(f"a vote is {off_ns} ns after its block at {days:+} days")
    _restart(member, {})


CLOCKS: Final[dict[str, Fault]] = {"clock-off": clock_off}
"""By the name that `scripts/soak` takes."""


def _restart(member: Member, environment: Mapping[str, str]) -> None:
    member.stop()
    member.environment = dict(environment)
    member.start()


def _votes_after_ns(scene: Scene, member: Member, commits: Sequence[Commit]) -> list[int]:
    """Return how long after each block that this member voted for its vote was."""
    record = scene.network.ledger.registry.member(member.number)
    assert record is not None, member.name
    assert record.engine_key is not None, member.name
    voter = engine_address(record.engine_key).hex().upper()
    voted = [each for each in commits if voter in each.votes_ns]
    return [each.votes_ns[voter] - each.time_ns for each in voted]


def _refusals(member: Member) -> int:
    return (member.folder / "logs/engine.log").read_text().count(REFUSAL)


def _rpc(member: Member) -> CometBftRpc:
    return CometBftRpc(_rpc_socket(member))


def _commit(member: Member, height: int) -> Commit:
    signed = _rpc(member)._result("commit", {"height": str(height)})["signed_header"]
    votes = {
        each["validator_address"]: _ns(each["timestamp"])
        for each in signed["commit"]["signatures"]
        if each["block_id_flag"] == _FOR_BLOCK
    }
    return Commit(height, _ns(signed["header"]["time"]), votes)


def _rpc_socket(member: Member) -> Path:
    """Return the socket that the engine which runs has for its RPC."""
    settings: dict[str, Any] = tomllib.loads(
        (member.folder / "engine/config/config.toml").read_text()
    )
    return Path(settings["rpc"]["laddr"].removeprefix("unix://"))


def _ns(text: str) -> int:
    """Return the nanoseconds since 1970 of a time as the engine writes it, which is UTC."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    whole_s = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole_s * 10**9 + int(fraction.ljust(9, "0") or 0)
