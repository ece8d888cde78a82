"""Identifiers of subjects: generated codes, every digit changed, and the traps of the formats."""

from __future__ import annotations

import random
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import ric
from stdnum.cn import uscc as stdnum_uscc

from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.identifier import (
    COUNTRIES,
    IDENTIFIER_CHARS_MAX,
    IdType,
    SubjectId,
    lei,
    normalise,
    parse_identifier,
    resident_id,
    subject_from_json,
    subject_to_json,
    uscc,
)

YEAR = 2026
COUNTIES = ("110101", "110105", "120106", "310104", "330122", "360121", "610326", "652801")
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def resident_ids(count: int) -> list[str]:
    draw = random.Random(1)
    return [
        resident_id(
            draw.choice(COUNTIES),
            f"{draw.randint(1850, 1899)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
            draw.randint(0, 999),
        )
        for _ in range(count)
    ]


def usccs(count: int) -> list[str]:
    draw = random.Random(2)
    return [
        uscc("91", draw.choice(COUNTIES), "".join(draw.choices(USCC_ALPHABET, k=9)))
        for _ in range(count)
    ]


def leis(count: int) -> list[str]:
    draw = random.Random(3)
    return [lei("".join(draw.choices(LETTERS + "0123456789", k=18))) for _ in range(count)]


def us_ssns(count: int) -> list[str]:
    draw = random.Random(4)
    areas = [area for area in range(1, 900) if area != 666]
    return [
        f"{draw.choice(areas):03}{draw.randint(1, 99):02}{draw.randint(1, 9999):04}"
        for _ in range(count)
    ]


GENERATED = {
    IdType.RESIDENT_ID: resident_ids(1000),
    IdType.USCC: usccs(1000),
    IdType.LEI: leis(1000),
    IdType.US_SSN: us_ssns(1000),
}
CHECKED = [id_type for id_type in IdType if id_type is not IdType.US_SSN]
"""Types with check digits."""


def accepted(id_type: IdType, text: str) -> bool:
    try:
        parse_identifier(id_type, text, YEAR)
    except IdentifierError:
        return False
    return True


@pytest.mark.parametrize("id_type", IdType)
def test_thousand_generated_codes_are_accepted(id_type: IdType) -> None:
    for code in GENERATED[id_type]:
        parsed = parse_identifier(id_type, code, YEAR)
        assert parsed == SubjectId(id_type, COUNTRIES[id_type], code)


@pytest.mark.parametrize("id_type", CHECKED)
def test_every_changed_digit_is_refused(id_type: IdType) -> None:
    for code in GENERATED[id_type][:100]:
        for place, char in enumerate(code):
            # Within digits and within letters; ISO 7064 mod 97-10 detects these and no others.
            same_kind = "0123456789" if char.isdecimal() else LETTERS
            for other in same_kind:
                if other != char:
                    assert not accepted(id_type, code[:place] + other + code[place + 1 :])


@pytest.mark.parametrize("id_type", IdType)
def test_lost_and_doubled_digit_is_refused(id_type: IdType) -> None:
    for code in GENERATED[id_type][:200]:
        assert not accepted(id_type, code[:-1])
        assert not accepted(id_type, code + code[-1])
        assert not accepted(id_type, "")


def test_generated_codes_agree_with_the_library() -> None:
    assert all(ric.is_valid(code) for code in GENERATED[IdType.RESIDENT_ID])
    assert all(stdnum_uscc.is_valid(code) for code in GENERATED[IdType.USCC])


