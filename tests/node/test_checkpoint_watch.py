"""What a node makes of the checkpoints of others: evidence, or a warning that convicts nobody."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from tests.node.cluster import Cluster, wait_for
from tests.world import DESK, seed

from tradeline_client.verification import Brought, verify_file
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.conviction import Conviction
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.encoding import encode
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.fork import Fork
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.merkle import (
    NodeId,
    consistency_path,
    fold_root,
    leaf_hash,
    new_nodes,
    root_nodes,
)
from tradeline_ledger.note import Note, encode_note, sign_note
from tradeline_ledger.registry import Feed, MemberRecord
from tradeline_ledger.statement import Kind, kinds_of
from tradeline_node.checkpoint_watch import CheckpointWatch
from tradeline_node.evidence_keeper import EvidenceKeeper
from tradeline_node.evidence_store import EvidenceStore
from tradeline_node.metrics import Metrics
from tradeline_node.peers import PeerAnswer, PeerClient
from tradeline_node.published import PublishedStore

LIAR = 2


@dataclass
class Tree:
    """A log of somebody's making."""

    hashes: list[bytes]
    nodes: dict[NodeId, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.nodes |= dict(new_nodes(0, self.hashes, self.read))

    def read(self, ids: list[NodeId]) -> list[bytes]:
        return [self.nodes[each] for each in ids]

    def root(self, size: int | None = None) -> bytes:
        return fold_root(self.read(root_nodes(len(self.hashes) if size is None else size)))

    def path(self, old: int) -> list[bytes]:
        return consistency_path(old, len(self.hashes), self.read)


@dataclass
class Peers:
    """Answers in the place of every other node; all but one have nothing to say."""

    checkpoint: bytes
    path: bytes = b""
    asked: list[str] = field(default_factory=list)

    async def request(self, peer: MemberRecord, target: str, *, bytes_max: int) -> PeerAnswer:
        if peer.id != LIAR:
            return PeerAnswer(503, b"")
        self.asked.append(target)
        body = self.checkpoint if target == "/checkpoint" else self.path
        assert len(body) <= bytes_max
        return PeerAnswer(200 if body else 404, body)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"publish.compare_ms": 50}
    with Cluster(tmp_path_factory.mktemp("net") / "net", settings).running() as running:
        running.hand_over_tag_keys()
        for salt in range(3):
            running.submit(1, 1, salt)
        # Not the size of a complete subtree, of which a consistency path says nothing.
        while running.node(1).store.head.size.bit_count() == 1:
            running.submit(1, 1, ("more", running.node(1).store.head.size))
        for node in running.nodes:
            running.wait_for_checkpoint(running.node(1).store.head.size, node.member)
        yield running


@dataclass
class Bench:
    """The watch of node 1 with stores of its own."""

    cluster: Cluster
    files: EvidenceStore
    published: PublishedStore
    metrics: Metrics = field(default_factory=Metrics)

    def watch(self, peers: Peers) -> CheckpointWatch:
        node = self.cluster.node(1)
        keeper = EvidenceKeeper(
            self.files,
            node.store,
            self.published,
            node.publisher,
            conflicts=list,
            reported=list,
            metrics=self.metrics,
            log=node.log,
        )
        self.keeper = keeper
        return CheckpointWatch(
            node.store,
            self.published,
            keeper,
            member=1,
            peers=cast("PeerClient", peers),
            interval_ms=1000,
            metrics=self.metrics,
            log=node.log,
        )

    def compare(self, peers: Peers) -> list[str]:
        """Compare once, and return the types of evidence kept."""
        asyncio.run(self.watch(peers).compare())
        self.keeper.collect()
        return sorted(each.word for each in self.files.files())

    def failures(self, where: str) -> float:
        name, labels = "tradeline_verify_failures_total", {"where": where}
        return self.metrics.registry.get_sample_value(name, labels) or 0


@pytest.fixture
def bench(cluster: Cluster, tmp_path: Path) -> Iterator[Bench]:
    published = PublishedStore(tmp_path / "published.sqlite")
    yield Bench(cluster, EvidenceStore(tmp_path / "evidence"), published)
    published.close()


def own_tree(cluster: Cluster, size: int | None = None) -> Tree:
    store = cluster.node(1).store
    return Tree([leaf_hash(leaf) for leaf in store.leaves(0, size or store.head.size)])


def signed(cluster: Cluster, size: int, root: bytes, *members: int) -> bytes:
    """Return a checkpoint that these members really signed and cosigned."""
    origin = cluster.ledger.origin
    text = encode_checkpoint(Checkpoint(origin, size, root))
    lines = []
    for number in members or (LIAR,):
        who = cluster.institution(number)
        lines.append(sign_note(text, origin, who.note))
        lines.append(cosign(text, cosigner_name(origin, number), who.cosigner, 1_790_000_000))
    return encode_note(Note(text, tuple(lines)))


