"""
A small ledger with an entry of every kind that has rules, the same bytes every time.

Vectors, replay and fuzzing start from it. Sealing draws random numbers, so the sealed deposits come
from docs/vectors/sealed.json, or are made anew where `sealed` is None.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.world import DESK, GENESIS_MS, Institution, World, seed, subject

from tradeline_ledger.body import seal_bodies
from tradeline_ledger.consent import (
    CONSENT,
    Change,
    Consent,
    Status,
    Terms,
    consent_id,
    status_message,
)
from tradeline_ledger.custody_record import CustodyRow
from tradeline_ledger.deposit import Attachment, make_deposits, sealed_hash, share_root
from tradeline_ledger.encoding import encode
from tradeline_ledger.event import Event, References, bind, encode_event, report_from_json
from tradeline_ledger.history import EventId, HistoryRow, fold_head, fold_marks
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.inquiry import Inquiry, inquiry_header, key_hash, scope_hash, scope_tags
from tradeline_ledger.key import Key, KeyChange, Replaced
from tradeline_ledger.mark import Mark, MarkKind, MarkReason
from tradeline_ledger.merkle import leaf_hash, root_of
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import HistoryCommon, ReleasedRow, common_hash
from tradeline_ledger.sharing import split
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind, kinds_of
from tradeline_ledger.submission import (
    HEADER_BYTES,
    Batch,
    Deposit,
    Receipt,
    encode_headers,
    make_batch,
)
from tradeline_ledger.tag import Filer
from tradeline_ledger.transition import Executed

SEALED: Final = Path(__file__).parents[1] / "docs/vectors/sealed.json"
TODAY: Final = "2026-09-21"
WHO: Final = 7
"""The made-up person whom the story is about."""
ERASED: Final = 1
"""Position of the loan's event that is erased."""
SUBJECT_KEY: Final = SigningKey(seed("subject", WHO))
ONE_TIME: Final = PrivateKey.generate(b"".join(seed("one-time", part) for part in range(3)))
SALT: Final = seed("salt", "story")

LOAN: Final[list[dict[str, Any]]] = [
    {
        "type": "account.opened",
        "occurred_on": "2026-06-15",
        "basis": "contract",
        "ref": "row 1",
        "account": "loan 88",
        "fields": {
            "product": "personal_loan",
            "portfolio": "instalment",
            "role": "primary",
            "currency": "CNY",
            "limit_minor": 5_000_000,
            "term_months": 24,
            "rate_ppm": 98_000,
            "apr_ppm": 104_500,
            "fees": [{"fee": "origination", "amount_minor": 25_000}],
        },
    },
    {
        "type": "account.statement",
        "occurred_on": "2026-07-31",
        "basis": "contract",
        "ref": "row 2",
        "account": "loan 88",
        "fields": {
            "period": "2026-07",
            "currency": "CNY",
            "statement_balance_minor": -120,
            "days_past_due": 0,
        },
    },
    {
        "type": "account.delinquency",
        "occurred_on": "2026-08-31",
        "basis": "contract",
        "ref": "row 3",
        "account": "loan 88",
        "fields": {
            "first_delinquent_on": "2026-07-20",
            "days_past_due": 42,
            "stage": "days_30",
            "currency": "CNY",
            "past_due_minor": 231_000,
        },
    },
]
JUDGED: Final[list[dict[str, Any]]] = [
    {
        "type": "public.judgment",
        "occurred_on": "2026-08-03",
        "basis": "public",
        "ref": "case 12",
        "fields": {
            "authority": "People’s Court of Example",
            "document_no": "(2026) 12",
            "status": "in_force",
            "currency": "CNY",
            "amount_minor": 880_000,
        },
    }
]


@dataclass(frozen=True)
class Dealt:
    """The keys of a batch, shared out to the committee."""

    coefficients: bytes
    shares: tuple[bytes, ...]
    """By committee position."""
    deposits: tuple[Deposit, ...]
    sealed: tuple[bytes, ...]


@dataclass(frozen=True)
class Filed:
    """One batch with everything that only its contributor knows."""

    member: int
    events: tuple[Event, ...]
    encoded: tuple[bytes, ...]
    keys: tuple[bytes, ...]
    dealt: Dealt
    batch: Batch
    attachment: Attachment


@dataclass(frozen=True)
class Placed:
    """Log index and content of one entry of the story."""

    index: int
    content: bytes


