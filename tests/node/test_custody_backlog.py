"""What a committee member has yet to fetch, what it finds, and what it says of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.node.custody_world import Committee, Node
from tests.world import DAY_MS, seed

from tradeline_ledger import state
from tradeline_ledger.custody_record import CUSTODY, CustodyRow
from tradeline_ledger.deposit import Attachment
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.redeposit import redeposit_hash
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import make_batch
from tradeline_node import custody_backlog
from tradeline_node.bad_deposits import bad_deposits
from tradeline_node.custody_backlog import Wanted
from tradeline_node.errors import RequestError


@pytest.fixture
def committee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Committee]:
    monkeypatch.setattr(custody_backlog, "SAY_AFTER_S", 0.0)
    made = Committee(tmp_path)
    yield made
    made.close()


def submitted(committee: Committee, who: tuple[int, ...] = (1,)) -> tuple[int, Attachment]:
    """Return index and attachment of a batch of member 2 that nodes 1 to 3 hold, and 4 lacks."""
    batch, attachment, _ = committee.batch(2, who)
    return committee.submit(2, batch, attachment, [1, 2, 3]), attachment


def misdealt(committee: Committee) -> tuple[int, Attachment]:
    """Return a batch whose deposit for member 4 holds other shares than it names."""
    batch, attachment, _ = committee.batch(2)
    bad = msgspec.structs.replace(batch.deposits[3], share_root=seed("other shares"))
    made = make_batch(
        batch.epoch,
        batch.tags(),
        batch.retain_months(),
        batch.body_hashes(),
        (*batch.deposits[:3], bad),
    )
    return committee.submit(2, made, attachment, [1, 2, 3]), attachment


def look(node: Node, index: int) -> Wanted | None:
    node.backlog.follow()
    assert index in node.backlog.open(10)
    return node.backlog.look(index)


def said(committee: Committee, member: int) -> list[CustodyRow]:
    """Post what a node has to say and return it, as it was accepted."""
    node = committee.nodes[member]
    content = node.backlog.content()
    assert content is not None
    entry = committee.world.entry(member, Kind.CUSTODY, content, feed=0)
    committee.placed(entry)
    node.backlog.arrived(content)
    return list(CUSTODY.decode(content))


def test_who_gave_a_receipt_has_nothing_to_do(committee: Committee) -> None:
    submitted(committee)
    for member in (1, 2, 3):
        backlog = committee.nodes[member].backlog
        backlog.follow()
        assert backlog.open(10) == []
        assert backlog.content() is None


def test_missing_attachment_is_fetched_and_found_good(committee: Committee) -> None:
    index, attachment = submitted(committee)
    node = committee.nodes[4]
    wanted = look(node, index)
    assert wanted is not None
    assert (wanted.index, wanted.holders) == (index, (1, 2, 3))
    assert node.backlog.content() is None
    with pytest.raises(RequestError, match="custody-body-wrong"):
        node.backlog.take(wanted, encode(Attachment((b"x" * 304,), attachment.sealed)))
    with pytest.raises(RequestError, match="custody-malformed"):
        node.backlog.take(wanted, b"nothing")
    node.backlog.take(wanted, encode(attachment))
    assert node.backlog.look(index) is None
    assert said(committee, 4) == [CustodyRow(index, 0, 1)]
    assert node.backlog.count() == 0
    assert node.backlog.open(10) == []
    asked = committee.inquire()
    assert len(committee.release(asked, 4).payload) == 1


def test_bad_deposit_is_said_to_be_bad_and_good_once_dealt_again(committee: Committee) -> None:
    index, attachment = misdealt(committee)
    node = committee.nodes[4]
    wanted = look(node, index)
    assert wanted is not None
    node.backlog.take(wanted, encode(attachment))
    assert node.backlog.look(index) is None
    assert said(committee, 4) == [CustodyRow(index, 0, 0)]
    assert state.said_bad(committee.world, index, 4)
    # Its dealer is at fault, not the disk of who has no shares to release.
    assert committee.release(committee.inquire(), 4).payload == ()
    assert not node.releases.damaged
    # It has the bodies all the same, and serves them to others.
    held = node.custody.held(wanted.hash)
    assert held is not None
    assert node.custody.attachment(wanted.hash) == encode(attachment)
    offer = committee.offer(index)
    placed = committee.redeposit(offer, [1, 2, 3])
    again = look(node, placed)
    assert again is not None
    assert again.hash == redeposit_hash(
        committee.world.ledger.ledger_id, 2, index, 0, offer.deposits
    )
    with pytest.raises(RequestError, match="custody-body-wrong"):
        node.backlog.take(again, encode((b"x",) * 4))
    with pytest.raises(RequestError, match="custody-malformed"):
        node.backlog.take(again, b"\xc1")
    node.backlog.take(again, encode(offer.sealed))
    assert node.backlog.look(placed) is None
    assert said(committee, 4) == [CustodyRow(index, 0, 1)]
    assert not state.said_bad(committee.world, placed, 4)


def test_redeposit_wants_the_attachment_first(committee: Committee) -> None:
    batch, attachment, _ = committee.batch(2)
    index = committee.submit(2, batch, attachment, [1, 2, 3])
    committee.open_epoch(1, 2, 3, 4)
    offer = committee.offer(index)
    placed = committee.redeposit(offer, [1, 2, 3])
    node = committee.nodes[4]
    first = look(node, placed)
    assert first is not None
    assert (first.index, first.hash) == (index, batch.hash(committee.world.ledger.ledger_id, 2))
    node.backlog.take(first, encode(attachment))
    second = node.backlog.look(placed)
    assert second is not None
    assert (second.index, second.holders) == (placed, (1, 2, 3))
    node.backlog.take(second, encode(offer.sealed))
    assert node.backlog.look(placed) is None
    # Of the deposits before nothing is said: they are not in force any more.
    assert node.backlog.look(index) is None
    assert said(committee, 4) == [CustodyRow(index, 1, 1)]
    assert node.backlog.count() == 0


def test_new_member_outside_the_old_committee_says_nothing_of_the_batch(
    committee: Committee,
) -> None:
    committee.open_epoch(1, 2, 3)
    index, attachment = submitted(committee)
    node = committee.nodes[4]
    node.backlog.follow()
    assert node.backlog.open(10) == []
    committee.open_epoch(1, 2, 4)
    offer = committee.offer(index, attachment)
    committee.redeposit(offer, [1, 2, 4])
    node.backlog.follow()
    assert node.backlog.open(10) == []
    node.backlog.follow()
    assert node.backlog.content() is None


def test_nothing_is_said_a_day_later_and_nothing_twice(committee: Committee) -> None:
    first, attachment = submitted(committee)
    node = committee.nodes[4]
    wanted = look(node, first)
    assert wanted is not None
    node.backlog.take(wanted, encode(attachment))
    node.backlog.look(first)
    assert node.backlog.count() == 1
    committee.tick(DAY_MS)
    assert node.backlog.content() is None
    assert node.backlog.count() == 0


def test_what_was_erased_meanwhile_is_neither_wanted_nor_kept(committee: Committee) -> None:
    index, attachment = submitted(committee, (1, 2))
    node = committee.nodes[4]
    committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    wanted = look(node, index)
    assert wanted is not None
    node.backlog.take(wanted, encode(Attachment((attachment.bodies[0], None), attachment.sealed)))
    assert node.custody.bodies(wanted.hash, [0, 1]) == [attachment.bodies[0], None]
    other, _ = submitted(committee)
    committee.mark(2, EventId(other, 0), MarkKind.ERASE)
    assert look(node, other) is None
    assert node.backlog.open(10) == [index]


def test_lost_file_is_made_again_from_log_and_custody(committee: Committee) -> None:
    index, attachment = submitted(committee)
    node = committee.nodes[4]
    wanted = look(node, index)
    assert wanted is not None
    node.backlog.take(wanted, encode(attachment))
    node.backlog.look(index)
    said(committee, 4)
    other, _ = submitted(committee)
    node.close_services()
    for path in (node.folder / "custody").glob("late.sqlite*"):
        path.unlink()
    node.open_services()
    node.backlog.follow()
    assert node.backlog.open(10) == [other]


def test_lost_attachment_is_wanted_again_by_who_gave_a_receipt(committee: Committee) -> None:
    index, attachment = submitted(committee)
    node = committee.nodes[1]
    batch_hash = node.custody.hashes()[0]
    node.close_services()
    node.custody.file(batch_hash).unlink()
    node.open_services()
    wanted = look(node, index)
    assert wanted is not None
    assert wanted.holders == (2, 3)
    node.backlog.take(wanted, encode(attachment))
    assert node.backlog.look(index) is None
    # Its receipt stands on the ledger.
    assert node.backlog.content() is None
    assert len(committee.release(committee.inquire(), 1).payload) == 1


def test_records_go_by_the_feed_of_the_node_between_releases(committee: Committee) -> None:
    index, attachment = submitted(committee)
    node = committee.nodes[4]
    wanted = look(node, index)
    assert wanted is not None
    node.backlog.take(wanted, encode(attachment))
    node.backlog.look(index)
    asked = committee.inquire()
    committee.release(asked, 4)
    assert node.released.pending() == 2
    assert node.released.post() == 1
    assert committee.produce() is not None
    assert node.released.post() == 0  # the release is placed; the custody record goes out
    executed = committee.produce()
    assert executed is not None
    (placed,) = executed.placed
    assert placed.applied.outcome.accepted
    assert committee.world.get(state.custody_key(index, 4)) is not None
    node.released.post()
    assert node.released.pending() == 0


def test_a_misdealt_redeposit_is_found_out_by_who_gave_no_receipt(committee: Committee) -> None:
    index, attachment = submitted(committee)
    offer = committee.offer(index, attachment)
    bad = msgspec.structs.replace(offer.deposits[3], share_root=seed("other shares"))
    lying = msgspec.structs.replace(offer, deposits=(*offer.deposits[:3], bad))
    placed = committee.redeposit(lying, [1, 2, 3])
    node = committee.nodes[4]
    first = look(node, placed)
    assert first is not None
    node.backlog.take(first, encode(attachment))
    second = node.backlog.look(placed)
    assert second is not None
    node.backlog.take(second, encode(lying.sealed))
    assert node.backlog.look(placed) is None
    assert said(committee, 4) == [CustodyRow(index, 0, 0)]


def test_findings_are_collected_before_they_are_said(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custody_backlog, "SAY_AFTER_S", 3600.0)
    node = committee.nodes[4]
    indexes = []
    for _ in range(3):
        index, attachment = submitted(committee)
        wanted = look(node, index)
        assert wanted is not None
        node.backlog.take(wanted, encode(attachment))
        node.backlog.look(index)
        indexes.append(index)
        assert node.backlog.content() is None
    monkeypatch.setattr(custody_backlog, "CUSTODY_ROWS_MAX", 3)
    assert said(committee, 4) == [CustodyRow(index, 0, 1) for index in indexes]


def test_bad_deposits_are_listed_for_their_contributor_alone(
    committee: Committee, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, indexes = committee.nodes[4], []
    for _ in range(3):
        index, attachment = misdealt(committee)
        wanted = look(node, index)
        assert wanted is not None
        node.backlog.take(wanted, encode(attachment))
        node.backlog.look(index)
        indexes.append(index)
    said(committee, 4)
    store = committee.nodes[1].store
    found, following = bad_deposits(store, 2, 0)
    assert ([each.index for each in found], following) == (indexes, None)
    assert {each.validator for each in found} == {4}
    assert bad_deposits(store, 3, 0) == ([], None)
    assert [each.index for each in bad_deposits(store, 2, indexes[1])[0]] == indexes[1:]
    monkeypatch.setattr("tradeline_node.bad_deposits.SCANNED_MAX", 2)
    first, following = bad_deposits(store, 2, 0)
    assert following == indexes[2]
    rest, end = bad_deposits(store, 2, following)
    assert ([each.index for each in [*first, *rest]], end) == (indexes, None)
    # Dealt again, it is not in force any more.
    offer = committee.offer(indexes[2])
    committee.redeposit(offer, [1, 2, 3])
    assert [each.index for each in bad_deposits(store, 2, 0)[0]] == indexes[:2]
