from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.custody_world import Committee
from tests.world import seed

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.release import RELEASED, ReleasedRow, common_hash
from tradeline_ledger.statement import Kind, Statement, content_hash, sign_entry
from tradeline_node.errors import BusyError


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path)
    yield made
    made.close()


def released(committee: Committee, inquiry: int, node: int = 3) -> int | None:
    """Return the log index of the record, None if there is none."""
    row = committee.nodes[1].store.get(state.released_key(inquiry, node))
    return None if row is None else int.from_bytes(row, "big")


def test_releases_are_recorded_together_once_and_by_their_own_node(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    committee.submit(2, batch, attachment)
    first = committee.inquire(reader=1)
    second = committee.inquire(reader=2, second=1)
    got = {asked.index: committee.release(asked, 3) for asked in (second, first)}
    node = committee.nodes[3]
    assert node.released.post() == 2
    assert node.released.post() == 0
    executed = committee.produce()
    assert executed is not None
    (placed,) = executed.placed
    assert placed.applied.outcome.code == "accepted"
    assert placed.applied.signed is not None
    rows = RELEASED.decode(placed.applied.signed.entry.content)
    assert rows == (
        ReleasedRow(first.index, 2, common_hash(got[first.index].answer.common)),
        ReleasedRow(second.index, 3, common_hash(got[second.index].answer.common)),
    )
    assert released(committee, first.index) == released(committee, second.index) == placed.index
    assert released(committee, first.index, node=2) is None
    committee.release(first, 3)
    assert node.released.post() == 0
    assert node.released.pending() == 0


def test_next_record_waits_until_the_one_before_has_its_place(committee: Committee) -> None:
    first, second = committee.inquire(reader=1), committee.inquire(reader=2, second=1)
    node = committee.nodes[3]
    committee.release(first, 3)
    assert node.released.post() == 1
    committee.release(second, 3)
    assert node.released.post() == 0
    committee.produce()
    assert node.released.post() == 1
    committee.produce()
    assert committee.world.position(3, 0)[0] == 2
    assert released(committee, second.index) is not None


def test_restart_loses_no_record_and_signs_none_twice(committee: Committee) -> None:
    first, second = committee.inquire(reader=1), committee.inquire(reader=2, second=1)
    node = committee.nodes[3]
    committee.release(first, 3)
    node.close_services()
    node.open_services()
    assert node.released.post() == 1
    committee.release(second, 3)
    # Stopped while the first is on its way: the same statement is handed over again.
    node.close_services()
    node.open_services()
    assert node.released.post() == 0
    committee.produce()
    assert released(committee, first.index) is not None
    node.close_services()
    node.open_services()
    assert node.released.post() == 1
    committee.produce()
    assert node.released.post() == 0
    assert node.outbox.evidence() == []
    assert committee.world.position(3, 0)[0] == 2


def test_crash_before_the_hand_over_hands_the_same_statement_over_later(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = committee.inquire()
    node = committee.nodes[3]
    committee.release(asked, 3)

    def fail(entry: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(node.outbox, "put", fail)
        with pytest.raises(KeyboardInterrupt):
            node.released.post()
    assert node.outbox.pending() == 0
    node.close_services()
    node.open_services()
    assert node.released.post() == 0
    assert node.outbox.pending() == 1
    committee.produce()
    assert released(committee, asked.index) is not None


def test_full_outbox_gets_the_record_another_time(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = committee.inquire()
    node = committee.nodes[3]
    committee.release(asked, 3)

    def busy(entry: bytes) -> None:
        raise BusyError("full")

    with monkeypatch.context() as patched:
        patched.setattr(node.outbox, "put", busy)
        assert node.released.post() == 1
        assert node.released.post() == 0
    node.released.post()
    committee.produce()
    assert released(committee, asked.index) is not None


def test_record_is_signed_anew_when_the_feed_went_another_way(committee: Committee) -> None:
    asked, other = committee.inquire(reader=1), committee.inquire(reader=2, second=1)
    node, world = committee.nodes[3], committee.world
    committee.release(asked, 3)
    node.released.post()
    # The key was used elsewhere: a record of the other inquiry took the position.
    content = encode((ReleasedRow(other.index, 1, seed("common")),))
    statement = Statement(
        1,
        world.ledger.ledger_id,
        3,
        0,
        0,
        bytes(32),
        world.time_ms,
        Kind.RELEASED,
        content_hash(Kind.RELEASED, content),
    )
    committee.placed(sign_entry(world.institution(3).node, statement, content))
    committee.release(other, 3)
    # The outbox finds out that the first statement is lost, and then takes the next one.
    for _ in range(2):
        node.released.post()
        committee.produce()
    assert released(committee, asked.index) is not None
    assert node.released.post() == 0
    assert node.released.pending() == 0
    assert len(node.outbox.evidence()) == 1


def test_record_holds_no_more_rows_than_the_limit(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeline_node.released_log.RELEASED_ROWS_MAX", 2)
    node = committee.nodes[3]
    asked = [
        committee.inquire(reader=reader, second=second, who=who)
        for reader, second, who in ((1, 2, 1), (2, 1, 1), (3, 1, 1))
    ]
    for each in asked:
        committee.release(each, 3)
    assert node.released.post() == 2
    committee.produce()
    assert node.released.post() == 1
    committee.produce()
    assert all(released(committee, each.index) is not None for each in asked)
