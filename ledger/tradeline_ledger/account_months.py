"""The months of each account of a history, as the grids of `tradeline_ledger.grid` take them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tradeline_ledger.calendar import month_of, parse_period
from tradeline_ledger.event_types.account import (
    CLOSED,
    CLOSURE,
    DEFAULT,
    DEFAULTED,
    OPENED,
    RESOLUTION,
    RESOLVED,
    STATEMENT,
)
from tradeline_ledger.grid import MonthlyHistory, metro2_profile, pboc_grid
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tradeline_ledger.history import EventId
    from tradeline_ledger.resolution import EffectiveEvent

_PBOC_MARKS: Final = {
    CLOSED.number: dict.fromkeys(range(1, len(CLOSURE.names) + 1), "C")
    | {CLOSURE.number("transferred"): "G"},
    DEFAULTED.number: {DEFAULT.number("doubtful"): "B"},
    RESOLVED.number: {RESOLUTION.number("guarantor_paid"): "D"}
    | {RESOLUTION.number("asset_in_lieu"): "Z"},
}
_METRO2_MARKS: Final = {
    DEFAULTED.number: {
        DEFAULT.number("charge_off"): "L",
        DEFAULT.number("collection"): "G",
        DEFAULT.number("foreclosure"): "H",
        DEFAULT.number("repossession"): "K",
    },
}


@dataclass(frozen=True, slots=True)
class AccountMonths:
    """What the statements of one account say, in the grids that people are used to."""

    account: bytes
    """The contributor's keyed reference, 16 bytes."""
    first: EventId
    """One of its events, which says whose account it is."""
    last_month: int
    """Of the newest statement or of the closure, as `year * 12 + month - 1`."""
    pboc: str
    """24 months, the newest last."""
    metro2: str
    """24 months, the newest first."""


def account_months(events: Iterable[EffectiveEvent]) -> tuple[AccountMonths, ...]:
    """
    Return the months of each account that has a statement, ordered by its first event.

    Args:
        events: what stands of one subject's history, in log order. The references of accounts are
            keyed by their contributors, so no two of them share one.
    """
    accounts: defaultdict[bytes, list[EffectiveEvent]] = defaultdict(list)
    for event in events:
        if event.account is not None and event.schema.category is Category.ACCOUNT:
            accounts[event.account].append(event)
    found = (_months(account, listed) for account, listed in accounts.items())
    return tuple(each for each in found if each is not None)


def _months(account: bytes, events: list[EffectiveEvent]) -> AccountMonths | None:
    days: dict[int, int] = {}
    opened: list[int] = []
    pboc: dict[int, str] = {}
    metro2: dict[int, str] = {}
    for event in sorted(events, key=lambda each: each.occurred_on):
        number, month = event.schema.number, month_of(event.occurred_on)
        given = dict(zip((item.name for item in event.schema.fields), event.fields, strict=True))
        if number == STATEMENT.number:
            days[parse_period(given["period"])] = given["days_past_due"]
        elif number == OPENED.number:
            opened.append(month)
        for marks, into in ((_PBOC_MARKS, pboc), (_METRO2_MARKS, metro2)):
            mark = marks.get(number, {}).get(_choice(given))
            if mark is not None:
                into[month] = mark
    if not days:
        return None
    begin, last = min((*opened, *days)), max((*days, *pboc))
    return AccountMonths(
        account=account,
        first=events[0].original,
        last_month=last,
        pboc=pboc_grid(MonthlyHistory(begin, days, pboc), last),
        metro2=metro2_profile(MonthlyHistory(begin, days, metro2), last + 1),
    )


def _choice(given: dict[str, Any]) -> Any:
    """Return the number of what a closure, default or resolution says."""
    return given.get("kind", given.get("reason"))
