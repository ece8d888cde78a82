"""One file of one lender through the import: the ready mapping, a job, receipts."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from tradeline_client.cli.session import today
from tradeline_client.imports.cleansing import Cleanser
from tradeline_client.imports.cleansing_source import AcceptedSource, CleansedSource
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.job_store import STORAGE_NAME, JobState, JobStore
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_client.imports.mapping_run import MappedFile
from tradeline_client.imports.review import Review, ReviewState

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_client.client import Client
    from tradeline_client.imports.job_source import ChunkSource
    from tradeline_client.imports.job_store import Job
    from tradeline_client.imports.mapping import Mapping

MAPPING: Final = "creforge"
KNOWN_FROM: Final = "1950-01-01"
"""The ledger of the check keeps what is old enough for all accounts."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of rows and events, of one file or of several."""

    rows: int = 0
    accepted: int = 0
    """Events that were sent as they are."""
    corrected: int = 0
    """Events that were sent in place of earlier ones."""
    moved: int = 0
    """Events that were sent after earlier ones were retracted."""
    duplicates: int = 0
    """Events that were not sent, since the same was."""
    outdated: int = 0
    """Events that were not sent, since a later report was."""
    rejected: int = 0
    """Rows."""
    held: int = 0
    """Rows that were held for a person, and accepted."""

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


def import_file(client: Client, path: Path, version: int) -> Imported:
    """
    Import a file as a job of its own; what cleansing holds is accepted, since the books are right.

    Raises:
        ClientError: as a job.
    """
    session, name = client.session, path.stem
    mapping = _mapping(version)
    hashes = (hashlib.sha256(path.read_bytes()).digest(), mapping.sha256)
    folder, keystore = session.folder.path, session.keystore
    with ExitStack() as stack:
        store = stack.enter_context(closing(JobStore(folder, keystore.storage_key(STORAGE_NAME))))
        cleanser = stack.enter_context(closing(Cleanser.open(folder, keystore, name)))
        review = stack.enter_context(closing(Review.open(folder, keystore, session.clock_ms)))
        mapped = MappedFile(path, mapping, today(session.ledger))
        total = _run(client, store, name, hashes, CleansedSource(mapped, cleanser, review, name))
        held = review.items(ReviewState.OPEN, name)
        if held:
            review.decide(
                [each.id for each in held],
                accept=True,
                reason="made-up books are right",
                operator="creforge-check",
            )
            accepted = AcceptedSource(review, name)
            total += replace(_run(client, store, f"{name} accepted", hashes, accepted), rows=0)
            review.submitted(name, [each.row for each in held])
        return total + Imported(held=len(held))


def _run(
    client: Client,
    store: JobStore,
    name: str,
    hashes: tuple[bytes, bytes],
    source: ChunkSource,
) -> Imported:
    session = client.session
    feed = session.folder.profile.bulk_feed
    job = store.create(name, feed, hashes, {}, session.clock_ms())
    done = ImportRun(client, store, job, LocalSource(source, Preparer(session.keystore))).run()
    assert done.state is JobState.DONE, done
    return _counted(store, done)


@cache
def _mapping(version: int) -> Mapping:
    return load_mapping(MAPPING, {"known_from": KNOWN_FROM, "revision": str(version)})


def _counted(store: JobStore, job: Job) -> Imported:
    chunks = [store.chunk(job, first) for first in store.chunk_rows(job)]
    total: Counter[str] = Counter()
    for each in (*chunks, *store.batches(job)):
        for numbers in each.counts.values() if each is not None else ():
            total.update(numbers)
    return Imported(
        rows=total["rows"],
        accepted=total["accepted"],
        corrected=total["corrected"],
        moved=total["moved"],
        duplicates=total["duplicate"],
        outdated=total["outdated"],
        rejected=total["reject"],
    )
