"""ABCI as the engine speaks it: frames, answers in order, and what halts the application."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Any

import pytest
from tests.governance import proposal, replace_keys, vote
from tests.node.workload import Feeds
from tests.world import INSTITUTIONS, World, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import RulesError
from tradeline_ledger.governance import upgrade_due
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.proposal import SetCommittee, SetRules, proposal_id
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind
from tradeline_node.application import Application
from tradeline_node.engine import abci_pb2 as abci
from tradeline_node.engine.abci_frames import FRAME_BYTES_MAX, FrameReader, encode_frame
from tradeline_node.engine.abci_handler import AbciHandler
from tradeline_node.engine.abci_server import AbciServer
from tradeline_node.engine.applied_height import AppliedHeight
from tradeline_node.errors import EngineError
from tradeline_node.logs import node_log
from tradeline_node.store import LedgerStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORLD = World()
T1 = WORLD.ledger.genesis.time_ms + 1


class Bench:
    """One application with its handler, asked as an engine does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.feeds = Feeds(WORLD)
        self.misbehavior: list[abci.Misbehavior] = []
        self.open("store", "engine")

    def open(self, store: str, engine: str) -> None:
        (self.path / engine).mkdir(exist_ok=True)
        self.store = LedgerStore.open(self.path / store, WORLD.ledger)
        self.applied = AppliedHeight(self.path / engine)
        self.handler = AbciHandler(Application(self.store), self.applied, self.misbehavior.append)

    def close(self) -> None:
        self.applied.close()
        self.store.close()

    def ask(self, **value: Any) -> abci.Response:
        return self.handler.answer(abci.Request(**value))

    def block(self, height: int, *entries: bytes, time_ms: int | None = None) -> abci.RequestBlock:
        time = T1 + height if time_ms is None else time_ms
        return abci.RequestBlock(
            txs=entries,
            height=height,
            time=abci.Timestamp(seconds=time // 1000, nanos=time % 1000 * 1_000_000),
        )

    def decide(self, height: int, *entries: bytes) -> bytes:
        """Have a block executed and committed; return its app hash."""
        answer = self.ask(finalize_block=self.block(height, *entries)).finalize_block
        assert [each.code for each in answer.tx_results] == [0] * len(entries)
        self.ask(commit=abci.Empty())
        return answer.app_hash


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_frames_are_cut_wherever_they_arrive_in_pieces() -> None:
    messages = [b"", b"a", bytes(127), bytes(128), bytes(70_000), b"end"]
    stream = b"".join(map(encode_frame, messages))
    for piece in (1, 2, 3, 1000, len(stream)):
        reader = FrameReader()
        got: list[bytes] = []
        for at in range(0, len(stream), piece):
            got += reader.feed(stream[at : at + piece])
        assert got == messages


@pytest.mark.parametrize(
    ("sent", "match"),
    [
        (b"\xff\xff\xff\xff", "no varint"),
        (b"\x81\x80\x80\x80\x00", "no varint"),
        (b"\x81\x00", "not minimal"),
        (encode_frame(b"")[:0] + b"\x81\x80\x80\x20", f"at most {FRAME_BYTES_MAX}"),
    ],
)
def test_frames_of_malformed_length_are_an_error(sent: bytes, match: str) -> None:
    with pytest.raises(EngineError, match=match):
        list(FrameReader().feed(sent))


def test_info_starts_at_the_genesis_and_init_chain_gives_its_root(bench: Bench) -> None:
    info = bench.ask(info=abci.Empty()).info
    assert (info.last_block_height, info.last_block_app_hash) == (0, bench.store.root(1))
    keys = [each.engine.public for each in INSTITUTIONS if each.validator]
    updates = [abci.ValidatorUpdate(pub_key=abci.PublicKey(ed25519=key), power=1) for key in keys]
    asked = abci.RequestInitChain(chain_id=WORLD.ledger.chain_id, validators=updates)
    assert bench.ask(init_chain=asked).init_chain.app_hash == bench.store.root(1)
    other = abci.RequestInitChain(chain_id="tl-other", validators=updates)
    with pytest.raises(EngineError, match="of chain tl-other"):
        bench.ask(init_chain=other)
    fewer = abci.RequestInitChain(chain_id=WORLD.ledger.chain_id, validators=updates[1:])
    with pytest.raises(EngineError, match="not those of the genesis"):
        bench.ask(init_chain=fewer)


def test_check_names_the_outcome_and_admits_in_order(bench: Bench) -> None:
    first, second = bench.feeds.refused(1, 0), bench.feeds.refused(1, 1)
    early = bench.ask(check_tx=abci.RequestCheckTx(tx=second)).check_tx
    assert (early.code, int.from_bytes(early.data, "big")) == (1, Outcome.POSITION_AHEAD)
    assert "next is 0" in early.log
    for entry in (first, second):
        assert bench.ask(check_tx=abci.RequestCheckTx(tx=entry)).check_tx.code == 0
    bench.decide(1, first)
    recheck = abci.RequestCheckTx.RECHECK
    assert bench.ask(check_tx=abci.RequestCheckTx(tx=first, type=recheck)).check_tx.code == 1
    assert bench.ask(check_tx=abci.RequestCheckTx(tx=second, type=recheck)).check_tx.code == 0


def test_proposal_orders_feeds_counts_overhead_and_is_accepted_by_all(bench: Bench) -> None:
    entries = [bench.feeds.refused(1, number) for number in range(4)]
    room = sum(len(each) + 8 for each in entries[:3])
    time = abci.Timestamp(seconds=T1 // 1000 + 1)
    asked = abci.RequestPrepareProposal(
        max_tx_bytes=room, txs=[*reversed(entries), b"junk"], height=1, time=time
    )
    proposed = list(bench.ask(prepare_proposal=asked).prepare_proposal.txs)
    assert proposed == entries[:3]
    block = abci.RequestBlock(txs=proposed, height=1, time=time)
    accept, reject = abci.ResponseVerdict.ACCEPT, abci.ResponseVerdict.REJECT
    assert bench.ask(process_proposal=block).process_proposal.status == accept
    garbage = abci.RequestBlock(txs=[*proposed, b"junk"], height=1, time=time)
    assert bench.ask(process_proposal=garbage).process_proposal.status == reject
    gap = abci.RequestBlock(txs=[entries[1]], height=1, time=time)
    assert bench.ask(process_proposal=gap).process_proposal.status == reject


def test_engine_that_starts_from_nothing_is_answered_from_the_log(bench: Bench) -> None:
    entries = [bench.feeds.refused(1, number) for number in range(6)]
    blocks = {1: entries[:2], 2: [], 3: entries[2:3], 7: entries[3:]}
    hashes = {height: bench.decide(height, *each) for height, each in blocks.items()}
    bench.close()
    bench.open("store", "engine-2")
    info = bench.ask(info=abci.Empty()).info
    assert (info.last_block_height, info.last_block_app_hash) == (0, bench.store.root(1))
    for height, each in blocks.items():
        assert bench.decide(height, *each) == hashes[height]
        assert bench.ask(info=abci.Empty()).info.last_block_height == height
    assert bench.decide(8, bench.feeds.refused(1, 6)) not in hashes.values()
    assert bench.store.verify() == []


def test_engine_of_another_history_is_refused(bench: Bench) -> None:
    bench.decide(1, bench.feeds.refused(1, 0), bench.feeds.refused(2, 0))
    bench.close()
    bench.open("store", "engine-2")
    other = Feeds(WORLD)
    with pytest.raises(EngineError, match="block 1 of the engine has other entries"):
        bench.decide(1, other.refused(1, 0))


def test_engine_that_is_ahead_of_a_store_of_old_repeats_its_blocks(bench: Bench) -> None:
    first, second = bench.feeds.refused(1, 0), bench.feeds.refused(1, 1)
    bench.decide(1, first)
    app_hash = bench.decide(2, second)
    bench.close()
    bench.open("store-2", "engine")
    assert bench.ask(info=abci.Empty()).info.last_block_height == 0
    bench.decide(1, first)
    assert bench.decide(2, second) == app_hash


def test_peers_are_admitted_by_the_registry(bench: Bench) -> None:
    own = INSTITUTIONS[1].engine_peer.partition("@")[0]
    known = abci.RequestQuery(path=f"/p2p/filter/id/{own}")
    assert bench.ask(query=known).query.code == 0
    for path in ("/p2p/filter/id/" + "0" * 40, "/p2p/filter/id/", "/store/x"):
        assert bench.ask(query=abci.RequestQuery(path=path)).query.code == 1
    address = abci.RequestQuery(path="/p2p/filter/addr/127.0.0.1:9")
    assert bench.ask(query=address).query.code == 0


def test_misbehavior_that_the_engine_reports_is_handed_on(bench: Bench) -> None:
    block = bench.block(1, bench.feeds.refused(1))
    block.misbehavior.add(type=abci.Misbehavior.DUPLICATE_VOTE, height=1)
    bench.ask(finalize_block=block)
    assert [each.height for each in bench.misbehavior] == [1]


async def _talk(server: AbciServer, path: Path, sent: bytes, answers: int) -> list[abci.Response]:
    await server.start(path)
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(sent)
    frames = FrameReader()
    got: list[abci.Response] = []
    async with asyncio.timeout(10):
        while len(got) < answers:
            data = await reader.read(1 << 16)
            if not data:
                break
            got += [abci.Response.FromString(each) for each in frames.feed(data)]
    writer.close()
    await server.stop()
    return got


def test_server_answers_in_order_and_every_request(bench: Bench, tmp_path: Path) -> None:
    server = AbciServer(bench.handler, node_log("test"))
    requests = [
        abci.Request(echo=abci.RequestEcho(message="a")),
        abci.Request(flush=abci.Empty()),
        abci.Request(info=abci.Empty()),
        abci.Request(list_snapshots=abci.Empty()),
        abci.Request(offer_snapshot=abci.Empty()),
        abci.Request(load_snapshot_chunk=abci.Empty()),
        abci.Request(apply_snapshot_chunk=abci.Empty()),
        abci.Request(extend_vote=abci.Empty()),
        abci.Request(verify_vote_extension=abci.RequestVerifyVoteExtension()),
    ]
    sent = b"".join(encode_frame(each.SerializeToString()) for each in requests)
    got = asyncio.run(_talk(server, tmp_path / "s", sent, len(requests)))
    asked = [each.WhichOneof("value") for each in requests]
    assert [each.WhichOneof("value") for each in got] == asked
    assert server.failure is None


@pytest.mark.parametrize(
    "message", [b"\xff\xff", b"", struct.pack("B", 0x1A) + b"\x05", b"\xaa\x01\x00"]
)
def test_request_that_is_none_gets_an_exception_and_halts(
    bench: Bench, tmp_path: Path, message: bytes
) -> None:
    server = AbciServer(bench.handler, node_log("test"))
    flush = abci.Request(flush=abci.Empty()).SerializeToString()
    sent = encode_frame(message) + encode_frame(flush)
    got = asyncio.run(_talk(server, tmp_path / "s", sent, 2))
    assert [each.WhichOneof("value") for each in got] == ["exception", "exception"]
    assert server.failure
    assert server.failed.is_set()


def test_connection_with_a_malformed_frame_is_closed(bench: Bench, tmp_path: Path) -> None:
    server = AbciServer(bench.handler, node_log("test"))
    got = asyncio.run(_talk(server, tmp_path / "s", b"\xff\xff\xff\xff\xff", 1))
    assert got == []
    assert server.failure == (
        "EngineError: a frame of the engine has a length that is no varint of its limit"
    )


def test_votes_change_the_engines_validators_and_the_log_gives_the_same_updates(
    bench: Bench,
) -> None:
    world = World(WORLD.ledger, time_ms=T1)
    fresh = SigningKey(seed("fresh engine key"))
    wishes = (
        replace_keys(2, engine_key=fresh.public),
        SetCommittee((1, 2, 3), (1, 2, 3)),
        SetCommittee((1, 2, 3, 4), (1, 2, 3)),
    )
    blocks: list[tuple[bytes, ...]] = []
    for wish in wishes:
        content = encode(proposal(world, wish))
        for entry in (
            world.entry(1, Kind.PROPOSAL, content),
            vote(world, 2, proposal_id(content)),
            vote(world, 3, proposal_id(content)),
        ):
            world.block(entry, later_ms=1)
            blocks.append((entry,))
    key = {who.id: who.engine.public for who in INSTITUTIONS}
    expected = {3: {key[2]: 0, fresh.public: 1}, 6: {key[4]: 0}, 9: {key[4]: 1}}

    def updates(height: int) -> dict[bytes, int]:
        asked = bench.block(height, *blocks[height - 1])
        answer = bench.ask(finalize_block=asked).finalize_block
        bench.ask(commit=abci.Empty())
        return {each.pub_key.ed25519: each.power for each in answer.validator_updates}

    for height in range(1, 10):
        assert updates(height) == expected.get(height, {}), height
    assert bench.store.registry.epoch.validators == (1, 2, 3, 4)
    bench.close()
    bench.open("store", "another engine")
    for height in range(1, 10):
        assert updates(height) == expected.get(height, {}), height


def test_a_node_too_old_for_the_rules_stops_before_their_height(bench: Bench) -> None:
    world = World(WORLD.ledger, time_ms=T1)
    content = encode(proposal(world, SetRules(2), effect_height=5))
    entries = [world.entry(1, Kind.PROPOSAL, content)]
    entries += [vote(world, member, proposal_id(content)) for member in (2, 3)]
    for height, entry in enumerate(entries, start=1):
        bench.decide(height, entry)
    assert upgrade_due(bench.store) == (5, 2)
    bench.decide(4)
    asked = bench.block(5, bench.feeds.refused(4, 0))
    for request in ({"process_proposal": asked}, {"finalize_block": asked}, {"info": abci.Empty()}):
        with pytest.raises(RulesError, match="block 5 is executed by rules 2, this version"):
            bench.ask(**request)
    assert bench.store.engine_height == 4
