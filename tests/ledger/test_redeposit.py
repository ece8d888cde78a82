"""Custody records and re-deposits: whose deposits are in force, and what makes neither."""

from __future__ import annotations

from typing import Any

import pytest
from tests.world import DAY_MS, World

from tradeline_ledger import state
from tradeline_ledger.custody_record import CustodyRow
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import Mark, MarkKind
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import decode_submission


def place(world: World, entry: bytes) -> Outcome:
    """Place one entry in a block and return its outcome."""
    return world.block(entry).placed[0].applied.outcome


def submitted(world: World, salt: str = "a", *, events: int = 1) -> int:
    """Return the log index of a submission of member 1, with receipts of 1, 2 and 3."""
    rows = [(world.tag(1, who, 2026), 24_400, b"event") for who in range(events)]
    return world.block(world.submission(1, world.batch(1, rows, salt)[0])).placed[0].index


def say(world: World, member: int, index: int, ok: int, epoch: int = 0) -> Outcome:
    content = encode((CustodyRow(index, epoch, ok),))
    return place(world, world.entry(member, Kind.CUSTODY, content, feed=0))


def deposit_again(
    world: World, index: int, validators: tuple[int, ...] = (1, 2, 3), **how: Any
) -> Outcome:
    dealt, _ = world.deal_again(1, index, salt=how.pop("salt", "a"), **how)
    content = encode(world.redeposit(1, index, dealt, validators))
    return place(world, world.entry(1, Kind.REDEPOSIT, content))


def erase(world: World, index: int, position: int) -> None:
    mark = encode(Mark(EventId(index, position), MarkKind.ERASE, None, 1))
    assert place(world, world.entry(1, Kind.MARK, mark)) is Outcome.ACCEPTED


@pytest.mark.parametrize("shape", ["empty", "descending", "doubled", "too many", "neither"])
def test_a_custody_record_is_a_list_that_ascends(shape: str) -> None:
    world = World()
    first = submitted(world)
    rows = {
        "empty": (),
        "descending": ((first + 2, 0, 1), (first, 0, 1)),
        "doubled": ((first, 0, 1), (first, 0, 0)),
        "too many": tuple((i, 0, 1) for i in range(1001)),
        "neither": ((first, 0, 2),),
    }[shape]
    entry = world.entry(4, Kind.CUSTODY, encode(rows), feed=0)
    assert place(world, entry) is Outcome.CONTENT_MALFORMED


def test_a_bad_deposit_is_seen_until_the_keys_are_dealt_again() -> None:
    world = World()
    index = submitted(world)
    assert say(world, 4, index, 0) is Outcome.ACCEPTED
    placed = state.deposits_at(world, index, world.head.size)
    assert placed is not None
    assert placed.placed == index
    assert state.said_bad(world, index, 4)
    assert not state.said_bad(world, index, 3)
    assert deposit_again(world, index, (1, 3, 4)) is Outcome.ACCEPTED
    again = state.deposits_at(world, index, world.head.size)
    assert again is not None
    assert not state.said_bad(world, again.placed, 4)
    assert state.said_bad(world, index, 4)
    assert say(world, 4, index, 0) is Outcome.CUSTODY_RECEIPT_GIVEN
    assert say(world, 2, index, 1) is Outcome.ACCEPTED
    assert not state.said_bad(world, again.placed, 2)


def test_custody_is_said_within_a_day_and_not_after() -> None:
    world = World()
    indexes = [submitted(world, salt) for salt in ("a", "b")]
    world.time_ms -= 1000  # of the first submission's block
    for index, later_ms in zip(indexes, (DAY_MS - 1, 1001), strict=True):
        content = encode((CustodyRow(index, 0, 1),))
        executed = world.block(world.entry(4, Kind.CUSTODY, content, feed=0), later_ms=later_ms)
        expected = Outcome.ACCEPTED if index == indexes[0] else Outcome.CUSTODY_LATE
        assert executed.placed[0].applied.outcome is expected


def test_the_committee_before_says_what_it_found_of_its_own_deposits() -> None:
    world = World()
    index = submitted(world)
    world.open_epoch(1, 2, 3)
    assert say(world, 4, index, 1, epoch=1) is Outcome.CUSTODY_EPOCH_WRONG
    assert say(world, 4, index, 1) is Outcome.ACCEPTED
    assert deposit_again(world, index) is Outcome.ACCEPTED
    assert say(world, 4, index, 1) is Outcome.CUSTODY_EPOCH_WRONG
    assert say(world, 4, index, 1, epoch=1) is Outcome.CUSTODY_WITHOUT_DEPOSIT


def test_deposits_in_force_are_the_last_at_or_before_a_block() -> None:
    world = World()
    index, other = submitted(world), submitted(world, "b")
    sizes = [world.head.size]
    for dealer in (1, 2):
        world.open_epoch(1, 2, 3, 4)
        assert deposit_again(world, index, dealer=dealer) is Outcome.ACCEPTED
        sizes.append(world.head.size)
    found = [state.deposits_at(world, index, size) for size in sizes]
    assert [each.epoch for each in found if each] == [0, 1, 2]
    assert [each.placed for each in found if each] == [index, sizes[1] - 2, sizes[2] - 2]
    assert len({each.hash for each in found if each}) == 3
    before = state.deposits_at(world, index, sizes[2] - 2)
    assert before == found[1]
    untouched = state.deposits_at(world, other, world.head.size)
    assert untouched is not None
    assert untouched.epoch == 0
    assert state.deposits_at(world, index, index) is None
    assert state.deposits_at(world, index + 1, world.head.size) is None


def test_receipts_of_a_batch_or_of_another_epoch_are_none_for_a_redeposit() -> None:
    world = World()
    index = submitted(world)
    batch = decode_submission(world.contents[index]).batch
    world.open_epoch(1, 2, 3, 4)
    dealt, _ = world.deal_again(1, index, salt="a")
    of_batch = Redeposit(index, 1, dealt, world.receipts(1, batch))
    assert place(world, world.entry(1, Kind.REDEPOSIT, encode(of_batch))) is (
        Outcome.REDEPOSIT_RECEIPTS_TOO_FEW
    )
    before = world.redeposit(1, index, dealt, epoch=0)
    stolen = Redeposit(index, 1, dealt, before.receipts)
    assert place(world, world.entry(1, Kind.REDEPOSIT, encode(stolen))) is (
        Outcome.REDEPOSIT_RECEIPTS_TOO_FEW
    )
    late = world.redeposit(1, index, dealt, expires_ms=world.time_ms)
    assert place(world, world.entry(1, Kind.REDEPOSIT, encode(late))) is (
        Outcome.REDEPOSIT_RECEIPTS_TOO_FEW
    )
    outsiders = world.redeposit(1, index, dealt, (1, 2, 5))
    assert place(world, world.entry(1, Kind.REDEPOSIT, encode(outsiders))) is (
        Outcome.REDEPOSIT_RECEIPTS_TOO_FEW
    )
    good = world.redeposit(1, index, dealt)
    assert place(world, world.entry(1, Kind.REDEPOSIT, encode(good))) is Outcome.ACCEPTED


def test_a_batch_is_dealt_again_while_one_event_is_left() -> None:
    world = World()
    index = submitted(world, events=3)
    for position in (0, 2):
        erase(world, index, position)
    assert deposit_again(world, index, erased=(0, 2)) is Outcome.ACCEPTED
    erase(world, index, 1)
    assert deposit_again(world, index, erased=(0, 1, 2), dealer=2) is Outcome.REDEPOSIT_ERASED
