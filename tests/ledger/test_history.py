"""Folds of histories, against the formula written out, and what they must tell apart."""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import Final

import pytest

from tradeline_ledger.encoding import encode
from tradeline_ledger.errors import MalformedError
from tradeline_ledger.history import EventId, HistoryRow, fold_head, fold_marks
from tradeline_ledger.release import COMMON, HistoryCommon

HEADERS: Final = [bytes([number]) * 56 for number in range(4)]
EVENTS: Final = [
    (EventId(5, 0), HEADERS[0]),
    (EventId(5, 9), HEADERS[1]),
    (EventId(8, 0), HEADERS[2]),
]


def test_an_empty_history_folds_to_zeros() -> None:
    assert fold_head([]) == bytes(32)
    assert fold_marks([]) == bytes(32)


def test_head_is_the_formula_of_the_document() -> None:
    head = bytes(32)
    for (event, header), (index, position) in zip(EVENTS, [(5, 0), (5, 9), (8, 0)], strict=True):
        leaf = hashlib.sha256(b"\x00" + header).digest()
        place = index.to_bytes(8, "big") + position.to_bytes(4, "big")
        head = hashlib.sha256(b"tradeline/v1 head\n" + head + place + leaf).digest()
        assert event.encoded() == place
    assert fold_head(EVENTS) == head


def test_marks_are_the_formula_of_the_document() -> None:
    place = (5).to_bytes(8, "big") + (9).to_bytes(4, "big") + (77).to_bytes(8, "big")
    expected = hashlib.sha256(b"tradeline/v1 mark\n" + bytes(32) + place).digest()
    assert fold_marks([(EventId(5, 9), 77)]) == expected


def test_a_fold_goes_on_where_another_ended() -> None:
    for split in range(4):
        assert fold_head(EVENTS[split:], fold_head(EVENTS[:split])) == fold_head(EVENTS)
    marks = [(EventId(5, 0), 20), (EventId(5, 9), 21)]
    assert fold_marks(marks[1:], fold_marks(marks[:1])) == fold_marks(marks)


def test_every_omission_insertion_order_and_change_is_another_head() -> None:
    others = {fold_head(list(order)) for order in permutations(EVENTS)}
    others |= {fold_head(EVENTS[:drop] + EVENTS[drop + 1 :]) for drop in range(3)}
    others |= {fold_head([*EVENTS, (EventId(9, 0), HEADERS[3])])}
    others |= {fold_head([*EVENTS, EVENTS[2]])}
    for changed in (
        (EventId(5, 1), HEADERS[0]),
        (EventId(6, 0), HEADERS[0]),
        (EventId(5, 0), HEADERS[3]),
    ):
        others.add(fold_head([changed, *EVENTS[1:]]))
    assert len(others) == 6 + 3 + 1 + 1 + 3
    assert fold_head(EVENTS) in others


def test_a_head_is_no_mark() -> None:
    assert fold_head([(EventId(1, 1), HEADERS[0])]) != fold_marks([(EventId(1, 1), 0)])


def test_event_ids_ascend_by_index_then_position() -> None:
    ids = [EventId(1, 9), EventId(2, 0), EventId(2, 1), EventId(10, 0)]
    assert sorted([ids[2], ids[0], ids[3], ids[1]]) == ids
    assert [str(each) for each in ids] == ["1/9", "2/0", "2/1", "10/0"]


def row(member: int, tag: int) -> HistoryRow:
    return HistoryRow(member, bytes([tag]) * 16, 1, bytes(32), 0, bytes(32))


@pytest.mark.parametrize(
    "rows", [(row(2, 1), row(1, 1)), (row(1, 2), row(1, 1)), (row(1, 1), row(1, 1))]
)
def test_rows_out_of_order_are_no_history_statement(rows: tuple[HistoryRow, ...]) -> None:
    good = HistoryCommon(bytes(32), 1, 3, bytes(32), bytes(32), (row(1, 1), row(1, 2), row(2, 0)))
    assert COMMON.decode(encode(good)) == good
    fields = (bytes(32), 1, 3, bytes(32), bytes(32), rows)
    with pytest.raises(MalformedError, match="ascend without duplicates"):
        COMMON.decode(encode(fields))
