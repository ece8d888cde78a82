from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.custody_world import Committee, Node
from tests.world import DAY_MS

from tradeline_ledger.deposit import Attachment
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.submission import Batch
from tradeline_node.custody_file import AttachmentFile
from tradeline_node.errors import StoreError

SEPTEMBER = 2026 * 12 + 8
"""Month of the test ledger's genesis, 2026-09-21 in its local time; it ends 9 days later."""


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path)
    yield made
    made.close()


def hash_of(committee: Committee, batch: Batch, member: int = 2) -> bytes:
    return batch.hash(committee.world.ledger.ledger_id, member)


def present(node: Node, batch_hash: bytes, attachment: Attachment) -> list[bool]:
    """Return which bodies are in any file of the node; the custody store must say the same."""
    files = [path.read_bytes() for path in node.folder.rglob("*") if path.is_file()]
    found = [
        any(body is not None and body[40:72] in file for file in files)
        for body in attachment.bodies
    ]
    told = node.custody.bodies(batch_hash, range(len(attachment.bodies)))
    assert [body is not None for body in told] == found
    return found


def test_erase_mark_takes_the_body_from_every_file_of_every_node(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2, 3])
    index = committee.submit(2, batch, attachment)
    kept, other, _ = committee.batch(2, [1])
    committee.submit(2, kept, other)
    root = committee.nodes[1].store.root(committee.world.head.size)
    committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    for node in committee.nodes.values():
        assert present(node, hash_of(committee, batch), attachment) == [True, True, True]
        node.sweeper.follow()
        assert node.sweeper.due()
        result = node.sweeper.sweep()
        assert (result.events, result.attachments, result.more) == (1, 1, False)
        assert present(node, hash_of(committee, batch), attachment) == [True, False, True]
        assert not node.sweeper.due()
        assert node.sweeper.sweep().events == 0
    # No root changed, and nothing else went.
    assert committee.nodes[1].store.root(committee.world.head.size - 2) == root
    assert committee.nodes[1].custody.body(hash_of(committee, kept), 0) == other.bodies[0]


def test_deposits_go_with_the_last_event(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    index = committee.submit(2, batch, attachment)
    node, batch_hash = committee.nodes[1], hash_of(committee, batch)
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    node.sweeper.sweep()
    assert node.custody.sealed(batch_hash, 0) == attachment.sealed[0]
    committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    node.sweeper.sweep()
    assert node.custody.sealed(batch_hash, 0) is None
    held = node.custody.held(batch_hash)
    assert held is not None
    assert held.due_month is None


def test_bodies_go_when_their_month_is_past_and_not_before(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2], month=SEPTEMBER)
    committee.submit(2, batch, attachment)
    later, other, _ = committee.batch(2, [3], month=SEPTEMBER + 1)
    committee.submit(2, later, other)
    node, batch_hash = committee.nodes[1], hash_of(committee, batch)
    assert node.sweeper.sweep().events == 0
    committee.tick(8 * DAY_MS)
    assert not node.sweeper.due()
    assert node.sweeper.sweep().events == 0
    committee.tick(2 * DAY_MS)
    assert node.sweeper.due()
    assert node.sweeper.sweep().events == 2
    assert present(node, batch_hash, attachment) == [False, False]
    assert present(node, hash_of(committee, later), other) == [True]
    committee.tick(31 * DAY_MS)
    assert node.sweeper.sweep().events == 1


def test_retain_marks_move_the_month_either_way(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2, 3], month=SEPTEMBER + 1)
    index = committee.submit(2, batch, attachment)
    node, batch_hash = committee.nodes[1], hash_of(committee, batch)
    committee.mark(2, EventId(index, 0), MarkKind.RETAIN, SEPTEMBER + 3)
    committee.mark(2, EventId(index, 1), MarkKind.RETAIN, SEPTEMBER - 1)
    assert node.sweeper.sweep().events == 1
    assert present(node, batch_hash, attachment) == [True, False, True]
    committee.tick(45 * DAY_MS)
    assert node.sweeper.sweep().events == 1
    assert present(node, batch_hash, attachment) == [True, False, False]
    # Extended once more before the month is past.
    committee.mark(2, EventId(index, 0), MarkKind.RETAIN, SEPTEMBER + 4)
    committee.tick(80 * DAY_MS)
    assert node.sweeper.sweep().events == 0
    committee.tick(31 * DAY_MS)
    assert node.sweeper.sweep().events == 1
    assert present(node, batch_hash, attachment) == [False, False, False]


