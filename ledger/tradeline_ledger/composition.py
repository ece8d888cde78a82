"""Composition: a report put together from proven facts and judged events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_ledger.facts import Facts, ProvenEvent
from tradeline_ledger.judgement import Judged, SubjectKeys, filed, tag_keys
from tradeline_ledger.mark import MarkKind, MarkReason
from tradeline_ledger.registry import Role
from tradeline_ledger.report_parts import (
    Completeness,
    GoneEvent,
    HistoryCount,
    Report,
    ReportInquiry,
    ReportMember,
    ReportWarning,
    WarningCode,
)
from tradeline_ledger.resolution import resolve
from tradeline_ledger.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Sequence


def compose_report(facts: Facts, judged: Judged, subject: SubjectKeys | None) -> Report:
    """Return the report of an inquiry; only `tradeline_ledger.report` calls this."""
    inquiry, statement = facts.inquiry, facts.inquiry_entry.statement
    shown = judged.shown
    effective, chains = resolve({event: each.event for event, each in shown.items()})
    inquiries = tuple(_inquiry(each, facts) for each in facts.events if each.inquiry is not None)
    gone = tuple(_gone(each) for each in facts.events if each.standing is not Standing.PRESENT)
    return Report(
        ledger_id=facts.common.ledger_id,
        inquiry=facts.common.inquiry,
        reader=statement.member,
        consent_id=inquiry.consent_id,
        purpose=inquiry.purpose,
        categories=inquiry.categories,
        contributors=inquiry.contributors,
        years=inquiry.years,
        completeness=_completeness(facts),
        members=_members(facts),
        events=tuple(shown.values()),
        effective=effective,
        chains=chains,
        inquiries=inquiries,
        gone=gone,
        withheld=judged.withheld,
        unknown=judged.unknown,
        invalid=judged.invalid,
        warnings=tuple(_warnings(facts, judged, gone, subject)),
    )


def _inquiry(proven: ProvenEvent, facts: Facts) -> ReportInquiry:
    asked = proven.inquiry
    assert asked is not None, proven.id
    return ReportInquiry(
        filed(proven),
        asked.consent_id,
        asked.purpose,
        asked.categories,
        asked.contributors,
        asked.years,
        own=proven.id.index == facts.common.inquiry,
    )


def _gone(proven: ProvenEvent) -> GoneEvent:
    erased = [each.mark for each in proven.marks if each.mark.what == MarkKind.ERASE]
    reason = MarkReason(erased[0].reason) if erased else None
    return GoneEvent(filed(proven), proven.standing, reason)


def _completeness(facts: Facts) -> Completeness:
    common = facts.common
    return Completeness(
        size=common.size,
        root=common.root,
        height=facts.block.height,
        time_ms=facts.block.time_ms,
        validators=facts.validators,
        threshold=facts.epoch.threshold,
        committee=len(facts.epoch.committee),
        scope_hash=common.scope_hash,
        histories=tuple(
            HistoryCount(row.member, row.count, row.marks_count) for row in common.rows
        ),
    )


def _members(facts: Facts) -> tuple[ReportMember, ...]:
    named = {row.member for row in facts.common.rows} | set(facts.validators)
    named |= {facts.inquiry_entry.statement.member, facts.terms.second}
    members = []
    for number in sorted(named):
        version = facts.log.registry.member_at(number, facts.block.height)
        record = version or facts.log.registry.versions(number)[-1]
        roles = Role(record.roles) if version else Role(0)
        members.append(ReportMember(number, record.name, record.group, roles))
    return tuple(members)


def _warnings(
    facts: Facts, judged: Judged, gone: Sequence[GoneEvent], subject: SubjectKeys | None
) -> list[ReportWarning]:
    warnings = []

    def warn(code: WarningCode, text: str) -> None:
        warnings.append(ReportWarning(code, text))

    if subject is None:
        warn(
            WarningCode.SUBJECT_UNCHECKED,
            "no year keys were given: whether events are about the subject was not checked",
        )
    if judged.withheld:
        warn(WarningCode.CONTENT_WITHHELD, f"{len(judged.withheld)} events come without keys")
    if judged.unknown:
        warn(
            WarningCode.TYPE_UNKNOWN,
            f"{len(judged.unknown)} events are of types that this program does not know",
        )
    for each in gone:
        if each.standing is Standing.LAPSED:
            warn(
                WarningCode.BODY_LAPSED,
                f"the body of event {each.filed.id} is gone although its month was moved",
            )
    tags: dict[tuple[int, object], int] = {}
    for (member, _), place in judged.places.items():
        if place.category is not None and place.year:
            tags[member, place] = tags.get((member, place), 0) + 1
    for (member, _), count in sorted(tags.items(), key=lambda item: item[0][0]):
        if count > tag_keys(facts, member):
            warn(
                WarningCode.TAGS_SPLIT,
                f"member {member} files one subject, year and category under {count} tags",
            )
    return warnings
