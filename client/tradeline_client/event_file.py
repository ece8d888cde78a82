"""
Files of events: one JSON object a line, each with its subject, as a contributor exports them.

    {"subject": {"type": "uscc", "id": "..."}, "type": "account.opened", "occurred_on": ..., ...}

The whole file is read and checked before anything is sealed, and every line that is wrong is
reported, not only the first. No message holds an identifier.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tradeline_ledger.errors import EventError, MalformedError
from tradeline_ledger.event import References, Report, bind, encode_event, report_from_json
from tradeline_ledger.field import shown
from tradeline_ledger.identifier import SubjectId, subject_from_json
from tradeline_ledger.subject_rule import check_subject

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE_BYTES_MAX: Final = 64 * 1024
EVENTS_MAX: Final = 1_000_000
"""Most lines of one file: all events are kept in memory until every line is checked."""
FAULTS_MAX: Final = 1_000
"""Most lines that are reported one by one."""

_SUBJECT: Final = "subject"
BOM: Final = b"\xef\xbb\xbf"
# Whether a line makes an event does not depend on whose keys it is bound with.
_ANY_REFERENCES: Final = References(bytes(32))
_ANY_CHECK: Final = bytes(16)


class FileEvent(NamedTuple):
    """One line that is right."""

    line: int
    """From 1."""
    subject: SubjectId
    report: Report


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line that is wrong."""

    line: int
    """From 1."""
    detail: str
    """Field, got, expected."""


@dataclass(frozen=True, slots=True)
class EventFile:
    """What a file of events holds."""

    events: tuple[FileEvent, ...]
    """Of the lines that are right, in their order."""
    faults: tuple[LineFault, ...]
    """The first `FAULTS_MAX` lines that are wrong."""
    wrong: int
    """How many lines are wrong."""

    @property
    def lines(self) -> int:
        """How many lines there were, empty ones aside."""
        return len(self.events) + self.wrong


def read_events(lines: Iterable[bytes], today: str) -> EventFile:
    """
    Return the events of a file, every line checked.

    Args:
        lines: of the file, with or without their newlines; empty ones are passed over.
        today: `YYYY-MM-DD`, after which nothing can have happened yet.
    """
    events: list[FileEvent] = []
    faults: list[LineFault] = []
    wrong = 0
    known: dict[SubjectId, SubjectId] = {}
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(BOM) if number == 1 else line
        if not text.strip():
            continue
        if len(events) + wrong >= EVENTS_MAX:
            wrong += 1
            detail = f"a file has at most {EVENTS_MAX} lines; submit the rest in further files"
            faults.append(LineFault(number, detail))
            break
        try:
            subject, report = read_event(text, today)
        except MalformedError as error:
            wrong += 1
            if len(faults) < FAULTS_MAX:
                faults.append(LineFault(number, str(error)))
        else:
            events.append(FileEvent(number, known.setdefault(subject, subject), report))
    return EventFile(tuple(events), tuple(faults), wrong)


def read_event(line: bytes, today: str) -> tuple[SubjectId, Report]:
    """
    Return the event of one line and whom it is about.

    Raises:
        MalformedError: it is no JSON object, a key, field or identifier is wrong, or the type is
            not about such subjects.
    """
    if len(line) > LINE_BYTES_MAX:
        raise MalformedError(f"line has {len(line)} bytes, at most {LINE_BYTES_MAX} are read")
    try:
        value = json.loads(
            line, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer
        )
    except RecursionError:
        raise MalformedError("JSON is nested too deep") from None
    except UnicodeDecodeError as error:
        raise MalformedError(f"byte {error.start + 1} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"no JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(value, dict):
        raise MalformedError(f"got {shown(value)}, expected a JSON object")
    if _SUBJECT not in value:
        raise MalformedError('subject: got nothing, expected {"type": ..., "id": "..."}')
    subject = subject_from_json(value.pop(_SUBJECT), int(today[:4]))
    report = report_from_json(value, today=today)
    check_subject(report.schema, report.fields, subject, int(today[:4]))
    encode_event(bind(report, _ANY_REFERENCES, lambda _year, _ref: _ANY_CHECK))
    return subject, report


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a key that stands twice would hide one of two values."""
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MalformedError(f"key {shown(twice)} stands twice in one object")
    return value


def _refuse_constant(name: str) -> Any:
    raise EventError(f"got {name}, which is no JSON")


def _integer(text: str) -> int:
    if len(text) > 20:  # noqa: PLR2004 - digits and sign of any 64-bit number
        raise EventError(f"got an integer of {len(text)} digits, no field takes one so long")
    return int(text)