def encoded(path: list[bytes]) -> bytes:
    return json.dumps({"path": [base64.b64encode(each).decode() for each in path]}).encode()


def verified(bench: Bench) -> dict[EvidenceType, Fork]:
    """Return what the files prove to somebody who has the genesis and nothing else."""
    proven = {}
    for each in bench.files.files():
        data = bench.files.read(each.name)
        assert data is not None
        verdict = verify_file(data, Brought(ledger=bench.cluster.ledger))
        assert (verdict.consistent, verdict.anchored) == (True, True), verdict.findings
        fork = verify_evidence(data)
        assert isinstance(fork, Fork)
        proven[each.type] = fork
    return proven


def test_checkpoint_of_the_same_log_is_no_evidence(cluster: Cluster, bench: Bench) -> None:
    tree = own_tree(cluster)
    for size in range(1, len(tree.hashes) + 1):
        assert bench.compare(Peers(signed(cluster, size, tree.root(size)))) == []
    assert bench.failures("root") == 0


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_other_root_at_a_size_of_the_own_log_convicts_whoever_signed_both(
    cluster: Cluster, bench: Bench, behind: int
) -> None:
    size = cluster.node(1).store.head.size - behind
    forged = signed(cluster, size, seed("forked", behind))
    assert bench.compare(Peers(forged)) == ["fork", "witness"]
    proven = verified(bench)
    fork = proven[EvidenceType.FORK]
    assert {fork.smaller.size, fork.larger.size} == {size, size + behind}
    accused = proven[EvidenceType.WITNESS].accused
    assert accused is not None
    assert accused.public == cluster.institution(LIAR).cosigner.public
    # The next rounds meet the same, and keep nothing more.
    assert bench.compare(Peers(forged)) == ["fork", "witness"]


def test_peer_that_is_ahead_and_proves_it_is_no_evidence(cluster: Cluster, bench: Bench) -> None:
    own = own_tree(cluster)
    tree = Tree([*own.hashes, seed("next"), seed("after")])
    peers = Peers(
        signed(cluster, len(tree.hashes), tree.root()), encoded(tree.path(len(own.hashes)))
    )
    assert bench.compare(peers) == []
    size = len(own.hashes)
    assert peers.asked == ["/checkpoint", f"/v1/consistency?old={size}&new={size + 2}"]
    assert bench.failures("consistency") == 0


def test_peer_that_is_ahead_with_another_log_convicts_itself_by_its_own_path(
    cluster: Cluster, bench: Bench
) -> None:
    own = own_tree(cluster)
    size = len(own.hashes)
    tree = Tree([*own.hashes[:-1], seed("instead"), seed("next"), seed("after")])
    peers = Peers(signed(cluster, size + 2, tree.root()), encoded(tree.path(size)))
    assert bench.compare(peers) == ["fork", "witness"]
    fork = verified(bench)[EvidenceType.FORK]
    assert (fork.smaller.size, fork.larger.size) == (size, size + 2)
    assert fork.smaller.root == own.root()
    assert bench.failures("consistency") == 1


@pytest.mark.parametrize(
    "path", [b"", b"x", b"{}", b'{"path": 1}', b'{"path": ["x"]}', encoded([]), encoded([b"a"])]
)
def test_bad_proof_alone_convicts_nobody(cluster: Cluster, bench: Bench, path: bytes) -> None:
    size = cluster.node(1).store.head.size
    assert bench.compare(Peers(signed(cluster, size + 3, seed("ahead")), path)) == []


def test_checkpoint_that_was_ahead_is_compared_once_the_log_has_grown(
    cluster: Cluster, bench: Bench
) -> None:
    size = cluster.node(1).store.head.size
    watch = bench.watch(Peers(signed(cluster, size + 2, seed("ahead"))))
    asyncio.run(watch.compare())
    bench.keeper.collect()
    assert bench.files.files() == []
    cluster.submit(1, 1, "growth")
    cluster.wait_for_checkpoint(size + 2)
    asyncio.run(watch.compare())
    bench.keeper.collect()
    assert EvidenceType.FORK in {each.type for each in bench.files.files()}
    verified(bench)


def unsigned(cluster: Cluster) -> bytes:
    """Return a checkpoint whose every line is by a key that no member has."""
    text = encode_checkpoint(Checkpoint(cluster.ledger.origin, 3, seed("forked")))
    stranger = cluster.institution(5).root
    return encode_note(Note(text, (sign_note(text, cluster.ledger.origin, stranger),)))


def test_what_no_validator_signed_convicts_nobody(cluster: Cluster, bench: Bench) -> None:
    good = signed(cluster, 3, seed("forked"))
    for note in (b"x", unsigned(cluster), good.replace(b"\n3\n", b"\n4\n", 1)):
        assert bench.compare(Peers(note)) == []
    assert bench.failures("checkpoint") == 3
    origin = cluster.ledger.origin.encode()
    assert bench.compare(Peers(good.replace(origin, b"another.log"))) == []


