"""Days past due in every scale, each day, and grids that read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.calendar import parse_period
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.grid import (
    CREFORGE,
    METRO2_MARKS,
    METRO2_PROFILE,
    METRO2_STATUS,
    PBOC,
    PBOC_MARKS,
    SCALES,
    TAIWAN,
    MonthlyHistory,
    Scale,
    metro2_profile,
    pboc_grid,
    read_metro2_profile,
    read_pboc_grid,
)

DAYS = range(401)
MAY = parse_period("2026-05")

# From first to last day: PBoC, Metro 2 profile, Metro 2 status, creforge, Taiwan.
TABLE = [
    (0, 0, "N", "0", "11", "0", "0"),
    (1, 29, "1", "0", "11", "1-29", "0"),
    (30, 30, "1", "1", "71", "30-59", "1"),
    (31, 59, "2", "1", "71", "30-59", "1"),
    (60, 60, "2", "2", "78", "60-89", "2"),
    (61, 89, "3", "2", "78", "60-89", "2"),
    (90, 90, "3", "3", "80", "90-119", "3"),
    (91, 119, "4", "3", "80", "90-119", "3"),
    (120, 120, "4", "4", "82", "120+", "4"),
    (121, 149, "5", "4", "82", "120+", "4"),
    (150, 150, "5", "5", "83", "120+", "5"),
    (151, 179, "6", "5", "83", "120+", "5"),
    (180, 180, "6", "6", "84", "120+", "6"),
    (181, 209, "7", "6", "84", "120+", "6"),
    (210, 239, "7", "6", "84", "120+", "7"),
    (240, 400, "7", "6", "84", "120+", "8"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} to {row[1]} days")
def test_every_day_has_its_symbol_in_every_scale(
    row: tuple[int, int, str, str, str, str, str],
) -> None:
    first, last, *symbols = row
    for days in range(first, last + 1):
        assert [scale.symbol(days) for scale in SCALES] == symbols, days


def test_table_covers_each_day_once() -> None:
    covered = [days for first, last, *_ in TABLE for days in range(first, last + 1)]
    assert covered == list(DAYS)


def test_one_is_another_lateness_to_pboc_and_to_metro_2() -> None:
    """A digit that is copied from one grid to the other is wrong on all but one day."""
    agree = [
        days
        for days in range(1, 401)
        if PBOC.symbol(days) == METRO2_PROFILE.symbol(days) and PBOC.symbol(days) != "6"
    ]
    assert agree == [30, 60, 90, 120, 150]
    assert PBOC.days("1") == (1, 30)
    assert METRO2_PROFILE.days("1") == (30, 59)


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_symbol_stands_for_just_the_days_that_are_written_with_it(scale: Scale) -> None:
    for symbol in scale.symbols:
        found = scale.days(symbol)
        assert [days for days in DAYS if found.holds(days)] == [
            days for days in DAYS if scale.symbol(days) == symbol
        ]
    assert scale.days(scale.symbols[-1]).last is None
    with pytest.raises(MalformedError, match="expected one of"):
        scale.days("X")


def test_scale_and_status_of_metro_2_have_the_same_steps() -> None:
    assert METRO2_PROFILE.firsts == METRO2_STATUS.firsts
    assert len({len(scale.symbols) - len(scale.firsts) for scale in SCALES}) == 1
    assert (CREFORGE.days("120+").first, TAIWAN.days("8").first) == (120, 240)


HISTORY = MonthlyHistory(
    opened=parse_period("2024-08"),
    days_past_due={
        **dict.fromkeys(range(parse_period("2024-08"), parse_period("2025-12")), 0),
        parse_period("2026-01"): 15,
        parse_period("2026-02"): 30,
        parse_period("2026-03"): 61,
        parse_period("2026-04"): 92,
    },
    marks={MAY: "D"},
)


def test_pboc_grid_shows_what_is_not_opened_not_known_and_past_due() -> None:
    assert pboc_grid(HISTORY, MAY) == "//" + "N" * 16 + "#" + "1134" + "D"
    assert pboc_grid(HISTORY, MAY, 60) == "/" * 38 + "N" * 16 + "#" + "1134" + "D"


def test_nothing_is_due_after_an_account_has_ended() -> None:
    ended = MonthlyHistory(HISTORY.opened, HISTORY.days_past_due, {parse_period("2026-02"): "C"})
    assert pboc_grid(ended, MAY) == "//" + "N" * 16 + "#" + "1C***"


def test_metro_2_profile_begins_with_the_month_before() -> None:
    history = MonthlyHistory(HISTORY.opened, HISTORY.days_past_due, {parse_period("2025-11"): "E"})
    assert metro2_profile(history, MAY) == "3210" + "D" + "E" + "0" * 15 + "BBB"


def test_grid_of_another_length_or_with_another_symbol_is_refused() -> None:
    with pytest.raises(MalformedError, match="got 23 months, expected 24 or 60"):
        read_pboc_grid("N" * 23, MAY)
    with pytest.raises(MalformedError, match="got '8', expected one of N, 1, 2"):
        read_pboc_grid("N" * 23 + "8", MAY)
    with pytest.raises(MalformedError, match="got 25 months, expected 24"):
        read_metro2_profile("0" * 25, MAY)
    with pytest.raises(MalformedError, match="got '7', expected one of 0, 1, 2"):
        read_metro2_profile("0" * 23 + "7", MAY)


HISTORIES = st.builds(
    MonthlyHistory,
    opened=st.integers(MAY - 70, MAY),
    days_past_due=st.dictionaries(st.integers(MAY - 70, MAY), st.integers(0, 400), max_size=70),
)


@given(HISTORIES, st.sampled_from([24, 60]), st.data())
def test_pboc_grid_reads_back_to_days_that_hold_the_true_ones(
    history: MonthlyHistory, months: int, data: st.DataObject
) -> None:
    marks = data.draw(st.dictionaries(st.integers(MAY - 70, MAY), st.sampled_from([*PBOC_MARKS])))
    marked = MonthlyHistory(history.opened, history.days_past_due, marks)
    text = pboc_grid(marked, MAY, months)
    read = read_pboc_grid(text, MAY)
    assert "".join(each.symbol for each in read) == text
    assert [each.month for each in read] == list(range(MAY - months + 1, MAY + 1))
    for month, symbol, days in read:
        if days is not None:
            assert days.holds(history.days_past_due[month])
        else:
            assert symbol in PBOC_MARKS


@given(HISTORIES)
def test_metro_2_profile_reads_back_to_days_that_hold_the_true_ones(
    history: MonthlyHistory,
) -> None:
    text = metro2_profile(history, MAY)
    read = read_metro2_profile(text, MAY)
    assert "".join(each.symbol for each in read) == text
    for month, symbol, days in read:
        if days is not None:
            assert days.holds(history.days_past_due[month])
        else:
            assert symbol in METRO2_MARKS
