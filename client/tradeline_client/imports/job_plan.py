"""
What becomes of each event of a chunk, decided by what was sent before under its reference.

* Nothing was: the event is sent.
* The same was: it is a duplicate, and not sent.
* A report with a higher number was, or one of the same chunk holds: it is outdated, and not sent.
* Something else was: if the subject, year and category are still the same, the event is sent as
  what supersedes the earlier one; else the earlier one is retracted and the event sent anew.

A correction names the place in the log of what it corrects. Where that is not known yet, the
event waits, and so does whatever comes later under its reference.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.imports.job_prepare import KEYED, months_of
from tradeline_client.imports.job_sent import RECORD, fingerprints
from tradeline_client.seal import PlainColumns
from tradeline_ledger.calendar import date_of_day
from tradeline_ledger.event import Event, decode_event, encode_event
from tradeline_ledger.schemas import CORRECTION_REASON, RETRACT, SUPERSEDE
from tradeline_ledger.tag import Category

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tradeline_client.imports.job_prepare import PreparedEvents
    from tradeline_client.imports.job_sent import SentIndex
    from tradeline_ledger.params import Params


@enum.unique
class Fate(enum.IntEnum):
    """What became of one event. The numbers are append-only: files hold them."""

    ACCEPTED = 1
    """Sent as it is."""
    CORRECTED = 2
    """Sent in place of an earlier one that said something else."""
    RETRACTED = 3
    """An earlier one that belongs elsewhere; what takes its place is `MOVED`."""
    MOVED = 4
    """Sent as it is after an earlier one with its reference was retracted."""
    DUPLICATE = 5
    """Not sent: the same was."""
    OUTDATED = 6
    """Not sent: a later report of it was."""


SENT: Final = (Fate.ACCEPTED, Fate.CORRECTED, Fate.RETRACTED, Fate.MOVED)
"""Fates of events that have a place on the ledger."""
UNSENT: Final = np.dtype([("row", "<i8"), ("ref", KEYED), ("month", "<i4"), ("fate", "u1")])
"""One event that was not sent, since another one with its reference holds."""
WAITING: Final = np.dtype([("row", "<i8"), ("ref", KEYED)])
"""One event that is to be looked at again."""

_REASON: Final = CORRECTION_REASON.from_json("furnisher_error")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Events to be sent, in order, and what is to be remembered of them."""

    records: NDArray[np.void]
    """`RECORD`s, one an event."""
    encoded: list[bytes]

    def __len__(self) -> int:
        return len(self.encoded)

    def __repr__(self) -> str:
        return f"Outgoing({len(self)}, not shown)"

    def columns(self, params: Params) -> PlainColumns:
        """Return the events ready to be sealed under the parameters in force."""
        months = months_of(self.records["day"])
        categories = self.records["category"]
        kept = np.array([0, *(params.retain_months(each) for each in sorted(Category))])
        return PlainColumns(
            encoded=self.encoded,
            tags=self.records["tag"].tolist(),
            refs=self.records["ref"].tobytes(),
            retain_months=(months + kept[categories]).tolist(),
            months=months.tolist(),
            categories=categories.tolist(),
            corrections=np.isin(self.records["kind"], (Fate.CORRECTED, Fate.RETRACTED)).tolist(),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the events of a chunk."""

    batches: tuple[Outgoing, ...]
    """What belongs together is in one batch."""
    unsent: NDArray[np.void]
    """`UNSENT`."""
    waiting: NDArray[np.void]
    """`WAITING`."""
    renumbered: NDArray[np.void]
    """`RECORD`s of what was sent before and came again with a higher number."""


class Planner:
    """Plans chunk after chunk of one pass through a file."""

    def __init__(
        self, index: SentIndex, placed: Callable[[int], int | None], batch_events: int
    ) -> None:
        """Ask `index` what was sent, and `placed` where the batch of that number stands."""
        self._index = index
        self._placed = placed
        self._batch_events = batch_events
        self._waiting = np.empty(0, dtype=np.uint64)

    def plan(self, events: PreparedEvents, first_batch: int) -> Plan:
        """Return the plan of `events`; its batches have the numbers from `first_batch` on."""
        winners, lost, by = _latest_of_each(events)
        found, earlier = self._index.find(events.refs[winners])
        same = found & (earlier["digest"] == events.digests[winners])
        older = found & ~same & (events.versions[winners] < earlier["version"])
        differs = found & ~same & ~older
        moved = differs & (earlier["tag"] != events.tags[winners])
        waits = np.isin(fingerprints(events.refs[winners]), self._waiting)
        waits |= differs & ~self._are_placed(earlier, differs)
        waiting = winners[waits]
        self._waiting = np.union1d(self._waiting, fingerprints(events.refs[waiting]))
        going = ~waits & ~same & ~older
        fates = np.where(differs, np.where(moved, Fate.MOVED, Fate.CORRECTED), Fate.ACCEPTED)
        outgoing = self._outgoing(
            events, winners[going], fates[going].astype(np.uint8), earlier[going]
        )
        batches = tuple(self._cut(outgoing, first_batch))
        told = ~waits & (same | older)
        unsent = _unsent(events, winners[told], np.where(same, Fate.DUPLICATE, Fate.OUTDATED)[told])
        renumber = ~waits & same & (events.versions[winners] > earlier["version"])
        renumbered = earlier[renumber].copy()
        renumbered["version"] = events.versions[winners][renumber]
        return Plan(
            batches,
            np.concatenate([unsent, _lost(events, lost, by)]),
            _waiting_of(events, waiting),
            renumbered,
        )

    def _are_placed(
        self, earlier: NDArray[np.void], wanted: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        batches = np.unique(earlier["batch"][wanted]).tolist()
        known = [batch for batch in batches if self._placed(batch) is not None]
        return np.isin(earlier["batch"], known)

    def _outgoing(
        self,
        events: PreparedEvents,
        places: NDArray[np.int64],
        fates: NDArray[np.uint8],
        earlier: NDArray[np.void],
    ) -> Outgoing:
        """Return the events at `places` as they are sent, `earlier` being what was before."""
        records = _records(events, places, fates)
        encoded = [events.encoded[place] for place in places.tolist()]
        corrected = np.flatnonzero(fates == Fate.CORRECTED)
        for name in ("batch", "position"):
            records[name][corrected] = earlier[name][corrected]
        for at in corrected.tolist():
            encoded[at] = _supersede(encoded[at], self._target(earlier[at]))
        moved = np.flatnonzero(fates == Fate.MOVED)
        if not len(moved):
            return Outgoing(records, encoded)
        retractions = earlier[moved].copy()
        retractions["kind"], retractions["row"] = Fate.RETRACTED, records["row"][moved]
        # Each stands right before what takes the place of its target.
        for at in reversed(moved.tolist()):
            encoded.insert(at, _retract(earlier[at], self._target(earlier[at])))
        return Outgoing(np.insert(records, moved, retractions), encoded)

    def _target(self, earlier: np.void) -> tuple[int, int]:
        index = self._placed(int(earlier["batch"]))
        assert index is not None, int(earlier["batch"])
        return index, int(earlier["position"])

    def _cut(self, outgoing: Outgoing, first_batch: int) -> list[Outgoing]:
        """Return it in batches, whose new records know where they stand."""
        batches: list[Outgoing] = []
        start, count = 0, len(outgoing)
        while start < count:
            end = min(start + self._batch_events, count)
            if outgoing.records["kind"][end - 1] == Fate.RETRACTED:
                end += 1  # with what takes its place
            records = outgoing.records[start:end].copy()
            own = np.isin(records["kind"], (Fate.ACCEPTED, Fate.MOVED))
            records["batch"][own] = first_batch + len(batches)
            records["position"][own] = np.flatnonzero(own)
            batches.append(Outgoing(records, outgoing.encoded[start:end]))
            start = end
        return batches


def _latest_of_each(
    events: PreparedEvents,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """
    Return the places of the events to look at, ascending; of those that others outdo; of which.

    Of several with one reference in a chunk the one with the highest number holds, or else the
    last.
    """
    prints = fingerprints(events.refs)
    order = np.lexsort((np.arange(len(events)), events.versions, prints))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = prints[order][1:] != prints[order][:-1]
    group = np.cumsum(last) - last
    return np.sort(order[last]), order[~last], order[last][group[~last]]


def _records(
    events: PreparedEvents, places: NDArray[np.int64], fates: NDArray[np.uint8]
) -> NDArray[np.void]:
    records = np.zeros(len(places), dtype=RECORD)
    for name, column in (
        *(("ref", events.refs), ("digest", events.digests), ("tag", events.tags)),
        *(("check", events.checks), ("account", events.accounts), ("row", events.rows)),
        *(("version", events.versions), ("day", events.days), ("category", events.categories)),
    ):
        records[name] = column[places]
    records["kind"] = fates
    return records


def _unsent(
    events: PreparedEvents, places: NDArray[np.int64], fates: NDArray[np.int64]
) -> NDArray[np.void]:
    unsent = np.zeros(len(places), dtype=UNSENT)
    unsent["row"], unsent["fate"] = events.rows[places], fates
    unsent["ref"], unsent["month"] = events.refs[places], events.months()[places]
    return unsent


def _lost(
    events: PreparedEvents, lost: NDArray[np.int64], by: NDArray[np.int64]
) -> NDArray[np.void]:
    """Return the fate of what others of the same chunk outdo: duplicates if they say the same."""
    same = events.digests[lost] == events.digests[by]
    return _unsent(events, lost, np.where(same, Fate.DUPLICATE, Fate.OUTDATED))


def _waiting_of(events: PreparedEvents, places: NDArray[np.int64]) -> NDArray[np.void]:
    waiting = np.zeros(len(places), dtype=WAITING)
    waiting["row"], waiting["ref"] = events.rows[places], events.refs[places]
    return waiting


def _supersede(encoded: bytes, target: tuple[int, int]) -> bytes:
    """Return the correction that puts an event in the place of `target`."""
    event = decode_event(encoded)
    return encode_event(
        Event(
            schema=SUPERSEDE.number,
            version=SUPERSEDE.version,
            occurred_on=event.occurred_on,
            basis=event.basis,
            ref=event.ref,
            account=event.account,
            check=event.check,
            target=target,
            fields=SUPERSEDE.values(
                reason=_REASON, replacement=(event.schema, event.version, event.fields)
            ),
        )
    )


def _retract(earlier: np.void, target: tuple[int, int]) -> bytes:
    """Return the correction that retracts `target`, filed where that is."""
    return encode_event(
        Event(
            schema=RETRACT.number,
            version=RETRACT.version,
            occurred_on=date_of_day(int(earlier["day"])),
            basis=min(RETRACT.bases),
            ref=earlier["ref"].tobytes(),
            account=None,
            check=earlier["check"].tobytes(),
            target=target,
            fields=RETRACT.values(reason=_REASON),
        )
    )
