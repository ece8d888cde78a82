"""The file of a job: where it lies, how it is mapped, and that it is still the same file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.errors import FileError
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_client.imports.mapping_run import MappedFile
from tradeline_client.imports.source import Format, SourceSettings
from tradeline_client.imports.text_encoding import TextEncoding
from tradeline_client.metro2.source import Metro2Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.columns import MappedChunk
    from tradeline_client.imports.mapping import Mapping
    from tradeline_client.imports.source import Source

METRO2: Final = "metro2"
"""A format that needs no mapping."""
FORMATS: Final = (*(each.value for each in Format), METRO2)


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file with its mapping. It can be handed to another process and read again and again."""

    path: str
    mapping: str
    """File, or name of a ready mapping."""
    parameters: dict[str, str]
    """Of the mapping."""
    format: str
    """One of `FORMATS`; empty where mapping or file say it."""
    mended: bool
    """Whether it is a reject file that a person mended: CSV as `write_rejects` writes it."""
    today: str
    """`YYYY-MM-DD` on which the job began: what happens later is wrong."""
    file_hash: bytes
    """SHA-256 that it must have."""

    def __repr__(self) -> str:
        return f"ImportFile({self.path})"

    def stored(self) -> dict[str, Any]:
        """Return what a job keeps of it; `ImportFile(**stored)` is the same file."""
        return asdict(self)

    def loaded(self) -> Mapping:
        """
        Return the mapping.

        Raises:
            MappingError: the mapping is wrong.
        """
        own = Path(self.mapping)
        mapping = load_mapping(own if own.is_absolute() else self.mapping, self.parameters)
        settings = mapping.settings
        if self.mended:
            settings = SourceSettings(
                format=Format.CSV,
                encoding=TextEncoding.UTF8,
                delimiter=",",
                multiline=True,
                empty=settings.empty,
            )
        elif self.format:
            settings = replace(settings, format=Format(self.format))
        return replace(mapping, settings=settings)

    def mapping_hash(self) -> bytes:
        """
        Return SHA-256 of the mapping and its parameters.

        Raises:
            MappingError: the mapping is wrong.
        """
        if self.format == METRO2:
            return hashlib.sha256(METRO2.encode()).digest()
        return self.loaded().sha256

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """
        Yield the chunks of the file; see `ChunkSource`.

        Raises:
            SourceError: the file can't be read on.
            MappingError: the mapping is wrong or does not fit the file.
            FileError: the file was changed while it was read.
        """
        source: Metro2Source | Source
        if self.format == METRO2:
            source = Metro2Source(Path(self.path), today=self.today)
            yield from source.chunks(first_row)
        else:
            opened = MappedFile(Path(self.path), self.loaded(), self.today)
            source = opened.source
            yield from opened.chunks(first_row)
        if source.sha256 != self.file_hash:
            raise FileError(
                f"{self.path} was changed while it was read; restore it and go on by --resume, or "
                "import the new one as a job of its own, which leaves out what was sent"
            )


def open_file(
    path: Path, mapping: str, parameters: dict[str, str], format_: str, today: str
) -> ImportFile:
    """
    Return a file with its mapping, hashed.

    Raises:
        OSError: the file can't be read.
    """
    own = Path(mapping)
    return ImportFile(
        path=str(path.resolve()),
        mapping=str(own.resolve()) if own.is_file() else mapping,
        parameters=parameters,
        format=format_,
        mended=False,
        today=today,
        file_hash=hash_file(path),
    )


def hash_file(path: Path) -> bytes:
    """
    Return SHA-256 of a file.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
