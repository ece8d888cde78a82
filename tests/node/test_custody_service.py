from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.node.custody_world import Committee
from tests.world import DAY_MS, MINUTE_MS, seed

from tradeline_ledger import state
from tradeline_ledger.deposit import Attachment, make_deposits, sealed_hash
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.sharing import split
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Batch, Deposit, make_batch, verify_receipt
from tradeline_ledger.tag import tag_key_hash
from tradeline_node.errors import RequestError


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    made = Committee(tmp_path)
    yield made
    made.close()


def refused(
    committee: Committee, member: int, batch: Batch, attachment: Attachment
) -> RequestError:
    """Return why node 1 gives no receipt; nothing may be left behind."""
    node = committee.nodes[1]
    before = node.custody.usage()
    with pytest.raises(RequestError, match=r".") as error:
        committee.custody(member, batch, attachment, [1])
    assert node.custody.usage() == before
    assert node.custody.unordered_bytes(member) == 0
    return error.value


def remade(batch: Batch, deposits: tuple[Deposit, ...]) -> Batch:
    return make_batch(
        batch.epoch, batch.tags(), batch.retain_months(), batch.body_hashes(), deposits
    )


def test_receipt_counts_for_the_submission(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2, 3])
    receipts = committee.custody(2, batch, attachment)
    ledger_id = committee.world.ledger.ledger_id
    batch_hash = batch.hash(ledger_id, 2)
    for receipt in receipts:
        node_key = committee.world.institution(receipt.validator).node.public
        verify_receipt(node_key, ledger_id, 2, batch_hash, receipt)
        assert receipt.expires_ms == committee.world.time_ms + 60 * MINUTE_MS
    committee.placed(committee.world.submission(2, batch, receipts))


