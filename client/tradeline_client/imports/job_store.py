"""
What is kept of imports in a client folder: jobs, what became of each chunk, what was sent.

One SQLite file for all jobs. What it says about events or rows of a file is encrypted; in clear
are names of jobs, counts, hashes and places on the ledger.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from tradeline_client.errors import NotFoundError, StoreError
from tradeline_client.imports.job_plan import UNSENT, WAITING
from tradeline_client.imports.job_sent import RECORD
from tradeline_client.store import Database, Sealer

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

STORE_VERSION: Final = 1
STORE_NAME: Final = "imports.sqlite"
STORAGE_NAME: Final = "imports"
"""Name of the store's storage key."""

_SCHEMA: Final = """
CREATE TABLE job (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, wanted TEXT NOT NULL,
    feed INTEGER NOT NULL, file_hash BLOB NOT NULL, mapping_hash BLOB NOT NULL,
    sealed BLOB NOT NULL, row_count INTEGER, started_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE chunk (
    job INTEGER NOT NULL, first_row INTEGER NOT NULL, row_count INTEGER NOT NULL,
    waiting_count INTEGER NOT NULL, waiting BLOB NOT NULL, unsent BLOB NOT NULL,
    rejected BLOB NOT NULL, counts TEXT NOT NULL, PRIMARY KEY (job, first_row)
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, first_row INTEGER NOT NULL,
    hash BLOB UNIQUE, count INTEGER NOT NULL, log_index INTEGER, records BLOB NOT NULL,
    counts TEXT NOT NULL
) STRICT;
CREATE INDEX batch_of_job ON batch (job, first_row);
CREATE TABLE trial (
    path BLOB PRIMARY KEY, file_hash BLOB NOT NULL, mapping_hash BLOB NOT NULL
) STRICT;
CREATE TABLE month (
    month INTEGER PRIMARY KEY, standing TEXT NOT NULL, declared_ms INTEGER NOT NULL
) STRICT
"""
_JOB_COLUMNS: Final = (
    "id, name, state, wanted, feed, file_hash, mapping_hash, sealed, row_count, started_ms, "
    "changed_ms"
)

Counts = dict[str, dict[str, int]]
"""By month, `YYYY-MM` or empty where it is not known, by what is counted."""


@enum.unique
class JobState(enum.StrEnum):
    """How far a job is."""

    RUNNING = "running"
    """Begun; if no process runs it, it was interrupted and goes on with `--resume`."""
    PAUSED = "paused"
    CANCELLED = "cancelled"
    """What was sent stays; it doesn't go on."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Job:
    """One file on its way to the ledger."""

    id: int
    name: str
    state: JobState
    wanted: JobState
    """What a person asked for since."""
    feed: int
    file_hash: bytes
    """SHA-256 of the file."""
    mapping_hash: bytes
    """SHA-256 of the mapping."""
    source: dict[str, Any]
    """How the file is read again: path, mapping, format."""
    row_count: int | None
    """Rows of the file, once it was read to its end."""
    started_ms: int
    changed_ms: int

    def __repr__(self) -> str:
        return f"Job({self.name}, {self.state.value})"


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """What became of a chunk, its batches aside."""

    first_row: int
    row_count: int
    waiting: NDArray[np.void]
    """`WAITING`."""
    unsent: NDArray[np.void]
    """`UNSENT`."""
    counts: Counts
    """Of rows that were rejected and events that were not sent."""

    def __repr__(self) -> str:
        return f"StoredChunk(rows {self.first_row}+{self.row_count})"


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One batch of a job, or with `count` 0 what is to be remembered beside batches."""

    id: int
    job: int
    first_row: int
    """Of its chunk."""
    hash: bytes | None
    """None before it was sealed: then it can't have left."""
    count: int
    log_index: int | None
    """None before its place is known."""
    counts: Counts
    """Of its events."""


