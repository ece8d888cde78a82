"""The hold on signing: its file, and what it takes to lift it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.world import INSTITUTIONS, make_ledger, seed

from tradeline_ledger.signing import SigningKey
from tradeline_ledger.trust import VerifiedCheckpoint
from tradeline_node import hold_watch
from tradeline_node.errors import PeerError, StoreDamagedError, StoreError
from tradeline_node.hold_watch import HoldWatch, answers_needed, trusted_height
from tradeline_node.logs import node_log
from tradeline_node.others import Address, Shown
from tradeline_node.signing_hold import HOLD_BLOCKS, HOLD_NAME, Seen, SigningHold

KEY = SigningKey(seed("engine", 1))
HEAD = make_ledger(INSTITUTIONS)


class Head:
    size = 7


class Log:
    """As much of a ledger store as a watch looks at."""

    head = Head()
    engine_height = 40
    registry = HEAD.registry

    @staticmethod
    def root(size: int) -> bytes:
        return seed("root", size)


class Network:
    """What the other validators show: by member, the size of a checkpoint and a height."""

    def __init__(self, shown: dict[int, tuple[int, int]]) -> None:
        self.shown_sizes = shown

    async def shown(self) -> tuple[list[Shown], dict[int, str]]:
        found = [
            Shown(member, VerifiedCheckpoint(size, seed("root", size), (2,), (2, 3, 4), b""))
            for member, (size, _) in self.shown_sizes.items()
        ]
        return found, {}

    def addresses(self) -> list[Address]:
        return [Address(member, "http://127.0.0.1:1", None) for member in self.shown_sizes]

    async def get(self, address: Address, target: str, bytes_max: int) -> bytes:
        assert (target, bytes_max) == ("/v1/ledger", 64 * 1024)
        if self.shown_sizes[address.member][1] < 0:
            raise PeerError("it is gone")
        return json.dumps({"applied_height": self.shown_sizes[address.member][1]}).encode()


def watch(hold: SigningHold, network: Network, log: Log, blocks: int = HOLD_BLOCKS) -> HoldWatch:
    stand_ins: tuple[Any, Any] = (log, network)
    return HoldWatch(hold, *stand_ins, node_log("held"), blocks=blocks)


def look(watched: HoldWatch) -> float:
    return asyncio.run(watched._look())


@pytest.fixture
def hold(tmp_path: Path) -> SigningHold:
    placed = SigningHold(tmp_path)
    placed.place("restored from a backup of yesterday")
    return placed


def test_hold_outlives_the_process_until_it_is_lifted(tmp_path: Path, hold: SigningHold) -> None:
    again = SigningHold(tmp_path)
    assert again.holds()
    assert again.reason.startswith("restored from a backup of yesterday: it signs nothing until")
    hold.see(Seen(7, 41))
    assert again.seen == Seen(7, 41)
    assert again.engine_key(KEY).public != KEY.public
    assert again.engine_key(KEY).public != again.engine_key(KEY).public
    again.lift()
    assert not hold.holds()
    assert hold.reason == ""
    assert hold.engine_key(KEY) is KEY
    assert list(tmp_path.iterdir()) == []


def test_placing_it_again_forgets_what_was_seen(hold: SigningHold) -> None:
    hold.see(Seen(7, 41))
    hold.place("restored once more")
    assert hold.seen is None


def test_folder_whose_restore_was_cut_off_is_refused(tmp_path: Path) -> None:
    hold = SigningHold(tmp_path)
    hold.check_complete()
    hold.place("restored", complete=False)
    with pytest.raises(StoreError, match=r"is not whole: restored, and that was cut off; remove"):
        SigningHold(tmp_path).check_complete()
    hold.complete()
    hold.check_complete()
    assert hold.holds()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 4000,
        b'{"reason": 1, "complete": true, "seen": null}',
        b'{"reason": "x", "complete": 1, "seen": null}',
        b'{"reason": "x", "complete": true, "seen": {"size": true, "height": 1}}',
        b'{"reason": "x", "complete": true, "seen": {"size": -1, "height": 1}}',
        b'{"reason": "x", "complete": true}',
        b" " * 5000,
    ],
)
def test_file_that_says_nothing_holds_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / HOLD_NAME).write_bytes(content)
    hold = SigningHold(tmp_path)
    assert hold.holds()
    assert hold.engine_key(KEY).public != KEY.public
    with pytest.raises(StoreError, match="does not say why the node is held"):
        _ = hold.seen
    with pytest.raises(StoreError, match="does not say why"):
        hold.check_complete()


# Lifting it


def test_is_lifted_once_the_network_went_on_by_some_heights(hold: SigningHold) -> None:
    log = Log()
    watched = watch(hold, Network({2: (7, 43), 3: (6, 42), 4: (7, 41)}), log)
    assert look(watched) > 0
    assert hold.seen == Seen(7, 42), "the highest claim of four may be made up"
    log.engine_height = 42 + HOLD_BLOCKS - 1
    assert look(watched) > 0
    assert f"signs from {42 + HOLD_BLOCKS} on" in watched.detail
    log.engine_height = 42 + HOLD_BLOCKS
    assert look(watched) == 0
    assert not hold.holds()


def test_is_not_lifted_before_the_own_log_is_as_long_as_the_others(hold: SigningHold) -> None:
    log = Log()
    watched = watch(hold, Network({2: (7, 40), 3: (9, 40)}), log, blocks=0)
    assert look(watched) > 0
    assert hold.seen is None
    assert watched.detail == "the log has 7 leaves here, 9 at the others"


def test_one_answer_of_four_validators_is_not_enough(hold: SigningHold) -> None:
    watched = watch(hold, Network({3: (7, 40)}), Log(), blocks=0)
    assert look(watched) > 0
    assert hold.holds()
    assert watched.detail.startswith("1 other validators show their newest checkpoint, 2 are")


def test_those_that_are_no_validators_do_not_count(hold: SigningHold) -> None:
    watched = watch(hold, Network({3: (7, 40), 5: (7, 40)}), Log(), blocks=0)
    assert look(watched) > 0
    assert hold.seen is None


def test_own_log_with_another_root_stays_held(hold: SigningHold) -> None:
    class Other(Log):
        @staticmethod
        def root(size: int) -> bytes:
            return seed("another root", size)

    watched = watch(hold, Network({2: (7, 40), 3: (7, 40)}), Other(), blocks=0)
    with pytest.raises(StoreDamagedError, match="the own log has root"):
        look(watched)
    assert hold.seen is None


def test_heights_that_nobody_tells_leave_the_own_one(hold: SigningHold) -> None:
    watched = watch(hold, Network({2: (7, -1), 3: (7, -1)}), Log())
    look(watched)
    assert hold.seen == Seen(7, 40)


def test_run_goes_on_after_failures_and_returns_when_it_is_lifted(
    hold: SigningHold, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flaky(Network):
        tries = 0

        async def shown(self) -> tuple[list[Shown], dict[int, str]]:
            self.tries += 1
            if self.tries < 3:
                raise PeerError("not yet")
            return await super().shown()

    monkeypatch.setattr(hold_watch, "ASK_S", 0.001)
    flaky = Flaky({2: (7, 40), 3: (7, 40)})
    asyncio.run(watch(hold, flaky, Log(), blocks=0).run())
    assert flaky.tries == 3
    assert not hold.holds()
    asyncio.run(watch(hold, flaky, Log(), blocks=0).run())
    assert flaky.tries == 3, "what is not held asks nobody"


@pytest.mark.parametrize(
    ("validators", "answers"), [(1, 0), (2, 1), (3, 1), (4, 2), (7, 3), (10, 4)]
)
def test_answers_needed_hold_one_that_is_honest(validators: int, answers: int) -> None:
    assert answers_needed(validators) == answers


@pytest.mark.parametrize(
    ("claims", "validators", "height"),
    [([], 4, 0), ([9], 4, 9), ([5, 2**60, 4], 4, 5), ([5, 4], 3, 5), ([1, 2, 3, 4, 5, 6], 7, 4)],
)
def test_trusted_height_leaves_out_what_can_be_made_up(
    claims: list[int], validators: int, height: int
) -> None:
    assert trusted_height(claims, validators) == height
