"""
Judgement: opened events against the subject, the inquiry and each other.

Who filed a wrong event signed it, so a wrong event never makes a report incomplete: it is returned
as invalid, and the bundle is the proof. The reader can't derive other members' tags, so it can't
see for which subject, year and category a tag stands; it compares the events under one tag with
each other instead, and the first valid one counts (DESIGN.md, section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tradeline_ledger.body import open_body, verify_key
from tradeline_ledger.calendar import month_of, year_of
from tradeline_ledger.consent import commitment
from tradeline_ledger.encoding import Codec
from tradeline_ledger.errors import EventError, MalformedError, SealError, VerificationError
from tradeline_ledger.event import (
    EVENT_BYTES_MAX,
    Event,
    category_of,
    decode_event,
)
from tradeline_ledger.facts import Facts, ProvenEvent
from tradeline_ledger.history import EventId
from tradeline_ledger.release import YearKey
from tradeline_ledger.report_parts import Fault, Filed, InvalidEvent, ReportEvent
from tradeline_ledger.resolution import is_retraction
from tradeline_ledger.schemas import SCHEMAS
from tradeline_ledger.submission import header_retain_month, header_tag
from tradeline_ledger.tag import Category, check_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tradeline_ledger.consent import Terms
    from tradeline_ledger.inquiry import Inquiry
    from tradeline_ledger.params import Params
    from tradeline_ledger.proof import ProvenEntry

_RAW_EVENT: Final[Codec[Event]] = Codec(Event, "event", EVENT_BYTES_MAX)


@dataclass(frozen=True, slots=True, repr=False)
class SubjectKeys:
    """What ties a report to its subject: the salt of the consent and the subject's year keys."""

    salt: bytes
    """32 bytes."""
    identifiers: tuple[tuple[YearKey, ...], ...]
    """Year keys of each of the subject's identifiers, in any order of identifiers."""

    def __repr__(self) -> str:
        return f"SubjectKeys({len(self.identifiers)} identifiers, not shown)"

    def asked(self, years: tuple[int, ...]) -> tuple[YearKey, ...]:
        """Return the keys of `years`, as a release request lists them."""
        keys = {each for own in self.identifiers for each in own if each.year in years}
        return tuple(sorted(keys, key=lambda each: (each.year, each.year_key)))

    def check(self, terms: Terms, inquiry: Inquiry) -> SubjectKeys:
        """
        Return these keys if they are all that the consent commits to in the inquiry's years.

        Raises:
            VerificationError: a key or the salt is another subject's, or one is missing.
        """
        given = {
            (each.year, commitment(self.salt, each.year, each.year_key))
            for each in self.asked(inquiry.years)
        }
        agreed = {
            (each.year, each.commitment) for each in terms.commitments if each.year in inquiry.years
        }
        if given != agreed:
            raise VerificationError(
                f"the consent commits to {len(agreed)} year keys in the years of the inquiry, "
                f"{len(given & agreed)} of those given match; check salt, identifiers and years"
            )
        return self


@dataclass(frozen=True, slots=True)
class Judged:
    """Events sorted by what became of them."""

    shown: dict[EventId, ReportEvent]
    """In log order."""
    invalid: tuple[InvalidEvent, ...]
    unknown: tuple[Filed, ...]
    withheld: tuple[Filed, ...]
    places: Mapping[tuple[int, bytes], _Place]
    """What each (member, tag) with a valid event stands for."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What a tag stands for, as far as a reader can tell."""

    identifier: int | None
    year: int
    category: int | None


class _FaultError(Exception):
    """Ends the checks of one event; never leaves this module."""

    def __init__(self, fault: Fault, detail: str, event: Event | None = None) -> None:
        super().__init__(detail)
        self.fault = fault
        self.event = event


class _UnknownTypeError(Exception):
    """The event is of a type that this program does not know; never leaves this module."""


