"""A committee changes under a running ledger: who serves what, and how keys come to the new one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest
from tests.change import ask, enact, grant, open_client, open_epoch, submit
from tests.client.network import payment
from tests.governance import KEPT, replace_keys
from tests.node.cluster import PASSPHRASE, Cluster, node_keys, wait_for
from tests.world import seed, subject

from tradeline_client.client import Client
from tradeline_client.flows.redeposit import PlacedRedeposit
from tradeline_ledger import state
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.member_files import NODE_KEYS_NAME
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.report import Reading
from tradeline_node import custody_backlog, late_fetch
from tradeline_node.errors import RequestError
from tradeline_node.keystore import seal_keystore, write_private

pytestmark = pytest.mark.timeout(180)


@dataclass
class Desk:
    """Four nodes and the clients of a contributor, a reader and who identifies subjects."""

    cluster: Cluster
    folder: Path
    bank: Client
    lender: Client
    payments: Client
    monkeypatch: pytest.MonkeyPatch

    @property
    def clients(self) -> list[Client]:
        return [self.bank, self.lender, self.payments]

    def forget(self, member: int, index: int) -> None:
        """Take the attachment of a batch from a node, as if it had never got it."""
        node = self.cluster.node(member)
        row = state.read(node.store, state.SUBMISSION, state.submission_key(index))
        assert row is not None
        node.custody.file(row.batch_hash).unlink()
        with node.custody._index.transaction() as rows:
            rows.remove(row.batch_hash)

    def refuse(self, *members: int) -> None:
        """Have nodes release nothing."""

        def refused(*_: Any) -> bytes:
            raise RequestError("release-stalled", "for a test")

        for member in members:
            self.monkeypatch.setattr(self.cluster.node(member).release_service, "release", refused)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with ExitStack() as opened:
        cluster = opened.enter_context(Cluster(tmp_path / "net").running())
        cluster.hand_over_tag_keys()
        clients = [
            opened.enter_context(open_client(cluster, tmp_path / f"client-{member}", member))
            for member in (1, 2, 3)
        ]
        bank, lender, payments = clients
        yield Desk(cluster, tmp_path, bank, lender, payments, monkeypatch)


def amounts(reading: Reading) -> int:
    """Return how many events of a report are open."""
    return sum(each.event is not None for each in reading.report.events)


def test_old_committee_serves_until_the_keys_are_dealt_again(desk: Desk) -> None:
    (index,) = submit(desk.bank)
    consent = grant(desk.lender, desk.payments)
    desk.forget(4, index)
    open_epoch(desk.cluster, desk.clients, 2, 3, 4)
    # Members 2 and 3 have shares, 4 has none: the third is that of a member of the old committee.
    assert amounts(desk.lender.ask(ask(consent))) == 1
    (hash_,) = desk.bank.older_batches()
    (done,) = desk.bank.redeposit([hash_])
    assert isinstance(done, PlacedRedeposit)
    assert (done.submission, done.epoch, done.events) == (index, 1, 3)
    assert desk.bank.older_batches() == []
    desk.refuse(1)
    assert amounts(desk.lender.ask(ask(consent))) == 1


def test_former_committee_member_that_lost_its_tag_keys_gets_them_again(desk: Desk) -> None:
    (index,) = submit(desk.bank)
    consent = grant(desk.lender, desk.payments)
    desk.forget(4, index)
    open_epoch(desk.cluster, desk.clients, 2, 3, 4)
    lost = desk.cluster.node(1).tag_keys
    lost._taggers.clear()
    wait_for(lambda: not lost.missing(desk.cluster.node(1).store.registry))
    # Its shares are the third ones of what was dealt to the old committee.
    assert amounts(desk.lender.ask(ask(consent))) == 1


def test_inquiry_before_the_change_is_answered_by_its_own_committee(desk: Desk) -> None:
    submit(desk.bank)
    consent = grant(desk.lender, desk.payments)
    posted = desk.lender.inquire(ask(consent))
    open_epoch(desk.cluster, desk.clients, 2, 3)
    list(desk.bank.redeposit(desk.bank.older_batches()))
    desk.refuse(3)
    # Of the new committee 3 does not answer; the one of the inquiry's block is 1 to 4.
    assert amounts(desk.lender.read(posted)) == 1


def test_broken_off_in_the_middle_goes_on_with_what_is_left(desk: Desk) -> None:
    indexes = submit(desk.bank, 9, batch=3)
    consent = grant(desk.lender, desk.payments)
    open_epoch(desk.cluster, desk.clients, 2, 3, 4)
    wanted = desk.bank.older_batches()
    assert len(wanted) == 3
    running = desk.bank.redeposit(wanted, 1)
    first = next(running)
    assert isinstance(first, PlacedRedeposit)
    assert isinstance(running, Generator)
    running.close()
    desk.bank.close()
    desk.bank = open_client(desk.cluster, desk.folder / "client-1", 1)
    open_epoch(desk.cluster, desk.clients, 1, 3, 4)
    with desk.bank as bank:
        bank.resume()
        left = bank.older_batches()
        # Those of the first try are dealt to an epoch that is not in force any more.
        assert left == wanted
        done = list(bank.redeposit(left))
        assert [each.submission for each in done if isinstance(each, PlacedRedeposit)] == indexes
        assert bank.older_batches() == []
        assert all(isinstance(each, PlacedRedeposit) for each in bank.redeposit(left[:1]))
    desk.refuse(2)
    assert amounts(desk.lender.ask(ask(consent))) == 3


def test_batch_sealed_before_the_change_is_taken_by_the_committee_before(desk: Desk) -> None:
    (sealed,) = desk.bank.batches([desk.bank.plain(payment("late"), subject(1))])
    open_epoch(desk.cluster, desk.clients, 2, 3, 4)
    placed = desk.bank.submit(sealed)
    assert placed.placement.outcome is Outcome.ACCEPTED
    assert desk.bank.older_batches() == [placed.batch_hash]


def test_a_committee_of_new_members_alone_opens_what_was_dealt_to_it(desk: Desk) -> None:
    open_epoch(desk.cluster, desk.clients, 1, 2)
    (index,) = submit(desk.bank)
    assert not desk.cluster.node(4).custody.hashes()
    consent = grant(desk.lender, desk.payments)
    open_epoch(desk.cluster, desk.clients, 3, 4)
    (done,) = desk.bank.redeposit(desk.bank.older_batches())
    assert isinstance(done, PlacedRedeposit)
    desk.refuse(1, 2)
    assert amounts(desk.lender.ask(ask(consent))) == 1
    assert done.submission == index


def test_bad_deposit_is_said_on_the_ledger_and_dealt_again(desk: Desk) -> None:
    desk.monkeypatch.setattr(custody_backlog, "SAY_AFTER_S", 0.0)
    desk.monkeypatch.setattr(late_fetch, "GRACE_S", 0.0)
    (sealed,) = desk.bank.batches([desk.bank.plain(payment("bad"), subject(1))])
    listed = sealed.batch.deposits
    wrong = msgspec.structs.replace(listed[3], share_root=bytes(32))
    batch = replace(sealed.batch, deposits=(*listed[:3], wrong))
    named = batch.hash(desk.cluster.ledger.ledger_id, 1)
    row = replace(sealed.row, batch_hash=named)
    placed = desk.bank.submit(replace(sealed, batch=batch, batch_hash=named, row=row))
    index, store = placed.placement.index, desk.cluster.node(1).store
    wait_for(lambda: state.said_bad(store, index, 4), "the finding")
    assert desk.lender.bad_batches() == []
    assert desk.bank.bad_batches() == [named]
    assert desk.bank.older_batches() == []
    (done,) = desk.bank.redeposit(desk.bank.bad_batches())
    assert isinstance(done, PlacedRedeposit)
    assert desk.bank.bad_batches() == []
    node = desk.cluster.node(4).store
    position_or_said = state.custody_key(done.placement.index, 4)

    def settled() -> bool:
        deposits = state.deposits_at(node, index, node.head.size)
        assert deposits is not None
        return bool(deposits.holders >> 3 & 1 or node.get(position_or_said))

    wait_for(settled, "a receipt or a good finding of member 4")
    assert not state.said_bad(node, done.placement.index, 4)


def test_new_hpke_key_opens_an_epoch_and_old_deposits_still_open(tmp_path: Path) -> None:
    old = b"".join(seed("hpke", 4, part) for part in range(3))
    new = b"".join(seed("new hpke", 4, part) for part in range(3))
    cluster = Cluster(tmp_path / "net")
    path = cluster.member_folder(4) / NODE_KEYS_NAME
    keys = msgspec.structs.replace(node_keys(4), hpke_private=old, more_hpke=(new,))
    path.unlink()
    write_private(path, seal_keystore(keys, PASSPHRASE))
    with ExitStack() as opened:
        opened.enter_context(cluster.running())
        cluster.hand_over_tag_keys()
        clients = [
            opened.enter_context(open_client(cluster, tmp_path / f"client-{member}", member))
            for member in (1, 2, 3)
        ]
        bank, lender, payments = clients
        (first,) = submit(bank)
        consent = grant(lender, payments)
        public = PrivateKey.from_bytes(new).public
        enact(
            cluster,
            clients,
            replace_keys(4, replaced=msgspec.structs.replace(KEPT, hpke_key=public.encoded)),
        )
        epoch = bank.registry().epoch
        assert (epoch.epoch, epoch.committee[3].hpke_key_id) == (1, public.key_id)
        lender.registry()
        (second,) = submit(bank, prefix="later")
        # Without member 1, the one of 4 is needed: out of the old deposit, and out of the new one.
        refused = RequestError("release-stalled", "for a test")
        cluster.node(1).release_service.release = Mock(side_effect=refused)  # type: ignore[method-assign]
        assert amounts(lender.ask(ask(consent))) == 2
        list(bank.redeposit(bank.older_batches()))
        assert amounts(lender.ask(ask(consent))) == 2
        placed = state.deposits_at(cluster.node(4).store, first, 1 << 40)
        assert placed is not None
        assert placed.epoch == 1
        assert second > first
