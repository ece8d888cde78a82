"""
Whether columns of wire values follow a schema: the checks of `SchemaSet.check`, a column at a time.

Bounds are read off the same `Kind.wire` that the decoder of one event uses, and rules are the same
objects, so the two can't drift apart; a test compares them on random rows all the same. Texts are
checked once for each distinct one. A rule of a kind that is not listed here is asked row by row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_ledger.encoding import check_text, encode
from tradeline_ledger.rule import (
    Adds,
    AtLeast,
    GivenTogether,
    GradeFollows,
    Needs,
    NotAfter,
    Reached,
    Rule,
    Usually,
    ZeroTogether,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tradeline_ledger.field import Kind

Mask = NDArray[np.bool_]


def unfit(kind: Kind, column: pa.Array) -> Mask:
    """Return which values of a column its kind does not allow; nulls are no values."""
    if pa.types.is_int64(column.type):
        least, most = _bounds(kind)
        values = numbers(column)
        return ((values < least) | (values > most)) & given(column)
    decoder = msgspec.msgpack.Decoder(kind.wire)

    def check(text: str) -> None:
        decoder.decode(encode(text))
        kind.check(text)

    return _refused(column, check, (ValueError, msgspec.ValidationError))


def unfit_text(column: pa.StringArray, chars_max: int) -> Mask:
    """Return which texts are empty, too long, not NFC or hold control characters."""
    content = text_bytes(column)
    lengths = pc.binary_length(column)
    if not len(column) or (
        content.min(initial=0x20) >= 0x20  # noqa: PLR2004 - ASCII that prints
        and content.max(initial=0x20) < 0x7F  # noqa: PLR2004
        and pc.min(lengths).as_py() > 0
        and pc.max(lengths).as_py() <= chars_max
    ):
        return np.zeros(len(column), np.bool_)
    return _refused(column, lambda text: check_text(text, "text", chars_max), (ValueError,))


def broken(rule: Rule, columns: Mapping[str, pa.Array]) -> Mask:
    """Return which rows break a rule; `columns` holds what it reads."""
    return np.asarray(_broken(rule, [columns[name] for name in rule.reads]), np.bool_)


def _broken(rule: Rule, read: list[pa.Array]) -> Any:
    match rule:
        case ZeroTogether():
            first, second = read
            zeros = (numbers(first) == 0) != (numbers(second) == 0)
            return zeros & given(first) & given(second)
        case AtLeast():
            larger, smaller = read
            return (numbers(larger) < numbers(smaller)) & given(larger) & given(smaller)
        case NotAfter():
            earlier, later = read
            return mask_of(pc.greater(earlier, later))
        case GivenTogether():
            reported = np.array([given(each) for each in read])
            return reported.any(axis=0) & ~reported.all(axis=0)
        case Needs(numbers=needing):
            choice, *others = read
            lacks = ~np.array([given(each) for each in others]).any(axis=0)
            return np.isin(numbers(choice), needing) & given(choice) & lacks
        case Reached(step=step):
            stage, number = read
            return (numbers(number) < numbers(stage) * step) & given(stage)
        case Adds(tolerance=tolerance):
            total, *parts = read
            off = abs(numbers(total) - np.array([numbers(each) for each in parts]).sum(axis=0))
            return (off > tolerance) & np.array([given(each) for each in read]).all(axis=0)
        case Usually(least=least, most=most):
            (number,) = read
            return ((numbers(number) < least) | (numbers(number) > most)) & given(number)
        case GradeFollows(above=above, best_allowed=best):
            grade, number = read
            too_good = (numbers(number) > above) & (numbers(grade) < best)
            return too_good & given(grade) & given(number)
        case _:
            rows = zip(*(each.to_pylist() for each in read), strict=True)
            return np.fromiter((rule.broken(*row) is not None for row in rows), np.bool_)


def given(column: pa.Array) -> Mask:
    """Return which values are not null."""
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    return mask_of(column.is_valid())


def numbers(column: pa.Array) -> NDArray[np.int64]:
    """Return the values of a column of int64, 0 for null."""
    if column.null_count:
        column = column.fill_null(0)
    values: NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
    return values


def mask_of(column: pa.BooleanArray) -> Mask:
    """Return a column of true and false, null being false."""
    if column.null_count:
        column = column.fill_null(False)  # noqa: FBT003 - a value of the column
    mask: Mask = column.to_numpy(zero_copy_only=False)
    return mask


def text_bytes(column: pa.StringArray) -> NDArray[np.uint8]:
    """Return the bytes of all texts of a column, one after the other."""
    _, offsets, content = column.buffers()
    if content is None or not len(column):
        return np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]


@lru_cache(maxsize=256)
def _bounds(kind: Kind) -> tuple[int, int]:
    _, meta = get_args(kind.wire)
    return meta.ge, meta.le


def _refused(
    column: pa.StringArray, check: Callable[[str], Any], errors: tuple[type[Exception], ...]
) -> Mask:
    encoded = column.dictionary_encode()
    bad = np.zeros(len(encoded.dictionary) + 1, np.bool_)
    for place, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            check(text)
        except errors:
            bad[place] = True
    indices = encoded.indices.fill_null(len(bad) - 1).to_numpy(zero_copy_only=False)
    refused: Mask = bad[indices]
    return refused
