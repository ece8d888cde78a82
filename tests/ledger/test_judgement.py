"""Events that their member should not have filed so: returned as invalid, with the report whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec.structs
import pytest
from tests.reading import DAY, Scene
from tests.world import seed

from tradeline_ledger.body import pad, seal_body
from tradeline_ledger.calendar import month_of
from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import VerificationError
from tradeline_ledger.event import encode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.release import YearKey
from tradeline_ledger.report import Reading, SubjectKeys, read_report
from tradeline_ledger.report_parts import Fault, WarningCode
from tradeline_ledger.tag import tag_key_hash

MONTH = month_of(DAY) + 60


def aad(scene: Scene, member: int, tag: bytes) -> bytes:
    return encode(("tradeline/v1 body", scene.committee.world.ledger.ledger_id, member, tag))


def sealed(scene: Scene, member: int, padded: bytes, *, of: int | None = None) -> EventId:
    """Place one body of member 1's own making, sealed for member `of`."""
    tag = scene.committee.world.tag(member, 1, 2026)
    key = seed("key", padded)
    body = seal_body(key, padded, aad(scene, member if of is None else of, tag))
    return EventId(scene.committee.submit_sealed(member, [(tag, MONTH, body)], [key]), 0)


def faults(scene: Scene) -> Sequence[Fault]:
    """Return the faults of a read, which must be complete and provable by its bundle."""
    reading = read(scene)
    return [each.fault for each in reading.report.invalid]


def read(scene: Scene) -> Reading:
    scene.ask()
    reading = scene.read()
    report = reading.report
    counted = sum(row.events for row in report.completeness.histories)
    listed = (report.events, report.gone, report.invalid, report.inquiries, report.unknown)
    assert counted == sum(map(len, listed))
    assert scene.verify(reading.bundle).report == report
    return reading


def test_an_event_about_somebody_else_is_invalid() -> None:
    """Filed under the subject's tag, with the check value of another person."""
    scene = Scene()
    scene.file(2, scene.event(2, "a"), scene.event(2, "b", who=9))
    assert faults(scene) == [Fault.SUBJECT]


def test_a_check_value_of_another_member_or_reference_is_invalid() -> None:
    scene = Scene()
    scene.file(2, scene.event(3, "a"), scene.event(2, "b", ref=seed("other")[:16]))
    assert faults(scene) == [Fault.SUBJECT, Fault.SUBJECT]


def test_an_event_of_a_year_that_was_not_asked_is_invalid() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a", on="2024-03-04"), year=2026)
    assert faults(scene) == [Fault.YEAR]


def test_an_event_under_the_tag_of_another_year_is_invalid() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"), scene.event(2, "b", on="2025-03-04"), year=2026)
    scene.ask()
    (invalid,) = scene.read().report.invalid
    assert invalid.fault is Fault.PLACE
    assert "year 2025 and not 2026" in invalid.detail
    assert invalid.event is not None


def test_an_event_of_a_type_that_was_not_asked_is_invalid() -> None:
    scene = Scene()
    scene.file(2, scene.judgment(2, "a"))
    scene.ask(categories=(1,))
    reading = scene.read()
    (invalid,) = reading.report.invalid
    assert invalid.fault is Fault.CATEGORY
    assert scene.verify(reading.bundle).report == reading.report


def test_an_event_under_the_tag_of_another_category_is_invalid() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"), scene.judgment(2, "b"))
    assert faults(scene) == [Fault.PLACE]


def test_an_event_of_a_contributor_that_was_not_asked_is_invalid() -> None:
    """It was filed under the tag for inquiries, which is always read."""
    scene = Scene()
    scene.file(3, scene.event(3, "a"), category=3)
    scene.ask(contributors=(2,))
    (invalid,) = scene.read().report.invalid
    assert invalid.fault is Fault.CATEGORY


def test_an_event_between_inquiries_is_invalid() -> None:
    scene = Scene()
    world = scene.committee.world
    consent = scene.committee.consent(world.terms(2, 3))
    scene.committee.inquire(consent, 2, tag=world.tag(2, 1, 2026, 3))
    scene.file(2, scene.event(2, "a"), category=3)
    assert faults(scene) == [Fault.PLACE]


@pytest.mark.parametrize("month", [MONTH - 1, MONTH + 1, 2100 * 12])
def test_a_header_that_names_another_month_is_invalid(month: int) -> None:
    """A member can't keep bad news longer, or hide it sooner, by its header."""
    scene = Scene()
    scene.file(2, scene.event(2, "a"), month=month)
    assert faults(scene) == [Fault.RETAIN_MONTH]


def test_a_copied_body_is_invalid() -> None:
    """A member that lawfully read another's event files its body as its own."""
    scene = Scene()
    padded = pad(encode_event(scene.event(3, "a")))
    sealed(scene, 2, padded, of=3)
    assert faults(scene) == [Fault.UNSEALED]


def test_a_body_that_holds_no_event_is_invalid() -> None:
    scene = Scene()
    sealed(scene, 2, pad(b"no event"))
    sealed(scene, 3, bytes(256))
    sealed(scene, 4, b"\xff" * 256)
    assert faults(scene) == [Fault.UNREADABLE] * 3


