"""
Columns of numbers written in decimal, read exactly: text becomes decimals, never floats.

Plain columns (digits, `-` and `.`) are cast at once. Whatever that refuses is looked at more
closely, with the signs that the mapping names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_client.imports.mapping import Negative
from tradeline_client.imports.validation import Mask, given, mask_of, numbers, text_bytes

if TYPE_CHECKING:
    from tradeline_client.imports.mapping import NumberStyle

WHOLE_DIGITS_MAX: Final = 18
FRACTION_DIGITS_MAX: Final = 9
"""More, trailing zeros aside, are read in no number."""

_PLAIN_DIGITS: Final = 18
_PLAIN: Final = (ord("-"), ord("9"))
"""`-`, `.`, `/` and digits; the cast refuses `/`."""
_TOO_LARGE: Final = 2**63 - 1
"""Stands for every number that is larger; no field takes it."""
_NUMBER: Final = (
    rf"^-?([0-9]{{1,{WHOLE_DIGITS_MAX}}}(\.[0-9]{{0,{FRACTION_DIGITS_MAX}}})?"
    rf"|\.[0-9]{{1,{FRACTION_DIGITS_MAX}}})$"
)
_FACTOR: Final = pa.decimal128(10, 0)
_BEFORE_FACTOR: Final = pa.decimal128(WHOLE_DIGITS_MAX + FRACTION_DIGITS_MAX, FRACTION_DIGITS_MAX)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What became of a column."""

    values: pa.Int64Array
    """Null where the text was null, or is no number."""
    unreadable: Mask
    """Where the text is no number."""
    imprecise: Mask
    """Where the number has more digits behind the point than there are."""


def read_numbers(texts: pa.StringArray, style: NumberStyle, digits: int = 0) -> Numbers:
    """
    Return the numbers times `10 ** digits` and times what the style multiplies with.

    Args:
        texts: trimmed; null where there is nothing to read.
        style: how they are written.
        digits: places behind the point that are kept, 0 to 12.
    """
    none = np.zeros(len(texts), np.bool_)
    content = text_bytes(texts)
    plain = content.min(initial=_PLAIN[0]) >= _PLAIN[0] and content.max(initial=0) <= _PLAIN[1]
    if plain and not style.thousands and style.decimal == "." and style.negative is Negative.MINUS:
        try:
            scaled = texts.cast(pa.decimal64(_PLAIN_DIGITS, digits))
        except pa.ArrowInvalid:
            pass  # some row is no number, or a larger or finer one
        else:
            values = numbers(_integers(scaled))
            if abs(values).max(initial=0) <= _TOO_LARGE // style.multiply:
                return Numbers(_nulled(values * style.multiply, given(texts)), none, none)
    return _closely(texts, style, digits)


def _closely(texts: pa.StringArray, style: NumberStyle, digits: int) -> Numbers:
    assert style.multiply == 1 or digits == 0, "money is not multiplied"
    written = _plainly_written(texts, style)
    readable = mask_of(pc.match_substring_regex(written, _NUMBER))
    if style.multiply == 1:
        finer = rf"\.[0-9]{{{digits}}}[0-9]*[1-9]"
        imprecise = mask_of(pc.match_substring_regex(written, finer)) & readable
        exact = _only(written, readable & ~imprecise).cast(pa.decimal128(38, digits))
    else:
        factor = pa.scalar(Decimal(style.multiply), _FACTOR)
        product = pc.multiply(_only(written, readable).cast(_BEFORE_FACTOR), factor)
        imprecise = mask_of(pc.not_equal(pc.floor(product), product))
        exact = _only(product, ~imprecise).cast(pa.decimal128(38, 0))
    values = _nulled(_in_64_bits(exact), readable & ~imprecise)
    return Numbers(values, given(texts) & ~readable, imprecise)


def _only(column: pa.Array, kept: Mask) -> pa.Array:
    return pc.if_else(pa.array(kept), column, pa.scalar(None, column.type))


def _nulled(values: NDArray[np.int64], kept: Mask) -> pa.Int64Array:
    return pa.array(values, pa.int64(), mask=None if kept.all() else ~kept)


def _integers(decimals: pa.Array) -> pa.Int64Array:
    """Return decimals of 64 bits as the integers that they are stored as."""
    validity, content = decimals.buffers()
    buffers = [validity, content]
    return pa.Array.from_buffers(pa.int64(), len(decimals), buffers, offset=decimals.offset)


def _in_64_bits(decimals: pa.Array) -> NDArray[np.int64]:
    """Return decimals of 128 bits as the integers that they are stored as."""
    content = np.frombuffer(decimals.buffers()[1], np.int64).reshape(-1, 2)
    low, high = content[decimals.offset : decimals.offset + len(decimals)].T
    values = np.where(high == low >> 63, low, _TOO_LARGE)
    return np.where(given(decimals), values, 0)


def _plainly_written(texts: pa.StringArray, style: NumberStyle) -> pa.StringArray:
    """Return numbers as `-1234.5`, whatever signs a column uses; what is none stays none."""
    written = texts
    if style.negative is Negative.PARENTHESES:
        written = pc.replace_substring_regex(written, r"^\((.*)\)$", r"-\1")
    elif style.negative is Negative.TRAILING:
        written = pc.replace_substring_regex(written, r"^([^-]*)-$", r"-\1")
    # Spreadsheets write an apostrophe before numbers that are kept as text.
    written = pc.replace_substring_regex(written, r"^['+]", "")
    if style.thousands:
        sign, point = re.escape(style.thousands), re.escape(style.decimal)
        grouped = mask_of(
            pc.match_substring_regex(written, rf"^-?\d{{1,3}}({sign}\d{{3}})+({point}\d*)?$")
        )
        plain = pc.replace_substring(written, style.thousands, "")
        written = pc.if_else(pa.array(grouped), plain, written)
    if style.decimal != ".":
        # A point would otherwise pass for the decimal sign that it is not.
        written = pc.replace_substring(written, ".", "?")
        written = pc.replace_substring(written, style.decimal, ".")
    return written
