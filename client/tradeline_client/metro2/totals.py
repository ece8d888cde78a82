"""What the trailer of a Metro 2 file counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.metro2.layout import BASE, J1, J2, TRAILER, Segment, segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.metro2.kind import Value
    from tradeline_client.metro2.record import Record


class Totals:
    """Counts the records of one file."""

    def __init__(self) -> None:
        """Begin with none."""
        # The trailer counts its own block.
        self._counts = {each.name: 0 for each in TRAILER.fields if each.packs} | {"blocks": 1}

    def add(self, record: Record) -> None:
        """Count a header or base record."""
        counts = self._counts
        counts["blocks"] += 1
        if record.layout is not BASE:
            return
        counts["base_records"] += 1
        counts[f"status_{record.base.text('account_status').lower()}"] += 1
        for each in record.segments:
            name = each.layout.name.lower()
            if each.layout is not BASE:
                counts[f"{name}_segments"] += 1
            if each.layout in (BASE, J1, J2):
                self._add_person(each, name)

    def segment(self) -> Segment:
        """Return the trailer of what was counted."""
        values: dict[str, Value] = {"record_identifier": "TRAILER", **self._counts}
        return segment(TRAILER, values)

    def differ(self, trailer: Segment) -> Iterator[tuple[str, int, int]]:
        """Yield each total that is given and wrong: its name, what is said, what was counted."""
        for name, counted in self._counts.items():
            said = trailer[name]
            if isinstance(said, int) and said != counted:
                yield name, said, counted

    def _add_person(self, each: Segment, name: str) -> None:
        counts = self._counts
        counts["ecoa_code_z"] += each["ecoa_code"] == "Z"
        counts["telephone_numbers"] += bool(each["telephone_number"])
        for field, total in (
            ("social_security_number", "social_security_numbers"),
            ("date_of_birth", "dates_of_birth"),
        ):
            if each[field]:
                counts[total] += 1
                counts[f"{total}_{name}"] += 1
