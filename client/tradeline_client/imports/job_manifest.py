"""
The manifest of a job: what became of each row of a file, to be checked against the ledger later.

Two files: a JSON object with counts, hashes and the entries on the ledger, and beside it the
receipts, Parquet, a row for each event and for each row that was not submitted. The first holds
the hash of the second. Neither says anything about a subject.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradeline_client.errors import FileError
from tradeline_client.files import write_private
from tradeline_client.imports.job_plan import SENT, Fate
from tradeline_client.imports.job_rejects import rejected_of
from tradeline_client.imports.job_sent import SentIndex
from tradeline_ledger.errors import ConsistencyError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tradeline_client.imports.job_store import Counts, Job, JobStore, StoredBatch

    _Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    """Row, fate, entry and position of receipts."""

MANIFEST_KIND: Final = "tradeline import manifest"
MANIFEST_VERSION: Final = 1
MANIFEST_BYTES_MAX: Final = 256 << 20
RECEIPTS_SUFFIX: Final = ".receipts.parquet"
NO_PLACE: Final = -1

_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("entry", pa.int64()),
        pa.field("position", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A submission that receipts name."""

    index: int
    """In the log."""
    batch_hash: bytes
    count: int
    """Events of it."""
    own: bool
    """Whether this job sent it; else it holds what rows of this job repeat."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose receipts are those that it was written with."""

    content: dict[str, Any]
    """The JSON object."""
    entries: dict[int, ManifestEntry]
    """By log index."""
    rows: int
    """Receipts."""

    @property
    def ledger_id(self) -> bytes:
        """The ledger that the job submitted to."""
        return bytes.fromhex(self.content["ledger_id"])

    @property
    def member(self) -> int:
        """Who submitted."""
        return int(self.content["member"])


def total(counts: Iterator[Counts]) -> Counts:
    """Return counts added up, by month."""
    added: Counts = {}
    for each in counts:
        for month, numbers in each.items():
            own = added.setdefault(month, {})
            for what, number in numbers.items():
                own[what] = own.get(what, 0) + number
    return dict(sorted(added.items()))


def counts_of(store: JobStore, job: Job) -> Counts:
    """Return what was counted of a job, by month."""

    def each() -> Iterator[Counts]:
        for first_row in store.chunk_rows(job):
            chunk = store.chunk(job, first_row)
            if chunk is not None:
                yield chunk.counts
        for batch in store.batches(job):
            yield batch.counts

    return total(each())


def write_manifest(
    store: JobStore, job: Job, path: Path, *, ledger_id: bytes, member: int
) -> dict[str, Any]:
    """
    Write the manifest of a job to `path`, its receipts beside it, and return the manifest.

    Raises:
        FileError: some event of the job is not on the ledger yet.
        OSError: a file can't be written.
    """
    receipts = _Receipts(store, job)
    receipts_path = path.with_name(path.name.removesuffix(".json") + RECEIPTS_SUFFIX)
    count = 0
    with pq.ParquetWriter(receipts_path, _SCHEMA, compression="zstd") as writer:
        for first_row in store.chunk_rows(job):
            table = receipts.of_chunk(first_row)
            count += len(table)
            if len(table):
                writer.write_table(table)
    entries = [_entry(receipts.batches[each], job) for each in sorted(receipts.named)]
    content = {
        "kind": MANIFEST_KIND,
        "version": MANIFEST_VERSION,
        "ledger_id": ledger_id.hex(),
        "member": member,
        "feed": job.feed,
        "job": job.name,
        "state": job.state.value,
        "file_sha256": job.file_hash.hex(),
        "mapping_sha256": job.mapping_hash.hex(),
        "rows": job.row_count,
        "counts": counts_of(store, job),
        "entries": sorted(entries, key=lambda each: int(each["index"])),
        "receipts": {
            "file": receipts_path.name,
            "count": count,
            "sha256": _hash_of(receipts_path),
        },
    }
    write_private(path, json.dumps(content, indent=1).encode() + b"\n")
    return content


def is_manifest(data: bytes) -> bool:
    """Return whether the bytes of a file begin as those of a manifest do."""
    return data.lstrip()[:1] == b"{" and MANIFEST_KIND.encode() in data[:200]


