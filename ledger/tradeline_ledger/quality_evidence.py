"""
Evidence that a quality statement is false, by a report of its reader (docs/formats.md, section 10).

The report opens events of the month that the statement counts otherwise: their submission is not
listed, or with fewer events; or a correction or repeat has no print in it. A report as of before
the log size of the statement proves nothing: what was erased in between its member can't count.
"""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec.structs

from tradeline_ledger.bundle import BUNDLE, BUNDLE_BYTES_MAX
from tradeline_ledger.calendar import month_of, period
from tradeline_ledger.conviction import Conviction
from tradeline_ledger.encoding import U8, Codec, Record, encode
from tradeline_ledger.errors import MalformedError, VerificationError
from tradeline_ledger.evidence_file import EvidenceType, check_type, unwrap, wrap
from tradeline_ledger.proof import EntryVerifier, TreeHead
from tradeline_ledger.quality import QUALITY, Quality, event_print, has_print
from tradeline_ledger.release import EntryProof
from tradeline_ledger.report import verify_bundle
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tradeline_ledger.history import EventId
    from tradeline_ledger.report_parts import ReportEvent

QUALITY_EVIDENCE_BYTES_MAX: Final = BUNDLE_BYTES_MAX


class QualityEvidence(Record, frozen=True):
    """A report that contradicts a quality statement."""

    type: U8
    """7."""
    bundle: bytes
    """With the keys of the events that contradict, and of no others."""
    statement: EntryProof
    """The quality statement, with its content, to the bundle's checkpoint."""

    def __post_init__(self) -> None:
        """Refuse other types."""
        check_type(self.type, EvidenceType.QUALITY)


QUALITY_EVIDENCE: Final[Codec[QualityEvidence]] = Codec(
    QualityEvidence, "evidence", QUALITY_EVIDENCE_BYTES_MAX
)


@enum.unique
class Lie(enum.Enum):
    """In what a statement is false."""

    UNLISTED = "unlisted"
    """It does not list a submission that holds an event of the month."""
    UNDERCOUNTED = "undercounted"
    """It counts fewer events of the month in a submission than the report shows of it."""
    CORRECTION_HIDDEN = "correction-hidden"
    """It has no print of a correction."""
    REPEAT_HIDDEN = "repeat-hidden"
    """It has no print of an event that repeats an earlier one."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What a report proves against a statement, and by which events."""

    lie: Lie
    events: tuple[EventId, ...]
    """That have to be opened to show it, ascending."""

    def detail(self, month: str) -> str:
        """Return what a statement on `month`, such as 2026-09, does wrong."""
        where = self.events[0]
        return {
            Lie.UNLISTED: f"does not list the submission of event {where}, which is of {month}",
            Lie.UNDERCOUNTED: f"counts fewer events of {month} in submission "
            f"{self.events[0].index} than the {len(self.events)} that are shown",
            Lie.CORRECTION_HIDDEN: f"hides that event {where} of {month} corrects another",
            Lie.REPEAT_HIDDEN: f"hides that event {self.events[-1]} of {month} repeats event "
            f"{self.events[0]}",
        }[self.lie]


def contradictions(
    content: Quality,
    member: int,
    events: tuple[ReportEvent, ...],
    keys: Mapping[EventId, bytes],
) -> Iterator[Contradiction]:
    """Yield what the opened `events` of a report prove against a statement of `member`."""
    listed = {each.index: each.events for each in content.listed}
    known = [
        each for each in events if each.filed.member == member and each.id.index < content.size
    ]
    of_month = [each for each in known if month_of(each.event.occurred_on) == content.month]
    shown = Counter(each.id.index for each in of_month)
    for index in sorted(shown):
        inside = tuple(each.id for each in of_month if each.id.index == index)
        if index not in listed:
            yield Contradiction(Lie.UNLISTED, inside[:1])
        elif shown[index] > listed[index]:
            yield Contradiction(Lie.UNDERCOUNTED, inside[: listed[index] + 1])
    first: dict[bytes, EventId] = {}
    for each in known:
        mine = month_of(each.event.occurred_on) == content.month
        own_print = event_print(keys[each.id], each.id)
        if each.schema.corrects:
            if mine and not has_print(content.correction_prints, own_print):
                yield Contradiction(Lie.CORRECTION_HIDDEN, (each.id,))
            continue
        earlier = first.setdefault(each.event.ref, each.id)
        if earlier != each.id and mine and not has_print(content.repeat_prints, own_print):
            yield Contradiction(Lie.REPEAT_HIDDEN, (earlier, each.id))


def quality_evidence(bundle: bytes, statement: EntryProof) -> bytes | None:
    """
    Return evidence that a bundle with keys contradicts a statement, None if it does not.

    The proof leads to the bundle's checkpoint. Keys of other events are left out.

    Raises:
        MalformedError: bundle or proof does not decode.
        VerificationError: one of them does not hold, or the report is from before the statement.
    """
    case = _Case(bundle, statement)
    found = next(case.contradictions(), None)
    if found is None:
        return None
    kept = set(found.events)
    keys = tuple(
        key if proven.id in kept else None
        for proven, key in zip(case.verdict.facts.events, case.keys, strict=True)
    )
    opened = encode(msgspec.structs.replace(BUNDLE.decode(bundle), keys=keys))
    encoded = wrap(QualityEvidence(EvidenceType.QUALITY, opened, statement))
    verify_quality_evidence(encoded)
    return encoded


def verify_quality_evidence(data: bytes) -> Conviction:
    """
    Return whom an evidence file of type 7 convicts, if one believes in its genesis.

    Raises:
        MalformedError: no such file, or one that opens more events than it needs.
        VerificationError: it proves nothing.
    """
    evidence = QUALITY_EVIDENCE.decode(unwrap(data))
    case = _Case(evidence.bundle, evidence.statement)
    found = next(case.contradictions(), None)
    if found is None:
        raise VerificationError("the report and the quality statement agree: no contradiction")
    opened = sum(key is not None for key in case.keys)
    if opened != len(found.events):
        raise MalformedError(f"{opened} events are opened, {len(found.events)} show what is false")
    said = found.detail(period(case.content.month))
    return Conviction(
        EvidenceType.QUALITY,
        case.verdict.log,
        case.entry.statement.member,
        case.entry.member,
        f"its quality statement, entry {case.entry.index}, {said}",
    )


class _Case:
    """A bundle and a statement, both proven, that may contradict each other."""

    def __init__(self, bundle: bytes, statement: EntryProof) -> None:
        self.verdict = verify_bundle(bundle)
        facts = self.verdict.facts
        verifier = EntryVerifier(facts.log.ledger.ledger_id, facts.log.registry)
        head = TreeHead(facts.checkpoint.size, facts.checkpoint.root)
        self.entry = verifier.entry(statement, head).expect(Kind.QUALITY)
        assert self.entry.content is not None, self.entry.index
        self.content = QUALITY.decode(self.entry.content)
        self.keys = BUNDLE.decode(bundle).keys
        if facts.common.size < self.content.size:
            raise VerificationError(
                f"the report is as of log size {facts.common.size}, the statement of "
                f"{self.content.size}: what was erased in between can't be counted; read again"
            )

    def contradictions(self) -> Iterator[Contradiction]:
        proven = self.verdict.facts.events
        keys = {e.id: key for e, key in zip(proven, self.keys, strict=True) if key is not None}
        events = self.verdict.unsafe_report.events
        return contradictions(self.content, self.entry.statement.member, events, keys)