def test_node_that_shows_two_logs_is_found_out_by_all_others(cluster: Cluster) -> None:
    """A node of the cluster lies over HTTP; the others keep what convicts it, and say so."""
    liar = cluster.node(LIAR).publisher
    assert liar.newest is not None
    size = liar.newest.size
    honest, forged = liar.newest, signed(cluster, size, seed("split view"))
    liar.newest = type(honest)(size, honest.height, forged, '"forged"')
    try:
        for node in (cluster.node(1), cluster.node(3)):
            wait_for(lambda: len(node.evidence.files()) >= 2, "evidence")  # noqa: B023
    finally:
        liar.newest = honest
    for to in (1, 3):
        listed = cluster.request(6, "/v1/evidence", to=to).json()["evidence"]
        kinds = {(each["type"], each["member"]) for each in listed}
        assert {("fork", LIAR), ("witness", LIAR)} <= kinds
        for each in listed:
            answer = cluster.request(6, f"/v1/evidence/{each['name']}", to=to)
            assert len(answer.content) == each["bytes"]
            verdict = verify_file(answer.content, Brought(ledger=cluster.ledger))
            assert verdict.ok, verdict.findings
        health = cluster.request(None, "/healthz", to=to)
        assert health.status_code == 503
        part = next(each for each in health.json()["components"] if each["name"] == "evidence")
        assert "a validator misbehaves" in part["detail"]
        metrics = cluster.request(None, "/metrics", to=to).text
        assert 'tradeline_evidence_total{type="witness"} 1.0' in metrics
        # Once the operator has acted, the node is well again, and still shows the files.
        folder = cluster.node(to).evidence.folder
        for path in folder.glob("*.evidence"):
            path.rename(folder / "handled" / path.name)
        assert cluster.request(None, "/healthz", to=to).status_code == 200
        again = cluster.request(6, "/v1/evidence", to=to).json()["evidence"]
        assert [each["name"] for each in again] == [each["name"] for each in listed]
        assert all(each["handled"] for each in again)


def test_two_statements_at_one_position_become_a_file(cluster: Cluster) -> None:
    world = cluster.world()
    entries = [
        world.entry(4, Kind.CONSENT, world.consent(world.terms(4, 2, who=who)), DESK)
        for who in (21, 22)
    ]
    cluster.post(4, entries[0])
    answer = cluster.request(4, "/v1/entries", "POST", entries[1])
    assert (answer.status_code, answer.json()["code"]) == (409, "position-past")
    node = cluster.node(1)

    def found() -> list[str]:
        files = node.evidence.files()
        kinds = (EvidenceType.STATEMENTS, 4)
        return [each.name for each in files if (each.type, each.member) == kinds]

    (name,) = wait_for(found, "evidence")
    data = cluster.request(6, f"/v1/evidence/{name}").content
    verdict = verify_file(data, Brought(ledger=cluster.ledger))
    assert (verdict.kind.value, verdict.ok) == ("statements", True)
    assert dict(verdict.says)["guilty"].startswith("member 4")
    assert (
        cluster.request(6, "/v1/evidence/statements-4-0000000000000000.evidence").status_code == 404
    )
    # A member's own affair: the node itself is well.
    parts = cluster.request(None, "/healthz").json()["components"]
    assert next(each for each in parts if each["name"] == "evidence")["ok"]


def test_evidence_about_a_young_key_carries_the_change_that_made_it(cluster: Cluster) -> None:
    member, feed = 3, 9
    own = cluster.institution(member)
    added = Feed(feed, own.feed_key(feed).public, kinds_of(Kind.CONSENT))
    change = encode(
        KeyChange(
            cluster.ledger.ledger_id,
            member,
            0,
            (added,),
            (),
            Replaced(*(None,) * len(Replaced.__struct_fields__)),
        )
    )
    cluster.post(
        member,
        cluster.world().entry(
            member, Kind.KEY, encode(Key(change, own.root.sign("key", change))), DESK
        ),
    )
    world = cluster.world()
    entries = [
        world.entry(member, Kind.CONSENT, world.consent(world.terms(member, 2, who=who)), feed)
        for who in (31, 32)
    ]
    cluster.post(member, entries[0])
    assert cluster.request(member, "/v1/entries", "POST", entries[1]).status_code == 409
    node = cluster.node(1)

    def found() -> list[str]:
        files = node.evidence.files()
        kinds = (EvidenceType.STATEMENTS, member)
        return [each.name for each in files if (each.type, each.member) == kinds]

    (name,) = wait_for(found, "evidence")
    data = node.evidence.read(name)
    assert data is not None
    proven = verify_evidence(data)
    assert isinstance(proven, Conviction)
    assert len(proven.log.steps) == 1
    assert verify_file(data, Brought(ledger=cluster.ledger)).ok
