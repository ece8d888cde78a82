"""
Reports and bundles under attack: each test tries to break one thing that a report promises.

Proofs come from a node that lies; answers from t honest committee members, unless a test says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec.structs
import pytest
from tests.committee import Committee
from tests.reading import (
    Scene,
    full_scene,
    with_entry,
    without_entry,
    without_event,
)
from tests.world import DAY_MS, DESK, make_ledger, seed

from tradeline_ledger.bundle import BUNDLE, withhold
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    ConsistencyError,
    InclusionError,
    IncompleteError,
    LedgerError,
    MalformedError,
    PolicyError,
    SealError,
    SignatureError,
    VerificationError,
)
from tradeline_ledger.history import EventId, HistoryRow
from tradeline_ledger.mark import Mark
from tradeline_ledger.merkle import leaf_hash
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.policy import Policy
from tradeline_ledger.policy_file import decode_policy
from tradeline_ledger.proof import EntryVerifier, TreeHead
from tradeline_ledger.registry import Feed
from tradeline_ledger.release import EntryProof, Proofs, sign_history
from tradeline_ledger.report import (
    Anchor,
    Anchored,
    NotAnchored,
    read_report,
    verify_bundle,
)
from tradeline_ledger.report_parts import WarningCode
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.standing import Standing
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf, kinds_of
from tradeline_ledger.trust import TrustedLog, policy_of

FIRST, SECOND, THIRD = EventId(1, 0), EventId(1, 2), EventId(3, 0)
ERASE_MARK, OTHER_INQUIRY, CONSENT, INQUIRY = 11, 15, 17, 19


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A scene that tests of this module read and never change."""
    return full_scene()


def with_event_changed(proofs: Proofs, event: EventId, **changes: Any) -> Proofs:
    events = tuple(
        msgspec.structs.replace(each, **changes)
        if (each.index, each.position) == (event.index, event.position)
        else each
        for each in proofs.events
    )
    assert events != proofs.events
    return Proofs(proofs.entries, events)


# What an honest read shows.


def test_a_report_shows_everything_that_the_histories_count(scene: Scene) -> None:
    report = scene.read().report
    assert [event.type for event in report.events] == [
        "account.payment",
        "account.payment",
        "correction.supersede",
        "correction.retract",
        "public.judgment",
    ]
    assert [gone.filed.id for gone in report.gone] == [SECOND]
    assert report.gone[0].standing is Standing.ERASED
    assert [(each.filed.member, each.own) for each in report.inquiries] == [(2, False), (1, True)]
    assert (report.invalid, report.withheld, report.unknown, report.warnings) == ((), (), (), ())
    counted = sum(row.events for row in report.completeness.histories)
    assert counted == len(report.events) + len(report.gone) + len(report.inquiries)
    assert report.completeness.validators == (1, 2, 3, 4)
    assert (report.completeness.threshold, report.completeness.committee) == (3, 4)
    assert report.completeness.size == scene.common.size
    assert report.completeness.time_ms == scene.committee.world.time_ms
    assert [member.id for member in report.members] == [1, 2, 3, 4]


def test_corrections_are_resolved_and_both_versions_shown(scene: Scene) -> None:
    report = scene.read().report
    assert (report.effective[0].original, report.effective[0].fields[1]) == (FIRST, 70)
    superseded, retracted = report.chains
    assert (superseded.original, superseded.corrections) == (FIRST, (EventId(5, 0),))
    assert (retracted.original, retracted.current, retracted.retracted) == (THIRD, None, True)
    assert report.events[0].event.fields[1] == 100


def test_the_bundle_of_a_report_verifies_to_the_same_report(scene: Scene) -> None:
    reading = scene.read()
    verdict = scene.verify(reading.bundle)
    assert verdict.report == reading.report
    assert isinstance(verdict.anchor, Anchored)


def test_what_came_after_the_inquiry_is_neither_counted_nor_shown() -> None:
    scene = full_scene()
    before = scene.read().report
    scene.file(2, scene.event(2, "later"))
    assert scene.read().report == before


def test_a_subject_with_two_identifiers_is_read_as_one() -> None:
    scene = Scene(who=(1, 5))
    scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.event(2, "b", who=5), who=5)
    scene.ask()
    report = scene.read().report
    assert [event.identifier for event in report.events] == [0, 1]
    assert report.invalid == ()


def test_contributors_that_were_not_asked_are_read_for_inquiries_only() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.file(3, scene.event(3, "b"))
    world = scene.committee.world
    other = scene.committee.consent(world.terms(3, 2))
    scene.committee.inquire(other, 3, tag=world.tag(3, 1, 2026, 3))
    scene.ask(contributors=(2,))
    report = scene.read().report
    assert [event.filed.member for event in report.events] == [2]
    assert [each.filed.member for each in report.inquiries] == [3, 1]


# Something is left out, added or moved.


