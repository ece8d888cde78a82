"""Four nodes of the test consortium with real stores and services, fed block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.world import World, seed

from tradeline_ledger import state
from tradeline_ledger.consent import Terms, consent_id
from tradeline_ledger.deposit import Attachment
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import (
    PrivateKey,
    answer_info,
    open_sealed,
    request_info,
    seal,
    tag_key_info,
)
from tradeline_ledger.inquiry import key_hash
from tradeline_ledger.mark import Mark, MarkKind, MarkReason
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.registry import EpochRecord
from tradeline_ledger.release import (
    ANSWER,
    COMMON,
    PAYLOAD,
    PROOFS,
    RESPONSE,
    Answer,
    EntryShares,
    HistoryCommon,
    Proofs,
    ReleaseRequest,
    Want,
    YearKey,
)
from tradeline_ledger.statement import Kind
from tradeline_ledger.submission import Batch, Receipt
from tradeline_ledger.transition import Executed
from tradeline_node.application import Application
from tradeline_node.custody import BOX_KEY_NAME, QUOTA_BYTES, CustodyStore
from tradeline_node.custody_backlog import FILE_NAME as BACKLOG_NAME
from tradeline_node.custody_backlog import CustodyBacklog
from tradeline_node.custody_service import CustodyService
from tradeline_node.engine.local import LocalEngine
from tradeline_node.hpke_keys import HpkeKeys
from tradeline_node.ordered_attachment import OrderedAttachments
from tradeline_node.outbox import Outbox
from tradeline_node.own_deposit import OwnDeposits
from tradeline_node.receipts import Receipts
from tradeline_node.redeposit_service import RedepositOffer, RedepositService
from tradeline_node.release_service import ReleaseService
from tradeline_node.released_log import FILE_NAME, ReleasedLog
from tradeline_node.share_box import open_share_box
from tradeline_node.store import LedgerStore
from tradeline_node.sweep import Sweeper
from tradeline_node.tag_keys import FOLDER_NAME, TagKeys

RETAIN_2031 = 2031 * 12
"""A retain_month five years off."""


@dataclass
class Node:
    """The parts of one member's node that keep attachments and release shares."""

    world: World
    member: int
    folder: Path
    quota_bytes: int = QUOTA_BYTES
    stalled: str | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.open_store()

    def open_store(self) -> None:
        self.store = LedgerStore.open(self.folder / "ledger", self.world.ledger)
        self.application = Application(self.store)

    def attach(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.open_services()

    def open_services(self) -> None:
        """Open everything but the ledger store; again, as after a restart."""
        own, ledger = self.world.institution(self.member), self.world.ledger
        hpke = HpkeKeys(own.hpke)
        path = self.folder / "custody"
        path.mkdir(exist_ok=True)
        self.box = open_share_box(path / BOX_KEY_NAME, hpke, ledger.ledger_id, own.id)
        self.custody = CustodyStore(
            path,
            self.box,
            kept_until_ms=self.store.head.time_ms + ledger.params.receipt_ms,
            quota_bytes=self.quota_bytes,
        )
        self.tag_keys = TagKeys(path / FOLDER_NAME, ledger.ledger_id, own.id, hpke)
        receipts = Receipts(self.store, own.id, own.node, lambda: self.world.time_ms)
        deposits = OwnDeposits(ledger.ledger_id, own.id, hpke)
        self.service = CustodyService(
            self.store,
            self.custody,
            self.tag_keys,
            member=own.id,
            receipts=receipts,
            deposits=deposits,
            box=self.box,
        )
        self.attachments = OrderedAttachments(
            self.store, self.custody, member=own.id, deposits=deposits, box=self.box
        )
        self.redeposits = RedepositService(
            self.store,
            self.custody,
            self.tag_keys,
            member=own.id,
            receipts=receipts,
            deposits=deposits,
            attachments=self.attachments,
            box=self.box,
        )
        self.outbox = Outbox(self.folder / "outbox.sqlite", self.store, self.engine, resend_ms=0)
        self.backlog = CustodyBacklog(
            path / BACKLOG_NAME,
            self.store,
            self.custody,
            member=own.id,
            attachments=self.attachments,
            redeposits=self.redeposits,
        )
        self.released = ReleasedLog(
            self.folder / FILE_NAME,
            self.store,
            self.outbox,
            member=own.id,
            node_key=own.node,
            clock_ms=lambda: self.world.time_ms,
            source=self.backlog,
        )
        self.releases = ReleaseService(
            self.store,
            self.custody,
            self.tag_keys,
            self.released,
            member=own.id,
            node_key=own.node,
            hpke=hpke,
            deposits=deposits,
            stalled=lambda: self.stalled,
        )
        self.sweeper = Sweeper(self.store, self.custody)

    def close_services(self) -> None:
        self.released.close()
        self.backlog.close()
        self.outbox.close()
        self.custody.close()

    def close(self) -> None:
        self.close_services()
        self.store.close()


@dataclass
class Asked:
    """An accepted inquiry and what its reader needs for its requests."""

    index: int
    reader: int
    key: PrivateKey
    request: ReleaseRequest
    terms: Terms


@dataclass
class Answered:
    """A release, opened by its reader."""

    answer: Answer
    common: HistoryCommon
    payload: tuple[EntryShares, ...]
    proofs: Proofs | None


@dataclass
class Committee:
    """The world and its four nodes."""

    folder: Path
    world: World = field(default_factory=World)
    members: Sequence[int] = (1, 2, 3, 4)

    def __post_init__(self) -> None:
        self.nodes = {
            member: Node(self.world, member, self.folder / f"node-{member}")
            for member in self.members
        }
        self.engine = LocalEngine(
            [node.application for node in self.nodes.values()], lambda: self.world.time_ms
        )
        for node in self.nodes.values():
            node.attach(self.engine)
            self.give_tag_keys(node)
        self._salt = 0

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()

    def sealed_tag_key(self, member: int, node: Node, key: bytes | None = None) -> bytes:
        """Return the tag key of `member`, sealed to a node."""
        public = self.world.institution(node.member).hpke.public
        info = tag_key_info(self.world.ledger.ledger_id, member, node.member, public.key_id)
        return seal(public, key or self.world.institution(member).tag_key, info)

    def give_tag_keys(self, node: Node) -> None:
        for each in self.world.institutions:
            node.tag_keys.put(node.store.registry, each.id, self.sealed_tag_key(each.id, node))

    def block(self, *entries: bytes, later_ms: int = 1000) -> Executed:
        """Execute one block of `entries` on every node."""
        executed = self.world.block(*entries, later_ms=later_ms)
        if executed.leaves:
            for node in self.nodes.values():
                node.store.commit(executed, executed.head.height)
        return executed

    def produce(self) -> Executed | None:
        """Have the engine make a block of what the nodes' outboxes offer."""
        for node in self.nodes.values():
            node.outbox.send()
        executed = self.engine.produce()
        if executed is not None:
            self.world._commit(executed)
            self.world.time_ms = executed.head.time_ms
        return executed

    def placed(self, *entries: bytes, later_ms: int = 1000) -> int:
        """Execute a block, all of whose entries must be accepted; return the first's index."""
        executed = self.block(*entries, later_ms=later_ms)
        assert [each.applied.outcome.code for each in executed.placed] == ["accepted"] * len(
            entries
        ), executed
        return executed.placed[0].index

    def open_epoch(self, *members: int) -> EpochRecord:
        """Put a committee of `members` in force from the next height on, on every node."""
        record = self.world.open_epoch(*members)
        for node in self.nodes.values():
            node.store._database.write([(state.epoch_key(record.epoch), encode(record))], [])
            node.store.registry = self.world.registry
        return record

    def offer(
        self,
        index: int,
        attachment: Attachment | None = None,
        *,
        dealer: object = 0,
        erased: tuple[int, ...] = (),
    ) -> RedepositOffer:
        """Deal the keys of the batch at `index`, the last that `batch` made, again."""
        member = self._member_of(index)
        dealt, sealed = self.world.deal_again(
            member, index, salt=self._salt, dealer=dealer, erased=erased
        )
        encoded = None if attachment is None else encode(attachment)
        epoch = self.world.registry.epoch.epoch
        return RedepositOffer(index, epoch, dealt, tuple(sealed), encoded)

    def redeposit(
        self, offer: RedepositOffer, nodes: Sequence[int], given: Sequence[Receipt] = ()
    ) -> int:
        """Hand a re-deposit to `nodes` and post it with their receipts; return its log index."""
        member = self._member_of(offer.index)
        receipts = [self.nodes[each].redeposits.accept(member, offer) for each in nodes]
        listed = tuple(sorted([*receipts, *given], key=lambda each: each.validator))
        content = encode(Redeposit(offer.index, offer.epoch, offer.deposits, listed))
        return self.placed(self.world.entry(member, Kind.REDEPOSIT, content))

    def _member_of(self, index: int) -> int:
        row = state.read(self.world, state.SUBMISSION, state.submission_key(index))
        assert row is not None, index
        return row.member

    def tick(self, later_ms: int) -> None:
        """Move block time on, by an entry that is placed, refused and changes nothing else."""
        self.block(self.world.entry(5, Kind.COMPLAINT, b""), later_ms=later_ms)

    def batch(
        self,
        member: int = 2,
        who: Sequence[int] = (1,),
        *,
        year: int = 2026,
        month: int = RETAIN_2031,
        category: int = 1,
    ) -> tuple[Batch, Attachment, list[bytes]]:
        """Return a fresh batch of `member` with one event about each of `who`."""
        self._salt += 1
        rows = [
            (self.world.tag(member, each, year, category), month, b"event %d" % position)
            for position, each in enumerate(who)
        ]
        return self.world.batch(member, rows, salt=self._salt)

    def custody(
        self, member: int, batch: Batch, attachment: Attachment, nodes: Sequence[int] | None = None
    ) -> tuple[Receipt, ...]:
        """Hand an attachment to the nodes; return their receipts."""
        return tuple(
            self.nodes[number].service.accept(member, batch.encode(), encode(attachment))
            for number in nodes or self.members
        )

    def submit(
        self, member: int, batch: Batch, attachment: Attachment, nodes: Sequence[int] | None = None
    ) -> int:
        """Bring a batch into custody and into the log; return its log index."""
        receipts = self.custody(member, batch, attachment, nodes)
        return self.placed(self.world.submission(member, batch, receipts))

    def inquire(
        self,
        reader: int = 1,
        second: int = 2,
        who: int = 1,
        want: int = Want.SHARES | Want.PROOFS,
        consent: Terms | None = None,
        **changes: object,
    ) -> Asked:
        """Post a consent, unless it is given, and an inquiry under it."""
        terms = consent or self.world.terms(reader, second, who)
        if consent is None:
            self.placed(self.world.entry(reader, Kind.CONSENT, self.world.consent(terms)))
        key = PrivateKey.generate(
            b"".join(seed("one-time", self.world.head.size, i) for i in range(3))
        )
        inquiry = self.world.inquiry(
            consent_id(encode(terms)),
            reader,
            who,
            **({"key_hash": key_hash(key.public.encoded)} | changes),
        )
        index = self.placed(self.world.entry(reader, Kind.INQUIRY, encode(inquiry)))
        year_keys = tuple(
            sorted(
                (YearKey(year, self.world.year_key(who, year)) for year in inquiry.years),
                key=lambda each: (each.year, each.year_key),
            )
        )
        salt = seed("salt", terms.grantee, terms.second, who)
        request = ReleaseRequest(
            self.world.ledger.ledger_id, index, key.public.encoded, salt, year_keys, int(want)
        )
        return Asked(index, reader, key, request, terms)

    def sealed_request(
        self, asked: Asked, node: int, request: ReleaseRequest | None = None
    ) -> bytes:
        public = self.world.institution(node).hpke.public
        info = request_info(self.world.ledger.ledger_id, asked.index, node, public.key_id)
        return seal(public, encode(request or asked.request), info)

    def release(
        self,
        asked: Asked,
        node: int = 3,
        *,
        reader: int | None = None,
        request: ReleaseRequest | None = None,
        proof_size: int | None = None,
    ) -> Answered:
        """Ask one node and open its answer."""
        response = RESPONSE.decode(
            self.nodes[node].releases.release(
                asked.index,
                reader or asked.reader,
                self.sealed_request(asked, node, request),
                proof_size,
            )
        )
        info = answer_info(self.world.ledger.ledger_id, asked.index, node)
        answer = ANSWER.decode(open_sealed(asked.key, response.sealed, info))
        return Answered(
            answer,
            COMMON.decode(answer.common),
            PAYLOAD.decode(answer.payload),
            None if response.proofs is None else PROOFS.decode(response.proofs),
        )

    def mark(self, member: int, event: EventId, kind: MarkKind, value: int | None = None) -> int:
        """Post a mark; return its log index."""
        content = encode(Mark(event, kind, value, MarkReason.COURT_ORDER))
        return self.placed(self.world.entry(member, Kind.MARK, content))
