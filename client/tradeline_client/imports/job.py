"""
A file on its way to the ledger, which can be killed at any moment and goes on where it was.

Each chunk is planned against what was sent before (`job_plan`) in one transaction with what is
remembered of it; then its batches are sealed and go through the pipeline while the next chunk is
read. Whatever a killed job left is settled first: a batch that was signed is brought to its place,
one that was not can't be on the ledger, and its rows are planned again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tradeline_client.errors import (
    CustodyError,
    NotFoundError,
    RefusedError,
    StoreError,
    UnavailableError,
)
from tradeline_client.flows.checkpoint import known_registry
from tradeline_client.flows.entry import deliver
from tradeline_client.imports.batch import BATCH_EVENTS
from tradeline_client.imports.fault import Severity
from tradeline_client.imports.job_plan import WAITING, Fate, Planner
from tradeline_client.imports.job_prepare import months_of
from tradeline_client.imports.job_rejects import encode_rejected
from tradeline_client.imports.job_sent import SentIndex
from tradeline_client.imports.job_source import first_missing
from tradeline_client.imports.job_store import JobState, StoredBatch, StoredChunk
from tradeline_client.pipeline import IN_FLIGHT
from tradeline_ledger.calendar import period
from tradeline_ledger.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tradeline_client.client import Client
    from tradeline_client.imports.job_plan import Outgoing, Plan
    from tradeline_client.imports.job_prepare import PreparedChunk, PreparedEvents
    from tradeline_client.imports.job_source import PreparedSource
    from tradeline_client.imports.job_store import Counts, Job, JobStore
    from tradeline_client.seal import SealedBatch

PATIENCE_S: Final = 2 * 60 * 60.0
"""How long a job waits for nodes that are away before it stops, to be resumed by hand."""
RETRY_S: Final = 5.0
"""Between two attempts while nodes are away."""
REFUSALS_MAX: Final = 3
"""Times in a row that what was refused is sealed and sent again before the job stops."""
ROWS: Final = "rows"
"""Under which the rows of a file are counted, beside severities and fates."""

_PASSING: Final = (UnavailableError, CustodyError)
"""What time may heal."""
_SEALED_ANEW: Final = (Outcome.RECEIPTS_TOO_FEW, Outcome.EPOCH_WRONG)
"""Refusals that sealing the events again may heal: receipts expired, or the committee changed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    rows: int
    """That were read."""
    sent: int
    """Events on the ledger or on their way."""
    placed: int
    """Events whose place on the ledger is verified, of this run."""
    waiting_for: str
    """Why it waits for nodes; empty while it goes on."""


