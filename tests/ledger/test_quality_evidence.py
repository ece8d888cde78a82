"""Evidence against quality statements: each lie is proven, and the honest are never convicted."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec.structs
import pytest
from tests.reading import Scene
from tests.stating import MONTH, accepted, changed, honest, state_quality
from tests.world import seed

from tradeline_ledger.bundle import BUNDLE, withhold
from tradeline_ledger.calendar import month_of
from tradeline_ledger.conviction import Conviction
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import InclusionError, LedgerError, MalformedError, VerificationError
from tradeline_ledger.evidence import verify_evidence
from tradeline_ledger.evidence_file import EvidenceType, evidence_type, unwrap, wrap
from tradeline_ledger.history import EventId
from tradeline_ledger.quality import Delay, Listed, MonthStanding, Quality
from tradeline_ledger.quality_evidence import (
    QUALITY_EVIDENCE,
    QualityEvidence,
    quality_evidence,
    verify_quality_evidence,
)
from tradeline_ledger.release import EntryProof

NONE = (0,) * len(Delay)
Change = Callable[[Quality], Quality]


def scene_of_corrections() -> Scene:
    """Return a ledger on which member 2 filed two events, a correction and a repeat."""
    scene = Scene()
    first, _ = scene.file(2, scene.event(2, "a"), scene.event(2, "b"))
    scene.file(2, scene.supersede(2, "c", first, 70))
    scene.file(2, scene.event(2, "a"))
    scene.file(3, scene.event(3, "d"))
    return scene


def read_after(scene: Scene, content: Quality, member: int = 2) -> tuple[bytes, EntryProof]:
    """Place a statement and read the subject's report; return its bundle and the proof."""
    index = accepted(state_quality(scene, member, content))
    scene.ask()
    return scene.read().bundle, scene.committee.entry_proof(
        index, len(scene.committee.world.leaves)
    )


def first_listed(content: Quality, events: int) -> Quality:
    row, *others = content.listed
    return changed(content, listed=(Listed(row.index, events), *others))


