"""A file whose chunks are checked on their way into a job, and rows that a person accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradeline_client.errors import ReviewError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.imports.cleansing import Cleanser
    from tradeline_client.imports.cleansing_spread import Shift
    from tradeline_client.imports.columns import MappedChunk
    from tradeline_client.imports.job_source import ChunkSource
    from tradeline_client.imports.review import Review


class CleansedSource:
    """Yields the chunks of a source without the rows that a person has to decide about."""

    def __init__(
        self,
        source: ChunkSource,
        cleanser: Cleanser,
        review: Review,
        job: str,
        *,
        shifted: bool = False,
    ) -> None:
        """
        Check what `source` yields.

        Args:
            source: the mapped file.
            cleanser: of the member's folder, for this job.
            review: where rows wait.
            job: name under which they wait.
            shifted: whether amounts that have all moved, as by another unit, are right.
        """
        self._source = source
        self._cleanser = cleanser
        self._review = review
        self._job = job
        self._shifted = shifted

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """
        Yield the chunks that do not end before `first_row`; what is held back is stored before.

        Raises:
            ReviewError: all amounts of a field have moved; nothing of that chunk went on.
            ClientError: the file can't be read further.
        """
        # What a killed job had checked and not written is read, and remembered, again.
        for chunk in self._source.chunks(min(first_row, self._cleanser.committed)):
            checked = self._cleanser.check(chunk)
            if checked.shifts and not self._shifted:
                raise _shifted(checked.shifts[0])
            self._review.put(self._job, checked.quarantined)
            if chunk.first_row + chunk.row_count > first_row:
                yield checked.chunk
        self._cleanser.commit()


class AcceptedSource:
    """Yields the rows of a job that a person accepted, as a file of their own."""

    def __init__(self, review: Review, job: str) -> None:
        """Read the accepted rows of `job` that were not taken over yet."""
        self._review = review
        self._job = job

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """Yield the accepted rows in chunks, those left out that end before `first_row`."""
        for chunk in self._review.accepted(self._job):
            if chunk.first_row + chunk.row_count > first_row:
                yield chunk


def _shifted(shift: Shift) -> ReviewError:
    way = "larger" if shift.octaves > 0 else "smaller"
    return ReviewError(
        f"{shift.field}: {shift.count} amounts of this file are about {2 ** abs(shift.octaves)} "
        f"times {way} than in the months before; look at the scale of money in the mapping, or "
        "confirm that the amounts are right"
    )
