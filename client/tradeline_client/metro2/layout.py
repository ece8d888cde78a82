"""
Fields of every segment of Metro 2, as data: the field table of the format.

Lengths are in characters; where a field stands follows from those before it. Records begin with
their record descriptor word of four bytes, which is framing and in no table: the first field of a
base segment, header or trailer stands at place 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from tradeline_client.metro2.kind import (
    Code,
    Date,
    Kind,
    Number,
    Packing,
    Profile,
    Text,
    Timestamp,
    Value,
    packed_length,
)
from tradeline_ledger.grid import METRO2_MONTHS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DESCRIPTOR_BYTES: Final = 4

TEXT: Final = Text()
NUMBER: Final = Number()
DATE: Final = Date()
TIMESTAMP: Final = Timestamp()

PORTFOLIO: Final = Code(frozenset("CILMOR"))
FREQUENCY: Final = Code(frozenset({*"DPWBEMLQTSY", ""}))
STATUS: Final = Code(
    frozenset(
        (
            *("DA", "DF", "05", "11", "13", "61", "62", "63", "64", "65", "71", "78", "80", "82"),
            *("83", "84", "88", "89", "93", "94", "95", "96", "97"),
        )
    )
)
RATING: Final = Code(frozenset({*"0123456GL", ""}))
HISTORY: Final = Profile(frozenset("0123456BDEGHJKLZ "))
INTEREST: Final = Code(frozenset({"F", "V", ""}))
ECOA: Final = Code(frozenset({*"1234567TWXZ", ""}))


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a segment."""

    name: str
    length: int
    """Characters."""
    kind: Kind
    packs: bool = False
    """Whether it is shorter in packed files."""
    packed_filler: int | None = None
    """Bytes in packed files, of a reserved field that makes up for what others lose there."""

    def bytes_in(self, packing: Packing) -> int:
        """Return its length in a file of this packing."""
        if not packing.packed or not (self.packs or self.packed_filler):
            return self.length
        dated = isinstance(self.kind, Date | Timestamp)
        return self.packed_filler or packed_length(self.length, dated=dated)

    def packing_in(self, packing: Packing) -> Packing | None:
        """Return how it is packed in a file of this packing, None if it is not."""
        return packing if self.packs and packing.packed else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field stands in a segment, and what reads it."""

    field: FieldSpec
    start: int
    """From 0, descriptor words left out."""
    end: int
    decode: Callable[[bytes], Value]


class Layout:
    """One kind of segment."""

    __slots__ = ("_cuts", "_places", "fields", "index", "name")

    def __init__(self, name: str, *fields: FieldSpec) -> None:
        """Take the fields in their order."""
        self.name = name
        """As messages have it, such as `base` or `J1`."""
        self.fields = fields
        self.index = {each.name: index for index, each in enumerate(fields)}
        """Place of each field among the values of a segment."""
        assert len(self.index) == len(fields), name
        self._places = {packing: _places(fields, packing) for packing in Packing}
        self._cuts = {
            packing: [(each.decode, slice(each.start, each.end)) for each in places]
            for packing, places in self._places.items()
        }

    def places(self, packing: Packing) -> tuple[Place, ...]:
        """Return where the fields stand in a file of this packing."""
        return self._places[packing]

    def decode(self, raw: bytes, packing: Packing) -> tuple[Value, ...]:
        """
        Return the values of a segment; `places` tells of one that is wrong which field it is.

        Raises:
            ValueError: a field is wrong.
        """
        return tuple([decode(raw[cut]) for decode, cut in self._cuts[packing]])

    def length(self, packing: Packing) -> int:
        """Return the bytes of a segment, descriptor words left out."""
        return self._places[packing][-1].end


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """One segment, every field checked."""

    layout: Layout
    values: tuple[Value, ...]
    """In the order of the layout."""

    def __getitem__(self, name: str) -> Value:
        """Return the value of a field."""
        return self.values[self.layout.index[name]]

    def __repr__(self) -> str:
        return f"Segment({self.layout.name}, not shown)"

    def text(self, name: str) -> str:
        """Return a text or code, `""` where it is not given."""
        value = self[name]
        assert isinstance(value, str), name
        return value

    def number(self, name: str) -> int:
        """Return a number, 0 where it is not given."""
        value = self[name]
        return value if isinstance(value, int) else 0

    def encode(self, packing: Packing) -> bytes:
        """
        Return the bytes of the segment.

        Raises:
            ValueError: a value does not fit its field; names the field.
        """
        written = []
        for field, value in zip(self.layout.fields, self.values, strict=True):
            try:
                # A filler is as long as its file wants it.
                length = field.bytes_in(packing) if field.packed_filler else field.length
                written.append(field.kind.encode(value, length, field.packing_in(packing)))
            except ValueError as error:
                raise ValueError(f"{self.layout.name}: field {field.name}: {error}") from None
        return b"".join(written)


def segment(layout: Layout, values: Mapping[str, Value]) -> Segment:
    """Return a segment with these values; where none is given numbers are 0 and dates zeros."""
    assert values.keys() <= layout.index.keys(), values.keys() - layout.index.keys()
    return Segment(
        layout, tuple(values.get(each.name, _nothing(each.kind)) for each in layout.fields)
    )


def _nothing(kind: Kind) -> Value:
    match kind:
        case Number():
            return 0
        case Date() | Timestamp():
            return None
        case _:
            return ""


def _places(fields: tuple[FieldSpec, ...], packing: Packing) -> tuple[Place, ...]:
    ends = list(accumulate(field.bytes_in(packing) for field in fields))
    return tuple(
        Place(
            field,
            end - field.bytes_in(packing),
            end,
            field.kind.decoder(field.length, field.packing_in(packing)),
        )
        for field, end in zip(fields, ends, strict=True)
    )


def _amount(name: str) -> FieldSpec:
    return FieldSpec(name, 9, NUMBER, packs=True)


def _day(name: str) -> FieldSpec:
    return FieldSpec(name, 8, DATE, packs=True)


def _person(*, packs: bool) -> tuple[FieldSpec, ...]:
    return (
        FieldSpec("surname", 25, TEXT),
        FieldSpec("first_name", 20, TEXT),
        FieldSpec("middle_name", 20, TEXT),
        FieldSpec("generation_code", 1, TEXT),
        FieldSpec("social_security_number", 9, NUMBER, packs),
        FieldSpec("date_of_birth", 8, DATE, packs),
        FieldSpec("telephone_number", 10, NUMBER, packs),
        FieldSpec("ecoa_code", 1, ECOA),
        FieldSpec("consumer_information_indicator", 2, TEXT),
    )


_ADDRESS: Final = (
    FieldSpec("country_code", 2, TEXT),
    FieldSpec("address_line_1", 32, TEXT),
    FieldSpec("address_line_2", 32, TEXT),
    FieldSpec("city", 20, TEXT),
    FieldSpec("state", 2, TEXT),
    FieldSpec("zip_code", 9, TEXT),
    FieldSpec("address_indicator", 1, TEXT),
    FieldSpec("residence_code", 1, TEXT),
)

HEADER: Final = Layout(
    "header",
    FieldSpec("record_identifier", 6, Code(frozenset({"HEADER"}))),
    FieldSpec("cycle_identifier", 2, TEXT),
    FieldSpec("innovis_program_identifier", 10, TEXT),
    FieldSpec("equifax_program_identifier", 10, TEXT),
    FieldSpec("experian_program_identifier", 5, TEXT),
    FieldSpec("transunion_program_identifier", 10, TEXT),
    FieldSpec("activity_date", 8, DATE),
    FieldSpec("created_date", 8, DATE),
    FieldSpec("program_date", 8, DATE),
    FieldSpec("program_revision_date", 8, DATE),
    FieldSpec("reporter_name", 40, TEXT),
    FieldSpec("reporter_address", 96, TEXT),
    FieldSpec("reporter_telephone_number", 10, NUMBER),
    FieldSpec("software_vendor_name", 40, TEXT),
    FieldSpec("software_version_number", 5, TEXT),
    FieldSpec("prbc_program_identifier", 10, TEXT),
    FieldSpec("reserved", 146, TEXT, packed_filler=86),
)

BASE: Final = Layout(
    "base",
    FieldSpec("processing_indicator", 1, Code(frozenset({"1", ""}))),
    FieldSpec("time_stamp", 14, TIMESTAMP, packs=True),
    FieldSpec("correction_indicator", 1, Code(frozenset({"0", "1", ""}))),
    FieldSpec("identification_number", 20, TEXT),
    FieldSpec("cycle_identifier", 2, TEXT),
    FieldSpec("consumer_account_number", 30, TEXT),
    FieldSpec("portfolio_type", 1, PORTFOLIO),
    FieldSpec("account_type", 2, TEXT),
    _day("date_opened"),
    _amount("credit_limit"),
    _amount("highest_credit"),
    FieldSpec("terms_duration", 3, TEXT),
    FieldSpec("terms_frequency", 1, FREQUENCY),
    _amount("scheduled_monthly_payment"),
    _amount("actual_payment"),
    FieldSpec("account_status", 2, STATUS),
    FieldSpec("payment_rating", 1, RATING),
    FieldSpec("payment_history_profile", METRO2_MONTHS, HISTORY),
    FieldSpec("special_comment", 2, TEXT),
    FieldSpec("compliance_condition_code", 2, TEXT),
    _amount("current_balance"),
    _amount("amount_past_due"),
    _amount("original_charge_off_amount"),
    _day("date_of_account_information"),
    _day("date_of_first_delinquency"),
    _day("date_closed"),
    _day("date_of_last_payment"),
    FieldSpec("interest_type", 1, INTEREST),
    FieldSpec("reserved", 17, TEXT),
    *_person(packs=True),
    *_ADDRESS,
)

J1: Final = Layout(
    "J1",
    FieldSpec("segment_identifier", 2, Code(frozenset({"J1"}))),
    FieldSpec("reserved_1", 1, TEXT),
    *_person(packs=False),
    FieldSpec("reserved_2", 1, TEXT),
)
J2: Final = Layout(
    "J2",
    FieldSpec("segment_identifier", 2, Code(frozenset({"J2"}))),
    FieldSpec("reserved_1", 1, TEXT),
    *_person(packs=False),
    *_ADDRESS,
    FieldSpec("reserved_2", 2, TEXT),
)
K1: Final = Layout(
    "K1",
    FieldSpec("segment_identifier", 2, Code(frozenset({"K1"}))),
    FieldSpec("original_creditor_name", 30, TEXT),
    FieldSpec("creditor_classification", 2, NUMBER),
)
K2: Final = Layout(
    "K2",
    FieldSpec("segment_identifier", 2, Code(frozenset({"K2"}))),
    FieldSpec("purchased_indicator", 1, Code(frozenset("129"))),
    FieldSpec("purchased_name", 30, TEXT),
    FieldSpec("reserved", 1, TEXT),
)
K3: Final = Layout(
    "K3",
    FieldSpec("segment_identifier", 2, Code(frozenset({"K3"}))),
    FieldSpec("agency_identifier", 2, NUMBER),
    FieldSpec("account_number", 18, TEXT),
    FieldSpec("mortgage_identification_number", 18, TEXT),
)
K4: Final = Layout(
    "K4",
    FieldSpec("segment_identifier", 2, Code(frozenset({"K4"}))),
    FieldSpec("specialized_payment_indicator", 2, Code(frozenset({"01", "02"}))),
    FieldSpec("deferred_payment_start_date", 8, DATE),
    FieldSpec("balloon_payment_due_date", 8, DATE),
    FieldSpec("balloon_payment_amount", 9, NUMBER),
    FieldSpec("reserved", 1, TEXT),
)
L1: Final = Layout(
    "L1",
    FieldSpec("segment_identifier", 2, Code(frozenset({"L1"}))),
    FieldSpec("change_indicator", 1, Code(frozenset("123"))),
    FieldSpec("new_consumer_account_number", 30, TEXT),
    FieldSpec("new_identification_number", 20, TEXT),
    FieldSpec("reserved", 1, TEXT),
)
N1: Final = Layout(
    "N1",
    FieldSpec("segment_identifier", 2, Code(frozenset({"N1"}))),
    FieldSpec("employer_name", 30, TEXT),
    FieldSpec("employer_address_line_1", 32, TEXT),
    FieldSpec("employer_address_line_2", 32, TEXT),
    FieldSpec("employer_city", 20, TEXT),
    FieldSpec("employer_state", 2, TEXT),
    FieldSpec("employer_zip_code", 9, TEXT),
    FieldSpec("occupation", 18, TEXT),
    FieldSpec("reserved", 1, TEXT),
)
APPENDED: Final = {each.name.encode(): each for each in (J1, J2, K1, K2, K3, K4, L1, N1)}
"""Segments that may follow a base segment, by the two characters that each begins with."""
REPEATED: Final = frozenset({J1, J2})
"""Segments of which a record may have several."""

STATUS_TOTALS: Final = (
    *("DA", "05", "11", "13", "61", "62", "63", "64", "65", "71", "78", "80", "82", "83", "84"),
    *("88", "89", "93", "94", "95", "96", "97"),
)
"""Account statuses in the order of the trailer's totals; the total of DF stands before them."""

