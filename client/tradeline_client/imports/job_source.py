"""Where a job's chunks come from: anything that maps a file, prepared under the member's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tradeline_client.imports.job_prepare import PreparedChunk, Preparer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tradeline_client.imports.columns import MappedChunk


class ChunkSource(Protocol):
    """A file with its mapping, which can be read again and again with the same chunks."""

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """
        Yield the chunks of the file, those left out that end before `first_row`.

        Raises:
            ClientError: the file can't be read further; what was yielded stands.
        """
        ...


class PreparedSource(Protocol):
    """What a job reads: chunks under keys."""

    def prepared(self, complete: Mapping[int, int]) -> Iterator[PreparedChunk]:
        """
        Yield the chunks of the file that are not in `complete`, which has row counts by first row.

        Some that are may come, without events.
        """
        ...


class LocalSource:
    """Prepares the chunks of a source in this process."""

    def __init__(self, source: ChunkSource, preparer: Preparer) -> None:
        """Prepare what `source` yields with `preparer`."""
        self._source = source
        self._preparer = preparer

    def prepared(self, complete: Mapping[int, int]) -> Iterator[PreparedChunk]:
        """Yield the chunks of the file; see `PreparedSource`."""
        for chunk in self._source.chunks(first_missing(complete)):
            if complete.get(chunk.first_row) == chunk.row_count:
                yield passed_over(chunk)
            else:
                yield self._preparer.prepare(chunk)


def first_missing(complete: Mapping[int, int]) -> int:
    """Return the first row of a file that is in none of the chunks in `complete`."""
    row = 0
    while count := complete.get(row, 0):
        row += count
    return row


def passed_over(chunk: MappedChunk) -> PreparedChunk:
    """Return a chunk without its events: it is complete."""
    return PreparedChunk(chunk.first_row, chunk.row_count, None, (), (), {})
