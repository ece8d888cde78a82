"""
Near duplicates: events that are the same but for their reference (docs/cleansing.md, section 2).

What comes again under its own reference is not looked for here: the import knows it as a duplicate
or as a correction. Each event has a slot, which only one event may take: subject, account and
period for statements, subject and account for opening and closing, subject, authority and document
for public records; everything that was said, for other types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tradeline_client.imports.cleansing_column import firsts
from tradeline_client.imports.cleansing_finding import (
    CONFLICT_IN_FILE,
    CONFLICT_UNDER_OTHER_REF,
    REF_SPELLING,
    SAME_UNDER_OTHER_REF,
    TWIN,
    Finding,
    found,
)
from tradeline_client.imports.cleansing_shelf import Shelf, Shelves

if TYPE_CHECKING:
    from tradeline_client.imports.cleansing_keys import Keys

_SLOT: Final = np.dtype(
    [
        *(("key", "<u8"), ("ref", "<u8"), ("ref_folded", "<u8"), ("content", "<u8")),
        ("file", "<u8"),
    ]
)
_TWIN: Final = np.dtype([("key", "<u8"), ("account", "<u8")])


class NearDuplicates:
    """Knows what was sent, and finds what is the same under another reference."""

    def __init__(self, shelves: Shelves) -> None:
        """Keep what is known in `shelves`."""
        self._slots = Shelf(shelves, "slot", _SLOT)
        self._twins = Shelf(shelves, "twin", _TWIN)

    @property
    def shelves(self) -> tuple[Shelf, ...]:
        """What has to be written."""
        return self._slots, self._twins

    def check(
        self, keys: Keys, file: int, *, numbered: bool
    ) -> tuple[list[Finding], NDArray[np.bool_]]:
        """
        Return what looks like an event that is known, among the same events too.

        Beside the findings it says which events come again under their own reference, as far as
        they take the same slot: those are for the import to tell, as duplicates or corrections.

        Args:
            keys: of events of one type.
            file: digest of the job that reads the file.
            numbered: whether the member numbers the reports under a reference.
        """
        masks = {
            suspicion.code: np.zeros(len(keys.slot), np.bool_)
            for suspicion in (SAME_UNDER_OTHER_REF, CONFLICT_UNDER_OTHER_REF, REF_SPELLING)
        }
        conflict = np.zeros(len(keys.slot), np.bool_)
        again = np.zeros(len(keys.slot), np.bool_)
        for part in np.unique(keys.part).tolist():
            places = np.flatnonzero(keys.part == part)
            known, there = self._known(part, keys, places, file)
            other = there & (known["ref"] != keys.ref[places])
            alike = other & (known["ref_folded"] == keys.ref_folded[places])
            same = known["content"] == keys.content[places]
            masks[REF_SPELLING.code][places] = alike
            masks[SAME_UNDER_OTHER_REF.code][places] = other & ~alike & same
            masks[CONFLICT_UNDER_OTHER_REF.code][places] = other & ~alike & ~same
            again[places] = there & ~other
            conflict[places] = again[places] & ~same & (known["file"] == file) & (not numbered)
        twin = self._twin(keys)
        findings = [
            *found(REF_SPELLING, masks[REF_SPELLING.code], "ref"),
            *found(SAME_UNDER_OTHER_REF, masks[SAME_UNDER_OTHER_REF.code], "ref"),
            *found(CONFLICT_UNDER_OTHER_REF, masks[CONFLICT_UNDER_OTHER_REF.code], "ref"),
            *found(CONFLICT_IN_FILE, conflict, "ref"),
            *found(TWIN, twin, "account"),
        ]
        return findings, again

    def learn(self, keys: Keys, file: int) -> None:
        """Remember events as sent by the job with that digest."""
        for part in np.unique(keys.part).tolist():
            places = np.flatnonzero(keys.part == part)
            self._slots.put(part, _slot_records(keys, places, file))
            places = places[keys.has_amount[places]]
            self._twins.put(part, _twin_records(keys, places))

    def _known(
        self, part: int, keys: Keys, places: NDArray[np.int64], file: int
    ) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """Return what took the slots of events: on the shelf, or before them in these columns."""
        records, there = self._slots.find(part, keys.slot[places])
        first, repeated = _repeats(keys.slot[places])
        own = repeated & ~there
        records[own] = _slot_records(keys, places, file)[first[own]]
        return records, there | own

    def _twin(self, keys: Keys) -> NDArray[np.bool_]:
        twin = np.zeros(len(keys.twin), np.bool_)
        for part in np.unique(keys.part).tolist():
            places = np.flatnonzero((keys.part == part) & keys.has_amount)
            records, there = self._twins.find(part, keys.twin[places])
            first, repeated = _repeats(keys.twin[places])
            own = repeated & ~there
            records[own] = _twin_records(keys, places)[first[own]]
            twin[places] = (there | own) & (records["account"] != keys.account[places])
        return twin


def _slot_records(keys: Keys, places: NDArray[np.int64], file: int) -> NDArray[np.void]:
    records = np.zeros(len(places), _SLOT)
    records["file"] = file
    for name, column in (
        *(("key", keys.slot), ("ref", keys.ref)),
        *(("ref_folded", keys.ref_folded), ("content", keys.content)),
    ):
        records[name] = column[places]
    return records


def _twin_records(keys: Keys, places: NDArray[np.int64]) -> NDArray[np.void]:
    records = np.zeros(len(places), _TWIN)
    records["key"], records["account"] = keys.twin[places], keys.account[places]
    return records


def _repeats(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where each key stands first, and whether it stood before."""
    first = firsts(keys)
    return first, first < np.arange(len(keys))