TRAILER: Final = Layout(
    "trailer",
    FieldSpec("record_identifier", 7, Code(frozenset({"TRAILER"}))),
    _amount("base_records"),
    FieldSpec("reserved_1", 9, TEXT, packed_filler=5),
    _amount("status_df"),
    _amount("j1_segments"),
    _amount("j2_segments"),
    _amount("blocks"),
    *(_amount(f"status_{code.lower()}") for code in STATUS_TOTALS),
    _amount("ecoa_code_z"),
    _amount("n1_segments"),
    _amount("k1_segments"),
    _amount("k2_segments"),
    _amount("k3_segments"),
    _amount("k4_segments"),
    _amount("l1_segments"),
    _amount("social_security_numbers"),
    _amount("social_security_numbers_base"),
    _amount("social_security_numbers_j1"),
    _amount("social_security_numbers_j2"),
    _amount("dates_of_birth"),
    _amount("dates_of_birth_base"),
    _amount("dates_of_birth_j1"),
    _amount("dates_of_birth_j2"),
    _amount("telephone_numbers"),
    FieldSpec("reserved_2", 19, TEXT, packed_filler=135),
)

for _layout, _characters, _packed in (
    *((HEADER, 422, 362), (BASE, 422, 362), (TRAILER, 422, 362), (J1, 100, 100), (J2, 200, 200)),
    *((K1, 34, 34), (K2, 34, 34), (K3, 40, 40), (K4, 30, 30), (L1, 54, 54), (N1, 146, 146)),
):
    assert _layout.length(Packing.CHARACTER) == _characters, _layout.name
    assert _layout.length(Packing.DECIMAL) == _packed, _layout.name
