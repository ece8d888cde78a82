"""Body keys from shares, wrong shares, and who is at fault for them."""

from __future__ import annotations

import msgspec.structs
import pytest
from tests.committee import ONE_TIME
from tests.reading import Scene
from tests.world import seed

from tradeline_ledger.body import pad, seal_body
from tradeline_ledger.bundle import withhold
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import (
    MalformedError,
    SealError,
    SignatureError,
    UnopenedError,
    VerificationError,
)
from tradeline_ledger.event import encode_event
from tradeline_ledger.facts import Facts
from tradeline_ledger.history import EventId
from tradeline_ledger.hpke import PrivateKey
from tradeline_ledger.release import Answer, EntryShares, sign_history
from tradeline_ledger.report import open_answer
from tradeline_ledger.report_parts import Fault
from tradeline_ledger.share_fault import (
    CLAIM,
    FaultClaim,
    Part,
    SignedShares,
    verify_fault,
)
from tradeline_ledger.share_opening import open_keys
from tradeline_ledger.signing import SigningKey
from tradeline_ledger.submission import decode_submission

FIRST = EventId(1, 0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    scene = Scene()
    scene.file(2, scene.event(2, "a"), scene.event(2, "b"))
    scene.file(3, scene.event(3, "c"))
    scene.ask()
    return scene


def spoiled(
    scene: Scene, validator: int, *, events: tuple[EventId, ...] = (FIRST,), paths: bool = False
) -> Answer:
    """Return a well signed answer with false shares for `events`."""
    payload = []
    for entry in scene.committee.payload(validator, scene.common, paths=paths):
        shares = tuple(
            msgspec.structs.replace(each, share=seed("false", validator))
            if EventId(entry.index, each.position) in events
            else each
            for each in entry.shares
        )
        payload.append(msgspec.structs.replace(entry, shares=shares))
    return scene.committee.answer(validator, scene.common, payload=tuple(payload))


def without_shares(scene: Scene, validator: int, index: int) -> Answer:
    payload = scene.committee.payload(validator, scene.common)
    kept = tuple(entry for entry in payload if entry.index != index)
    return scene.committee.answer(validator, scene.common, payload=kept)


def test_any_t_members_open_every_body(scene: Scene) -> None:
    whole = scene.read()
    assert whole.doubted == ()
    for members in ((1, 2, 3), (1, 2, 4), (2, 3, 4)):
        reading = scene.read(answers=scene.answers(members))
        assert (reading.report.events, reading.doubted) == (whole.report.events, ())


def test_false_shares_of_one_member_are_got_around(scene: Scene) -> None:
    whole = scene.read().report
    for liar in (1, 2, 3, 4):
        answers = {**scene.answers(), liar: spoiled(scene, liar)}
        reading = scene.read(answers=answers)
        assert reading.report.events == whole.events
        assert reading.doubted == ((FIRST, liar),)


def test_members_may_each_lack_shares_of_other_events(scene: Scene) -> None:
    answers = {**scene.answers(), 1: without_shares(scene, 1, 1), 3: without_shares(scene, 3, 3)}
    assert len(scene.read(answers=answers).report.events) == 3


def test_too_few_right_shares_are_said_to_be_too_few(scene: Scene) -> None:
    answers = {**scene.answers((1, 2)), 3: spoiled(scene, 3)}
    with pytest.raises(UnopenedError, match="open 2 of 3 bodies; ask further members") as raised:
        scene.read(answers=answers)
    assert raised.value.events == ((1, 0),)
    answers = {**scene.answers((1, 2)), 3: without_shares(scene, 3, 1)}
    with pytest.raises(UnopenedError) as raised:
        scene.read(answers=answers)
    assert raised.value.events == ((1, 0), (1, 2))


def test_shares_count_only_with_the_epoch_of_their_deposit(scene: Scene) -> None:
    payload = tuple(
        msgspec.structs.replace(entry, epoch=7)
        for entry in scene.committee.payload(3, scene.common)
    )
    answers = scene.answers((1, 2))
    answers[3] = scene.committee.answer(3, scene.common, payload=payload)
    with pytest.raises(UnopenedError):
        scene.read(answers=answers)


def test_two_shares_of_one_member_for_one_event_count_for_nothing(scene: Scene) -> None:
    payload = scene.committee.payload(3, scene.common)
    answers = scene.answers((1, 2))
    answers[3] = scene.committee.answer(3, scene.common, payload=(*payload, payload[0]))
    with pytest.raises(UnopenedError) as raised:
        scene.read(answers=answers)
    assert raised.value.events == ((1, 0), (1, 2))
    answers[4] = scene.committee.answer(4, scene.common)
    assert len(scene.read(answers=answers).report.events) == 3


def test_payload_that_is_none_holds_up_nobody(scene: Scene) -> None:
    answers = scene.answers((1, 2, 4))
    garbage = sign_history(scene.committee.world.institution(3).node, answers[1].common, 3, b"x")
    answers[3] = Answer(answers[1].common, garbage, b"x")
    assert len(scene.read(answers=answers).report.events) == 3


def test_shares_are_bound_to_their_signature(scene: Scene) -> None:
    answers = scene.answers((1, 2, 3))
    answers[3] = msgspec.structs.replace(answers[3], payload=spoiled(scene, 3).payload)
    with pytest.raises(VerificationError, match="of 3 answers 2 are well signed"):
        scene.read(answers=answers)


def test_without_shares_nothing_opens(scene: Scene) -> None:
    epochs = scene.committee.world.registry.epochs
    assert open_keys([(FIRST, bytes(304))], {}, epochs).keys == {}
    alone: dict[int, tuple[EntryShares, ...]] = {1: scene.committee.payload(1, scene.common)}
    assert open_keys([(FIRST, bytes(304))], alone, epochs).keys == {}


def test_an_answer_opens_with_the_one_time_key_alone(scene: Scene) -> None:
    answer = scene.committee.answer(2, scene.common)
    sealed = scene.committee.sealed_answer(2, answer, scene.inquiry)

    def opened(key: PrivateKey, validator: int) -> Answer:
        ledger_id = scene.common.ledger_id
        return open_answer(
            key, sealed, ledger_id=ledger_id, inquiry=scene.inquiry, validator=validator
        )

    assert opened(ONE_TIME, 2) == answer
    for key, validator in ((ONE_TIME, 3), (scene.committee.world.institution(1).hpke, 2)):
        with pytest.raises(SealError):
            opened(key, validator)


# Who is at fault.


def facts_of(scene: Scene) -> Facts:
    """Return the facts that a bundle without keys proves to anybody."""
    return scene.verify(withhold(scene.read().bundle)).facts


def claim(scene: Scene, answers: dict[int, Answer], event: EventId = FIRST) -> FaultClaim:
    content = scene.committee.world.contents[event.index]
    return FaultClaim(
        event,
        decode_submission(content).batch.deposits,
        None,
        tuple(SignedShares(v, a.signature, a.payload) for v, a in sorted(answers.items())),
    )


def with_paths(scene: Scene, members: tuple[int, ...] = (1, 2, 3)) -> dict[int, Answer]:
    return {v: scene.committee.answer(v, scene.common, paths=True) for v in members}


def test_a_false_share_convicts_its_committee_member(scene: Scene) -> None:
    answers = {**with_paths(scene), 2: spoiled(scene, 2, paths=True)}
    for given in (answers, {2: answers[2]}):
        encoded = encode(claim(scene, given))
        blame = verify_fault(CLAIM.decode(encoded), facts_of(scene))
        assert (blame.part, blame.member, blame.event) == (Part.COMMITTEE_MEMBER, 2, FIRST)


def test_right_shares_convict_nobody(scene: Scene) -> None:
    with pytest.raises(VerificationError, match="combine to its key; nobody is at fault"):
        verify_fault(claim(scene, with_paths(scene)), facts_of(scene))
    with pytest.raises(SealError, match="3 are needed"):
        verify_fault(claim(scene, with_paths(scene, (1, 2))), facts_of(scene))


def test_nobody_is_convicted_by_what_it_did_not_sign(scene: Scene) -> None:
    facts = facts_of(scene)
    honest, false = with_paths(scene), spoiled(scene, 2, paths=True)
    forged = scene.committee.answer(2, scene.common, paths=True, key=SigningKey(seed("thief")))
    unsigned = msgspec.structs.replace(honest[2], payload=false.payload)
    for answer in (forged, unsigned):
        with pytest.raises(SignatureError, match="answer of member 2"):
            verify_fault(claim(scene, {2: answer}), facts)
    plain = scene.committee.answer(2, scene.common)
    with pytest.raises(MalformedError, match="ask with share paths"):
        verify_fault(claim(scene, {2: plain}), facts)
    other = msgspec.structs.replace(claim(scene, {2: false}), deposits=())
    with pytest.raises(VerificationError, match="deposits are not those of batch 1"):
        verify_fault(other, facts)
    with pytest.raises(VerificationError, match="has no body in these facts"):
        verify_fault(claim(scene, {2: false}, EventId(1, 1)), facts)
    with pytest.raises(SealError, match="answered with no share"):
        verify_fault(claim(scene, {2: without_shares(scene, 2, 1)}), facts)
    with pytest.raises(VerificationError, match="member 5 is not in the committee"):
        verify_fault(claim(scene, {5: false}), facts)


def dealt_wrong() -> tuple[Scene, EventId]:
    """A contributor deals shares of another key than the body commits to."""
    scene = Scene()
    world = scene.committee.world
    tag = world.tag(2, 1, 2026)
    aad = encode(("tradeline/v1 body", world.ledger.ledger_id, 2, tag))
    key = seed("key")
    body = seal_body(key, pad(encode_event(scene.event(2, "a"))), aad)
    month = scene.row(2, scene.event(2, "a"))[1]
    index = scene.committee.submit_sealed(2, [(tag, month, body)], [key], [seed("other")])
    scene.file(3, scene.event(3, "b"))
    scene.ask()
    return scene, EventId(index, 0)


def test_wrong_dealing_convicts_the_contributor_and_the_report_stays_whole() -> None:
    scene, event = dealt_wrong()
    with pytest.raises(UnopenedError) as raised:
        scene.read()
    assert raised.value.events == ((event.index, event.position),)
    claims = (claim(scene, with_paths(scene), event),)
    reading = scene.read(claims=claims)
    assert [(each.part, each.member) for each in reading.blamed] == [(Part.DEALER, 2)]
    (invalid,) = reading.report.invalid
    assert (invalid.fault, invalid.filed.id) == (Fault.DEALT_WRONG, event)
    assert len(reading.report.events) == 1
    # The bundle alone shows that the event exists; the claim, with it, whose fault it is.
    verdict = scene.verify(reading.bundle)
    assert [each.id for each in verdict.report.withheld] == [event]
    assert verify_fault(claims[0], verdict.facts).part is Part.DEALER


def test_a_false_share_beside_wrong_dealing_convicts_the_committee_member_first() -> None:
    scene, event = dealt_wrong()
    answers = {**with_paths(scene), 3: spoiled(scene, 3, events=(event,), paths=True)}
    with pytest.raises(UnopenedError):
        scene.read(claims=(claim(scene, answers, event),))
