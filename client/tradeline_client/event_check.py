"""
All that can be said about a file of events without a ledger: what is wrong, and what is doubtful.

Each line is checked as if it were submitted, then for what the schema calls doubtful and for
restricted words in free text, and the lines of one account for what they must agree on, in the
order of the file. What was submitted before is not known here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.event_file import BOM, FAULTS_MAX, read_event
from tradeline_ledger.account_course import Course, move_of, step
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.field import Rows, Text
from tradeline_ledger.finding import Finding, Severity
from tradeline_ledger.restricted import finding_of_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tradeline_ledger.event import Report
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.schema import EventSchema

INVALID: Final = "invalid"
"""Code of a line that breaks the form of its type."""


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What was found about one line."""

    line: int
    """From 1."""
    event_type: str
    """Name of the type; empty where the line is invalid."""
    finding: Finding


@dataclass(slots=True)
class CheckedFile:
    """What was found in a file."""

    lines: int = 0
    """Lines that are not empty."""
    types: Counter[str] = field(default_factory=Counter)
    """How many valid lines there are of each type."""
    worst: Counter[Severity] = field(default_factory=Counter)
    """How many lines have what as their gravest finding."""
    codes: Counter[str] = field(default_factory=Counter)
    """How many findings there are of each code."""
    findings: list[LineFinding] = field(default_factory=list)
    """The first `FAULTS_MAX`, in the order of the lines."""

    @property
    def good(self) -> bool:
        """Whether there are lines and all of them could be submitted."""
        return bool(self.lines) and not self.worst[Severity.REJECT]


def check_events(lines: Iterable[bytes], today: str) -> CheckedFile:
    """
    Return what is wrong or doubtful in a file of events.

    Args:
        lines: of the file, with or without their newlines; empty ones are passed over.
        today: `YYYY-MM-DD`, after which nothing can have happened yet.
    """
    checked = CheckedFile()
    courses: dict[tuple[SubjectId, str], Course] = {}
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(BOM) if number == 1 else line
        if not text.strip():
            continue
        checked.lines += 1
        try:
            subject, report = read_event(text, today)
        except MalformedError as error:
            fix = "mend the line; tradeline schema show TYPE lists the fields of a type"
            _add(checked, number, "", [Finding(INVALID, Severity.REJECT, "", str(error), "", fix)])
            continue
        name = report.schema.name
        checked.types[name] += 1
        _add(checked, number, name, [*_doubts(report), *_misfits(subject, report, courses)])
    return checked


def _doubts(report: Report) -> Iterator[Finding]:
    yield from report.schema.doubtful(report.fields, report.occurred_on)
    for name, text in _texts(report.schema, report.fields):
        found = finding_of_text(text, report.schema.name, name)
        if found is not None:
            yield found


def _texts(schema: EventSchema, values: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    """Yield field and text of everything that somebody wrote freely."""
    for item, value in zip(schema.fields, values, strict=True):
        if isinstance(item.kind, Text) and value is not None:
            yield item.name, value
        elif isinstance(item.kind, Rows) and value is not None:
            for row in value:
                yield from ((item.name, cell) for cell in row if isinstance(cell, str))


def _misfits(
    subject: SubjectId, report: Report, courses: dict[tuple[SubjectId, str], Course]
) -> tuple[Finding, ...]:
    """Return what does not fit the lines before of the same account, and remember this one."""
    move = move_of(report.schema, report.fields, report.occurred_on)
    if move is None or report.account is None:
        return ()
    key = (subject, report.account)
    courses[key], found = step(courses.get(key, Course()), move)
    return found


def _add(checked: CheckedFile, line: int, event_type: str, findings: list[Finding]) -> None:
    if not findings:
        return
    grave = list(Severity)
    checked.worst[min((each.severity for each in findings), key=grave.index)] += 1
    for each in findings:
        checked.codes[each.code] += 1
        if len(checked.findings) < FAULTS_MAX:
            checked.findings.append(LineFinding(line, event_type, each))
