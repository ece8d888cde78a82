"""Cleansing as a step of a job: what is doubtful waits for a person, the rest goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tradeline_client.imports.cleansing import Cleanser
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.review import Review

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tradeline_client.imports.columns import MappedChunk
    from tradeline_client.imports.job_prepare import Preparer
    from tradeline_client.keystore import Keystore


COMMIT_CHUNKS: Final = 16
"""After so many, what was learnt is written: a killed job forgets no more of its file."""


@dataclass(frozen=True, slots=True)
class Cleansing:
    """Where a job looks up what is doubtful. It can be handed to another process."""

    folder: Path
    """The client folder."""
    job: str
    """Name under which rows wait for a person."""


class CleansingStep:
    """Cleanses the chunks of one job, with the files of the client folder open."""

    def __init__(self, cleansing: Cleansing, keystore: Keystore, clock: Callable[[], int]) -> None:
        """
        Open the files.

        Raises:
            StoreError: one can't be opened.
        """
        self._job = cleansing.job
        self._chunks = 0
        self._cleanser = Cleanser.open(cleansing.folder, keystore, cleansing.job)
        self._review = Review.open(cleansing.folder, keystore, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._cleanser.commit()
        finally:
            self._cleanser.close()
            self._review.close()

    def cleanse(self, chunk: MappedChunk) -> MappedChunk:
        """
        Return a chunk without the rows that wait for a person by now, which are faults of it.

        Raises:
            StoreError: a file can't be written; the chunk must not go on.
        """
        checked = self._cleanser.check(chunk)
        held = checked.quarantined
        if held.faults:
            self._review.put(self._job, held)
        self._chunks += 1
        if self._chunks % COMMIT_CHUNKS == 0:
            self._cleanser.commit()
        return checked.chunk


class ReviewedRows:
    """The rows of a job that a person accepted, as a source of chunks."""

    def __init__(
        self, folder: Path, keystore: Keystore, clock: Callable[[], int], job: str
    ) -> None:
        """
        Open the review store of a client folder.

        Raises:
            StoreError: it can't be opened.
        """
        self._review = Review.open(folder, keystore, clock)
        self._job = job

    def close(self) -> None:
        """Close the file."""
        self._review.close()

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """Yield the accepted rows; see `ChunkSource`."""
        for chunk in self._review.accepted(self._job):
            if chunk.first_row + chunk.row_count > first_row:
                yield replace(chunk, faults=())

    def done(self) -> None:
        """
        Record that the accepted rows are on the ledger.

        Raises:
            StoreError: it can't be written.
        """
        for chunk in list(self._review.accepted(self._job)):
            rows = sorted({int(row) for each in chunk.events for row in each.rows})
            self._review.submitted(self._job, rows)

    def prepared_by(self, preparer: Preparer) -> LocalSource:
        """Return the rows as a job reads them."""
        return LocalSource(self, preparer)
