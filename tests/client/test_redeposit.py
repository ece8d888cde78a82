"""Keys dealt again to a new committee, through nodes that are down, slow or lack the attachment."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.network import Network, make_session, seal

from tradeline_client.errors import CustodyError, NotFoundError, UnavailableError
from tradeline_client.flows.entry import resume
from tradeline_client.flows.mark import erase
from tradeline_client.flows.redeposit import (
    PlacedRedeposit,
    deposit_again,
    finish_redeposit,
    hand_over_redeposit,
    older,
)
from tradeline_client.flows.submit import PlacedBatch, submit
from tradeline_client.requests import Answer, Flow, Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_ledger import state
from tradeline_ledger.body import KEY_BYTES
from tradeline_ledger.deposit import Attachment
from tradeline_ledger.encoding import encode
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.redeposit import REDEPOSIT
from tradeline_ledger.sharing import combine


def placed(network: Network, session: Session, count: int = 2, prefix: str = "row") -> PlacedBatch:
    return network.run(session, submit(session, seal(session, count, prefix)))


def redeposit(session: Session, batch_hash: bytes) -> Flow[PlacedRedeposit]:
    held = yield from deposit_again(session, batch_hash)
    signing = yield from hand_over_redeposit(session, held)
    return (yield from finish_redeposit(session, signing))


def combined(network: Network, index: int, threshold: int) -> bytes:
    """Return the keys that the shares of the deposits in force make."""
    deposits = state.deposits_at(network.world, index, network.world.head.size)
    assert deposits is not None
    epoch = network.world.registry.epochs[deposits.epoch]
    shares = {
        position: node.shares[deposits.hash]
        for node in network.nodes.values()
        if (position := epoch.position(node.member)) is not None and deposits.hash in node.shares
    }
    return combine(shares, threshold)


def test_new_committee_has_the_same_keys_under_fresh_shares(
    network: Network, session: Session
) -> None:
    batch = placed(network, session, 3)
    keys = session.vault.row(batch.batch_hash).keys
    assert network.run(session, older(session)) == []
    network.nodes[4].custody.clear()
    network.open_epoch(session, 2, 3, 4)
    assert network.run(session, older(session)) == [batch.batch_hash]
    done = network.run(session, redeposit(session, batch.batch_hash))
    assert (done.submission, done.epoch, done.events) == (batch.placement.index, 1, 3)
    assert combined(network, batch.placement.index, 3) == keys
    assert network.nodes[4].custody  # which lacked the attachment and got it along
    assert network.run(session, older(session)) == []
    first = {each: dict(network.nodes[each].shares) for each in (2, 3, 4)}
    network.run(session, redeposit(session, batch.batch_hash))
    second = {each: network.nodes[each].shares for each in (2, 3, 4)}
    for number in (2, 3, 4):
        (old,) = first[number].values()
        assert len(second[number]) == 2
        assert sum(each == old for each in second[number].values()) == 1
    assert combined(network, batch.placement.index, 3) == keys


def test_shares_of_erased_events_are_zeros(network: Network, session: Session) -> None:
    batch = placed(network, session, 3)
    network.run(session, erase(session, batch.event(1), MarkReason.COURT_ORDER))
    keys = session.vault.row(batch.batch_hash).keys
    network.open_epoch(session, 2, 3, 4)
    done = network.run(session, redeposit(session, batch.batch_hash))
    assert done.events == 2
    (shares,) = network.nodes[2].shares.values()
    assert shares[KEY_BYTES : 2 * KEY_BYTES] == bytes(KEY_BYTES)
    assert shares[:KEY_BYTES] != bytes(KEY_BYTES)
    assert combined(network, batch.placement.index, 3) == keys
    for position in (0, 2):
        network.run(session, erase(session, batch.event(position), MarkReason.COURT_ORDER))
    network.open_epoch(session, 1, 2, 3)
    assert network.run(session, older(session)) == []
    with pytest.raises(NotFoundError, match="has no key to deal"):
        network.run(session, redeposit(session, batch.batch_hash))


def test_one_member_down_is_no_obstacle_and_two_are(network: Network, session: Session) -> None:
    batch = placed(network, session)
    network.open_epoch(session, 1, 2, 3, 4)
    network.nodes[2].up = network.nodes[3].up = False
    pending = session.journal.pending()
    with pytest.raises(CustodyError, match="2 committee members gave a receipt"):
        network.run(session, redeposit(session, batch.batch_hash))
    assert session.journal.pending() == pending
    assert network.run(session, older(session)) == [batch.batch_hash]
    network.nodes[2].up = True
    done = network.run(session, redeposit(session, batch.batch_hash))
    assert set(done.missing) == {3}


def test_broken_off_after_signing_is_settled_and_not_dealt_twice(
    network: Network, tmp_path: Path, session: Session
) -> None:
    batch = placed(network, session)
    network.open_epoch(session, 2, 3, 4)
    held = network.run(session, deposit_again(session, batch.batch_hash))
    network.run(session, hand_over_redeposit(session, held))
    trust = session.trust
    session.close()
    again = make_session(tmp_path / "client", network)
    try:
        again.follow(trust)
        network.run(again, resume(again))
        assert network.run(again, older(again)) == []
        assert network.run(again, resume(again)) == []
    finally:
        again.close()
    row = state.read(
        network.world,
        state.REDEPOSIT,
        state.redeposit_key(state.count(network.world, state.latest_key(batch.placement.index))),
    )
    assert row is not None
    assert (row.hash, row.before) == (held.dealt.hash, None)


def test_broken_off_before_signing_is_dealt_anew(
    network: Network, tmp_path: Path, session: Session
) -> None:
    batch = placed(network, session)
    network.open_epoch(session, 2, 3, 4)
    network.run(session, deposit_again(session, batch.batch_hash))
    trust = session.trust
    session.close()
    again = make_session(tmp_path / "client", network)
    try:
        again.follow(trust)
        assert network.run(again, resume(again)) == []
        (hash_,) = network.run(again, older(again))
        done = network.run(again, redeposit(again, hash_))
        content = REDEPOSIT.decode(network.world.contents[done.placement.index])
        assert content.index == batch.placement.index
    finally:
        again.close()


def test_altered_attachment_is_asked_of_another_node(network: Network, session: Session) -> None:
    batch = placed(network, session)
    network.nodes[3].custody.clear()
    network.nodes[4].custody.clear()
    network.open_epoch(session, 3, 4)

    def altered(request: Request, _honest: Response) -> Answer:
        body = encode(Attachment((b"x" * 304, b"y" * 304), (b"z",)))
        return Response(request.node, 200, {}, body)

    network.nodes[1].lies["GET /v1/custody"] = altered
    network.run(session, redeposit(session, batch.batch_hash))
    assert network.nodes[3].custody == network.nodes[2].custody


def test_batch_of_another_ledger_is_not_dealt(network: Network, session: Session) -> None:
    batch = placed(network, session)
    other = placed(network, session, prefix="other")
    network.open_epoch(session, 2, 3, 4)

    def another(request: Request, _honest: Response) -> Answer:
        return Response(request.node, 200, {}, network.world.contents[other.placement.index])

    for node in network.nodes.values():
        node.lies["GET /content/"] = another
    with pytest.raises(Exception, match=r"does not hash to|no node fulfilled"):
        network.run(session, redeposit(session, batch.batch_hash))
    assert all(not node.shares for node in network.nodes.values())


def test_no_node_with_the_attachment_leaves_the_old_committee_serving(
    network: Network, session: Session
) -> None:
    batch = placed(network, session)
    network.open_epoch(session, 2, 3, 4)
    for node in network.nodes.values():
        node.custody.clear()
        node.lies["GET /v1/custody"] = lambda request, _: TransportFailure(request.node, "gone")
    with pytest.raises(UnavailableError, match="no node gave the attachment"):
        network.run(session, redeposit(session, batch.batch_hash))
    deposits = state.deposits_at(network.world, batch.placement.index, network.world.head.size)
    assert deposits is not None
    assert deposits.epoch == 0
