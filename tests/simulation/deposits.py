"""
What a simulated contributor brings into custody: batches, and their keys for each new committee.

A committee member that is not asked, or not reached, has to fetch what it lacks from the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec.structs
from tests.simulation.keeping import asked
from tests.world import MINUTE_MS, seed

from tradeline_ledger import state
from tradeline_ledger.calendar import month_of
from tradeline_ledger.deposit import sealed_hash
from tradeline_ledger.encoding import encode
from tradeline_ledger.event import Event, encode_event
from tradeline_ledger.hpke import PublicKey, seal, tag_key_info
from tradeline_ledger.redeposit import Redeposit
from tradeline_ledger.registry import Role
from tradeline_ledger.schemas import PAYMENT_MADE
from tradeline_ledger.statement import Kind, content_hash
from tradeline_ledger.submission import (
    Batch,
    Deposit,
    Receipt,
    Submission,
    encode_submission,
    make_batch,
    sign_receipt,
)
from tradeline_ledger.tag import check_value
from tradeline_node.errors import RequestError
from tradeline_node.redeposit_service import RedepositOffer

if TYPE_CHECKING:
    import random

    from tests.simulation.keeping import Keeping
    from tests.simulation.members import Shared
    from tests.world import World

    from tradeline_ledger.registry import EpochRecord
    from tradeline_node.store import LedgerStore

DAY: Final = "2026-03-04"
YEAR: Final = 2026
SUBJECTS: Final = (1, 2)
OFFERED_MS: Final = 6_000
"""After which an offer is given up, and made anew if it has to be."""
LATER: Final = {"custody-tag-key-missing", "custody-deposit-wrong", "custody-placed"}
"""Refusals that may end, or that leave the others to ask."""


class Filed(NamedTuple):
    """A batch of a contributor, as its vault keeps it."""

    salt: int
    batch: Batch
    attachment: bytes
    events: tuple[tuple[int, bytes], ...]
    """Subject and content of each."""


@dataclass
class Offer:
    """Deposits on their way to a committee."""

    epoch: EpochRecord
    since_ms: int
    named: bytes
    """Hash that receipts name."""
    filed: Filed
    redeposit: RedepositOffer | None = None
    receipts: dict[int, Receipt] = field(default_factory=dict)

    @property
    def listed(self) -> tuple[Receipt, ...]:
        return tuple(self.receipts[each] for each in sorted(self.receipts))


class Depositor:
    """Brings batches of one member into custody, and keeps them there."""

    def __init__(self, member: int, shared: Shared, rng: random.Random) -> None:
        self.member, self._shared, self._rng = member, shared, rng
        self.offers: list[Offer] = []
        self.flying: list[Offer] = []
        """Signed, and not placed yet."""
        self.filed: dict[int, Filed] = {}
        """By log index of the submission."""
        self._made: dict[bytes, Filed] = {}
        """Batches that were brought somewhere and are not known to be placed, by hash."""
        self._dealt = 0

    def step(self, store: LedgerStore, *, filing: bool) -> None:
        """Bring what there is a step further, as `store` shows the ledger."""
        world = self._shared.world
        world.registry = store.registry
        if store.registry.member(self.member) is None:
            return
        self._look(store)
        if self._may(store):
            self._offer(store, filing=filing)
        # From here on a node that is asked may crash, and take its store along.
        for each in world.registry.epoch.committee:
            self._hand_tag_key(each.member)
        for offer in list(self.offers):
            self._bring(offer)

    def _offer(self, store: LedgerStore, *, filing: bool) -> None:
        """Make what is to be brought into custody."""
        world = self._shared.world
        old = [each for each in self.offers if each.since_ms + OFFERED_MS < world.time_ms]
        self.offers = [each for each in self.offers if each not in old]
        filing = filing and not any(each.redeposit is None for each in self.offers)
        if filing and self._rng.random() < 0.3:
            self.offers.append(self._new_batch())
        for index in self.unsafe(store):
            self.offers.append(self._deal_again(store, index))

    def settled(self, store: LedgerStore) -> bool:
        """Whether the committee in force holds the keys of every batch, as `store` shows."""
        self._look(store)
        moving = [each for each in (*self.offers, *self.flying) if each.redeposit]
        return not (self._may(store) and (moving or self.unsafe(store)))

    def _look(self, store: LedgerStore) -> None:
        """Find own batches in the log, whatever was heard of their entries."""
        for named, filed in list(self._made.items()):
            row = store.get(state.batch_key(named))
            if row is not None:
                self.filed[int.from_bytes(row, "big")] = filed
                del self._made[named]

    def ready(self, kind: Kind) -> Offer | None:
        """Take an offer that enough of its committee hold."""
        for offer in self.offers:
            fits = (offer.redeposit is None) == (kind == Kind.SUBMISSION)
            if fits and len(offer.receipts) >= offer.epoch.threshold:
                self.offers.remove(offer)
                self.flying.append(offer)
                return offer
        return None

    def unsafe(self, store: LedgerStore) -> list[int]:
        """Return the batches whose keys have to be dealt again, unless they are on their way."""
        if not self._may(store):
            return []
        under_way = {
            each.redeposit.index for each in (*self.offers, *self.flying) if each.redeposit
        }
        found = []
        for index in self.filed:
            deposits = state.deposits_at(store, index, store.head.size)
            if index in under_way or deposits is None or self._erased(store, index, whole=True):
                continue
            epoch = store.registry.epochs[deposits.epoch]
            bad = any(
                state.said_bad(store, deposits.placed, each.member) for each in epoch.committee
            )
            if bad or epoch is not store.registry.epoch:
                found.append(index)
        return found

    def _may(self, store: LedgerStore) -> bool:
        record = store.registry.member(self.member)
        return record is not None and record.has(Role.CONTRIBUTOR) and not record.suspended

    def _new_batch(self) -> Offer:
        world, rng, salt = self._shared.world, self._rng, self._shared.salt()
        events = [
            (who, _event(world, self.member, who, salt, place))
            for place, who in enumerate(rng.choices(SUBJECTS, k=rng.choice((1, 1, 2, 3))))
        ]
        months = [month_of(DAY) + 60] * len(events)
        tags = [_tag(world, self.member, who) for who, _ in events]
        rows = [
            (tag, month, event) for tag, month, (_, event) in zip(tags, months, events, strict=True)
        ]
        batch, attachment, _ = world.batch(self.member, rows, salt)
        sealed = [each or b"" for each in attachment.sealed]
        deposits = list(batch.deposits)
        if rng.random() < self._shared.knobs.bad_deposit:
            place = rng.randrange(len(sealed))
            sealed[place], deposits[place] = _spoilt(sealed[place], deposits[place])
            self._shared.spoilt.add(sealed_hash(sealed[place]))
            batch = make_batch(batch.epoch, tags, months, batch.body_hashes(), deposits)
        encoded = encode((attachment.bodies, tuple(sealed)))
        named = batch.hash(world.ledger.ledger_id, self.member)
        filed = self._made[named] = Filed(salt, batch, encoded, tuple(events))
        self._shared.filed[named] = filed
        return Offer(world.registry.epoch, world.time_ms, named, filed)

    def _deal_again(self, store: LedgerStore, index: int) -> Offer:
        world, filed, epoch = self._shared.world, self.filed[index], store.registry.epoch
        self._dealt += 1
        world.contents[index] = store.content(index)
        erased = self._erased(store, index)
        deposits, sealed = world.deal_again(
            self.member, index, salt=filed.salt, dealer=self._dealt, erased=erased
        )
        named = Redeposit(index, epoch.epoch, deposits, ()).hash(
            world.ledger.ledger_id, self.member
        )
        offer = RedepositOffer(index, epoch.epoch, deposits, tuple(sealed), None)
        return Offer(epoch, world.time_ms, named, filed, offer)

    def _erased(self, store: LedgerStore, index: int, *, whole: bool = False) -> tuple[int, ...]:
        """Return which events of a batch are erased; with `whole`, none unless all are."""
        count = self.filed[index].batch.count
        rows = [state.read(store, state.MARK, state.mark_key(index, i)) for i in range(count)]
        erased = tuple(i for i, row in enumerate(rows) if row is not None and row.erased)
        return erased if not whole or len(erased) == count else ()

    def _bring(self, offer: Offer) -> None:
        """Ask those of the committee that gave no receipt; not all of them, not always."""
        for each in offer.epoch.committee:
            if each.member in offer.receipts or self._rng.random() < 0.5:
                continue
            answer = self._shared.ask(
                each.member, lambda node: asked(lambda: self._put(offer, node))
            )
            if answer is None and self._shared.is_byzantine(each.member):
                answer = self._false_receipt(each.member, offer.named)
            if isinstance(answer, Receipt):
                offer.receipts[each.member] = answer
            elif isinstance(answer, RequestError) and answer.code not in LATER:
                self.offers.remove(offer)
                return

    def _put(self, offer: Offer, node: Keeping) -> Receipt:
        again, filed = offer.redeposit, offer.filed
        if again is None:
            return node.service.accept(self.member, filed.batch.encode(), filed.attachment)
        try:
            return node.redeposits.accept(self.member, again)
        except RequestError as error:
            if error.code != "custody-attachment-missing":
                raise
            return node.redeposits.accept(
                self.member, msgspec.structs.replace(again, attachment=filed.attachment)
            )

    def _false_receipt(self, validator: int, named: bytes) -> Receipt:
        """Return what a Byzantine member signs without keeping anything."""
        world = self._shared.world
        return sign_receipt(
            world.institution(validator).node,
            world.ledger.ledger_id,
            validator=validator,
            member=self.member,
            batch=named,
            expires_ms=world.time_ms + 60 * MINUTE_MS,
        )

    def _hand_tag_key(self, recipient: int) -> None:
        world = self._shared.world

        def put(node: Keeping) -> None:
            record = world.registry.member(self.member)
            assert record is not None, self.member
            if node.tag_keys.has(record) or self._rng.random() < 0.5:
                return
            public = PublicKey.from_bytes(world.institution(recipient).hpke.public.encoded)
            info = tag_key_info(world.ledger.ledger_id, self.member, recipient, public.key_id)
            key = world.institution(self.member).tag_key
            asked(lambda: node.tag_keys.put(world.registry, self.member, seal(public, key, info)))

        self._shared.ask(recipient, put)


def made(world: World, member: int, offer: Offer) -> tuple[int, bytes, bytes]:
    """Return kind, content and its hash of the entry that places an offer."""
    if offer.redeposit is None:
        submission = Submission(offer.filed.batch, offer.listed)
        hash_ = submission.content_hash(world.ledger.ledger_id, member)
        return Kind.SUBMISSION, encode_submission(offer.filed.batch, offer.listed), hash_
    again = offer.redeposit
    content = encode(Redeposit(again.index, again.epoch, again.deposits, offer.listed))
    return Kind.REDEPOSIT, content, content_hash(Kind.REDEPOSIT, content)


def _event(world: World, member: int, who: int, salt: int, place: int) -> bytes:
    ref = seed("ref", member, salt, place)[:16]
    values: dict[str, Any] = {
        "schema": PAYMENT_MADE.number,
        "version": 1,
        "occurred_on": DAY,
        "basis": 2,
        "ref": ref,
        "account": seed("account")[:16],
        "check": check_value(world.year_key(who, YEAR), member, ref),
        "target": None,
        "fields": PAYMENT_MADE.values(currency="CNY", amount_minor=100 + place, kind=1),
    }
    return encode_event(Event(**values))


def _spoilt(sealed: bytes, deposit: Deposit) -> tuple[bytes, Deposit]:
    """Return a deposit that does not open, as its dealer commits to it."""
    other = sealed[:-1] + bytes([sealed[-1] ^ 1])
    return other, Deposit(sealed_hash(other), deposit.share_root)


def _tag(world: World, member: int, who: int) -> bytes:
    return world.tag(member, who, YEAR)
