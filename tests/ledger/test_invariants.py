"""The design's invariants, as far as the ledger alone keeps them, each attacked by its number."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, Final

import msgspec.structs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.draft import key_content, make_world
from tests.story import SUBJECT_KEY, story
from tests.world import BULK, DESK, World, seed

from tradeline_ledger import state
from tradeline_ledger.consent import (
    Change,
    Consent,
    Frequency,
    SecondSignature,
    Status,
    consent_id,
    status_message,
)
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.history import EventId
from tradeline_ledger.key import Replaced
from tradeline_ledger.mark import Mark, MarkKind
from tradeline_ledger.merkle import leaf_hash, path_of, root_of, verify_inclusion
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import ReleasedRow
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.statement import (
    ENTRY,
    STATEMENT,
    Entry,
    EntryLeaf,
    Kind,
    Statement,
    content_hash,
    decode_leaf,
    sign_entry,
)
from tradeline_ledger.submission import decode_submission
from tradeline_ledger.transition import Block, Executed, execute, replay
from tradeline_ledger.transition.context import Ruling

SUBJECT: Final = SigningKey(seed("subject"))
EXECUTED_BY: Final = 4
"""Replicas."""


def outcome_of(executed: Executed) -> Outcome:
    if executed.placed:
        return executed.placed[0].applied.outcome
    return executed.dropped[0][1].outcome


def rows_of(world: World, table: bytes) -> dict[bytes, bytes]:
    return {key: row for key, row in world.rows.items() if key[:1] == table}


# Invariant 2: the same blocks give the same root and outcomes


@cache
def entries_of_the_story() -> list[bytes]:
    world = story().world
    found = []
    for index, leaf in enumerate(world.leaves):
        decoded = decode_leaf(leaf)
        if isinstance(decoded, EntryLeaf):
            content = world.contents[index]
            found.append(encode(Entry(decoded.statement, decoded.signature, content)))
    return found


@settings(max_examples=25)
@given(data=st.data())
def test_2_replicas_and_an_auditor_agree_whatever_a_block_holds(data: st.DataObject) -> None:
    """Entries of the story in any order, doubled, altered and cut, in blocks of any size."""
    entries = entries_of_the_story()
    picks = st.lists(st.integers(0, len(entries) - 1), max_size=6)
    altered = st.tuples(st.integers(0, 3000), st.integers(1, 255))
    replicas = [World() for _ in range(EXECUTED_BY)]
    auditor = World()
    for number in range(data.draw(st.integers(1, 8))):
        chosen = [entries[pick] for pick in data.draw(picks)]
        chosen.append(entries[min(number, len(entries) - 1)])
        at, flip = data.draw(altered)
        wrong = bytearray(chosen[0])
        wrong[at % len(wrong)] ^= flip
        executed = [world.block(*chosen, bytes(wrong)) for world in replicas]
        for each in executed[1:]:
            assert each.leaves == executed[0].leaves
            assert each.writes == executed[0].writes
            assert [a.outcome for _, a in each.dropped] == [
                a.outcome for _, a in executed[0].dropped
            ]
        if not executed[0].leaves:
            continue
        contents = [
            placed.applied.signed.entry.content
            for placed in executed[0].placed
            if placed.applied.signed is not None
        ]
        again = replay(
            auditor,
            auditor.ledger,
            auditor.registry,
            auditor.head,
            leaves=executed[0].leaves,
            contents=contents,
        )
        auditor._commit(again)
    assert {world.root for world in (*replicas, auditor)} == {auditor.root}
    assert all(world.rows == auditor.rows for world in replicas)


def test_2_checking_proposing_and_executing_give_one_outcome() -> None:
    world = World()
    for entry in entries_of_the_story():
        time_ms = world.time_ms + 1000
        checked = world.apply(entry)
        proposed = execute(
            world,
            world.ledger,
            world.registry,
            world.head,
            Block(world.head.height + 1, time_ms, (entry,)),
        )
        executed = world.block(entry)
        assert checked.outcome is outcome_of(proposed) is outcome_of(executed)
    assert world.root == story().world.root


# Invariant 3, what the transition has of it: no inquiry without an active consent


@pytest.fixture
def bank() -> World:
    return make_world()


def grant(world: World, **changes: Any) -> bytes:
    terms = world.terms(subject_key=SUBJECT.public, **changes)
    own = SUBJECT.sign("consent", encode(terms))
    content = world.consent(terms, subject_signature=own)
    assert outcome_of(world.block(world.entry(1, Kind.CONSENT, content))) is Outcome.ACCEPTED
    return consent_id(encode(terms))


def no_consent(world: World) -> bytes:
    return consent_id(encode(world.terms()))


def only_the_readers_word(world: World) -> bytes:
    terms = world.terms()
    key = world.institution(1).feed_key(DESK)
    second = SecondSignature(DESK, key.sign("consent", encode(terms)))
    world.block(world.entry(1, Kind.CONSENT, encode(Consent(encode(terms), second, None))))
    return consent_id(encode(terms))


def a_second_of_the_same_group(world: World) -> bytes:
    terms = world.terms(second=3)
    world.block(world.entry(1, Kind.CONSENT, world.consent(terms)))
    return consent_id(encode(terms))


def the_reader_as_its_own_second(world: World) -> bytes:
    terms = world.terms(second=1)
    world.block(world.entry(1, Kind.CONSENT, world.consent(terms)))
    return consent_id(encode(terms))


def a_subject_that_did_not_sign(world: World) -> bytes:
    terms = world.terms(subject_key=SUBJECT.public)
    world.block(world.entry(1, Kind.CONSENT, world.consent(terms)))
    return consent_id(encode(terms))


def a_second_without_the_role(world: World) -> bytes:
    terms = world.terms(second=4)
    world.block(world.entry(1, Kind.CONSENT, world.consent(terms)))
    return consent_id(encode(terms))


def revoked_by_the_second(world: World) -> bytes:
    identity = grant(world)
    status = encode(Status(identity, Change.REVOKE, 1, None))
    world.block(world.entry(2, Kind.STATUS, status))
    return identity


def revoked_by_the_subject(world: World) -> bytes:
    identity = grant(world)
    message = status_message(world.ledger.ledger_id, identity, Change.REVOKE, 1, 0)
    status = encode(Status(identity, Change.REVOKE, 1, SUBJECT.sign("status", message)))
    world.block(world.entry(4, Kind.STATUS, status))
    return identity


def paused(world: World) -> bytes:
    identity = grant(world)
    world.block(world.entry(2, Kind.STATUS, encode(Status(identity, Change.PAUSE, 1, None))))
    return identity


def expired(world: World) -> bytes:
    identity = grant(world, until_ms=world.time_ms + 2000)
    world.time_ms += 5000
    return identity


def used_up(world: World) -> bytes:
    identity = grant(world, frequency=Frequency(0, 1))
    content = encode(world.inquiry(identity))
    assert outcome_of(world.block(world.entry(1, Kind.INQUIRY, content))) is Outcome.ACCEPTED
    return identity


def revoked_before_it_was_posted(world: World) -> bytes:
    terms = world.terms()
    identity = consent_id(encode(terms))
    world.block(world.entry(2, Kind.STATUS, encode(Status(identity, Change.REVOKE, 1, None))))
    world.block(world.entry(1, Kind.CONSENT, world.consent(terms)))
    return identity


def for_another_reader(world: World) -> bytes:
    terms = world.terms(grantee=2, second=5)
    world.block(world.entry(2, Kind.CONSENT, world.consent(terms)))
    return consent_id(encode(terms))


NOT_ACTIVE: Final[list[Callable[[World], bytes]]] = [
    no_consent,
    only_the_readers_word,
    a_second_of_the_same_group,
    the_reader_as_its_own_second,
    a_subject_that_did_not_sign,
    a_second_without_the_role,
    revoked_by_the_second,
    revoked_by_the_subject,
    paused,
    expired,
    used_up,
    revoked_before_it_was_posted,
    for_another_reader,
]


@pytest.mark.parametrize("attack", NOT_ACTIVE, ids=lambda attack: attack.__name__)
def test_3_no_inquiry_is_accepted_without_an_active_consent(
    bank: World, attack: Callable[[World], bytes]
) -> None:
    identity = attack(bank)
    before = rows_of(bank, b"I")
    index = bank.head.size
    executed = bank.block(bank.entry(1, Kind.INQUIRY, encode(bank.inquiry(identity))))
    assert outcome_of(executed).refused
    assert rows_of(bank, b"I") == before
    leaf = decode_leaf(bank.leaves[index])
    assert isinstance(leaf, EntryLeaf)
    assert leaf.outcome >= 300, "the attempt stays visible"


def test_3_an_accepted_inquiry_is_no_ticket_for_another(bank: World) -> None:
    identity = grant(bank, frequency=Frequency(0, 1))
    entry = bank.entry(1, Kind.INQUIRY, encode(bank.inquiry(identity)))
    assert outcome_of(bank.block(entry)) is Outcome.ACCEPTED
    assert outcome_of(bank.block(entry)) is Outcome.POSITION_PAST
    assert len(rows_of(bank, b"I")) == 1


# Invariant 7, what the ledger has of it: erasing changes no root and breaks no proof


def test_7_erasing_changes_no_root_and_breaks_no_path() -> None:
    told = story()
    world, filed = told.world, told.loan
    erased = state.read(world, state.MARK, state.mark_key(told.submissions[0].index, 1))
    assert erased == state.MarkState(erased=True, retain_month=None)
    for position in range(filed.batch.count):
        path = filed.batch.path(position)
        leaf = leaf_hash(filed.batch.header(position))
        verify_inclusion(leaf, position, filed.batch.count, path, filed.batch.events_root)
    before, hashes = told.submissions[0].index + 2, [leaf_hash(leaf) for leaf in world.leaves]
    for size in (before, len(hashes)):
        path = path_of(hashes[:size], told.submissions[0].index)
        head = root_of(hashes[:size])
        verify_inclusion(
            hashes[told.submissions[0].index], told.submissions[0].index, size, path, head
        )


# Invariant 8: a member acts only as itself


def others_events(world: World) -> int:
    rows = [(world.tag(1, 1, 2026), 24_400, b"event")]
    return world.block(world.submission(1, world.batch(1, rows)[0])).placed[0].index


FORGED_KINDS: Final = [*Kind, 0, 99]


@pytest.mark.parametrize("kind", FORGED_KINDS)
def test_8_nobody_signs_in_another_members_name(kind: int) -> None:
    world = World()
    content = b"anything"
    for member, feed in ((1, BULK), (1, DESK), (1, 0), (2, DESK), (5, DESK)):
        hash_ = content_hash(kind, content) if kind != Kind.SUBMISSION else bytes(32)
        statement = world.statement(member, feed, kind, hash_)
        for key in (world.institution(3).feed_key(DESK), world.institution(3).root):
            before = dict(world.rows)
            executed = world.block(sign_entry(key, statement, content))
            expected = Outcome.FEED_UNKNOWN if (member, feed) == (5, 0) else Outcome.SIGNATURE_WRONG
            assert outcome_of(executed) is expected
            assert world.rows == before


def test_8_a_signed_statement_can_not_be_moved() -> None:
    """Another member, feed, place, ledger, kind or content breaks the signature or the hash."""
    world = World()
    identity = bytes(16)
    entry = ENTRY.decode(
        world.entry(1, Kind.STATUS, encode(Status(identity, Change.REVOKE, 1, None)))
    )
    statement = STATEMENT.decode(entry.statement)
    changes: dict[str, Any] = {
        "ledger_id": bytes(32),
        "member": 2,
        "feed": BULK,
        "seq": 1,
        "prev": bytes([1]) * 32,
        "created_ms": 5,
        "kind": Kind.CONSENT,
        "content_hash": bytes(32),
    }
    for name, value in changes.items():
        moved: Statement = msgspec.structs.replace(statement, **{name: value})
        forged = encode(Entry(encode(moved), entry.signature, entry.content))
        assert world.apply(forged).outcome in {Outcome.SIGNATURE_WRONG, Outcome.LEDGER_WRONG}
    forged = encode(Entry(entry.statement, entry.signature, entry.content + b"\x00"))
    assert world.apply(forged).outcome is Outcome.CONTENT_HASH_WRONG


def test_8_nothing_by_one_member_changes_what_is_anothers() -> None:
    """Member 3 tries every kind on the objects of 1 and 2; only rows of its own change."""
    world = World()
    index = others_events(world)
    identity = grant(world)
    inquired = world.block(world.entry(1, Kind.INQUIRY, encode(world.inquiry(identity)))).placed[0]
    own_root = world.institution(3).root
    feed = Feed(9, SigningKey(seed("stolen")).public, 2)
    terms = world.terms(grantee=1, second=2, purpose=2)
    stolen = SecondSignature(
        DESK, world.institution(3).feed_key(DESK).sign("consent", encode(terms))
    )
    batch = world.batch(1, [(world.tag(1, 1, 2026), 24_400, b"event")], "copied")[0]
    dealt, _ = world.deal_again(1, index, dealer=3)
    again = world.redeposit(1, index, dealt)
    attempts: list[bytes] = [
        world.entry(3, Kind.REDEPOSIT, encode(again)),
        *(
            world.entry(3, Kind.STATUS, encode(Status(identity, change, 1, None)))
            for change in Change
        ),
        world.entry(3, Kind.STATUS, encode(Status(identity, Change.REVOKE, 1, bytes(64)))),
        world.entry(3, Kind.MARK, encode(Mark(EventId(index, 0), MarkKind.ERASE, None, 1))),
        world.entry(3, Kind.MARK, encode(Mark(EventId(index, 0), MarkKind.RETAIN, 25_000, 1))),
        world.entry(3, Kind.INQUIRY, encode(world.inquiry(identity))),
        world.entry(3, Kind.CONSENT, world.consent(terms, second=stolen)),
        world.entry(3, Kind.CONSENT, world.consent(world.terms(supersedes=identity))),
        world.entry(3, Kind.KEY, key_content(world, 1, 0, added=(feed,), signer=own_root)),
        world.entry(3, Kind.KEY, key_content(world, 1, 0, ended=(BULK, DESK), signer=own_root)),
        world.entry(3, Kind.KEY, key_content(world, 2, 0, added=(feed,), signer=own_root)),
        world.submission(3, batch, world.receipts(1, batch)),
    ]
    mine = (3).to_bytes(4, "big")
    for attempt in attempts:
        before = dict(world.rows)
        executed = world.block(attempt)
        assert outcome_of(executed).refused, outcome_of(executed)
        changed = {key for key, row in world.rows.items() if before.get(key) != row}
        allowed = {key for key in changed if key[:1] in b"FD" and key[1:5] == mine} | {b"H"}
        assert changed == allowed
        # The attempts were all made for the same place, so take it back for the next.
        world.rows, world.leaves = before, world.leaves[: -len(executed.leaves)]
        world.head = state.HEAD.decode(before[state.HEAD_KEY])
    assert inquired.applied.outcome is Outcome.ACCEPTED


def test_8_released_records_speak_for_their_own_node() -> None:
    world = World()
    identity = grant(world)
    index = (
        world.block(world.entry(1, Kind.INQUIRY, encode(world.inquiry(identity)))).placed[0].index
    )
    rows = encode((ReleasedRow(index, 1, bytes(32)),))
    world.block(world.entry(3, Kind.RELEASED, rows, feed=0))
    assert set(rows_of(world, b"P")) == {state.released_key(index, 3)}
    for feed in (BULK, DESK):
        outcome = world.apply(world.entry(1, Kind.RELEASED, rows, feed=feed)).outcome
        assert outcome is Outcome.KIND_NOT_ALLOWED


def test_8_only_the_root_key_moves_a_members_keys() -> None:
    world = World()
    for signer in (
        world.institution(1).feed_key(DESK),
        world.institution(1).node,
        world.institution(1).note,
        world.institution(2).root,
    ):
        replaced = Replaced(SigningKey(seed("evil")).public, None, None, None, None)
        content = key_content(world, 1, 0, replaced=replaced, signer=signer)
        assert world.apply(world.entry(1, Kind.KEY, content)).outcome is Outcome.KEY_ROOT_UNSIGNED


def test_8_what_one_member_does_holds_no_other_up() -> None:
    """The outcomes of member 1 are the same with and without a noisy member 3."""
    quiet, noisy = World(), World()
    results: dict[str, list[Outcome]] = {"quiet": [], "noisy": []}
    for name, world in (("quiet", quiet), ("noisy", noisy)):
        others_events(world)
        identity = grant(world, frequency=Frequency(1, 2))
        for _ in range(4):
            noise = []
            if name == "noisy":
                garbage = world.entry(3, Kind.CONSENT, b"garbage")
                revoke = encode(Status(identity, Change.REVOKE, 1, None))
                noise = [garbage, garbage, world.entry(3, Kind.MARK, b"x"), revoke]
            own = world.entry(1, Kind.INQUIRY, encode(world.inquiry(identity)))
            executed = world.block(*noise, own)
            placed = [p.applied for p in executed.placed]
            results[name].append(
                next(p.outcome for p in placed if p.signed and p.signed.member.id == 1)
            )
    assert results["quiet"] == results["noisy"]
    assert quiet.position(1, DESK) == noisy.position(1, DESK)
    assert rows_of(quiet, b"U") == rows_of(noisy, b"U")


# Invariant 9: bad input stops nothing and is never half applied


def resigned(world: World, entry: bytes, content: bytes) -> bytes:
    """Return an entry of the story with other content, well signed and in its turn."""
    statement = STATEMENT.decode(ENTRY.decode(entry).statement)
    member, feed = statement.member, statement.feed
    own = world.statement(member, feed, statement.kind, content_hash(statement.kind, content))
    return sign_entry(world.institution(member).feed_key(feed), own, content)


@cache
def places() -> list[tuple[bytes, World]]:
    """Return each entry of the story with the world in which it comes next."""
    found, world = [], World()
    for entry in entries_of_the_story():
        before = World()
        before.rows, before.leaves = dict(world.rows), list(world.leaves)
        before.registry, before.head = world.registry, world.head
        before.time_ms = world.time_ms
        found.append((entry, before))
        world.block(entry)
    return found


def mutated(data: st.DataObject, whole: bytes) -> bytes:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        end = data.draw(st.integers(at, min(at + 8, len(whole))))
        whole = whole[:at] + data.draw(st.binary(max_size=8)) + whole[end:]
    return whole


@settings(max_examples=300)
@given(data=st.data())
def test_9_well_signed_rubbish_is_refused_or_accepted_whole(data: st.DataObject) -> None:
    """Contents, altered and signed again: the rules see them, nothing raises."""
    entry, world = places()[data.draw(st.integers(2, len(places()) - 1))]
    content = ENTRY.decode(entry).content
    applied = world.apply(resigned(world, entry, mutated(data, content)))
    assert not applied.outcome.dropped
    if applied.outcome.refused:
        assert {key[:1] for key, _ in applied.writes} == {b"F", b"D"}
        assert applied.ruling is not None
        assert applied.ruling == Ruling(applied.outcome)
    else:
        assert b"F" in {key[:1] for key, _ in applied.writes}


def test_9_a_submission_with_any_byte_altered_and_signed_again_is_refused() -> None:
    entry, world = places()[0]
    content = ENTRY.decode(entry).content
    decoded = 0
    for at in range(len(content)):
        altered = content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :]
        try:
            submission = decode_submission(altered)
        except MalformedError:
            continue
        decoded += 1
        hash_ = submission.content_hash(world.ledger.ledger_id, 1)
        statement = world.statement(1, BULK, Kind.SUBMISSION, hash_)
        key = world.institution(1).feed_key(BULK)
        outcome = world.apply(sign_entry(key, statement, altered)).outcome
        assert outcome in {Outcome.RECEIPTS_TOO_FEW, Outcome.EPOCH_WRONG}, at
    assert decoded > len(content) // 2


@settings(max_examples=200)
@given(data=st.data())
def test_9_altered_entries_are_dropped_and_leave_nothing(data: st.DataObject) -> None:
    entry, world = places()[data.draw(st.integers(0, len(places()) - 1))]
    altered = mutated(data, entry)
    before = dict(world.rows)
    block = Block(world.head.height + 1, world.time_ms + 1000, (altered, entry, altered))
    executed = execute(world, world.ledger, world.registry, world.head, block)
    alone = Block(block.height, block.time_ms, (entry,))
    expected = execute(world, world.ledger, world.registry, world.head, alone)
    if altered != entry:
        assert executed.leaves == expected.leaves
        assert executed.writes == expected.writes
    assert world.rows == before


@settings(max_examples=100)
@given(data=st.binary(max_size=400))
def test_9_any_bytes_get_an_outcome(data: bytes) -> None:
    applied = story().world.apply(data)
    assert applied.outcome.dropped
    assert applied.detail
    assert applied.writes == ()


def test_9_every_kind_number_gets_an_outcome() -> None:
    world = World()
    for kind, feed in product(range(256), (BULK, DESK, 0)):
        statement = world.statement(1, feed, kind, content_hash(kind, b""))
        key = world.institution(1).feed_key(feed)
        outcome = world.apply(sign_entry(key, statement, b"")).outcome
        assert outcome.dropped is (kind == Kind.SUBMISSION), kind


def test_9_the_subject_key_may_be_any_bytes() -> None:
    world = World()
    for weak in (bytes(32), b"\xff" * 32, bytes([1]) + bytes(31)):
        terms = world.terms(subject_key=weak)
        content = world.consent(terms, subject_signature=SUBJECT_KEY.sign("consent", encode(terms)))
        outcome = world.apply(world.entry(1, Kind.CONSENT, content)).outcome
        assert outcome is Outcome.CONSENT_SUBJECT_UNSIGNED
