"""Beginning and reopening jobs: names, feeds, and whether a file is what it was."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.errors import FileError, FolderError, StoreError
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_cleansing import Cleansing, ReviewedRows
from tradeline_client.imports.job_file import ImportFile, hash_file
from tradeline_client.imports.job_move import MoveSource, move_of
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_store import STORAGE_NAME, JobState, JobStore
from tradeline_client.imports.job_worker import WorkerSource
from tradeline_ledger.statement import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tradeline_client.client import Client
    from tradeline_client.imports.job import Progress
    from tradeline_client.imports.job_move import Move
    from tradeline_client.imports.job_store import Job
    from tradeline_client.keystore import Keystore

NAME_CHARS_MAX: Final = 100
_NO_FILE: Final = bytes(32)
"""In place of the hash of a file, where a job has none."""
_BLOCK_BYTES: Final = 1 << 20
_NOT_TEXT: Final = (b"PAR1", b"\x1f\x8b", b"PK\x03\x04")
"""How Parquet and packed files begin."""


@contextmanager
def open_store(folder: Path, keystore: Keystore) -> Iterator[JobStore]:
    """
    Yield the store of jobs of a client folder, closed at the end.

    Raises:
        StoreError: it can't be opened.
    """
    store = JobStore(folder, keystore.storage_key(STORAGE_NAME))
    try:
        yield store
    finally:
        store.close()


def begin(store: JobStore, client: Client, file: ImportFile, name: str, feed: int | None) -> Job:
    """
    Return a new job for a file.

    Raises:
        FileError: the file or its mapping was changed since its dry run.
        FolderError: the feed's key is not here, or may not sign submissions.
        StoreError: there is a job of that name.
        MappingError: the mapping is wrong.
    """
    _check_name(name)
    mapping_hash = file.mapping_hash()
    trial = store.trial(Path(file.path))
    if trial is not None and trial != (file.file_hash, mapping_hash):
        changed = "the file" if trial[0] != file.file_hash else "the mapping"
        raise FileError(
            f"{changed} was changed since the dry run of {file.path}; make a dry run of what it is "
            "now (--dry-run), then import it"
        )
    hashes = (file.file_hash, mapping_hash)
    now_ms = client.session.clock_ms()
    return store.create(name, _feed(client, feed), hashes, file.stored(), now_ms)


def reopen(store: JobStore, name: str) -> tuple[Job, ImportFile]:
    """
    Return a job that was broken off or paused, and its file.

    Raises:
        NotFoundError: there is no such job.
        FileError: the file or its mapping was changed since the job began.
        StoreError: the job was cancelled.
        MappingError: the mapping is wrong.
    """
    job = store.job(name)
    if job.state is JobState.CANCELLED:
        raise StoreError(
            f"job {name} was cancelled; import the file as a new job, which leaves out "
            "what was sent"
        )
    file = _file_of(job)
    same = (hash_file(Path(file.path)), file.mapping_hash()) == (job.file_hash, job.mapping_hash)
    if not same:
        raise FileError(
            f"{file.path} or its mapping is not what it was when job {name} began; put the old one "
            "back, or import the new one as a job of its own, which leaves out what was sent"
        )
    return job, file


def mended(store: JobStore, name: str, path: Path, today: str) -> tuple[ImportFile, str]:
    """
    Return a mended reject file of a job, and a name for the job that imports it.

    Raises:
        NotFoundError: there is no such job.
        OSError: the file can't be read.
    """
    before = _file_of(store.job(name))
    file = replace(before, path=str(path), mended=True, today=today, file_hash=hash_file(path))
    return file, _free_name(store, f"{name} mended")


def count_rows(file: ImportFile) -> int | None:
    """Return about how many rows a file has, by its lines; None where that says nothing."""
    found = 0
    with Path(file.path).open("rb") as opened:
        start = opened.read(_BLOCK_BYTES)
        if start.startswith(_NOT_TEXT):
            return None
        block = start
        while block:
            found += block.count(b"\n")
            block = opened.read(_BLOCK_BYTES)
    return found


def run(
    store: JobStore,
    client: Client,
    job: Job,
    file: ImportFile,
    *,
    batch_events: int,
    in_flight: int,
    cleanse: bool,
    show: Callable[[Progress], None],
) -> Job:
    """
    Run a job in this process, with its file being read in another one; return it as it ended.

    With `cleanse`, rows that are doubtful wait for a person instead.

    Raises:
        ClientError, LedgerError: as `ImportRun.run` and `ImportFile.chunks`.
    """
    session = client.session
    _sign_with(client, job.feed)
    cleansing = Cleansing(session.folder.path, job.name) if cleanse else None
    source = WorkerSource(file, session.keystore, cleansing)
    running = ImportRun(
        client, store, job, source, batch_events=batch_events, in_flight=in_flight, show=show
    )
    return running.run()


def run_reviewed(store: JobStore, client: Client, name: str) -> Job:
    """
    Bring the rows of a job that a person accepted to the ledger, as a job of their own.

    Raises:
        NotFoundError: there is no such job.
        ClientError, LedgerError: as `ImportRun.run`.
    """
    session, before = client.session, store.job(name)
    _sign_with(client, before.feed)
    hashes = (before.file_hash, before.mapping_hash)
    fresh = _free_name(store, f"{name} reviewed")
    rows = ReviewedRows(session.folder.path, session.keystore, session.clock_ms, name)
    try:
        job = store.create(fresh, before.feed, hashes, before.source, session.clock_ms())
        source = rows.prepared_by(Preparer(session.keystore))
        ended = ImportRun(client, store, job, source).run()
        rows.done()
    finally:
        rows.close()
    return ended


def run_move(
    store: JobStore,
    client: Client,
    move: Move,
    name: str | None,
    feed: int | None = None,
    **options: Any,
) -> Job:
    """
    File elsewhere what `find_move` found, as a job of its own; return it as it ended.

    Args:
        store: where the job is kept.
        client: an open one.
        move: what is moved.
        name: of the job; None for the next free one.
        feed: that signs, if not the usual one.
        options: of `ImportRun`.

    Raises:
        FolderError, StoreError: as `begin`.
        ClientError, LedgerError: as `ImportRun.run`.
    """
    if name is not None:
        _check_name(name)
    chosen = _feed(client, feed)
    hashes = (_NO_FILE, _NO_FILE)
    fresh = name or _free_name(store, "move")
    store.create(fresh, chosen, hashes, move.stored(), client.session.clock_ms())
    return resume_move(store, client, fresh, **options)


def resume_move(store: JobStore, client: Client, name: str, **options: Any) -> Job:
    """
    Go on with a job that files events elsewhere, and return it as it ended.

    Raises:
        NotFoundError: there is no such job.
        StoreError: it was cancelled, or imports a file.
        ClientError, LedgerError: as `ImportRun.run`.
    """
    job = store.job(name)
    move = move_of(job)
    if move is None:
        raise StoreError(f"job {name} imports a file, and files nothing elsewhere")
    if job.state is JobState.CANCELLED:
        raise StoreError(f"job {name} was cancelled; move what is left by a new one")
    _sign_with(client, job.feed)
    return ImportRun(client, store, job, MoveSource(store, client, move), **options).run()


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise StoreError(f"a job's name has 1 to {NAME_CHARS_MAX} characters; give one by --job")


def _feed(client: Client, feed: int | None) -> int:
    """Return the feed that signs submissions, `feed` if one is wanted."""
    session = client.session
    wanted = session.folder.profile.bulk_feed if feed is None else feed
    chosen = session.keystore.feed_for(Kind.SUBMISSION, wanted)
    if feed not in (None, chosen):
        raise FolderError(
            f"feed {feed} has no key in this keystore that may sign submissions; feed {chosen} has"
        )
    return chosen


def _file_of(job: Job) -> ImportFile:
    if move_of(job) is not None:
        raise StoreError(f"job {job.name} files events elsewhere; it has no file")
    return ImportFile(**job.source)


def _sign_with(client: Client, feed: int) -> None:
    session = client.session
    profile = replace(session.folder.profile, bulk_feed=feed)
    session.folder = replace(session.folder, profile=profile)


def _free_name(store: JobStore, start: str) -> str:
    taken = {each.name for each in store.jobs()}
    names = (f"{start} {number}" for number in count(1))
    return next(each for each in names if each not in taken)
