"""Checkpoints that are forked, stale or unsigned, and the registry behind them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.client.network import Network, make_session, seal
from tests.client.test_submit import altered
from tests.world import seed

from tradeline_client.errors import ForkError, StaleCheckpointError, StoreError, UnavailableError
from tradeline_client.flows.checkpoint import known_registry, newest, registry
from tradeline_client.flows.submit import submit
from tradeline_client.requests import Answer, Request, Response
from tradeline_client.seen import Seen
from tradeline_client.session import Session
from tradeline_ledger.c2sp import encode_base64
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import PolicyError, VerificationError
from tradeline_ledger.fork import decode_fork
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind
from tradeline_ledger.trust import STEPS


def serve(network: Network, note: bytes, members: tuple[int, ...] = (1, 2, 3, 4)) -> None:
    for member in members:
        network.nodes[member].lies["GET /checkpoint"] = lambda request, _: Response(
            request.node, 200, {}, note
        )


def other_world(leaves: int, network: Network) -> Network:
    """Return a network of the same validators whose log differs from the first entry on."""
    other = Network()
    for _ in range(leaves):
        other.world.time_ms += 5
        other.block(other.world.entry(2, Kind.DISPUTE, b"another history"))
    assert other.world.ledger.ledger_id == network.world.ledger.ledger_id
    return other


def grow(network: Network, blocks: int) -> None:
    for _ in range(blocks):
        network.block(network.world.entry(1, Kind.DISPUTE, b"history"))


@pytest.mark.parametrize("seen_blocks", [1, 2, 3])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_fork_signed_by_a_quorum_is_proven_with_evidence(
    network: Network, session: Session, seen_blocks: int, more: int
) -> None:
    grow(network, seen_blocks)
    first = network.run(session, newest(session))
    fork = other_world(seen_blocks + more, network)
    network.world, network.published = fork.world, fork.published
    with pytest.raises(ForkError, match="the log was forked") as caught:
        network.run(session, newest(session))
    assert (caught.value.first, caught.value.second) == (first.note, fork.note())
    assert caught.value.file is not None
    evidence = decode_fork(caught.value.file.read_bytes())
    assert (evidence.smaller.size, evidence.larger.size) == (first.size, fork.published)
    assert stat.S_IMODE(caught.value.file.stat().st_mode) == 0o600
    assert session.seen.note() == first.note


def test_fork_of_a_complete_subtree_is_proven_too(network: Network, session: Session) -> None:
    """A consistency path leaves the root out where the old size is a power of two."""
    world = network.world
    bulk = world.entry(1, Kind.DISPUTE, b"1", feed=1)
    network.block(world.entry(1, Kind.DISPUTE, b"2"), bulk)
    seen = network.run(session, newest(session))
    assert seen.size == 4
    fork = other_world(4, network)
    network.world, network.published = fork.world, fork.published
    with pytest.raises(ForkError) as caught:
        network.run(session, newest(session))
    assert caught.value.file is not None
    assert decode_fork(caught.value.file.read_bytes()).smaller.root == seen.root


def test_false_consistency_path_alone_is_no_fork(network: Network, session: Session) -> None:
    grow(network, 2)
    network.run(session, newest(session))
    grow(network, 3)
    lie = seed("nothing")
    for member in (1, 2, 3):
        network.nodes[member].lies["GET /v1/consistency"] = lambda _, honest: altered(
            honest, path=[encode_base64(lie)]
        )
    assert network.run(session, newest(session)).size == network.published
    grow(network, 1)
    network.nodes[4].up = False
    with pytest.raises(VerificationError) as caught:
        network.run(session, newest(session))
    assert not isinstance(caught.value, ForkError)


def test_older_checkpoint_is_stale(network: Network, session: Session) -> None:
    grow(network, 1)
    old = network.note()
    grow(network, 1)
    network.run(session, newest(session))
    serve(network, old, (1, 2, 3))
    assert network.run(session, newest(session)).size == network.published
    serve(network, old)
    with pytest.raises(StaleCheckpointError, match="3 leaves, 5 are known of") as caught:
        network.run(session, newest(session))
    assert caught.value.code == "checkpoint-stale"
    assert "ask others" in caught.value.remedy


@pytest.mark.parametrize("signers", [(1, 2), (1,), (2, 4)])
def test_too_few_cosignatures_are_no_checkpoint(
    network: Network, session: Session, signers: tuple[int, ...]
) -> None:
    grow(network, 1)
    serve(network, network.note(signers=signers))
    with pytest.raises(PolicyError, match="3 of the 4"):
        network.run(session, newest(session))
    assert session.seen.note() is None


def test_three_of_four_validators_suffice(network: Network, session: Session) -> None:
    grow(network, 1)
    serve(network, network.note(signers=(1, 2, 4)))
    assert network.run(session, newest(session)).cosigners == (1, 2, 4)


def test_known_checkpoint_is_used_where_it_is_large_enough(
    network: Network, session: Session
) -> None:
    grow(network, 2)
    network.run(session, newest(session))
    asked = [len(node.asked) for node in network.nodes.values()]
    assert network.run(session, newest(session, size_min=3)).size == 5
    assert [len(node.asked) for node in network.nodes.values()] == asked


def test_what_another_process_saw_counts(
    network: Network, session: Session, tmp_path: Path
) -> None:
    grow(network, 1)
    old = network.note()
    grow(network, 2)
    other = make_session(tmp_path / "client", network)
    network.run(other, newest(other))
    serve(network, old)
    with pytest.raises(StaleCheckpointError):
        network.run(session, newest(session, waits=1))
    other.close()


def test_seen_is_exchanged_only_from_what_was_expected(tmp_path: Path, network: Network) -> None:
    seen = Seen(tmp_path / "checkpoint", network.world.ledger.origin)
    grow(network, 1)
    first = network.note()
    assert seen.advance(None, first)
    grow(network, 1)
    assert not seen.advance(None, network.note())
    assert seen.advance(first, network.note())
    assert stat.S_IMODE((tmp_path / "checkpoint").stat().st_mode) == 0o600
    (tmp_path / "checkpoint").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="damaged"):
        seen.checkpoint()


def test_seen_of_another_log_is_refused(tmp_path: Path, network: Network) -> None:
    grow(network, 1)
    (tmp_path / "checkpoint").write_bytes(network.note())
    with pytest.raises(StoreError, match="another folder"):
        Seen(tmp_path / "checkpoint", "tradeline.0123456789abcdef").checkpoint()


def replace_note_key(network: Network, member: int) -> SigningKey:
    """Replace a validator's note key on the ledger, as its root key orders."""
    world, new = network.world, SigningKey(seed("new note", member))
    change = KeyChange(
        world.ledger.ledger_id, member, 0, (), (), Replaced(None, new.public, None, None, None)
    )
    root = world.institution(member).root
    content = encode(Key(encode(change), root.sign("key", encode(change))))
    network.next_note_keys = {member: new}
    network.block(world.entry(member, Kind.KEY, content))
    return new


