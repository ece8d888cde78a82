"""
Ladders: an entry with every defect at once, repaired rung by rung.

Each rung names the outcome that the entry gets, and repairs what it was rejected for; all later
defects stay. So a ladder shows the order of checks, and all of them together show every outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import pytest
from tests.draft import Draft, key_content, make_world
from tests.ledger.governance_ladders import PROPOSAL, VOTE, start_proposal, start_vote
from tests.world import BULK, DAY_MS, DESK, MINUTE_MS, World, seed

from tradeline_ledger import calendar, state
from tradeline_ledger.advice import ADVICE
from tradeline_ledger.consent import (
    Change,
    Commitment,
    Consent,
    Frequency,
    SecondSignature,
    Status,
    Terms,
    consent_id,
    status_message,
)
from tradeline_ledger.custody_record import CustodyRow
from tradeline_ledger.encoding import encode
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Replaced
from tradeline_ledger.mark import Mark
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.quality import QUALITY_STATE, Listed
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import ReleasedRow
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import Kind, kinds_of
from tradeline_ledger.submission import Batch, Deposit, encode_submission

Repair = Callable[[Any], object]
Rung = tuple[Outcome, Repair]
SUBJECT: Final = SigningKey(seed("subject"))
WEAK: Final = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def put(**fields: Any) -> Repair:
    """Return a repair that sets fields of the draft."""

    def repair(draft: Any) -> None:
        for name, value in fields.items():
            assert hasattr(draft, name), name
            setattr(draft, name, value)

    return repair


def done(_: object) -> None:
    """The last rung has nothing left to repair."""


# Submissions, and everything that drops an entry


class SubmissionDraft(Draft):
    batch: Batch
    epoch = 1
    deposits = 3
    validators: tuple[int, ...] = (1, 2)

    def encoded(self, _: Draft) -> bytes:
        batch = replace(self.batch, epoch=self.epoch, deposits=self.batch.deposits[: self.deposits])
        receipts = self.world.receipts(self.member, batch, self.validators)
        return encode_submission(batch, receipts)


def one_batch(world: World, salt: str) -> Batch:
    row = (world.tag(1, 1, 2026), 24_400, b"event")
    return world.batch(1, [row], salt)[0]


def end_a_feed(world: World, member: int, number: int) -> None:
    feed = Feed(number, SigningKey(seed("ended", number)).public, kinds_of(Kind.MARK))
    world.block(world.entry(2, Kind.KEY, key_content(world, member, 0, added=(feed,))))
    world.block(world.entry(2, Kind.KEY, key_content(world, member, 1, ended=(number,))))


def submission() -> Draft:
    world = make_world(refused_per_day=1)
    end_a_feed(world, 5, 3)
    batch = one_batch(world, "first")
    accepted = world.block(world.submission(1, batch)).placed[0].applied.outcome
    assert accepted is Outcome.ACCEPTED
    revoke = encode(Status(bytes(16), Change.REVOKE, 1, None))
    unknown = encode(Mark(EventId(0, 0), 1, None, 1))
    world.block(world.entry(5, Kind.STATUS, revoke), world.entry(5, Kind.MARK, unknown))
    draft = SubmissionDraft(
        world,
        member=9,
        kind=Kind.SUBMISSION,
        content=lambda _: b"",
        feed=7,
        ledger_id=bytes(32),
        key=SigningKey(seed("nobody")),
        seq=lambda next_seq: max(next_seq - 1, 0),
        prev=seed("prev"),
        hash=seed("hash"),
        after_content=b"\x00",
        after_statement=b"\x00",
        after_entry=b"\x00",
    )
    draft.batch, draft.content = batch, draft.encoded
    return draft


def tomorrow(draft: Draft) -> None:
    draft.world.time_ms += DAY_MS


SUBMISSION: Final[list[Rung]] = [
    (Outcome.ENTRY_MALFORMED, put(after_entry=b"")),
    (Outcome.STATEMENT_MALFORMED, put(after_statement=b"")),
    (Outcome.LEDGER_WRONG, put(ledger_id=None)),
    (Outcome.MEMBER_UNKNOWN, put(member=5)),
    (Outcome.FEED_UNKNOWN, put(feed=3)),
    (Outcome.KEY_ENDED, put(feed=DESK)),
    (Outcome.SIGNATURE_WRONG, put(key=None)),
    (Outcome.POSITION_PAST, put(seq=lambda next_seq: next_seq + 1)),
    (Outcome.POSITION_AHEAD, put(seq=lambda next_seq: next_seq)),
    (Outcome.PREV_WRONG, put(prev=None)),
    (Outcome.SUBMISSION_MALFORMED, put(after_content=b"")),
    (Outcome.CONTENT_HASH_WRONG, put(hash=None)),
    (Outcome.REFUSED_TOO_OFTEN, tomorrow),
    (Outcome.KIND_NOT_ALLOWED, put(feed=BULK)),
    (Outcome.ROLE_MISSING, put(member=1)),
    (Outcome.EPOCH_WRONG, put(epoch=0)),
    (Outcome.DEPOSITS_WRONG, put(deposits=4)),
    (Outcome.RECEIPTS_TOO_FEW, put(validators=(1, 2, 4))),
    (Outcome.BATCH_DUPLICATE, lambda draft: put(batch=one_batch(draft.world, "second"))(draft)),
    (Outcome.ACCEPTED, done),
]


# Consents, and everything that refuses any kind


class ConsentDraft(Draft):
    terms: Terms
    signer: SigningKey
    subject_signs = False

    def encoded(self, _: Draft) -> bytes:
        terms = encode(self.terms)
        second = SecondSignature(DESK, self.signer.sign("consent", terms))
        subject = SUBJECT.sign("consent", terms) if self.subject_signs else None
        return encode(Consent(terms, second, subject))


def fix(**fields: Any) -> Repair:
    """Return a repair of the terms."""

    def repair(draft: ConsentDraft) -> None:
        old = {name: getattr(draft.terms, name) for name in draft.terms.__struct_fields__}
        draft.terms = Terms(**(old | fields))

    return repair


def second_signs(draft: ConsentDraft) -> None:
    draft.signer = draft.world.institution(draft.terms.second).feed_key(DESK)


GOOD_TERMS: Final[dict[str, Any]] = {"subject_key": SUBJECT.public}


def consent() -> Draft:
    world = make_world()
    good = world.terms(**GOOD_TERMS)
    signed = world.consent(good, subject_signature=SUBJECT.sign("consent", encode(good)))
    assert world.block(world.entry(1, Kind.CONSENT, signed)).placed[0].applied.outcome == 0
    before = world.terms(ref_hash=seed("second"), supersedes=bytes(16), **GOOD_TERMS)
    revoke = encode(Status(consent_id(encode(before)), Change.REVOKE, 1, None))
    world.block(world.entry(2, Kind.STATUS, revoke))
    draft = ConsentDraft(world, 4, kind=99, content=lambda _: b"", feed=BULK, after_content=b"\x00")
    draft.content, draft.signer = draft.encoded, SigningKey(seed("nobody"))
    draft.terms = world.terms(
        ledger_id=bytes(32),
        grantee=2,
        basis=2,
        categories=(),
        purpose=99,
        contributors=(77,),
        until_ms=world.time_ms,
        second=4,
        subject_key=SUBJECT.public,
    )
    return draft


def commitments_as_accepted(draft: ConsentDraft) -> None:
    """The commitments of drafted terms have another salt for other parties."""
    fix(commitments=draft.world.terms().commitments, second=2)(draft)


CONSENT: Final[list[Rung]] = [
    (Outcome.KIND_UNKNOWN, put(kind=Kind.DISPUTE)),
    (Outcome.KIND_RESERVED, put(kind=Kind.CONSENT)),
    (Outcome.KIND_NOT_ALLOWED, put(feed=DESK)),
    (Outcome.CONTENT_MALFORMED, put(after_content=b"")),
    (Outcome.ROLE_MISSING, put(member=1)),
    (
        Outcome.CONSENT_LEDGER_WRONG,
        lambda draft: fix(ledger_id=draft.world.ledger.ledger_id)(draft),
    ),
    (Outcome.CONSENT_GRANTEE_WRONG, fix(grantee=1)),
    (Outcome.CONSENT_BASIS_RESERVED, fix(basis=1)),
    (Outcome.CONSENT_TERMS_INVALID, fix(categories=(1, 2))),
    (Outcome.CONSENT_PURPOSE_UNKNOWN, fix(purpose=1)),
    (Outcome.CONSENT_CONTRIBUTOR_UNKNOWN, fix(contributors=None)),
    (
        Outcome.CONSENT_WINDOW_PAST,
        lambda draft: fix(until_ms=draft.world.terms().until_ms)(draft),
    ),
    (Outcome.CONSENT_SECOND_UNKNOWN, fix(second=3)),
    (Outcome.CONSENT_SAME_GROUP, commitments_as_accepted),
    (Outcome.CONSENT_SECOND_UNSIGNED, second_signs),
    (Outcome.CONSENT_SUBJECT_UNSIGNED, put(subject_signs=True)),
    (Outcome.CONSENT_DUPLICATE, fix(ref_hash=seed("second"), supersedes=bytes(16))),
    (Outcome.CONSENT_REVOKED_BEFORE, fix(ref_hash=seed("third"))),
    (Outcome.CONSENT_SUPERSEDES_WRONG, fix(supersedes=None)),
    (Outcome.ACCEPTED, done),
]


# Changes of status


class StatusDraft(Draft):
    consent = bytes(16)
    change = Change.PAUSE
    signer: SigningKey | None = None

    def encoded(self, _: Draft) -> bytes:
        signature = None
        if self.signer is not None:
            row = state.read(self.world, state.CONSENT, state.consent_key(self.consent))
            assert row is not None
            message = status_message(
                self.world.ledger.ledger_id, self.consent, self.change, 1, row.changes
            )
            signature = self.signer.sign("status", message)
        return encode(Status(self.consent, self.change, 1, signature))


def grant(world: World, name: str, **changes: Any) -> bytes:
    """Return the id of an accepted consent of reader 1, second 2."""
    terms = world.terms(ref_hash=seed(name), subject_key=SUBJECT.public, **changes)
    encoded = encode(terms)
    content = world.consent(terms, subject_signature=SUBJECT.sign("consent", encoded))
    placed = world.block(world.entry(1, Kind.CONSENT, content)).placed[0]
    assert placed.applied.outcome is Outcome.ACCEPTED, placed.applied
    return consent_id(encoded)


def change_status(world: World, member: int, consent_: bytes, change: Change) -> None:
    content = encode(Status(consent_, change, 1, None))
    placed = world.block(world.entry(member, Kind.STATUS, content)).placed[0]
    assert placed.applied.outcome is Outcome.ACCEPTED, placed.applied


def status() -> Draft:
    world = make_world()
    revoked, paused = grant(world, "revoked"), grant(world, "paused")
    change_status(world, 2, revoked, Change.REVOKE)
    change_status(world, 2, paused, Change.PAUSE)
    draft = StatusDraft(world, 3, kind=Kind.STATUS, content=lambda _: b"", feed=DESK)
    draft.content = draft.encoded
    return draft


STATUS: Final[list[Rung]] = [
    (
        Outcome.STATUS_CONSENT_UNKNOWN,
        lambda draft: put(consent=named(draft.world, "revoked"))(draft),
    ),
    (Outcome.STATUS_NOT_ALLOWED, put(signer=SigningKey(seed("nobody")))),
    (Outcome.STATUS_SUBJECT_UNSIGNED, put(signer=SUBJECT)),
    (Outcome.STATUS_CONSENT_ENDED, lambda draft: put(consent=named(draft.world, "paused"))(draft)),
    (Outcome.STATUS_WITHOUT_EFFECT, put(change=Change.RESUME)),
    (Outcome.STATUS_PAUSED_BY_OTHER, put(member=2, signer=None)),
    (Outcome.ACCEPTED, done),
]


def named(world: World, name: str) -> bytes:
    """Return the id of the consent that `grant` accepted under a name."""
    return consent_id(encode(world.terms(ref_hash=seed(name), subject_key=SUBJECT.public)))


# Inquiries


class InquiryDraft(Draft):
    consents: dict[str, bytes]
    fields: dict[str, Any]

    def encoded(self, _: Draft) -> bytes:
        return encode(self.world.inquiry(**self.fields))


def ask(**fields: Any) -> Repair:
    """Return a repair of the inquiry; a consent is named as in `inquiry`."""

    def repair(draft: InquiryDraft) -> None:
        if "consent" in fields:
            fields["consent"] = draft.consents[fields["consent"]]
        draft.fields |= fields

    return repair


def inquiry() -> Draft:
    world = make_world()
    scope: dict[str, Any] = {"contributors": (1, 4), "frequency": Frequency(0, 1)}
    consents = {
        name: grant(world, name, **scope)
        for name in ("revoked", "terminated", "superseded", "paused", "used", "fresh")
    }
    change_status(world, 2, consents["revoked"], Change.REVOKE)
    change_status(world, 1, consents["terminated"], Change.TERMINATE)
    grant(world, "newer", supersedes=consents["superseded"], **scope)
    change_status(world, 2, consents["paused"], Change.PAUSE)
    soon = world.time_ms + 10_000
    consents["expired"] = grant(world, "expired", until_ms=soon, **scope)
    consents["not yet"] = grant(world, "not yet", from_ms=soon + DAY_MS, **scope)
    content = encode(world.inquiry(consents["used"], contributors=(1,)))
    used = world.block(world.entry(1, Kind.INQUIRY, content), later_ms=10_000).placed[0]
    assert used.applied.outcome is Outcome.ACCEPTED
    draft = InquiryDraft(
        world,
        2,
        kind=Kind.INQUIRY,
        content=lambda _: b"",
        feed=DESK,
        created_ms=lambda now_ms: now_ms - 16 * MINUTE_MS,
    )
    draft.content, draft.consents = draft.encoded, consents
    draft.fields = {
        "consent": bytes(16),
        "purpose": 2,
        "categories": (1, 3),
        "contributors": None,
        "years": (2024, 2025),
        "retain_month": 24_000,
    }
    return draft


INQUIRY: Final[list[Rung]] = [
    (Outcome.INQUIRY_CONSENT_UNKNOWN, ask(consent="revoked")),
    (Outcome.INQUIRY_READER_WRONG, put(member=1)),
    (Outcome.INQUIRY_CONSENT_REVOKED, ask(consent="terminated")),
    (Outcome.INQUIRY_CONSENT_TERMINATED, ask(consent="superseded")),
    (Outcome.INQUIRY_CONSENT_SUPERSEDED, ask(consent="paused")),
    (Outcome.INQUIRY_CONSENT_PAUSED, ask(consent="not yet")),
    (Outcome.INQUIRY_CONSENT_NOT_YET, ask(consent="expired")),
    (Outcome.INQUIRY_CONSENT_EXPIRED, ask(consent="used")),
    (Outcome.INQUIRY_PURPOSE_WRONG, ask(purpose=1)),
    (Outcome.INQUIRY_CATEGORY_OUTSIDE, ask(categories=(1,))),
    (Outcome.INQUIRY_CONTRIBUTOR_OUTSIDE, ask(contributors=(4,))),
    (Outcome.INQUIRY_YEAR_OUTSIDE, ask(years=(2025,))),
    (Outcome.INQUIRY_CLOCK_SKEWED, put(created_ms=lambda now_ms: now_ms)),
    (Outcome.INQUIRY_YEAR_MISSING, ask(years=(2025, 2026))),
    (
        Outcome.INQUIRY_RETAIN_WRONG,
        lambda draft: ask(retain_month=calendar.month(draft.world.time_ms, 480) + 24)(draft),
    ),
    (Outcome.INQUIRY_FREQUENCY_USED, ask(consent="fresh")),
    (Outcome.ACCEPTED, done),
]


# Released records


class ReleasedDraft(Draft):
    inquiries: tuple[int, ...] = ()

    def encoded(self, _: Draft) -> bytes:
        return encode(tuple(ReleasedRow(each, 1, bytes(32)) for each in self.inquiries))


def released() -> Draft:
    world = make_world()
    consent_ = grant(world, "released", frequency=Frequency(1, 9))
    indexes = []
    for _ in range(2):
        content = encode(world.inquiry(consent_))
        indexes.append(world.block(world.entry(1, Kind.INQUIRY, content)).placed[0].index)
    node = Replaced(world.institution(5).node.public, None, None, None, None)
    world.block(world.entry(2, Kind.KEY, key_content(world, 5, 0, replaced=node)))
    once = encode((ReleasedRow(indexes[0], 1, bytes(32)),))
    world.block(world.entry(2, Kind.RELEASED, once, feed=0))
    draft = ReleasedDraft(world, 5, kind=Kind.MARK, content=lambda _: b"", feed=0)
    draft.content = draft.encoded
    return draft


def release_rows(*places: int | None) -> Repair:
    """Return a repair that names inquiries by their place, None for one that is none."""

    def repair(draft: ReleasedDraft) -> None:
        rows = [key for key in sorted(draft.world.rows) if key[:1] == b"I"]
        indexes = [int.from_bytes(row[1:], "big") for row in rows]
        draft.inquiries = tuple(0 if place is None else indexes[place] for place in places)

    return repair


RELEASED: Final[list[Rung]] = [
    (Outcome.KIND_NOT_ALLOWED, put(kind=Kind.RELEASED)),
    (Outcome.CONTENT_MALFORMED, release_rows(None, 0, 1)),
    (Outcome.ROLE_MISSING, put(member=2)),
    (Outcome.RELEASED_INQUIRY_UNKNOWN, release_rows(0, 1)),
    (Outcome.RELEASED_TWICE, release_rows(1)),
    (Outcome.ACCEPTED, done),
]


# Marks


class MarkDraft(Draft):
    target = EventId(0, 7)
    what = 3
    value: int | bytes | None = 24_400
    reason = 99

    def encoded(self, _: Draft) -> bytes:
        return encode(Mark(self.target, self.what, self.value, self.reason))


def mark() -> Draft:
    world = make_world()
    rows = [(world.tag(1, 1, 2026), 24_400, b"event"), (world.tag(1, 2, 2026), 24_400, b"event")]
    batch = world.batch(1, rows)[0]
    placed = world.block(world.submission(1, batch)).placed[0]
    erased = encode(Mark(EventId(placed.index, 0), 1, None, 1))
    world.block(world.entry(1, Kind.MARK, erased))
    draft = MarkDraft(world, 5, kind=Kind.MARK, content=lambda _: b"", feed=BULK)
    draft.content = draft.encoded
    return draft


def event(position: int) -> Repair:
    """Return a repair that aims at an event of the only submission."""

    def repair(draft: MarkDraft) -> None:
        (row,) = [key for key in draft.world.rows if key[:1] == b"S"]
        draft.target = EventId(int.from_bytes(row[1:], "big"), position)

    return repair


MARK: Final[list[Rung]] = [
    (Outcome.CONTENT_MALFORMED, put(reason=3)),
    (Outcome.ROLE_MISSING, put(member=3)),
    (Outcome.MARK_RESERVED, put(what=1)),
    (Outcome.MARK_TARGET_UNKNOWN, event(0)),
    (Outcome.MARK_NOT_OWN, put(member=1)),
    (Outcome.MARK_VALUE_WRONG, put(value=None)),
    (Outcome.MARK_WITHOUT_EFFECT, event(1)),
    (Outcome.ACCEPTED, done),
]


# Key changes


class KeyDraft(Draft):
    changed = 9
    of = bytes(32)
    n = 7
    signer = SigningKey(seed("nobody"))
    added: tuple[Feed, ...] = ()
    ended: tuple[int, ...] = (9,)
    replaced = Replaced(None, None, None, bytes(1216), None)

    def encoded(self, _: Draft) -> bytes:
        return key_content(
            self.world,
            self.changed,
            self.n,
            added=self.added,
            ended=self.ended,
            replaced=self.replaced,
            signer=self.signer,
            ledger_id=self.of,
        )


MARKS_ONLY: Final = kinds_of(Kind.MARK)


def some_feeds(*numbers: int, kinds: int = MARKS_ONLY) -> tuple[Feed, ...]:
    return tuple(Feed(n, SigningKey(seed("ladder", n)).public, kinds) for n in numbers)


def key() -> Draft:
    world = make_world()
    draft = KeyDraft(world, 2, kind=Kind.KEY, content=lambda _: b"", feed=DESK)
    draft.content = draft.encoded
    draft.added = (Feed(1, WEAK, 0), Feed(3, world.institution(1).note.public, 0))
    return draft


def new_feed_numbers(draft: KeyDraft) -> None:
    """Leave one key in use elsewhere, one weak key, and no kinds."""
    draft.added = (Feed(3, draft.added[1].key, 0), Feed(4, WEAK, 0))


KEY: Final[list[Rung]] = [
    (Outcome.KEY_MEMBER_UNKNOWN, put(changed=3)),
    (
        Outcome.KEY_CHANGE_WRONG_LEDGER,
        lambda draft: put(of=draft.world.ledger.ledger_id)(draft),
    ),
    (Outcome.KEY_CHANGE_OUT_OF_TURN, put(n=0)),
    (
        Outcome.KEY_ROOT_UNSIGNED,
        lambda draft: put(signer=draft.world.institution(3).root)(draft),
    ),
    (Outcome.KEY_EPOCH_RESERVED, put(replaced=Replaced(None, None, None, None, None))),
    (Outcome.KEY_FEED_REUSED, new_feed_numbers),
    (Outcome.KEY_FEED_ABSENT, put(ended=())),
    (
        Outcome.KEY_WEAK,
        lambda draft: put(added=(draft.added[0], *some_feeds(4, kinds=0)))(draft),
    ),
    (Outcome.KEY_REUSED, put(added=some_feeds(3, 4, kinds=0))),
    (Outcome.KEY_KINDS_WRONG, put(added=())),
    (Outcome.KEY_WITHOUT_EFFECT, put(added=some_feeds(*range(3, 258)))),
    (Outcome.KEY_TOO_MANY, put(added=some_feeds(*range(3, 257)))),
    (Outcome.ACCEPTED, done),
]


# Custody records


class CustodyDraft(Draft):
    rows: tuple[CustodyRow, ...] = ()

    def encoded(self, _: Draft) -> bytes:
        return encode(self.rows)


def custody() -> Draft:
    world = make_world()
    world.block(world.submission(1, one_batch(world, "late")))
    world.time_ms += DAY_MS
    for salt in ("said", "open"):
        world.block(world.submission(1, one_batch(world, salt)))
    node = Replaced(world.institution(5).node.public, None, None, None, None)
    world.block(world.entry(2, Kind.KEY, key_content(world, 5, 0, replaced=node)))
    once = encode((CustodyRow(submitted(world)[1], 0, 0),))
    world.block(world.entry(4, Kind.CUSTODY, once, feed=0))
    draft = CustodyDraft(world, 5, kind=Kind.REDEPOSIT, content=lambda _: b"", feed=0)
    draft.content = draft.encoded
    return draft


def submitted(world: World) -> list[int]:
    """Return the log indexes of the accepted submissions."""
    return [int.from_bytes(key[1:], "big") for key in sorted(world.rows) if key[:1] == b"S"]


def held(*places: int | None, epoch: int = 0) -> Repair:
    """Return a repair that names submissions by their place, None for one that is none."""

    def repair(draft: CustodyDraft) -> None:
        indexes = submitted(draft.world)
        draft.rows = tuple(
            CustodyRow(0 if place is None else indexes[place], epoch, 1) for place in places
        )

    return repair


CUSTODY: Final[list[Rung]] = [
    (Outcome.KIND_NOT_ALLOWED, put(kind=Kind.CUSTODY)),
    (Outcome.CONTENT_MALFORMED, held(None, 0, 1, epoch=1)),
    (Outcome.CUSTODY_TARGET_UNKNOWN, held(0, 1, epoch=1)),
    (Outcome.CUSTODY_EPOCH_WRONG, held(0, 1)),
    (Outcome.CUSTODY_WITHOUT_DEPOSIT, put(member=3)),
    (Outcome.CUSTODY_RECEIPT_GIVEN, put(member=4)),
    (Outcome.CUSTODY_LATE, held(1, 2)),
    (Outcome.CUSTODY_TWICE, held(2)),
    (Outcome.ACCEPTED, done),
]


# Re-deposits


class RedepositDraft(Draft):
    dealt: tuple[Deposit, ...]
    target = 0
    epoch = 0
    deposits = 3
    validators: tuple[int, ...] = (1, 2)

    def encoded(self, _: Draft) -> bytes:
        dealt = self.dealt[: self.deposits]
        content = self.world.redeposit(
            1, self.target, dealt, self.validators, epoch=self.epoch, expires_ms=2**53
        )
        return encode(content)


def redeposit() -> Draft:
    world = make_world()
    for salt in ("erased", "live"):
        world.block(world.submission(1, one_batch(world, salt)))
    erased, live = submitted(world)
    order = encode(Mark(EventId(erased, 0), 1, None, 1))
    world.block(world.entry(1, Kind.MARK, order))
    world.open_epoch(1, 2, 3, 4)
    dealt, _ = world.deal_again(1, live, salt="live")
    before = encode(world.redeposit(1, live, dealt))
    applied = world.block(world.entry(1, Kind.REDEPOSIT, before)).placed[0].applied
    assert applied.outcome is Outcome.ACCEPTED, applied
    draft = RedepositDraft(
        world, 5, kind=Kind.REDEPOSIT, content=lambda _: b"", feed=BULK, after_content=b"\x00"
    )
    draft.content, draft.dealt = draft.encoded, dealt
    return draft


def deal_anew(draft: RedepositDraft) -> None:
    draft.dealt = draft.world.deal_again(1, draft.target, salt="live", dealer=2)[0]


def redeposits(place: int) -> Repair:
    """Return a repair that aims at one of the submissions."""
    return lambda draft: put(target=submitted(draft.world)[place])(draft)


REDEPOSIT: Final[list[Rung]] = [
    (Outcome.KIND_NOT_ALLOWED, put(feed=DESK)),
    (Outcome.CONTENT_MALFORMED, put(after_content=b"")),
    (Outcome.ROLE_MISSING, put(member=3)),
    (Outcome.REDEPOSIT_TARGET_UNKNOWN, redeposits(0)),
    (Outcome.REDEPOSIT_NOT_OWN, put(member=1)),
    (Outcome.REDEPOSIT_ERASED, redeposits(1)),
    (Outcome.REDEPOSIT_EPOCH_WRONG, put(epoch=1)),
    (Outcome.REDEPOSIT_DEPOSITS_WRONG, put(deposits=4)),
    (Outcome.REDEPOSIT_RECEIPTS_TOO_FEW, put(validators=(1, 2, 3))),
    (Outcome.REDEPOSIT_DUPLICATE, deal_anew),
    (Outcome.ACCEPTED, done),
]


# Quality statements


class QualityDraft(Draft):
    month = 24_320 + 2
    size = 2**40
    listed: tuple[Listed, ...] = ()
    corrections = 2
    supersedes: int | None = 7

    def encoded(self, _: Draft) -> bytes:
        return encode(
            (
                1,
                self.month,
                self.size,
                self.supersedes,
                1,
                *(0, 0, (), 0, 0),
                self.listed,
                (self.corrections, 0, 0, 0, 0, 0),
                bytes(8 * self.corrections),
                b"",
            )
        )


def quality() -> Draft:
    world = make_world()
    for member in (1, 2):
        world.block(world.submission(member, one_batch(world, f"of {member}")))
    before = QualityDraft(world, 1, kind=Kind.QUALITY, content=lambda _: b"", feed=DESK)
    put(month=24_320, size=world.head.size, supersedes=None, corrections=0)(before)
    before.content = before.encoded
    assert place_entry(world, before.entry()) is Outcome.ACCEPTED
    draft = QualityDraft(
        world, 5, kind=Kind.QUALITY, content=lambda _: b"", feed=BULK, after_content=b"\x00"
    )
    draft.content = draft.encoded
    draft.listed = (Listed(0, 2),)
    return draft


def place_entry(world: World, entry: bytes) -> Outcome:
    return world.block(entry).placed[0].applied.outcome


def lists(place: int, events: int) -> Repair:
    """Return a repair that lists one of the submissions with a number of events."""
    return lambda draft: put(listed=(Listed(submitted(draft.world)[place], events),))(draft)


def count_right(draft: QualityDraft) -> None:
    draft.corrections = 0
    lists(0, 1)(draft)


def supersede_last(draft: QualityDraft) -> None:
    row = draft.world.rows[state.quality_key(1, 24_320)]
    draft.supersedes = QUALITY_STATE.decode(row).index


QUALITY: Final[list[Rung]] = [
    (Outcome.KIND_NOT_ALLOWED, put(feed=DESK)),
    (Outcome.CONTENT_MALFORMED, put(after_content=b"")),
    (Outcome.ROLE_MISSING, put(member=1)),
    (Outcome.QUALITY_MONTH_AHEAD, put(month=24_320)),
    (Outcome.QUALITY_SIZE_AHEAD, put(size=4)),
    (Outcome.QUALITY_SUBMISSION_UNKNOWN, lists(1, 2)),
    (Outcome.QUALITY_NOT_OWN, lists(0, 2)),
    (Outcome.QUALITY_COUNT_WRONG, count_right),
    (Outcome.QUALITY_SUPERSEDES_WRONG, supersede_last),
    (Outcome.QUALITY_SIZE_BACK, put(size=5)),
    (Outcome.ACCEPTED, done),
]


LADDERS: Final[dict[str, tuple[Callable[[], Draft], list[Rung]]]] = {
    "submission": (submission, SUBMISSION),
    "consent": (consent, CONSENT),
    "status": (status, STATUS),
    "inquiry": (inquiry, INQUIRY),
    "released": (released, RELEASED),
    "mark": (mark, MARK),
    "key": (key, KEY),
    "custody": (custody, CUSTODY),
    "redeposit": (redeposit, REDEPOSIT),
    "proposal": (start_proposal, PROPOSAL),
    "vote": (start_vote, VOTE),
    "quality": (quality, QUALITY),
}


@pytest.mark.parametrize("name", LADDERS)
def test_each_rung_is_rejected_for_its_own_defect(name: str) -> None:
    start, rungs = LADDERS[name]
    draft = start()
    for outcome, repair in rungs:
        applied = draft.apply()
        assert applied.outcome is outcome, (applied.outcome.name, outcome.name, applied.detail)
        assert bool(applied.detail) is outcome.dropped
        assert (applied.signed is None) is outcome.dropped
        repair(draft)


@pytest.mark.parametrize("name", LADDERS)
def test_rungs_stand_in_the_order_in_which_outcomes_are_listed(name: str) -> None:
    _, rungs = LADDERS[name]
    outcomes = [outcome for outcome, _ in rungs]
    assert outcomes[-1] is Outcome.ACCEPTED
    assert all(low < high for low, high in pairwise(outcomes[:-1]))


def test_the_ladders_reach_every_outcome() -> None:
    reached = {outcome for _, rungs in LADDERS.values() for outcome, _ in rungs}
    assert reached == set(Outcome)


def test_every_outcome_says_what_to_do() -> None:
    assert set(ADVICE) == set(Outcome)
    for outcome, advice in ADVICE.items():
        assert advice.meaning.endswith("."), outcome
        assert advice.remedy.endswith("."), outcome
        assert [outcome.accepted, outcome.dropped, outcome.refused].count(True) == 1


def test_a_commitment_is_part_of_the_terms() -> None:
    world = make_world()
    changed = world.terms(commitments=(Commitment(2026, bytes(32)),))
    assert consent_id(encode(changed)) != consent_id(encode(world.terms()))
