"""
A read of one made-up person's history, for tests: scenes, what the reader collected, attacks.

The reader is member 1, its inquiry asks for years 2021, 2025 and 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec.structs
from tests.committee import Committee
from tests.world import seed

from tradeline_ledger.bundle import BUNDLE, Bundle
from tradeline_ledger.calendar import month_of
from tradeline_ledger.consent import Commitment, Terms, commitment
from tradeline_ledger.encoding import encode
from tradeline_ledger.event import Event, encode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.release import Answer, EntryProof, HistoryCommon, Proofs, YearKey
from tradeline_ledger.report import (
    Anchor,
    BundleVerdict,
    Reading,
    Released,
    SubjectKeys,
    read_report,
    verify_bundle,
)
from tradeline_ledger.schemas import JUDGMENT, PAYMENT_MADE, RETRACT, SUPERSEDE
from tradeline_ledger.tag import check_value
from tradeline_ledger.trust import TrustedLog

YEARS = (2021, 2025, 2026)
DAY = "2026-03-04"
ACCOUNT = seed("account")[:16]


@dataclass
class Scene:
    """A ledger with one consent and one inquiry, and everything that the reader is answered."""

    committee: Committee = field(default_factory=Committee)
    who: tuple[int, ...] = (1,)
    """The subject's identifiers."""

    # Events of contributors.

    def event(
        self, member: int, name: object, *, who: int = 1, on: str = DAY, **changes: Any
    ) -> Event:
        """Return a payment; `changes` replace fields of the record."""
        ref = seed("ref", member, name)[:16]
        values: dict[str, Any] = {
            "schema": PAYMENT_MADE.number,
            "version": 1,
            "occurred_on": on,
            "basis": 2,
            "ref": ref,
            "account": ACCOUNT,
            "check": check_value(self.committee.world.year_key(who, int(on[:4])), member, ref),
            "target": None,
            "fields": PAYMENT_MADE.values(currency="CNY", amount_minor=100, kind=1),
        }
        return Event(**(values | changes))

    def supersede(self, member: int, name: object, target: EventId, amount: int) -> Event:
        """Return a correction that puts another amount in the place of a payment's."""
        fields = PAYMENT_MADE.values(currency="CNY", amount_minor=amount, kind=1)
        replacement = (PAYMENT_MADE.number, 1, fields)
        return self.event(
            member,
            name,
            schema=SUPERSEDE.number,
            target=(target.index, target.position),
            fields=SUPERSEDE.values(reason=1, replacement=replacement),
        )

    def retract(self, member: int, name: object, target: EventId) -> Event:
        """Return a retraction."""
        return self.event(
            member,
            name,
            schema=RETRACT.number,
            target=(target.index, target.position),
            fields=RETRACT.values(reason=1),
        )

    def judgment(self, member: int, name: object) -> Event:
        """Return an event of category public record."""
        fields = JUDGMENT.values(authority="Court", document_no="1", status=1)
        return self.event(
            member, name, schema=JUDGMENT.number, basis=3, account=None, fields=fields
        )

    def row(
        self,
        member: int,
        event: Event,
        *,
        who: int = 1,
        year: int | None = None,
        category: int = 1,
        month: int | None = None,
    ) -> tuple[bytes, int, bytes]:
        """Return what a batch takes; keywords file the event where it does not belong."""
        filed = int(event.occurred_on[:4]) if year is None else year
        tag = self.committee.world.tag(member, who, filed, category)
        retain = month_of(event.occurred_on) + 60 if month is None else month
        return tag, retain, encode_event(event)

    def file(self, member: int, *events: Event, **filed: Any) -> list[EventId]:
        """Place one batch of events, and one of another person between them."""
        stranger = self.event(member, ("stranger", len(self.committee.world.leaves)), who=9)
        rows = [self.row(member, each, **filed) for each in events]
        rows.insert(1, self.row(member, stranger, who=9))
        index = self.committee.submit(member, rows, len(self.committee.world.leaves))
        places = [0, *range(2, len(rows))]
        return [EventId(index, place) for place in places]

    # The read.

    def ask(self, **changes: Any) -> int:
        """Post consent and inquiry; return the log index of the inquiry."""
        world = self.committee.world
        given = {key: changes.pop(key) for key in ("contributors", "categories") if key in changes}
        self.terms: Terms = self.make_terms(**changes)
        consent = self.committee.consent(self.terms)
        self.inquiry = self.committee.inquire(
            consent, years=YEARS, tag=world.tag(1, self.who[0], 2026, 3), **given
        )
        self.common: HistoryCommon = self.committee.common(self.inquiry, self.who)
        return self.inquiry

    def make_terms(self, **changes: Any) -> Terms:
        """Return terms that commit to the subject's year keys."""
        salt, world = seed("salt", 1, 2, 1), self.committee.world
        commitments = sorted(
            (year, commitment(salt, year, world.year_key(who, year)))
            for year in YEARS
            for who in self.who
        )
        listed = tuple(Commitment(year, hash_) for year, hash_ in commitments)
        return world.terms(commitments=listed, **changes)

    @property
    def subject(self) -> SubjectKeys:
        """The keys that the reader computes from the subject's identifiers."""
        world = self.committee.world
        return SubjectKeys(
            seed("salt", 1, 2, 1),
            tuple(
                tuple(YearKey(year, world.year_key(who, year)) for year in YEARS)
                for who in self.who
            ),
        )

    def log(self, size: int | None = None) -> TrustedLog:
        """Return the reader's trust, followed up to a checkpoint's size."""
        log = TrustedLog.start(self.committee.world.ledger)
        for step in self.committee.steps(size):
            log = log.advance(step)
        return log

    def answers(self, validators: Sequence[int] = (1, 2, 3, 4)) -> dict[int, Answer]:
        return {number: self.committee.answer(number, self.common) for number in validators}

    def released(self, **changes: Any) -> Released:
        """Return what the reader collected; `changes` replace parts."""
        committee, common = self.committee, self.common
        values: dict[str, Any] = {
            "checkpoint": committee.checkpoint(),
            "consistency": committee.consistency(common.size, len(committee.world.leaves)),
            "terms": encode(self.terms),
            "inquiry": committee.entry_proof(self.inquiry, common.size),
            "proofs": committee.proofs(common),
        }
        if "answers" not in changes:
            values["answers"] = self.answers()
        return Released(**(values | changes))

    def read(self, **changes: Any) -> Reading:
        """Return the verified report."""
        return read_report(self.log(), self.released(**changes), self.subject)

    def bundle(self) -> Bundle:
        """Return the bundle of the report."""
        return BUNDLE.decode(self.read().bundle)

    def changed(self, **changes: Any) -> bytes:
        """Return the bundle of the report with parts replaced, as an attacker would write it."""
        fields = msgspec.structs.asdict(self.bundle())
        assert set(changes) <= set(fields), changes
        return encode(tuple((fields | changes).values()))

    def verify(self, bundle: Bundle | bytes, *, subject: bool = True) -> BundleVerdict:
        """Verify a bundle with the genesis that the verifier trusts."""
        encoded = bundle if isinstance(bundle, bytes) else encode(bundle)
        anchor = Anchor(ledger_id=self.committee.world.ledger.ledger_id)
        return verify_bundle(encoded, anchor=anchor, subject=self.subject if subject else None)