class JobStore:
    """The store of one client folder, for any number of threads and processes."""

    def __init__(self, folder: Path, key: bytes) -> None:
        """
        Open the store in the client folder; `key` is the storage key called `STORAGE_NAME`.

        Raises:
            StoreError: it can't be opened.
        """
        self.folder = folder
        """The client folder."""
        self._database = Database(folder / STORE_NAME, _SCHEMA, STORE_VERSION)
        self._sealer = Sealer(key)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return a transaction that writes; no other process can write while it is open."""
        return self._database.transaction()

    def create(
        self,
        name: str,
        feed: int,
        hashes: tuple[bytes, bytes],
        source: dict[str, Any],
        now_ms: int,
    ) -> Job:
        """
        Return a new job; `hashes` are those of the file and of the mapping.

        Raises:
            StoreError: there is a job of that name.
        """
        sealed = self._sealer.seal(msgspec.msgpack.encode(source), "job", name)
        running = JobState.RUNNING.value
        with self.transaction() as rows:
            if rows.execute("SELECT 1 FROM job WHERE name = ?", (name,)).fetchone():
                raise StoreError(
                    f"there is a job {name} already; go on with it by --resume, or give the new "
                    "one another name by --job"
                )
            rows.execute(
                "INSERT INTO job VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)",
                (name, running, running, feed, *hashes, sealed, now_ms, now_ms),
            )
        return self.job(name)

    def job(self, name: str) -> Job:
        """
        Return the job of that name.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as rows:
            row = rows.execute(
                f"SELECT {_JOB_COLUMNS} FROM job WHERE name = ?",  # noqa: S608 - a constant
                (name,),
            ).fetchone()
        if row is None:
            raise NotFoundError(f"this folder has no import job {name}; see: tradeline import list")
        return self._job(row)

    def jobs(self) -> list[Job]:
        """Return all jobs, the newest first."""
        with self._database.reading() as rows:
            found = rows.execute(
                f"SELECT {_JOB_COLUMNS} FROM job ORDER BY id DESC"  # noqa: S608 - a constant
            ).fetchall()
        return [self._job(row) for row in found]

    def want(self, job: Job, wanted: JobState) -> None:
        """Ask whoever runs the job to bring it to that state."""
        self._update_job(job, "wanted", wanted.value)

    def enter(self, job: Job, state: JobState, now_ms: int) -> None:
        """Record how far a job is."""
        self._update_job(job, "state", state.value)
        self._update_job(job, "changed_ms", now_ms)

    def set_row_count(self, job: Job, row_count: int) -> None:
        """Record how many rows the file has."""
        self._update_job(job, "row_count", row_count)

    def chunk(self, job: Job, first_row: int) -> StoredChunk | None:
        """Return what became of the chunk that begins at a row, None if it was not planned."""
        with self._database.reading() as rows:
            row = rows.execute(
                "SELECT row_count, waiting, unsent, counts FROM chunk "
                "WHERE job = ? AND first_row = ?",
                (job.id, first_row),
            ).fetchone()
        if row is None:
            return None
        row_count, waiting, unsent, counts = row
        place = _place(job.id, first_row)
        return StoredChunk(
            first_row,
            row_count,
            _array(self._sealer.open(waiting, "waiting", *place), WAITING),
            _array(self._sealer.open(unsent, "unsent", *place), UNSENT),
            json.loads(counts),
        )

    def chunk_rows(self, job: Job, *, complete: bool = False) -> dict[int, int]:
        """Return the row count of each chunk by first row: of all, or where no event waits."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT first_row, row_count FROM chunk WHERE job = ? AND waiting_count <= ? "
                "ORDER BY first_row",
                (job.id, 0 if complete else 1 << 62),
            ).fetchall()
        return dict(found)

    def put_chunk(
        self, rows: sqlite3.Connection, job: Job, chunk: StoredChunk, rejected: bytes = b""
    ) -> None:
        """Store what became of a chunk in a transaction; `rejected` is kept from the first time."""
        place = _place(job.id, chunk.first_row)
        seal = self._sealer.seal
        rows.execute(
            "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "waiting_count = excluded.waiting_count, waiting = excluded.waiting, "
            "unsent = excluded.unsent, counts = excluded.counts",
            (
                *(job.id, chunk.first_row, chunk.row_count, len(chunk.waiting)),
                seal(chunk.waiting.tobytes(), "waiting", *place),
                seal(chunk.unsent.tobytes(), "unsent", *place),
                seal(rejected, "rejected", *place),
                json.dumps(chunk.counts),
            ),
        )

    def rejected(self, job: Job, first_row: int) -> bytes:
        """Return what `put_chunk` was given of the rejected rows of a chunk."""
        with self._database.reading() as rows:
            (sealed,) = rows.execute(
                "SELECT rejected FROM chunk WHERE job = ? AND first_row = ?", (job.id, first_row)
            ).fetchone()
        return self._sealer.open(sealed, "rejected", *_place(job.id, first_row))

    def next_batch(self, rows: sqlite3.Connection) -> int:
        """Return the number of the next batch; no number is ever used twice."""
        found = rows.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
        return 1 if found is None else int(found[0]) + 1

    def put_batch(
        self, rows: sqlite3.Connection, batch: StoredBatch, records: NDArray[np.void]
    ) -> None:
        """Store a batch, before it is sealed, in a transaction."""
        sealed = self._sealer.seal(records.tobytes(), "records", *_place(batch.id, batch.job))
        rows.execute(
            "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(batch.id, batch.job, batch.first_row, batch.hash, batch.count),
                *(batch.log_index, sealed, json.dumps(batch.counts)),
            ),
        )

    def sealed(self, batch: int, hash_: bytes) -> None:
        """Record the hash of a batch, before it leaves."""
        with self.transaction() as rows:
            rows.execute("UPDATE batch SET hash = ? WHERE id = ?", (hash_, batch))

    def placed(self, batch: int, log_index: int) -> None:
        """Record where a batch stands in the log."""
        with self.transaction() as rows:
            rows.execute("UPDATE batch SET log_index = ? WHERE id = ?", (log_index, batch))

    def place_of(self, batch: int) -> int | None:
        """Return where a batch stands in the log, None before that is known."""
        with self._database.reading() as rows:
            row = rows.execute("SELECT log_index FROM batch WHERE id = ?", (batch,)).fetchone()
        return None if row is None else row[0]

    def take_back(self, rows: sqlite3.Connection, batch: StoredBatch) -> None:
        """Delete a batch that is not on the ledger and never will be, in a transaction."""
        rows.execute("DELETE FROM batch WHERE id = ? AND log_index IS NULL", (batch.id,))

    def batches(self, job: Job | None = None, *, after: int = 0) -> list[StoredBatch]:
        """Return the batches of one job, or of all, with numbers above `after`, ascending."""
        with self._database.reading() as rows:
            found = rows.execute(
                "SELECT id, job, first_row, hash, count, log_index, counts FROM batch "
                "WHERE id > ? AND job = coalesce(?, job) ORDER BY id",
                (after, None if job is None else job.id),
            ).fetchall()
        return [
            StoredBatch(id_, job_id, first_row, hash_, count, index, json.loads(counts))
            for id_, job_id, first_row, hash_, count, index, counts in found
        ]

    def records(self, batch: int) -> NDArray[np.void]:
        """
        Return the `RECORD`s of a batch.

        Raises:
            StoreError: it was taken back by another process, or does not open.
        """
        with self._database.reading() as rows:
            row = rows.execute("SELECT job, records FROM batch WHERE id = ?", (batch,)).fetchone()
        if row is None:
            raise StoreError("another job took back what it had planned; run this one again")
        return _array(self._sealer.open(row[1], "records", *_place(batch, row[0])), RECORD)

    def remember_trial(self, path: Path, file_hash: bytes, mapping_hash: bytes) -> None:
        """Record what a dry run read, by the place of the file."""
        with self.transaction() as rows:
            rows.execute(
                "INSERT OR REPLACE INTO trial VALUES (?, ?, ?)",
                (_path_key(path), file_hash, mapping_hash),
            )

    def trial(self, path: Path) -> tuple[bytes, bytes] | None:
        """Return the hashes of file and mapping that the last dry run of a file read."""
        with self._database.reading() as rows:
            found: tuple[bytes, bytes] | None = rows.execute(
                "SELECT file_hash, mapping_hash FROM trial WHERE path = ?", (_path_key(path),)
            ).fetchone()
        return found

    def declare(self, month: int, standing: str | None, now_ms: int) -> None:
        """Record what a month is declared to be; None takes it back."""
        with self.transaction() as rows:
            rows.execute("DELETE FROM month WHERE month = ?", (month,))
            if standing is not None:
                rows.execute("INSERT INTO month VALUES (?, ?, ?)", (month, standing, now_ms))

    def declared(self) -> dict[int, str]:
        """Return what months are declared to be, by month."""
        with self._database.reading() as rows:
            found = rows.execute("SELECT month, standing FROM month ORDER BY month").fetchall()
        return dict(found)

    def _update_job(self, job: Job, column: str, value: object) -> None:
        with self.transaction() as rows:
            rows.execute(
                f"UPDATE job SET {column} = ? WHERE id = ?",  # noqa: S608 - names of this module
                (value, job.id),
            )

    def _job(self, row: tuple[Any, ...]) -> Job:
        id_, name, state, wanted, feed, file_hash, mapping_hash, sealed, *rest = row
        source = msgspec.msgpack.decode(self._sealer.open(sealed, "job", name))
        return Job(
            *(id_, name, JobState(state), JobState(wanted), feed, file_hash, mapping_hash),
            *(source, *rest),
        )


def _place(first: int, second: int) -> tuple[bytes, bytes]:
    return first.to_bytes(8, "big"), second.to_bytes(8, "big")


def _path_key(path: Path) -> bytes:
    return hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).digest()


def _array(encoded: bytes, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    return np.frombuffer(encoded, dtype=dtype)
