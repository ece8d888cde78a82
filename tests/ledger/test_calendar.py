"""Days, months and years of instants, compared with the standard library's calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeline_ledger.calendar import (
    DAY_MS,
    MONTHS_PER_YEAR,
    Unit,
    bucket,
    date_of_day,
    day,
    last_date,
    month,
    month_of,
    month_start_ms,
    next_month_ms,
    parse_date,
    parse_period,
    period,
    year,
    year_of,
)

EPOCH = date(1970, 1, 1).toordinal()
DAYS = st.dates(date(1, 1, 2), date(9998, 12, 30))
OFFSETS = st.integers(-14 * 60, 14 * 60)


@given(DAYS, OFFSETS, st.integers(0, DAY_MS - 1))
def test_instant_falls_on_the_local_day_month_and_year(
    local: date, offset: int, time_of_day_ms: int
) -> None:
    time_ms = (local.toordinal() - EPOCH) * DAY_MS + time_of_day_ms - offset * 60_000
    assert day(time_ms, offset) == local.toordinal() - EPOCH
    assert month(time_ms, offset) == local.year * 12 + local.month - 1
    assert year(time_ms, offset) == local.year
    assert date_of_day(day(time_ms, offset)) == local.isoformat()


def test_every_day_of_four_centuries_has_its_month() -> None:
    for ordinal in range(date(1800, 1, 1).toordinal(), date(2200, 1, 1).toordinal()):
        expected = date.fromordinal(ordinal)
        time_ms = (ordinal - EPOCH) * DAY_MS
        assert month(time_ms, 0) == expected.year * 12 + expected.month - 1
        if expected.day == 1:
            assert month_start_ms(month(time_ms, 0), 0) == time_ms


@pytest.mark.parametrize(
    ("instant", "offset", "expected"),
    [
        ("2024-02-29T15:59:59.999", 480, "2024-02-29"),
        ("2024-02-29T16:00:00.000", 480, "2024-03-01"),
        ("2023-12-31T16:00:00.000", 480, "2024-01-01"),
        ("2024-01-01T04:59:59.999", -300, "2023-12-31"),
        ("2026-06-30T18:30:00.000", 330, "2026-07-01"),
    ],
)
def test_day_turns_at_local_midnight(instant: str, offset: int, expected: str) -> None:
    since = datetime.fromisoformat(instant).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    time_ms = since // timedelta(milliseconds=1)
    assert date_of_day(day(time_ms, offset)) == expected
    assert bucket(Unit.DAY, time_ms, offset) == date.fromisoformat(expected).toordinal() - EPOCH
    assert bucket(Unit.MONTH, time_ms, offset) == month_of(expected)
    assert bucket(Unit.YEAR, time_ms, offset) == year_of(expected)
    assert bucket(Unit.ONCE, time_ms, offset) == 0


@given(st.integers(0, 2**64 - 1), OFFSETS)
def test_any_instant_that_decodes_lies_in_its_month(time_ms: int, offset: int) -> None:
    number = month(time_ms, offset)
    assert month_start_ms(number, offset) <= time_ms < next_month_ms(time_ms, offset)
    assert next_month_ms(time_ms, offset) == month_start_ms(number + 1, offset)
    assert year(time_ms, offset) == number // MONTHS_PER_YEAR


def test_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="4 is not a valid Unit"):
        bucket(4, 0, 0)


@given(st.dates())
def test_date_reads_back(value: date) -> None:
    text = value.isoformat()
    assert parse_date(text) == value
    assert month_of(text) == value.year * 12 + value.month - 1
    assert year_of(text) == value.year
    assert parse_period(text[:7]) == month_of(text)
    assert period(month_of(text)) == text[:7]


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "0000-01-01"),
        *("20260203", "2026-W01-1", "2026-001", "2026-1-1", "2026-01-01 ", "2026-01-01\n", ""),
        *("２０２６-01-01", "+2026-01-01", "2026-01-01T00:00:00", "-001-01-01"),
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"YYYY-MM-DD|no day of the calendar"):
        parse_date(text)
    with pytest.raises(ValueError, match=r"YYYY-MM-DD|no day of the calendar"):
        month_of(text)


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "0000-01", "202601", "2026-1", "2026-01\n"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        parse_period(text)


@given(st.dates(max_value=date(9999, 11, 30)))
def test_last_date_is_the_day_before_the_next_month(value: date) -> None:
    last = date.fromisoformat(last_date(month_of(value.isoformat())))
    assert (last.year, last.month) == (value.year, value.month)
    assert (last + timedelta(days=1)).day == 1