def test_a_body_of_a_length_that_no_body_has_is_invalid() -> None:
    scene = Scene()
    tag, key = scene.committee.world.tag(2, 1, 2026), seed("key")
    scene.committee.submit_sealed(2, [(tag, MONTH, seal_body(key, bytes(7), b""))], [key])
    assert faults(scene) == [Fault.UNREADABLE]


def test_an_event_against_its_schema_is_invalid() -> None:
    scene = Scene()
    wrong = scene.event(2, "a", fields=("CNY", -5, 1))
    sealed(scene, 2, pad(encode(wrong)))
    assert faults(scene) == [Fault.UNREADABLE]


def test_an_event_of_a_newer_type_is_listed_as_unknown() -> None:
    scene = Scene()
    newer = sealed(scene, 2, pad(encode(scene.event(2, "a", schema=900))))
    report = read(scene).report
    assert [each.id for each in report.unknown] == [newer]
    assert [each.code for each in report.warnings] == [WarningCode.TYPE_UNKNOWN]


# Corrections.


def test_a_correction_of_another_members_event_is_invalid() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.file(3, scene.supersede(3, "b", first, 1))
    report = read(scene).report
    assert [each.fault for each in report.invalid] == [Fault.CORRECTION]
    assert report.effective[0].fields[1] == 100


@pytest.mark.parametrize("target", [EventId(0, 0), EventId(1, 1), EventId(9_999, 0), EventId(1, 0)])
def test_a_correction_of_what_is_no_earlier_event_is_invalid(target: EventId) -> None:
    """A block leaf, a stranger's event, the future, itself."""
    scene = Scene()
    scene.file(2, scene.supersede(2, "b", target, 1))
    assert faults(scene) == [Fault.CORRECTION]


def test_a_correction_into_another_year_or_category_is_invalid() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    moved = scene.supersede(2, "b", first, 1)
    moved = msgspec.structs.replace(
        moved,
        occurred_on="2025-03-04",
        check=scene.event(2, "b", on="2025-03-04").check,
    )
    scene.file(2, moved, year=2026)
    assert faults(scene) == [Fault.CORRECTION]


def test_a_correction_under_another_tag_is_invalid() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.supersede(2, "b", first, 1), category=2)
    assert faults(scene) == [Fault.CORRECTION]


def test_one_place_under_two_tags_is_warned_of() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.event(2, "b"), category=2)
    warnings = read(scene).report.warnings
    assert [each.code for each in warnings] == [WarningCode.TAGS_SPLIT]


def test_a_correction_of_an_erased_event_stands_alone() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.supersede(2, "b", first, 7))
    scene.committee.mark(2, (first.index, 0), 1, None, 2)
    scene.committee.delete_body(first)
    report = read(scene).report
    assert [each.filed.id for each in report.gone] == [first]
    assert [(each.original, each.fields[1]) for each in report.effective] == [(first, 7)]


def test_a_retraction_of_an_erased_event_retracts_it() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.retract(2, "b", first))
    scene.committee.mark(2, (first.index, 0), 1, None, 2)
    scene.committee.delete_body(first)
    report = read(scene).report
    assert report.effective == ()
    assert report.chains[0].retracted


def test_a_correction_of_an_erased_event_under_another_tag_is_invalid() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    scene.file(2, scene.retract(2, "b", first), category=2)
    scene.committee.mark(2, (first.index, 0), 1, None, 2)
    scene.committee.delete_body(first)
    assert faults(scene) == [Fault.CORRECTION]


def test_a_retraction_can_be_undone_only_by_a_retraction() -> None:
    scene = Scene()
    (first,) = scene.file(2, scene.event(2, "a"))
    (second,) = scene.file(2, scene.retract(2, "b", first))
    scene.file(2, scene.supersede(2, "c", second, 7))
    scene.file(2, scene.retract(2, "d", second))
    report = read(scene).report
    assert [each.fault for each in report.invalid] == [Fault.CORRECTION]
    assert [each.original for each in report.effective] == [first]


def test_a_member_that_changed_its_tag_key_may_have_two_tags() -> None:
    scene = Scene()
    scene.file(2, scene.event(2, "a"))
    scene.committee.change_keys(2, 0, tag_key_hash=tag_key_hash(seed("new tag key")))
    scene.file(2, scene.event(2, "b"), category=2)
    assert read(scene).report.warnings == ()


# Keys of the subject.


def test_subject_keys_never_show_themselves() -> None:
    assert "not shown" in repr(Scene().subject)


def test_every_committed_identifier_is_asked_for() -> None:
    scene = Scene(who=(1, 5))
    keys = scene.subject
    asked = keys.asked((2026,))
    assert len(asked) == 2
    assert list(asked) == sorted(asked, key=lambda each: each.year_key)
    scene.ask()
    one = SubjectKeys(keys.salt, keys.identifiers[:1])
    with pytest.raises(VerificationError, match="3 of those given match"):
        read_with(scene, one)
    more = SubjectKeys(keys.salt, (*keys.identifiers, (YearKey(2026, seed("x")),)))
    with pytest.raises(VerificationError, match="6 of those given match"):
        read_with(scene, more)


def read_with(scene: Scene, subject: SubjectKeys) -> None:
    read_report(scene.log(), scene.released(), subject)
