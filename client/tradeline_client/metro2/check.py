"""What is in a Metro 2 file, and what is wrong with it, before anything is imported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.metro2.fault import Fault
from tradeline_client.metro2.layout import BASE, Segment
from tradeline_client.metro2.reader import Readable, Reader
from tradeline_client.metro2.to_events import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.metro2.record import Form, Record

FAULTS_MAX: Final = 1_000
"""Most faults that are listed one by one."""

_OF_PERSONS: Final = frozenset(
    (
        *("surname", "first_name", "middle_name", "generation_code", "social_security_number"),
        *("date_of_birth", "telephone_number", "country_code", "address_line_1"),
        *("address_line_2", "city", "state", "zip_code", "address_indicator", "residence_code"),
        *("identification_number", "consumer_account_number", "account_number"),
        *("mortgage_identification_number", "new_consumer_account_number"),
        *("new_identification_number", "employer_name", "employer_address_line_1"),
        *("employer_address_line_2", "employer_city", "employer_state", "employer_zip_code"),
        *("occupation", "consumer_information_indicator"),
    )
)
"""Fields that name a consumer, an account or where somebody lives: they are never shown."""


@dataclass(slots=True)
class Checked:
    """What a file holds."""

    form: Form | None = None
    """How it is written; None for a file that is no Metro 2."""
    accounts: int = 0
    """Base records that can be read."""
    refused: int = 0
    """Of these, those that become no events."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Accounts by account status."""
    segments: Counter[str] = field(default_factory=Counter)
    """Segments behind base segments, by name."""
    events: Counter[str] = field(default_factory=Counter)
    """Events that an import would make, by type."""
    faults: list[Fault] = field(default_factory=list)
    """The first `FAULTS_MAX`, of the file and of what its records would become."""
    wrong: int = 0
    """How many faults there are."""

    def add(self, fault: Fault) -> None:
        """Count a fault."""
        self.wrong += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(fault)


def check(stream: Readable, today: str) -> Checked:
    """
    Return what a file holds and every fault of it.

    Args:
        stream: the file, from its beginning.
        today: `YYYY-MM-DD`, after which nothing can have happened yet.
    """
    reader, checked = Reader(stream), Checked()
    for found in reader:
        if isinstance(found, Fault):
            checked.add(found)
        elif found.layout is BASE:
            _check_account(checked, found, today)
    if checked.accounts or not checked.wrong:
        checked.form = reader.form
    return checked


def shown_records(stream: Readable, first: int, count: int) -> Iterator[dict[str, Any]]:
    """
    Yield records as names and values; what would name a person or an account is left out.

    Args:
        stream: the file, from its beginning.
        first: 1-based number of the first record to yield; the header is 1.
        count: most records.
    """
    for found in Reader(stream):
        number = found.record if isinstance(found, Fault) else found.number
        if number >= first + count:
            return
        if number < first:
            continue
        if isinstance(found, Fault):
            yield {"record": number, "offset": found.offset, "fault": str(found)}
        else:
            segments = [_shown(each) for each in found.segments]
            yield {"record": number, "offset": found.offset, "segments": segments}


def _check_account(checked: Checked, record: Record, today: str) -> None:
    checked.accounts += 1
    checked.statuses[record.base.text("account_status")] += 1
    checked.segments.update(each.layout.name for each in record.segments[1:])
    events, faults = events_of(record, today)
    checked.events.update(each.schema.name for each in events)
    checked.refused += any(each.rejects for each in faults)
    for each in faults:
        segment, _, name = each.field.rpartition(" ")
        checked.add(
            Fault(
                record.number,
                record.offset,
                segment or BASE.name,
                name,
                each.code,
                each.got,
                each.expected,
                each.fix,
            )
        )


def _shown(segment: Segment) -> dict[str, Any]:
    pairs = zip(segment.layout.fields, segment.values, strict=True)
    return {
        "segment": segment.layout.name,
        "fields": {
            each.name: _json(value)
            for each, value in pairs
            if value not in ("", None) and each.name not in _OF_PERSONS
        },
    }


def _json(value: object) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value
