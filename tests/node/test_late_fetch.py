"""A committee member that lacks something gets it from the others, whatever some of them do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.node.cluster import Cluster, decode_receipt, wait_for
from tests.world import World

from tradeline_ledger import state
from tradeline_ledger.encoding import encode
from tradeline_ledger.hpke import seal, tag_key_info
from tradeline_ledger.tag import tag_key_hash
from tradeline_node import custody_backlog, late_fetch
from tradeline_node.errors import PeerError, RequestError
from tradeline_node.late_fetch import LateFetch
from tradeline_node.logs import node_log
from tradeline_node.peers import PeerAnswer
from tradeline_node.pulse import Pulse

Answer = Callable[[], Awaitable[PeerAnswer]]


async def hangs() -> PeerAnswer:
    await asyncio.sleep(3600)
    raise AssertionError


async def down() -> PeerAnswer:
    raise PeerError("down")


async def lacks() -> PeerAnswer:
    return PeerAnswer(404, b"")


async def lies() -> PeerAnswer:
    return PeerAnswer(200, b"false")


async def good() -> PeerAnswer:
    return PeerAnswer(200, b"good")


class Peers:
    """Stands for the client of other nodes."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = {int(name[1:]): answer for name, answer in answers.items()}
        self.asked: list[int] = []

    async def request(self, peer: Any, _target: str, **_: Any) -> PeerAnswer:
        self.asked.append(peer.id)
        return await self.answers[peer.id]()


def fetch(peers: Peers) -> tuple[bool, list[bytes]]:
    """Ask members 1 to 3 for something; return whether it came and what was taken."""
    taken: list[bytes] = []

    async def take(body: bytes) -> None:
        if body != b"good":
            raise RequestError("custody-body-wrong", "false")
        taken.append(body)

    async def main() -> bool:
        store: Any = SimpleNamespace(registry=World().registry)
        late = LateFetch(
            store,
            SimpleNamespace(),  # type: ignore[arg-type]
            SimpleNamespace(),  # type: ignore[arg-type]
            member=4,
            peers=peers,  # type: ignore[arg-type]
            blocks=Pulse(),
            done=lambda: None,
            log=node_log("test"),
        )
        return await asyncio.wait_for(late._first([1, 2, 3], "/v1/custody/x", 100, take), 20)

    return asyncio.run(main()), taken


@pytest.mark.parametrize("first", [hangs, down, lacks, lies])
def test_one_that_does_not_serve_costs_a_moment(
    first: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_fetch, "HEDGE_S", 0.05)
    peers = Peers(m1=first, m2=good, m3=good)
    assert fetch(peers) == (True, [b"good"])
    assert peers.asked == [1, 2]


def test_the_first_good_answer_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_fetch, "HEDGE_S", 0.05)

    async def slow() -> PeerAnswer:
        await asyncio.sleep(0.3)
        return PeerAnswer(200, b"good")

    peers = Peers(m1=hangs, m2=hangs, m3=slow)
    assert fetch(peers) == (True, [b"good"])


def test_what_nobody_serves_is_said_to_be_missing() -> None:
    peers = Peers(m1=down, m2=lacks, m3=lies)
    assert fetch(peers) == (False, [])
    assert peers.asked == [1, 2, 3]


def test_attachment_and_finding_come_late_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_fetch, "GRACE_S", 0.0)
    monkeypatch.setattr(custody_backlog, "SAY_AFTER_S", 0.0)
    with Cluster(tmp_path / "net").running() as cluster:
        cluster.hand_over_tag_keys()
        world = cluster.world()
        events = [(world.tag(1, 1, 2026), 2030 * 12, b"event")]
        batch, attachment, _ = world.batch(1, events, "late")
        body = encode((batch.encode(), encode(attachment)))
        receipts = tuple(
            decode_receipt(cluster.request(1, "/v1/custody", "POST", body, to=to).content)
            for to in (1, 2, 3)
        )
        index = cluster.post(1, cluster.world().submission(1, batch, receipts))
        store = cluster.node(4).store
        key = state.custody_key(index, 4)
        row = wait_for(lambda: store.get(key), "a custody record")
        assert int.from_bytes(row, "big") & 1
        named = batch.hash(cluster.ledger.ledger_id, 1)
        assert cluster.node(4).custody.attachment(named) == encode(attachment)
        wait_for(lambda: cluster.node(4).backlog.count() == 0)


def test_tag_key_comes_from_another_committee_member(tmp_path: Path) -> None:
    with Cluster(tmp_path / "net").running() as cluster:
        owner, node = cluster.institution(5), cluster.node(2)
        public = node.keys.hpke.public
        info = tag_key_info(cluster.ledger.ledger_id, owner.id, node.member, public.key_id)
        body = seal(public, owner.tag_key, info)
        hash_ = tag_key_hash(owner.tag_key)
        target = f"/v1/tag-keys/{owner.id}/{hash_.hex()}"
        assert cluster.request(4, target, to=2).status_code == 404
        answer = cluster.request(owner.id, f"/v1/tag-keys/{owner.id}", "PUT", body, to=2)
        assert answer.status_code == 204
        wait_for(lambda: cluster.node(4).tag_keys.tagger(owner.id, hash_), "the tag key")
        # Who is in no committee gets none, sealed or not.
        assert cluster.request(5, target, to=2).status_code == 404
        assert cluster.request(6, target, to=2).status_code == 404
