"""What a node signs, when, and what it makes of the signatures of others."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.node.cluster import Cluster, wait_for
from tests.world import BULK, DESK, seed

from tradeline_ledger.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from tradeline_ledger.cosignature import cosign, cosigner_name, verify_cosignatures
from tradeline_ledger.encoding import encode
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType
from tradeline_ledger.fork import Fork
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.note import KeyType, Note, VerifierKey, decode_note, encode_note, sign_note
from tradeline_ledger.statement import Kind
from tradeline_ledger.trust import STEPS, TrustedLog
from tradeline_node.errors import PeerError, PublishError
from tradeline_node.gather import read_lines
from tradeline_node.published import OwnLines, PublishedStore, read_own


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"publish.compare_ms": 200}
    with Cluster(tmp_path_factory.mktemp("net") / "net", settings).running() as running:
        running.hand_over_tag_keys()
        yield running


def lines_of(
    cluster: Cluster, member: int, size: int, root: bytes, time_s: int = 1_790_000_000
) -> bytes:
    """Return a note of `size` and `root` that a member really signed."""
    origin, institution = cluster.ledger.origin, cluster.institution(member)
    text = encode_checkpoint(Checkpoint(origin, size, root))
    name = cosigner_name(origin, member)
    return encode_note(
        Note(
            text,
            (
                sign_note(text, origin, institution.note),
                cosign(text, name, institution.cosigner, time_s),
            ),
        )
    )


def test_every_node_signs_the_same_sizes_under_load(cluster: Cluster) -> None:
    for salt in range(6):
        cluster.submit(1 + salt % 3, 1, ("load", salt))
    size = cluster.node(1).store.head.size
    for node in cluster.nodes:
        cluster.wait_for_checkpoint(size, node.member)
    paths = [cluster.member_folder(n) / "published.sqlite" for n in (1, 2, 3, 4)]
    signed = [{size for size, _ in read_own(path)} for path in paths]
    in_common = set.intersection(*signed)
    # Each idle end of the log may be missed by somebody whom the next block overtook.
    assert len(in_common) >= min(len(each) for each in signed) / 2
    assert size in in_common


def test_what_is_signed_is_the_root_of_the_own_store(cluster: Cluster) -> None:
    for node in cluster.nodes:
        for size, root in read_own(cluster.member_folder(node.member) / "published.sqlite"):
            assert root == cluster.node(1).store.root(size)


def test_cosignature_time_never_goes_back(cluster: Cluster) -> None:
    node = cluster.node(1)
    key = VerifierKey(
        cosigner_name(cluster.ledger.origin, 1), KeyType.COSIGNATURE, node.keys.cosigner.public
    )
    times = []
    try:
        for back in (0, 1_000_000):
            node.publisher._clock_s = lambda: time.time() - back  # noqa: B023 - called in this turn
            cluster.submit(1, 1, ("time", back))
            size = node.store.head.size
            cluster.wait_for_checkpoint(size)
            lines = asyncio.run(node.publisher.lines(size))
            assert lines is not None
            (found,) = verify_cosignatures(decode_note(lines.note), [key])
            times.append(found.time_s)
    finally:
        node.publisher._clock_s = time.time
    assert times == sorted(times)


def test_signature_under_another_root_is_kept_as_evidence(cluster: Cluster) -> None:
    publisher = cluster.node(1).publisher
    assert publisher.newest is not None
    size = publisher.newest.size
    target = publisher._gathering.by_size[size].target
    record = cluster.institution(2).record
    forged = read_lines(lines_of(cluster, 2, size, seed("fork")), record, cluster.ledger.origin)
    for _ in range(2):
        with pytest.raises(PeerError, match="signed another root"):
            publisher._take(target, forged)
    files = wait_for(cluster.node(1).evidence.files)
    assert {each.type for each in files} <= {EvidenceType.FORK, EvidenceType.WITNESS}
    # Whoever has the registry can check it without us.
    data = cluster.request(6, f"/v1/evidence/{files[0].name}").content
    fork = verify_evidence(data)
    assert isinstance(fork, Fork)
    assert fork.smaller == Checkpoint(cluster.ledger.origin, size, seed("fork"))
    assert cluster.request(None, "/healthz").status_code == 503
    assert "tradeline_verify_failures_total" in cluster.request(None, "/metrics").text
    # The fork does not take part in any checkpoint.
    head = decode_checkpoint(decode_note(publisher.newest.note).text)
    assert head.root == cluster.node(1).store.root(size)


LIES: dict[str, Callable[[Cluster], bytes]] = {
    "no note": lambda _: b"x",
    "signed by another": lambda c: lines_of(c, 3, 1, bytes(32)),
    "cut short": lambda c: lines_of(c, 2, 1, bytes(32))[:-20],
    "another log": lambda c: lines_of(c, 2, 1, bytes(32)).replace(
        c.ledger.origin.encode(), b"other", 1
    ),
    "root changed": lambda c: lines_of(c, 2, 1, bytes(32)).replace(b"AAAA", b"BAAA", 1),
    "not cosigned": lambda c: encode_note(
        Note(
            decode_note(lines_of(c, 2, 1, bytes(32))).text,
            decode_note(lines_of(c, 2, 1, bytes(32))).signatures[:1],
        )
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_lines_that_do_not_verify_are_refused(cluster: Cluster, lie: str) -> None:
    note = LIES[lie](cluster)
    with pytest.raises(PeerError, match="member 2"):
        read_lines(note, cluster.institution(2).record, cluster.ledger.origin)


def test_change_of_the_registry_is_proven_for_ever(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "net")
    ledger = cluster.ledger
    with cluster.running():
        cluster.hand_over_tag_keys()
        for member, ended in ((5, BULK), (6, BULK)):
            change = encode(
                KeyChange(
                    ledger.ledger_id,
                    member,
                    0,
                    (),
                    (ended,),
                    Replaced(None, None, None, None, None),
                )
            )
            content = encode(Key(change, cluster.institution(member).root.sign("key", change)))
            cluster.post(member, cluster.world().entry(member, Kind.KEY, content, DESK))
        cluster.submit(1, 1)
        wait_for(lambda: len(STEPS.decode(cluster.request(6, "/v1/registry/steps").content)) == 2)
        steps = STEPS.decode(cluster.request(6, "/v1/registry/steps?from=0").content)
        later = STEPS.decode(cluster.request(6, "/v1/registry/steps?from=2").content)
        assert later == steps[1:]
        trust = TrustedLog.start(ledger)
        for step in steps:
            trust = trust.advance(step)
        assert trust.registry == cluster.node(1).store.registry
        note = cluster.wait_for_checkpoint(cluster.node(1).store.head.size)
        assert trust.verify_checkpoint(note).size == cluster.node(1).store.head.size
    # A node that lost its steps gathers them again from the lines that the others keep.
    database = sqlite3.connect(cluster.member_folder(1) / "published.sqlite")
    with database:
        database.execute("DELETE FROM step")
    database.close()
    with cluster.running():
        wait_for(lambda: len(STEPS.decode(cluster.request(6, "/v1/registry/steps").content)) == 2)
        again = TrustedLog.start(ledger)
        for step in STEPS.decode(cluster.request(6, "/v1/registry/steps").content):
            again = again.advance(step)
        assert again.registry == cluster.node(1).store.registry


def test_no_size_is_ever_signed_twice(tmp_path: Path) -> None:
    store = PublishedStore(tmp_path / "published.sqlite")
    store.add([OwnLines(5, b"a" * 32, 1, b"note")], 10)
    with pytest.raises(PublishError, match="was signed before"):
        store.add([OwnLines(4, b"c" * 32, 2, b"x"), OwnLines(5, b"b" * 32, 2, b"other")], 10)
    assert store.own(4) is None
    assert store.own(5) == OwnLines(5, b"a" * 32, 1, b"note")
    store.close()


def test_old_signatures_go_and_those_of_the_registry_stay(tmp_path: Path) -> None:
    store = PublishedStore(tmp_path / "published.sqlite")
    for size in range(1, 21):
        store.add([OwnLines(size, bytes(32), size, b"note", kept=size == 2)], 5)
    assert [size for size, _ in read_own(tmp_path / "published.sqlite")] == [2, *range(16, 21)]
    newest = store.newest()
    assert newest is not None
    assert newest.size == 20
    store.close()


def test_node_whose_store_was_exchanged_signs_nothing(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "net")
    with cluster.running():
        cluster.hand_over_tag_keys()
        cluster.submit(1, 1)
        size = cluster.node(1).store.head.size
        for node in cluster.nodes:
            cluster.wait_for_checkpoint(size, node.member)
    database = sqlite3.connect(cluster.member_folder(1) / "published.sqlite")
    with database:
        database.execute("UPDATE own SET root = ? WHERE size = ?", (seed("other"), size))
    database.close()
    with cluster.running():
        wait_for(lambda: cluster.node(1).publisher.failure)
        assert "restore the store" in cluster.node(1).publisher.failure
        assert cluster.request(None, "/healthz").status_code == 503
        later = cluster.submit(2, 1) + 2
        # The three others make a quorum without it.
        note = cluster.wait_for_checkpoint(later, 2)
        assert TrustedLog.start(cluster.ledger).verify_checkpoint(note).cosigners == (2, 3, 4)


def test_node_that_signs_no_more_ends_its_streams(cluster: Cluster) -> None:
    publisher = cluster.node(4).publisher

    async def stream() -> list[bytes]:
        return [note async for note in publisher.stream(0)]

    publisher.failure = "stopped by a test"
    try:
        first, *notes = asyncio.run(stream())
    finally:
        publisher.failure = ""
    assert first == b""
    sizes = [decode_checkpoint(decode_note(note).text).size for note in notes]
    assert sizes == sorted(set(sizes))
    assert sizes