def test_same_batch_again_gets_a_fresh_receipt_and_is_kept_longer(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    (first,) = committee.custody(2, batch, attachment, [1])
    committee.tick(30 * MINUTE_MS)
    # What is held is not looked at again.
    (second,) = committee.custody(2, batch, Attachment((b"x",), (b"y",)), [1])
    assert second.expires_ms == first.expires_ms + 30 * MINUTE_MS
    committee.tick(45 * MINUTE_MS)
    custody = committee.nodes[1].custody
    committee.nodes[1].sweeper.follow()
    held = custody.held(batch.hash(committee.world.ledger.ledger_id, 2))
    assert held is not None
    assert held.expires_ms == second.expires_ms


def test_receipts_of_a_quiet_ledger_outlive_the_next_block(committee: Committee) -> None:
    committee.world.time_ms += 5 * DAY_MS
    batch, attachment, _ = committee.batch()
    receipts = committee.custody(2, batch, attachment)
    committee.placed(committee.world.submission(2, batch, receipts))


def test_batch_on_the_ledger_needs_no_custody_again(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    index = committee.submit(2, batch, attachment)
    error = refused_later(committee, batch, attachment)
    assert (error.code, error.extra["index"]) == ("custody-placed", index)


def refused_later(committee: Committee, batch: Batch, attachment: Attachment) -> RequestError:
    with pytest.raises(RequestError, match=r".") as error:
        committee.custody(2, batch, attachment, [1])
    return error.value


def test_node_that_was_down_takes_the_attachment_after_its_place(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    index = committee.submit(2, batch, attachment, [1, 2, 3])
    committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    node = committee.nodes[4]
    node.sweeper.follow()
    committee.custody(2, batch, attachment, [4])
    held = node.custody.held(batch.hash(committee.world.ledger.ledger_id, 2))
    assert held is not None
    assert held.log_index == index
    # What was erased meanwhile does not stay.
    assert node.sweeper.sweep().events == 1
    assert node.custody.bodies(held.batch_hash, [0, 1]) == [attachment.bodies[0], None]


def test_body_swapped_with_another(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2, 3])
    first, second, third = attachment.bodies
    swapped = Attachment((first, third, second), attachment.sealed)
    error = refused(committee, 2, batch, swapped)
    assert (error.code, error.extra["position"]) == ("custody-body-wrong", 1)


def test_body_altered_missing_or_too_many(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    first, second = attachment.bodies
    assert second is not None
    altered = second[:-1] + bytes([second[-1] ^ 1])
    for bodies, position in (
        ((first, altered), 1),
        ((None, second), 0),
        ((first,), 1),
        ((first, second, second), 2),
    ):
        error = refused(committee, 2, batch, Attachment(bodies, attachment.sealed))
        assert (error.code, error.extra["position"]) == ("custody-body-wrong", position)


def test_sealed_deposit_of_another_altered_missing_or_too_many(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    one, two, three, four = attachment.sealed
    for sealed, position in (
        ((one, two, four, three), 2),
        ((one, two, three, None), 3),
        ((one, two, three), 3),
        ((one, two, three, four, four), 4),
    ):
        error = refused(committee, 2, batch, Attachment(attachment.bodies, sealed))
        assert (error.code, error.extra["position"]) == ("custody-body-wrong", position)


def test_deposit_copied_from_another_batch(committee: Committee) -> None:
    victim, taken, _ = committee.batch(3)
    committee.custody(3, victim, taken, [1])
    batch, attachment, _ = committee.batch(2)
    copied = remade(batch, (victim.deposits[0], *batch.deposits[1:]))
    error = refused(
        committee,
        2,
        copied,
        Attachment(attachment.bodies, (taken.sealed[0], *attachment.sealed[1:])),
    )
    assert (error.code, error.extra["position"]) == ("custody-deposit-wrong", 0)
    assert "does not open" in error.detail


def test_whole_batch_copied_under_another_members_name(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(3)
    error = refused(committee, 2, batch, attachment)
    assert error.code == "custody-deposit-wrong"


def test_shares_other_than_the_batch_commits_to(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    world = committee.world
    shares = split(seed("other", 1) + seed("other", 2), 3, 4, b"".join(seed(i) for i in range(4)))
    _, resealed = make_deposits(
        shares,
        [(i.id, i.hpke.public.encoded) for i in world.institutions[:4]],
        ledger_id=world.ledger.ledger_id,
        member=2,
        epoch=0,
        events_root=batch.events_root,
    )
    wrong = remade(
        batch,
        (Deposit(sealed_hash(resealed[0]), batch.deposits[0].share_root), *batch.deposits[1:]),
    )
    error = refused(
        committee, 2, wrong, Attachment(attachment.bodies, (resealed[0], *attachment.sealed[1:]))
    )
    assert error.code == "custody-deposit-wrong"
    assert "root" in error.detail


def test_bytes_that_do_not_decode(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    accept = committee.nodes[1].service.accept
    for first, second in (
        (b"", encode(attachment)),
        (batch.encode() + b"\0", encode(attachment)),
        (batch.encode(), b"\x92"),
        (batch.encode(), encode(attachment) + b"\0"),
    ):
        with pytest.raises(RequestError, match=r".") as error:
            accept(2, first, second)
        assert error.value.code == "custody-malformed"


def test_who_is_no_contributor_gets_no_receipt(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    for member in (5, 77):
        assert refused(committee, member, batch, attachment).code == "role-missing"


def test_epoch_that_is_not_in_force(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    later = make_batch(1, batch.tags(), batch.retain_months(), batch.body_hashes(), batch.deposits)
    assert refused(committee, 2, later, attachment).code == "epoch-wrong"


def test_one_deposit_too_few(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    short = remade(batch, batch.deposits[:3])
    error = refused(committee, 2, short, Attachment(attachment.bodies, attachment.sealed[:3]))
    assert error.code == "deposits-wrong"


def test_node_outside_the_committee_gives_no_receipt(tmp_path: Path) -> None:
    committee = Committee(tmp_path)
    node = committee.nodes[1]
    node.service._member = 9
    batch, attachment, _ = committee.batch()
    error = refused(committee, 2, batch, attachment)
    assert error.code == "custody-not-committee"
    assert "1, 2, 3, 4" in error.detail
    committee.close()


def test_no_receipt_without_the_tag_key_in_force(committee: Committee) -> None:
    world, node = committee.world, committee.nodes[1]
    new = seed("new tag key")
    change = KeyChange(
        world.ledger.ledger_id, 2, 0, (), (), Replaced(None, None, None, None, tag_key_hash(new))
    )
    signature = world.institution(2).root.sign("key", encode(change))
    # Before the change is in force, its key can't be known to be right.
    with pytest.raises(RequestError, match="post the key change first"):
        node.tag_keys.put(node.store.registry, 2, committee.sealed_tag_key(2, node, new))
    committee.placed(world.entry(2, Kind.KEY, encode(Key(encode(change), signature))))
    batch, attachment, _ = committee.batch()
    error = refused(committee, 2, batch, attachment)
    assert error.code == "custody-tag-key-missing"
    node.tag_keys.put(node.store.registry, 2, committee.sealed_tag_key(2, node, new))
    committee.custody(2, batch, attachment, [1])
    # The old key is kept: events were filed under it.
    assert node.tag_keys.tagger(2, tag_key_hash(world.institution(2).tag_key)) is not None


def test_receipt_replayed_for_another_batch_or_after_its_end_counts_for_nothing(
    committee: Committee,
) -> None:
    world = committee.world
    batch, attachment, _ = committee.batch()
    receipts = committee.custody(2, batch, attachment)
    other, _, _ = committee.batch()
    executed = committee.block(world.submission(2, other, receipts))
    assert executed.placed[0].applied.outcome.code == "receipts-too-few"
    executed = committee.block(world.submission(2, batch, receipts), later_ms=2 * 60 * MINUTE_MS)
    assert executed.placed[0].applied.outcome.code == "receipts-too-few"
    committee.submit(2, batch, attachment)
    executed = committee.block(world.submission(2, batch, receipts))
    assert executed.placed[0].applied.outcome.refused


def test_expired_attachment_is_discarded_only_after_a_block_past_its_receipt(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch()
    (receipt,) = committee.custody(2, batch, attachment, [1])
    node = committee.nodes[1]
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    committee.tick(receipt.expires_ms - committee.world.time_ms)
    assert node.store.head.time_ms == receipt.expires_ms
    assert node.sweeper.follow() == 0
    assert node.custody.body(batch_hash, 0) is not None
    committee.tick(1)
    assert node.sweeper.follow() == 1
    assert node.custody.attachment(batch_hash) is None
    assert node.custody.usage().attachments == 0


def test_attachment_placed_at_the_last_moment_is_not_discarded(committee: Committee) -> None:
    batch, attachment, _ = committee.batch()
    receipts = committee.custody(2, batch, attachment)
    node = committee.nodes[1]
    left_ms = receipts[0].expires_ms - committee.world.time_ms
    entry = committee.world.submission(2, batch, receipts)
    index = committee.placed(entry, later_ms=left_ms)
    committee.tick(DAY_MS)
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)

    def placed_at(hash_: bytes) -> int | None:
        row = node.store.get(state.batch_key(hash_))
        return None if row is None else int.from_bytes(row, "big")

    # Even where the placing was not noted yet when the time is up.
    assert node.custody.discard_expired(node.store.head.time_ms, placed_at) == 0
    held = node.custody.held(batch_hash)
    assert held is not None
    assert held.log_index == index
    assert node.custody.body(batch_hash, 0) == attachment.bodies[0]


def test_attachment_that_is_written_while_its_batch_is_placed_is_not_lost_sight_of(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, attachment, _ = committee.batch(2, [1, 2])
    node = committee.nodes[4]
    put = node.custody.put
    placed = []

    def slow(*args: Any, **fields: Any) -> bool:
        # Receipts of the three others place the batch, one event of it is erased, and custody
        # follows the log past both.
        placed.append(committee.submit(2, batch, attachment, [1, 2, 3]))
        committee.mark(2, EventId(placed[0], 0), MarkKind.ERASE)
        node.sweeper.follow()
        return put(*args, **fields)

    monkeypatch.setattr(node.custody, "put", slow)
    committee.custody(2, batch, attachment, [4])
    assert node.custody.unordered_bytes(2) == 0
    batch_hash = batch.hash(committee.world.ledger.ledger_id, 2)
    held = node.custody.held(batch_hash)
    assert held is not None
    assert held.log_index == placed[0]
    assert node.sweeper.sweep().events == 1
    assert node.custody.body(batch_hash, 0) is None


def test_fresh_receipt_while_the_old_one_expires_keeps_the_attachment(
    committee: Committee,
) -> None:
    batch, attachment, _ = committee.batch()
    (first,) = committee.custody(2, batch, attachment, [1])
    committee.tick(first.expires_ms - committee.world.time_ms + 1)
    committee.custody(2, batch, attachment, [1])
    assert committee.nodes[1].sweeper.follow() == 0
    # Or the other way round: it comes again as if it were new.
    committee.tick(2 * 60 * MINUTE_MS)
    assert committee.nodes[1].sweeper.follow() == 1
    committee.custody(2, batch, attachment, [1])
    assert committee.nodes[1].custody.usage().attachments == 1


def test_messages_hold_no_share_and_no_key(committee: Committee) -> None:
    batch, attachment, keys = committee.batch()
    wrong = remade(batch, (Deposit(bytes(32), bytes(32)), *batch.deposits[1:]))
    error = refused(committee, 2, wrong, attachment)
    told = error.detail + msgspec.json.encode(error.extra).decode()
    assert keys[0].hex() not in told
    assert "ShareBox()" in repr(committee.nodes[1].box)
    assert repr(committee.nodes[1].tag_keys) == "TagKeys(5 keys)"
