"""A column of identifiers is checked as each of them is."""

from __future__ import annotations

import random
from typing import Final

import pyarrow as pa
import pytest

from tradeline_client.imports.subjects import check_subjects
from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.identifier import IdType, SubjectId, lei, parse_identifier, resident_id, uscc

YEAR: Final = 2026


def _one_by_one(id_type: IdType, texts: list[str]) -> list[SubjectId | str]:
    found: list[SubjectId | str] = []
    for text in texts:
        try:
            found.append(parse_identifier(id_type, text, YEAR))
        except IdentifierError as error:
            found.append(str(error))
    return found


def _by_column(id_type: IdType, texts: list[str]) -> list[SubjectId | str]:
    found, wrong = check_subjects(id_type, pa.array(texts), YEAR)
    assert [place for place, each in enumerate(found) if each is None] == list(wrong)
    return [each or wrong[place] for place, each in enumerate(found)]


def _resident_ids() -> list[str]:
    """Return resident IDs, of which about half are wrong in one way or another."""
    random_ = random.Random("resident")
    counties = ("110101", "310104", "653021", "999999", "110199", "710000", "000000")
    texts = []
    for place in range(3_000):
        day = (
            f"{random_.randint(1845, 2028)}-{random_.randint(0, 13):02}-{random_.randint(0, 32):02}"
        )
        text = resident_id(random_.choice(counties[: 3 if place % 2 else 7]), day, place % 1000)
        if place % 5 == 0:
            at = random_.randrange(18)
            text = text[:at] + random_.choice("0123456789Xx ａ") + text[at + 1 :]
        texts.append(text)
    return list(dict.fromkeys(texts))


def test_resident_ids_pass_and_fail_as_single_ones_do() -> None:
    texts = _resident_ids()
    expected = _one_by_one(IdType.RESIDENT_ID, texts)
    assert 500 < sum(isinstance(each, SubjectId) for each in expected) < len(texts) - 500
    assert _by_column(IdType.RESIDENT_ID, texts) == expected


def test_leap_days_and_the_present_year_are_bounds() -> None:
    days = ["1900-02-29", "1896-02-29", "2000-02-29", "2026-11-29", "2027-01-01", "1850-01-01"]
    texts = [resident_id("110101", day, 1) for day in days]
    found = _by_column(IdType.RESIDENT_ID, texts)
    passed = [isinstance(each, SubjectId) for each in found]
    assert passed == [False, True, True, True, False, True]


@pytest.mark.parametrize(
    ("id_type", "right", "wrong"),
    [
        (IdType.USCC, uscc("91", "110000", "123456789"), "911100001234567890"),
        (IdType.LEI, lei("5493001KJTIIGC8Y1R"), "5493001KJTIIGC8Y1R99"),
    ],
)
def test_firms_are_checked_too(id_type: IdType, right: str, wrong: str) -> None:
    found = _by_column(id_type, [right, wrong])
    assert isinstance(found[0], SubjectId)
    assert isinstance(found[1], str)


def test_what_is_only_written_differently_is_the_same_subject() -> None:
    plain = resident_id("110101", "1890-03-07", 42)
    spaced = f"{plain[:6]} {plain[6:14]}-{plain[14:]}"
    found = _by_column(IdType.RESIDENT_ID, [plain, spaced])
    assert found[0] == found[1]


def test_no_message_repeats_an_identifier() -> None:
    texts = [text for text in _resident_ids() if len(text) == 18]
    for text, each in zip(texts, _by_column(IdType.RESIDENT_ID, texts), strict=True):
        if isinstance(each, str):
            assert text not in each
            assert text[:6] not in each
