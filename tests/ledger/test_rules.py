"""Rules at their edges: boundaries of time, who may do what, and what a change leaves behind."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.draft import NO_CHANGE, key_content, make_world
from tests.world import BULK, DAY_MS, DESK, GENESIS_MS, MINUTE_MS, World, make_ledger, seed

from tradeline_ledger import calendar, state
from tradeline_ledger.consent import (
    Change,
    DataLife,
    Evidence,
    Frequency,
    SecondSignature,
    Status,
    Terms,
    consent_id,
    status_message,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import DamagedError
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Replaced
from tradeline_ledger.mark import Mark, MarkKind
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import ReleasedRow
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.state import ConsentStanding
from tradeline_ledger.statement import Kind, kinds_of
from tradeline_ledger.submission import Batch, Receipt

SUBJECT: Final = SigningKey(seed("subject"))
LOCAL_MS: Final = 480 * MINUTE_MS
LOCAL_MIDNIGHT_MS: Final = ((GENESIS_MS + LOCAL_MS) // DAY_MS + 1) * DAY_MS - LOCAL_MS
"""The first midnight of Beijing after the genesis."""


def place(world: World, entry: bytes, later_ms: int = 1000) -> Outcome:
    """Place one entry in a block and return its outcome."""
    executed = world.block(entry, later_ms=later_ms)
    if executed.placed:
        return executed.placed[0].applied.outcome
    return executed.dropped[0][1].outcome


def at(world: World, time_ms: int, entry: bytes) -> Outcome:
    return place(world, entry, time_ms - world.time_ms)


def granted(world: World, **changes: Any) -> bytes:
    terms = world.terms(**changes)
    assert place(world, world.entry(1, Kind.CONSENT, world.consent(terms))) is Outcome.ACCEPTED
    return consent_id(encode(terms))


def post_status(
    world: World, member: int, consent: bytes, change: Change, signature: bytes | None = None
) -> Outcome:
    return place(
        world, world.entry(member, Kind.STATUS, encode(Status(consent, change, 1, signature)))
    )


def ask(world: World, consent: bytes, reader: int = 1, **changes: Any) -> bytes:
    return world.entry(reader, Kind.INQUIRY, encode(world.inquiry(consent, reader, **changes)))


# Consent


@pytest.mark.parametrize(
    "changes",
    [
        {"from_ms": GENESIS_MS + DAY_MS, "until_ms": GENESIS_MS + DAY_MS},
        {"from_ms": GENESIS_MS + DAY_MS, "until_ms": GENESIS_MS + 1},
        {"categories": ()},
        {"categories": (1, 3)},
        {"categories": (0,)},
        {"categories": (1, 7)},
        {"contributors": ()},
        {"commitments": ()},
        {"frequency": Frequency(0, 2)},
        {"frequency": Frequency(0, 0)},
        {"frequency": Frequency(1, 0)},
        {"frequency": Frequency(4, 1)},
        {"frequency": Frequency(3, 1_000_001)},
        {"life": DataLife(0, 1)},
        {"life": DataLife(4, 1)},
        {"evidence": Evidence(0, bytes(32))},
        {"evidence": Evidence(5, bytes(32))},
        {"proposal": bytes(16)},
        {"second": 1},
        {"purpose": 8},
    ],
    ids="-".join,
)
def test_terms_that_contradict_themselves_are_refused(changes: dict[str, Any]) -> None:
    world = World()
    terms = world.terms(**changes)
    assert terms.contradiction() is not None
    entry = world.entry(1, Kind.CONSENT, world.consent(terms))
    assert place(world, entry) is Outcome.CONSENT_TERMS_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"categories": (1, 2, 4, 5, 6)},
        {"contributors": (1, 2, 3, 4, 5)},
        {"frequency": Frequency(0, 1)},
        {"frequency": Frequency(3, 1_000_000)},
        {"life": DataLife(1, 0)},
        {"from_ms": 0, "until_ms": 2**64 - 1},
        {"purpose": 7},
        {"second": 5},
        {"second": 3},
    ],
    ids="-".join,
)
def test_terms_at_their_bounds_are_accepted(changes: dict[str, Any]) -> None:
    world = World()
    terms = world.terms(**changes)
    assert place(world, world.entry(1, Kind.CONSENT, world.consent(terms))) is Outcome.ACCEPTED


def test_a_consent_must_end_after_the_block_that_places_it() -> None:
    for offset, expected in ((0, Outcome.CONSENT_WINDOW_PAST), (1, Outcome.ACCEPTED)):
        world = World()
        terms = world.terms(until_ms=GENESIS_MS + 1000 + offset)
        assert place(world, world.entry(1, Kind.CONSENT, world.consent(terms))) is expected


def signed_by(world: World, terms: Terms, feed: int, key: SigningKey) -> bytes:
    second = SecondSignature(feed, key.sign("consent", encode(terms)))
    return world.consent(terms, second=second)


def test_one_signature_is_not_enough() -> None:
    world = World()
    entry = world.entry(1, Kind.CONSENT, world.consent(world.terms(), second=None))
    assert place(world, entry) is Outcome.CONSENT_SECOND_UNSIGNED


@pytest.mark.parametrize("feed", [0, BULK, 3])
def test_the_second_signs_with_a_feed_that_may_sign_consents(feed: int) -> None:
    world = World()
    second = world.institution(2)
    content = signed_by(world, world.terms(), feed, second.feed_key(min(feed, BULK)))
    assert place(world, world.entry(1, Kind.CONSENT, content)) is Outcome.CONSENT_SECOND_UNSIGNED


def test_the_reader_can_not_sign_for_the_second() -> None:
    world = World()
    content = signed_by(world, world.terms(), DESK, world.institution(1).feed_key(DESK))
    assert place(world, world.entry(1, Kind.CONSENT, content)) is Outcome.CONSENT_SECOND_UNSIGNED


def test_the_second_signs_exactly_these_terms() -> None:
    world = World()
    key = world.institution(2).feed_key(DESK)
    other = SecondSignature(DESK, key.sign("consent", encode(world.terms(purpose=2))))
    content = world.consent(world.terms(), second=other)
    assert place(world, world.entry(1, Kind.CONSENT, content)) is Outcome.CONSENT_SECOND_UNSIGNED


def test_a_signature_of_a_subject_without_a_key_is_refused() -> None:
    world = World()
    content = world.consent(world.terms(), subject_signature=bytes(64))
    assert place(world, world.entry(1, Kind.CONSENT, content)) is Outcome.CONSENT_SUBJECT_UNSIGNED


def test_a_consent_of_the_same_legal_group_is_refused() -> None:
    world = make_world()
    terms = world.terms(second=3)
    entry = world.entry(1, Kind.CONSENT, world.consent(terms))
    assert place(world, entry) is Outcome.CONSENT_SAME_GROUP
    terms = world.terms(grantee=3, second=1)
    entry = world.entry(3, Kind.CONSENT, world.consent(terms))
    assert place(world, entry) is Outcome.CONSENT_SAME_GROUP


def test_a_newer_consent_ends_the_older_at_its_place() -> None:
    world = World()
    old = granted(world)
    new = granted(world, supersedes=old)
    assert place(world, ask(world, old)) is Outcome.INQUIRY_CONSENT_SUPERSEDED
    assert place(world, ask(world, new)) is Outcome.ACCEPTED
    newest = granted(world, supersedes=old, purpose=2)
    assert place(world, ask(world, newest, purpose=2)) is Outcome.ACCEPTED
    assert place(world, ask(world, new)) is Outcome.ACCEPTED, "it superseded the old one only"


@pytest.mark.parametrize(
    ("member", "change", "stays"),
    [
        (2, Change.REVOKE, Outcome.INQUIRY_CONSENT_REVOKED),
        (1, Change.TERMINATE, Outcome.INQUIRY_CONSENT_TERMINATED),
    ],
)
def test_a_consent_that_has_ended_stays_as_it_ended(
    member: int, change: Change, stays: Outcome
) -> None:
    world = World()
    old = granted(world)
    assert post_status(world, member, old, change) is Outcome.ACCEPTED
    new = granted(world, supersedes=old)
    assert place(world, ask(world, old)) is stays
    assert place(world, ask(world, new)) is Outcome.ACCEPTED


@pytest.mark.parametrize(("grantee", "second"), [(2, 3), (1, 3)])
def test_only_the_same_parties_supersede(grantee: int, second: int) -> None:
    world = World()
    old = granted(world)
    terms = world.terms(grantee=grantee, second=second, supersedes=old)
    entry = world.entry(grantee, Kind.CONSENT, world.consent(terms))
    assert place(world, entry) is Outcome.CONSENT_SUPERSEDES_WRONG
    assert place(world, ask(world, old)) is Outcome.ACCEPTED


# Status


def test_a_revoke_that_comes_first_counts_only_from_the_second() -> None:
    world = World()
    terms = world.terms()
    identity = consent_id(encode(terms))
    for member in (1, 3, 4, 5):
        assert post_status(world, member, identity, Change.REVOKE) is Outcome.ACCEPTED
        assert post_status(world, member, identity, Change.REVOKE) is Outcome.STATUS_WITHOUT_EFFECT
    assert place(world, world.entry(1, Kind.CONSENT, world.consent(terms))) is Outcome.ACCEPTED
    assert place(world, ask(world, identity)) is Outcome.ACCEPTED
    other = world.terms(purpose=2)
    identity = consent_id(encode(other))
    assert post_status(world, 2, identity, Change.REVOKE) is Outcome.ACCEPTED
    entry = world.entry(1, Kind.CONSENT, world.consent(other))
    assert place(world, entry) is Outcome.CONSENT_REVOKED_BEFORE
    assert place(world, ask(world, identity, purpose=2)) is Outcome.INQUIRY_CONSENT_UNKNOWN


@pytest.mark.parametrize("change", [Change.PAUSE, Change.RESUME, Change.TERMINATE])
def test_nothing_but_a_revoke_is_kept_for_later(change: Change) -> None:
    world = World()
    assert post_status(world, 2, bytes(16), change) is Outcome.STATUS_CONSENT_UNKNOWN
    signature = bytes(64)
    assert post_status(world, 2, bytes(16), Change.REVOKE, signature) is (
        Outcome.STATUS_CONSENT_UNKNOWN
    )


@pytest.mark.parametrize("member", [2, 3, 4])
def test_only_the_reader_terminates(member: int) -> None:
    world = World()
    consent = granted(world)
    assert post_status(world, member, consent, Change.TERMINATE) is Outcome.STATUS_NOT_ALLOWED
    assert post_status(world, 1, consent, Change.TERMINATE, bytes(64)) is Outcome.STATUS_NOT_ALLOWED
    assert post_status(world, 1, consent, Change.TERMINATE) is Outcome.ACCEPTED


@pytest.mark.parametrize("change", [Change.PAUSE, Change.RESUME, Change.REVOKE])
def test_a_reader_changes_nothing_else(change: Change) -> None:
    world = World()
    assert post_status(world, 1, granted(world), change) is Outcome.STATUS_NOT_ALLOWED


def subject_signature(world: World, consent: bytes, change: Change, changes: int) -> bytes:
    message = status_message(world.ledger.ledger_id, consent, change, 1, changes)
    return SUBJECT.sign("status", message)


def test_a_subject_speaks_through_anybody_and_each_signature_counts_once() -> None:
    world = World()
    terms = world.terms(subject_key=SUBJECT.public)
    content = world.consent(terms, subject_signature=SUBJECT.sign("consent", encode(terms)))
    assert place(world, world.entry(1, Kind.CONSENT, content)) is Outcome.ACCEPTED
    consent = consent_id(encode(terms))
    pause = subject_signature(world, consent, Change.PAUSE, 0)
    assert post_status(world, 4, consent, Change.PAUSE, pause) is Outcome.ACCEPTED
    resume = subject_signature(world, consent, Change.RESUME, 1)
    assert post_status(world, 5, consent, Change.RESUME, resume) is Outcome.ACCEPTED
    assert post_status(world, 1, consent, Change.PAUSE, pause) is Outcome.STATUS_SUBJECT_UNSIGNED
    again = subject_signature(world, consent, Change.PAUSE, 2)
    assert post_status(world, 1, consent, Change.PAUSE, again) is Outcome.ACCEPTED
    assert post_status(world, 2, consent, Change.RESUME) is Outcome.STATUS_PAUSED_BY_OTHER
    assert post_status(world, 2, consent, Change.REVOKE) is Outcome.ACCEPTED


@pytest.mark.parametrize("what", ["ledger", "consent", "change", "reason", "count"])
def test_a_subject_signs_every_part_of_a_change(what: str) -> None:
    world = World()
    terms = world.terms(subject_key=SUBJECT.public)
    content = world.consent(terms, subject_signature=SUBJECT.sign("consent", encode(terms)))
    place(world, world.entry(1, Kind.CONSENT, content))
    parts: dict[str, Any] = {
        "ledger": world.ledger.ledger_id,
        "consent": consent_id(encode(terms)),
        "change": Change.REVOKE,
        "reason": 1,
        "count": 0,
    }
    identity = parts["consent"]
    other = {"ledger": bytes(32), "consent": bytes(16), "change": Change.PAUSE}
    parts[what] = other.get(what, 2)
    signature = SUBJECT.sign("status", status_message(*parts.values()))
    outcome = post_status(world, 2, identity, Change.REVOKE, signature)
    assert outcome is Outcome.STATUS_SUBJECT_UNSIGNED


@pytest.mark.parametrize("change", [Change.PAUSE, Change.REVOKE])
def test_a_subject_without_a_key_has_no_voice(change: Change) -> None:
    world = World()
    consent = granted(world)
    signature = subject_signature(world, consent, change, 0)
    for member in (2, 4):
        outcome = post_status(world, member, consent, change, signature)
        assert outcome is Outcome.STATUS_SUBJECT_UNSIGNED


# Inquiry


def test_a_consent_runs_from_its_first_ms_to_before_its_last() -> None:
    begin, end = GENESIS_MS + 60_000, GENESIS_MS + 120_000
    for time_ms, expected in (
        (begin - 1, Outcome.INQUIRY_CONSENT_NOT_YET),
        (begin, Outcome.ACCEPTED),
        (end - 1, Outcome.ACCEPTED),
        (end, Outcome.INQUIRY_CONSENT_EXPIRED),
    ):
        world = World()
        consent = granted(world, from_ms=begin, until_ms=end)
        assert at(world, time_ms, ask(world, consent)) is expected, time_ms


def test_created_ms_may_be_off_by_the_skew_either_way() -> None:
    skew = 15 * MINUTE_MS
    for offset, expected in (
        (skew, Outcome.ACCEPTED),
        (skew + 1, Outcome.INQUIRY_CLOCK_SKEWED),
    ):
        for world_first in (True, False):
            world = World()
            consent = granted(world)
            if world_first:  # the block comes later than the statement says
                assert place(world, ask(world, consent), offset) is expected
            else:  # the statement is made by a clock that is ahead
                world.time_ms += offset + 1
                entry = ask(world, consent)
                world.time_ms -= offset + 1
                assert place(world, entry, 1) is expected


@pytest.mark.parametrize("off", [-1, 1, 12])
def test_an_inquiry_is_kept_exactly_as_long_as_every_other(off: int) -> None:
    world = World()
    month = calendar.month(world.time_ms, 480) + 24
    entry = ask(world, granted(world), retain_month=month + off)
    assert place(world, entry) is Outcome.INQUIRY_RETAIN_WRONG


def test_reads_of_a_day_are_counted_from_local_midnight() -> None:
    world = World()
    consent = granted(world, frequency=Frequency(1, 2))
    before = LOCAL_MIDNIGHT_MS - 3
    world.time_ms = before - 1
    assert at(world, before, ask(world, consent)) is Outcome.ACCEPTED
    assert at(world, before + 1, ask(world, consent)) is Outcome.ACCEPTED
    assert at(world, before + 2, ask(world, consent)) is Outcome.INQUIRY_FREQUENCY_USED
    assert at(world, LOCAL_MIDNIGHT_MS, ask(world, consent)) is Outcome.ACCEPTED
    assert at(world, LOCAL_MIDNIGHT_MS + 1, ask(world, consent)) is Outcome.ACCEPTED
    assert at(world, LOCAL_MIDNIGHT_MS + 2, ask(world, consent)) is Outcome.INQUIRY_FREQUENCY_USED


@pytest.mark.parametrize(("unit", "later_days"), [(2, 10), (3, 102)])
def test_reads_of_a_month_or_year_are_counted_by_the_calendar(unit: int, later_days: int) -> None:
    world = World()
    consent = granted(
        world,
        frequency=Frequency(unit, 1),
        until_ms=GENESIS_MS + 400 * DAY_MS,
        years=(2026, 2027),
    )
    years = (2026, 2027)
    assert place(world, ask(world, consent, years=years)) is Outcome.ACCEPTED
    world.time_ms += (later_days - 2) * DAY_MS
    used = place(world, ask(world, consent, years=years))
    assert used is Outcome.INQUIRY_FREQUENCY_USED
    world.time_ms += 2 * DAY_MS
    assert calendar.month(world.time_ms, 480) > calendar.month(GENESIS_MS, 480)
    assert place(world, ask(world, consent, years=years)) is Outcome.ACCEPTED


def test_a_one_time_consent_is_used_once() -> None:
    world = World()
    consent = granted(world, frequency=Frequency(0, 1))
    assert place(world, ask(world, consent)) is Outcome.ACCEPTED
    assert place(world, ask(world, consent)) is Outcome.INQUIRY_FREQUENCY_USED
    world.time_ms += 40 * DAY_MS
    assert place(world, ask(world, consent)) is Outcome.INQUIRY_FREQUENCY_USED


def test_a_refused_inquiry_uses_nothing_up() -> None:
    world = World()
    consent = granted(world, frequency=Frequency(0, 1))
    assert place(world, ask(world, consent, purpose=2)) is Outcome.INQUIRY_PURPOSE_WRONG
    assert place(world, ask(world, consent)) is Outcome.ACCEPTED


def test_all_contributors_may_be_narrowed_but_named_ones_not_widened() -> None:
    world = World()
    of_all, of_some = granted(world), granted(world, contributors=(1, 4))
    assert place(world, ask(world, of_all, contributors=(3,))) is Outcome.ACCEPTED
    assert place(world, ask(world, of_some, contributors=(4,))) is Outcome.ACCEPTED
    for wider in (None, (1, 2), (1, 3, 4)):
        entry = ask(world, of_some, contributors=wider)
        assert place(world, entry) is Outcome.INQUIRY_CONTRIBUTOR_OUTSIDE


# Submissions


def batch_of(world: World, member: int = 1, salt: object = 0) -> Batch:
    return world.batch(member, [(world.tag(member, 1, 2026), 24_400, b"event")], salt)[0]


def test_a_receipt_counts_up_to_its_last_ms() -> None:
    for later_ms, expected in ((5000, Outcome.ACCEPTED), (5001, Outcome.RECEIPTS_TOO_FEW)):
        world = World()
        batch = batch_of(world)
        receipts = world.receipts(1, batch, expires_ms=GENESIS_MS + 5000)
        assert place(world, world.submission(1, batch, receipts), later_ms) is expected


def test_receipts_count_members_of_the_committee_by_their_own_keys() -> None:
    world = World()
    batch = batch_of(world)
    good = world.receipts(1, batch, (1, 2))
    (third,) = world.receipts(1, batch, (3,))
    (other_member,) = world.receipts(2, batch, (3,))
    attempts = [
        (*good, Receipt(3, third.expires_ms, good[0].signature)),
        (*good, Receipt(4, third.expires_ms, third.signature)),
        (*good, Receipt(5, third.expires_ms, third.signature)),
        (*good, Receipt(3, third.expires_ms + 1, third.signature)),
        (*good, other_member),
    ]
    for receipts in attempts:
        entry = world.submission(1, batch, receipts)
        assert place(world, entry) is Outcome.RECEIPTS_TOO_FEW
    assert place(world, world.submission(1, batch, (*good, third))) is Outcome.ACCEPTED


def test_a_node_outside_the_committee_gives_no_receipt_that_counts() -> None:
    world = World()
    node = world.institution(5).node
    replaced = Replaced(node.public, None, None, None, None)
    change = world.entry(2, Kind.KEY, key_content(world, 5, 0, replaced=replaced))
    assert place(world, change) is Outcome.ACCEPTED
    batch = batch_of(world)
    receipts = world.receipts(1, batch, (1, 2, 5))
    assert receipts[2].validator == 5
    assert place(world, world.submission(1, batch, receipts)) is Outcome.RECEIPTS_TOO_FEW


def test_a_receipt_by_a_replaced_node_key_counts_no_more() -> None:
    world = World()
    new = SigningKey(seed("node", 3, "new"))
    replaced = Replaced(new.public, None, None, None, None)
    batch = batch_of(world)
    old = world.receipts(1, batch)
    assert (
        place(world, world.entry(2, Kind.KEY, key_content(world, 3, 0, replaced=replaced)))
        is Outcome.ACCEPTED
    )
    assert place(world, world.submission(1, batch, old)) is Outcome.RECEIPTS_TOO_FEW
    said = (world.ledger.ledger_id, 3, 1, batch.hash(world.ledger.ledger_id, 1), old[2].expires_ms)
    fresh = Receipt(3, old[2].expires_ms, new.sign("receipt", encode(said)))
    assert place(world, world.submission(1, batch, (*old[:2], fresh))) is Outcome.ACCEPTED


def test_the_batch_of_one_member_is_not_a_duplicate_for_another() -> None:
    world = World()
    batch = batch_of(world)
    assert place(world, world.submission(1, batch)) is Outcome.ACCEPTED
    assert place(world, world.submission(1, batch)) is Outcome.BATCH_DUPLICATE
    assert place(world, world.submission(2, batch)) is Outcome.ACCEPTED


# Marks


def test_marks_move_a_month_until_the_event_is_erased() -> None:
    world = World()
    index = world.block(world.submission(1, batch_of(world))).placed[0].index

    def post(what: MarkKind, value: Any) -> Outcome:
        content = encode(Mark(EventId(index, 0), what, value, 6))
        return place(world, world.entry(1, Kind.MARK, content))

    assert post(MarkKind.RETAIN, 24_500) is Outcome.ACCEPTED
    assert post(MarkKind.RETAIN, 24_500) is Outcome.MARK_WITHOUT_EFFECT
    assert post(MarkKind.RETAIN, 256) is Outcome.ACCEPTED
    for wrong in (255, 65_536, None, bytes(32)):
        assert post(MarkKind.RETAIN, wrong) is Outcome.MARK_VALUE_WRONG
    for wrong in (0, 1, bytes(32)):
        assert post(MarkKind.ERASE, wrong) is Outcome.MARK_VALUE_WRONG
    assert post(MarkKind.ERASE, None) is Outcome.ACCEPTED
    assert post(MarkKind.ERASE, None) is Outcome.MARK_WITHOUT_EFFECT
    assert post(MarkKind.RETAIN, 25_000) is Outcome.MARK_WITHOUT_EFFECT
    row = state.read(world, state.MARK, state.mark_key(index, 0))
    assert row == state.MarkState(erased=True, retain_month=256)


def test_only_events_that_a_batch_has_can_be_marked() -> None:
    world = World()
    rows = [(world.tag(1, who, 2026), 24_400, b"event") for who in (1, 2)]
    index = world.block(world.submission(1, world.batch(1, rows)[0])).placed[0].index
    for position, expected in (
        (2, Outcome.MARK_TARGET_UNKNOWN),
        (2**32 - 1, Outcome.MARK_TARGET_UNKNOWN),
        (1, Outcome.ACCEPTED),
        (0, Outcome.ACCEPTED),
    ):
        content = encode(Mark(EventId(index, position), MarkKind.ERASE, None, 1))
        assert place(world, world.entry(1, Kind.MARK, content)) is expected


def test_an_inquiry_or_a_refused_submission_can_not_be_marked() -> None:
    world = World()
    consent = granted(world)
    inquired = world.block(ask(world, consent)).placed[0].index
    refused = world.block(world.submission(1, batch_of(world), ())).placed[0].index
    for index in (inquired, refused, 0, 999):
        content = encode(Mark(EventId(index, 0), MarkKind.ERASE, None, 1))
        assert place(world, world.entry(1, Kind.MARK, content)) is Outcome.MARK_TARGET_UNKNOWN


# Released


@pytest.mark.parametrize("shape", ["empty", "descending", "doubled", "too many"])
def test_a_released_record_is_a_list_that_ascends(shape: str) -> None:
    world = World()
    rows = {
        "empty": (),
        "descending": (ReleasedRow(2, 1, bytes(32)), ReleasedRow(1, 1, bytes(32))),
        "doubled": (ReleasedRow(1, 1, bytes(32)),) * 2,
        "too many": tuple(ReleasedRow(i, 1, bytes(32)) for i in range(1001)),
    }[shape]
    entry = world.entry(1, Kind.RELEASED, encode(rows), feed=0)
    assert place(world, entry) is Outcome.CONTENT_MALFORMED


def test_each_committee_member_records_its_own_releases_of_one_inquiry() -> None:
    world = World()
    inquired = world.block(ask(world, granted(world))).placed[0].index
    content = encode((ReleasedRow(inquired, 4, bytes(32)),))
    for member in (1, 2, 3, 4):
        assert place(world, world.entry(member, Kind.RELEASED, content, feed=0)) == 0
        again = place(world, world.entry(member, Kind.RELEASED, content, feed=0))
        assert again is Outcome.RELEASED_TWICE


# Keys


def feed_of(number: int, kinds: int = kinds_of(Kind.MARK)) -> Feed:
    return Feed(number, SigningKey(seed("rule feed", number)).public, kinds)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"added": (Feed(0, seed("k"), 64),)}, Outcome.KEY_FEED_REUSED),
        ({"added": (feed_of(1),)}, Outcome.KEY_FEED_REUSED),
        ({"added": (feed_of(3),), "ended": (3,)}, Outcome.KEY_FEED_ABSENT),
        ({"ended": (0,)}, Outcome.KEY_FEED_ABSENT),
        ({"added": (Feed(3, bytes(32), 64),)}, Outcome.KEY_WEAK),
        ({"added": (feed_of(3), Feed(4, feed_of(3).key, 64))}, Outcome.KEY_REUSED),
        ({"added": (feed_of(3, kinds_of(Kind.RELEASED)),)}, Outcome.KEY_KINDS_WRONG),
        ({"added": (feed_of(3, kinds_of(Kind.CUSTODY)),)}, Outcome.KEY_KINDS_WRONG),
        ({"added": (feed_of(3, 1),)}, Outcome.KEY_KINDS_WRONG),
        ({"added": (feed_of(3, 1 << 17),)}, Outcome.KEY_KINDS_WRONG),
        ({"added": (feed_of(3), feed_of(9))}, Outcome.ACCEPTED),
        ({"ended": (1, 2)}, Outcome.ACCEPTED),
        ({"added": (feed_of(3),), "ended": (1,)}, Outcome.ACCEPTED),
    ],
)
def test_what_a_key_change_may_add_and_end(changes: dict[str, Any], expected: Outcome) -> None:
    world = World()
    entry = world.entry(2, Kind.KEY, key_content(world, 3, 0, **changes))
    assert place(world, entry) is expected


def test_a_key_of_the_past_is_never_used_again() -> None:
    world = World()
    ended = world.entry(2, Kind.KEY, key_content(world, 3, 0, ended=(BULK,)))
    assert place(world, ended) is Outcome.ACCEPTED
    old = Feed(7, world.institution(3).feed_key(BULK).public, 64)
    entry = world.entry(2, Kind.KEY, key_content(world, 3, 1, added=(old,)))
    assert place(world, entry) is Outcome.KEY_REUSED
    entry = world.entry(2, Kind.KEY, key_content(world, 5, 0, added=(old,)))
    assert place(world, entry) is Outcome.KEY_REUSED
    again = Feed(BULK, seed("k"), 64)
    entry = world.entry(2, Kind.KEY, key_content(world, 3, 1, added=(again,)))
    assert place(world, entry) is Outcome.KEY_FEED_REUSED


def test_a_replaced_node_key_continues_feed_0() -> None:
    world = World()
    consent = granted(world, frequency=Frequency(1, 9))
    first = world.block(ask(world, consent)).placed[0].index
    second = world.block(ask(world, consent)).placed[0].index
    rows = encode((ReleasedRow(first, 1, bytes(32)),))
    assert place(world, world.entry(3, Kind.RELEASED, rows, feed=0)) is Outcome.ACCEPTED
    replaced = Replaced(SigningKey(seed("new node")).public, None, None, None, None)
    place(world, world.entry(2, Kind.KEY, key_content(world, 3, 0, replaced=replaced)))
    rows = encode((ReleasedRow(second, 1, bytes(32)),))
    entry = world.entry(3, Kind.RELEASED, rows, feed=0)
    assert world.position(3, 0)[0] == 1
    assert place(world, entry) is Outcome.SIGNATURE_WRONG


def test_a_new_tag_key_hash_is_a_change_and_nothing_is_not() -> None:
    world = World()
    entry = world.entry(2, Kind.KEY, key_content(world, 5, 0, replaced=NO_CHANGE))
    assert place(world, entry) is Outcome.KEY_WITHOUT_EFFECT
    new = Replaced(None, None, None, None, seed("tag key hash"))
    entry = world.entry(2, Kind.KEY, key_content(world, 5, 0, replaced=new))
    assert place(world, entry) is Outcome.ACCEPTED
    hashes = [record.tag_key_hash for record in world.registry.versions(5)]
    assert hashes == [world.institution(5).record.tag_key_hash, seed("tag key hash")]


# Refusals


def test_refusals_are_counted_by_member_and_local_day() -> None:
    world = World(make_ledger(refused_per_day=2))
    world.time_ms = LOCAL_MIDNIGHT_MS - 10_000

    def refused(member: int) -> bytes:
        return world.entry(member, Kind.MARK, encode(Mark(EventId(0, 0), 1, None, 1)))

    for member in (1, 3):
        outcomes = [place(world, refused(member), 1) for _ in range(3)]
        assert outcomes == [
            Outcome.MARK_TARGET_UNKNOWN,
            Outcome.MARK_TARGET_UNKNOWN,
            Outcome.REFUSED_TOO_OFTEN,
        ]
    assert granted(world), "what would be accepted is not held up"
    assert at(world, LOCAL_MIDNIGHT_MS - 1, refused(1)) is Outcome.REFUSED_TOO_OFTEN
    assert at(world, LOCAL_MIDNIGHT_MS, refused(1)) is Outcome.MARK_TARGET_UNKNOWN


def test_what_is_dropped_leaves_nothing_behind() -> None:
    world = World(make_ledger(refused_per_day=0))
    before = (dict(world.rows), list(world.leaves), world.head)
    entry = world.entry(1, Kind.MARK, encode(Mark(EventId(0, 0), 1, None, 1)))
    assert place(world, entry) is Outcome.REFUSED_TOO_OFTEN
    assert (world.rows, world.leaves, world.head) == before


def test_what_is_refused_advances_its_feed_and_does_nothing_else() -> None:
    world = World()
    before = dict(world.rows)
    entry = world.entry(1, Kind.CONSENT, b"garbage")
    assert place(world, entry) is Outcome.CONTENT_MALFORMED
    changed = {key[:1] for key, row in world.rows.items() if before.get(key) != row}
    assert changed == {b"F", b"D", b"H"}
    assert world.position(1, DESK)[0] == 1


# State


def test_a_damaged_row_is_the_fault_of_the_store_and_of_nobody_who_posts() -> None:
    world = World()
    consent = granted(world)
    key = state.consent_key(consent)
    row = state.read(world, state.CONSENT, key)
    assert row is not None
    for damaged in (b"\x00", world.rows[key][:-1], encode(state.ConsentState(0, b"x", 1, 0, 0, 0))):
        world.rows[key] = damaged
        with pytest.raises(DamagedError, match=r"damaged"):
            world.apply(ask(world, consent))
        status = encode(Status(consent, Change.REVOKE, 1, None))
        with pytest.raises(DamagedError, match=r"damaged"):
            world.apply(world.entry(2, Kind.STATUS, status))
    assert ConsentStanding(row.standing) is ConsentStanding.ACTIVE
