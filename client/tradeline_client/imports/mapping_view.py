"""
The rows of a chunk that become one kind of event, column by column.

A view gives the columns of those rows, and takes what is wrong with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.mapping import NumberStyle
from tradeline_client.imports.number_column import read_numbers
from tradeline_client.imports.validation import Mask, given, mask_of, numbers, text_bytes
from tradeline_ledger.field import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tradeline_client.imports.mapping import Condition
    from tradeline_client.imports.source import SourceChunk

HIDDEN: Final = "a text of {} characters"
"""What a message says of a cell that may hold an identifier or an amount."""


class Chunk:
    """One chunk of a file while it is mapped: trimmed columns, and all that is wrong."""

    def __init__(self, source: SourceChunk, empty: Sequence[str]) -> None:
        """Take the chunk, and the texts that mean that nothing stands in a cell."""
        self.source = source
        self.rejected: Mask = source.unreadable.copy()
        """Rows that become no event."""
        self._empty = pa.array(empty, pa.string())
        self._faults = {(each.row, each.column, each.code): each for each in source.faults}
        self._trimmed: dict[str, tuple[pa.StringArray, Mask]] = {}

    def column(self, name: str) -> tuple[pa.StringArray, Mask]:
        """Return a column without spaces around its texts, and which of them are empty."""
        found = self._trimmed.get(name)
        if found is None:
            texts = self.source.columns[name]
            content = text_bytes(texts)
            if content.min(initial=0xFF) <= 0x20 or content.max(initial=0) >= 0x80:  # noqa: PLR2004
                texts = pc.utf8_trim_whitespace(texts)
            if len(self._empty) == 1:
                empty = mask_of(pc.equal(pc.binary_length(texts), 0))
            else:
                empty = mask_of(pc.is_in(texts, self._empty))
            found = self._trimmed[name] = texts, empty
        return found

    def padded(self, name: str) -> Mask:
        """Return which texts of a column have spaces around them."""
        texts, _ = self.column(name)
        as_given = self.source.columns[name]
        if texts is as_given:
            return np.zeros(len(texts), np.bool_)
        return mask_of(pc.not_equal(texts, as_given))

    def fault(self, place: int, fault: RowFault) -> None:
        """Take what is wrong with the row at a place, once for each column and code."""
        if fault.severity is Severity.REJECT:
            self.rejected[place] = True
        self._faults.setdefault((fault.row, fault.column, fault.code), fault)

    def faults(self) -> tuple[RowFault, ...]:
        """Return all faults in the order of the rows."""
        return tuple(sorted(self._faults.values(), key=lambda fault: fault.row))


class View:
    """Some rows of a chunk."""

    def __init__(self, chunk: Chunk, places: NDArray[np.int64] | None) -> None:
        """Take the chunk and places in it, ascending; None for all rows."""
        self._chunk = chunk
        self._places = places
        self._columns: dict[str, tuple[pa.StringArray, Mask]] = {}

    def __len__(self) -> int:
        return len(self._chunk.source) if self._places is None else len(self._places)

    @property
    def places(self) -> NDArray[np.int64]:
        """Place in the chunk of each row."""
        return np.arange(len(self)) if self._places is None else self._places

    def narrowed(self, kept: Mask) -> View:
        """Return a view of some of these rows."""
        return self if kept.all() else View(self._chunk, self.places[kept])

    def column(self, name: str) -> tuple[pa.StringArray, Mask]:
        """Return a column, and which of its texts are empty."""
        if self._places is None:
            return self._chunk.column(name)
        found = self._columns.get(name)
        if found is None:
            texts, empty = self._chunk.column(name)
            found = texts.take(pa.array(self._places)), empty[self._places]
            self._columns[name] = found
        return found

    def padded(self, name: str) -> Mask:
        """Return which texts of a column have spaces around them."""
        found = self._chunk.padded(name)
        return found if self._places is None else found[self._places]

    def holds(self, conditions: Sequence[Condition]) -> Mask:
        """Return in which rows all conditions hold."""
        held = np.ones(len(self), np.bool_)
        for condition in conditions:
            texts, empty = self.column(condition.column)
            if condition.among is not None:
                held &= mask_of(pc.is_in(texts, pa.array(sorted(condition.among), pa.string())))
            if condition.except_for is not None:
                among = pa.array(sorted(condition.except_for), pa.string())
                held &= ~mask_of(pc.is_in(texts, among))
            if condition.given is not None:
                held &= ~empty if condition.given else empty
            if condition.above is not None or condition.below is not None:
                held &= _between(texts, empty, condition)
        return held

    def fault(
        self,
        wrong: Mask,
        code: str,
        expected: str,
        fix: str,
        *,
        column: str = "",
        field: str = "",
        got: str | Callable[[int], str] = "",
        hidden: bool = True,
        severity: Severity = Severity.REJECT,
    ) -> None:
        """
        Say what is wrong with some rows.

        Args:
            wrong: which rows.
            code: stable name of the fault.
            expected: what would be right.
            fix: what to do.
            column: column of the file, if one is concerned.
            field: field of the event, if one is concerned.
            got: what was found, or a function that says it of a row of this view; empty for what
                stands in the column.
            hidden: whether the text of the cell may be an identifier or an amount.
            severity: what becomes of the row.
        """
        if not wrong.any():
            return
        source = self._chunk.source
        found = np.flatnonzero(wrong)
        places = self.places[found]
        texts = self.column(column)[0] if column and not got else None
        for at, place in zip(found.tolist(), places.tolist(), strict=True):
            text = got if isinstance(got, str) else got(at)
            if texts is not None:
                cell = texts[at].as_py()
                text = HIDDEN.format(len(cell)) if hidden and cell else shown(cell)
            row, line = source.first_row + place, int(source.lines[place])
            fault = RowFault(row, line, column, field, code, text, expected, fix, severity)
            self._chunk.fault(place, fault)

    @property
    def fine(self) -> Mask:
        """Which rows are not rejected so far."""
        rejected = self._chunk.rejected
        return ~(rejected if self._places is None else rejected[self._places])


def _between(texts: pa.StringArray, empty: Mask, condition: Condition) -> Mask:
    """Return which texts are numbers within bounds; those that are no numbers are not."""
    read = read_numbers(pc.if_else(pa.array(empty), None, texts), NumberStyle(), 2)
    values, held = numbers(read.values), given(read.values)
    if condition.above is not None:
        held &= values > condition.above * 100
    if condition.below is not None:
        held &= values < condition.below * 100
    return held