class ImportRun:
    """One job being run by this process."""

    def __init__(
        self,
        client: Client,
        store: JobStore,
        job: Job,
        source: PreparedSource,
        *,
        batch_events: int = BATCH_EVENTS,
        in_flight: int = IN_FLIGHT,
        patience_s: float = PATIENCE_S,
        retry_s: float = RETRY_S,
        show: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Run `job`, whose file `source` reads, with an open client."""
        self._client = client
        self._store = store
        self._job = job
        self._source = source
        self._batch_events = batch_events
        self._in_flight = in_flight
        self._patience_s = patience_s
        self._retry_s = retry_s
        self._show = show
        self._index = SentIndex(store.records)
        self._indexed = 0
        self._on_their_way: deque[StoredBatch] = deque()
        self._rows = self._sent = self._placed = 0
        self._stopped = False

    def run(self) -> Job:
        """
        Bring the job to its end, or to where a person wants it, and return it.

        Raises:
            StoreError: another process runs it, or the disk is full; go on by running it again.
            UnavailableError, CustodyError: nodes are away for longer than the patience.
            ClientError, LedgerError: as `submit_many`; what is on its way is settled next time.
        """
        with _only_once(self._client.session.folder.path, self._job):
            self._store.want(self._job, JobState.RUNNING)
            self._enter(JobState.RUNNING)
            while not self._attempt():
                pass
            wanted = self._store.job(self._job.name).wanted
            self._enter(wanted if self._stopped else JobState.DONE)
        return self._store.job(self._job.name)

    def _attempt(self) -> bool:
        """Settle and pass through the file once; True if nothing is left to do or it must stop."""
        before = self._waiting_count()
        self._patiently()
        if self._stopped or not (waiting := self._waiting_count()):
            return True
        if waiting == before:
            raise StoreError(
                f"{waiting} corrections of job {self._job.name} are about events that another job "
                "has not brought to the ledger; resume that one first (tradeline import list)"
            )
        return False

    def _patiently(self) -> None:
        """Settle and pass through the file, as often as nodes that are away make it necessary."""
        until_s, refusals = time.monotonic() + self._patience_s, 0
        while True:
            placed = self._placed
            try:
                self._settle()
                self._pass()
            except _PASSING as error:
                if self._placed > placed:
                    until_s = time.monotonic() + self._patience_s
                if time.monotonic() >= until_s:
                    raise
                self._tell(str(error))
                time.sleep(self._retry_s)
            except RefusedError as error:
                refusals = 1 if self._placed > placed else refusals + 1
                if error.outcome not in _SEALED_ANEW or refusals > REFUSALS_MAX:
                    raise
            else:
                return

    def _waiting_count(self) -> int:
        """Return how many events of this job have been read and not been sent."""
        return sum(
            len(chunk.waiting)
            for first_row in self._store.chunk_rows(self._job)
            if (chunk := self._store.chunk(self._job, first_row)) is not None
        )

    def _settle(self) -> None:
        """Settle what is signed, and take back what is not on the ledger and never will be."""
        client, session = self._client, self._client.session
        client.run(known_registry(session))
        for signed in session.journal.pending(self._job.feed):
            try:
                client.run(deliver(session, signed))
            except RefusedError:
                continue  # settled: its vault row is gone
        for batch in self._batches_of_events():
            if batch.log_index is None:
                self._settle_batch(batch)
        self._index, self._indexed = SentIndex(self._store.records), 0
        self._on_their_way.clear()
        self._refresh()

    def _settle_batch(self, batch: StoredBatch) -> None:
        vault, place = self._client.session.vault, None
        if batch.hash is not None:
            try:
                place = vault.row(batch.hash).log_index
            except NotFoundError:
                place = None
        if place is not None:
            self._store.placed(batch.id, place)
            return
        chunk = self._store.chunk(self._job, batch.first_row)
        assert chunk is not None, batch.first_row
        records = self._store.records(batch.id)
        records = records[records["kind"] != Fate.RETRACTED]
        again = np.zeros(len(records), dtype=WAITING)
        again["row"], again["ref"] = records["row"], records["ref"]
        waiting = np.concatenate([chunk.waiting, again])
        with self._store.transaction() as rows:
            self._store.take_back(rows, batch)
            self._store.put_chunk(
                rows,
                self._job,
                StoredChunk(chunk.first_row, chunk.row_count, waiting, chunk.unsent, chunk.counts),
            )
        if batch.hash is not None:
            vault.discard(batch.hash)

    def _pass(self) -> None:
        """Read the file once and send what of it is to be sent."""
        refused: RefusedError | None = None
        for result in self._client.submit_many(self._sealed(), self._in_flight):
            batch = self._on_their_way.popleft()
            if isinstance(result, RefusedError):
                refused = result
            else:
                self._store.placed(batch.id, result.placement.index)
                self._placed += batch.count
            self._tell()
        if refused is not None:
            raise refused

    def _sealed(self) -> Iterator[SealedBatch]:
        """Yield what is to be sent of the file, sealed."""
        store, session = self._store, self._client.session
        planner = Planner(self._index, store.place_of, self._batch_events)
        known = store.chunk_rows(self._job)
        complete = store.chunk_rows(self._job, complete=True)
        self._rows = first_missing(complete)
        for chunk in self._source.prepared(complete, known):
            if store.job(self._job.name).wanted is not JobState.RUNNING:
                self._stopped = True
                return
            _check_same(known, chunk)
            for batch, outgoing in self._planned(planner, chunk):
                columns = outgoing.columns(session.sealer.params)
                sealed = session.sealer.seal_columns(columns, session.registry)
                store.sealed(batch.id, sealed.batch_hash)
                self._on_their_way.append(batch)
                self._sent += batch.count
                yield sealed
            self._rows = chunk.first_row + chunk.row_count
            self._tell()
        store.set_row_count(self._job, self._rows)

    def _planned(
        self, planner: Planner, chunk: PreparedChunk
    ) -> list[tuple[StoredBatch, Outgoing]]:
        """Plan a chunk and remember it, at once or not at all; return the batches to be sealed."""
        if chunk.events is None:
            return []
        job, store = self._job, self._store
        events, known = chunk.events, store.chunk(job, chunk.first_row)
        if known is not None:
            events = events.take(_places_of(events, known.waiting))
        with store.transaction() as rows:
            self._refresh()
            number = store.next_batch(rows)
            plan = planner.plan(events, number)
            planned = []
            for outgoing in plan.batches:
                counts = _counts_of(outgoing)
                batch = StoredBatch(
                    number, job.id, chunk.first_row, None, len(outgoing), None, counts
                )
                store.put_batch(rows, batch, outgoing.records)
                planned.append((batch, outgoing))
                number += 1
            if len(plan.renumbered):
                beside = StoredBatch(number, job.id, chunk.first_row, None, 0, None, {})
                store.put_batch(rows, beside, plan.renumbered)
            stored = _merged(known, chunk, plan)
            store.put_chunk(rows, job, stored, encode_rejected(chunk))
        self._refresh()
        return planned

    def _refresh(self) -> None:
        """Take into the index what this and other processes planned since."""
        for batch in self._store.batches(after=self._indexed):
            self._index.add(batch.id, self._store.records(batch.id))
            self._indexed = batch.id

    def _batches_of_events(self) -> list[StoredBatch]:
        return [each for each in self._store.batches(self._job) if each.count]

    def _enter(self, state: JobState) -> None:
        self._store.enter(self._job, state, self._client.session.clock_ms())

    def _tell(self, waiting_for: str = "") -> None:
        self._show(Progress(self._rows, self._sent, self._placed, waiting_for))


def is_running(folder: Path, job: Job) -> bool:
    """Return whether a process runs the job just now."""
    try:
        with _only_once(folder, job):
            return False
    except StoreError:
        return True


@contextmanager
def _only_once(folder: Path, job: Job) -> Iterator[None]:
    """Hold the lock of a job, which ends with the process that holds it."""
    descriptor = os.open(folder / f"import-{job.id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"job {job.name} is being run by another process; pause it first "
                f"(tradeline import pause {job.name})"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _check_same(known: Mapping[int, int], chunk: PreparedChunk) -> None:
    """Accept a chunk that begins and ends where one did before, or overlaps none."""
    first, end = chunk.first_row, chunk.first_row + chunk.row_count
    overlapped = {
        each: count for each, count in known.items() if each < end and first < each + count
    }
    if overlapped not in ({}, {first: chunk.row_count}):
        raise StoreError(
            f"the rows {first} to {end - 1} come as one chunk, which they did not when the job "
            "began: the file is read in another way now; import it as a new job, which leaves out "
            "what was sent"
        )


def _places_of(events: PreparedEvents, waiting: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the places of the events that wait."""
    wanted = set(waiting.view(_WAITING_BYTES).tolist())
    each = np.zeros(len(events), dtype=WAITING)
    each["row"], each["ref"] = events.rows, events.refs
    found = [key in wanted for key in each.view(_WAITING_BYTES).tolist()]
    return np.flatnonzero(found)


def _counts_of(outgoing: Outgoing) -> Counts:
    records = outgoing.records
    return _by_month(months_of(records["day"]), records["kind"])


def _merged(known: StoredChunk | None, chunk: PreparedChunk, plan: Plan) -> StoredChunk:
    """Return a chunk with what a plan made of it, beside what was known of it."""
    counts = _by_month(plan.unsent["month"], plan.unsent["fate"])
    if known is None:
        _add(counts, {"": _fault_counts(chunk)})
        unsent = plan.unsent
    else:
        _add(counts, known.counts)
        unsent = np.concatenate([known.unsent, plan.unsent])
    return StoredChunk(chunk.first_row, chunk.row_count, plan.waiting, unsent, counts)


def _fault_counts(chunk: PreparedChunk) -> dict[str, int]:
    """Return how many rows came, and by severity how many have faults of each code."""
    counts = Counter({ROWS: chunk.row_count})
    seen: set[tuple[int, Severity]] = set()
    for fault in chunk.faults:
        counts[f"{fault.severity.value}:{fault.code}"] += 1
        if (fault.row, fault.severity) not in seen:
            seen.add((fault.row, fault.severity))
            counts[fault.severity.value] += 1
    return dict(counts)


def _by_month(months: NDArray[np.int64], fates: NDArray[np.uint8]) -> Counts:
    counts: Counts = {}
    # One number a pair: sorting pairs takes as long as all else that is planned.
    pairs, numbers = np.unique((months << _FATE_BITS) | fates, return_counts=True)
    for pair, number in zip(pairs.tolist(), numbers.tolist(), strict=True):
        month, fate = pair >> _FATE_BITS, pair & ((1 << _FATE_BITS) - 1)
        counts.setdefault(period(month), {})[Fate(fate).name.lower()] = number
    return counts


def _add(counts: Counts, more: Counts) -> None:
    for month, numbers in more.items():
        own = counts.setdefault(month, {})
        for what, number in numbers.items():
            own[what] = own.get(what, 0) + number


_FATE_BITS: Final = 8
_WAITING_BYTES: Final = np.dtype(f"V{WAITING.itemsize}")
