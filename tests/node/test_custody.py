from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.custody_world import RETAIN_2031, Committee, Node

from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkKind
from tradeline_node.custody import INDEX_NAME
from tradeline_node.custody_file import AttachmentFile
from tradeline_node.durable import write_file
from tradeline_node.errors import RequestError, StoreDamagedError, StoreError


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path)
    yield made
    made.close()


def file_of(node: Node, batch_hash: bytes) -> Path:
    (found,) = (node.folder / "custody").rglob(batch_hash.hex())
    return found


def files_with(folder: Path, needle: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_attachment_comes_back_as_it_was_handed_over(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, range(1, 40))
    committee.custody(2, batch, attachment)
    for node in committee.nodes.values():
        batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
        assert node.custody.attachment(batch_hash) == encode(attachment)
        assert node.custody.bodies(batch_hash, [38, 0]) == [
            attachment.bodies[38],
            attachment.bodies[0],
        ]
        assert node.custody.sealed(batch_hash, 3) == attachment.sealed[3]
        held = node.custody.held(batch_hash)
        assert held is not None
        assert (held.member, held.log_index, held.due_month) == (2, None, RETAIN_2031)
        assert node.custody.usage().bytes == file_of(node, batch_hash).stat().st_size
        node.custody.verify(batch_hash, committee.world.ledger.ledger_id)


def test_what_is_not_held_is_none(committee: Committee) -> None:
    custody = committee.nodes[1].custody
    assert custody.attachment(bytes(32)) is None
    assert custody.body(bytes(32), 7) is None
    assert custody.sealed(bytes(32), 0) is None
    assert custody.erase(bytes(32), [0], None) == 0


def test_large_batch_has_its_offsets_read_in_a_second_read(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, range(1, 2301))
    committee.custody(2, batch, attachment, [3])
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    assert committee.nodes[3].custody.body(batch_hash, 2299) == attachment.bodies[2299]


def test_crash_between_file_and_index_is_taken_in_again_at_open(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    committee.custody(2, batch, attachment, [1])
    node, ledger_id = committee.nodes[1], committee.world.ledger.ledger_id
    batch_hash = batch.hash(ledger_id, 2)
    node.close_services()
    with sqlite3.connect(node.folder / "custody" / INDEX_NAME) as rows:
        rows.execute("DELETE FROM attachments")
    rows.close()
    part = file_of(node, batch_hash).with_name("x.part")
    part.write_bytes(b"half of an attachment")
    node.open_services()
    held = node.custody.held(batch_hash)
    assert held is not None
    assert held.expires_ms == node.store.head.time_ms + 60 * 60_000
    assert node.custody.unordered_bytes(2) == held.bytes
    assert not part.exists()
    # It is ordered and erased like any other.
    receipts = committee.custody(2, batch, attachment)
    index = committee.placed(committee.world.submission(2, batch, receipts))
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    assert node.sweeper.sweep().events == 1


def test_crash_while_writing_leaves_nothing_under_the_name(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = committee.nodes[1]

    def fail(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    batch, attachment, _ = committee.batch()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(KeyboardInterrupt):
            committee.custody(2, batch, attachment, [1])
    assert node.custody.usage().attachments == 0
    assert node.custody.unordered_bytes(2) == 0
    assert files_with(node.folder / "custody", attachment.bodies[0] or b"") == []
    committee.custody(2, batch, attachment, [1])
    assert node.custody.usage().attachments == 1


def test_broken_index_is_made_again_from_the_files(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    index = committee.submit(2, batch, attachment)
    node = committee.nodes[1]
    node.sweeper.follow()
    node.close_services()
    broken = node.folder / "custody" / INDEX_NAME
    broken.write_bytes(b"SQLite format 3\0" + os.urandom(5000))
    node.open_services()
    assert "made again" in node.custody.findings[0]
    node.sweeper.follow()
    held = node.custody.held(batch.hash(committee.world.ledger.ledger_id, 2))
    assert held is not None
    assert (held.member, held.log_index) == (2, index)
    assert node.custody.unordered_bytes(2) == 0


def test_row_without_a_file_is_dropped_so_that_the_attachment_can_come_again(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch()
    committee.custody(2, batch, attachment, [1])
    node = committee.nodes[1]
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    node.close_services()
    file_of(node, batch_hash).unlink()
    node.open_services()
    assert "file is missing" in node.custody.findings[0]
    committee.custody(2, batch, attachment, [1])
    assert node.custody.attachment(batch_hash) == encode(attachment)


def test_file_that_is_none_of_ours_does_not_stay_where_no_sweep_finds_it(
    committee: Committee,
) -> None:
    node = committee.nodes[1]
    node.close_services()
    stray = node.folder / "custody" / "a" / "b" / ("ab" * 32)
    stray.write_bytes(b"tlcust\x00\x01" + os.urandom(500))
    node.open_services()
    assert "is removed" in node.custody.findings[0]
    assert not stray.exists()


def test_every_flipped_byte_of_an_attachment_file_is_found(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    committee.custody(2, batch, attachment, [3])
    node, ledger_id = committee.nodes[3], committee.world.ledger.ledger_id
    batch_hash = batch.hash(ledger_id, 2)
    path = file_of(node, batch_hash)
    whole = path.read_bytes()
    for place in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[place] ^= 0x20
        path.write_bytes(flipped)
        with pytest.raises(StoreDamagedError, match=r"attachment|damaged"):
            node.custody.verify(batch_hash, ledger_id)
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreDamagedError, match=r"damaged"):
        node.custody.verify(batch_hash, ledger_id)
    path.write_bytes(whole)
    node.custody.verify(batch_hash, ledger_id)


def test_erased_bytes_are_in_no_file(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2, 3])
    committee.custody(2, batch, attachment, [3])
    node, ledger_id = committee.nodes[3], committee.world.ledger.ledger_id
    batch_hash = batch.hash(ledger_id, 2)
    body, other = attachment.bodies[1], attachment.bodies[0]
    assert body is not None
    assert other is not None
    assert files_with(node.folder, body[-40:]) == [file_of(node, batch_hash)]
    assert node.custody.erase(batch_hash, [1], RETAIN_2031) == 1
    assert files_with(node.folder, body[-40:]) == []
    assert node.custody.bodies(batch_hash, [0, 1]) == [other, None]
    assert node.custody.erase(batch_hash, [1], RETAIN_2031) == 0
    node.custody.verify(batch_hash, ledger_id)
    found = ATTACHMENT.decode(node.custody.attachment(batch_hash) or b"")
    assert found.bodies == (other, None, attachment.bodies[2])
    assert found.sealed == attachment.sealed


def test_erasing_takes_the_nodes_own_share_and_the_last_event_all_deposits(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    committee.custody(2, batch, attachment, [3])
    custody, ledger_id = committee.nodes[3].custody, committee.world.ledger.ledger_id
    batch_hash = batch.hash(ledger_id, 2)

    def own() -> bytes | None:
        file = custody.open_file(batch_hash)
        assert file is not None
        with file:
            return custody.own_shares(file)

    before = own()
    assert before is not None
    custody.erase(batch_hash, [0], RETAIN_2031)
    assert own() == bytes(32) + before[32:]
    custody.erase(batch_hash, [1], None)
    assert own() is None
    found = ATTACHMENT.decode(custody.attachment(batch_hash) or b"")
    assert found.bodies == (None, None)
    assert found.sealed == (None,) * 4
    for sealed in attachment.sealed:
        assert sealed is not None
        assert files_with(committee.nodes[3].folder, sealed[:48]) == []
    custody.verify(batch_hash, ledger_id)


def test_full_disk_halts_writes_and_not_reads(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, attachment, _ = committee.batch()
    committee.custody(2, first, attachment, [1])
    node, ledger_id = committee.nodes[1], committee.world.ledger.ledger_id

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    second, other, _ = committee.batch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left.*restart"):
            committee.custody(2, second, other, [1])
    with pytest.raises(StoreError, match=r"No space left"):
        committee.custody(2, second, other, [1])
    assert node.custody.halted is not None
    assert node.custody.attachment(first.hash(ledger_id, 2)) == encode(attachment)
    assert node.custody.attachment(second.hash(ledger_id, 2)) is None
    node.close_services()
    node.open_services()
    committee.custody(2, second, other, [1])


def test_same_batch_from_many_threads_is_written_once(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, attachment, _ = committee.batch()
    node = committee.nodes[1]
    writes = []

    def counted(path: Path, content: bytes) -> None:
        writes.append(path)
        write_file(path, content)

    monkeypatch.setattr("tradeline_node.custody.write_file", counted)
    receipts = []
    threads = [
        threading.Thread(
            target=lambda: receipts.append(committee.custody(2, batch, attachment, [1]))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 6
    assert len(writes) == 1
    held = node.custody.held(batch.hash(committee.world.ledger.ledger_id, 2))
    assert held is not None
    assert node.custody.unordered_bytes(2) == held.bytes


def test_quota_stops_a_member_and_nobody_else(tmp_path: Path) -> None:
    committee = Committee(tmp_path)
    node = committee.nodes[1]
    batch, attachment, _ = committee.batch()
    node.quota_bytes = int(1.5 * (len(batch.encode()) + len(encode(attachment)) + 500))
    node.close_services()
    node.open_services()
    committee.custody(2, batch, attachment)
    over, other, _ = committee.batch()
    with pytest.raises(RequestError, match=r"member 2 has \d+ bytes in custody") as refused:
        committee.custody(2, over, other, [1])
    assert refused.value.code == "custody-quota"
    assert refused.value.extra["quota_bytes"] == node.quota_bytes
    theirs, own, _ = committee.batch(3)
    committee.custody(3, theirs, own, [1])
    # Placed in the log, the first attachment counts no more; nor does a discarded one.
    receipts = committee.custody(2, batch, attachment)
    committee.placed(committee.world.submission(2, batch, receipts))
    node.sweeper.follow()
    committee.custody(2, over, other, [1])
    assert node.custody.unordered_bytes(2) > 0
    committee.tick(2 * 60 * 60_000)
    node.sweeper.follow()
    assert node.custody.unordered_bytes(2) == 0
    committee.close()


def test_item_beyond_the_batch_is_no_crash(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    committee.custody(2, batch, attachment, [1])
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    with pytest.raises(StoreDamagedError, match=r"1 events, and no number 1"):
        committee.nodes[1].custody.body(batch_hash, 1)
    with pytest.raises(StoreDamagedError, match=r"4 deposits, and no number 4"):
        committee.nodes[1].custody.sealed(batch_hash, 4)


def test_file_under_anothers_name_is_not_read_as_it(committee: Committee) -> None:
    (batch, attachment, _), (second, other, _) = committee.batch(), committee.batch()
    committee.custody(2, batch, attachment, [1])
    committee.custody(2, second, other, [1])
    node, ledger_id = committee.nodes[1], committee.world.ledger.ledger_id
    path = file_of(node, batch.hash(ledger_id, 2))
    path.write_bytes(file_of(node, second.hash(ledger_id, 2)).read_bytes())
    with pytest.raises(StoreDamagedError, match="another batch"):
        node.custody.body(batch.hash(ledger_id, 2), 0)
    with AttachmentFile(str(path)) as file:
        assert file.batch_hash == second.hash(ledger_id, 2)