def test_attachment_that_is_not_ordered_is_no_business_of_retention(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1], month=SEPTEMBER - 5)
    committee.custody(2, batch, attachment, [1])
    node = committee.nodes[1]
    assert node.sweeper.sweep().events == 0
    assert present(node, hash_of(committee, batch), attachment) == [True]


def test_marks_placed_while_the_node_was_down_are_found_after_the_start(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    index = committee.submit(2, batch, attachment)
    node = committee.nodes[1]
    node.sweeper.sweep()
    node.close_services()
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    node.open_services()
    assert node.sweeper.sweep().events == 1
    assert present(node, hash_of(committee, batch), attachment) == [False, True]


def test_sweep_looks_at_what_is_due_and_at_nothing_else(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexes = []
    for _ in range(6):
        batch, attachment, _ = committee.batch(2, [1, 2])
        indexes.append(committee.submit(2, batch, attachment))
    node = committee.nodes[1]
    node.sweeper.sweep()
    committee.mark(2, EventId(indexes[3], 0), MarkKind.ERASE)
    opened: list[bytes] = []
    open_file = node.custody.open_file

    def watched(batch_hash: bytes) -> AttachmentFile | None:
        opened.append(batch_hash)
        return open_file(batch_hash)

    monkeypatch.setattr(node.custody, "open_file", watched)
    assert node.sweeper.sweep().events == 1
    assert len(set(opened)) == 1
    opened.clear()
    committee.tick(DAY_MS)
    node.sweeper.sweep()
    assert opened == []


def test_large_sweeps_come_in_pieces(committee: Committee, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        batch, attachment, _ = committee.batch(2, [1], month=SEPTEMBER - 1)
        committee.submit(2, batch, attachment)
    node = committee.nodes[1]
    monkeypatch.setattr("tradeline_node.sweep.ATTACHMENTS_MAX", 2)
    monkeypatch.setattr("tradeline_node.sweep.LEAVES_AT_ONCE", 2)
    first, second = node.sweeper.sweep(), node.sweeper.sweep()
    assert (first.events, first.more) == (2, True)
    assert (second.events, second.more) == (1, False)


def test_damaged_file_is_named_and_does_not_stop_the_sweep(committee: Committee) -> None:
    batches = []
    for _ in range(3):
        batch, attachment, _ = committee.batch(2, [1, 2])
        index = committee.submit(2, batch, attachment)
        committee.mark(2, EventId(index, 0), MarkKind.ERASE)
        batches.append(batch)
    node = committee.nodes[1]
    (damaged,) = node.folder.rglob(hash_of(committee, batches[1]).hex())
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:60])
    (missing,) = node.folder.rglob(hash_of(committee, batches[0]).hex())
    missing.unlink()
    result = node.sweeper.sweep()
    assert result.events == 1
    assert len(result.findings) == 1
    assert str(damaged) in result.findings[0]
    # It is looked at again until it can be erased.
    damaged.write_bytes(whole)
    assert node.sweeper.sweep().events == 1


def test_custody_begins_anew_with_a_log_that_is_shorter(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1])
    index = committee.submit(2, batch, attachment)
    node = committee.nodes[1]
    node.custody.placed([], [], 10_000)
    node.sweeper.follow()
    held = node.custody.held(hash_of(committee, batch))
    assert held is not None
    assert held.log_index == index
    assert node.custody.followed() == committee.world.head.size


def test_sweep_that_can_not_write_leaves_the_body_due(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    index = committee.submit(2, batch, attachment)
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    node = committee.nodes[1]

    def fail(path: Path, content: bytes) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("tradeline_node.custody.write_file", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            node.sweeper.sweep()
    node.close_services()
    node.open_services()
    assert node.sweeper.sweep().events == 1
    assert present(node, hash_of(committee, batch), attachment) == [False, True]
