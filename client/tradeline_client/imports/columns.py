"""
Events of one type as columns: what a chunk of rows becomes before it is sealed.

A file of a million rows never becomes a million Python objects: rows are read, mapped and checked
a column at a time, and only what must be computed for each event under a key is computed one by
one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tradeline_ledger.field import Amount, Choice, Integer, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from tradeline_client.imports.fault import RowFault
    from tradeline_ledger.identifier import SubjectId
    from tradeline_ledger.schema import Basis, EventSchema


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events of one type out of one chunk, in the order of its rows. All columns are as long."""

    schema: EventSchema
    basis: Basis
    rows: NDArray[np.int64]
    """0-based row of the file that each event comes from, ascending."""
    subjects: tuple[SubjectId, ...]
    """The distinct subjects, each checked."""
    subject: NDArray[np.int32]
    """Place in `subjects`, an event."""
    occurred_on: pa.StringArray
    """`YYYY-MM-DD`, without nulls."""
    ref: pa.StringArray
    """The member's own reference of the event: what comes again under it is the same event."""
    account: pa.StringArray | None
    """The member's own reference of the account; None where the type has none."""
    values: pa.RecordBatch
    """
    One column a field of the schema, named after it, in its order: wire values as int64 or string,
    null where the field is not reported. They follow the schema's bounds and its rules.
    """
    version: NDArray[np.int64] | None = None
    """
    Which report of the same `ref` this is: of several the highest holds, in whatever order they
    come. None where the member doesn't number them: then the last one holds.
    """

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"EventColumns({self.schema.title}, {len(self)} events, not shown)"


@dataclass(frozen=True, slots=True)
class MappedChunk:
    """What became of consecutive rows of a file."""

    first_row: int
    """0-based."""
    row_count: int
    lines: NDArray[np.int64]
    """1-based line on which each row starts, 0 where the format has no lines."""
    events: tuple[EventColumns, ...]
    """By type, in the order of the mapping."""
    faults: tuple[RowFault, ...]
    """In the order of the rows; a rejected row is in none of `events`."""
    names: tuple[str, ...] = ()
    """Of the columns of the file, in its order; empty where the format has none."""
    originals: Mapping[int, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """
    What stood in each row that was rejected, a text for each of `names`, by row: the reject file
    repeats it. A byte that is no text is written as `\\xNN`.
    """
    original: Callable[[int], tuple[str, ...]] | None = field(
        default=None, repr=False, compare=False
    )
    """Returns what stood in a row, as in `originals`; for rows that later checks move aside."""

    def __repr__(self) -> str:
        return f"MappedChunk(rows {self.first_row}+{self.row_count}, {len(self.faults)} faults)"


def column_type(kind: Kind) -> pa.DataType:
    """
    Return the type of a column of wire values of this kind: int64 or string.

    Lists of rows are in no column: theirs is one of nulls, as text.
    """
    import pyarrow as pa  # noqa: PLC0415 - takes 0.1 s, and only who imports files needs it

    return pa.int64() if isinstance(kind, Amount | Integer | Choice) else pa.string()