@pytest.mark.parametrize(
    ("id_type", "text", "expected"),
    [
        (IdType.RESIDENT_ID, "36042619910101007１", "360426199101010071"),
        (IdType.RESIDENT_ID, "３６０４２６１９９１０１０１００７１", "360426199101010071"),
        (IdType.RESIDENT_ID, " 360426-1991 0101·0071\t", "360426199101010071"),
        (IdType.RESIDENT_ID, "11010519491231002x", "11010519491231002X"),
        (IdType.RESIDENT_ID, "11010519491231002ｘ", "11010519491231002X"),
        (IdType.USCC, "９１１１００００６０００３７３４１ｌ", "91110000600037341L"),
        (IdType.USCC, "9 1 110000 600037341L", "91110000600037341L"),
        (IdType.LEI, "213800-kud8lajwsq9d15", "213800KUD8LAJWSQ9D15"),
        (IdType.US_SSN, "536-90-4399", "536904399"),
        (IdType.US_SSN, "５３６ ９０ ４３９９", "536904399"),
    ],
)
def test_width_case_and_separators_do_not_matter(id_type: IdType, text: str, expected: str) -> None:
    assert parse_identifier(id_type, text, YEAR).identifier == expected


@given(st.text(max_size=64))
def test_normal_form_is_stable_and_plain(text: str) -> None:
    normal = normalise(text)
    assert normal == normalise(normal)
    assert set(normal) <= set("0123456789" + LETTERS)


@pytest.mark.parametrize(
    ("old", "converted"),
    [
        ("110105491231002", "11010519491231002X"),
        ("360426910101007", "360426199101010071"),
        # The sequences kept for people who were a hundred years old.
        ("110105650101997", "110105186501019975"),
        ("110105650101995", resident_id("110105", "1965-01-01", 995)),
        ("110105990101996", resident_id("110105", "1899-01-01", 996)),
    ],
)
def test_resident_id_of_15_digits_becomes_18(old: str, converted: str) -> None:
    assert parse_identifier(IdType.RESIDENT_ID, old, YEAR).identifier == converted
    assert parse_identifier(IdType.RESIDENT_ID, converted, YEAR).identifier == converted


@pytest.mark.parametrize(
    ("born_on", "current_year", "valid"),
    [
        ("1849-12-31", 2026, False),
        ("1850-01-01", 2026, True),
        ("2025-12-31", 2025, True),
        ("2026-01-01", 2025, False),
        ("2030-01-01", 2026, False),
        ("2030-01-01", 2030, True),
    ],
)
def test_birth_year_is_between_1850_and_the_current_year(
    born_on: str, current_year: int, valid: bool
) -> None:
    code = resident_id("110105", born_on, 1)
    if valid:
        assert parse_identifier(IdType.RESIDENT_ID, code, current_year).identifier == code
    else:
        with pytest.raises(IdentifierError, match=f"birth year outside of 1850 to {current_year}"):
            parse_identifier(IdType.RESIDENT_ID, code, current_year)


def test_county_that_was_renumbered_after_birth_is_accepted() -> None:
    # Cards were first issued in 1984: somebody born in 1965 has the county code of that time,
    # which is from 1982. The library compares it with the year of birth and refuses.
    code = resident_id("110221", "1965-02-20", 123)
    assert not ric.is_valid(code)
    assert parse_identifier(IdType.RESIDENT_ID, code, YEAR).identifier == code


