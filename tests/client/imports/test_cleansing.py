"""What can't be right is held back with its reason; the rest passes, and nothing is changed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.imports.statements import (
    KEY,
    Row,
    chunk,
    cleanser,
    held,
    opened,
    statement,
    warned,
)

from tradeline_client.errors import ReviewError, StoreError
from tradeline_client.imports.cleansing import Cleanser
from tradeline_client.imports.cleansing_digest import Digests, folded
from tradeline_client.imports.cleansing_shelf import SHELVES_NAME, Shelf, Shelves
from tradeline_client.imports.cleansing_source import AcceptedSource, CleansedSource
from tradeline_client.imports.cleansing_spread import COUNT_MIN, STEPS, size_bins
from tradeline_client.imports.columns import MappedChunk
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.review import REVIEW_NAME, Review
from tradeline_ledger.schemas import PAYMENT_MADE

MONTHS = [f"2025-{month:02}" for month in range(1, 13)]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cleanser]:
    opened_ = cleanser(tmp_path)
    yield opened_
    opened_.close()


def history(own: Cleanser, *balances: int, **said: Any) -> None:
    """Let `own` know statements from 2025-01 on."""
    for period, balance in zip(MONTHS, balances, strict=False):
        checked = own.check(chunk(statement(period, balance, **said)))
        assert not checked.quarantined.faults


def payment(ref: str, amount: int, account: str = "A 1", day: str = "2025-05-05") -> Row:
    fields = {"currency": "CNY", "amount_minor": amount, "kind": 1}
    return Row(fields, ref, account, day, schema=PAYMENT_MADE)


# --- digests and shelves ------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=20))
def test_equal_strings_have_equal_digests_and_others_do_not(texts: list[str | None]) -> None:
    digests = Digests(KEY).strings(pa.array(texts, pa.string())).tolist()
    for (first, one), (second, other) in itertools.combinations(
        zip(texts, digests, strict=True), 2
    ):
        assert (one == other) == (first == second)


def test_digests_do_not_depend_on_where_a_string_stands() -> None:
    array = pa.array(["skipped", "a\0b", "a", "", "a\0", None, "ä" * 30])
    digests = Digests(KEY).strings(array)
    for start in range(len(array)):
        np.testing.assert_array_equal(Digests(KEY).strings(array.slice(start)), digests[start:])
    assert len(set(digests.tolist())) == len(array)
    assert digests[1] != Digests(bytes(32)).strings(array)[1]


def test_spellings_fold_to_one() -> None:
    assert folded(pa.array(["a b-1", "A B-1", "ab-1", "a1-1"])).to_pylist() == [
        *("AB-1", "AB-1", "AB-1", "A1-1"),
    ]
    assert folded(pa.array(["Ａ\u3000b", "ab"])).to_pylist() == ["AB", "AB"]


def test_a_shelf_gives_back_what_was_put_last_before_and_after_it_is_written(
    tmp_path: Path,
) -> None:
    shelves = Shelves(tmp_path / "x", KEY)
    dtype = np.dtype([("key", "<u8"), ("value", "<u4")])
    shelf, model = Shelf(shelves, "test", dtype), dict[tuple[int, int], int]()
    random_ = random.Random(5)
    pool = [random_.getrandbits(64) for _ in range(300)]
    for step in range(60):
        part = random_.randrange(3)
        records = np.zeros(random_.randrange(40), dtype)
        for record in records:
            record["key"], record["value"] = random_.choice(pool), random_.getrandbits(32)
            model[part, int(record["key"])] = int(record["value"])
        shelf.put(part, records)
        if step % 13 == 7:
            shelves.write(shelf.blobs())
            shelf.written()
        if step % 20 == 19:
            shelves.write(shelf.blobs())
            shelf = Shelf(shelves, "test", dtype)
    for part in range(3):
        keys = np.array(pool, np.uint64)
        records, there = shelf.find(part, keys)
        found = {
            key: int(record["value"])
            for key, record, known in zip(pool, records, there, strict=True)
            if known
        }
        assert found == {key: value for (own, key), value in model.items() if own == part}
    shelves.close()


def test_the_file_shows_nothing_and_opens_with_its_keystore_only(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    own.check(chunk(statement("2025-01", 123_456_789, account="ACCOUNT-XYZ")))
    own.commit()
    own.close()
    content = (tmp_path / SHELVES_NAME).read_bytes()
    assert b"ACCOUNT-XYZ" not in content
    assert (123_456_789).to_bytes(8, "little") not in content
    other = Shelves(tmp_path / SHELVES_NAME, bytes(32))
    with pytest.raises(StoreError, match="does not open"):
        Cleanser(other, KEY, "job")
    other.close()


# --- near duplicates ----------------------------------------------------------------------------


def test_the_same_statement_under_another_reference_is_held_back(own: Cleanser) -> None:
    first = statement("2025-01", 500)
    checked = own.check(chunk(first, replace(first, ref="row 9")))
    assert held(checked) == [(1, "duplicate-other-ref")]
    (fault,) = checked.quarantined.faults
    assert (fault.line, fault.field) == (3, "ref")
    assert [len(each) for each in checked.chunk.events] == [1]
    assert [each.ref.to_pylist() for each in checked.quarantined.events] == [["row 9"]]


@pytest.mark.parametrize("committed", [False, True])
def test_what_was_sent_before_is_known_after_a_restart(tmp_path: Path, committed: bool) -> None:
    own = cleanser(tmp_path)
    own.check(chunk(statement("2025-01", 500)))
    if committed:
        own.commit()
    own.close()
    own = cleanser(tmp_path)
    checked = own.check(chunk(statement("2025-01", 700, ref="another")))
    assert held(checked) == ([(0, "conflict-other-ref")] if committed else [])
    own.close()


def test_a_reference_in_another_spelling_is_no_new_event(own: Cleanser) -> None:
    first = statement("2025-01", 500, ref="ab 1")
    checked = own.check(chunk(first, replace(first, ref="AB1")))
    assert held(checked) == [(1, "ref-spelling")]


def test_an_account_in_another_spelling_is_no_new_account(own: Cleanser) -> None:
    own.check(chunk(statement("2025-01", 500, account="a1")))
    checked = own.check(chunk(statement("2025-02", 500, account="A 1")))
    assert held(checked) == [(0, "account-spelling")]
    # What was held back is not learnt: the first spelling is still the right one.
    assert not held(own.check(chunk(statement("2025-02", 500, account="a1"))))


def test_two_rows_with_one_reference_that_differ_are_for_a_person(own: Cleanser) -> None:
    checked = own.check(chunk(statement("2025-01", 500), statement("2025-01", 1001)))
    assert held(checked) == [(1, "conflict-same-ref")]


def test_a_repeated_row_and_a_numbered_report_are_left_to_the_import(own: Cleanser) -> None:
    same = statement("2025-01", 500)
    assert not held(own.check(chunk(same, same)))
    numbered = chunk(statement("2025-02", 5), statement("2025-02", 6), versions=[1, 2])
    assert not held(own.check(numbered))


@pytest.mark.parametrize(("job", "codes"), [("job", ["conflict-same-ref"]), ("april", [])])
def test_a_correction_in_a_later_file_is_left_to_the_import(
    tmp_path: Path, job: str, codes: list[str]
) -> None:
    own = cleanser(tmp_path)
    own.check(chunk(statement("2025-01", 500)))
    own.commit()
    own.close()
    own = cleanser(tmp_path, job)
    assert [code for _, code in held(own.check(chunk(statement("2025-01", 501))))] == codes
    own.close()


def test_parties_of_one_account_each_have_their_statement(own: Cleanser) -> None:
    both = [statement("2025-01", 500, who=who, ref=f"s {who}") for who in (1, 2)]
    assert not held(own.check(chunk(*both)))


def test_the_same_payment_under_another_reference_is_held_back(own: Cleanser) -> None:
    rows = (payment("p1", 100), payment("p2", 100), payment("p3", 101))
    assert held(own.check(chunk(*rows))) == [(1, "duplicate-other-ref")]


def test_equal_amounts_on_two_accounts_of_a_subject_are_told_and_pass(own: Cleanser) -> None:
    checked = own.check(chunk(payment("p1", 4711), payment("p2", 4711, account="B")))
    assert not held(checked)
    assert warned(checked) == [(1, "twin-on-other-account")]
    none = own.check(chunk(statement("2025-02", 0), statement("2025-02", 0, account="C")))
    assert not warned(none)


def test_an_account_is_opened_once(own: Cleanser) -> None:
    checked = own.check(chunk(opened(10_000), replace(opened(10_000), ref="again")))
    assert held(checked) == [(1, "duplicate-other-ref")]


# --- an account's own history -------------------------------------------------------------------


@pytest.mark.parametrize("power", [2, 3])
def test_a_balance_a_hundred_times_too_large_is_held_back(own: Cleanser, power: int) -> None:
    history(own, 9_000, 10_000, 11_000)
    checked = own.check(chunk(statement("2025-04", 10_500 * 10**power)))
    assert held(checked) == [(0, "scale-error")]
    assert f" {10**power} times" in checked.quarantined.faults[0].got
    assert not held(own.check(chunk(statement("2025-04", 10_500)))), "it was not learnt"


def test_tenfold_is_an_error_only_beside_steady_neighbours(own: Cleanser) -> None:
    history(own, 9_000, 10_000, 11_000)
    assert held(own.check(chunk(statement("2025-04", 100_000)))) == [(0, "scale-error")]
    history(own, 1_000, 10_000, 11_000, account="B")
    assert not held(own.check(chunk(statement("2025-04", 100_000, account="B"))))


def test_within_the_limit_nothing_is_too_large(own: Cleanser) -> None:
    own.check(chunk(opened(2_000_000)))
    history(own, 9_000, 10_000, 11_000)
    assert not held(own.check(chunk(statement("2025-04", 1_000_000))))
    history(own, 9_000, 10_000, 11_000, account="B")
    own.check(chunk(opened(50_000, account="B")))
    assert held(own.check(chunk(statement("2025-04", 350_000, account="B")))) == [
        (0, "amount-jump"),
    ]


def test_a_fall_is_an_error_unless_a_payment_explains_it(own: Cleanser) -> None:
    history(own, 90_000, 100_000, 110_000)
    assert held(own.check(chunk(statement("2025-04", 1_000, paid_minor=0)))) == [(0, "scale-error")]
    assert not held(own.check(chunk(statement("2025-04", 1_000, paid_minor=109_000))))
    history(own, 90_000, 100_000, 110_000, account="B")
    assert not held(own.check(chunk(statement("2025-04", 1_000, account="B"))))


def test_later_statements_of_the_same_file_are_neighbours_too(own: Cleanser) -> None:
    rows = [statement(period, 10_000) for period in MONTHS[:4]]
    rows[0] = statement(MONTHS[0], 1_000_000)
    assert held(own.check(chunk(*rows))) == [(0, "scale-error")]


def test_a_lost_sign_is_held_back_and_a_small_credit_is_not(own: Cleanser) -> None:
    history(own, 9_000, 10_000)
    assert held(own.check(chunk(statement("2025-03", -9_500)))) == [(0, "sign-error")]
    assert not held(own.check(chunk(statement("2025-03", -150))))


def test_a_limit_a_power_of_ten_away_from_the_known_one_is_held_back(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    own.check(chunk(opened(50_000)))
    own.commit()
    own.close()
    own = cleanser(tmp_path, "april")
    assert held(own.check(chunk(opened(5_000_000)))) == [(0, "scale-error")]
    assert not held(own.check(chunk(opened(60_000))))
    own.close()


def test_days_past_due_rise_by_the_days_that_passed(own: Cleanser) -> None:
    def days(period: str, number: int) -> list[tuple[int, str]]:
        past_due = 100 if number else 0
        row = statement(period, 500, days_past_due=number, past_due_minor=past_due)
        return warned(own.check(chunk(row)))

    assert days("2025-01", 0) == []
    assert days("2025-02", 31) == []
    assert days("2025-03", 91) == [], "a source of buckets says 31 for 31 to 60"
    assert days("2025-04", 0) == []
    assert days("2025-05", 60) == [(0, "days-past-due-jump")]
    assert days("2025-07", 120) == [(0, "month-missing")]


def test_paying_all_and_falling_behind_contradict(own: Cleanser) -> None:
    own.check(chunk(statement("2025-01", 500, days_past_due=1, past_due_minor=9)))
    rows = [
        statement("2025-02", 500, days_past_due=30, minimum_due_minor=50, paid_minor=paid)
        for paid in (50, 49)
    ]
    assert warned(own.check(chunk(rows[0]))) == [(0, "paid-while-rolling")]


def test_a_late_month_fills_its_hole_and_does_not_replace_what_is_newer(own: Cleanser) -> None:
    own.check(chunk(statement("2025-01", 500)))
    assert warned(own.check(chunk(statement("2025-03", 500)))) == [(0, "month-missing")]
    assert not warned(own.check(chunk(statement("2025-02", 500))))
    assert not warned(own.check(chunk(statement("2025-04", 500))))


# --- all accounts together ----------------------------------------------------------------------


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_bin_is_the_highest_bits_of_an_amount(amount: int) -> None:
    (bin_,) = size_bins(np.array([amount], np.int64)).tolist()
    size = abs(amount)
    if not size:
        assert bin_ == -1
    else:
        octave = size.bit_length() - 1
        assert bin_ == octave * STEPS + (size * STEPS >> octave) - STEPS


def many(period: str, count: int = COUNT_MIN, times: int = 1) -> list[Row]:
    random_ = random.Random(period)
    return [
        statement(period, random_.randrange(5_000, 50_000) * times, account=f"N{period}{place}")
        for place in range(count)
    ]


def test_an_amount_far_above_all_others_is_held_back_without_a_history(own: Cleanser) -> None:
    rows = [*many("2025-01"), statement("2025-01", 5_000_000, account="new")]
    assert held(own.check(chunk(*rows))) == [(COUNT_MIN, "amount-outlier")]


def test_a_history_explains_what_is_far_above_all_others(own: Cleanser) -> None:
    history(own, 5_000_000, 5_000_000, account="rich")
    rows = [*many("2025-03"), statement("2025-03", 5_100_000, account="rich")]
    assert not held(own.check(chunk(*rows)))


def test_few_amounts_make_no_outlier(own: Cleanser) -> None:
    rows = [*many("2025-01", COUNT_MIN - 2), statement("2025-01", 5_000_000, account="new")]
    assert not held(own.check(chunk(*rows)))


def test_a_file_in_another_unit_is_told_at_its_first_chunk(own: Cleanser, tmp_path: Path) -> None:
    assert not own.check(chunk(*many("2025-01"))).shifts
    own.commit()
    own.close()
    own = cleanser(tmp_path)
    (shift,) = own.check(chunk(*many("2025-02", times=100))).shifts
    assert (shift.field, shift.octaves, shift.count) == (
        *("statement_balance_minor", 7, COUNT_MIN),
    )
    own.close()


def test_rows_go_aside_with_all_of_their_events(own: Cleanser) -> None:
    history(own, 9_000, 10_000, 11_000)
    mixed = chunk(statement("2025-04", 1_000_000))
    other = chunk(payment("p", 100))
    both = replace(mixed, events=(*mixed.events, *other.events))
    checked = own.check(both)
    assert [len(each) for each in checked.chunk.events] == [0, 0]
    assert [len(each) for each in checked.quarantined.events] == [1, 1]
    assert checked.quarantined.row_count == both.row_count


def test_rows_that_the_mapping_holds_back_go_aside_too(own: Cleanser) -> None:
    said = RowFault(1, 3, "status", "", "columns-disagree", "", "", "", Severity.QUARANTINE)
    made = replace(chunk(statement("2025-01", 5), statement("2025-02", 5)), faults=(said,))
    checked = own.check(made)
    assert held(checked) == [(1, "columns-disagree")]
    assert checked.chunk.faults == (said,), "the job counts it"
    assert [len(each) for each in checked.chunk.events] == [1]


def test_nothing_that_passes_is_changed(own: Cleanser) -> None:
    given_ = chunk(*many("2025-01"))
    checked = own.check(given_)
    assert checked.chunk.events == given_.events
    assert not checked.quarantined.events


def test_accepted_rows_are_learnt_without_a_check(own: Cleanser) -> None:
    history(own, 9_000, 10_000, 11_000)
    wrong = chunk(statement("2025-04", 1_000_000))
    assert held(own.check(wrong))
    own.learn(wrong)
    assert held(own.check(chunk(statement("2025-04", 5, ref="x")))) == [(0, "conflict-other-ref")]


def test_no_finding_shows_a_value(own: Cleanser) -> None:
    history(own, 9_871, 9_872, 9_873)
    rows = chunk(statement("2025-04", 987_654), statement("2025-04", 9_874, ref="other"))
    checked = own.check(rows)
    said = repr(checked.quarantined.faults)
    assert held(checked)
    assert not [secret for secret in ("987654", "9874", "A 1", "statement A") if secret in said]


# --- on the way into a job ----------------------------------------------------------------------


class Source:
    """Chunks that were made before."""

    def __init__(self, *made: MappedChunk) -> None:
        self._made = made

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        for each in self._made:
            if each.first_row + each.row_count > first_row:
                yield each


def test_rows_wait_before_their_chunk_goes_on_and_come_back_when_accepted(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    review = Review(tmp_path / REVIEW_NAME, KEY, lambda: 1)
    right = [statement(period, 10_000) for period in MONTHS[:3]]
    source = Source(chunk(*right), chunk(statement(MONTHS[3], 1_000_000), first_row=3))
    cleansed = CleansedSource(source, own, review, "job")
    for _ in range(2):
        # As after a kill: the same chunks again, and nothing waits twice.
        counts = [len(each.events[0]) for each in cleansed.chunks()]
        assert counts == [3, 0]
        assert [(each.row, each.code) for each in review.items()] == [(3, "scale-error")]
    review.decide([1], accept=True, reason="drawn in full", operator="Li")
    (back,) = AcceptedSource(review, "job").chunks()
    assert back.events[0].rows.tolist() == [3]
    assert not list(AcceptedSource(review, "job").chunks(first_row=4))
    own.close()
    review.close()


def test_a_killed_job_remembers_what_it_had_not_written(tmp_path: Path) -> None:
    review = Review(tmp_path / REVIEW_NAME, KEY, lambda: 1)
    rows = [chunk(statement(period, 10_000), first_row=at) for at, period in enumerate(MONTHS[:4])]
    own = cleanser(tmp_path)
    killed = CleansedSource(Source(*rows), own, review, "job").chunks()
    assert [next(killed).first_row for _ in range(2)] == [0, 1]
    del killed
    own.close()
    own = cleanser(tmp_path)
    resumed = CleansedSource(Source(*rows), own, review, "job").chunks(first_row=2)
    assert [each.first_row for each in resumed] == [2, 3]
    assert own.committed == 4
    own.close()
    own = cleanser(tmp_path, "april")
    assert own.committed == 0
    again = [statement(period, 10_000, ref=f"other {period}") for period in MONTHS[:4]]
    assert [code for _, code in held(own.check(chunk(*again)))] == ["duplicate-other-ref"] * 4
    own.close()
    review.close()


def test_a_file_in_another_unit_stops_unless_it_is_confirmed(tmp_path: Path) -> None:
    own = cleanser(tmp_path)
    review = Review(tmp_path / REVIEW_NAME, KEY, lambda: 1)
    own.check(chunk(*many("2025-01")))
    own.commit()
    source = Source(chunk(*many("2025-02", times=100)))
    with pytest.raises(ReviewError, match="about 128 times larger than in the months before"):
        list(CleansedSource(source, own, review, "job").chunks())
    own.close()
    own = cleanser(tmp_path)
    assert len(list(CleansedSource(source, own, review, "job", shifted=True).chunks())) == 1
    own.close()
    review.close()
