"""
Rows of files with a JSON object on each line.

Lines are decoded one by one: objects name their own columns, in any order, and numbers must come
out as they are written and not as floats. It takes about two microseconds a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from tradeline_client.errors import SourceError
from tradeline_client.imports.fault import RowFault
from tradeline_client.imports.file_bytes import FileBytes
from tradeline_client.imports.rows import CUT_BYTES, ROW_BYTES_MAX, cut_rows
from tradeline_client.imports.source import Format, SourceChunk, SourceSettings
from tradeline_client.imports.text_encoding import TextDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tradeline_client.imports.rows import Rows

_HEAD_ROWS: Final = 10_000
_FIX = "write one JSON object a line, with text, numbers, true, false or null as values"


class JsonLinesSource:
    """One file of JSON lines."""

    def __init__(self, path: Path, settings: SourceSettings, needed: Sequence[str] = ()) -> None:
        """
        Find out the columns from the first rows; a column that is needed is looked for in more.

        Raises:
            SourceError: the file can't be read, or its first row is no object.
        """
        self._bytes = FileBytes(path)
        self._settings = replace(settings, format=Format.JSON_LINES)
        self._decoder = msgspec.json.Decoder(dict[str, Any], float_hook=str)
        self.names: tuple[str, ...] = self._read_head(path, set(needed))
        """Columns of the file, in the order in which they come."""

    @property
    def settings(self) -> SourceSettings:
        """How the file is read."""
        return self._settings

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return self._bytes.file_bytes

    @property
    def bytes_read(self) -> int:
        """How much of it was read so far."""
        return self._bytes.bytes_read

    @property
    def sha256(self) -> bytes:
        """Hash of the file, once `chunks` is exhausted."""
        return self._bytes.sha256

    def chunks(self, names: Sequence[str], first_row: int = 0) -> Iterator[SourceChunk]:
        """Yield the rows, as `Source.chunks` says."""
        row = 0
        for rows in self._rows():
            if len(rows) and row + len(rows) > first_row:
                yield self._chunk(rows, row, names)
            row += len(rows)

    def _rows(self) -> Iterator[Rows]:
        decoder = TextDecoder(self._settings.encoding)
        return cut_rows(decoder.open(self._bytes.blocks()))

    def _chunk(self, rows: Rows, first_row: int, names: Sequence[str]) -> SourceChunk:
        unreadable = np.zeros(len(rows), np.bool_)
        faults: list[RowFault] = []
        cells: list[list[str]] = [[] for _ in names]
        columns = list(zip(names, cells, strict=True))
        for place in range(len(rows)):
            found, wrong = self._object(rows, place)
            for name, column in columns:
                value = found.get(name)
                if not isinstance(value, str):
                    if isinstance(value, list | dict):
                        wrong = f"a list or an object in {name}"
                    value = _text(value)
                column.append(value)
            if wrong:
                unreadable[place] = True
                line = int(rows.lines[place])
                row = first_row + place
                expected = "a JSON object of single values"
                faults.append(RowFault(row, line, "", "", "json-unreadable", wrong, expected, _FIX))

        def cells_of(place: int) -> tuple[str, ...]:
            found, wrong = self._object(rows, place)
            if wrong:
                return (rows.row(place)[:CUT_BYTES].decode(errors="backslashreplace"),)
            return tuple(_text(found.get(name)) for name in self.names)

        arrays = {name: pa.array(column, pa.string()) for name, column in columns}
        return SourceChunk(first_row, rows.lines, arrays, unreadable, tuple(faults), cells_of)

    def _object(self, rows: Rows, place: int) -> tuple[dict[str, Any], str]:
        """Return the object of a row, or an empty one and what is wrong."""
        row = rows.row(place)
        if rows.too_long or len(row) > ROW_BYTES_MAX:
            return {}, f"more than {ROW_BYTES_MAX} bytes"
        try:
            return self._decoder.decode(row), ""
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}, "a line that is no JSON object"

    def _read_head(self, path: Path, needed: set[str]) -> tuple[str, ...]:
        first = next(self._rows(), None)
        names: dict[str, None] = {}
        readable = 0
        for place in range(min(len(first), _HEAD_ROWS) if first else 0):
            assert first is not None, "it has rows"
            found, wrong = self._object(first, place)
            readable += not wrong
            names.update(dict.fromkeys(found))
            if place >= _HEAD_ROWS // 100 and needed <= set(names):
                break
        if not readable:
            raise SourceError(f"{path} has no JSON object in its first lines, expected one a line")
        return tuple(names)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
