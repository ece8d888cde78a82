"""What a node serves of the log, checked as anybody would check it."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.node.cluster import Cluster, wait_for

from tradeline_ledger.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from tradeline_ledger.note import decode_note
from tradeline_ledger.policy import verify_checkpoint
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.statement import Kind, decode_leaf
from tradeline_ledger.tile import decode_bundle, decode_tile
from tradeline_ledger.trust import STEPS, TrustedLog, open_registry


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("net") / "net").running() as running:
        running.hand_over_tag_keys()
        for salt in range(3):
            running.submit(1, 2, salt)
        running.submit(2, 1, "other")
        running.wait_for_checkpoint(running.node(1).store.head.size)
        yield running


def leaves(cluster: Cluster) -> list[bytes]:
    store = cluster.node(1).store
    return store.leaves(0, store.head.size)


def test_checkpoint_is_cosigned_by_a_quorum_and_its_root_is_that_of_the_leaves(
    cluster: Cluster,
) -> None:
    note = cluster.request(6, "/checkpoint")
    policy = cluster.request(6, "/policy")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    verified = verify_checkpoint(note.content, decode_policy(policy.content))
    size = verified.checkpoint.size
    assert verified.checkpoint.root == root_of([leaf_hash(each) for each in leaves(cluster)[:size]])
    assert len(verified.cosignatures) >= 3
    trusted = TrustedLog.start(cluster.ledger).verify_checkpoint(note.content)
    assert trusted.size == size


def test_checkpoint_is_not_sent_again_to_whoever_has_it(cluster: Cluster) -> None:
    first = cluster.request(6, "/checkpoint")
    again = cluster.request(6, "/checkpoint", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = cluster.request(6, "/checkpoint", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_tiles_and_bundles_are_those_of_the_log(cluster: Cluster) -> None:
    expected = leaves(cluster)[:5]
    tile = cluster.request(6, "/tile/0/000.p/5")
    bundle = cluster.request(6, "/tile/entries/000.p/5")
    assert decode_tile(tile.content, 5) == [leaf_hash(each) for each in expected]
    assert decode_bundle(bundle.content, 5) == expected
    assert "immutable" in tile.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/001",
        "/tile/0/000",
        "/tile/0/0",
        "/tile/x/000",
        "/tile/0/000.p/0",
        "/tile/9/000",
        "/tile/entries/000.p/200",
    ],
)
def test_tile_that_is_not_there_is_not_found(cluster: Cluster, path: str) -> None:
    answer = cluster.request(6, path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_every_entry_is_proven_to_every_size(cluster: Cluster) -> None:
    store = cluster.node(1).store
    for index in range(store.head.size):
        for size in range(index + 1, store.head.size + 1):
            found = cluster.request(6, f"/v1/entries/{index}?size={size}").json()
            leaf, path = base64.b64decode(found["leaf"]), map(base64.b64decode, found["path"])
            assert leaf == store.leaf(index)
            verify_inclusion(leaf_hash(leaf), index, size, list(path), store.root(size))


def test_entry_says_what_became_of_it(cluster: Cluster) -> None:
    newest = cluster.node(1).publisher.newest
    assert newest is not None
    found = cluster.request(6, "/v1/entries/1").json()
    assert found["kind"] == "submission"
    assert found["outcome"] == {
        "number": 0,
        "code": "accepted",
        "meaning": "The entry took effect.",
    }
    assert (found["member"], found["feed"], found["seq"]) == (1, 1, 0)
    assert found["content_bytes"] == len(cluster.node(1).store.content(1))
    block = cluster.request(6, "/v1/entries/0").json()
    assert (block["kind"], block["outcome"]) == ("block", None)


def test_size_that_the_node_has_not_reached_is_a_conflict(cluster: Cluster) -> None:
    for target in ("/v1/entries/0?size=100000", "/v1/consistency?old=1&new=100000"):
        answer = cluster.request(6, target)
        assert (answer.status_code, answer.json()["code"]) == (409, "size-ahead")


def test_consistency_is_proven_between_any_two_sizes(cluster: Cluster) -> None:
    store = cluster.node(1).store
    for old in range(1, store.head.size + 1):
        for new in range(old, store.head.size + 1):
            found = cluster.request(6, f"/v1/consistency?old={old}&new={new}").json()
            path = [base64.b64decode(each) for each in found["path"]]
            verify_consistency(old, new, path, store.root(old), store.root(new))
    assert cluster.request(6, "/v1/consistency?old=3&new=2").status_code == 422


def test_content_is_served_under_its_hash(cluster: Cluster) -> None:
    hash_ = cluster.request(6, "/v1/entries/1").json()["content_hash"]
    assert cluster.request(6, f"/content/{hash_}").content == cluster.node(1).store.content(1)
    genesis = cluster.request(6, f"/content/{cluster.ledger.ledger_id.hex()}").content
    assert genesis == cluster.ledger.genesis_bytes
    assert cluster.request(6, f"/content/{'0' * 64}").status_code == 404


def test_registry_is_the_one_that_the_last_block_names(cluster: Cluster) -> None:
    last = decode_leaf(leaves(cluster)[-1])
    opened = open_registry(cluster.request(6, "/v1/registry").content, last)  # type: ignore[arg-type]
    assert opened == cluster.node(1).store.registry
    assert STEPS.decode(cluster.request(6, "/v1/registry/steps?from=0").content) == ()


def test_feed_says_where_it_stands(cluster: Cluster) -> None:
    found = cluster.request(6, "/v1/feeds/1/1").json()
    assert found["next_seq"] == 3
    entry = cluster.request(6, f"/v1/entries/{found['index']}").json()
    assert (entry["member"], entry["feed"], entry["seq"]) == (1, 1, 2)
    fresh = cluster.request(6, "/v1/feeds/1/2").json()
    assert (fresh["next_seq"], fresh["prev"], fresh["index"]) == (0, "0" * 64, None)
    assert cluster.request(6, "/v1/feeds/1/77").status_code == 404
    assert cluster.request(6, "/v1/feeds/99/1").status_code == 404


def test_cosignature_is_of_the_node_that_serves_it(cluster: Cluster) -> None:
    newest = cluster.node(1).publisher.newest
    assert newest is not None
    for node in cluster.nodes:
        note = decode_note(
            cluster.request(6, f"/cosignature/{newest.size}", to=node.member).content
        )
        assert [each.name for each in note.signatures] == [
            cluster.ledger.origin,
            f"{cluster.ledger.origin}/{node.member}",
        ]
    assert cluster.request(6, "/cosignature/100000").status_code == 404


def test_stream_begins_where_the_reader_left_off(cluster: Cluster) -> None:
    target = "/v1/stream"
    headers = {**cluster.headers(6, target), "last-event-id": "1"}
    lines: list[str] = []
    with cluster.client.stream("GET", cluster.url(1) + target, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            lines.append(line)
            if sum(each.startswith("id:") for each in lines) == 3:
                break
    ids = [int(each.removeprefix("id:")) for each in lines if each.startswith("id:")]
    assert ids == [3, 5, 7]
    wait_for(lambda: cluster.node(1).streams.count == 0)


def test_stream_tells_of_a_new_block(cluster: Cluster) -> None:
    target = "/v1/stream"
    size = cluster.node(1).store.head.size
    headers = {**cluster.headers(6, target), "last-event-id": str(size)}
    with cluster.client.stream("GET", cluster.url(1) + target, headers=headers) as response:
        index = cluster.submit(1, 1, "streamed")
        found = next(line for line in response.iter_lines() if line.startswith("id:"))
    assert int(found.removeprefix("id:")) == index + 2


def test_open_streams_and_waits_end_when_the_node_stops(tmp_path: Path) -> None:
    with contextlib.ExitStack() as streams:
        with Cluster(tmp_path / "net").running() as running:
            running.wait_for_checkpoint(1)
            client = streams.enter_context(httpx2.Client(trust_env=False, timeout=30))
            headers = {**running.headers(6, "/v1/stream"), "last-event-id": "1"}
            url = running.url(1) + "/v1/stream"
            response = streams.enter_context(client.stream("GET", url, headers=headers))
            assert response.status_code == 200
            started = time.monotonic()
        assert time.monotonic() - started < 5
        assert not [line for line in response.iter_lines() if line.startswith("id:")]


def test_streams_are_bounded(tmp_path: Path) -> None:
    with (
        Cluster(tmp_path / "net", {"http.streams_max": 1}).running() as running,
        running.client.stream(
            "GET", running.url(1) + "/v1/stream", headers=running.headers(6, "/v1/stream")
        ),
    ):
        wait_for(lambda: running.node(1).streams.count == 1)
        answer = running.request(6, "/v1/stream")
        assert (answer.status_code, answer.json()["code"]) == (503, "streams-full")


def test_ledger_and_probes_say_how_the_node_does(cluster: Cluster) -> None:
    found = cluster.request(6, "/v1/ledger").json()
    assert found["ledger_id"] == cluster.ledger.ledger_id.hex()
    assert found["size"] == cluster.node(1).store.head.size
    for path in ("/livez", "/readyz", "/healthz", "/metrics", "/version"):
        assert cluster.request(None, path).status_code == 200, path
    metrics = cluster.request(None, "/metrics").text
    assert 'tradeline_entries_total{outcome="accepted"}' in metrics
    assert f"tradeline_log_size {found['size']}" in metrics
    assert "tradeline_append_seconds_count 0.0" not in metrics
    assert 'tradeline_custody_batches_total{result="done"}' in metrics


def test_other_kinds_of_entry_have_their_names(cluster: Cluster) -> None:
    world = cluster.world()
    consent = world.consent(world.terms(1, 2))
    index = cluster.post(1, world.entry(1, Kind.CONSENT, consent))
    cluster.wait_for_checkpoint(index + 1)
    assert cluster.request(6, f"/v1/entries/{index}").json()["kind"] == "consent"