class Story:
    """The ledger, block by block."""

    def __init__(self, sealed: dict[str, list[str]] | None) -> None:
        self.world = World()
        self._sealed = sealed
        self.receipts: dict[int, tuple[Receipt, ...]] = {}
        self.loan = self._file(1, 1, LOAN)
        self.judged = self._file(4, 2, JUDGED)
        self.submissions = [self._submit(filed) for filed in (self.loan, self.judged)]
        self.terms = self._terms()
        self.consent_id = consent_id(encode(self.terms))
        self.consent = self._post(1, Kind.CONSENT, self._consent())
        target = EventId(self.submissions[0].index, ERASED)
        self.erase = self._post(1, Kind.MARK, self._mark(target, MarkKind.ERASE, None))
        self.change = self._change()
        self.key = self._post(2, Kind.KEY, self._key())
        self.pause = self._post(3, Kind.STATUS, self._status(Change.PAUSE, 0))
        self.resume = self._post(3, Kind.STATUS, self._status(Change.RESUME, 1))
        self.inquiry = self._inquiry()
        self.inquired = self._post(1, Kind.INQUIRY, encode(self.inquiry))
        self.common = self._common()
        target = EventId(self.submissions[1].index, 0)
        self.retain = self._post(4, Kind.MARK, self._mark(target, MarkKind.RETAIN, 24_400))
        said = (CustodyRow(self.submissions[0].index, 0, 0),)
        self.custody = self._post(4, Kind.CUSTODY, encode(said), feed=0)
        self.again = self._deal_again()
        deposits = self.again.deposits
        self.redeal = self.world.redeposit(1, self.submissions[0].index, deposits, (1, 3, 4))
        self.redeposit = self._post(1, Kind.REDEPOSIT, encode(self.redeal))
        rows = (ReleasedRow(self.inquired.index, 3, common_hash(encode(self.common))),)
        self.released = self._post(3, Kind.RELEASED, encode(rows), feed=0)
        self.refused = self._post(2, Kind.INQUIRY, encode(self.inquiry))
        self.revoke = self._post(2, Kind.STATUS, self._status(Change.REVOKE, None))

    def _file(self, member: int, number: int, lines: Sequence[dict[str, Any]]) -> Filed:
        world, who = self.world, subject(WHO)
        filer = Filer(world.linker, world.institution(member).tag_key, member)
        references = References(seed("references", member))
        events, tags, months = [], [], []
        for line in lines:
            report = report_from_json(line, today=TODAY)
            event = bind(report, references, lambda year, ref: filer.check(who, year, ref))
            category = report.schema.category
            assert category is not None
            events.append(event)
            tags.append(filer.tag(who, int(event.occurred_on[:4]), category))
            year, month = int(event.occurred_on[:4]), int(event.occurred_on[5:7])
            months.append(year * 12 + month - 1 + world.ledger.params.retain_months(category))
        encoded = tuple(encode_event(event) for event in events)
        keys = tuple(seed("story key", number, i) for i in range(len(events)))
        return self._seal(member, number, tuple(events), encoded, keys, tags, months)

    def _seal(  # noqa: PLR0917 - what `_file` has put together
        self,
        member: int,
        number: int,
        events: tuple[Event, ...],
        encoded: tuple[bytes, ...],
        keys: tuple[bytes, ...],
        tags: list[bytes],
        months: list[int],
    ) -> Filed:
        ledger_id, epoch = self.world.ledger.ledger_id, self.world.registry.epoch
        bodies, hashes = seal_bodies(b"".join(keys), encoded, ledger_id, member, tags)
        headers = encode_headers(tags, months, hashes)
        rows = [headers[i : i + HEADER_BYTES] for i in range(0, len(headers), HEADER_BYTES)]
        root = root_of([leaf_hash(row) for row in rows])
        coefficients = b"".join(
            seed("story polynomial", number, i) for i in range(len(keys) * (epoch.threshold - 1))
        )
        dealt = self._deal(number, member, keys, coefficients, root)
        batch = make_batch(epoch.epoch, tags, months, hashes, dealt.deposits)
        attachment = Attachment(tuple(bodies), dealt.sealed)
        return Filed(member, events, encoded, keys, dealt, batch, attachment)

    def _deal(
        self, number: int, member: int, keys: Sequence[bytes], coefficients: bytes, root: bytes
    ) -> Dealt:
        """Share `keys` out to the committee; `root` is the batch's, `number` that of the pin."""
        world, epoch = self.world, self.world.registry.epoch
        shares = split(b"".join(keys), epoch.threshold, len(epoch.committee), coefficients)
        committee = [world.institution(each.member) for each in epoch.committee]
        if self._sealed is None:
            deposits, sealed = make_deposits(
                shares,
                [(each.id, each.hpke.public.encoded) for each in committee],
                ledger_id=world.ledger.ledger_id,
                member=member,
                epoch=epoch.epoch,
                events_root=root,
            )
        else:
            sealed = [bytes.fromhex(each) for each in self._sealed[f"deposits {number}"]]
            deposits = [
                Deposit(sealed_hash(each), share_root(own))
                for each, own in zip(sealed, shares, strict=True)
            ]
        return Dealt(coefficients, tuple(shares), tuple(deposits), tuple(sealed))

    def _deal_again(self) -> Dealt:
        """Deal the loan's keys again: nothing for the event that is erased."""
        batch, threshold = self.loan.batch, self.world.registry.epoch.threshold
        keys = [key if i != ERASED else bytes(32) for i, key in enumerate(self.loan.keys)]
        coefficients = b"".join(
            bytes(32) if i == ERASED else seed("story polynomial", 3, degree, i)
            for degree in range(threshold - 1)
            for i in range(len(keys))
        )
        return self._deal(3, self.loan.member, keys, coefficients, batch.events_root)

    def _submit(self, filed: Filed) -> Placed:
        receipts = self.world.receipts(filed.member, filed.batch)
        self.receipts[filed.member] = receipts
        return self._placed(
            self.world.block(self.world.submission(filed.member, filed.batch, receipts))
        )

    def _post(self, member: int, kind: Kind, content: bytes, feed: int | None = None) -> Placed:
        return self._placed(self.world.block(self.world.entry(member, kind, content, feed)))

    def _placed(self, executed: Executed) -> Placed:
        (placed,) = executed.placed
        return Placed(placed.index, self.world.contents[placed.index])

    def _terms(self) -> Terms:
        return self.world.terms(
            who=WHO,
            second=2,
            subject_key=SUBJECT_KEY.public,
            contributors=(1, 4, 5),
            years=(2025, 2026),
        )

    def _consent(self) -> bytes:
        encoded = encode(self.terms)
        return self.world.consent(
            self.terms, subject_signature=SUBJECT_KEY.sign("consent", encoded)
        )

    def _mark(self, target: EventId, what: MarkKind, value: int | None) -> bytes:
        return encode(Mark(target, what, value, MarkReason.COURT_ORDER))

    def _change(self) -> KeyChange:
        added = (Feed(3, SigningKey(seed("added")).public, kinds_of(Kind.SUBMISSION)),)
        node = SigningKey(seed("node", 2, "second")).public
        replaced = Replaced(node, None, None, None, None)
        return KeyChange(self.world.ledger.ledger_id, 2, 0, added, (), replaced)

    def _key(self) -> bytes:
        change = encode(self.change)
        return encode(Key(change, self.world.institution(2).root.sign("key", change)))

    def status_signature(self, change: Change, changes: int) -> bytes:
        """Return what the subject signs for a change, after `changes` others."""
        message = status_message(self.world.ledger.ledger_id, self.consent_id, change, 1, changes)
        return SUBJECT_KEY.sign("status", message)

    def _status(self, change: Change, changes: int | None) -> bytes:
        signature = None if changes is None else self.status_signature(change, changes)
        return encode(Status(self.consent_id, change, 1, signature))

    def _inquiry(self) -> Inquiry:
        return self.world.inquiry(
            self.consent_id,
            who=WHO,
            years=(2026,),
            contributors=(1, 4),
            key_hash=key_hash(ONE_TIME.public.encoded),
        )

    def scope(self) -> list[tuple[int, bytes]]:
        """Return the scope of the inquiry, ascending."""
        tag_keys = {each.id: [each.tag_key] for each in self.world.institutions}
        year_keys = [(2026, self.world.year_key(WHO, 2026))]
        return scope_tags(self.inquiry, self.world.registry.ever(), tag_keys, year_keys)

    def _common(self) -> HistoryCommon:
        loan, judged = self.submissions
        ids: dict[tuple[int, bytes], list[tuple[EventId, bytes]]] = {}
        for index, filed in ((loan.index, self.loan), (judged.index, self.judged)):
            for position in range(filed.batch.count):
                row = (filed.member, filed.batch.tag(position))
                event = (EventId(index, position), filed.batch.header(position))
                ids.setdefault(row, []).append(event)
        own = (EventId(self.inquired.index, 0), inquiry_header(self.inquiry))
        ids[1, self.inquiry.tag] = [own]
        erased = EventId(loan.index, ERASED)
        rows = []
        for (member, tag), events in sorted(ids.items()):
            marks = [(erased, self.erase.index)] if erased in [each[0] for each in events] else []
            rows.append(
                HistoryRow(
                    member, tag, len(events), fold_head(events), len(marks), fold_marks(marks)
                )
            )
        return HistoryCommon(
            self.world.ledger.ledger_id,
            self.inquired.index,
            self.world.head.size,
            self.world.root,
            scope_hash(self.scope()),
            tuple(rows),
        )

    def consent_record(self) -> Consent:
        """Return the consent as it was posted."""
        return CONSENT.decode(self.consent.content)

    @property
    def desk(self) -> SigningKey:
        """The feed key that signs the reader's entries."""
        return self.institution(1).feed_key(DESK)

    def institution(self, number: int) -> Institution:
        """Return one member with its keys."""
        return self.world.institution(number)


@cache
def story() -> Story:
    """Return the story with the deposits that are pinned; do not add to its ledger."""
    return Story(json.loads(SEALED.read_text(encoding="utf-8")))


assert GENESIS_MS == 1_790_000_000_000, "the story takes place in September 2026"
