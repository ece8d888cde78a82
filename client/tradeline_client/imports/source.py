"""
Files with rows: what CSV, Parquet and JSON lines have in common.

A source gives its rows in chunks of columns of text, an empty text where nothing stands. A row that
can't be read costs that row: it is a fault, and the chunk goes on.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from tradeline_client.errors import MappingError, SourceError
from tradeline_client.imports.fault import RowFault
from tradeline_client.imports.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from tradeline_client.imports.text_encoding import TextEncoding

NAMES_SHOWN_MAX: Final = 40
"""Columns of a file that a message lists."""
_PARQUET = b"PAR1"


@enum.unique
class Format(enum.Enum):
    """Formats of files with rows."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """How to read a file, as far as it is not to be found out."""

    format: Format | None = None
    """None: by how the file begins."""
    encoding: TextEncoding | None = None
    """Of text; None: found out."""
    delimiter: str | None = None
    """Of CSV, one character; None: found out from the header."""
    quote: str = '"'
    """Of CSV."""
    multiline: bool = False
    """Whether cells of CSV in quotes may hold line ends."""
    skip_rows: int = 0
    """Rows before the header."""
    names: tuple[str, ...] = ()
    """Of the columns of CSV, where the file has no header."""
    empty: tuple[str, ...] = ("",)
    """Texts that mean that nothing stands in a cell."""


@dataclass(frozen=True, slots=True)
class SourceChunk:
    """Consecutive rows of a file."""

    first_row: int
    """0-based."""
    lines: NDArray[np.int64]
    """1-based line on which each row starts; 0 where the format has none."""
    columns: Mapping[str, pa.StringArray]
    """The columns that were asked for, without nulls: empty where nothing stands."""
    unreadable: NDArray[np.bool_]
    """Rows that could not be read; each has a fault."""
    faults: tuple[RowFault, ...]
    """In any order."""
    cells: Callable[[int], tuple[str, ...]]
    """Returns what stands in a row, by its place in the chunk; for the reject file."""

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return f"SourceChunk({self.first_row}+{len(self)}, not shown)"


class Source(Protocol):
    """A file that was opened: its columns are known, none of its rows was read."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the file, in its order; empty for one without a name."""
        ...

    @property
    def settings(self) -> SourceSettings:
        """How the file is read, with all that was found out."""
        ...

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        ...

    @property
    def bytes_read(self) -> int:
        """How much of it was read so far."""
        ...

    @property
    def sha256(self) -> bytes:
        """Hash of the file, once `chunks` is exhausted."""
        ...

    def chunks(self, names: Sequence[str], first_row: int = 0) -> Iterator[SourceChunk]:
        """
        Yield the rows, of each the columns that are asked for.

        Chunks are cut at the same rows whenever the same file is read with the same settings.

        Args:
            names: columns, each one of `names`.
            first_row: chunks that end before this row are left out without being parsed.

        Raises:
            SourceError: the file can't be read on; the rows before were yielded.
        """
        ...


def open_source(path: Path, settings: SourceSettings, needed: Sequence[str] = ()) -> Source:
    """
    Return a file whose columns are known.

    Args:
        path: the file.
        settings: what is known of how to read it.
        needed: columns that it must have; they help to find the delimiter.

    Raises:
        SourceError: the file can't be read.
        MappingError: a column that is needed is missing, or is there twice.
    """
    # Each format is imported when it is met: two of three are not, in any run.
    match settings.format or _format_of(path):
        case Format.CSV:
            from tradeline_client.imports.source_csv import CsvSource  # noqa: PLC0415

            source: Source = CsvSource(path, settings, needed)
        case Format.PARQUET:
            from tradeline_client.imports.source_parquet import ParquetSource  # noqa: PLC0415

            source = ParquetSource(path, settings)
        case Format.JSON_LINES:
            from tradeline_client.imports.source_jsonl import JsonLinesSource  # noqa: PLC0415

            source = JsonLinesSource(path, settings, needed)
    _check_names(source, needed, path)
    return source


def _format_of(path: Path) -> Format:
    try:
        with path.open("rb") as file:
            start = file.read(len(_PARQUET))
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}") from error
    if start == _PARQUET:
        return Format.PARQUET
    # Packed files say by their name what is inside.
    names = [suffix.lower() for suffix in path.suffixes]
    return Format.JSON_LINES if {".jsonl", ".ndjson"} & set(names) else Format.CSV


def _check_names(source: Source, needed: Sequence[str], path: Path) -> None:
    for name in needed:
        count = source.names.count(name)
        if count == 1:
            continue
        if count:
            raise MappingError(
                f"{path.name} has {count} columns {name!r}, expected one; rename the others in its "
                "header"
            )
        named = [each for each in source.names if each]
        has = ", ".join(named[:NAMES_SHOWN_MAX]) + ", ..." * (len(named) > NAMES_SHOWN_MAX)
        raise MappingError(
            f"{path.name} has no column {name!r}{nearest(name, named)}; it has {len(named)}: {has}"
            + _wrong_delimiter(source)
        )


def _wrong_delimiter(source: Source) -> str:
    """Say so if the header looks as if it were cut at the wrong character."""
    given = source.settings.delimiter
    if given is None or len(source.names) != 1:
        return ""
    for other in ",;\t|":
        if other in source.names[0]:
            return f"; the delimiter is {given!r}, and the header looks as if it were {other!r}"
    return ""
