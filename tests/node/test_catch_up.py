"""Catching up over HTTP from other nodes: joining, resuming, and others that lie."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec.structs
import pytest
from tests.governance import proposal, vote
from tests.node.cluster import PASSPHRASE, Cluster, free_ports, institutions, wait_for
from tests.world import DESK, seed

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import ConsistencyError, MalformedError, VerificationError
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.log_chunk import LOG_CHUNK, LogChunk, verify_chunk
from tradeline_ledger.merkle import Frontier, root_nodes
from tradeline_ledger.proposal import SetCommittee, proposal_id
from tradeline_ledger.registry import Registry
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind
from tradeline_node import catch_up as catch_up_module
from tradeline_node import log_export
from tradeline_node.application import Application
from tradeline_node.catch_up import CatchUp, CaughtUp
from tradeline_node.catch_up_command import catch_up_before_engine, catch_up_node, to_json
from tradeline_node.config import load_config
from tradeline_node.errors import PeerError, RequestError, StoreDamagedError, StoreError
from tradeline_node.keystore import open_keystore
from tradeline_node.log_export import export_chunk
from tradeline_node.logs import node_log
from tradeline_node.others import Address
from tradeline_node.peers import PeerAnswer, PeerClient
from tradeline_node.service import Node
from tradeline_node.store import LedgerStore

ROOT = Path(__file__).parents[2]
LATE = 4
"""The member whose node fetches the log into another store than its own."""
Change = Callable[[str, bytes], bytes]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All nodes; in the middle of their log keys change, and votes open another epoch."""
    made = Cluster(tmp_path_factory.mktemp("net") / "net", founders=institutions(tls=True))
    with pytest.MonkeyPatch.context() as patch, made.running() as running:
        patch.setattr(log_export, "CHUNK_BYTES", 1000)
        running.hand_over_tag_keys()
        for salt in range(4):
            running.submit(1, 3, salt)
        for member in (1, 2):
            running.post(member, key_change(running, member))
        open_epoch(running)
        for salt in range(4, 8):
            running.submit(1, 3, salt, without=[LATE])
        for node in running.nodes[:3]:
            wait_for(partial(has_steps, node, 3))
        running.wait_for_checkpoint(running.node(1).store.head.size)
        yield running


def has_steps(node: Node, count: int) -> bool:
    return len(node.publisher.steps(0, 9)) == count


def open_epoch(cluster: Cluster) -> None:
    """Vote the late member out of the committee."""
    world = cluster.world()
    content = encode(proposal(world, SetCommittee((1, 2, 3, 4), (1, 2, 3))))
    cluster.post(1, world.entry(1, Kind.PROPOSAL, content))
    for member in (2, 3):
        cluster.post(member, vote(cluster.world(), member, proposal_id(content)))
    assert cluster.node(1).store.registry.epoch.epoch == 1


def key_change(cluster: Cluster, member: int) -> bytes:
    """Return the entry of `member` that replaces the note key of the late one."""
    world = cluster.world()
    replaced = Replaced(None, SigningKey(seed("note", LATE, member)).public, None, None, None)
    change = encode(KeyChange(cluster.ledger.ledger_id, LATE, member - 1, (), (), replaced))
    signature = cluster.institution(LATE).root.sign("key", change)
    return world.entry(member, Kind.KEY, encode(Key(change, signature)), DESK)


def moved(registry: Registry, endpoint: str) -> Registry:
    """Return a registry by which every node is elsewhere."""
    members = tuple(
        msgspec.structs.replace(each, endpoint=endpoint, tls_pin=None) if each.endpoint else each
        for each in registry.members
    )
    return Registry(members, registry.epochs, registry.settings)


class Others(PeerClient):
    """What other nodes answer, as a test changes it."""

    def __init__(self, cluster: Cluster, changes: dict[int, Change] | None = None) -> None:
        key = cluster.institution(LATE).node
        super().__init__(key, LATE, cluster.ledger.ledger_id, 5000)
        self.changes = changes or {}
        self.asked: list[tuple[int, str]] = []

    async def request_at(
        self, endpoint: str, recipient: int, target: str, **options: Any
    ) -> PeerAnswer:
        self.asked.append((recipient, target))
        answer = await super().request_at(endpoint, recipient, target, **options)
        change = self.changes.get(recipient)
        if change is None or answer.status != 200:
            return answer
        return PeerAnswer(200, change(target, answer.body))


