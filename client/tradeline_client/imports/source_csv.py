"""
Rows of CSV files, with any delimiter and with the habits of Excel.

pyarrow parses a block of whole rows at once. A row that it would stumble over (wrong encoding, too
few cells, a quote that never closes) is taken out first or told by it, and the block is parsed
without that row.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from tradeline_client.errors import MappingError, SourceError
from tradeline_client.imports.fault import RowFault, Severity
from tradeline_client.imports.file_bytes import FileBytes
from tradeline_client.imports.rows import CUT_BYTES, ROW_BYTES_MAX, Rows, cut_rows
from tradeline_client.imports.source import SourceChunk, SourceSettings
from tradeline_client.imports.text_encoding import TextDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DELIMITERS: Final = (",", ";", "\t", "|", "^", "\x01", "~")
"""Delimiters that are found out, the commonest first."""
_HEAD_ROWS: Final = 100
_SEP = re.compile(rb"\s*sep=(.)\s*", re.IGNORECASE | re.DOTALL)
_AS_TEXT: Final = r'^="([^"]*)"$'
"""How Excel is told to keep leading zeros: `="00123"`."""


class CsvSource:
    """One CSV file."""

    def __init__(self, path: Path, settings: SourceSettings, needed: Sequence[str] = ()) -> None:
        """
        Read the header.

        Raises:
            SourceError: the file can't be read, or has no header.
            MappingError: a delimiter or quote that no CSV file has.
        """
        self._path = path
        self._bytes = FileBytes(path)
        if any(
            len(sign.encode()) != 1 or sign in "\r\n"
            for sign in (settings.delimiter, settings.quote)
            if sign
        ):
            raise MappingError("delimiter and quote: expected one character of ASCII each")
        self._decoder = TextDecoder(settings.encoding)
        self._settings = settings
        self._head_rows = 0
        self.names: tuple[str, ...] = self._read_head(needed)
        """Columns of the file."""

    @property
    def settings(self) -> SourceSettings:
        """How the file is read, with all that was found out."""
        return replace(self._settings, encoding=self._decoder.encoding)

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
        reader = _Reader(self.names, self.settings, names)
        self._decoder = decoder = TextDecoder(self._settings.encoding)
        row, skip = 0, self._head_rows
        for found in self._rows(decoder):
            rows = found
            if skip:
                rows, skip = _without_first(rows, skip), max(0, skip - len(rows))
            if not len(rows):
                continue
            if row + len(rows) > first_row:
                yield reader.chunk(rows, row, decoder)
            else:
                decoder.decode(rows.block)  # the first block that is not ASCII settles the encoding
            row += len(rows)

    def _rows(self, decoder: TextDecoder) -> Iterator[Rows]:
        quote = self._settings.quote.encode() if self._settings.multiline else b""
        return cut_rows(decoder.open(self._bytes.blocks()), quote)

    def _read_head(self, needed: Sequence[str]) -> tuple[str, ...]:
        decoder = TextDecoder(self._settings.encoding)
        first = next(self._rows(decoder), None)
        if first is None or first.too_long or first.unclosed:
            raise SourceError(
                f"{self._path} is empty, expected a header and rows"
                if first is None
                else f"{self._path} has a first row that never ends; is it a text file?"
            )
        decoder.decode(first.block)
        self._decoder.encoding = decoder.encoding
        rows = [
            decoder.line(first.row(place)).decode(errors="replace")
            if _decodes(decoder, first.row(place))
            else ""
            for place in range(min(len(first), _HEAD_ROWS + self._settings.skip_rows))
        ]
        rows = rows[self._settings.skip_rows :]
        self._head_rows = self._settings.skip_rows
        if rows and (sep := _SEP.fullmatch(rows[0].encode())):
            self._settings = replace(self._settings, delimiter=sep[1].decode())
            rows = rows[1:]
            self._head_rows += 1
        if not rows:
            raise SourceError(f"{self._path} has no header, expected one after the skipped rows")
        if self._settings.delimiter is None:
            delimiter = _find_delimiter(rows, self._settings, needed)
            self._settings = replace(self._settings, delimiter=delimiter)
        cells = [split_cells(row, self._settings) for row in rows]
        names = self._settings.names
        if not names:
            names = tuple(name.strip() for name in cells.pop(0))
            self._head_rows += 1
        return names + ("",) * _blank_columns(cells, len(names))


class _Reader:
    """Turns rows into columns."""

    def __init__(
        self, names: tuple[str, ...], settings: SourceSettings, wanted: Sequence[str]
    ) -> None:
        assert settings.delimiter is not None, "the head of the file settles it"
        self._settings = settings
        self._width = len(names)
        self._wanted = {name: str(names.index(name)) for name in wanted}
        self._names = names
        delimiter, quote = settings.delimiter, settings.quote
        self._unclosed = _unclosed_pattern(delimiter, quote) if quote else None
        self._quote = quote.encode()
        self._blank = (delimiter + quote + " \t\u3000").encode()
        # Two columns of a file can have one name, so pyarrow gets their places.
        self._columns = [str(place) for place in range(self._width)]
        self._convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(self._columns, pa.string()),
            strings_can_be_null=False,
            include_columns=list(self._wanted.values()),
        )

    def chunk(self, rows: Rows, first_row: int, decoder: TextDecoder) -> SourceChunk:
        """Return the columns of a block of rows."""
        bad = _Bad(rows, first_row)
        block = self._decoded(rows, decoder, bad)
        columns, widths = self._parse(block)
        if len(columns[0]) + len(widths) != bad.good_count:
            # Some quote swallowed a line end.
            block = self._without_unclosed(rows, decoder, bad)
            columns, widths = self._parse(block)
        assert len(columns[0]) + len(widths) == bad.good_count, (len(widths), bad.good_count)
        good = np.flatnonzero(~bad.mask)
        for place, cells in widths:
            bad.add(int(good[place]), *_width_fault(cells, self._width))
        by_name = dict(zip(self._wanted, bad.spread(columns), strict=True))
        settings = self._settings

        def cells_of(place: int) -> tuple[str, ...]:
            row = rows.row(place)
            if len(row) > ROW_BYTES_MAX:
                row = row[:CUT_BYTES]
            return tuple(split_cells(_shown_line(row, decoder), settings))

        self._habits(by_name, rows, bad, cells_of)
        return SourceChunk(first_row, rows.lines, by_name, bad.mask, tuple(bad.faults), cells_of)

    def _decoded(self, rows: Rows, decoder: TextDecoder, bad: _Bad) -> bytes:
        """Return the rows that can be parsed in UTF-8, and note the others."""
        if rows.too_long:
            bad.add(0, *_TOO_LONG)
        elif rows.unclosed:
            bad.add(0, *_UNCLOSED)
        for place in np.flatnonzero(rows.ends - rows.starts > ROW_BYTES_MAX).tolist():
            bad.add(place, *_TOO_LONG)
        decoded = decoder.decode(rows.block)
        if decoded is None:
            for place in range(len(rows)):
                if not _decodes(decoder, rows.row(place)):
                    bad.add(place, *_undecodable(decoder))
        if decoded is None or bad.mask.any() or len(rows) != rows.block.count(b"\n"):
            return _joined(rows, decoder, bad.mask)
        return decoded

    def _without_unclosed(self, rows: Rows, decoder: TextDecoder, bad: _Bad) -> bytes:
        """Return the rows that can be parsed without those that open a quote for good."""
        assert self._unclosed is not None, "without quotes every line end counts"
        for place in np.flatnonzero(~bad.mask).tolist():
            row = rows.row(place)
            if self._quote in row and not self._unclosed.fullmatch(decoder.line(row)):
                bad.add(place, *_UNCLOSED)
        return _joined(rows, decoder, bad.mask)

    def _parse(self, block: bytes) -> tuple[list[pa.StringArray], list[tuple[int, int]]]:
        """Return the columns, and place and width of each row that is too short or long."""
        widths: list[tuple[int, int]] = []

        def skip(row: Any) -> str:
            widths.append((row.number - 1, row.actual_columns))
            return "skip"

        if not block:
            return [pa.array([], pa.string()) for _ in self._wanted], widths
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(block),
                pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(block) + 1, column_names=self._columns
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=self._settings.delimiter,
                    quote_char=self._settings.quote or False,
                    newlines_in_values=self._settings.multiline,
                    invalid_row_handler=skip,
                ),
                self._convert,
            )
        except pa.ArrowInvalid:
            # An open quote at the end: nothing can be said of the block as a whole.
            return [pa.array([], pa.string()) for _ in self._wanted], []
        return [column.combine_chunks() for column in table.columns], widths

    def _habits(
        self, columns: dict[str, pa.StringArray], rows: Rows, bad: _Bad, cells_of: Any
    ) -> None:
        """Undo what Excel does to cells, and note rows that hold no values."""
        for name, column in columns.items():
            formula = pc.starts_with(column, "=")
            if not pc.any(formula).as_py():
                continue
            columns[name] = pc.replace_substring_regex(column, _AS_TEXT, r"\1")
            formula = pc.starts_with(columns[name], "=").to_numpy(zero_copy_only=False)
            for place in np.flatnonzero(formula).tolist():
                bad.add(place, *_FORMULA, column=name)
        first, column = next(iter(columns.items()))
        hollow = np.ones(len(rows), np.bool_)
        for each in columns.values():
            hollow &= pc.equal(pc.binary_length(each), 0).to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(hollow & ~bad.mask).tolist():
            if not rows.row(place).strip(self._blank):
                bad.add(place, *_BLANK, severity=Severity.WARNING)
        repeats = pc.equal(column, first).to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(repeats & ~bad.mask).tolist():
            if tuple(cell.strip() for cell in cells_of(place)) == self._names:
                bad.add(place, *_HEADER)


class _Bad:
    """The rows of one block that can't be read, and why."""

    def __init__(self, rows: Rows, first_row: int) -> None:
        self._rows = rows
        self._first_row = first_row
        self.mask = np.zeros(len(rows), np.bool_)
        self.faults: list[RowFault] = []
        self._parsed: NDArray[np.int64] | None = None

    @property
    def good_count(self) -> int:
        return len(self.mask) - int(self.mask.sum())

    def add(
        self,
        place: int,
        code: str,
        got: str,
        expected: str,
        fix: str,
        *,
        column: str = "",
        severity: Severity = Severity.REJECT,
    ) -> None:
        if self.mask[place]:
            return
        self.mask[place] = True
        row, line = self._first_row + place, int(self._rows.lines[place])
        self.faults.append(RowFault(row, line, column, "", code, got, expected, fix, severity))

    def spread(self, columns: list[pa.StringArray]) -> list[pa.StringArray]:
        """Return columns of the good rows as columns of all rows, empty where a row is bad."""
        if not self.mask.any():
            return columns
        places = np.cumsum(~self.mask) - 1
        indices = pa.array(places, mask=self.mask)
        return [pc.take(column, indices).fill_null("") for column in columns]


