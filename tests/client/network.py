"""
Nodes in memory that hold a real ledger and can be made to lie, and clients that talk to them.

All nodes share one `World`. A test puts a function into `Node.lies`, keyed by the beginning of
"METHOD /target": it is given the honest answer and returns what the node says instead.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from tests.mirror import mirror_files
from tests.world import (
    BULK,
    BULK_KINDS,
    CONSORTIUM_KEY,
    DESK,
    DESK_KINDS,
    World,
    seed,
    subject,
)

from tradeline_client.keystore import Keystore
from tradeline_client.profile import ClientFolder
from tradeline_client.requests import Answer, Flow, Request, Response, TransportFailure
from tradeline_client.seal import SealedBatch
from tradeline_client.session import Session
from tradeline_ledger import state
from tradeline_ledger.body import check_bodies
from tradeline_ledger.c2sp import encode_base64
from tradeline_ledger.checkpoint import Checkpoint, encode_checkpoint
from tradeline_ledger.consent import TERMS
from tradeline_ledger.cosignature import cosign, cosigner_name
from tradeline_ledger.deposit import ATTACHMENT, open_deposit
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import LedgerError
from tradeline_ledger.event import Report
from tradeline_ledger.hpke import deposit_info, open_sealed, tag_key_info
from tradeline_ledger.member_files import ClientKeys, FeedKey, Profile, encode_profile
from tradeline_ledger.merkle import leaf_hash, levels_of, path_at, root_of
from tradeline_ledger.note import Note, encode_note, sign_note
from tradeline_ledger.problem import problem
from tradeline_ledger.redeposit import redeposit_hash
from tradeline_ledger.request import verify_request
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import PAYMENT_MADE
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import ConsentStanding
from tradeline_ledger.statement import (
    ENTRY,
    STATEMENT,
    EntryLeaf,
    Kind,
    decode_leaf,
    statement_hash,
)
from tradeline_ledger.submission import Deposit, decode_batch, decode_submission, sign_receipt
from tradeline_ledger.tag import tag_key_hash
from tradeline_ledger.trust import RegistryStep, change_at

T = TypeVar("T")
Lie = Callable[[Request, Response], Answer]


NODES = (1, 2, 3, 4)
PAUSE_S_MAX = 0.01


def rfc_consistency(leaves: list[bytes], old: int) -> list[bytes]:
    """Return the consistency path as RFC 6962 section 2.1.2 defines it."""

    def subproof(m: int, part: list[bytes], whole: bool) -> list[bytes]:
        n = len(part)
        if m == n:
            return [] if whole else [root_of(part)]
        k = 1 << ((n - 1).bit_length() - 1)
        if m <= k:
            return [*subproof(m, part[:k], whole), root_of(part[k:])]
        return [*subproof(m - k, part[k:], whole=False), root_of(part[:k])]

    return subproof(old, leaves, whole=True) if old < len(leaves) else []


@dataclass
class Node:
    """One validator's node: whether it is up, what it stored, how it lies."""

    member: int
    up: bool = True
    tag_keys: set[int] = field(default_factory=set)
    custody: dict[bytes, bytes] = field(default_factory=dict)
    shares: dict[bytes, bytes] = field(default_factory=dict)
    """Of re-deposits, opened, by their hash."""
    lies: dict[str, Lie] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)


