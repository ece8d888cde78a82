"""
Rows of Parquet files.

Typed columns become text, so that one path maps them all: integers, decimals and days have one
exact text. Floats have not; only those that are whole are taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from tradeline_client.errors import SourceError
from tradeline_client.imports.fault import RowFault
from tradeline_client.imports.file_bytes import file_sha256
from tradeline_client.imports.source import Format, SourceChunk, SourceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH_ROWS: Final = 1 << 16
"""Rows of one chunk."""
_BUFFER_BYTES: Final = 1 << 20


class ParquetSource:
    """One Parquet file."""

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        """
        Read the schema, which stands at the end of the file.

        Raises:
            SourceError: the file can't be read, or is cut off.
        """
        self._path = path
        self._settings = replace(settings, format=Format.PARQUET)
        self._sha256 = file_sha256(path)
        self.bytes_read = 0
        """How much of the file was read so far, by its rows."""
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                self._schema = file.schema_arrow
                self._row_count = file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{path} is no Parquet file, or is cut off: {_first_line(error)}; get it again"
            ) from error
        self.names: tuple[str, ...] = tuple(self._schema.names)
        """Columns of the file."""

    @property
    def settings(self) -> SourceSettings:
        """How the file is read."""
        return self._settings

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._path.stat().st_size

    @property
    def sha256(self) -> bytes:
        """Hash of the file, when it was opened."""
        return self._sha256

    def chunks(self, names: Sequence[str], first_row: int = 0) -> Iterator[SourceChunk]:
        """
        Yield the rows, as `Source.chunks` says.

        Raises:
            SourceError: a column holds lists, bytes or other things that are no single values.
        """
        for name in names:
            _check_type(name, self._schema.field(name).type)
        self.bytes_read = 0
        row = 0
        size = self.file_bytes
        try:
            with pyarrow.parquet.ParquetFile(
                self._path, pre_buffer=False, buffer_size=_BUFFER_BYTES
            ) as file:
                batches = file.iter_batches(BATCH_ROWS, use_threads=False)
                for batch in batches:
                    if row + len(batch) > first_row:
                        yield _chunk(batch, names, row)
                    row += len(batch)
                    self.bytes_read = size * row // max(self._row_count, 1)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(
                f"{self._path} can't be read on after row {row}: {_first_line(error)}"
            ) from error


def _chunk(batch: pa.RecordBatch, names: Sequence[str], first_row: int) -> SourceChunk:
    unreadable = np.zeros(len(batch), np.bool_)
    faults: list[RowFault] = []
    columns: dict[str, pa.StringArray] = {}
    for name in names:
        columns[name], bad = _texts(batch.column(name))
        for place in np.flatnonzero(bad & ~unreadable):
            row = first_row + int(place)
            faults.append(RowFault(row, 0, name, "", *_FLOAT))
        unreadable |= bad

    def cells_of(place: int) -> tuple[str, ...]:
        values: list[Any] = [column[place].as_py() for column in batch.columns]
        return tuple("" if value is None else str(value) for value in values)

    lines = np.zeros(len(batch), np.int64)
    return SourceChunk(first_row, lines, columns, unreadable, tuple(faults), cells_of)


def _texts(column: pa.Array) -> tuple[pa.StringArray, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return a column as text, and which of its cells have no exact one."""
    bad = np.zeros(len(column), np.bool_)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.equal(pc.floor(column), column)
        exact = pc.and_(whole, pc.less(pc.abs(column), 2.0**53)).fill_null(True)  # noqa: FBT003
        bad = ~exact.to_numpy(zero_copy_only=False)
        column = pc.if_else(exact, column, None).cast(pa.int64())
    elif pa.types.is_timestamp(column.type) or pa.types.is_date64(column.type):
        # Midnights are days, which is how data frames write them.
        days = pc.floor_temporal(column, unit="day")
        if pc.all(pc.equal(days, column)).as_py() is not False:
            column = column.cast(pa.timestamp("us")).cast(pa.date32())
    return column.cast(pa.string()).fill_null(""), bad


def _check_type(name: str, kind: pa.DataType) -> None:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not any(
        test(kind)
        for test in (
            *(types.is_string, types.is_large_string, types.is_integer, types.is_decimal),
            *(types.is_floating, types.is_boolean, types.is_date, types.is_timestamp),
            types.is_null,
        )
    ):
        raise SourceError(
            f"column {name!r} holds {kind}, expected text, integers, decimals, days or true and "
            "false"
        )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:200]


_FLOAT = (
    "float-cell",
    "a binary floating point number with a fraction",
    "an integer, a decimal or text",
    "write the column as decimal or text: a float is not exact",
)
