"""Where a job's chunks come from: anything that maps a file, prepared under the member's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tradeline_client.imports.job_prepare import PreparedChunk, Preparer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

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

    def prepared(
        self, complete: Mapping[int, int], planned: Collection[int] = ()
    ) -> Iterator[PreparedChunk]:
        """
        Yield the chunks of the file that are left to do.

        Args:
            complete: row counts, by first row, of chunks that are done; some may come, without
                events.
            planned: first rows of chunks of which a part is done. They come whole: what was found
                doubtful when they came first is known, and is looked for no more.
        """
        ...


class LocalSource:
    """Prepares the chunks of a source in this process."""

    def __init__(
        self,
        source: ChunkSource,
        preparer: Preparer,
        cleanse: Callable[[MappedChunk], MappedChunk] = lambda chunk: chunk,
    ) -> None:
        """Prepare what `source` yields and `cleanse` leaves of it with `preparer`."""
        self._source = source
        self._preparer = preparer
        self._cleanse = cleanse

    def prepared(
        self, complete: Mapping[int, int], planned: Collection[int] = ()
    ) -> Iterator[PreparedChunk]:
        """Yield the chunks of the file; see `PreparedSource`."""
        for chunk in self._source.chunks(first_missing(complete)):
            if complete.get(chunk.first_row) == chunk.row_count:
                yield passed_over(chunk)
            elif chunk.first_row in planned:
                yield self._preparer.prepare(chunk)
            else:
                yield self._preparer.prepare(self._cleanse(chunk))


def first_missing(complete: Mapping[int, int]) -> int:
    """Return the first row of a file that is in none of the chunks in `complete`."""
    row = 0
    while count := complete.get(row, 0):
        row += count
    return row


def passed_over(chunk: MappedChunk) -> PreparedChunk:
    """Return a chunk without its events: it is complete."""
    return PreparedChunk(chunk.first_row, chunk.row_count, None, (), (), {})
