"""Numbers of a column are exact, or they are none."""

from __future__ import annotations

import re
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_client.imports.mapping import Negative, NumberStyle
from tradeline_client.imports.number_column import (
    FRACTION_DIGITS_MAX,
    WHOLE_DIGITS_MAX,
    read_numbers,
)

_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)", re.ASCII)
_PLAIN = NumberStyle()


def _expected(text: str, digits: int, multiply: int = 1) -> int | str:
    """Return what a text is as an exact decimal, by Python's own."""
    body = text.removeprefix("+") if not text.startswith("+-") else text
    if not _NUMBER.fullmatch(body):
        return "unreadable"
    scaled = Decimal(body) * 10**digits * multiply
    return int(scaled) if scaled == int(scaled) else "imprecise"


def _found(texts: list[str], digits: int, style: NumberStyle = _PLAIN) -> list[int | str]:
    read = read_numbers(pa.array(texts, pa.string()), style, digits)
    return [
        "unreadable" if unreadable else "imprecise" if imprecise else value
        for value, unreadable, imprecise in zip(
            read.values.to_pylist(), read.unreadable, read.imprecise, strict=True
        )
    ]


@given(
    st.lists(
        st.from_regex(r"[+-]?[0-9]{0,9}(\.[0-9]{0,6})?", fullmatch=True)
        | st.sampled_from(
            ["", "-", ".", "1e5", "0x1F", "1,000", "１２", "NaN", "--1", "1 2", "1/2"]
        ),
        max_size=6,
    ),
    st.integers(0, 6),
)
def test_a_number_is_what_python_makes_of_its_text_and_never_a_float(
    texts: list[str], digits: int
) -> None:
    assert _found(texts, digits) == [_expected(text, digits) for text in texts]


@given(
    st.lists(st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{1,6})?", fullmatch=True), min_size=1, max_size=6),
    st.sampled_from([2, 30, 10_000, 1_000_000_000]),
)
def test_a_multiplied_number_is_whole_or_a_fault(texts: list[str], multiply: int) -> None:
    style = NumberStyle(multiply=multiply)
    assert _found(texts, 0, style) == [_expected(text, 0, multiply) for text in texts]


def test_one_bad_number_costs_no_other() -> None:
    assert _found(["1.50", "x", "2", "0.001"], 2) == [150, "unreadable", 200, "imprecise"]


def test_trailing_zeros_are_no_precision() -> None:
    assert _found(["1.500000", "7.0"], 1) == [15, 70]


def test_a_number_that_no_field_can_hold_is_larger_than_any_bound() -> None:
    most = "9" * WHOLE_DIGITS_MAX
    assert _found([most], 4) == [2**63 - 1]
    assert _found(["9" * (WHOLE_DIGITS_MAX + 1), "0." + "1" * (FRACTION_DIGITS_MAX + 1)], 2) == [
        "unreadable",
        "unreadable",
    ]


@pytest.mark.parametrize(
    ("style", "texts", "expected"),
    [
        (
            NumberStyle(thousands=","),
            ["1,234,567.89", "1,23", "12", "-1,000"],
            [123456789, None, 1200, -100000],
        ),
        (NumberStyle(decimal=",", thousands="."), ["1.234,5", "1,5", "1.5"], [123450, 150, None]),
        (NumberStyle(decimal=","), ["1,5", "1.5", "15"], [150, None, 1500]),
        (NumberStyle(thousands=" "), ["1 000", "1  000"], [100000, None]),
        (NumberStyle(negative=Negative.TRAILING), ["12-", "12", "-12-"], [-1200, 1200, None]),
        (NumberStyle(negative=Negative.PARENTHESES), ["(1.5)", "1.5", "(-1)"], [-150, 150, None]),
        (NumberStyle(), ["'12", "+3"], [1200, 300]),
    ],
    ids=["comma", "european", "comma fraction", "space", "trailing", "parentheses", "apostrophe"],
)
def test_a_column_says_how_it_writes_numbers(
    style: NumberStyle, texts: list[str], expected: list[int | None]
) -> None:
    read = read_numbers(pa.array(texts), style, 2)
    assert read.values.to_pylist() == expected
    assert read.unreadable.tolist() == [each is None for each in expected]


def test_nulls_are_neither_numbers_nor_faults() -> None:
    read = read_numbers(pa.array(["1", None, "x"]), _PLAIN, 0)
    assert read.values.to_pylist() == [1, None, None]
    assert read.unreadable.tolist() == [False, False, True]
    assert read_numbers(pa.array([None], pa.string()), _PLAIN, 0).values.to_pylist() == [None]