def catch_up(store: LedgerStore, client: PeerClient, **options: Any) -> CaughtUp:
    async def run() -> CaughtUp:
        try:
            return await CatchUp(Application(store), client, LATE, **options).run()
        finally:
            await client.close()
            await asyncio.sleep(0.02)  # for connections to end before the loop does

    return asyncio.run(run())


@pytest.fixture
def store(cluster: Cluster, tmp_path: Path) -> Iterator[LedgerStore]:
    opened = LedgerStore.open(tmp_path / "ledger", cluster.ledger)
    yield opened
    opened.close()


def chunk_of(cluster: Cluster, first: int = 1) -> LogChunk:
    """Return a chunk to the end of the log, as node 1 serves it."""
    own = cluster.node(1).store
    return LOG_CHUNK.decode(export_chunk(own, first, own.head.size)[0])


def in_blocks(change: Callable[[LogChunk], LogChunk]) -> Change:
    """Change every chunk that is served."""
    return lambda target, body: (
        encode(change(LOG_CHUNK.decode(body))) if target.startswith("/v1/blocks") else body
    )


def other_content(chunk: LogChunk) -> LogChunk:
    block = chunk.blocks[0]
    content = bytes([block.contents[0][0]]) + block.contents[0][1:-1] + b"\x00"
    changed = msgspec.structs.replace(block, contents=(content, *block.contents[1:]))
    return msgspec.structs.replace(chunk, blocks=(changed, *chunk.blocks[1:]))


def other_leaf(chunk: LogChunk) -> LogChunk:
    block = chunk.blocks[-1]
    leaves = (block.leaves[0][:-1] + b"\x00", *block.leaves[1:])
    changed = msgspec.structs.replace(block, leaves=leaves)
    return msgspec.structs.replace(chunk, blocks=(*chunk.blocks[:-1], changed))


# The whole of it


def test_empty_node_fetches_the_whole_log_across_changes_of_the_registry(
    cluster: Cluster, store: LedgerStore
) -> None:
    seen: list[tuple[int, int]] = []
    client = Others(cluster)
    done = catch_up(store, client, progress=lambda at, end: seen.append((at, end)))
    whole = cluster.node(1).store
    assert (store.head, store.root(store.head.size)) == (whole.head, whole.root(whole.head.size))
    assert store.registry == whole.registry
    assert len(store.registry.epochs) == 2
    assert store.verify() == []
    assert done.size == whole.head.size
    assert done.leaves == whole.head.size - 1
    assert done.events == 8 * 3
    assert done.bytes > 8000
    assert set(done.cosigners) == {1, 2, 3}
    assert done.faults == []
    chunks = [target for _, target in client.asked if target.startswith("/v1/blocks")]
    assert len(chunks) >= 4, "of 1,000 bytes and more"
    assert len({member for member, target in client.asked if target in chunks}) > 1
    assert [at for at, _ in seen] == sorted({at for at, _ in seen})
    assert seen[-1] == (whole.head.size, whole.head.size)
    again = catch_up(store, Others(cluster))
    assert (again.leaves, again.bytes) == (0, 0)


def test_catch_up_that_was_cut_off_goes_on_from_where_it_was(
    cluster: Cluster, store: LedgerStore
) -> None:
    def cut(target: str, body: bytes) -> bytes:
        if target.startswith("/v1/blocks") and not target.startswith("/v1/blocks?from=1&"):
            raise PeerError("the line is cut")
        return body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catch_up_module, "RETRIES_S", (0.0,))
        with pytest.raises(PeerError, match="run it again to go on"):
            catch_up(store, Others(cluster, dict.fromkeys((1, 2, 3), cut)))
    reached = store.head.size
    assert 1 < reached < cluster.node(1).store.head.size
    client = Others(cluster)
    done = catch_up(store, client)
    assert done.leaves == cluster.node(1).store.head.size - reached
    first = next(target for _, target in client.asked if target.startswith("/v1/blocks"))
    assert first.startswith(f"/v1/blocks?from={reached}&")