def read_manifest(path: Path) -> Manifest:
    """
    Return the manifest at `path` if its receipts are whole and fit its entries.

    Raises:
        MalformedError: it is no manifest.
        ConsistencyError: receipts are missing or others, or an event has none or two of them.
    """
    try:
        content = json.loads(path.read_bytes())
        entries = {each["index"]: _read_entry(each) for each in content["entries"]}
        receipts_path = path.with_name(content["receipts"]["file"])
        expected = content["receipts"]["sha256"]
        bytes.fromhex(content["ledger_id"]), int(content["member"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedError(f"{path.name} is no manifest of an import: {error}") from error
    if content.get("kind") != MANIFEST_KIND or content.get("version") != MANIFEST_VERSION:
        raise MalformedError(f"{path.name} is no manifest of version {MANIFEST_VERSION}")
    if receipts_path.parent != path.parent or not receipts_path.is_file():
        raise ConsistencyError(f"the receipts {receipts_path.name} are not beside {path.name}")
    if _hash_of(receipts_path) != expected:
        raise ConsistencyError(
            f"{receipts_path.name} hashes to another value than {path.name} says; it was altered"
        )
    return Manifest(content, entries, _check_receipts(receipts_path, entries))


def _check_receipts(path: Path, entries: dict[int, ManifestEntry]) -> int:
    """Accept receipts if each event of the job's own entries has exactly one; return how many."""
    free = {each.index: np.ones(each.count, dtype=bool) for each in entries.values() if each.own}
    sent = [fate.name.lower() for fate in SENT]
    rows = 0
    with pq.ParquetFile(path) as file:
        if file.schema_arrow != _SCHEMA:
            raise ConsistencyError(f"{path.name} has other columns than receipts have")
        for batch in file.iter_batches():
            rows += len(batch)
            fates = np.isin(batch["fate"].to_numpy(zero_copy_only=False), sent)
            index = batch["entry"].fill_null(NO_PLACE).to_numpy()
            position = batch["position"].fill_null(NO_PLACE).to_numpy()
            for each in np.unique(index[index != NO_PLACE]).tolist():
                at, entry = index == each, entries.get(each)
                if entry is None or position[at].max() >= entry.count or position[at].min() < 0:
                    raise ConsistencyError(f"a receipt names an event of {each} that is not listed")
                taken = position[at & fates]
                if entry.own and len(taken):
                    if len(np.unique(taken)) != len(taken) or not free[each][taken].all():
                        raise ConsistencyError(f"two rows have one event of entry {each}")
                    free[each][taken] = False
    if any(each.any() for each in free.values()):
        raise ConsistencyError("an event of the job's own entries has no receipt")
    return rows


class _Receipts:
    """Makes the receipts of one job, chunk by chunk."""

    def __init__(self, store: JobStore, job: Job) -> None:
        """
        Look up what was sent.

        Raises:
            FileError: some event of the job is not on the ledger yet.
        """
        every = store.batches()
        self.batches = {each.id: each for each in every if each.count}
        own = [each for each in self.batches.values() if each.job == job.id]
        complete = store.chunk_rows(job, complete=True) == store.chunk_rows(job)
        if not complete or any(each.log_index is None for each in own):
            raise FileError(
                f"job {job.name} has events that are not on the ledger yet; go on with it by "
                "--resume"
            )
        self.named = {each.id for each in own}
        """Batches that receipts name."""
        self._store = store
        self._job = job
        self._own: dict[int, list[StoredBatch]] = {}
        for batch in own:
            self._own.setdefault(batch.first_row, []).append(batch)
        self._index = SentIndex(store.records)
        for batch in every:
            self._index.add(batch.id, store.records(batch.id))

    def of_chunk(self, first_row: int) -> pa.Table:
        """Return the receipts of a chunk, by row."""
        rejected = rejected_of(self._store, self._job, first_row)
        nowhere = np.full(len(rejected), NO_PLACE, dtype=np.int64)
        parts = [self._sent(each) for each in self._own.get(first_row, [])]
        parts.append(self._unsent(first_row))
        parts.append((np.array(list(rejected), dtype=np.int64), nowhere, nowhere, nowhere))
        row, fate, entry, position = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(row, kind="stable")
        names = [
            rejected[number] if each == NO_PLACE else Fate(each).name.lower()
            for number, each in zip(row[order].tolist(), fate[order].tolist(), strict=True)
        ]
        missing = entry[order] == NO_PLACE
        columns = [
            pa.array(row[order], pa.int64()),
            pa.array(names, pa.string()),
            pa.array(entry[order], pa.int64(), mask=missing),
            pa.array(position[order], pa.int64(), mask=missing),
        ]
        return pa.Table.from_arrays(columns, schema=_SCHEMA)

    def _sent(self, batch: StoredBatch) -> _Columns:
        records = self._store.records(batch.id)
        assert batch.log_index is not None, batch.id
        entry = np.full(len(records), batch.log_index, dtype=np.int64)
        positions = np.arange(len(records), dtype=np.int64)
        return records["row"], records["kind"].astype(np.int64), entry, positions

    def _unsent(self, first_row: int) -> _Columns:
        """Return the receipts of events that were not sent: where that stands which holds."""
        chunk = self._store.chunk(self._job, first_row)
        assert chunk is not None, first_row
        found, holds = self._index.find(chunk.unsent["ref"])
        batches = [self.batches.get(each) for each in holds["batch"].tolist()]
        known = np.array(
            [each is not None and each.log_index is not None for each in batches], bool
        )
        known &= found
        self.named |= set(holds["batch"][known].tolist())
        entry = [
            NO_PLACE if each is None or each.log_index is None else each.log_index
            for each in batches
        ]
        return (
            chunk.unsent["row"],
            chunk.unsent["fate"].astype(np.int64),
            np.where(known, np.array(entry, dtype=np.int64), NO_PLACE),
            np.where(known, holds["position"].astype(np.int64), NO_PLACE),
        )


def _entry(batch: StoredBatch, job: Job) -> dict[str, Any]:
    assert batch.hash is not None, batch.id
    return {
        "index": batch.log_index,
        "batch_hash": batch.hash.hex(),
        "events": batch.count,
        "own": batch.job == job.id,
    }


def _read_entry(found: dict[str, Any]) -> ManifestEntry:
    return ManifestEntry(
        int(found["index"]),
        bytes.fromhex(found["batch_hash"]),
        int(found["events"]),
        bool(found["own"]),
    )


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