class Network:
    """A consortium of four nodes over one ledger in memory."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.nodes = {number: Node(number) for number in NODES}
        self.queue: list[bytes] = []
        self.hold = False
        """While set, nothing that is queued gets into a block."""
        self.published = 0
        self.extra_ms = 0
        self.nonces: set[bytes] = set()
        self.note_keys: dict[int, SigningKey] = {}
        """In place of those of `World`."""
        self.next_note_keys: dict[int, SigningKey] = {}
        """In force after the block that changes the registry."""
        self.steps: list[tuple[int, RegistryStep]] = []
        self.lock = threading.RLock()
        """Several threads of a client ask at once; a node answers from one state."""

    def clock_ms(self) -> int:
        return self.world.time_ms + self.extra_ms

    def block(self, *entries: bytes) -> None:
        """Place what is queued and `entries`, and publish."""
        before = self.world.registry
        self.world.block(*self.queue, *entries)
        self.queue = []
        self.published = self.world.head.size
        if self.world.registry.root != before.root:
            self._step()

    def _step(self) -> None:
        world, index = self.world, self.world.head.size - 1
        levels = levels_of([leaf_hash(leaf) for leaf in world.leaves])
        note = self.note()
        self.note_keys |= self.next_note_keys
        step = RegistryStep(
            note.decode(),
            index,
            world.leaves[index],
            tuple(path_at(levels, index)),
            *change_at(world.registry, world.head.height),
        )
        self.steps.append((world.head.height, step))

    def note(
        self,
        size: int | None = None,
        root: bytes | None = None,
        signers: tuple[int, ...] = NODES,
    ) -> bytes:
        """Return the checkpoint of a size, signed and cosigned by `signers`."""
        world = self.world
        size = self.published if size is None else size
        root = root or root_of([leaf_hash(leaf) for leaf in world.leaves[:size]])
        origin = world.ledger.origin
        text = encode_checkpoint(Checkpoint(origin, size, root))
        lines = []
        for number in signers:
            own = world.institution(number)
            lines.append(sign_note(text, origin, self.note_keys.get(number, own.note)))
            lines.append(cosign(text, cosigner_name(origin, number), own.cosigner, 1))
        return encode_note(Note(text, tuple(lines)))

    def send(self, session: Session, request: Request) -> Answer:
        """Answer one request as the node that it is for does."""
        with self.lock:
            return self._answer(session, request)

    def _answer(self, session: Session, request: Request) -> Answer:
        node = self.nodes[request.node]
        node.asked.append(request)
        if not node.up:
            return TransportFailure(request.node, "connection refused")
        answer = self._honest(node, session, request)
        for start, lie in node.lies.items():
            if f"{request.method} {request.target}".startswith(start):
                lied = lie(request, answer)
                assert not isinstance(lied, Response) or len(lied.body) <= request.bytes_max
                return lied
        assert len(answer.body) <= request.bytes_max, request
        return answer

    def run(self, session: Session, flow: Flow[T]) -> T:
        """Drive a flow to its end."""
        answers: tuple[Answer, ...] | None = None
        try:
            while True:
                round_ = next(flow) if answers is None else flow.send(answers)
                self.extra_ms += int(round_.delay_s * 1000)
                # Who waits for another thread lets it work; else hours would go by in a second.
                time.sleep(min(round_.delay_s, PAUSE_S_MAX))
                given = [self.send(session, request) for request in round_.requests]
                answers = tuple(given)
        except StopIteration as done:
            value: T = done.value
            return value

    def _honest(self, node: Node, session: Session, request: Request) -> Response:
        refused = self._identify(node, session, request)
        if refused is not None:
            return refused
        path, _, query_text = request.target.partition("?")
        query = dict(part.split("=") for part in query_text.split("&") if part)
        parts = path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["checkpoint"]:
                if not self.published:
                    return self._problem(node, "no-quorum-yet")
                return self._bytes(node, self.note())
            case "GET", ["content", hash_] if bytes.fromhex(hash_) != self.world.ledger.ledger_id:
                return self._content(node, bytes.fromhex(hash_))
            case "GET", ["content" | "tile" | "policy" | "log.vkey", *_]:
                return self._bytes(node, mirror_files(self.world)[path.strip("/")])
            case "GET", ["v1", "registry", "steps"]:
                late = [s for height, s in self.steps if height >= int(query["from"])]
                return self._bytes(node, encode(tuple(late)))
            case "GET", ["v1", "entries", index]:
                return self._entry(node, int(index), int(query["size"]))
            case "GET", ["v1", "consistency"]:
                return self._consistency(node, int(query["old"]), int(query["new"]))
            case "GET", ["v1", "feeds", member, feed]:
                return self._feed(node, int(member), int(feed))
            case "GET", ["v1", "statements", hash_]:
                self.extra_ms += int(query.get("wait_ms", 0)) if self.hold else 10
                return self._statement(node, bytes.fromhex(hash_))
            case "GET", ["v1", "consents", consent]:
                return self._consent(node, bytes.fromhex(consent))
            case "GET", ["v1", "consents"]:
                return self._consents(node)
            case "POST", ["v1", "entries"]:
                return self._submit(node, request.body)
        return self._honest_custodian(node, session.member, request, parts)

    def _honest_custodian(
        self, node: Node, member: int, request: Request, parts: list[str]
    ) -> Response:
        match request.method, parts:
            case "POST", ["v1", "custody"]:
                return self._custody(node, member, request.body)
            case "POST", ["v1", "redeposits"]:
                return self._redeposit(node, member, request.body)
            case "GET", ["v1", "custody", hash_]:
                found = node.custody.get(bytes.fromhex(hash_))
                return self._bytes(node, found) if found else self._problem(node, "not-found")
            case "GET", ["v1", "bad-deposits"]:
                return self._json(node, {"bad": [], "next": None})
            case "PUT", ["v1", "tag-keys", number]:
                return self._tag_key(node, int(number), request.body)
        raise AssertionError(request)

    def _identify(self, node: Node, session: Session, request: Request) -> Response | None:
        headers = session.sign(request)

        def find_key(member: int, feed: int) -> bytes | None:
            record = self.world.registry.member(member)
            found = record.feed(feed) if record else None
            return found.key if found else None

        identity = verify_request(
            headers,
            ledger_id=self.world.ledger.ledger_id,
            recipient=node.member,
            method=request.method,
            target=request.target,
            body=request.body,
            now_s=self.clock_ms() // 1000,
            find_key=find_key,
        )
        assert identity.nonce not in self.nonces
        self.nonces.add(identity.nonce)
        return None if identity.member == session.member else self._problem(node, "not-found")

    def _content(self, node: Node, hash_: bytes) -> Response:
        for index, content in self.world.contents.items():
            leaf = self.world.leaves[index]
            if hash_ in leaf:
                return self._bytes(node, content)
        return self._problem(node, "not-found")

    def _entry(self, node: Node, index: int, size: int) -> Response:
        world = self.world
        if not index < size <= world.head.size:
            return self._problem(node, "size-ahead")
        levels = levels_of([leaf_hash(leaf) for leaf in world.leaves[:size]])
        path = [encode_base64(each) for each in path_at(levels, index)]
        leaf = encode_base64(world.leaves[index])
        return self._json(node, {"index": index, "size": size, "leaf": leaf, "path": path})

    def _consistency(self, node: Node, old: int, new: int) -> Response:
        hashes = [leaf_hash(leaf) for leaf in self.world.leaves[:new]]
        path = [encode_base64(each) for each in rfc_consistency(hashes, old)]
        return self._json(node, {"old": old, "new": new, "path": path})

    def _feed(self, node: Node, member: int, feed: int) -> Response:
        row = state.read(self.world, state.FEED, state.feed_key(member, feed))
        found = {"next_seq": row.next_seq, "index": row.index} if row else None
        return self._json(node, found or {"next_seq": 0, "index": None})

    def _statement(self, node: Node, hash_: bytes) -> Response:
        if self.queue and not self.hold:
            self.block()
        index = self._placed(hash_)
        if index is not None:
            return self._json(node, {"status": "placed", "index": index})
        queued = any(statement_hash(ENTRY.decode(entry).statement) == hash_ for entry in self.queue)
        return self._json(node, {"status": "queued" if queued else "unknown"})

    def _submit(self, node: Node, entry: bytes) -> Response:
        decoded = ENTRY.decode(entry)
        hash_ = statement_hash(decoded.statement)
        index = self._placed(hash_)
        if index is not None:
            return self._json(node, {"status": "placed", "index": index})
        statement = STATEMENT.decode(decoded.statement)
        ahead = [STATEMENT.decode(ENTRY.decode(each).statement) for each in self.queue]
        if entry not in self.queue:
            follows = any(
                (each.member, each.feed, each.seq + 1)
                == (statement.member, statement.feed, statement.seq)
                for each in ahead
            )
            outcome = self.world.apply(entry).outcome
            if outcome.dropped and not (follows and outcome.code == "position-ahead"):
                return self._problem(node, outcome.code)
            self.queue.append(entry)
        return self._json(node, {"status": "queued", "statement_hash": hash_.hex()}, 202)

    def _custody(self, node: Node, member: int, body: bytes) -> Response:
        if member not in node.tag_keys:
            return self._problem(node, "custody-tag-key-missing")
        encoded, attachment_bytes = msgspec.msgpack.decode(body)
        batch, attachment = decode_batch(encoded), ATTACHMENT.decode(attachment_bytes)
        check_bodies(attachment.bodies, batch.body_hashes())
        own, ledger_id = self.world.institution(node.member), self.world.ledger.ledger_id
        position = self.world.registry.epoch.position(node.member)
        assert position is not None
        sealed = attachment.sealed[position]
        assert sealed is not None
        info = deposit_info(
            ledger_id,
            member=member,
            epoch=batch.epoch,
            recipient=node.member,
            key_id=own.hpke.public.key_id,
            events_root=batch.events_root,
        )
        open_deposit(own.hpke, sealed, info, batch.deposits[position], batch.count)
        hash_ = batch.hash(ledger_id, member)
        node.custody[hash_] = attachment_bytes
        receipt = sign_receipt(
            own.node,
            ledger_id,
            validator=node.member,
            member=member,
            batch=hash_,
            expires_ms=self.world.time_ms + self.world.ledger.params.receipt_ms,
        )
        return self._bytes(node, encode(receipt))

    def _redeposit(self, node: Node, member: int, body: bytes) -> Response:
        if member not in node.tag_keys:
            return self._problem(node, "custody-tag-key-missing")
        index, number, listed, sealed, attachment = msgspec.msgpack.decode(body)
        ledger_id, own = self.world.ledger.ledger_id, self.world.institution(node.member)
        batch = decode_submission(self.world.contents[index]).batch
        epoch = self.world.registry.epoch
        position = epoch.position(node.member)
        if number != epoch.epoch or position is None:
            return self._problem(node, "custody-not-committee")
        if batch.hash(ledger_id, member) not in node.custody:
            if attachment is None:
                return self._problem(node, "custody-attachment-missing")
            node.custody[batch.hash(ledger_id, member)] = attachment
        deposits = tuple(Deposit(*each) for each in listed)
        info = deposit_info(
            ledger_id,
            member=member,
            epoch=number,
            recipient=node.member,
            key_id=own.hpke.public.key_id,
            events_root=batch.events_root,
        )
        named = redeposit_hash(ledger_id, member, index, number, deposits)
        node.shares[named] = open_deposit(
            own.hpke, sealed[position], info, deposits[position], batch.count
        )
        receipt = sign_receipt(
            own.node,
            ledger_id,
            validator=node.member,
            member=member,
            batch=named,
            expires_ms=self.world.time_ms + self.world.ledger.params.receipt_ms,
        )
        return self._bytes(node, encode(receipt))

    def open_epoch(self, session: Session, *members: int) -> None:
        """Put a committee in force, a block later; `session` has followed the registry."""
        self.world.open_epoch(*members)
        self.block(self.world.entry(5, Kind.COMPLAINT, b""))
        session.follow(
            replace(session.trust, registry=self.world.registry, size=self.world.head.size)
        )

    def _tag_key(self, node: Node, member: int, body: bytes) -> Response:
        own, record = self.world.institution(node.member), self.world.registry.member(member)
        info = tag_key_info(
            self.world.ledger.ledger_id, member, node.member, own.hpke.public.key_id
        )
        try:
            key = open_sealed(own.hpke, body, info)
        except LedgerError:
            return self._problem(node, "tag-key-wrong")
        assert record is not None
        assert record.tag_key_hash == tag_key_hash(key)
        node.tag_keys.add(member)
        return Response(node.member, 204, {}, b"")

    def _consent(self, node: Node, consent: bytes) -> Response:
        row = state.read(self.world, state.CONSENT, state.consent_key(consent))
        if row is None:
            return self._problem(node, "not-found")
        terms = TERMS.decode(row.terms)
        assert terms is not None
        view = {
            "consent_id": consent.hex(),
            "index": row.index,
            "standing": ConsentStanding(row.standing).name.lower(),
            "standing_index": row.changed_index,
            "reads_used": 0,
            "changes": row.changes,
        }
        return self._json(node, view)

    def _consents(self, node: Node) -> Response:
        ids = [key[1:] for key in sorted(self.world.rows) if key[:1] == state.CONSENT_PREFIX]
        views = [json.loads(self._consent(node, each).body) for each in ids]
        return self._json(node, {"consents": views, "next": None})

    def _placed(self, hash_: bytes) -> int | None:
        for index, leaf in enumerate(self.world.leaves):
            decoded = decode_leaf(leaf)
            if isinstance(decoded, EntryLeaf) and statement_hash(decoded.statement) == hash_:
                return index
        return None

    @staticmethod
    def _problem(node: Node, code: str) -> Response:
        made = problem(code)
        return Response(node.member, made.status, {}, made.to_json())

    @staticmethod
    def _json(node: Node, value: Any, status: int = 200) -> Response:
        return Response(node.member, status, {}, json.dumps(value).encode())

    @staticmethod
    def _bytes(node: Node, body: bytes) -> Response:
        return Response(node.member, 200, {}, body)


def client_keys(member: int) -> ClientKeys:
    """Return the keys of a member of `world`."""
    return ClientKeys(
        member=member,
        feeds=(
            FeedKey(BULK, seed("feed", member, BULK), BULK_KINDS),
            FeedKey(DESK, seed("feed", member, DESK), DESK_KINDS),
        ),
        root_seed=seed("root", member),
        consortium_key=CONSORTIUM_KEY,
        tag_key=seed("tag", member),
        storage_key=seed("storage", member),
    )


def make_folder(path: Path, network: Network, member: int = 1) -> ClientFolder:
    """Return a client folder of a member, without its keystore, which takes a while to seal."""
    ledger = network.world.ledger
    name = network.world.institution(member).name
    profile = Profile(member, name, ledger.ledger_id, BULK, DESK, DESK, home=member % 4 or 4)
    path.mkdir(mode=0o700, exist_ok=True)
    (path / "client.toml").write_text(encode_profile(profile))
    (path / "genesis").write_bytes(ledger.file)
    return ClientFolder(path, profile, ledger)


def make_session(path: Path, network: Network, member: int = 1) -> Session:
    """Return an open session of a member's folder at `path`."""
    folder = make_folder(path, network, member)
    return Session(folder, Keystore(client_keys(member)), network.clock_ms)


def payment(ref: str, day: str = "2026-03-05", amount: int = 1000) -> Report:
    """Return one payment as its contributor reports it."""
    fields = PAYMENT_MADE.values(currency="CNY", amount_minor=amount, kind=1)
    return Report(PAYMENT_MADE, day, Basis.CONTRACT, ref, "account-1", fields)


def seal(session: Session, count: int = 2, prefix: str = "row") -> SealedBatch:
    """Return a sealed batch of payments of made-up persons."""
    plain = [session.sealer.plain(payment(f"{prefix}-{i}"), subject(i)) for i in range(count)]
    return session.sealer.seal(plain, session.registry)
