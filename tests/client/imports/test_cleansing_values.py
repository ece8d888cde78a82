"""Writing is normalised, meaning is never repaired: each doubtful value stays and is reported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_client.imports.cleansing_date import (
    DateOrder,
    DateStyle,
    date_styles,
    normalise_date,
)
from tradeline_client.imports.cleansing_identifier import likely_slips, normalise_identifier
from tradeline_client.imports.cleansing_number import normalise_number
from tradeline_client.imports.cleansing_phone import normalise_phone
from tradeline_client.imports.cleansing_text import (
    Script,
    code_key,
    normalise_address,
    normalise_code,
    normalise_name,
    normalise_text,
)
from tradeline_client.imports.cleansing_value import Normalised
from tradeline_client.imports.fault import Severity
from tradeline_ledger.identifier import IdType, lei, resident_id, uscc

YEAR = 2026
PERSON = resident_id("110101", "1890-03-07", 42)
FIRM = uscc("91", "110000", "123456789")
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=8)


def column(*values: str | None) -> pa.StringArray:
    return pa.array(values, pa.string())


def codes(found: Normalised) -> list[str]:
    return [fault.code for fault in found.faults]


def one(found: Normalised) -> str | None:
    (value,) = found.array.to_pylist()
    return value if isinstance(value, str) else None


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("ＡＢＣ　１２３", "ABC 123"),
        ("\ufeffa\u200bb\u00adc\u202ed", "abcd"),
        ("  a \t\u00a0\r\n b  ", "a b"),
        ("e\u0301", "é"),
        ("a\x00b\x1fc", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_width_spaces_and_what_is_invisible_become_one_form(written: str, clean: str) -> None:
    found = normalise_text(column(written))
    assert one(found) == clean
    assert found.changed.tolist() == [written != clean]
    assert not found.faults


def test_what_is_only_blank_becomes_null_and_null_stays() -> None:
    found = normalise_text(column(" \u3000", None, "x"))
    assert found.array.to_pylist() == [None, None, "x"]
    assert found.changed.tolist() == [True, False, False]


@given(TEXTS)
def test_normal_text_is_left_alone_and_no_place_is_lost(texts: list[str | None]) -> None:
    for normalise in (normalise_text, normalise_name, normalise_address, normalise_code):
        found = normalise(column(*texts))
        again = normalise(found.array)
        assert len(found.array) == len(texts)
        assert again.array.equals(found.array), normalise
        assert not again.changed.any(), normalise


def test_each_distinct_value_has_one_fault_with_all_its_places() -> None:
    found = normalise_text(column("ok", "锟斤拷", None, "=A1+B1", "锟斤拷"))
    assert codes(found) == ["text-damaged", "formula-cell"]
    np.testing.assert_array_equal(found.faults[0].places, [1, 4])
    np.testing.assert_array_equal(found.faults[1].places, [3])


@pytest.mark.parametrize("cell", ["=SUM(A1)", "@cmd()", '+HYPERLINK("x")', "-A1", "#REF!", "=1+1"])
def test_cells_that_a_sheet_would_compute_are_rejected(cell: str) -> None:
    (fault,) = normalise_text(column(cell)).faults
    assert (fault.code, fault.severity) == ("formula-cell", Severity.REJECT)


@pytest.mark.parametrize("cell", ["-12.5", "+86 139", "a=b", "- none", "#12", "= "])
def test_signs_in_values_are_no_formulas(cell: str) -> None:
    assert "formula-cell" not in codes(normalise_text(column(cell)))


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("张 三 丰", "张三丰"),
        ("阿不都・热依木", "阿不都·热依木"),
        ("阿不都 • 热依木", "阿不都·热依木"),
        ("Anna  Maria", "Anna Maria"),
        ("張學友", "張學友"),
    ],
)
def test_names_lose_spaces_between_chinese_characters_and_keep_their_script(
    written: str, clean: str
) -> None:
    assert one(normalise_name(column(written))) == clean


def test_simplified_names_are_asked_for_and_each_conversion_is_reported() -> None:
    found = normalise_name(column("張學友", "张学友"), Script.SIMPLIFIED)
    assert found.array.to_pylist() == ["张学友", "张学友"]
    assert codes(found) == ["script-converted"]
    assert found.faults[0].places.tolist() == [0]


def test_names_that_are_none_go_to_a_person() -> None:
    found = normalise_name(column("测试用户", "N/A", "张3", "王测", "Nonette"))
    assert [(each.code, each.places.tolist()) for each in found.faults] == [
        ("name-placeholder", [0]),
        ("name-placeholder", [1]),
        ("name-with-digits", [2]),
    ]


def test_addresses_have_one_dash_and_simplified_form_on_demand() -> None:
    found = normalise_address(column("臺北市 中山路１０–２號"), Script.SIMPLIFIED)
    assert one(found) == "台北市中山路10-2号"


def test_codes_in_rare_spellings_are_read_and_reported() -> None:
    found = normalise_code(column("current", "CURRENT", " current", "current", "Written Off"))
    assert found.array.to_pylist() == ["current"] * 4 + ["written_off"]
    assert [(each.code, each.places.tolist()) for each in found.faults] == [
        ("code-formatting", [1]),
        ("code-formatting", [2]),
    ]
    assert code_key(" Written  Off") == "written_off"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1,234.50", "1234.50"),
        ("(1,234.50)", "-1234.50"),
        ("（１，２３４）", "-1234"),
        ("12.5-", "-12.5"),
        ('="00123"', "00123"),
        ("'42", "42"),
        ("¥ 1,000", "1000"),
        ("\u221212", "-12"),
        ("+7", "7"),
        ("100元", "100"),
        ("1234567890123456789.01", "1234567890123456789.01"),
    ],
)
def test_numbers_as_text_keep_every_digit(written: str, plain: str) -> None:
    found = normalise_number(column(written))
    assert one(found) == plain
    assert not found.faults


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("1.2E+05", "number-scientific"),
        ("=A1*2", "formula-cell"),
        ("#VALUE!", "formula-cell"),
        ("N/A", "not-a-number"),
        ("1234,50", "not-a-number"),
        ("1,23,456", "not-a-number"),
        ("1.234.567", "not-a-number"),
        ("--5", "not-a-number"),
        ("(-5)", "not-a-number"),
    ],
)
def test_numbers_that_lost_digits_or_could_be_two_are_rejected(written: str, code: str) -> None:
    found = normalise_number(column(written))
    assert codes(found) == [code]
    assert found.faults[0].severity is Severity.REJECT


def test_phones_take_the_form_of_e164_and_doubtful_ones_stay() -> None:
    found = normalise_phone(
        column("139 0123 4967", "(010) 6552-9988 转 12", "0086-13901234967", "12", "138-0013-8000"),
        "CN",
    )
    assert found.array.to_pylist() == [
        *("+8613901234967", "+861065529988", "+8613901234967", "12", "+8613800138000"),
    ]
    assert codes(found) == ["phone-extension", "phone-invalid", "phone-placeholder"]


def test_dates_in_three_styles_are_read_and_the_rare_ones_reported() -> None:
    found = normalise_date(column("2024-03-05", "2024/3/6", "2024年3月7日", "2024-03-08"))
    assert found.array.to_pylist() == ["2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"]
    assert codes(found) == ["date-style-mixed", "date-style-mixed"]
    assert list(date_styles(column("20240305", "20240306", "45356", "民國113年3月5日"))) == [
        *(DateStyle.COMPACT, DateStyle.SERIAL, DateStyle.REPUBLIC),
    ]


def test_a_date_that_could_be_two_days_is_rejected_unless_the_order_is_known() -> None:
    found = normalise_date(column("03/04/2024"))
    assert (one(found), codes(found)) == ("03/04/2024", ["date-ambiguous"])
    assert one(normalise_date(column("03/04/2024"), DateOrder.DAY_FIRST)) == "2024-04-03"
    assert one(normalise_date(column("03/04/2024"), DateOrder.MONTH_FIRST)) == "2024-03-04"
    assert one(normalise_date(column("04/04/2024"))) == "2024-04-04"
    told = normalise_date(column("03/04/2024", "25/04/2024"))
    assert told.array.to_pylist() == ["2024-04-03", "2024-04-25"]
    torn = normalise_date(column("03/04/2024", "25/04/2024", "04/25/2024"))
    assert codes(torn)[0] == "date-ambiguous"


@pytest.mark.parametrize("text", ["2024-02-30", "31/31/2024", "soon", "2024-13-01", "99999"])
def test_what_is_no_day_is_rejected(text: str) -> None:
    assert codes(normalise_date(column(text))) == ["date-unreadable"]


def test_a_serial_number_is_the_day_that_the_sheet_shows() -> None:
    assert one(normalise_date(column("45356"))) == "2024-03-05"
    assert one(normalise_date(column("民國113年3月5日"))) == "2024-03-05"


def typo(text: str) -> tuple[str, str]:
    found = normalise_identifier(column(text), IdType.RESIDENT_ID, YEAR)
    assert one(found) == text, "never repaired"
    (fault,) = found.faults
    assert fault.severity is Severity.REJECT
    for shown in (fault.got, fault.expected, fault.fix):
        assert not any(text[at : at + 5] in shown for at in range(len(text) - 4))
    return fault.code, fault.got


def test_identifiers_take_the_form_of_the_ledger() -> None:
    spaced = f"{PERSON[:6]} {PERSON[6:14]}-{PERSON[14:].lower()}"
    found = normalise_identifier(column(spaced, PERSON, None), IdType.RESIDENT_ID, YEAR)
    assert found.array.to_pylist() == [PERSON, PERSON, None]
    assert found.changed.tolist() == [True, False, False]
    assert not found.faults


def test_a_letter_typed_for_a_digit_is_told_by_its_place() -> None:
    place = PERSON.index("0")
    code, got = typo(PERSON[:place] + "O" + PERSON[place + 1 :])
    assert code == "identifier-typo"
    assert f"character {place + 1} " in got
    code, got = typo(PERSON.replace("1", "I", 2))
    assert (code, "2 letters" in got) == ("identifier-typo", True)


def test_exchanged_neighbours_are_among_the_likely_slips() -> None:
    for place in range(len(PERSON) - 2):
        if PERSON[place] != PERSON[place + 1]:
            wrong = PERSON[:place] + PERSON[place + 1] + PERSON[place] + PERSON[place + 2 :]
            said = f"characters {place + 1} and {place + 2} are exchanged"
            assert said in likely_slips(IdType.RESIDENT_ID, wrong, YEAR)


def test_a_sign_in_place_of_the_last_x_is_told() -> None:
    ends = next(
        each
        for each in (resident_id("110101", "1890-03-07", number) for number in range(60))
        if each.endswith("X")
    )
    code, got = typo(ends[:-1] + "\u0425")
    assert (code, "letter X" in got) == ("identifier-typo", True)


def test_digits_that_a_spreadsheet_ate_are_told_from_typos() -> None:
    assert typo("1.10101E+17")[0] == "identifier-scientific"
    assert typo(PERSON[:15] + "000")[0] == "identifier-cut"
    assert typo("110101")[0] == "identifier-wrong"


@pytest.mark.parametrize(
    ("id_type", "right"),
    [(IdType.USCC, FIRM), (IdType.LEI, lei("529900T8BM49AURSDO"))],
)
def test_identifiers_of_firms_tell_their_slips_too(id_type: IdType, right: str) -> None:
    wrong = right[:4] + right[5] + right[4] + right[6:]
    if wrong == right:
        wrong = right[:8] + right[9] + right[8] + right[10:]
    (fault,) = normalise_identifier(column(wrong), id_type, YEAR).faults
    assert fault.code in ("identifier-typo", "identifier-wrong")
    assert any("exchanged" in each for each in likely_slips(id_type, wrong, YEAR))


@pytest.mark.parametrize(
    "normalise",
    [normalise_text, normalise_name, normalise_code, normalise_number, normalise_date],
)
def test_no_representation_shows_a_value(normalise: Callable[[pa.Array], Normalised]) -> None:
    found = normalise(column("secret value 7"))
    assert "secret" not in repr(found)