def split_cells(row: str, settings: SourceSettings) -> list[str]:
    """Return the cells of one row."""
    import csv  # noqa: PLC0415 - only for heads and for rows that are rejected

    delimiter, quote = settings.delimiter or ",", settings.quote
    reader = csv.reader(
        row.split("\n") if not settings.multiline else [row],
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    try:
        return next(reader, [])
    except csv.Error:  # longer than that module takes
        return row.split(delimiter)


def _find_delimiter(rows: list[str], settings: SourceSettings, needed: Sequence[str]) -> str:
    """Return the delimiter under which most needed columns are there and rows are as wide."""

    def score(delimiter: str) -> tuple[int, int, int]:
        cut = [split_cells(row, replace(settings, delimiter=delimiter)) for row in rows]
        width = len(cut[0])
        found = len({name.strip() for name in cut[0]} & set(needed))
        alike = sum(len(cells) == width for cells in cut) if width > 1 else 0
        return found, alike, width

    return max(DELIMITERS, key=score)


def _blank_columns(cells: list[list[str]], width: int) -> int:
    """Return how many cells that are always empty rows have beyond the header."""
    widths = {len(each) for each in cells if any(each)}
    if len(widths) != 1 or (wider := widths.pop()) <= width:
        return 0
    beyond = any(cell.strip() for each in cells for cell in each[width:])
    return 0 if beyond else wider - width


def _unclosed_pattern(delimiter: str, quote: str) -> re.Pattern[bytes]:
    """Return a pattern of a row in which every quote that is opened is closed."""
    d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
    cell = rb"(?:%b(?:[^%b]|%b%b)*+%b[^%b]*+|[^%b%b][^%b]*+|)" % (q, q, q, q, q, d, d, q, d)
    return re.compile(rb"%b(?:%b%b)*+" % (cell, d, cell))


def _without_first(rows: Rows, count: int) -> Rows:
    starts, ends, lines = rows.starts[count:], rows.ends[count:], rows.lines[count:]
    if not len(starts):
        return Rows(b"", starts, ends, lines)
    start = int(starts[0])
    return Rows(rows.block[start:], starts - start, ends - start, lines)


def _joined(rows: Rows, decoder: TextDecoder, mask: NDArray[np.bool_]) -> bytes:
    lines = [decoder.line(rows.row(place)) for place in np.flatnonzero(~mask).tolist()]
    return b"".join([line + b"\n" for line in lines])


def _decodes(decoder: TextDecoder, line: bytes) -> bool:
    try:
        decoder.line(line)
    except UnicodeDecodeError:
        return False
    return True


def _shown_line(line: bytes, decoder: TextDecoder) -> str:
    """Return a line as text, with `\\xNN` for each byte that is none."""
    if _decodes(decoder, line):
        return decoder.line(line).decode()
    encoding = decoder.encoding
    codec = "gb18030" if encoding is not None and encoding.value == "gb18030" else "utf-8"
    return line.decode(codec, errors="backslashreplace")


def _width_fault(cells: int, width: int) -> tuple[str, str, str, str]:
    return (
        "row-width",
        f"{cells} cells",
        f"{width} cells, as in the header",
        (
            "put cells that hold a delimiter or a line end into quotes; if this is the last row, "
            "the file may be cut off"
        ),
    )


def _undecodable(decoder: TextDecoder) -> tuple[str, str, str, str]:
    name = decoder.encoding.value if decoder.encoding else "utf-8"
    return (
        "encoding",
        f"bytes that are no text in {name}",
        f"text in {name}",
        "write the whole file in one encoding; if it is another, name it in [source]",
    )


_TOO_LONG = (
    "row-too-long",
    f"more than {ROW_BYTES_MAX} bytes",
    f"a row of at most {ROW_BYTES_MAX} bytes",
    "look for a missing line end",
)
_UNCLOSED = (
    "quote-unclosed",
    "a cell that opens a quote and does not close it",
    "the closing quote in the same line",
    (
        "write a quote inside of a cell twice; where cells hold line ends, set multiline = true in "
        "[source]"
    ),
)
_FORMULA = (
    "formula-cell",
    "a formula of a spreadsheet",
    "a value",
    "save the values of the sheet, not its formulas",
)
_BLANK = ("row-blank", "a row of empty cells", "a row with values", "delete it")
_HEADER = ("header-repeated", "the header again", "a row of values", "delete it")
