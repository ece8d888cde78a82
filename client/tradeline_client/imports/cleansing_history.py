"""
Statements against the other statements of their account (docs/cleansing.md, section 3).

Of each account the last `KEPT` balances, the limit, the last month and the last days past due are
kept. A statement is compared with up to `KEPT` balances before it and, as far as they are in the
same columns, `AHEAD` after it: its *neighbours*. All arithmetic is in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_column import firsts, integers, months
from tradeline_client.imports.cleansing_finding import (
    ACCOUNT_SPELLING,
    DPD_JUMP,
    JUMP,
    MONTH_MISSING,
    PAID_WHILE_ROLLING,
    SIGN,
    Finding,
    Suspicion,
    found,
    scale,
)
from tradeline_client.imports.cleansing_shelf import Shelf, Shelves
from tradeline_ledger.schemas import OPENED, STATEMENT, UPDATED

if TYPE_CHECKING:
    from tradeline_client.imports.cleansing_keys import Keys
    from tradeline_client.imports.columns import EventColumns

KEPT: Final = 3
"""Balances that are kept of an account."""
AHEAD: Final = 2
"""Later statements of the same columns that count as neighbours."""
NEAR: Final = 2
"""An amount is about another if neither is more than twice the other."""
SCALES: Final = (1, 2, 3, -1, -2, -3)
"""Powers of ten by which a unit or a decimal sign is mistaken."""
STEADY_COUNT: Final = 3
STEADY_RATIO: Final = 2
"""A factor of ten, or a fall, is an error only beside three neighbours within a factor of two."""
ABOVE_NEIGHBOURS: Final = 4
"""An amount is too large only if it is over four times the largest neighbour."""
JUMP_RATIO: Final = 20
BUCKET_DAYS: Final = 29
"""Days by which a reported number may stand below the true one, where a source has buckets."""

_STATE: Final = np.dtype(
    [
        *(("key", "<u8"), ("spelt", "<u8"), ("limit", "<i8"), ("balances", "<i8", (KEPT,))),
        *(("month", "<u2"), ("dpd", "<u2"), ("product", "u1")),
    ]
)
_DPD_MAX: Final = 0xFFFF
_MONTH_DAYS: Final = 31
_LIMITED: Final = (OPENED.number, UPDATED.number)


@dataclass(frozen=True, slots=True)
class _Statements:
    """The statements of some columns, one for each account and month, sorted by both."""

    where: NDArray[np.int64]
    """Of each event, which of the statements it is."""
    account: NDArray[np.uint64]
    rank: NDArray[np.int64]
    """How many statements of the same account come before in these columns."""
    month: NDArray[np.int64]
    balance: NDArray[np.int64]
    dpd: NDArray[np.int64]
    paid: NDArray[np.int64]
    """-1 where it is not reported."""
    due: NDArray[np.int64]
    """Least payment or instalment; -1 where it is not reported."""
    state: NDArray[np.void]
    """What is kept of the account; zeros where nothing is."""


@dataclass(frozen=True, slots=True)
class History:
    """What the histories of their accounts say about some events."""

    findings: list[Finding]
    explained: NDArray[np.bool_]
    """Whether the account's own history explains the size of the balance."""
    product: NDArray[np.int64]
    """Number of the account's product, 0 where it is not known."""
    limit: NDArray[np.int64]
    """Limit of the account before these events, 0 where it is not known."""


