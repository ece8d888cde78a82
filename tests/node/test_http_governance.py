"""Proposals and votes over HTTP: what a node shows, and whom a vote shuts out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.governance import proposal, vote
from tests.node.cluster import Cluster

from tradeline_ledger.encoding import encode
from tradeline_ledger.proposal import Change, Resume, SetCommittee, SetRoles, Suspend, proposal_id
from tradeline_ledger.statement import Kind
from tradeline_ledger.trust import STEPS, TrustedLog

NOTARY = 5


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("net") / "net").running() as running:
        yield running


def propose(cluster: Cluster, *changes: Change) -> bytes:
    world = cluster.world()
    content = encode(proposal(world, *changes))
    cluster.post(1, world.entry(1, Kind.PROPOSAL, content))
    return proposal_id(content)


def approve(cluster: Cluster, identity: bytes, *members: int) -> None:
    for member in members:
        cluster.post(member, vote(cluster.world(), member, identity))


def test_a_node_shows_a_proposal_and_what_becomes_of_it(cluster: Cluster) -> None:
    identity = propose(cluster, SetRoles(NOTARY, 6))
    shown = cluster.request(3, f"/v1/proposals/{identity.hex()}").json()
    assert (shown["standing"], shown["approvals"], shown["needed"]) == ("open", [1], 3)
    assert shown["changes"] == [{"what": "roles", "member": NOTARY}]
    approve(cluster, identity, 2, 3)
    shown = cluster.request(3, f"/v1/proposals/{identity.hex()}").json()
    height = cluster.node(1).store.head.height
    assert (shown["standing"], shown["enacted_height"]) == ("enacted", height + 1)
    listed = cluster.request(3, "/v1/proposals").json()
    assert listed == {"proposals": [shown], "next": None}
    assert cluster.request(3, "/v1/proposals/" + "11" * 16).status_code == 404


def test_a_suspended_member_reads_nothing_until_it_is_resumed(cluster: Cluster) -> None:
    approve(cluster, propose(cluster, Suspend(NOTARY)), 2, 3)
    for target in ("/v1/consents", "/checkpoint", "/v1/proposals"):
        refused = cluster.request(NOTARY, target)
        assert refused.status_code == 422
        assert refused.json()["code"] == "member-suspended"
    approve(cluster, propose(cluster, Resume(NOTARY)), 2, 3)
    assert cluster.request(NOTARY, "/v1/consents").status_code == 200


def test_validators_before_and_after_a_change_vouch_for_it(cluster: Cluster) -> None:
    """Nobody has to wait for another block: the change itself is a checkpoint for both."""
    approve(cluster, propose(cluster, SetCommittee((1, 2, 3), (1, 2, 3))), 2, 3)
    size = cluster.node(1).store.head.size
    cluster.wait_for_checkpoint(size)
    log = TrustedLog.start(cluster.node(1).ledger)
    for step in STEPS.decode(cluster.request(2, "/v1/registry/steps?from=0", to=2).content):
        log = log.advance(step)
    assert log.registry == cluster.node(1).store.registry
    assert log.verify_checkpoint(cluster.request(2, "/checkpoint", to=2).content).size == size