def test_catch_up_whose_process_is_killed_goes_on_from_what_is_written(
    cluster: Cluster, tmp_path: Path
) -> None:
    flags = [f"storage.ledger={tmp_path / 'ledger'}"]
    whole = cluster.node(1).store
    reached = [1]
    for blocks in (3, 2, 5):
        command = [sys.executable, "-m", "tests.node.catch_up_child"]
        command += [str(cluster.member_folder(LATE)), *flags]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None
            reached += [int(child.stdout.readline()) for _ in range(blocks)]
            child.kill()
    assert reached == sorted(reached), "what was written was there again"
    assert reached[-1] < whole.head.size
    config = load_config(cluster.member_folder(LATE), {}, flags)
    done = catch_up_node(config, PASSPHRASE)
    assert 0 < done.leaves <= whole.head.size - reached[-1]
    store = LedgerStore.open(tmp_path / "ledger", cluster.ledger)
    assert store.head == whole.head
    assert store.verify() == []
    store.close()


def test_node_whose_registry_is_out_of_date_is_shown_where_to_ask(
    cluster: Cluster, store: LedgerStore
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "registry", moved(store.registry, ""))
        with pytest.raises(PeerError, match="names no other validator"):
            catch_up(store, Others(cluster))
    record = cluster.institution(2).record
    client = Others(cluster)
    catch_up(store, client, named=[Address(2, record.endpoint, record.tls_pin)])
    assert store.head == cluster.node(1).store.head


# Others that lie


@pytest.mark.parametrize(
    ("lie", "detail"),
    [
        (in_blocks(other_content), "should have no place in the log"),
        (in_blocks(other_leaf), "is not of the log with root"),
        (in_blocks(lambda c: msgspec.structs.replace(c, path=())), "has 0 hashes"),
        (
            in_blocks(lambda c: msgspec.structs.replace(c, first=c.first + 1)),
            "was asked for",
        ),
        (in_blocks(lambda c: msgspec.structs.replace(c, blocks=c.blocks[1:])), "log chunk"),
        (lambda at, body: body[:-1] if at.startswith("/v1/blocks") else body, "does not decode"),
        (
            lambda at, body: body.replace(b"\n\n", b"\n\nx") if at == "/checkpoint" else body,
            "signature line",
        ),
        (
            lambda at, body: body.replace(b"\x00", b"\x01") if "steps" in at else body,
            "registry step",
        ),
    ],
    ids=["content", "leaf", "path", "first", "blocks", "encoding", "checkpoint", "steps"],
)
def test_one_that_lies_is_named_and_another_is_asked(
    cluster: Cluster, store: LedgerStore, lie: Change, detail: str
) -> None:
    client = Others(cluster, {2: lie})
    done = catch_up(store, client)
    assert store.head == cluster.node(1).store.head
    assert store.verify() == []
    assert [each.member for each in done.faults] == [2]
    assert detail in done.faults[0].detail


def test_nothing_of_a_lie_is_written_when_all_lie(cluster: Cluster, store: LedgerStore) -> None:
    lies = dict.fromkeys((1, 2, 3), in_blocks(other_content))
    with pytest.raises(PeerError, match="should have no place in the log") as raised:
        catch_up(store, Others(cluster, lies))
    assert all(f"member {each}: " in str(raised.value) for each in (1, 2, 3))
    size = store.head.size
    assert store.leaves(0, size) == cluster.node(1).store.leaves(0, size)
    assert size < cluster.node(1).store.head.size
    assert store.verify() == []


def test_checkpoint_with_too_few_cosignatures_is_not_followed(
    cluster: Cluster, store: LedgerStore
) -> None:
    def lone(target: str, body: bytes) -> bytes:
        if target != "/checkpoint":
            return body
        lines = body.decode().splitlines(keepends=True)
        return "".join(lines[:-1]).encode()

    with pytest.raises(PeerError, match=r"shows a checkpoint: .*cosigned by members"):
        catch_up(store, Others(cluster, dict.fromkeys((1, 2, 3), lone)))
    assert store.head.size == 1