class AccountHistory:
    """Knows each account's last statements, and finds what does not fit them."""

    def __init__(self, shelves: Shelves) -> None:
        """Keep what is known in `shelves`."""
        self._accounts = Shelf(shelves, "account", _STATE)

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        """What has to be written."""
        return (self._accounts,)

    def check(self, columns: EventColumns, keys: Keys) -> History:
        """Return what does not fit the account's own history, and what does."""
        if columns.account is None:
            none = np.zeros(len(columns), np.int64)
            return History([], none.astype(np.bool_), none, none)
        state, there = self._accounts.find(0, keys.account)
        spelt = np.where(there, state["spelt"], keys.account_spelt[firsts(keys.account)])
        findings = found(ACCOUNT_SPELLING, spelt != keys.account_spelt, "account")
        limit = state["limit"].astype(np.int64)
        explained = np.zeros(len(columns), np.bool_)
        if columns.schema.number == STATEMENT.number:
            statements = _statements(columns, keys.account, state)
            neighbours = _neighbours(statements)
            findings += _amounts(statements, neighbours)
            findings += _days(statements)
            size = np.abs(statements.balance)
            explained = (size <= ABOVE_NEIGHBOURS * neighbours.max(axis=1))[statements.where]
        elif columns.schema.number in _LIMITED:
            findings += _limits(limit, integers(columns, "limit_minor", 0))
        return History(findings, explained, state["product"].astype(np.int64), limit)

    def learn(self, columns: EventColumns, keys: Keys) -> None:
        """Remember the statements and limits of events as sent."""
        if columns.account is None or not len(columns):
            return
        state, there = self._accounts.find(0, keys.account)
        state["spelt"] = np.where(there, state["spelt"], keys.account_spelt)
        state["key"] = keys.account
        if columns.schema.number == STATEMENT.number:
            self._accounts.put(0, _after(_statements(columns, keys.account, state)))
            return
        if columns.schema.number in _LIMITED:
            limit = integers(columns, "limit_minor", -1)
            state["limit"] = np.where(limit >= 0, limit, state["limit"])
            if columns.schema.number == OPENED.number:
                state["product"] = integers(columns, "product", 0)
        self._accounts.put(0, state)


def _statements(
    columns: EventColumns, keys: NDArray[np.uint64], state: NDArray[np.void]
) -> _Statements:
    month = months(columns)
    order = np.lexsort((month, keys))
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (np.diff(keys[order]) != 0) | (np.diff(month[order]) != 0)
    where = np.empty(len(order), np.int64)
    where[order] = np.cumsum(starts) - 1
    # Of several parties' statements of one account and month, the first stands for all.
    chosen = order[starts]
    account = keys[chosen]
    begins = np.ones(len(chosen), np.bool_)
    begins[1:] = account[1:] != account[:-1]
    group = np.cumsum(begins) - 1
    rank = np.arange(len(chosen)) - np.flatnonzero(begins)[group]
    due = integers(columns, "minimum_due_minor", -1)
    due = np.where(due < 0, integers(columns, "scheduled_due_minor", -1), due)
    return _Statements(
        where=where,
        account=account,
        rank=rank,
        month=month[chosen],
        balance=integers(columns, "statement_balance_minor", 0)[chosen],
        dpd=integers(columns, "days_past_due", 0)[chosen],
        paid=integers(columns, "paid_minor", -1)[chosen],
        due=due[chosen],
        state=state[chosen],
    )


def _before(statements: _Statements, steps: int) -> NDArray[np.int64]:
    """Return the balance that many statements before, of these columns or kept; else 0."""
    count = len(statements.balance)
    at = np.arange(count) - steps
    own = statements.rank >= steps
    kept = np.clip(steps - statements.rank - 1, 0, KEPT - 1)
    before = statements.state["balances"][np.arange(count), kept]
    return np.where(own, statements.balance[np.maximum(at, 0)], before)


def _ahead(statements: _Statements, steps: int) -> NDArray[np.int64]:
    """Return the balance that many statements later, as far as it is in these columns; else 0."""
    count = len(statements.balance)
    at = np.arange(count) + steps
    there = at < count
    at = np.minimum(at, count - 1)
    there &= statements.account[at] == statements.account
    return np.where(there, statements.balance[at], 0)


def _neighbours(statements: _Statements) -> NDArray[np.int64]:
    """Return the balances before and after each, 0 where there is none."""
    before = [_before(statements, steps) for steps in range(1, KEPT + 1)]
    after = [_ahead(statements, steps) for steps in range(1, AHEAD + 1)]
    return np.stack([*before, *after], axis=1)