def test_registry_is_followed_step_by_step(network: Network, session: Session) -> None:
    grow(network, 1)
    network.run(session, newest(session))
    new = replace_note_key(network, 2)
    grow(network, 1)
    found = network.run(session, registry(session))
    record = found.member(2)
    assert record is not None
    assert record.note_key == new.public
    assert found.root == network.world.registry.root
    assert len(session.trust.steps) == 1


def test_registry_of_another_block_is_not_taken(network: Network, session: Session) -> None:
    grow(network, 1)
    replace_note_key(network, 2)
    grow(network, 1)

    def withheld(request: Request, honest: Response) -> Answer:
        return Response(request.node, 200, {}, encode(()))

    for member in (1, 2, 3):
        network.nodes[member].lies["GET /v1/registry/steps"] = withheld
    assert network.run(session, registry(session)).root == network.world.registry.root

    def false_step(request: Request, honest: Response) -> Answer:
        (step,) = STEPS.decode(honest.body)
        return Response(request.node, 200, {}, encode((step,)).replace(b"Online", b"Onlive"))

    fresh = make_session(session.folder.path.parent / "fresh", network)
    for node in network.nodes.values():
        node.lies["GET /v1/registry/steps"] = withheld if node.member == 1 else false_step
    with pytest.raises((VerificationError, UnavailableError)):
        network.run(fresh, registry(fresh))
    fresh.close()


def test_ledger_without_a_checkpoint_starts_from_its_genesis(
    network: Network, session: Session
) -> None:
    assert network.run(session, known_registry(session)).root == network.world.ledger.registry.root
    network.run(session, submit(session, seal(session)))
    assert session.trust.checkpoint is not None
