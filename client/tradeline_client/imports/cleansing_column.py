"""Columns of events as NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tradeline_client.imports.columns import EventColumns

_YEAR: Final = (0, 4)
_MONTH: Final = (5, 7)
_MONTHS_PER_YEAR: Final = 12


def integers(columns: EventColumns, name: str, missing: int) -> NDArray[np.int64]:
    """Return a field of integers, `missing` where it is not reported or not in the type."""
    if name not in columns.values.schema.names:
        return np.full(len(columns), missing, np.int64)
    filled = columns.values.column(name).fill_null(missing)
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int64)


def months(columns: EventColumns) -> NDArray[np.int64]:
    """Return the month of each event, of its period or else of its day: `year * 12 + month - 1`."""
    named = "period" in columns.values.schema.names
    texts = columns.values.column("period") if named else columns.occurred_on
    parts = []
    for start, stop in (_YEAR, _MONTH):
        digits = pc.utf8_slice_codeunits(texts, start, stop).cast(pa.int64())
        parts.append(np.asarray(digits.to_numpy(zero_copy_only=False), np.int64))
    year, month = parts
    return year * _MONTHS_PER_YEAR + month - 1


def firsts(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where each key stands first."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)
