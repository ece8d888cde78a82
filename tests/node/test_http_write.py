"""Handing over entries and batches, waiting for their place, and what a node says when it can't."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from tests.node.cluster import Cluster, decode_receipt, statement_of, wait_for
from tests.world import DESK, seed

from tradeline_ledger import state
from tradeline_ledger.consent import consent_id
from tradeline_ledger.encoding import encode
from tradeline_ledger.hpke import (
    PrivateKey,
    PublicKey,
    answer_info,
    open_sealed,
    request_info,
    seal,
)
from tradeline_ledger.inquiry import key_hash
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.release import RESPONSE, ReleaseRequest, Want, YearKey
from tradeline_ledger.statement import (
    ENTRY,
    ENTRY_BYTES_MAX,
    Kind,
    content_hash,
    sign_entry,
    statement_hash,
)
from tradeline_node.errors import EngineError
from tradeline_node.redeposit_service import RedepositOffer
from tradeline_node.service import Node


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = {"http.anonymous_per_second": 10_000, "http.body_timeout_ms": 300}
    with Cluster(tmp_path_factory.mktemp("net") / "net", settings).running() as running:
        running.hand_over_tag_keys()
        yield running


def hash_of(entry: bytes) -> str:
    return statement_hash(ENTRY.decode(entry).statement).hex()


def consent(cluster: Cluster, member: int, who: int) -> bytes:
    world = cluster.world()
    terms = world.terms(member, 2 if member != 2 else 1, who=who)
    return world.entry(member, Kind.CONSENT, world.consent(terms))


def answer_of(connection: socket.socket) -> str:
    """Return one answer, whose body is one JSON object."""
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(4096)
    return answer.decode()


def test_entry_is_queued_then_placed_and_known_again(cluster: Cluster) -> None:
    entry = consent(cluster, 1, 1)
    first = cluster.request(1, "/v1/entries", "POST", entry)
    assert first.status_code == 202
    assert first.json() == {"statement_hash": hash_of(entry), "status": "queued", "index": None}
    found = cluster.request(1, f"/v1/statements/{hash_of(entry)}?wait_ms=10000").json()
    assert (found["status"], found["outcome"]["code"]) == ("placed", "accepted")
    again = cluster.request(1, "/v1/entries", "POST", entry)
    assert (again.status_code, again.json()["index"]) == (200, found["index"])


def test_statement_is_placed_on_every_node(cluster: Cluster) -> None:
    entry = consent(cluster, 1, 2)
    cluster.request(1, "/v1/entries", "POST", entry, to=2)
    for node in cluster.nodes:
        target = f"/v1/statements/{hash_of(entry)}?wait_ms=10000"
        assert cluster.request(6, target, to=node.member).json()["status"] == "placed"


def test_long_poll_answers_when_its_time_is_over(cluster: Cluster) -> None:
    started = time.monotonic()
    found = cluster.request(1, f"/v1/statements/{'00' * 32}?wait_ms=300").json()
    assert found["status"] == "unknown"
    assert 0.25 < time.monotonic() - started < 5


def test_long_poll_is_woken_by_the_block(cluster: Cluster) -> None:
    entry = consent(cluster, 1, 3)
    answers: list[Any] = []

    def wait() -> None:
        answers.append(cluster.request(1, f"/v1/statements/{hash_of(entry)}?wait_ms=20000").json())

    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_for(lambda: cluster.node(1).waits.count)
    cluster.post(1, entry)
    waiting.join(10)
    assert answers[0]["status"] == "placed"


def test_refused_entry_takes_its_place_with_its_outcome(cluster: Cluster) -> None:
    world = cluster.world()
    inquiry = encode(world.inquiry(b"unknown consent!"))
    index = cluster.post(1, world.entry(1, Kind.INQUIRY, inquiry))
    cluster.wait_for_checkpoint(index + 1)
    found = cluster.request(1, f"/v1/entries/{index}").json()
    assert found["outcome"]["code"] == "inquiry-consent-unknown"
    assert found["remedy"] == "Obtain and post a consent first."


def test_dropped_entry_is_a_problem_with_its_outcome(cluster: Cluster) -> None:
    world = cluster.world()
    content = world.consent(world.terms(1, 2, who=9))
    hash_ = content_hash(Kind.CONSENT, content)
    key = world.institution(1).feed_key(DESK)
    ahead = sign_entry(key, world.statement(1, DESK, Kind.CONSENT, hash_, ahead=5), content)
    fresh = world.statement(1, DESK, Kind.CONSENT, hash_)
    forged = sign_entry(world.institution(2).feed_key(DESK), fresh, content)
    other = sign_entry(key, world.statement(1, DESK, Kind.CONSENT, bytes(32)), content)
    for entry, status, code in (
        (b"\x00", 422, "entry-malformed"),
        (encode((b"x", bytes(64), b"")), 422, "entry-malformed"),
        (ahead, 409, "position-ahead"),
        (forged, 422, "signature-wrong"),
        (other, 422, "content-hash-wrong"),
    ):
        answer = cluster.request(1, "/v1/entries", "POST", entry)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_two_statements_at_one_position_are_kept_as_evidence(cluster: Cluster) -> None:
    world = cluster.world()
    entries = []
    for who in (21, 22):
        content = world.consent(world.terms(4, 2, who=who))
        entries.append(world.entry(4, Kind.CONSENT, content))
    cluster.post(4, entries[0])
    answer = cluster.request(4, "/v1/entries", "POST", entries[1])
    assert (answer.status_code, answer.json()["code"]) == (409, "position-past")
    (found,) = cluster.node(1).outbox.evidence()
    assert (found.member, found.feed, found.seq) == (4, DESK, 0)


def test_custody_checks_and_says_which_part_is_wrong(cluster: Cluster) -> None:
    world = cluster.world()
    tag = world.tag(1, 1, 2026)
    batch, attachment, _ = world.batch(1, [(tag, 2030 * 12, b"event")], "custody")
    good = encode((batch.encode(), encode(attachment)))
    receipt = cluster.request(1, "/v1/custody", "POST", good)
    assert (receipt.status_code, receipt.headers["content-type"]) == (
        200,
        "application/octet-stream",
    )
    again = cluster.request(1, "/v1/custody", "POST", good)
    assert again.status_code == 200
    other = world.batch(1, [(tag, 2030 * 12, b"other")], "other custody")[0]
    bodies = (bytes(len(attachment.bodies[0] or b"")),)
    wrong = encode((other.encode(), encode((bodies, attachment.sealed))))
    for body, code in (
        (b"\x92", "custody-malformed"),
        (encode((b"x", b"y")), "custody-malformed"),
        (encode((other.encode(), encode(attachment))), "custody-body-wrong"),
        (wrong, "custody-body-wrong"),
    ):
        answer = cluster.request(1, "/v1/custody", "POST", body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


def test_keys_dealt_again_get_receipts_and_are_served(cluster: Cluster) -> None:
    index = cluster.submit(1, 1, "to deal again")
    world = cluster.world()
    world.contents[index] = cluster.node(1).store.content(index)
    dealt, sealed = world.deal_again(1, index, salt="to deal again")
    offer = encode(RedepositOffer(index, 0, dealt, tuple(sealed), None))
    receipts = []
    for to in (1, 2, 3, 4):
        answer = cluster.request(1, "/v1/redeposits", "POST", offer, to=to)
        assert answer.status_code == 200, answer.text
        receipts.append(decode_receipt(answer.content))
    content = Redeposit(index, 0, dealt, tuple(receipts))
    placed = cluster.post(1, cluster.world().entry(1, Kind.REDEPOSIT, encode(content)))
    row = state.deposits_at(cluster.node(1).store, index, placed + 1)
    assert row is not None
    named = content.hash(cluster.ledger.ledger_id, 1)
    assert (row.placed, row.hash, row.holders) == (placed, named, 0b1111)
    assert cluster.request(3, f"/v1/custody/{named.hex()}").content == encode(tuple(sealed))
    for body, code in (
        (b"\x95", "custody-malformed"),
        (encode(RedepositOffer(index, 1, dealt, tuple(sealed), None)), "redeposit-epoch-wrong"),
        (encode(RedepositOffer(index, 0, dealt, (), None)), "custody-placed"),
    ):
        answer = cluster.request(1, "/v1/redeposits", "POST", body)
        assert answer.json()["code"] == code, answer.text


def test_attachment_is_served_as_it_was_handed_over(cluster: Cluster) -> None:
    world = cluster.world()
    batch, attachment, _ = world.batch(
        1, [(world.tag(1, 1, 2026), 2030 * 12, b"event")], "attachment"
    )
    body = encode((batch.encode(), encode(attachment)))
    assert cluster.request(1, "/v1/custody", "POST", body).status_code == 200
    target = f"/v1/custody/{batch.hash(cluster.ledger.ledger_id, 1).hex()}"
    for member in (1, 2, 3, 4):
        assert cluster.request(member, target).content == encode(attachment)


def test_body_over_the_limit_is_refused_before_it_is_read(cluster: Cluster) -> None:
    headers = cluster.headers(1, "/v1/entries", "POST", b"x")
    address = ("127.0.0.1", cluster.institution(1).port)
    with socket.create_connection(address, timeout=5) as connection:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["POST /v1/entries HTTP/1.1", "host: x", f"content-length: {2**40}", *lines, "", ""]
        connection.sendall("\r\n".join(head).encode())
        answer = answer_of(connection)
    assert answer.startswith("HTTP/1.1 413"), answer
    assert "body-too-large" in answer


def test_chunked_body_over_the_limit_is_refused(cluster: Cluster) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(ENTRY_BYTES_MAX // 65_536 + 2):
            yield bytes(65_536)

    headers = cluster.headers(1, "/v1/entries", "POST", b"x")
    answer = cluster.client.post(cluster.url(1) + "/v1/entries", headers=headers, content=chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


def test_large_body_is_not_read_for_a_stranger(cluster: Cluster) -> None:
    body = bytes(60_000_000)
    headers = cluster.headers(1, "/v1/custody", "POST", b"x", to=2)  # for another node
    address = ("127.0.0.1", cluster.institution(1).port)
    with socket.create_connection(address, timeout=5) as connection:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["POST /v1/custody HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        answer = answer_of(connection)
    assert answer.startswith("HTTP/1.1 401"), answer


def test_body_that_does_not_come_is_given_up(cluster: Cluster) -> None:
    headers = cluster.headers(1, "/v1/entries", "POST", b"x")
    address = ("127.0.0.1", cluster.institution(1).port)
    with socket.create_connection(address, timeout=5) as connection:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = ["POST /v1/entries HTTP/1.1", "host: x", "content-length: 10", *lines, "", ""]
        connection.sendall("\r\n".join(head).encode() + b"12345")
        answer = answer_of(connection)
    assert answer.startswith("HTTP/1.1 408"), answer


def test_read_is_released_to_its_reader_by_every_node(cluster: Cluster) -> None:
    cluster.submit(1, 2, "released")
    one_time = PrivateKey.generate(b"".join(seed("one-time", part) for part in range(3)))
    world = cluster.world()
    terms = world.terms(2, 1, who=1)
    cluster.post(2, world.entry(2, Kind.CONSENT, world.consent(terms)))
    world = cluster.world()
    inquiry = world.inquiry(
        consent_id(encode(terms)), reader=2, key_hash=key_hash(one_time.public.encoded)
    )
    index = cluster.post(2, world.entry(2, Kind.INQUIRY, encode(inquiry)))
    years = tuple(YearKey(year, world.year_key(1, year)) for year in (2025, 2026))
    for node in cluster.nodes:
        request = encode(
            ReleaseRequest(
                cluster.ledger.ledger_id,
                index,
                one_time.public.encoded,
                seed("salt", 2, 1, 1),
                years,
                int(Want.SHARES | Want.PROOFS),
            )
        )
        key = PublicKey.from_bytes(node.keys.hpke.public.encoded)
        info = request_info(cluster.ledger.ledger_id, index, node.member, key.key_id)
        sealed = seal(key, request, info)
        target = f"/v1/releases/{index}"
        answer = cluster.request(2, target, "POST", sealed, to=node.member)
        assert answer.status_code == 200, answer.text
        response = RESPONSE.decode(answer.content)
        own_info = answer_info(cluster.ledger.ledger_id, index, node.member)
        assert open_sealed(one_time, response.sealed, own_info)
        stranger = cluster.request(1, target, "POST", sealed, to=node.member)
        assert stranger.json()["code"] == "not-found"
    # Each node records its release on the ledger, in its own name.
    store = cluster.node(1).store
    wait_for(lambda: all(store.get(b"F" + n.to_bytes(4, "big") + bytes(4)) for n in (1, 2, 3, 4)))


def _is_erased(node: Node, batch_hash: bytes) -> bool:
    return node.custody.body(batch_hash, 0) is None


def test_body_past_its_month_is_gone_soon_after_its_block(cluster: Cluster) -> None:
    world = cluster.world()
    months = [(world.tag(1, who, 2026), month) for who, month in ((1, 2020 * 12), (2, 2030 * 12))]
    batch, attachment, _ = world.batch(
        1, [(tag, month, b"an event") for tag, month in months], "swept"
    )
    body = encode((batch.encode(), encode(attachment)))
    receipts = tuple(
        decode_receipt(cluster.request(1, "/v1/custody", "POST", body, to=node.member).content)
        for node in cluster.nodes
    )
    cluster.post(1, cluster.world().submission(1, batch, receipts))
    batch_hash = batch.hash(cluster.ledger.ledger_id, 1)
    for node in cluster.nodes:
        wait_for(partial(_is_erased, node, batch_hash))
        assert node.custody.body(batch_hash, 1) == attachment.bodies[1]
        folder = cluster.member_folder(node.member) / "custody"
        assert attachment.bodies[0] is not None
        for path in folder.rglob("*"):
            assert not path.is_file() or attachment.bodies[0] not in path.read_bytes(), path
    answer = cluster.request(1, "/v1/sweep", "POST", feed=0)
    assert answer.json() == {"events": 0, "attachments": 0}


def test_rate_limit_is_a_members_own(tmp_path: Any) -> None:
    settings = {"http.requests_per_second": 1, "http.requests_burst": 3}
    with Cluster(tmp_path / "net", settings).running() as running:
        running.wait_for_checkpoint(1)
        answers = [running.request(5, "/v1/ledger") for _ in range(5)]
        assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
        last = answers[-1]
        assert last.json()["code"] == "rate-limited"
        assert int(last.headers["retry-after"]) >= 1
        assert last.headers["ratelimit-policy"] == '"member";q=1;w=1'
        assert running.request(6, "/v1/ledger").status_code == 200


def test_halted_node_refuses_writes_and_goes_on_reading(tmp_path: Any) -> None:
    with Cluster(tmp_path / "net").running() as running:
        running.wait_for_checkpoint(1)
        entry = consent(running, 1, 1)
        assert running.engine is not None
        running.engine._halt(EngineError("the disk of tests is full"))
        answer = running.request(1, "/v1/entries", "POST", entry)
        assert (answer.status_code, answer.json()["code"]) == (503, "node-halted")
        assert "the disk of tests is full" in answer.json()["detail"]
        assert running.request(None, "/readyz").status_code == 503
        health = running.request(None, "/healthz")
        assert health.status_code == 503
        (engine,) = [each for each in health.json()["components"] if each["name"] == "engine"]
        assert "the disk of tests is full" in engine["detail"]
        assert running.request(None, "/livez").status_code == 200
        assert running.request(1, "/checkpoint").status_code == 200
        assert statement_of(entry).member == 1
        assert "tradeline_halted 1.0" in running.request(None, "/metrics").text


def test_entries_survive_a_restart(tmp_path: Any) -> None:
    cluster = Cluster(tmp_path / "net")
    with cluster.running():
        cluster.hand_over_tag_keys()
        index = cluster.submit(1, 3, "kept")
        note = cluster.wait_for_checkpoint(index + 2)
    with cluster.running():
        found = cluster.request(1, f"/v1/entries/{index}?size={index + 2}").json()
        assert found["kind"] == "submission"
        assert cluster.wait_for_checkpoint(index + 2).split(b"\n\n")[0] == note.split(b"\n\n")[0]
        cluster.submit(1, 1, "after")


def test_validators_node_hands_over_what_members_signed_and_nobody_else_does(
    cluster: Cluster,
) -> None:
    entry = consent(cluster, 1, 31)
    for member, feed in ((2, DESK), (5, DESK)):
        answer = cluster.request(member, "/v1/entries", "POST", entry, feed=feed)
        assert answer.status_code == 404, answer.text
    body = bytearray(entry)
    body[-1] ^= 1
    assert cluster.request(2, "/v1/entries", "POST", bytes(body), feed=0).status_code >= 400
    assert cluster.request(2, "/v1/entries", "POST", entry, feed=0).status_code == 202
    found = cluster.request(1, f"/v1/statements/{hash_of(entry)}?wait_ms=10000").json()
    assert found["status"] == "placed"