def judge(
    facts: Facts,
    keys: Mapping[EventId, bytes],
    subject: SubjectKeys | None,
    dealt_wrong: Mapping[EventId, str],
) -> Judged:
    """
    Return every present event of `facts` as shown, invalid, unknown or withheld.

    `keys` are body keys, compared with the commitments here; an event without one is withheld,
    or invalid where `dealt_wrong` says in words what its member dealt.

    Raises:
        SealError: a key is not the one that the body commits to.
        VerificationError: `subject` is not whom the consent is about.
    """
    judge_ = _Judge(facts, None if subject is None else subject.check(facts.terms, facts.inquiry))
    withheld = []
    for proven in facts.events:
        if proven.body is None:
            judge_.place_inquiry(proven)
        elif proven.id in keys:
            judge_.judge(proven, proven.body, keys[proven.id])
        elif proven.id in dealt_wrong:
            judge_.refuse(proven, _FaultError(Fault.DEALT_WRONG, dealt_wrong[proven.id]))
        else:
            withheld.append(filed(proven))
    return Judged(
        judge_.shown,
        tuple(judge_.invalid),
        tuple(judge_.unknown),
        tuple(withheld),
        judge_.places,
    )


def filed(proven: ProvenEvent) -> Filed:
    """Return what is known of an event without its content."""
    statement = proven.entry.statement
    return Filed(
        proven.id,
        statement.member,
        proven.entry.height,
        statement.created_ms,
        proven.retain_month,
        proven.marks,
    )


