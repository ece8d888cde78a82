"""Values of options: names, years, days, how often and how long. What is wrong is a usage error."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tradeline_ledger.calendar import DAY_MS, MINUTE_MS, parse_date, parse_period
from tradeline_ledger.consent import (
    READABLE,
    ChangeReason,
    DataLife,
    EvidenceType,
    Frequency,
    FrequencyUnit,
    Purpose,
)
from tradeline_ledger.history import EventId
from tradeline_ledger.mark import MarkReason
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    import enum
    from typing import TypeVar

    E = TypeVar("E", bound=enum.IntEnum)

PurposeName = Literal[
    "loan-application",
    "card-application",
    "guarantor",
    "post-loan",
    "legal-representative",
    "self-access",
    "dispute",
]
CATEGORIES: Final = tuple(
    each.name.lower().replace("_", "-") for each in Category if each in READABLE
)
"""What terms and inquiries may list: inquiries are always read."""
EvidenceName = Literal["sd-jwt", "account-aggregator", "signed-document", "wet-ink"]
ChangeReasonName = Literal["subject", "reader", "evidence", "error"]
MarkReasonName = Literal[
    "retention",
    "correction",
    "court-order",
    "subject-request",
    "contributor-error",
    "behaviour-not-ended",
    "behaviour-ended",
]

_NAMED: Final = (Purpose, Category, EvidenceType, ChangeReason, MarkReason)
_EVENT: Final = re.compile(r"([0-9]{1,19})/([0-9]{1,5})", re.ASCII)
_YEARS: Final = re.compile(r"([0-9]{4})(?:-([0-9]{4}))?", re.ASCII)
_MEMBERS: Final = re.compile(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", re.ASCII)
_CONSENT: Final = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)
_UNITS: Final = {
    "day": FrequencyUnit.DAY,
    "month": FrequencyUnit.MONTH,
    "year": FrequencyUnit.YEAR,
}
_LIFE_MAX: Final = 2**16 - 1


def listed(names: Any) -> str:
    """Return the names that an option takes, for its help."""
    return ", ".join(get_args(names))


def number_of(names: type[E], name: str) -> E:
    """Return what an option names, as the names in this module are written."""
    assert names in _NAMED, names
    return names[name.upper().replace("-", "_")]


def event_id(text: str) -> EventId:
    """Return the event that `index/position` names."""
    found = _EVENT.fullmatch(text)
    if found is None:
        raise ValueError(f"got {text!r}, expected index/position such as 12/0")
    return EventId(int(found[1]), int(found[2]))


def consent_id(text: str) -> bytes:
    """Return the id, 16 bytes, that 32 hex digits write."""
    if _CONSENT.fullmatch(text) is None:
        raise ValueError(f"got {len(text)} characters, expected the 32 hex digits of a consent id")
    return bytes.fromhex(text)


def proposal_id(text: str) -> bytes:
    """Return the id, 16 bytes, that 32 hex digits write."""
    if _CONSENT.fullmatch(text) is None:
        raise ValueError(f"got {len(text)} characters, expected the 32 hex digits of a proposal id")
    return bytes.fromhex(text)


def public_key(text: str) -> bytes:
    """Return the public key, 32 bytes, that 64 hex digits write."""
    if len(text) != 64 or not re.fullmatch("[0-9a-fA-F]+", text):  # noqa: PLR2004
        raise ValueError(f"got {len(text)} characters, expected 64 hex digits")
    return bytes.fromhex(text)


def years(text: str) -> tuple[int, ...]:
    """Return the years of `2021-2026`, `2024` or `2020,2022-2024`, ascending."""
    listed: set[int] = set()
    for part in text.split(","):
        found = _YEARS.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"got {text!r}, expected years such as 2021-2026 or 2024,2026")
        first = int(found[1])
        last = int(found[2] or first)
        if last < first:
            raise ValueError(f"got {part.strip()}, which ends before it begins")
        listed.update(range(first, last + 1))
    return tuple(sorted(listed))


def categories(text: str) -> tuple[int, ...]:
    """Return the categories of `account,public-record`, ascending."""
    names = [part.strip() for part in text.split(",")]
    if unknown := [name for name in names if name not in CATEGORIES]:
        raise ValueError(f"got {unknown[0]!r}, expected some of {', '.join(CATEGORIES)}")
    return tuple(sorted({int(number_of(Category, name)) for name in names}))


def members(text: str) -> tuple[int, ...]:
    """Return the member ids of `1,4`, ascending."""
    if not _MEMBERS.fullmatch(text):
        raise ValueError(f"got {text!r}, expected member ids such as 1,4")
    return tuple(sorted({int(part) for part in text.split(",")}))


def month(text: str) -> int:
    """Return the month that `YYYY-MM` names, as `year * 12 + month - 1`."""
    return parse_period(text)


def frequency(text: str) -> Frequency:
    """Return how often `once`, `3/day`, `1/month` or `12/year` allows a read."""
    if text == "once":
        return Frequency(FrequencyUnit.ONCE, 1)
    count, _, unit = text.partition("/")
    if unit not in _UNITS or not (count.isascii() and count.isdecimal()) or len(count) > 7:  # noqa: PLR2004
        raise ValueError(f"got {text!r}, expected once, or N/day, N/month or N/year")
    return Frequency(_UNITS[unit], int(count))


def life(text: str) -> DataLife:
    """Return how long `decision`, `30-day`, `6-month` or `5-year` lets the reader keep data."""
    if text == "decision":
        return DataLife(FrequencyUnit.DAY, 0)
    count, _, unit = text.partition("-")
    if unit not in _UNITS or not (count.isascii() and count.isdecimal()):
        raise ValueError(f"got {text!r}, expected decision, or N-day, N-month or N-year")
    if len(count) > 5 or not 0 < int(count) <= _LIFE_MAX:  # noqa: PLR2004
        raise ValueError(f"got {count}, expected 1 to {_LIFE_MAX}")
    return DataLife(_UNITS[unit], int(count))


def moment(text: str) -> str:
    """Return `text` if it is a day, `YYYY-MM-DD`, or an instant with its time zone."""
    instant_ms(text, 0, end=False)
    return text


def instant_ms(text: str, utc_offset_min: int, *, end: bool) -> int:
    """
    Return the instant that a checked `moment` names, ms since 1970 UTC.

    A day is one of the ledger's local time: its first ms, or that of the next day if `end`.
    """
    try:
        day = parse_date(text)
    except ValueError:
        pass
    else:
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        start = int(at.timestamp()) * 1000 - utc_offset_min * MINUTE_MS
        return start + DAY_MS if end else start
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - has no zone, so it is refused below
    if at.tzinfo is None:
        raise ValueError(
            f"got {text!r}, expected a day such as 2026-11-30 or an instant such as "
            "2026-11-30T12:00:00+08:00"
        )
    return int(at.timestamp() * 1000)