def without_entry(proofs: Proofs, index: int) -> Proofs:
    """Return proofs without that of one entry."""
    kept = tuple(proof for proof in proofs.entries if proof.index != index)
    assert len(kept) < len(proofs.entries), index
    return Proofs(kept, proofs.events)


def without_event(proofs: Proofs, event: EventId) -> Proofs:
    """Return proofs without that of one event."""
    kept = tuple(p for p in proofs.events if (p.index, p.position) != (event.index, event.position))
    assert len(kept) < len(proofs.events), event
    return Proofs(proofs.entries, kept)


def with_entry(proofs: Proofs, proof: EntryProof) -> Proofs:
    """Return proofs with that of one entry put in, or in place of the one of its index."""
    others = [each for each in proofs.entries if each.index != proof.index]
    entries = sorted([*others, proof], key=lambda each: each.index)
    return Proofs(tuple(entries), proofs.events)


def full_scene() -> Scene:
    """Return a scene with an event of each standing, corrections and another inquiry."""
    scene = Scene()
    first, second = scene.file(2, scene.event(2, "a"), scene.event(2, "b"))
    (third,) = scene.file(3, scene.event(3, "c"))
    scene.file(2, scene.supersede(2, "d", first, 70))
    scene.file(3, scene.retract(3, "e", third))
    scene.file(4, scene.judgment(4, "f"), category=2)
    scene.committee.mark(2, (second.index, second.position), 1, None, 3)
    scene.committee.delete_body(second)
    world = scene.committee.world
    other = scene.committee.consent(world.terms(2, 3))
    scene.committee.inquire(other, 2, tag=world.tag(2, 1, 2026, 3))
    scene.ask()
    return scene