def test_own_log_that_is_no_beginning_is_never_built_upon(
    cluster: Cluster, store: LedgerStore
) -> None:
    catch_up(store, Others(cluster))
    cluster.submit(1, 1, "one more", without=[LATE])
    wait_for(lambda: cluster.node(1).publisher.behind_s() == 0)
    size = store.head.size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "root", lambda _: bytes(32))
        with pytest.raises(StoreDamagedError, match="are no beginning of the log"):
            catch_up(store, Others(cluster))
    assert store.head.size == size
    done = catch_up(store, Others(cluster))
    assert (done.leaves, done.faults) == (2, [])


# Chunks


def test_chunk_is_refused_unless_it_is_asked_for_at_ends_of_blocks(cluster: Cluster) -> None:
    own = cluster.node(1).store
    size = own.head.size
    for first, end in ((2, size), (1, size - 1), (size, size), (size + 1, size), (0, size)):
        with pytest.raises(RequestError, match="request-invalid"):
            export_chunk(own, first, end)
    with pytest.raises(RequestError, match="size-ahead"):
        export_chunk(own, 1, size + 1)
    assert cluster.request(2, f"/v1/blocks?from=2&size={size}").status_code == 422
    assert cluster.request(None, f"/v1/blocks?from=1&size={size}").status_code == 401


def test_chunk_is_proved_by_itself(cluster: Cluster) -> None:
    own = cluster.node(1).store
    size, root = own.head.size, own.root(own.head.size)
    before = Frontier(1, own.nodes(root_nodes(1)))
    chunk = chunk_of(cluster)
    after = verify_chunk(chunk, before, size, root)
    assert before.size == 1
    assert after.root == own.root(after.size)
    with pytest.raises(ConsistencyError, match="is not of the log with root"):
        verify_chunk(chunk, before, size, bytes(32))
    with pytest.raises(VerificationError, match="at most 2 was asked for"):
        verify_chunk(chunk, before, 2, own.root(2))
    with pytest.raises(VerificationError, match="begins at leaf 1"):
        verify_chunk(chunk, after, size, root)


def test_chunk_with_another_number_of_contents_does_not_decode(cluster: Cluster) -> None:
    chunk = chunk_of(cluster)
    block = chunk.blocks[0]
    raw = [chunk.first, list(chunk.path), [[list(block.leaves), [*block.contents, b"one more"]]]]
    with pytest.raises(MalformedError, match="a block of 2 leaves has 2 contents, expected 1"):
        LOG_CHUNK.decode(encode(raw))


# As commands


def test_command_brings_a_stopped_node_up_to_date(cluster: Cluster, tmp_path: Path) -> None:
    flags = [f"storage.ledger={tmp_path / 'ledger'}"]
    config = load_config(cluster.member_folder(LATE), {}, flags)
    done = catch_up_node(config, PASSPHRASE)
    assert done.size == cluster.node(1).store.head.size
    assert to_json(done).keys() >= {"size", "leaves", "events", "seconds", "cosigners", "faults"}
    with pytest.raises(StoreError, match="in use by another process"):
        catch_up_node(load_config(cluster.member_folder(1), {}), PASSPHRASE)


def test_node_starts_when_nobody_can_be_asked(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cluster.member_folder(LATE)
    config = load_config(folder, {}, [f"storage.ledger={tmp_path / 'ledger'}"])
    keys = open_keystore(folder / "node.keys", PASSPHRASE)
    log = node_log("late")
    with monkeypatch.context() as patch:
        nobody = free_ports(1)[0]
        request_at = PeerClient.request_at

        async def dead(self: PeerClient, endpoint: str, *a: Any, **options: Any) -> PeerAnswer:
            url = f"http://127.0.0.1:{nobody}"
            return await request_at(self, url, *a, **{**options, "pin": None})

        patch.setattr(PeerClient, "request_at", dead)
        assert catch_up_before_engine(config, keys, log) is None
    done = catch_up_before_engine(config, keys, log)
    assert done is not None
    assert done.size == cluster.node(1).store.head.size