@pytest.mark.parametrize(
    ("id_type", "text", "message"),
    [
        (IdType.RESIDENT_ID, "1101051949123100", "16 characters without separators, expected 18"),
        (IdType.RESIDENT_ID, "1101051949123A002X", "a letter where a digit stands"),
        (IdType.RESIDENT_ID, "11010519491231002A", "a letter where a digit stands"),
        (IdType.RESIDENT_ID, "110105194912310021", "wrong check digit"),
        (IdType.RESIDENT_ID, resident_id("110105", "1890-02-30", 7), "birth date that is no day"),
        (IdType.RESIDENT_ID, resident_id("110105", "1900-02-29", 7), "birth date that is no day"),
        (IdType.RESIDENT_ID, resident_id("990105", "1890-02-20", 7), "county code that was never"),
        # 崇文区 was dissolved in 2010.
        (IdType.RESIDENT_ID, resident_id("110103", "2015-02-20", 7), "county code that was never"),
        (IdType.RESIDENT_ID, resident_id("111001", "1890-02-20", 7), "county code that was never"),
        (IdType.RESIDENT_ID, "11010549123100X", "15 characters has a letter"),
        (IdType.USCC, "91110000600037341", "USCC of 17 characters is wrong"),
        (IdType.USCC, "9111000060003734IL", "no I, O, S, V or Z"),
        (IdType.LEI, "213800KUD8LAJWSQ9D1", "LEI has 19 characters"),
        (IdType.LEI, "213800KUD8LAJWSQ9D1X", "expected 18 letters or digits and 2 check digits"),
        (IdType.LEI, "213800KUD8LAJWSQ9D16", "LEI has wrong check digits"),
        (IdType.US_SSN, "53690439", "US_SSN of 8 characters is wrong, expected 9 digits"),
        (IdType.US_SSN, "53690439A", "US_SSN of 9 characters is wrong"),
        (IdType.US_SSN, "666904399", "were ever issued together"),
        (IdType.US_SSN, "000904399", "were ever issued together"),
        (IdType.US_SSN, "987654320", "were ever issued together"),
        (IdType.US_SSN, "536004399", "were ever issued together"),
        (IdType.US_SSN, "536900000", "were ever issued together"),
        (IdType.US_SSN, "078051120", "were ever issued together"),
        (IdType.LEI, "1" * (IDENTIFIER_CHARS_MAX + 1), "has 65 characters with separators"),
    ],
)
def test_refusal_says_why_and_never_shows_the_identifier(
    id_type: IdType, text: str, message: str
) -> None:
    with pytest.raises(IdentifierError, match=message) as caught:
        parse_identifier(id_type, text, YEAR)
    # Not in the message, nor in any exception that it was raised from.
    printed = "".join(traceback.format_exception(caught.value))
    assert text not in printed


def test_lei_with_check_digits_that_are_never_issued_is_refused() -> None:
    # 99 leaves the same remainder as 02, 00 as 97 and 01 as 98.
    for code in leis(2000):
        alias = {"97": "00", "98": "01", "02": "99"}.get(code[-2:])
        if alias is not None:
            with pytest.raises(IdentifierError, match="outside of 02 to 98"):
                parse_identifier(IdType.LEI, code[:-2] + alias, YEAR)


def test_identifier_is_not_in_the_representation() -> None:
    code = GENERATED[IdType.RESIDENT_ID][0]
    subject = parse_identifier(IdType.RESIDENT_ID, code, YEAR)
    for shown in (repr(subject), str(subject), f"{subject}", repr([subject])):
        assert code not in shown
        assert "RESIDENT_ID" in shown


def test_subject_of_a_line_is_read() -> None:
    line = {"type": "lei", "id": "213800KUD8LAJWSQ9D15"}
    subject = subject_from_json(line, YEAR)
    assert subject == SubjectId(IdType.LEI, "", "213800KUD8LAJWSQ9D15")
    assert subject_to_json(subject) == line


@pytest.mark.parametrize(
    "value",
    [
        *(None, "110105194912310021", 110105194912310021, [], {}),
        {"type": "lei"},
        {"id": "213800KUD8LAJWSQ9D15"},
        {"type": "110105194912310021", "id": "lei"},
        {"type": 3, "id": "213800KUD8LAJWSQ9D15"},
        {"type": "lei", "id": 110105194912310021},
        {"type": "lei", "id": "213800KUD8LAJWSQ9D15", "name": "110105194912310021"},
    ],
)
def test_subject_of_another_shape_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(
        IdentifierError, match=r"expected .* one of resident_id, uscc, lei, us_ssn"
    ) as caught:
        subject_from_json(value, YEAR)
    assert "110105194912310021" not in str(caught.value)


def test_numbers_of_types_never_change() -> None:
    assert {item.name: item.value for item in IdType} == {
        "RESIDENT_ID": 1,
        "USCC": 2,
        "LEI": 3,
        "US_SSN": 4,
    }