class _Judge:
    """One pass over the events in log order, so that targets are judged before corrections."""

    def __init__(self, facts: Facts, subject: SubjectKeys | None) -> None:
        self.facts = facts
        self.subject = subject
        self.shown: dict[EventId, ReportEvent] = {}
        self.invalid: list[InvalidEvent] = []
        self.unknown: list[Filed] = []
        self.places: dict[tuple[int, bytes], _Place] = {}
        self.events = {proven.id: proven for proven in facts.events}
        self._own_places: dict[EventId, _Place] = {}
        self._year_keys: dict[int, list[tuple[int, bytes]]] = {}
        for number, own in enumerate(subject.identifiers if subject else ()):
            for each in own:
                self._year_keys.setdefault(each.year, []).append((number, each.year_key))

    def place_inquiry(self, proven: ProvenEvent) -> None:
        """Note that the tag of an inquiry stands for category inquiry."""
        if proven.inquiry is not None and proven.row not in self.places:
            self.places[proven.row] = _Place(None, 0, Category.INQUIRY)

    def judge(self, proven: ProvenEvent, body: bytes, key: bytes) -> None:
        """Open one event and put it where it belongs."""
        try:
            event = self._open(proven, body, key)
            try:
                identifier = self._check(proven, event)
            except _FaultError as error:
                error.event = event
                raise
        except _FaultError as error:
            self.refuse(proven, error)
        except _UnknownTypeError:
            self.unknown.append(filed(proven))
        else:
            schema = SCHEMAS.get(event.schema, event.version)
            self.shown[proven.id] = ReportEvent(filed(proven), event, schema, identifier)

    def refuse(self, proven: ProvenEvent, error: _FaultError) -> None:
        """Put one event among the invalid ones."""
        self.invalid.append(InvalidEvent(filed(proven), error.fault, str(error), error.event))

    def _open(self, proven: ProvenEvent, body: bytes, key: bytes) -> Event:
        ledger_id, member = self.facts.common.ledger_id, proven.entry.statement.member
        # The commitment is compared before anything else: a wrong key is the giver's fault.
        try:
            verify_key(key, body)
        except SealError as error:
            raise SealError(f"key of event {proven.id}: {error}") from error
        try:
            encoded = open_body(key, body, ledger_id, member, header_tag(proven.header))
        except SealError as error:
            raise _FaultError(Fault.UNSEALED, str(error)) from error
        except MalformedError as error:
            raise _FaultError(Fault.UNREADABLE, str(error)) from error
        try:
            return decode_event(encoded)
        except EventError as error:
            if _unknown_type(encoded):
                raise _UnknownTypeError from error
            raise _FaultError(Fault.UNREADABLE, str(error)) from error

    def _check(self, proven: ProvenEvent, event: Event) -> int | None:
        """Return the number of the identifier that the event was filed under."""
        member, year = proven.entry.statement.member, year_of(event.occurred_on)
        if year not in self.facts.inquiry.years:
            raise _FaultError(
                Fault.YEAR,
                f"occurred_on is {event.occurred_on}, the inquiry asks for "
                f"{', '.join(map(str, self.facts.inquiry.years))}",
            )
        identifier = self._identifier(member, year, event)
        place = _Place(identifier, year, category_of(event))
        if event.target is not None:
            place = self._check_target(proven, event, place)
        self._check_category(proven, event, place.category)
        if place.category is not None:
            first = self.places.setdefault(proven.row, place)
            if first != place:
                raise _FaultError(
                    Fault.PLACE,
                    "events under one tag are of one subject, year and category; this one is of "
                    + _difference(first, place),
                )
        self._own_places[proven.id] = place
        return identifier

    def _identifier(self, member: int, year: int, event: Event) -> int | None:
        if self.subject is None:
            return None
        for number, year_key in self._year_keys.get(year, ()):
            if check_value(year_key, member, event.ref) == event.check:
                return number
        raise _FaultError(Fault.SUBJECT, "check is not that of any identifier of the subject")

    def _check_category(self, proven: ProvenEvent, event: Event, category: int | None) -> None:
        inquiry, member = self.facts.inquiry, proven.entry.statement.member
        asked = inquiry.categories
        if inquiry.contributors is not None and member not in inquiry.contributors:
            asked = ()
        if category is None:
            categories = asked  # of a retraction whose target nobody can read any more
        elif category in asked:
            categories = (category,)
        else:
            raise _FaultError(
                Fault.CATEGORY,
                f"its type is of category {category}, which was not asked of member {member}",
            )
        month = header_retain_month(proven.header)
        expected = sorted(
            {
                month_of(event.occurred_on) + params.retain_months(each)
                for params in self._params(proven.entry)
                for each in categories
            }
        )
        if month not in expected:
            raise _FaultError(
                Fault.RETAIN_MONTH,
                f"its header names month {month}, an event of {event.occurred_on} has "
                + " or ".join(map(str, expected)),
            )

    def _params(self, entry: ProvenEntry) -> list[Params]:
        """Return those in force for an entry; at first, those before may be meant as well."""
        log, height = self.facts.log, entry.height
        past = [each for each in log.registry.settings if each.from_height <= height]
        versions = [log.ledger.params, *(each.params for each in past)]
        overlap_ms = versions[-1].epoch_overlap_ms
        if past and entry.statement.created_ms < past[-1].from_ms + overlap_ms:
            return versions[-2:]
        return versions[-1:]

    def _check_target(self, proven: ProvenEvent, event: Event, place: _Place) -> _Place:
        """Return where a correction belongs: with its target, which comes before it."""
        assert event.target is not None, proven.id
        target = EventId(*event.target)
        about = self.events.get(target)
        if about is None or about.inquiry is not None or target >= proven.id:
            raise _FaultError(
                Fault.CORRECTION, f"its target {target} is no earlier event of this report"
            )
        if about.entry.statement.member != proven.entry.statement.member:
            raise _FaultError(
                Fault.CORRECTION,
                f"its target {target} is an event of member {about.entry.statement.member}",
            )
        if about.row != proven.row and tag_keys(self.facts, proven.row[0]) <= 1:
            raise _FaultError(Fault.CORRECTION, f"its target {target} is under another tag")
        there = self._own_places.get(target)
        if there is None:
            return place  # gone, withheld or invalid: only the tag can be compared
        if place.category is None:
            place = _Place(place.identifier, place.year, there.category)
        if there != place:
            raise _FaultError(
                Fault.CORRECTION, f"its target {target} is of {_difference(place, there)}"
            )
        shown = self.shown.get(target)
        if shown is not None and is_retraction(shown.event) and not is_retraction(event):
            raise _FaultError(Fault.CORRECTION, f"its target {target} is a retraction")
        return place


def tag_keys(facts: Facts, member: int) -> int:
    """Return how many tag keys a member has had."""
    versions = facts.log.registry.versions(member)
    return len({record.tag_key_hash for record in versions if record.tag_key_hash})


def _difference(first: _Place, other: _Place) -> str:
    """Say in what `other` differs from `first`."""
    parts = []
    if first.identifier != other.identifier:
        parts.append("another identifier")
    if first.year != other.year and Category.INQUIRY not in (first.category, other.category):
        parts.append(f"year {other.year} and not {first.year}")
    if first.category != other.category:
        parts.append(f"category {other.category} and not {first.category}")
    return ", ".join(parts)


def _unknown_type(encoded: bytes) -> bool:
    """Return whether bytes are an event of a type or version that this program does not know."""
    try:
        event = _RAW_EVENT.decode(encoded)
    except MalformedError:
        return False
    try:
        SCHEMAS.get(event.schema, event.version)
    except EventError:
        return True
    return False
