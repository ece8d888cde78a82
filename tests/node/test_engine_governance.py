"""Votes that change who decides blocks, with four CometBFT processes."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest
from tests.governance import proposal
from tests.node.cluster import wait_for
from tests.node.engines import CometBftCluster, app_hashes
from tests.node.workload import Feeds
from tests.world import DAY_MS, DESK, next_prev

from tradeline_ledger.encoding import encode
from tradeline_ledger.proposal import Change, ProposalVote, SetCommittee, proposal_id
from tradeline_ledger.statement import Kind, content_hash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
PLACED_WITHIN_S = 90


class Assembly:
    """Members that propose and vote through the engines of their own nodes."""

    def __init__(self, cluster: CometBftCluster) -> None:
        self.cluster, self.feeds = cluster, Feeds(cluster.world)

    def say(self, member: int, kind: Kind, content: bytes) -> None:
        entry = self.feeds.sign(member, DESK, kind, content, content_hash(kind, content))
        assert self.cluster.engine(member - 1).submit(entry).admitted
        self.wait(entry)

    def wait(self, entry: bytes) -> None:
        """Wait until every store has an entry; without one of four that may take a few rounds."""
        until = time.monotonic() + PLACED_WITHIN_S
        for store in self.cluster.stores:
            while store.placed_at(next_prev(entry)) is None:
                assert time.monotonic() < until, "an entry was not placed in time"
                time.sleep(0.02)

    def decide(self, change: Change, voters: tuple[int, ...] = (1, 2, 3)) -> None:
        first, *others = voters
        world, store = self.cluster.world, self.cluster.stores[0]
        wish = proposal(
            world,
            change,
            registry_root=store.registry.root,
            expires_ms=int(time.time() * 1000) + DAY_MS,
        )
        content = encode(wish)
        self.say(first, Kind.PROPOSAL, content)
        for member in others:
            self.say(member, Kind.VOTE, encode(ProposalVote(proposal_id(content), 1)))

    def deciders(self) -> set[bytes]:
        """Return the keys of those who decide the engine's next block."""
        listed = self.cluster.replicas[0].rpc._result("validators", {})["validators"]
        return {base64.b64decode(each["pub_key"]["value"]) for each in listed}

    def keys(self, *members: int) -> set[bytes]:
        return {self.cluster.world.institution(each).engine.public for each in members}


@pytest.fixture
def assembly(tmp_path: Path) -> Iterator[Assembly]:
    cluster = CometBftCluster(tmp_path)
    cluster.start()
    yield Assembly(cluster)
    cluster.stop()


def test_a_validator_is_voted_out_and_in_and_decides_blocks_again(assembly: Assembly) -> None:
    cluster = assembly.cluster
    assert assembly.deciders() == assembly.keys(1, 2, 3, 4)
    assembly.decide(SetCommittee((1, 2, 3), (1, 2, 3)))
    wait_for(lambda: assembly.deciders() == assembly.keys(1, 2, 3), "the change of validators")
    entry = assembly.feeds.refused(4, "a member still, and no validator")
    assert cluster.engine(3).submit(entry).admitted
    assembly.wait(entry)

    assembly.decide(SetCommittee((1, 2, 3, 4), (1, 2, 3, 4)))
    wait_for(lambda: assembly.deciders() == assembly.keys(1, 2, 3, 4), "the change of validators")
    assert len(app_hashes(cluster.stores)) == 1
    assert [each.epoch for each in cluster.stores[3].registry.epochs] == [0, 1, 2]

    # Three of four decide only if the one that came back is among them.
    gone = cluster.replicas.pop(0)
    gone.stop()
    entry = assembly.feeds.refused(2, "without the first")
    assert cluster.engine(0).submit(entry).admitted
    assembly.wait(entry)
    assert len(app_hashes(cluster.stores)) == 1
