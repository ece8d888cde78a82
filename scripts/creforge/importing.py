"""One file of one lender through the import: the ready mapping, a job, receipts."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from tradeline_client.cli.session import today
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.job_store import STORAGE_NAME, JobState, JobStore
from tradeline_client.imports.mapping_file import load_mapping
from tradeline_client.imports.mapping_run import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from tradeline_client.client import Client
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

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            *(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__)
        )


def import_file(client: Client, path: Path, version: int) -> Imported:
    """
    Import a file as a job of its own.

    Raises:
        ClientError: as a job.
    """
    session = client.session
    mapping = _mapping(version)
    source = MappedFile(path, mapping, today(session.ledger))
    file_hash = hashlib.sha256(path.read_bytes()).digest()
    key = session.keystore.storage_key(STORAGE_NAME)
    with closing(JobStore(session.folder.path, key)) as store:
        job = store.create(
            path.stem,
            session.folder.profile.bulk_feed,
            (file_hash, mapping.sha256),
            {"path": str(path)},
            session.clock_ms(),
        )
        run = ImportRun(client, store, job, LocalSource(source, Preparer(session.keystore)))
        done = run.run()
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
