"""Custody of re-deposits, and releases out of the deposits that were in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.node.custody_world import Answered, Committee
from tests.world import seed

from tradeline_ledger.deposit import Attachment
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkKind
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.redeposit import redeposit_hash
from tradeline_ledger.release import Want
from tradeline_ledger.share_opening import open_keys
from tradeline_ledger.submission import verify_receipt
from tradeline_node.errors import RequestError
from tradeline_node.redeposit_service import OFFER, RedepositOffer


@pytest.fixture
def committee(tmp_path: Path) -> Iterator[Committee]:
    """Nodes 1 to 4; the committee of epoch 0."""
    made = Committee(tmp_path)
    yield made
    made.close()


def submitted(committee: Committee, who: tuple[int, ...] = (1,)) -> tuple[int, Attachment]:
    """Return index and attachment of a batch of member 2 that nodes 1 to 3 hold, and 4 lacks."""
    batch, attachment, _ = committee.batch(2, who)
    return committee.submit(2, batch, attachment, [1, 2, 3]), attachment


def refused(committee: Committee, node: int, offer: RedepositOffer, member: int = 2) -> str:
    """Return why a node gives no receipt; nothing may be left behind."""
    custody = committee.nodes[node].custody
    before = custody.usage(), custody.unordered_bytes(member)
    with pytest.raises(RequestError, match=r".") as error:
        committee.nodes[node].redeposits.accept(member, offer)
    assert (custody.usage(), custody.unordered_bytes(member)) == before
    return error.value.code


def opened(committee: Committee, answers: dict[int, Answered], index: int) -> list[EventId]:
    """Return the events at `index` that the answers of some members open."""
    first = next(each for each in answers.values() if each.proofs is not None)
    assert first.proofs is not None
    bodies = [
        (EventId(each.index, each.position), each.body)
        for each in first.proofs.events
        if each.body is not None and each.index == index
    ]
    payloads = {member: answer.payload for member, answer in answers.items()}
    return sorted(open_keys(bodies, payloads, committee.world.registry.epochs).keys)


def test_receipt_names_the_redeposit_and_comes_again(committee: Committee) -> None:
    index, _ = submitted(committee)
    committee.open_epoch(1, 2, 3)
    offer = committee.offer(index)
    node, ledger_id = committee.nodes[1], committee.world.ledger.ledger_id
    named = redeposit_hash(ledger_id, 2, index, 1, offer.deposits)
    first = node.redeposits.accept(2, offer)
    verify_receipt(committee.world.institution(1).node.public, ledger_id, 2, named, first)
    used = node.custody.usage()
    committee.tick(1000)
    second = node.redeposits.accept(2, offer)
    assert second.expires_ms == first.expires_ms + 1000
    assert node.custody.usage() == used
    receipts = [node.redeposits.accept(2, offer)]
    committee.redeposit(offer, [2, 3], receipts)
    assert refused(committee, 1, offer) == "custody-placed"


def test_new_committee_member_gets_the_attachment_along(committee: Committee) -> None:
    index, attachment = submitted(committee)
    committee.open_epoch(2, 3, 4)
    offer = committee.offer(index)
    assert refused(committee, 1, offer) == "custody-not-committee"
    assert refused(committee, 4, offer) == "custody-attachment-missing"
    body = attachment.bodies[0]
    assert body is not None
    altered = Attachment((body[:-1] + bytes([body[-1] ^ 1]),), attachment.sealed)
    assert refused(committee, 4, committee.offer(index, altered)) == "custody-body-wrong"
    whole = committee.offer(index, attachment)
    committee.redeposit(whole, [2, 3, 4])
    asked = committee.inquire()
    answers = {node: committee.release(asked, node) for node in (2, 3, 4)}
    assert {answer.payload[0].epoch for answer in answers.values()} == {1}
    assert opened(committee, answers, index) == [EventId(index, 0)]


def test_releases_are_out_of_the_deposits_in_force_at_the_inquiry(committee: Committee) -> None:
    index, attachment = submitted(committee, (1, 1))
    before = committee.inquire()
    committee.open_epoch(2, 3, 4)
    between = committee.inquire(consent=before.terms)
    committee.redeposit(committee.offer(index, attachment), [2, 3, 4])
    after = committee.inquire(reader=3)
    # Member 4 has its old deposit since it got the attachment along with the new one.
    everybody, new = (1, 2, 3, 4), (2, 3, 4)
    expected = ((before, 0, everybody), (between, 0, everybody), (after, 1, new))
    for asked, epoch, holders in expected:
        answers = {node: committee.release(asked, node) for node in (1, 2, 3, 4)}
        for node, answer in answers.items():
            shared = [entry for entry in answer.payload if entry.index == index]
            assert [entry.epoch for entry in shared] == ([epoch] if node in holders else [])
        assert len(opened(committee, answers, index)) == 2


def test_share_paths_lead_to_the_roots_of_the_redeposit(committee: Committee) -> None:
    index, attachment = submitted(committee, (1, 1))
    committee.open_epoch(2, 3, 4)
    offer = committee.offer(index, attachment)
    committee.redeposit(offer, [2, 3, 4])
    asked = committee.inquire(want=Want.SHARES | Want.SHARE_PATHS | Want.PROOFS)
    for position, node in enumerate((2, 3, 4)):
        (entry,) = committee.release(asked, node).payload
        left, right = entry.shares
        assert left.path is not None
        assert right.path is not None
        assert left.path == (leaf_hash(right.share),)
        root = root_of([leaf_hash(left.share), leaf_hash(right.share)])
        assert root == offer.deposits[position].share_root


def test_what_no_block_would_accept_gets_no_receipt(committee: Committee) -> None:
    index, attachment = submitted(committee)
    wrong_epoch = committee.offer(index, attachment)
    committee.open_epoch(2, 3, 4)
    assert refused(committee, 2, wrong_epoch) == "redeposit-epoch-wrong"
    offer = committee.offer(index, attachment)
    replace = msgspec.structs.replace
    assert refused(committee, 2, replace(offer, index=2)) == "redeposit-target-unknown"
    assert refused(committee, 2, offer, member=3) == "redeposit-not-own"
    assert refused(committee, 2, offer, member=5) == "role-missing"
    fewer = replace(offer, deposits=offer.deposits[:2])
    assert refused(committee, 2, fewer) == "redeposit-deposits-wrong"
    swapped = replace(offer, sealed=(offer.sealed[1], offer.sealed[0], offer.sealed[2]))
    assert refused(committee, 2, swapped) == "custody-body-wrong"
    assert refused(committee, 2, replace(offer, sealed=())) == "custody-body-wrong"
    bad = replace(offer.deposits[0], share_root=seed("another root"))
    lying = replace(offer, deposits=(bad, *offer.deposits[1:]))
    assert refused(committee, 2, lying) == "custody-deposit-wrong"
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    assert refused(committee, 2, offer) == "redeposit-erased"


def test_erasing_reaches_the_shares_of_every_deposit(committee: Committee) -> None:
    index, attachment = submitted(committee, (1, 2))
    committee.open_epoch(2, 3, 4)
    offer = committee.offer(index, attachment)
    committee.redeposit(offer, [2, 3, 4])
    node = committee.nodes[2]
    named = redeposit_hash(committee.world.ledger.ledger_id, 2, index, 1, offer.deposits)

    def own() -> bytes:
        file = node.custody.open_file(named)
        assert file is not None
        with file:
            return node.custody.own_shares(file) or b""

    node.sweeper.sweep()
    shares = own()
    assert len(shares) == 64
    committee.mark(2, EventId(index, 1), MarkKind.ERASE)
    assert node.sweeper.sweep().events == 1
    assert own() == shares[:32] + bytes(32)
    assert node.custody.sealed(named, 0) is not None
    committee.mark(2, EventId(index, 0), MarkKind.ERASE)
    node.sweeper.sweep()
    assert own() == b""
    assert node.custody.sealed(named, 0) is None
    assert node.sweeper.due() is False


def test_redeposit_that_is_never_posted_is_discarded(committee: Committee) -> None:
    index, _ = submitted(committee)
    committee.open_epoch(1, 2, 3)
    offer = committee.offer(index)
    node = committee.nodes[1]
    node.sweeper.follow()
    before = node.custody.usage()
    node.redeposits.accept(2, offer)
    assert node.custody.usage().attachments == before.attachments + 1
    assert node.custody.unordered_bytes(2) > 0
    committee.tick(committee.world.ledger.params.receipt_ms + 2000)
    node.sweeper.follow()
    assert node.custody.usage() == before
    assert node.custody.unordered_bytes(2) == 0


def test_files_of_redeposits_are_checked_and_taken_in_again(committee: Committee) -> None:
    index, attachment = submitted(committee)
    committee.open_epoch(2, 3, 4)
    offer = committee.offer(index, attachment)
    committee.redeposit(offer, [2, 3, 4])
    ledger_id = committee.world.ledger.ledger_id
    named = redeposit_hash(ledger_id, 2, index, 1, offer.deposits)
    node = committee.nodes[4]
    node.custody.verify(named, ledger_id)
    assert node.custody.attachment(named) == encode(offer.sealed)
    node.close_services()
    (node.folder / "custody" / "custody.sqlite").unlink()
    node.open_services()
    node.sweeper.sweep()
    held = node.custody.held(named)
    assert held is not None
    assert held.log_index is not None
    asked = committee.inquire()
    assert committee.release(asked, 4).payload[0].epoch == 1


def test_offers_have_one_encoding(committee: Committee) -> None:
    index, attachment = submitted(committee)
    committee.open_epoch(1, 2, 3)
    for offer in (committee.offer(index), committee.offer(index, attachment)):
        assert OFFER.decode(encode(offer)) == offer
