"""
Numbers written as text, as spreadsheets and core banking systems write them.

The result is a plain decimal string; from there on the mapping computes exactly. Whatever has lost
digits, such as scientific notation, is a fault.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tradeline_client.imports.cleansing_text import FORMULA
from tradeline_client.imports.cleansing_value import (
    Distinct,
    Normalised,
    ValueFinding,
    clean_words,
    matching,
)
from tradeline_client.imports.fault import Severity

_TEXT_FORMULA: Final = r'^="([^"]*)"$'
"""How a sheet keeps a number as text: no computation, only quotes."""
_ACCOUNTING: Final = r"^\(\s*(.*?)\s*\)$"
_TRAILING_MINUS: Final = r"^([^-].*?)\s*-$"
_SIGN: Final = r"^([+-]?)\s*(?:¥|￥|\$|€|£|CNY|RMB|USD|EUR|TWD|NT\$|人民币)?\s*([0-9.,]+)\s*元?$"
_THOUSANDS: Final = r"^-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?$"
_PLAIN: Final = r"^-?[0-9]+(?:\.[0-9]+)?$"
_SCIENTIFIC: Final = r"(?i)^[+-]?[0-9]+(?:\.[0-9]+)?e[+-]?[0-9]+$"

SCIENTIFIC: Final = ValueFinding(
    code="number-scientific",
    got="a number in scientific notation",
    expected="all digits of the number",
    fix="format the column as number or text in the sheet and export again: digits are lost",
    severity=Severity.REJECT,
)
NO_NUMBER: Final = ValueFinding(
    code="not-a-number",
    got="text that is no number",
    expected="a decimal number such as 1234.50",
    fix="look for a shifted column, a note or N/A in the cell; leave it empty if nothing is known",
    severity=Severity.REJECT,
)


def normalise_number(array: pa.Array) -> Normalised:
    """
    Return numbers as plain decimal strings: `-1234.50` for `(1,234.50)` and `1,234.50-`.

    A comma is a sign of thousands only where groups of three follow it; `1234,50` is a fault, since
    only the mapping can say that the comma is decimal. Faults: `formula-cell`, `number-scientific`,
    `not-a-number`.
    """
    distinct = Distinct(array)
    words = clean_words(distinct.words)
    words = pc.replace_substring_regex(words, r"^'", "")
    words = pc.replace_substring_regex(words, _TEXT_FORMULA, r"\1")
    words = pc.replace_substring_regex(words, r"[\x{2010}-\x{2015}\x{2212}]", "-")
    words = pc.replace_substring_regex(words, _ACCOUNTING, r"-\1")
    words = pc.replace_substring_regex(words, _TRAILING_MINUS, r"-\1")
    words = pc.replace_substring_regex(words, _SIGN, r"\1\2")
    words = pc.replace_substring_regex(words, r"^\+", "")
    grouped = pc.match_substring_regex(words, _THOUSANDS)
    words = pc.if_else(grouped, pc.replace_substring(words, ",", ""), words)
    return distinct.spread(words, _faults(words))


def _faults(words: pa.Array) -> list[tuple[int, ValueFinding]]:
    faults: dict[int, ValueFinding] = {}
    wrong = pc.invert(pc.match_substring_regex(words, f"{_PLAIN}|^$"))
    for index in pc.indices_nonzero(wrong).to_pylist():
        faults[index] = NO_NUMBER
    faults.update(matching(words, _SCIENTIFIC, SCIENTIFIC))
    faults.update(matching(words, r"^[=@#]|^[+-][A-Za-z(]", FORMULA))
    return sorted(faults.items())
