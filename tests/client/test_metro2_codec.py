"""Fields and segments of Metro 2: samples of another implementation, any values there and back."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.metro2 import account, read, sample, segments_of

from tradeline_client.metro2.kind import Packing
from tradeline_client.metro2.layout import (
    APPENDED,
    BASE,
    HEADER,
    J1,
    K2,
    TRAILER,
    Layout,
    Segment,
    segment,
)
from tradeline_client.metro2.record import decode_segments

LAYOUTS = {each.name: each for each in (HEADER, BASE, TRAILER, *APPENDED.values())}
FILES = ("unpacked_fixed_file", "unpacked_variable_file", "packed_file")
NAMES = {
    "date_birth": "date_of_birth",
    "date_account_information": "date_of_account_information",
    "date_first_delinquency": "date_of_first_delinquency",
    "date_last_payment": "date_of_last_payment",
    "date_created": "created_date",
    "time_stamp": "time_stamp",
    "actual_payment_amount": "actual_payment",
    "scheduled_monthly_payment_amount": "scheduled_monthly_payment",
    "interest_type_indicator": "interest_type",
    "first_line_address": "address_line_1",
    "second_line_address": "address_line_2",
    "trans_union_program_identifier": "transunion_program_identifier",
    "first_line_employer_address": "employer_address_line_1",
    "second_line_employer_address": "employer_address_line_2",
}
"""Names of the other implementation that are not ours."""
TOTALS = {
    "total_base_records": "base_records",
    "block_count": "blocks",
    "total_ecoa_code_z": "ecoa_code_z",
    "total_employment_segments": "n1_segments",
    "total_original_creditor_segments": "k1_segments",
    "total_purchased_to_segments": "k2_segments",
    "total_mortgage_information_segments": "k3_segments",
    "total_payment_information_segments": "k4_segments",
    "total_change_segments": "l1_segments",
    "total_telephone_numbers_all_segments": "telephone_numbers",
    "total_social_numbers_all_segments": "social_security_numbers",
    "total_social_numbers_base_segments": "social_security_numbers_base",
    "total_social_numbers_j1_segments": "social_security_numbers_j1",
    "total_social_numbers_j2_segments": "social_security_numbers_j2",
    "total_dates_birth_all_segments": "dates_of_birth",
    "total_dates_birth_base_segments": "dates_of_birth_base",
    "total_dates_birth_j1_segments": "dates_of_birth_j1",
    "total_dates_birth_j2_segments": "dates_of_birth_j2",
    "total_consumer_segments_j1": "j1_segments",
    "total_consumer_segments_j2": "j2_segments",
}
WRITINGS = [
    (name, packing)
    for name, layout in LAYOUTS.items()
    for packing in Packing
    # What is appended is written in characters in every file.
    if packing is Packing.CHARACTER or layout in (HEADER, BASE, TRAILER)
]
SINGLE = [
    ("header_record.dat", HEADER, 8, Packing.CHARACTER),
    ("packed_header_record.dat", HEADER, 8, Packing.BINARY),
    ("base_segment.dat", BASE, 8, Packing.CHARACTER),
    ("packed_base_segment.dat", BASE, 8, Packing.BINARY),
    ("trailer_record.dat", TRAILER, 4, Packing.CHARACTER),
    ("packed_trailer_record.dat", TRAILER, 4, Packing.BINARY),
    *(
        (f"{each.name.lower()}_segment.dat", each, 0, Packing.CHARACTER)
        for each in APPENDED.values()
    ),
]


def decoded(layout: Layout, raw: bytes, packing: Packing) -> Segment:
    places = layout.places(packing)
    return Segment(layout, tuple(each.decode(raw[each.start : each.end]) for each in places))


def our_name(layout: Layout, theirs: str) -> str:
    spelt = theirs.replace("ECOA", "Ecoa").replace("CodeDF", "CodeDf").replace("CodeDA", "CodeDa")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", spelt).lower()
    if found := re.fullmatch(r"total_status_code_?(\w\w)", snake):
        return f"status_{found[1]}"
    if layout.name == "N1" and snake == "zip_code":
        return "employer_zip_code"
    return TOTALS.get(snake, NAMES.get(snake, snake))


def ours(layout: Layout, theirs: dict[str, Any]) -> dict[str, Any]:
    """Return what the other implementation read, under our names and as our values."""
    found = {}
    for name, value in theirs.items():
        if not name.endswith("DescriptorWord"):
            found[our_name(layout, name)] = value
    return found


def as_theirs(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.strftime("%Y-%m-%dT00:00:00Z")
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def given_of(made: Segment) -> dict[str, Any]:
    """Return the values that are neither nothing nor filler."""
    return {
        each.name: as_theirs(value)
        for each, value in zip(made.layout.fields, made.values, strict=True)
        if value not in ("", None, 0, "0")
    }


@pytest.mark.parametrize("name", FILES)
def test_values_are_those_that_another_implementation_reads(name: str) -> None:
    told = json.loads(sample(f"{name}.json"))
    _, records, faults = read(sample(f"{name}.dat"))

    assert not faults
    (data,) = told["data"]
    expected = [(HEADER, told["header"]), (BASE, data["base"])]
    for code, appended in APPENDED.items():
        listed = data.get(code.decode().lower(), [])
        expected += [
            (appended, each) for each in (listed if isinstance(listed, list) else [listed])
        ]
    expected.append((TRAILER, told["trailer"]))
    found = [each for record in records for each in record.segments]
    assert [each.layout for each in found] == [layout for layout, _ in expected]
    for each, (layout, theirs) in zip(found, expected, strict=True):
        said = {
            key: int(value) if isinstance(value, str) and value.isdecimal() else value
            for key, value in ours(layout, theirs).items()
            if value not in ("", 0)
        }
        known = given_of(each)
        # Their JSON leaves out what marks a segment.
        assert {**known, **said} == known, layout.name
        assert known.keys() - said.keys() <= {"segment_identifier", "record_identifier"}


@pytest.mark.parametrize(
    ("name", "layout", "words", "packing"), SINGLE, ids=[row[0] for row in SINGLE]
)
def test_sample_of_a_segment_is_written_byte_for_byte(
    name: str, layout: Layout, words: int, packing: Packing
) -> None:
    raw = sample(name)
    if not packing.packed:
        raw = raw.replace(b"\n", b"")  # they are wrapped, as no file is

    body = raw[words:]
    if layout is BASE:
        segments, faults, used = decode_segments(body, packing)
        assert not faults
        assert used == len(body)
        assert len(segments) > 3
        assert b"".join(each.encode(packing) for each in segments) == body
    else:
        assert len(body) == layout.length(packing)
        assert decoded(layout, body, packing).encode(packing) == body


@pytest.mark.parametrize(("name", "packing"), WRITINGS)
@settings(max_examples=25)
@given(drawn=st.data())
def test_any_segment_is_read_as_it_was_written(
    name: str, packing: Packing, drawn: st.DataObject
) -> None:
    made = drawn.draw(segments_of(LAYOUTS[name]))

    raw = made.encode(packing)

    assert len(raw) == LAYOUTS[name].length(packing)
    assert decoded(LAYOUTS[name], raw, packing) == made


@pytest.mark.parametrize(("name", "packing"), WRITINGS)
@settings(max_examples=25)
@given(drawn=st.data())
def test_what_can_be_read_has_one_writing(
    name: str, packing: Packing, drawn: st.DataObject
) -> None:
    layout = LAYOUTS[name]
    raw = bytearray(drawn.draw(segments_of(layout)).encode(packing))
    place = drawn.draw(st.integers(0, len(raw) - 1))
    raw[place] = drawn.draw(st.integers(0, 255))

    try:
        changed = decoded(layout, bytes(raw), packing)
    except ValueError:
        return
    written = changed.encode(packing)
    if packing.packed and packing is not Packing.BINARY:
        # A sign of the other kind says the same.
        assert decoded(layout, written, packing) == changed
    else:
        assert written == bytes(raw)


def test_packed_decimals_are_those_of_the_standard() -> None:
    made = account(
        1, highest_credit=2438, date_opened=date(2019, 11, 22), telephone_number=5175555555
    )

    def written(packing: Packing, name: str) -> str:
        place = next(each for each in BASE.places(packing) if each.field.name == name)
        return made.encode(packing)[place.start : place.end].hex()

    assert written(Packing.DECIMAL, "highest_credit") == "000002438c"
    assert written(Packing.DECIMAL_UNSIGNED, "highest_credit") == "000002438f"
    assert written(Packing.BINARY, "highest_credit") == "0000000986"
    assert written(Packing.DECIMAL, "date_opened") == "011222019c"
    assert written(Packing.BINARY, "date_opened") == "00ab3c0373"
    assert written(Packing.DECIMAL, "telephone_number") == "05175555555c"
    assert written(Packing.DECIMAL, "time_stamp") == "002012026083005c"


@pytest.mark.parametrize(
    ("field", "raw", "got"),
    [
        ("social_security_number", b"15932875A", "byte 0x41 at place 9 of 9"),
        ("social_security_number", b" 15932875", "byte 0x20 at place 1 of 9"),
        ("surname", b"SMITH\xe9".ljust(25), "byte 0xe9 at place 6 of 25"),
        ("surname", b"SMITH\n".ljust(25), "byte 0x0a at place 6 of 25"),
        ("date_of_birth", b"02301972", "8 digits that are no day"),
        ("date_of_birth", b"0218197 ", "byte 0x20 at place 8 of 8"),
        ("time_stamp", b"01012020250000", "14 digits that are no time"),
        ("account_status", b"12", "'12'"),
        ("portfolio_type", b" ", "' '"),
        ("payment_history_profile", b"0" * 23 + b"7", "byte 0x37 at place 24 of 24"),
    ],
)
def test_wrong_field_is_named_and_nothing_of_a_person_is_shown(
    field: str, raw: bytes, got: str
) -> None:
    place = next(each for each in BASE.places(Packing.CHARACTER) if each.field.name == field)
    whole = account(1).encode(Packing.CHARACTER)
    body = whole[: place.start] + raw + whole[place.end :]

    _, (fault,), _ = decode_segments(body, Packing.CHARACTER)

    assert (fault.offset, fault.segment, fault.field) == (place.start, "base", field)
    assert fault.got == got
    assert fault.expected
    assert "15932875" not in str(fault)


@pytest.mark.parametrize(
    ("packing", "raw", "got"),
    [
        (Packing.DECIMAL, "0000024380", "no packed decimal"),
        (Packing.DECIMAL, "000002438d", "no packed decimal"),
        (Packing.DECIMAL, "00000a438c", "no packed decimal"),
        (Packing.DECIMAL, "2020202020", "no packed decimal"),
        (Packing.BINARY, "ffffffffff", "a larger number"),
    ],
)
def test_wrong_packed_number_is_refused(packing: Packing, raw: str, got: str) -> None:
    place = next(each for each in BASE.places(packing) if each.field.name == "credit_limit")

    with pytest.raises(ValueError, match=got):
        place.decode(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("layout", "values", "message"),
    [
        (K2, {"segment_identifier": "K2"}, "K2: field purchased_indicator: a code that is not"),
        (J1, {"segment_identifier": "J1", "surname": "É"}, "J1: field surname: text with other"),
        (J1, {"segment_identifier": "J1", "surname": "A" * 26}, "at most 25 characters"),
        (J1, {"segment_identifier": "J1", "telephone_number": 10**10}, "at most 10 digits"),
        (J1, {"segment_identifier": "J1", "telephone_number": -1}, "from 0"),
        (J1, {"segment_identifier": "J1", "date_of_birth": "1972"}, "field date_of_birth: no day"),
    ],
)
def test_value_that_does_not_fit_is_not_written(
    layout: Layout, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        segment(layout, values).encode(Packing.CHARACTER)


def test_representation_shows_nothing_of_a_person() -> None:
    assert repr(account(1)) == "Segment(base, not shown)"
