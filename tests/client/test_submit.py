"""Batches on their way to the ledger, through nodes that are down, slow or lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec.json
import pytest
from tests.client.network import Lie, Network, make_session, seal
from tests.world import BULK

from tradeline_client.errors import (
    CustodyError,
    DroppedError,
    JournalConflictError,
    RefusedError,
    StoreError,
    UnavailableError,
)
from tradeline_client.flows.entry import confirm, resume
from tradeline_client.flows.position import adopt, position
from tradeline_client.flows.submit import deposit, finish, hand_over_batch, submit
from tradeline_client.requests import Answer, Request, Response, TransportFailure
from tradeline_client.session import Session
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.merkle import leaf_hash, verify_inclusion
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.policy import validators_policy
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Receipt
from tradeline_ledger.tlog_proof import decode_proof, verify_proof


def altered(response: Response, **changes: Any) -> Response:
    values = msgspec.json.decode(response.body) | changes
    return Response(response.node, response.status, {}, msgspec.json.encode(values))


def down(request: Request, honest: Response) -> Answer:
    return TransportFailure(request.node, "timed out")


def test_batch_is_placed_and_proven(network: Network, session: Session) -> None:
    placed = network.run(session, submit(session, seal(session, 3)))
    world = network.world
    placement = placed.placement
    assert placement.outcome is Outcome.ACCEPTED
    assert world.leaves[placement.index] == placement.leaf
    verify_inclusion(
        leaf_hash(placement.leaf),
        placement.index,
        placement.checkpoint.size,
        list(placement.path),
        world.root,
    )
    assert session.journal.pending() == []
    event = session.vault.find(placed.event(2))
    assert event.ref == session.keystore.references.ref("row-2")
    assert (event.year, event.category, event.retain_month) == (2026, 1, 2026 * 12 + 2 + 60)
    policy = validators_policy(
        world.ledger.origin, [m for m in world.registry.members if m.note_key]
    )
    proven = verify_proof(decode_proof(placement.proof()), leaf_hash(placement.leaf), policy)
    assert proven.checkpoint.size == placement.checkpoint.size


def test_tag_key_is_handed_over_where_it_is_missing(network: Network, session: Session) -> None:
    network.run(session, submit(session, seal(session)))
    assert all(node.tag_keys == {1} for node in network.nodes.values())


@pytest.mark.parametrize("member", [1, 2, 3, 4])
def test_one_node_down_is_no_obstacle(network: Network, session: Session, member: int) -> None:
    network.nodes[member].up = False
    placed = network.run(session, submit(session, seal(session)))
    assert list(placed.missing) == [member]


def test_half_of_the_nodes_down_stops_before_anything_is_signed(
    network: Network, session: Session
) -> None:
    network.nodes[2].up = network.nodes[3].up = False
    with pytest.raises(CustodyError, match=r"2 committee members .* 3 are needed .*node 2: conn"):
        network.run(session, submit(session, seal(session)))
    assert session.journal.position(BULK) is None
    assert session.vault.verify().batches == 1


def forged(session: Session, network: Network, **changes: Any) -> Any:
    def lie(request: Request, honest: Response) -> Answer:
        if not honest.ok:
            return honest
        receipt = msgspec.msgpack.decode(honest.body, type=Receipt)
        return Response(request.node, 200, {}, encode(msgspec.structs.replace(receipt, **changes)))

    return lie


@pytest.mark.parametrize(
    "changes",
    [{"validator": 2}, {"expires_ms": 1}, {"signature": bytes(64)}, {"expires_ms": 2**40}],
)
def test_false_receipt_is_not_used(
    network: Network, session: Session, changes: dict[str, Any]
) -> None:
    network.nodes[1].lies["POST /v1/custody"] = forged(session, network, **changes)
    placed = network.run(session, submit(session, seal(session)))
    assert list(placed.missing) == [1]
    network.nodes[3].lies["POST /v1/custody"] = forged(session, network, **changes)
    with pytest.raises(CustodyError, match="2 committee members"):
        network.run(session, submit(session, seal(session, prefix="more")))


def test_vault_that_cannot_be_written_keeps_everything_home(
    network: Network, session: Session
) -> None:
    sealed = seal(session)
    session.vault.close()
    with pytest.raises(StoreError):
        network.run(session, submit(session, sealed))
    assert not any(node.asked for node in network.nodes.values())


def test_same_bytes_go_to_another_node_when_one_fails(network: Network, session: Session) -> None:
    network.nodes[1].lies["POST /v1/entries"] = down
    network.nodes[2].lies["POST /v1/entries"] = down
    placed = network.run(session, submit(session, seal(session)))
    bodies = {
        request.body
        for node in network.nodes.values()
        for request in node.asked
        if request.target == "/v1/entries"
    }
    assert len(bodies) == 1
    assert placed.placement.height == 1


def test_refused_submission_has_code_and_remedy_of_a_problem(
    network: Network, session: Session
) -> None:
    sealed = seal(session)
    receipts, _ = network.run(session, deposit(session, sealed))
    with pytest.raises(RefusedError, match="entry 1 was refused: receipts-too-few") as caught:
        network.run(
            session,
            finish(session, network.run(session, hand_over_batch(session, sealed, receipts[:1]))),
        )
    assert caught.value.code == "receipts-too-few"
    assert "fresh receipts" in caught.value.remedy
    assert session.vault.verify().batches == 0
    assert session.journal.pending() == []


def test_expired_receipts_are_refused_and_the_next_batch_goes_on(
    network: Network, session: Session
) -> None:
    sealed = seal(session)
    receipts, _ = network.run(session, deposit(session, sealed))
    network.world.time_ms += network.world.ledger.params.receipt_ms + 1
    handed = network.run(session, hand_over_batch(session, sealed, receipts))
    with pytest.raises(RefusedError):
        network.run(session, finish(session, handed))
    placed = network.run(session, submit(session, seal(session, prefix="later")))
    assert placed.placement.outcome is Outcome.ACCEPTED


def test_node_that_says_placed_elsewhere_is_not_believed(
    network: Network, session: Session
) -> None:
    network.run(session, submit(session, seal(session)))
    network.nodes[1].lies["GET /v1/statements"] = lambda _, honest: altered(
        honest, status="placed", index=1
    )
    placed = network.run(session, submit(session, seal(session, prefix="next")))
    assert placed.placement.index == 3
    for node in network.nodes.values():
        node.lies["GET /v1/statements"] = network.nodes[1].lies["GET /v1/statements"]
    with pytest.raises(VerificationError, match="not the entry that it was given"):
        network.run(session, submit(session, seal(session, prefix="last")))
    (pending,) = session.journal.pending()
    for node in network.nodes.values():
        node.lies.clear()
    assert network.run(session, confirm(session, pending)).index == 5


def test_node_that_hides_the_block_does_not_hold_it_up(network: Network, session: Session) -> None:
    network.nodes[1].lies["GET /v1/statements"] = lambda _, honest: altered(honest, status="queued")
    assert network.run(session, submit(session, seal(session))).placement.index == 1


def test_altered_leaf_is_refused(network: Network, session: Session) -> None:
    def lie(request: Request, honest: Response) -> Answer:
        return altered(honest, leaf="lgEBAMQA")

    network.nodes[1].lies["GET /v1/entries"] = lie
    placed = network.run(session, submit(session, seal(session)))
    assert placed.placement.leaf == network.world.leaves[1]
    for node in network.nodes.values():
        node.lies["GET /v1/entries"] = lie
    with pytest.raises(VerificationError):
        network.run(session, submit(session, seal(session, prefix="next")))


def test_entry_that_no_node_takes_stays_pending_and_is_sent_again(
    network: Network, session: Session
) -> None:
    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = down
    with pytest.raises(UnavailableError, match="no node takes the entry"):
        network.run(session, submit(session, seal(session)))
    (pending,) = session.journal.pending()
    assert (pending.seq, pending.kind) == (0, Kind.SUBMISSION)
    for node in network.nodes.values():
        node.lies.clear()
    (placement,) = network.run(session, resume(session))
    assert not isinstance(placement, RefusedError)
    assert placement.statement_hash == pending.hash
    assert session.vault.verify().unplaced == ()


def test_next_statement_takes_the_pending_one_with_it(network: Network, session: Session) -> None:
    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = down
    with pytest.raises(UnavailableError):
        network.run(session, submit(session, seal(session)))
    for node in network.nodes.values():
        node.lies.clear()
    placed = network.run(session, submit(session, seal(session, prefix="next")))
    assert placed.placement.index == 2
    assert [row.seq for row in session.journal.pending()] == [0]
    network.run(session, resume(session))
    assert session.journal.pending() == []


def test_dropped_entry_says_what_to_do_and_stays_pending(
    network: Network, session: Session
) -> None:
    def lie(request: Request, honest: Response) -> Answer:
        return network._problem(network.nodes[request.node], "refused-too-often")

    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = lie
    with pytest.raises(DroppedError, match="refused-too-often") as caught:
        network.run(session, submit(session, seal(session)))
    assert "tomorrow" in caught.value.remedy
    assert len(session.journal.pending()) == 1


def test_place_that_is_not_known_in_time_is_no_loss(network: Network, session: Session) -> None:
    network.hold = True
    with pytest.raises(UnavailableError, match="not known to be placed in time"):
        network.run(session, submit(session, seal(session)))
    network.hold = False
    (placement,) = network.run(session, resume(session))
    assert not isinstance(placement, RefusedError)
    assert placement.outcome is Outcome.ACCEPTED


# Crashes: a second session on the same folder stands for the process that starts again.


def test_crash_after_signing_sends_the_same_statement_again(
    network: Network, session: Session, tmp_path: Path
) -> None:
    sealed = seal(session)
    receipts, _ = network.run(session, deposit(session, sealed))
    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = down
    with pytest.raises(UnavailableError):
        network.run(session, hand_over_batch(session, sealed, receipts))
    (before,) = session.journal.pending()
    session.close()
    for node in network.nodes.values():
        node.lies.clear()
    again = make_session(tmp_path / "client", network)
    (placement,) = network.run(again, resume(again))
    assert not isinstance(placement, RefusedError)
    assert placement.statement_hash == before.hash
    assert again.vault.row(sealed.batch_hash).log_index == placement.index
    again.close()


def test_crash_before_the_answer_finds_the_statement_in_the_log(
    network: Network, session: Session, tmp_path: Path
) -> None:
    sealed = seal(session)
    receipts, _ = network.run(session, deposit(session, sealed))
    network.run(session, hand_over_batch(session, sealed, receipts))
    network.block()
    session.close()
    again = make_session(tmp_path / "client", network)
    placed = network.run(again, submit(again, seal(again, prefix="after")))
    assert placed.placement.index == 3
    (settled,) = network.run(again, resume(again))
    assert not isinstance(settled, RefusedError)
    assert settled.index == 1
    again.close()


# Positions.


def test_restored_folder_stops_and_says_what_to_do(
    network: Network, session: Session, tmp_path: Path
) -> None:
    network.run(session, submit(session, seal(session)))
    restored = make_session(tmp_path / "restored", network)
    with pytest.raises(JournalConflictError, match="adopt") as caught:
        network.run(restored, submit(restored, seal(restored)))
    assert (caught.value.journal_seq, caught.value.ledger_seq) == (0, 1)
    assert restored.journal.pending() == []
    adopted = network.run(restored, adopt(restored, BULK))
    assert adopted.next_seq == 1
    placed = network.run(restored, submit(restored, seal(restored, prefix="new")))
    assert placed.placement.outcome is Outcome.ACCEPTED
    restored.close()


def test_copied_key_is_found_out_at_the_next_start(
    network: Network, session: Session, tmp_path: Path
) -> None:
    network.run(session, submit(session, seal(session)))
    thief = make_session(tmp_path / "copy", network)
    network.run(thief, adopt(thief, BULK))
    network.run(thief, submit(thief, seal(thief, prefix="thief")))
    thief.close()
    session.close()
    again = make_session(tmp_path / "client", network)
    with pytest.raises(JournalConflictError, match="does not know the last"):
        network.run(again, submit(again, seal(again, prefix="own")))
    again.close()


def test_adopting_never_goes_back_behind_what_was_signed(
    network: Network, session: Session
) -> None:
    for node in network.nodes.values():
        node.lies["POST /v1/entries"] = down
    with pytest.raises(UnavailableError):
        network.run(session, submit(session, seal(session)))
    with pytest.raises(StoreError, match="send what is pending"):
        network.run(session, adopt(session, BULK))


def claiming(claim: dict[str, Any]) -> Lie:
    return lambda _, honest: altered(honest, **claim)


def test_highest_proven_position_counts(network: Network, session: Session) -> None:
    network.run(session, submit(session, seal(session)))
    network.run(session, submit(session, seal(session, prefix="two")))
    for number, next_seq, index in ((1, 0, None), (2, 9, 1), (3, 1, 1)):
        claim = {"next_seq": next_seq, "index": index}
        network.nodes[number].lies["GET /v1/feeds"] = claiming(claim)
    assert network.run(session, position(session, BULK)).next_seq == 2
    network.nodes[4].up = False
    assert network.run(session, position(session, BULK)).next_seq == 1


def test_no_position_without_any_node(network: Network, session: Session) -> None:
    for node in network.nodes.values():
        node.up = False
    with pytest.raises(UnavailableError):
        network.run(session, position(session, BULK))