def _amounts(statements: _Statements, neighbours: NDArray[np.int64]) -> list[Finding]:
    """Return findings about balances among their neighbours."""
    balance = statements.balance
    sizes = np.abs(neighbours)
    largest = sizes.max(axis=1)
    least = np.where(sizes == 0, np.iinfo(np.int64).max, sizes).min(axis=1)
    # A screen; what it lets through is judged one by one.
    up = (largest > 0) & (np.abs(balance) // ABOVE_NEIGHBOURS >= largest)
    down = (largest > 0) & (np.abs(balance) <= least // ABOVE_NEIGHBOURS)
    negative = (balance < 0) & (neighbours.max(axis=1) > 0)
    kinds: dict[str, tuple[Suspicion, list[int]]] = {}
    for place in np.flatnonzero((up | down | negative) & (balance != 0)).tolist():
        suspicion = _judge(statements, place, [each for each in neighbours[place].tolist() if each])
        if suspicion is not None:
            kinds.setdefault(suspicion.got, (suspicion, []))[1].append(place)
    findings = []
    for suspicion, places in kinds.values():
        mask = np.zeros(len(balance), np.bool_)
        mask[places] = True
        findings += found(suspicion, mask[statements.where], "statement_balance_minor")
    return findings


def _limits(known: NDArray[np.int64], limit: NDArray[np.int64]) -> list[Finding]:
    """Return findings about limits that are a power of ten times the one that is known."""
    findings = []
    for power in SCALES:
        factor = 10 ** abs(power)
        larger, smaller = (limit, known) if power > 0 else (known, limit)
        mask = (smaller > 0) & (larger % factor == 0) & (larger // factor == smaller)
        findings += found(scale(power), mask, "limit_minor")
    return findings


def _judge(statements: _Statements, place: int, neighbours: list[int]) -> Suspicion | None:
    """Return what is suspicious about one balance, decided in integers, or None."""
    balance = int(statements.balance[place])
    limit = int(statements.state["limit"][place])
    sizes = sorted(abs(each) for each in neighbours)
    usual = sizes[(len(sizes) - 1) // 2]
    steady = len(sizes) >= STEADY_COUNT and sizes[-1] <= STEADY_RATIO * sizes[0]
    size = abs(balance)
    if balance < 0:
        positive = len(sizes) > 1 and min(neighbours) > 0
        return SIGN if positive and _about(size, usual) else None
    over = size > ABOVE_NEIGHBOURS * sizes[-1] and size > limit + limit // 5
    for power in SCALES:
        factor: int = 10 ** abs(power)
        high, low = (size, usual * factor) if power > 0 else (size * factor, usual)
        if not _about(high, low):
            continue
        if power > 0 and over and (power > 1 or steady):
            return scale(power)
        if power < 0 and steady and not _explained(statements, place, size):
            return scale(power)
    return JUMP if over and limit and size > JUMP_RATIO * sizes[-1] else None


def _about(first: int, second: int) -> bool:
    return first <= NEAR * second and second <= NEAR * first


def _explained(statements: _Statements, place: int, size: int) -> bool:
    """Say whether a payment accounts for at least half of a fall."""
    before = int(_before(statements, 1)[place]) if place >= 0 else 0
    paid = int(statements.paid[place])
    return paid < 0 or 2 * paid >= abs(before) - size


def _days(statements: _Statements) -> list[Finding]:
    """Return findings about days past due and holes, against the statement before."""
    count = len(statements.dpd)
    own = statements.rank > 0
    at = np.maximum(np.arange(count) - 1, 0)
    known = own | (statements.state["month"] > 0)
    month = np.where(own, statements.month[at], statements.state["month"].astype(np.int64))
    dpd = np.where(own, statements.dpd[at], statements.state["dpd"].astype(np.int64))
    passed = statements.month - month
    later = known & (passed > 0)
    slack = np.where(dpd > 0, BUCKET_DAYS, 0)
    jump = later & (statements.dpd > dpd + slack + passed * _MONTH_DAYS)
    # One month of arrears is paid off and the next one is not: only a rise of buckets contradicts.
    rolled = later & (passed == 1) & (statements.dpd > dpd)
    rolled &= (
        ~jump & (statements.due > 0) & (statements.paid >= statements.due) & (statements.dpd > 0)
    )
    where = statements.where
    return [
        *found(DPD_JUMP, jump[where], "days_past_due"),
        *found(PAID_WHILE_ROLLING, rolled[where], "paid_minor"),
        *found(MONTH_MISSING, (later & (passed > 1))[where], "period"),
    ]


def _after(statements: _Statements) -> NDArray[np.void]:
    """Return what is kept of each account after these statements."""
    last = np.ones(len(statements.account), np.bool_)
    last[:-1] = statements.account[1:] != statements.account[:-1]
    state = statements.state.copy()
    own = np.stack([statements.balance, _before(statements, 1), _before(statements, 2)], axis=1)
    newer = statements.month >= state["month"]
    state["balances"] = np.where(newer[:, None], own, state["balances"])
    state["dpd"] = np.where(newer, np.minimum(statements.dpd, _DPD_MAX), state["dpd"])
    state["month"] = np.maximum(statements.month, state["month"])
    return state[last]