def test_an_event_left_out_is_noticed(scene: Scene) -> None:
    proofs = without_event(scene.committee.proofs(scene.common), FIRST)
    with pytest.raises(IncompleteError, match=r"holds 3 events, 2 were given"):
        scene.read(proofs=proofs)


def test_the_only_event_of_a_history_left_out_is_noticed(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    proofs = without_event(without_entry(proofs, OTHER_INQUIRY), EventId(OTHER_INQUIRY, 0))
    with pytest.raises(IncompleteError, match=r"holds 1 events, 0 were given"):
        scene.read(proofs=proofs)


def test_the_entry_of_an_event_left_out_is_noticed(scene: Scene) -> None:
    proofs = without_entry(scene.committee.proofs(scene.common), FIRST.index)
    with pytest.raises(IncompleteError, match="proof of entry 1 is missing"):
        scene.read(proofs=proofs)


def test_a_mark_left_out_is_noticed(scene: Scene) -> None:
    proofs = without_entry(scene.committee.proofs(scene.common), ERASE_MARK)
    with pytest.raises(IncompleteError, match=r"holds 1 marks, 0 were given"):
        scene.read(proofs=proofs)


def test_one_more_event_is_noticed(scene: Scene) -> None:
    """Another person's event of the same batch, with proofs that hold."""
    stranger = scene.committee.event_proof(EventId(1, 1))
    proofs = scene.committee.proofs(scene.common)
    events = tuple(sorted((*proofs.events, stranger), key=lambda each: (each.index, each.position)))
    with pytest.raises(VerificationError, match="filed under no history of the scope"):
        scene.read(proofs=Proofs(proofs.entries, events))


def test_a_later_event_of_the_same_tag_is_noticed() -> None:
    scene = full_scene()
    (later,) = scene.file(2, scene.event(2, "later"))
    proofs = scene.committee.proofs(scene.common)
    events = (*proofs.events, scene.committee.event_proof(later))
    size = len(scene.committee.world.leaves)
    entry = scene.committee.entry_proof(later.index, size)
    proofs = with_entry(Proofs(proofs.entries, events), entry)
    with pytest.raises(VerificationError, match="came after the inquiry's block"):
        scene.read(proofs=proofs)


def test_events_in_another_order_are_noticed(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    turned = Proofs(proofs.entries, tuple(reversed(proofs.events)))
    with pytest.raises(MalformedError, match="must ascend"):
        scene.read(proofs=turned)
    with pytest.raises(MalformedError, match="must ascend"):
        scene.verify(scene.changed(proofs=turned))


@pytest.mark.parametrize(
    "change",
    [{"head": seed("head")}, {"marks": seed("marks")}, {"count": 4}, {"marks_count": 2}],
    ids=lambda change: next(iter(change)),
)
def test_a_statement_that_the_events_do_not_reproduce_is_refused(
    scene: Scene, change: dict[str, Any]
) -> None:
    """As if t members had signed it; the first row is that of member 1's own inquiry."""
    rows = list(scene.common.rows)
    place = next(i for i, row in enumerate(rows) if row.marks_count)
    rows[place] = msgspec.structs.replace(rows[place], **change)
    lie = msgspec.structs.replace(scene.common, rows=tuple(rows))
    answers = {number: scene.committee.answer(number, lie) for number in (1, 2, 3)}
    with pytest.raises(VerificationError, match="history"):
        scene.read(answers=answers)


def test_a_history_that_holds_nothing_proven_is_refused(scene: Scene) -> None:
    row = HistoryRow(5, seed("tag")[:16], 1, seed("head"), 0, bytes(32))
    lie = msgspec.structs.replace(scene.common, rows=(*scene.common.rows, row))
    answers = {number: scene.committee.answer(number, lie) for number in (1, 2, 3)}
    with pytest.raises(IncompleteError, match="holds 1 events, 0 were given"):
        scene.read(answers=answers)


def test_another_tag_in_a_header_breaks_its_path(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    stranger = scene.committee.event_proof(EventId(1, 1)).header
    with pytest.raises(InclusionError, match="event 1/0"):
        scene.read(proofs=with_event_changed(proofs, FIRST, header=stranger))


def test_an_event_under_another_member_is_refused(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    with pytest.raises(VerificationError, match="its entry is by member 2"):
        scene.read(proofs=with_event_changed(proofs, FIRST, member=3))


def test_an_event_at_another_position_is_refused(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    with pytest.raises(InclusionError):
        scene.read(proofs=with_event_changed(proofs, FIRST, position=1))


def test_an_inquiry_with_another_header_path_or_body_is_refused(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    event = EventId(OTHER_INQUIRY, 0)
    for change, words in (
        ({"header": proofs.events[0].header}, "another event header"),
        ({"path": (seed("path"),)}, "without path and body"),
        ({"body": b"body"}, "without path and body"),
    ):
        with pytest.raises((MalformedError, VerificationError), match=words):
            scene.read(proofs=with_event_changed(proofs, event, **change))


def test_a_proof_that_nothing_refers_to_is_refused(scene: Scene) -> None:
    extra = scene.committee.entry_proof(2, scene.common.size)  # a block leaf
    proofs = with_entry(scene.committee.proofs(scene.common), extra)
    with pytest.raises(VerificationError, match="leaf 2 ends a block"):
        scene.read(proofs=proofs)


def test_a_history_without_the_inquiry_itself_is_refused() -> None:
    """The reader files its inquiry under a tag that is not the subject's."""
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.terms = scene.make_terms()
    consent = scene.committee.consent(scene.terms)
    wrong = scene.committee.world.tag(1, 9, 2026, 3)
    scene.inquiry = scene.committee.inquire(consent, years=(2021, 2025, 2026), tag=wrong)
    scene.common = scene.committee.common(scene.inquiry)
    with pytest.raises(IncompleteError, match="lack inquiry"):
        scene.read()


# Statements of the committee.


def test_a_forged_statement_is_passed_over_and_named(scene: Scene) -> None:
    answers = scene.answers()
    rows = scene.common.rows[1:]
    lie = msgspec.structs.replace(scene.common, rows=rows)
    answers[4] = scene.committee.answer(4, lie, key=SigningKey(seed("thief")))
    reading = scene.read(answers=answers)
    assert reading.report.completeness.validators == (1, 2, 3)
    assert reading.dissenters == (4,)


def test_a_forged_signature_in_a_bundle_is_refused(scene: Scene) -> None:
    bundle = scene.bundle()
    forged = sign_history(SigningKey(seed("thief")), bundle.common, 4, b"")
    statements = (
        *bundle.statements[:3],
        msgspec.structs.replace(bundle.statements[3], signature=forged),
    )
    with pytest.raises(SignatureError, match="member 4 is signed by none of its node keys"):
        scene.verify(scene.changed(statements=statements))


def test_fewer_than_t_statements_are_refused(scene: Scene) -> None:
    with pytest.raises(PolicyError, match="at most 2 agree, 3 of the committee's 4 must"):
        scene.read(answers=scene.answers((1, 2)))
    bundle = scene.bundle()
    with pytest.raises(PolicyError, match="2 committee members signed these histories, 3 must"):
        scene.verify(scene.changed(statements=bundle.statements[:2]))


def test_one_member_signs_once(scene: Scene) -> None:
    bundle = scene.bundle()
    twice = (bundle.statements[0], bundle.statements[1], bundle.statements[1])
    with pytest.raises(MalformedError, match="history statements must ascend"):
        scene.verify(scene.changed(statements=twice))


def test_one_members_statement_under_another_name_is_refused(scene: Scene) -> None:
    bundle = scene.bundle()
    first, second, third, fourth = bundle.statements
    renamed = msgspec.structs.replace(first, validator=4)
    with pytest.raises(SignatureError, match="member 4"):
        scene.verify(scene.changed(statements=(first, second, renamed)))
    answers = scene.answers((1, 2))
    answers[3] = answers[2]
    with pytest.raises(PolicyError, match="at most 2 agree"):
        scene.read(answers=answers)
    assert (third.validator, fourth.validator) == (3, 4)


def test_members_outside_the_committee_do_not_count(scene: Scene) -> None:
    answers = scene.answers((1, 2))
    answers[5] = scene.committee.answer(5, scene.common, payload=())
    with pytest.raises(PolicyError, match="at most 2 agree"):
        scene.read(answers=answers)
    bundle = scene.bundle()
    notary = msgspec.structs.replace(bundle.statements[3], validator=5)
    with pytest.raises(PolicyError, match="member 5, which is not in the committee"):
        scene.verify(scene.changed(statements=(*bundle.statements[:2], notary)))


def test_statements_over_different_roots_do_not_agree(scene: Scene) -> None:
    answers = scene.answers((1, 2))
    fork = msgspec.structs.replace(scene.common, root=seed("fork"))
    answers |= {number: scene.committee.answer(number, fork) for number in (3, 4)}
    with pytest.raises(PolicyError, match="at most 2 agree, 3 of the committee's 4 must"):
        scene.read(answers=answers)


def test_a_dissenting_member_does_not_stop_the_others(scene: Scene) -> None:
    answers = scene.answers((1, 2, 4))
    fork = msgspec.structs.replace(scene.common, root=seed("fork"))
    answers[3] = scene.committee.answer(3, fork)
    reading = scene.read(answers=answers)
    assert reading.dissenters == (3,)
    assert reading.report.completeness.validators == (1, 2, 4)


def test_a_statement_about_another_inquiry_is_refused(scene: Scene) -> None:
    other = msgspec.structs.replace(scene.common, inquiry=OTHER_INQUIRY)
    answers = {number: scene.committee.answer(number, other) for number in (1, 2, 3)}
    with pytest.raises(VerificationError, match="answer inquiry 15, the bundle is about 19"):
        scene.read(answers=answers)


def test_a_statement_as_of_another_block_is_refused() -> None:
    """Honest roots, but of an older block: what was filed in between would be missing."""
    scene = full_scene()
    size = scene.committee.block_of(CONSENT)[0] + 1
    rows = tuple(
        row
        for place in scene.committee.scope(scene.committee.world.inquiry(bytes(16), years=(2026,)))
        if (row := scene.committee.row(*place, size)) is not None
    )
    old = msgspec.structs.replace(
        scene.common, size=size, root=scene.committee.root(size), rows=rows
    )
    answers = {number: scene.committee.answer(number, old) for number in (1, 2, 3)}
    released = replace(
        scene.released(),
        answers=answers,
        consistency=scene.committee.consistency(size, len(scene.committee.world.leaves)),
    )
    with pytest.raises((InclusionError, IncompleteError)):
        read_report(scene.log(), released, scene.subject)


def test_a_statement_as_of_a_later_block_is_refused() -> None:
    scene = full_scene()
    scene.file(2, scene.event(2, "later"))
    size = len(scene.committee.world.leaves)
    late = msgspec.structs.replace(scene.common, size=size, root=scene.committee.root(size))
    answers = {number: scene.committee.answer(number, late) for number in (1, 2, 3)}
    inquiry = scene.committee.entry_proof(INQUIRY, size)
    proofs = with_entry(
        scene.committee.proofs(scene.common), scene.committee.entry_proof(size - 1, size)
    )
    with pytest.raises(VerificationError, match="inquiry 19 is in block 10; the histories end"):
        scene.read(answers=answers, inquiry=inquiry, proofs=proofs, consistency=())


def test_a_size_inside_a_block_is_refused(scene: Scene) -> None:
    size = scene.common.size - 1
    cut = msgspec.structs.replace(scene.common, size=size, root=scene.committee.root(size))
    answers = {number: scene.committee.answer(number, cut) for number in (1, 2, 3)}
    released = replace(
        scene.released(),
        answers=answers,
        consistency=scene.committee.consistency(size, scene.common.size),
        proofs=with_entry(
            scene.committee.proofs(scene.common), scene.committee.entry_proof(size - 1, size)
        ),
    )
    # The last leaf of that size is the inquiry's own.
    with pytest.raises((VerificationError, MalformedError)):
        read_report(scene.log(), released, scene.subject)


# Checkpoints.


def test_a_fork_under_a_quorum_is_refused(scene: Scene) -> None:
    fork = scene.committee.checkpoint(root=seed("fork"))
    with pytest.raises(ConsistencyError, match="keep both signed checkpoints as evidence"):
        scene.read(checkpoint=fork)


def test_a_larger_fork_is_refused() -> None:
    scene = full_scene()
    scene.file(2, scene.event(2, "later"))
    fork = scene.committee.checkpoint(root=seed("fork"))
    with pytest.raises(ConsistencyError, match="leads to new root"):
        scene.read(checkpoint=fork)


def test_a_checkpoint_older_than_the_inquiry_is_refused(scene: Scene) -> None:
    with pytest.raises(ConsistencyError, match="cannot compare"):
        scene.read(checkpoint=scene.committee.checkpoint(CONSENT))


def test_cosigners_below_the_quorum_are_refused(scene: Scene) -> None:
    for cosigners in ((1, 2), (1, 2, 2, 1)):
        note = scene.committee.checkpoint(cosigners=cosigners)
        with pytest.raises(PolicyError, match=r"cosigned by members \[1, 2\]"):
            scene.read(checkpoint=note)
        with pytest.raises(PolicyError, match=r"cosigned by members \[1, 2\]"):
            scene.verify(scene.changed(checkpoint=note.decode()))


def test_a_note_by_unknown_keys_is_refused(scene: Scene) -> None:
    strangers = {number: SigningKey(seed("stranger", number)) for number in (1, 2, 3, 4)}
    note = scene.committee.checkpoint(cosigner_keys=strangers)
    with pytest.raises(PolicyError, match=r"cosigned by members \[\]"):
        scene.verify(scene.changed(checkpoint=note.decode()))


# Entries.


def test_a_refused_entry_presented_as_accepted_is_refused(scene: Scene) -> None:
    committee = full_scene().committee
    proof = committee.entry_proof(ERASE_MARK, scene.common.size)
    leaf = decode_leaf(proof.leaf)
    assert isinstance(leaf, EntryLeaf)
    forged = msgspec.structs.replace(leaf, outcome=int(Outcome.MARK_NOT_OWN))
    lie = msgspec.structs.replace(proof, leaf=encode(forged))
    with pytest.raises(InclusionError):
        scene.read(proofs=with_entry(scene.committee.proofs(scene.common), lie))


def test_a_refused_mark_erases_nothing() -> None:
    """A mark of another member has its place in the log, and no effect."""
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    world = scene.committee.world
    content = encode(Mark(first, 1, None, 3))
    executed = world.block(world.entry(3, Kind.MARK, content))
    assert executed.placed[0].applied.outcome is Outcome.MARK_NOT_OWN
    index = executed.placed[0].index
    scene.ask()
    refused = scene.committee.entry_proof(index, scene.common.size)
    refused = msgspec.structs.replace(refused, content=content)
    scene.committee.delete_body(first)
    proofs = with_entry(scene.committee.proofs(scene.common), refused)
    with pytest.raises(VerificationError, match="was not accepted, its outcome is 442"):
        scene.read(proofs=proofs)


def test_a_refused_inquiry_opens_no_report() -> None:
    scene = full_scene()
    world = scene.committee.world
    inquiry = world.inquiry(bytes(16), years=(2026,))
    executed = world.block(world.entry(1, Kind.INQUIRY, encode(inquiry)))
    refused = executed.placed[0]
    assert refused.applied.outcome is Outcome.INQUIRY_CONSENT_UNKNOWN
    size = len(world.leaves)
    common = msgspec.structs.replace(
        scene.common, inquiry=refused.index, size=size, root=scene.committee.root(size)
    )
    answers = {number: scene.committee.answer(number, common) for number in (1, 2, 3)}
    proof = msgspec.structs.replace(
        scene.committee.entry_proof(refused.index, size), content=encode(inquiry)
    )
    proofs = with_entry(
        scene.committee.proofs(scene.common), scene.committee.entry_proof(size - 1, size)
    )
    with pytest.raises(VerificationError, match="was not accepted, its outcome is 390"):
        scene.read(answers=answers, inquiry=proof, proofs=proofs, consistency=())


def test_the_terms_of_another_consent_are_refused(scene: Scene) -> None:
    other = encode(scene.committee.world.terms(2, 3))
    with pytest.raises(VerificationError, match="names consent"):
        scene.read(terms=other)


def test_an_inquiry_without_the_proof_of_its_consent_is_refused(scene: Scene) -> None:
    proofs = without_entry(scene.committee.proofs(scene.common), CONSENT)
    with pytest.raises(IncompleteError, match="no entry proof shows consent"):
        scene.read(proofs=proofs)


def test_an_entry_proof_with_another_content_is_refused(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    proof = scene.committee.entry_proof(OTHER_INQUIRY, scene.common.size)
    own = scene.committee.entry_proof(INQUIRY, scene.common.size)
    lie = msgspec.structs.replace(proof, content=own.content)
    with pytest.raises(VerificationError, match="its content hashes to"):
        scene.read(proofs=with_entry(proofs, lie))


def test_a_submission_with_another_root_is_refused(scene: Scene) -> None:
    proof = scene.committee.entry_proof(1, scene.common.size)
    assert proof.batch is not None
    lie = msgspec.structs.replace(
        proof, batch=msgspec.structs.replace(proof.batch, events_root=seed("root"))
    )
    with pytest.raises(VerificationError, match="its content hashes to"):
        scene.read(proofs=with_entry(scene.committee.proofs(scene.common), lie))
    for change in ({"batch": None}, {"content": b""}, {"batch": None, "content": b""}):
        lie = msgspec.structs.replace(proof, **change)
        with pytest.raises(MalformedError, match="without its batch part"):
            scene.read(proofs=with_entry(scene.committee.proofs(scene.common), lie))


# Bodies and keys.


def test_a_copied_body_is_not_taken_for_another(scene: Scene) -> None:
    proofs = scene.committee.proofs(scene.common)
    other = scene.committee.event_proof(THIRD).body
    with pytest.raises(SealError, match="body of event 1/0 is not the one that its header names"):
        scene.read(proofs=with_event_changed(proofs, FIRST, body=other))


def test_swapped_keys_are_refused(scene: Scene) -> None:
    bundle = scene.bundle()
    keys = list(bundle.keys)
    keys[0], keys[2] = keys[2], keys[0]
    with pytest.raises(SealError, match="key of event 1/0"):
        scene.verify(scene.changed(keys=tuple(keys)))


def test_a_bundle_without_keys_shows_that_the_events_exist(scene: Scene) -> None:
    reading = scene.read()
    report = scene.verify(withhold(reading.bundle)).report
    assert [each.id for each in report.withheld] == [e.id for e in reading.report.events]
    assert report.events == ()
    assert report.effective == ()
    assert report.completeness == reading.report.completeness
    assert [w.code for w in report.warnings] == [WarningCode.CONTENT_WITHHELD]


def test_one_key_withheld_hides_one_event(scene: Scene) -> None:
    bundle = scene.bundle()
    keys = (None, *bundle.keys[1:])
    report = scene.verify(scene.changed(keys=keys)).report
    assert [each.id for each in report.withheld] == [FIRST]
    # Its correction is shown all the same.
    assert report.chains[0].original == FIRST
    assert report.chains[0].current is not None


def test_a_key_for_an_event_that_is_gone_is_refused(scene: Scene) -> None:
    bundle = scene.bundle()
    keys = list(bundle.keys)
    keys[1] = seed("key", 2, 0, 2)
    with pytest.raises(MalformedError, match="event 1/2 comes with a key"):
        scene.verify(scene.changed(keys=tuple(keys)))


def test_keys_are_one_for_each_event(scene: Scene) -> None:
    bundle = scene.bundle()
    with pytest.raises(MalformedError, match="keys for"):
        scene.verify(scene.changed(keys=bundle.keys[:-1]))


# Erasure and retention.


def test_a_body_missing_without_a_mark_makes_the_report_incomplete() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.ask()
    scene.committee.delete_body(first)
    with pytest.raises(IncompleteError, match="body of event 1/0 is missing; no mark erased it"):
        scene.read()


def test_an_erased_body_is_not_shown_even_if_a_node_still_has_it() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.committee.mark(2, (first.index, first.position), 1, None, 3)
    scene.ask()
    assert scene.committee.event_proof(first).body is not None
    reading = scene.read()
    assert [gone.standing for gone in reading.report.gone] == [Standing.ERASED]
    assert all(proof.body is None for proof in BUNDLE.decode(reading.bundle).proofs.events)
    assert scene.verify(reading.bundle).report == reading.report


def later_erasure() -> tuple[Scene, EventId, int]:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.ask()
    mark = scene.committee.mark(2, (first.index, first.position), 1, None, 4)
    scene.committee.delete_body(first)
    return scene, first, mark


def test_a_later_mark_explains_a_missing_body_with_its_own_proof() -> None:
    scene, first, mark = later_erasure()
    reading = scene.read()
    assert [(gone.filed.id, gone.standing) for gone in reading.report.gone] == [
        (first, Standing.ERASED)
    ]
    assert reading.report.gone[0].filed.marks[0].later
    assert reading.report.completeness.histories[-1].marks == 0
    assert scene.verify(reading.bundle).report == reading.report
    with pytest.raises(IncompleteError, match="is missing; no mark erased it"):
        scene.read(proofs=without_entry(scene.committee.proofs(scene.common), mark))


def test_a_later_mark_leads_to_the_checkpoint() -> None:
    scene, _, mark = later_erasure()
    size = len(scene.committee.world.leaves)
    short = msgspec.structs.replace(
        scene.committee.entry_proof(mark, size), path=scene.committee.path(mark, size)[:-1]
    )
    with pytest.raises(InclusionError):
        scene.read(proofs=with_entry(scene.committee.proofs(scene.common), short))


def test_an_expired_body_is_not_shown() -> None:
    scene = Scene()
    (old,) = scene.file(2, scene.event(2, "a", on="2021-03-04"))
    scene.ask()
    kept = scene.read().report
    scene.committee.delete_body(old)
    gone = scene.read().report
    for report in (kept, gone):
        assert [(each.filed.id, each.standing) for each in report.gone] == [(old, Standing.EXPIRED)]
        assert report.gone[0].reason is None
        assert report.events == ()


def test_a_month_moved_by_a_mark_counts() -> None:
    scene = Scene()
    (old,) = scene.file(2, scene.event(2, "a", on="2021-03-04"))
    target = (old.index, old.position)
    scene.committee.mark(2, target, 2, 2030 * 12, 6)
    scene.ask()
    report = scene.read().report
    assert [event.id for event in report.events] == [old]
    assert report.events[0].filed.retain_month == 2030 * 12


def test_a_body_gone_although_its_month_was_moved_is_warned_of() -> None:
    scene = Scene()
    (old,) = scene.file(2, scene.event(2, "a", on="2021-03-04"))
    scene.committee.mark(2, (old.index, old.position), 2, 2030 * 12, 6)
    scene.ask()
    scene.committee.delete_body(old)
    reading = scene.read()
    assert [each.standing for each in reading.report.gone] == [Standing.LAPSED]
    assert [warning.code for warning in reading.report.warnings] == [WarningCode.BODY_LAPSED]
    assert scene.verify(reading.bundle).report == reading.report


def test_a_body_that_expired_after_the_inquiry_is_explained_by_a_later_block() -> None:
    scene = Scene()
    (old,) = scene.file(2, scene.event(2, "a", on="2021-09-04"))
    scene.ask()
    shown = scene.read().report
    assert [event.id for event in shown.events] == [old]
    scene.committee.world.time_ms += 30 * DAY_MS
    scene.file(3, scene.event(3, "b"))
    scene.committee.delete_body(old)
    assert [each.standing for each in scene.read().report.gone] == [Standing.EXPIRED]


# Keys that change.


def changed_scene() -> Scene:
    """Members change feed, node, note and cosigner keys before, between and after."""
    scene = Scene()
    committee, world = scene.committee, scene.committee.world
    scene.file(2, scene.event(2, "a"))
    feed = SigningKey(seed("new feed"))
    committee.change_keys(
        2,
        0,
        added=[Feed(7, feed.public, kinds_of(Kind.SUBMISSION, Kind.MARK))],
        ended=[1],
        cosigner_key=SigningKey(seed("new cosigner")).public,
    )
    committee.change_keys(3, 0, note_key=SigningKey(seed("new note")).public)
    scene.file(4, scene.event(4, "b"))
    scene.ask()
    committee.change_keys(4, 0, node_key=SigningKey(seed("new node")).public)
    assert world.registry.member(2) is not None
    return scene


def signed_after_changes(scene: Scene) -> dict[str, Any]:
    """Return what the reader collected, signed with the keys of today."""
    committee = scene.committee
    return {
        "checkpoint": committee.checkpoint(
            signers=(1, 2),
            cosigner_keys={2: SigningKey(seed("new cosigner"))},
        ),
        "answers": {
            **{number: committee.answer(number, scene.common) for number in (1, 2)},
            4: committee.answer(4, scene.common, key=SigningKey(seed("new node"))),
        },
    }


def changed_log(scene: Scene) -> TrustedLog:
    log = TrustedLog.start(scene.committee.world.ledger)
    keys = {2: SigningKey(seed("new cosigner"))}
    plain, *rest = scene.committee.steps()
    log = log.advance(plain)
    for step, signed in zip(
        rest, scene.committee.steps(signers=(1, 2), cosigner_keys=keys)[1:], strict=True
    ):
        assert step.index == signed.index
        log = log.advance(signed)
    return log


def test_keys_may_change_before_and_after_the_inquiry() -> None:
    scene = changed_scene()
    log = changed_log(scene)
    released = replace(scene.released(), **signed_after_changes(scene))
    reading = read_report(log, released, scene.subject)
    assert len(reading.report.events) == 2
    assert len(BUNDLE.decode(reading.bundle).steps) == 3
    assert scene.verify(reading.bundle).report == reading.report


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_registry_step_left_out_is_noticed(left_out: int) -> None:
    scene = changed_scene()
    log = changed_log(scene)
    released = replace(scene.released(), **signed_after_changes(scene))
    bundle = BUNDLE.decode(read_report(log, released, scene.subject).bundle)
    steps = tuple(step for place, step in enumerate(bundle.steps) if place != left_out)
    with pytest.raises(VerificationError):
        scene.verify(msgspec.structs.replace(bundle, steps=steps))


def test_a_registry_newer_than_the_checkpoint_is_refused() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.ask()
    before = scene.released()
    scene.committee.change_keys(4, 0, note_key=SigningKey(seed("new note")).public)
    with pytest.raises(VerificationError, match="take exactly the registry steps before"):
        read_report(scene.log(), before, scene.subject)


def test_a_statement_under_a_node_key_that_ended_before_is_refused() -> None:
    scene = Scene()
    scene.committee.change_keys(4, 0, node_key=SigningKey(seed("new node")).public)
    scene.file(2, scene.event(2, "a"))
    scene.ask()
    answers = scene.answers((1, 2))
    answers[4] = scene.committee.answer(4, scene.common)  # with the ended key
    with pytest.raises(PolicyError, match="of 3 answers 2 are well signed"):
        scene.read(answers=answers)
    answers[4] = scene.committee.answer(4, scene.common, key=SigningKey(seed("new node")))
    assert scene.read(answers=answers).report.completeness.validators == (1, 2, 4)


# What the verifier brings.


def other_policy() -> Policy:
    ledger = make_ledger(refused_per_day=7)
    return decode_policy(policy_of(ledger, ledger.registry).encode())


def own_policy(scene: Scene) -> Policy:
    ledger = scene.committee.world.ledger
    return decode_policy(policy_of(ledger, ledger.registry).encode())


def test_without_keys_of_ones_own_a_bundle_is_not_anchored(scene: Scene) -> None:
    verdict = verify_bundle(scene.read().bundle, subject=scene.subject)
    assert isinstance(verdict.anchor, NotAnchored)
    with pytest.raises(PolicyError, match="give a policy or a genesis"):
        _ = verdict.report
    assert verdict.unsafe_report == scene.read().report


def test_a_bundle_of_another_ledger_agrees_with_itself_and_is_not_anchored(scene: Scene) -> None:
    """Anybody can found a ledger and write any history on it."""
    forged = scene.read().bundle
    mine = make_ledger(refused_per_day=7)
    for anchor, words in (
        (Anchor(ledger_id=mine.ledger_id), "yours is"),
        (Anchor(policy=other_policy()), "your policy does not accept"),
        (Anchor(policy=own_policy(scene), ledger_id=mine.ledger_id), "yours is"),
        (
            Anchor(policy=other_policy(), ledger_id=scene.common.ledger_id),
            "your policy does not accept",
        ),
    ):
        verdict = verify_bundle(forged, anchor=anchor)
        assert isinstance(verdict.anchor, NotAnchored)
        assert words in verdict.anchor.reason
        with pytest.raises(PolicyError, match="not anchored"):
            _ = verdict.report


def test_a_policy_anchors_by_its_own_quorum(scene: Scene) -> None:
    encoded = scene.read(checkpoint=scene.committee.checkpoint(cosigners=(1, 2, 4))).bundle
    verdict = verify_bundle(encoded, anchor=Anchor(policy=own_policy(scene)))
    origin = scene.committee.world.ledger.origin
    assert isinstance(verdict.anchor, Anchored)
    assert verdict.anchor.cosigners == tuple(f"{origin}/{number}" for number in (1, 2, 4))
    assert len(verdict.anchor.signers) == 4
    assert verdict.anchor.cosigned
    text = policy_of(scene.committee.world.ledger, scene.committee.world.registry)
    stricter = decode_policy(text.replace("group validators 3", "group validators 4").encode())
    refused = verify_bundle(encoded, anchor=Anchor(policy=stricter))
    assert isinstance(refused.anchor, NotAnchored)


def test_a_policy_without_quorum_is_told_apart(scene: Scene) -> None:
    text = policy_of(scene.committee.world.ledger, scene.committee.world.registry)
    logs = [line for line in text.splitlines() if line.startswith("log ")]
    lax = decode_policy("\n".join([*logs, "quorum none\n"]).encode())
    verdict = verify_bundle(scene.read().bundle, anchor=Anchor(policy=lax))
    assert isinstance(verdict.anchor, Anchored)
    assert not verdict.anchor.cosigned


def test_a_verifier_without_year_keys_is_told_so(scene: Scene) -> None:
    report = scene.verify(scene.read().bundle, subject=False).report
    assert [warning.code for warning in report.warnings] == [WarningCode.SUBJECT_UNCHECKED]
    assert {event.identifier for event in report.events} == {None}


def test_year_keys_of_another_person_are_refused(scene: Scene) -> None:
    other = Scene(who=(9,)).subject
    with pytest.raises(VerificationError, match="0 of those given match"):
        read_report(scene.log(), scene.released(), other)
    with pytest.raises(VerificationError, match="0 of those given match"):
        verify_bundle(scene.read().bundle, subject=other)


# Any byte.


def flipped(encoded: bytes, at: int) -> bytes:
    """Return bytes with one bit of the byte at `at` turned, another bit for each place."""
    return encoded[:at] + bytes([encoded[at] ^ 1 << at % 8]) + encoded[at + 1 :]


def test_no_changed_byte_verifies_to_another_report() -> None:
    """A changed byte is noticed, or it is of a signature line that does not count."""
    scene = Scene()
    first, _ = scene.file(2, scene.event(2, "a"), scene.event(2, "b"))
    scene.committee.mark(2, (first.index, 2), 1, None, 3)
    scene.ask()
    reading = scene.read(checkpoint=scene.committee.checkpoint(signers=(1,), cosigners=(1, 2, 3)))
    survived = []
    for at in range(len(reading.bundle)):
        try:
            verdict = scene.verify(flipped(reading.bundle, at))
        except LedgerError:
            continue
        survived.append(at)
        assert verdict.report == reading.report, at
    assert survived == []


def test_no_part_of_a_bundle_can_be_cut_or_added(scene: Scene) -> None:
    encoded = scene.read().bundle
    for cut in range(0, len(encoded), 97):
        with pytest.raises(LedgerError):
            scene.verify(encoded[:cut])
    with pytest.raises(MalformedError):
        scene.verify(encoded + b"\x00")


def test_steps_terms_and_genesis_of_another_ledger_do_not_mix(scene: Scene) -> None:
    other = Committee()
    other.world.ledger = make_ledger(refused_per_day=7)
    with pytest.raises(PolicyError, match="expected 'tradeline"):
        scene.verify(scene.changed(genesis=other.world.ledger.file))


def test_feeds_of_the_desk_file_no_batches(scene: Scene) -> None:
    """What a feed may not sign proves nothing, whatever the leaf says."""
    committee = full_scene().committee
    leaf = decode_leaf(committee.world.leaves[1])
    assert isinstance(leaf, EntryLeaf)
    statement = msgspec.structs.replace(STATEMENT.decode(leaf.statement), feed=DESK)
    encoded = encode(statement)
    signature = committee.world.institution(2).feed_key(DESK).sign("statement", encoded)
    forged = encode(msgspec.structs.replace(leaf, statement=encoded, signature=signature))
    verifier = EntryVerifier(committee.world.ledger.ledger_id, committee.world.registry)
    proof = EntryProof(0, forged, (), None, None)
    with pytest.raises(VerificationError, match="was not allowed kind 1"):
        verifier.entry(proof, TreeHead(1, leaf_hash(forged)))
