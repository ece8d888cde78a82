"""
What this member states of one month: its own numbers of rows, and what its vault says of events.

The vault must know every submission of the member that the log has, or nothing is stated: a
statement that left some out could be proven false.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.errors import QualityError
from tradeline_client.vault import decode_places
from tradeline_ledger.body import KEY_BYTES
from tradeline_ledger.history import EventId
from tradeline_ledger.mac import SHORT_MAC_BYTES
from tradeline_ledger.quality import (
    CORRECTIONS_MAX,
    LISTED_MAX,
    PRINT_BYTES,
    QUALITY_VERSION,
    REPEATS_MAX,
    Delay,
    Listed,
    MonthEnd,
    MonthStanding,
    Quality,
    RejectClass,
    Rejected,
    event_print,
    join_prints,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tradeline_client.vault import Vault
    from tradeline_ledger.quality_facts import LedgerFacts, MemberFacts

_ERASED: Final = bytes(KEY_BYTES)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What became of the rows of a member's files of one month."""

    accepted: int = 0
    """Became events."""
    rejected: Mapping[RejectClass, int] = field(default_factory=dict)
    quarantined: int = 0
    """Wait for a person to decide."""
    duplicates: int = 0
    """Were recognised as rows that had come before, and not filed again."""

    @property
    def received(self) -> int:
        """All of them."""
        return self.accepted + sum(self.rejected.values()) + self.quarantined + self.duplicates


@dataclass(slots=True)
class _Marked:
    """Events of the month of which the statement shows prints."""

    prints: list[bytes] = field(default_factory=list)
    events: list[EventId] = field(default_factory=list)
    """Whose prints those are."""
    erased: list[EventId] = field(default_factory=list)
    """Those whose key is gone, ascending."""

    def add(self, event: EventId, key: bytes) -> None:
        """Take one event, in log order."""
        if key == _ERASED:
            self.erased.append(event)
        else:
            self.events.append(event)
            self.prints.append(event_print(key, event))

    def carry(self, before: bytes) -> None:
        """Take prints that the statement before has of events that were erased since then."""
        known = set(self.prints)
        kept = [before[at : at + PRINT_BYTES] for at in range(0, len(before), PRINT_BYTES)]
        carried = [each for each in kept if each not in known][: len(self.erased)]
        self.prints += carried
        self.events += self.erased[: len(carried)]


def count_month(
    vault: Vault,
    facts: LedgerFacts,
    member: int,
    month: int,
    *,
    standing: MonthStanding,
    rows: RowCounts | None = None,
) -> Quality:
    """
    Return what `member` states of a month as of the last block of `facts`.

    `rows` are those of its files; None if each event that repeats none came from one row.

    Raises:
        QualityError: the vault lacks a submission or is ahead of `facts`, or there is more than a
            statement can hold, or the month is declared void and is not.
        StoreError: the vault can't be read.
    """
    own = facts.member(member)
    listed, corrections, repeats = _events(vault, facts, own, month)
    last = own.in_force(month)
    if last is not None:
        corrections.carry(last.content.correction_prints)
        repeats.carry(last.content.repeat_prints)
    events = sum(each.events for each in listed)
    given = RowCounts(accepted=events - len(repeats.events)) if rows is None else rows
    _check_limits(listed, corrections, repeats)
    if standing is MonthStanding.VOID and (listed or given.received):
        raise QualityError(
            f"the month has {events} events and {given.received} rows, so it is not void; declare "
            "it open, complete or missing"
        )
    end = MonthEnd(month, facts.utc_offset_min)
    late = [end.delay(own.submissions[event.index].time_ms) for event in corrections.events]
    return Quality(
        version=QUALITY_VERSION,
        month=month,
        size=facts.size,
        supersedes=None if last is None else last.index,
        standing=standing,
        received=given.received,
        accepted=given.accepted,
        rejected=tuple(Rejected(each, n) for each, n in sorted(given.rejected.items()) if n),
        quarantined=given.quarantined,
        duplicates=given.duplicates,
        listed=tuple(listed),
        corrections=tuple(late.count(delay) for delay in Delay),
        correction_prints=join_prints(corrections.prints),
        repeat_prints=join_prints(repeats.prints),
    )