LIES: dict[str, tuple[Change, str, int]] = {
    "unlisted": (
        lambda c: changed(c, listed=c.listed[1:]),
        "does not list the submission of event 1/0, which is of 2026-03",
        1,
    ),
    "none at all": (
        lambda c: changed(
            c,
            standing=MonthStanding.VOID,
            received=0,
            accepted=0,
            listed=(),
            corrections=NONE,
            correction_prints=b"",
            repeat_prints=b"",
        ),
        "does not list the submission of event 1/0",
        1,
    ),
    "undercounted": (
        lambda c: first_listed(c, 1),
        "counts fewer events of 2026-03 in submission 1 than the 2 that are shown",
        2,
    ),
    "no corrections": (
        lambda c: changed(c, corrections=NONE, correction_prints=b""),
        "hides that event 3/0 of 2026-03 corrects another",
        1,
    ),
    "another correction": (
        lambda c: changed(c, correction_prints=seed("other")[:8]),
        "hides that event 3/0 of 2026-03 corrects another",
        1,
    ),
    "no repeats": (
        lambda c: changed(c, repeat_prints=b""),
        "hides that event 5/0 of 2026-03 repeats event 1/0",
        2,
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_statement_that_a_report_contradicts_convicts_its_member(lie: str) -> None:
    change, detail, opened = LIES[lie]
    scene = scene_of_corrections()
    bundle, proof = read_after(scene, change(honest(scene, 2)))

    evidence = quality_evidence(bundle, proof)
    assert evidence is not None
    assert evidence_type(evidence) is EvidenceType.QUALITY
    proven = verify_evidence(evidence)
    assert isinstance(proven, Conviction)
    assert (proven.member, proven.record.name) == (2, "Online lender")
    assert detail in proven.detail
    shown = BUNDLE.decode(QUALITY_EVIDENCE.decode(unwrap(evidence)).bundle)
    assert sum(key is not None for key in shown.keys) == opened
    assert len(BUNDLE.decode(bundle).keys) > opened


def test_an_honest_statement_is_not_contradicted() -> None:
    scene = scene_of_corrections()
    bundle, proof = read_after(scene, honest(scene, 2))
    assert quality_evidence(bundle, proof) is None
    with pytest.raises(VerificationError, match="agree: no contradiction"):
        verify_quality_evidence(wrap(QualityEvidence(7, bundle, proof)))


@pytest.mark.parametrize("number", range(12))
def test_whatever_an_honest_member_filed_its_statements_are_never_contradicted(number: int) -> None:
    dice = random.Random(number)
    scene = Scene()
    names, targets = list("abcdefgh"), list[EventId]()
    for step in range(6):
        day = dice.choice(["2026-03-01", "2026-03-31", "2026-02-28", "2026-04-01"])
        events = [scene.event(2, dice.choice(names), on=day) for _ in range(dice.randint(1, 3))]
        if targets:
            events.append(scene.supersede(2, ("c", step), dice.choice(targets), step))
        targets += scene.file(2, *events)[: len(events) - 1 or 1]
        if dice.random() < 0.4:
            for month in (MONTH - 1, MONTH, MONTH + 1):
                accepted(state_quality(scene, 2, honest(scene, 2, month)))
    months = (MONTH - 1, MONTH, MONTH + 1)
    placed = [accepted(state_quality(scene, 2, honest(scene, 2, month))) for month in months]
    scene.file(2, *[scene.event(2, name) for name in names])
    scene.ask()
    bundle, size = scene.read().bundle, len(scene.committee.world.leaves)
    for index in placed:
        assert quality_evidence(bundle, scene.committee.entry_proof(index, size)) is None


def test_events_placed_after_the_size_of_a_statement_prove_nothing() -> None:
    scene = Scene()
    (target,) = scene.file(2, scene.event(2, "a"))
    content = honest(scene, 2)
    scene.file(2, scene.event(2, "b"))
    scene.file(2, scene.supersede(2, "c", target, 70))
    bundle, proof = read_after(scene, content)
    assert quality_evidence(bundle, proof) is None


def test_events_of_other_members_and_months_prove_nothing() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.file(3, scene.event(3, "b"))
    scene.file(2, scene.event(2, "c", on="2026-04-01"))
    bundle, proof = read_after(scene, honest(scene, 2))
    assert [each.events for each in honest(scene, 2).listed] == [2, 1]  # the strangers' are March's
    assert quality_evidence(bundle, proof) is None
    assert honest(scene, 2, month_of("2026-04-01")).events == 1


def test_an_erased_correction_that_is_not_counted_proves_nothing() -> None:
    scene = Scene()
    (target,) = scene.file(2, scene.event(2, "a"))
    (correction,) = scene.file(2, scene.supersede(2, "c", target, 70))
    scene.committee.mark(2, (correction.index, correction.position), 1, None, 2)
    scene.committee.delete_body(correction)
    content = honest(scene, 2)
    assert content.corrections == NONE
    bundle, proof = read_after(scene, content)
    assert quality_evidence(bundle, proof) is None


def test_a_report_from_before_an_erasure_does_not_convict() -> None:
    scene = Scene()
    (target,) = scene.file(2, scene.event(2, "a"))
    (correction,) = scene.file(2, scene.supersede(2, "c", target, 70))
    scene.ask()
    scene.committee.mark(2, (correction.index, correction.position), 1, None, 2)
    content = changed(honest(scene, 2), corrections=NONE, correction_prints=b"")
    index = accepted(state_quality(scene, 2, content))
    bundle = scene.read().bundle
    proof = scene.committee.entry_proof(index, len(scene.committee.world.leaves))
    with pytest.raises(VerificationError, match="read again"):
        quality_evidence(bundle, proof)


def test_a_refused_statement_convicts_nobody() -> None:
    scene = scene_of_corrections()
    lie = changed(honest(scene, 2), listed=(Listed(1, 3),), supersedes=0)
    (placed,) = state_quality(scene, 2, lie).placed
    assert placed.applied.outcome.refused
    scene.ask()
    proof = scene.committee.entry_proof(placed.index, len(scene.committee.world.leaves))
    # The committee's helper gives contents of accepted entries alone.
    content = scene.committee.world.contents[placed.index]
    with pytest.raises(VerificationError, match="was not accepted"):
        quality_evidence(scene.read().bundle, msgspec.structs.replace(proof, content=content))


def test_another_entry_or_log_is_no_statement() -> None:
    scene = scene_of_corrections()
    bundle, proof = read_after(scene, changed(honest(scene, 2), repeat_prints=b""))
    size = len(scene.committee.world.leaves)
    with pytest.raises(VerificationError, match="expected quality"):
        quality_evidence(bundle, scene.committee.entry_proof(1, size))
    moved = msgspec.structs.replace(proof, index=proof.index - 2)
    with pytest.raises(InclusionError):
        quality_evidence(bundle, moved)
    other = encode(honest(scene, 2, supersedes=None))
    with pytest.raises(VerificationError, match="its member signed"):
        quality_evidence(bundle, msgspec.structs.replace(proof, content=other))


def test_evidence_opens_no_event_that_it_does_not_need() -> None:
    scene = scene_of_corrections()
    bundle, proof = read_after(scene, changed(honest(scene, 2), repeat_prints=b""))
    with pytest.raises(MalformedError, match="2 show what is false"):
        verify_quality_evidence(wrap(QualityEvidence(7, bundle, proof)))
    with pytest.raises(VerificationError, match="agree: no contradiction"):
        verify_quality_evidence(wrap(QualityEvidence(7, withhold(bundle), proof)))


def test_every_changed_byte_of_the_evidence_is_refused_or_proves_the_same() -> None:
    scene = scene_of_corrections()
    bundle, proof = read_after(scene, changed(honest(scene, 2), repeat_prints=b""))
    evidence = quality_evidence(bundle, proof)
    assert evidence is not None
    good = verify_quality_evidence(evidence)
    last = len(evidence) - 700
    for at in {*range(25, last, len(evidence) // 150), *range(last, len(evidence), 7)}:
        altered = evidence[:at] + bytes([evidence[at] ^ 1]) + evidence[at + 1 :]
        try:
            proven = verify_quality_evidence(altered)
        except LedgerError:
            continue
        assert (proven.member, proven.detail) == (good.member, good.detail), at
