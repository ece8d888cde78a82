"""
Nodes of a whole consortium in this process, served on loopback, driven by the local engine.

Keys are those of `tests.world`, so a test can sign as any member; everything else is real: folders,
stores, sockets, engine, publishing.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx2
import msgspec.structs
from tests.world import ALL, DAY_MS, DESK, Institution, World, make_ledger, seed

from tradeline_ledger.encoding import Codec, encode
from tradeline_ledger.genesis import Ledger, open_genesis, sign_genesis
from tradeline_ledger.hpke import seal, tag_key_info
from tradeline_ledger.member_files import NODE_KEYS_NAME, NodeKeys
from tradeline_ledger.registry import MemberRecord, Role
from tradeline_ledger.request import sign_request
from tradeline_ledger.statement import ENTRY, STATEMENT, Statement, statement_hash
from tradeline_ledger.submission import Receipt
from tradeline_node.config import encode_config, load_config
from tradeline_node.engine.local import LocalEngine
from tradeline_node.keystore import seal_keystore, write_private
from tradeline_node.run import listen
from tradeline_node.service import Node
from tradeline_node.serving import attach_local, serve
from tradeline_node.tls import tls_key, tls_pin

PASSPHRASE = b"a passphrase of tests"
WAIT_S = 20.0


@dataclass(frozen=True)
class Placed(Institution):
    """An institution whose node is at a port of its own."""

    port: int = 0
    tls: bool = False

    @cached_property
    def pin(self) -> bytes:
        return tls_pin(tls_key(seed("tls", self.id)))

    @cached_property
    def record(self) -> MemberRecord:
        if not self.validator:
            return super().record
        endpoint = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        pin = self.pin if self.tls else None
        return msgspec.structs.replace(super().record, endpoint=endpoint, tls_pin=pin)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def institutions(*, tls: bool = False) -> tuple[Placed, ...]:
    """Return bank, lender, payment firm and court with nodes, a notary and a regulator without."""
    ports = free_ports(4)
    return (
        Placed(1, "Bank", ALL | Role.VALIDATOR, port=ports[0], tls=tls),
        Placed(2, "Online lender", ALL | Role.VALIDATOR, port=ports[1], tls=tls),
        Placed(3, "Payment company", ALL | Role.VALIDATOR, port=ports[2], tls=tls),
        Placed(4, "Court registry", Role.CONTRIBUTOR | Role.VALIDATOR, port=ports[3], tls=tls),
        Placed(5, "Notary", Role.AUTHENTICATOR, validator=False),
        Placed(6, "Regulator", Role.OBSERVER, validator=False),
    )


def ledger_of_today(founders: tuple[Placed, ...]) -> Ledger:
    """Return a ledger that was founded a day ago."""
    genesis = make_ledger(founders).genesis
    time_ms = int(time.time() * 1000) - DAY_MS
    epoch = msgspec.structs.replace(genesis.epoch, from_ms=time_ms)
    today = msgspec.structs.replace(genesis, time_ms=time_ms, epoch=epoch)
    return open_genesis(sign_genesis(today, [(each.id, each.root) for each in founders]))


class LiveWorld(World):
    """A `World` whose state is that of a node."""

    def __init__(self, node: Node, founders: tuple[Placed, ...]) -> None:
        super().__init__(ledger=node.ledger, institutions=founders)
        self.node = node

    def get(self, key: bytes) -> bytes | None:
        return self.node.store.get(key)

    def now(self) -> LiveWorld:
        """Take clock and registry from the node."""
        self.time_ms = self.node.clock_ms()
        self.registry, self.head = self.node.store.registry, self.node.store.head
        return self


@dataclass
class Cluster:
    """The nodes, while the context lasts."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    founders: tuple[Placed, ...] = field(default_factory=institutions)

    def __post_init__(self) -> None:
        self.ledger = ledger_of_today(self.founders)
        self.folder.mkdir(parents=True, exist_ok=True)
        for each in self.founders:
            if each.validator:
                self._write_member(each)
        self.nodes: list[Node] = []
        self.engine: LocalEngine | None = None

    def _write_member(self, institution: Placed) -> None:
        folder = self.folder / f"member-{institution.id}"
        folder.mkdir(mode=0o700)
        values = {
            "node.member": institution.id,
            "node.name": folder.name,
            "http.port": institution.port,
            "engine.block_ms": 5,
            "publish.slot_ms": 20,
            **self.settings,
        }
        (folder / "node.toml").write_text(encode_config(values), encoding="utf-8")
        (folder / "genesis").write_bytes(self.ledger.file)
        write_private(folder / NODE_KEYS_NAME, _sealed_keys(institution.id))

    def member_folder(self, member: int) -> Path:
        return self.folder / f"member-{member}"

    @contextlib.contextmanager
    def running(self, members: Sequence[int] = (1, 2, 3, 4)) -> Iterator[Cluster]:
        """Serve the nodes of `members` in a thread of their own."""
        configs = [load_config(self.member_folder(each), {}) for each in members]
        with contextlib.ExitStack() as opened:
            sockets = [opened.enter_context(listen(config)) for config in configs]
            self.nodes = []
            for config in configs:
                self.nodes.append(Node.open(config, PASSPHRASE))
                opened.callback(self.nodes[-1].close)
            engine = self.engine = attach_local(self.nodes)
            engine.start()
            opened.callback(engine.stop)
            client = httpx2.Client(trust_env=False, verify=False, timeout=WAIT_S)
            with _Thread(self.nodes, sockets, engine), client:
                self.client = client
                yield self

    def node(self, member: int) -> Node:
        return next(node for node in self.nodes if node.member == member)

    def world(self) -> LiveWorld:
        return LiveWorld(self.nodes[0], self.founders).now()

    def institution(self, member: int) -> Placed:
        return self.founders[member - 1]

    def url(self, member: int) -> str:
        return self.institution(member).record.endpoint

    def headers(
        self,
        member: int,
        target: str,
        method: str = "GET",
        body: bytes = b"",
        *,
        to: int = 1,
        feed: int = DESK,
        changes: dict[str, Any] | None = None,
    ) -> dict[str, str]:
        """Return the signature of one request; `changes` replace what is signed."""
        signed: dict[str, Any] = {
            "member": member,
            "feed": feed,
            "ledger_id": self.ledger.ledger_id,
            "recipient": to,
            "method": method,
            "target": target,
            "body": body,
            "created_s": int(time.time()),
            "nonce": secrets.token_bytes(16),
        }
        return sign_request(self.institution(member).feed_key(feed), **(signed | (changes or {})))

    def request(
        self,
        member: int | None,
        target: str,
        method: str = "GET",
        body: bytes = b"",
        *,
        to: int = 1,
        feed: int = DESK,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Return what node `to` answers to `member`; None asks without a signature."""
        signed = (
            {} if member is None else self.headers(member, target, method, body, to=to, feed=feed)
        )
        return self.client.request(
            method, self.url(to) + target, content=body, headers={**signed, **(headers or {})}
        )

    def hand_over_tag_keys(self) -> None:
        """Give the tag key of every member to every node."""
        for owner in self.founders:
            for node in self.nodes:
                public = node.keys.hpke.public
                info = tag_key_info(self.ledger.ledger_id, owner.id, node.member, public.key_id)
                body = seal(public, owner.tag_key, info)
                target = f"/v1/tag-keys/{owner.id}"
                answer = self.request(owner.id, target, "PUT", body, to=node.member)
                assert answer.status_code == 204, answer.text

    def post(self, member: int, entry: bytes, to: int = 1) -> int:
        """Hand an entry over, wait for its place and return its log index."""
        answer = self.request(member, "/v1/entries", "POST", entry, to=to)
        assert answer.status_code in (200, 202), answer.text
        hash_ = statement_hash(ENTRY.decode(entry).statement).hex()
        found = self.request(member, f"/v1/statements/{hash_}?wait_ms=10000", to=to).json()
        assert found["status"] == "placed", found
        return int(found["index"])

    def submit(
        self, member: int, count: int = 2, salt: object = 0, without: Sequence[int] = ()
    ) -> int:
        """Put a batch into custody everywhere or nearly so, post it, return its log index."""
        world = self.world()
        tags = [world.tag(member, who, 2026) for who in range(1, count + 1)]
        events = [(tag, 2030 * 12, f"event {i} of {salt}".encode()) for i, tag in enumerate(tags)]
        batch, attachment, _ = world.batch(member, events, salt)
        body = encode((batch.encode(), encode(attachment)))
        receipts = []
        for node in (each for each in self.nodes if each.member not in without):
            answer = self.request(member, "/v1/custody", "POST", body, to=node.member)
            assert answer.status_code == 200, answer.text
            receipts.append(decode_receipt(answer.content))
        receipts.sort(key=lambda each: each.validator)
        return self.post(member, self.world().submission(member, batch, tuple(receipts)))

    def wait_for_checkpoint(self, size: int, to: int = 1) -> bytes:
        """Return the checkpoint of `to` once it covers `size` leaves."""
        note: bytes = wait_for(lambda: self._checkpoint(size, to))
        return note

    def _checkpoint(self, size: int, to: int) -> bytes | None:
        newest = self.node(to).publisher.newest
        return newest.note if newest is not None and newest.size >= size else None


@cache
def _sealed_keys(member: int) -> bytes:
    """Return the keystore of an institution's node."""
    return seal_keystore(node_keys(member), PASSPHRASE)


def node_keys(member: int) -> NodeKeys:
    """Return the keys of an institution's node, those that `Institution` has."""
    return NodeKeys(
        member=member,
        node_seed=seed("node", member),
        note_seed=seed("note", member),
        cosigner_seed=seed("cosigner", member),
        hpke_private=b"".join(seed("hpke", member, part) for part in range(3)),
        engine_seed=seed("engine", member),
        peer_seed=seed("peer", member),
        tls_private=seed("tls", member),
        witness_seed=seed("witness", member),
    )


def decode_receipt(encoded: bytes) -> Receipt:
    return Codec[Receipt](Receipt, "receipt", 256).decode(encoded)


def wait_for(look: Callable[[], Any], what: str = "it") -> Any:
    """Return the first true value of `look`, within `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {WAIT_S} s")


def statement_of(entry: bytes) -> Statement:
    return STATEMENT.decode(ENTRY.decode(entry).statement)


class _Thread:
    """The event loop of the nodes, in a thread."""

    def __init__(
        self, nodes: Sequence[Node], sockets: Sequence[socket.socket], engine: LocalEngine
    ) -> None:
        self._nodes, self._sockets, self._engine = nodes, sockets, engine
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._ready.wait(WAIT_S), "the nodes did not start"
        if self._failure is not None:
            raise self._failure

    def __exit__(self, *_exception: object) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the nodes did not stop"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(
            self._nodes, self._sockets, self._engine, lambda _: self._ready.set(), self._stop
        )
