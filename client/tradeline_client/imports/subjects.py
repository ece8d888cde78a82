"""
Identifiers of subjects, checked a column at a time.

Each distinct identifier of a chunk is checked once. `parse_identifier` takes some 15 µs for a
resident ID, so those that are written in normal form are checked by arithmetic on columns: length,
digits, check digit, day of birth; the county by the same function that checks one. Whatever does
not pass goes to `parse_identifier`, which repairs what is only written differently, or says what is
wrong.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_client.imports.validation import mask_of, text_bytes
from tradeline_ledger.errors import IdentifierError
from tradeline_ledger.identifier import (
    BIRTH_YEAR_MIN,
    COUNTRIES,
    IdType,
    SubjectId,
    county_known,
    parse_identifier,
)

_CHARS: Final = 18
_WEIGHTS: Final = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_CHECKS: Final = np.frombuffer(b"10X98765432", np.uint8)
_MONTH_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_FEBRUARY: Final = 2


def check_subjects(
    id_type: IdType, texts: pa.StringArray, current_year: int
) -> tuple[list[SubjectId | None], dict[int, str]]:
    """
    Return the subject that each text names, None for a wrong one, and what is wrong by place.

    Args:
        id_type: what kind of identifier they are said to be.
        texts: distinct, without nulls.
        current_year: last year in which a person can be born.
    """
    plain = np.zeros(len(texts), np.bool_)
    if id_type is IdType.RESIDENT_ID:
        plain = _plain_resident_ids(texts, current_year)
    country = COUNTRIES[id_type]
    written = texts.to_pylist()
    found: list[SubjectId | None] = [SubjectId(id_type, country, text) for text in written]
    wrong: dict[int, str] = {}
    for place in np.flatnonzero(~plain).tolist():
        try:
            found[place] = parse_identifier(id_type, written[place], current_year)
        except IdentifierError as error:
            found[place] = None
            wrong[place] = str(error)
    return found, wrong


def _plain_resident_ids(texts: pa.StringArray, current_year: int) -> NDArray[np.bool_]:
    """Return which texts are valid resident IDs in normal form."""
    passed = mask_of(pc.equal(pc.binary_length(texts), _CHARS))
    if not passed.any():
        return passed
    chosen = np.flatnonzero(passed)
    signs = text_bytes(texts.filter(pa.array(passed))).reshape(-1, _CHARS)
    digits = signs[:, :-1].astype(np.int64) - ord("0")
    good = ((digits >= 0) & (digits <= 9)).all(axis=1)  # noqa: PLR2004 - a decimal digit
    good &= _CHECKS[(digits * _WEIGHTS).sum(axis=1) % len(_CHECKS)] == signs[:, -1]
    year = _number(digits[:, 6:10])
    month = _number(digits[:, 10:12])
    day = _number(digits[:, 12:14])
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _MONTH_DAYS[np.where((month >= 1) & (month <= 12), month, 0)]  # noqa: PLR2004
    days += leap & (month == _FEBRUARY)
    good &= (year >= BIRTH_YEAR_MIN) & (year <= current_year) & (day >= 1) & (day <= days)
    # There are some thousand counties, and some fifty years in which people were born.
    chosen, places = chosen[good], _number(digits[good, :10])
    distinct, back = np.unique(places, return_inverse=True)
    known = [
        county_known(f"{each:010}"[:6], each % 10_000, current_year) for each in distinct.tolist()
    ]
    passed[:] = False
    passed[chosen] = np.array(known, np.bool_)[back]
    return passed


def _number(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number that each row of digits writes."""
    powers = 10 ** np.arange(digits.shape[1] - 1, -1, -1)
    number: NDArray[np.int64] = digits @ powers
    return number