def _events(
    vault: Vault, facts: LedgerFacts, own: MemberFacts, month: int
) -> tuple[list[Listed], _Marked, _Marked]:
    """Return the submissions with events of the month, its corrections and its repeats."""
    listed, corrections = list[Listed](), _Marked()
    missing = set(own.submissions)
    refs = _Refs()
    keys: dict[int, bytes] = {}
    for batch_hash in vault.placed_hashes():
        row = vault.row(batch_hash)
        assert row.log_index is not None, row
        if row.log_index >= facts.size:
            continue
        index = row.log_index
        missing.discard(index)
        _check_erased(index, row.erased(), own)
        places = decode_places(row.places)
        mine = places.months == month
        refs.add(index, row.refs, ~places.corrections, mine)
        if not mine.any():
            continue
        listed.append(Listed(index, int(mine.sum())))
        keys[index] = row.keys
        for position in np.flatnonzero(mine & places.corrections).tolist():
            corrections.add(EventId(index, position), _key(row.keys, position))
    if missing:
        raise QualityError(
            f"this vault lacks {len(missing)} of the member's submissions, the first at log index "
            f"{min(missing)}; send what is pending first, state the month from the folder that "
            "sealed them, or restore its vault from a backup"
        )
    repeats = _Marked()
    for event in refs.repeats():
        repeats.add(event, _key(keys[event.index], event.position))
    return listed, corrections, repeats


class _Refs:
    """References of all events that are no corrections, to find those that came before."""

    def __init__(self) -> None:
        self._refs: list[NDArray[np.uint64]] = []
        self._indexes: list[NDArray[np.int64]] = []
        self._positions: list[NDArray[np.int64]] = []
        self._mine: list[NDArray[np.bool_]] = []

    def add(
        self, index: int, refs: bytes, counted: NDArray[np.bool_], mine: NDArray[np.bool_]
    ) -> None:
        """Take a batch; batches come in log order."""
        positions = np.flatnonzero(counted)
        halves = np.frombuffer(refs, dtype=np.uint64).reshape(-1, SHORT_MAC_BYTES // 8)
        self._refs.append(halves[positions])
        self._indexes.append(np.full(len(positions), index, dtype=np.int64))
        self._positions.append(positions)
        self._mine.append(mine[positions])

    def repeats(self) -> list[EventId]:
        """Return the events of the month with the reference of an earlier event, in log order."""
        if not self._refs:
            return []
        refs = np.concatenate(self._refs)
        order = np.lexsort((refs[:, 0], refs[:, 1]))  # stable: equal ones stay in log order
        in_order = refs[order]
        again = np.zeros(len(refs), dtype=np.bool_)
        again[order[1:]] = (in_order[1:] == in_order[:-1]).all(axis=1)
        found = np.flatnonzero(again & np.concatenate(self._mine))
        indexes, positions = np.concatenate(self._indexes), np.concatenate(self._positions)
        return [EventId(int(indexes[at]), int(positions[at])) for at in found]


def _key(keys: bytes, position: int) -> bytes:
    return keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]


def _check_erased(index: int, erased: list[int], own: MemberFacts) -> None:
    """Accept a batch of whose erased events the log knows: else a report may still open them."""
    for position in erased:
        if EventId(index, position) not in own.erased:
            raise QualityError(
                f"event {index}/{position} was erased after the log that is counted; bring the "
                "mirror up to date first"
            )


def _check_limits(listed: list[Listed], corrections: _Marked, repeats: _Marked) -> None:
    for count, most, what in (
        (len(listed), LISTED_MAX, "submissions"),
        (len(corrections.events), CORRECTIONS_MAX, "corrections"),
        (len(repeats.events), REPEATS_MAX, "repeats"),
    ):
        if count > most:
            raise QualityError(f"the month has {count} {what}, a statement holds at most {most}")
