"""Made-up rows as a mapping would yield them, a client in memory, and what its ledger says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from tests.client.network import Network
from tests.world import subject

from tradeline_client.client import Client
from tradeline_client.imports.columns import EventColumns, MappedChunk
from tradeline_client.imports.fault import RowFault
from tradeline_client.imports.job import ImportRun
from tradeline_client.imports.job_prepare import Preparer
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.imports.job_store import STORAGE_NAME, Job, JobStore
from tradeline_client.requests import Flow
from tradeline_client.session import Session
from tradeline_ledger.body import KEY_BYTES, open_body
from tradeline_ledger.deposit import ATTACHMENT
from tradeline_ledger.event import Event, decode_event
from tradeline_ledger.history import EventId
from tradeline_ledger.outcome import Outcome
from tradeline_ledger.resolution import EffectiveEvent, resolve
from tradeline_ledger.schema import Basis
from tradeline_ledger.schemas import PAYMENT_MADE
from tradeline_ledger.statement import STATEMENT, EntryLeaf, Kind, decode_leaf
from tradeline_ledger.submission import decode_submission

T = TypeVar("T")
CURRENCY: Final = "CNY"


class Row(NamedTuple):
    """One row: a payment of a made-up person."""

    ref: str
    amount: int = 1000
    who: int = 0
    day: str = "2026-03-05"
    version: int | None = None


@dataclass
class Rows:
    """A file of rows, as a source of chunks."""

    rows: Sequence[Row]
    chunk_rows: int = 10
    faults: Sequence[RowFault] = ()
    names: tuple[str, ...] = ()
    originals: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    before_chunk: Callable[[int], None] = lambda _: None

    def chunks(self, first_row: int = 0) -> Iterator[MappedChunk]:
        """Yield the rows, those with a fault left out."""
        wrong = {fault.row for fault in self.faults}
        start = first_row // self.chunk_rows * self.chunk_rows
        for first in range(start, len(self.rows), self.chunk_rows):
            self.before_chunk(first)
            end = min(first + self.chunk_rows, len(self.rows))
            good = [at for at in range(first, end) if at not in wrong]
            yield MappedChunk(
                first_row=first,
                row_count=end - first,
                lines=np.arange(first, end, dtype=np.int64) + 2,
                events=(columns([self.rows[at] for at in good], good),) if good else (),
                faults=tuple(each for each in self.faults if first <= each.row < end),
                names=self.names,
                originals={at: self.originals[at] for at in self.originals if first <= at < end},
            )


def columns(rows: Sequence[Row], numbers: Sequence[int]) -> EventColumns:
    """Return rows as columns of payments."""
    people = sorted({row.who for row in rows})
    amounts = pa.array([row.amount for row in rows], pa.int64())
    currencies = pa.array([CURRENCY] * len(rows), pa.string())
    kinds = pa.array([1] * len(rows), pa.int64())
    numbered = rows[0].version is not None
    return EventColumns(
        schema=PAYMENT_MADE,
        basis=Basis.CONTRACT,
        rows=np.array(numbers, dtype=np.int64),
        subjects=tuple(subject(who) for who in people),
        subject=np.array([people.index(row.who) for row in rows], dtype=np.int32),
        occurred_on=pa.array([row.day for row in rows], pa.string()),
        ref=pa.array([row.ref for row in rows], pa.string()),
        account=pa.array([f"account {row.who}" for row in rows], pa.string()),
        values=pa.RecordBatch.from_arrays(
            [currencies, amounts, kinds], names=[each.name for each in PAYMENT_MADE.fields]
        ),
        version=np.array([row.version for row in rows], dtype=np.int64) if numbered else None,
    )


class InMemory:
    """Runs flows against a network in memory."""

    def __init__(self, network: Network, session: Session) -> None:
        self.network, self.session = network, session

    def run(self, flow: Flow[T]) -> T:
        return self.network.run(self.session, flow)

    def close(self) -> None:
        pass


class MemoryClient(Client):
    """A client whose nodes are in memory."""

    def __init__(self, network: Network, session: Session) -> None:
        self.session = session
        memory: Any = InMemory(network, session)
        self._transport = memory


@contextmanager
def opened_store(session: Session) -> Iterator[JobStore]:
    """Yield the store of jobs of a session's folder."""
    key = session.keystore.storage_key(STORAGE_NAME)
    with closing(JobStore(session.folder.path, key)) as store:
        yield store


def import_rows(network: Network, session: Session, name: str, rows: Rows, **options: Any) -> Job:
    """Import rows as a job, a new one if there is none of that name; return it."""
    with opened_store(session) as store:
        names = {each.name for each in store.jobs()}
        job = (
            store.job(name)
            if name in names
            else store.create(name, 1, (bytes(32), bytes(32)), {}, session.clock_ms())
        )
        source = LocalSource(rows, Preparer(session.keystore))
        run = ImportRun(MemoryClient(network, session), store, job, source, **options)
        return run.run()


def on_ledger(network: Network, session: Session) -> dict[EventId, Event]:
    """Return every event of the session's member that the ledger has, opened."""
    found = {}
    for index, content in network.world.contents.items():
        leaf = decode_leaf(network.world.leaves[index])
        assert isinstance(leaf, EntryLeaf)
        statement = STATEMENT.decode(leaf.statement)
        if statement.kind != Kind.SUBMISSION or leaf.outcome != Outcome.ACCEPTED:
            continue
        batch = decode_submission(content).batch
        hash_ = batch.hash(session.ledger.ledger_id, statement.member)
        held = (node.custody.get(hash_) for node in network.nodes.values())
        attachment = ATTACHMENT.decode(next(each for each in held if each is not None))
        keys = session.vault.row(hash_).keys
        for position, (body, tag) in enumerate(zip(attachment.bodies, batch.tags(), strict=True)):
            assert body is not None
            key = keys[position * KEY_BYTES : (position + 1) * KEY_BYTES]
            opened = open_body(key, body, session.ledger.ledger_id, statement.member, tag)
            found[EventId(index, position)] = decode_event(opened)
    return found


def standing(network: Network, session: Session) -> dict[bytes, EffectiveEvent]:
    """Return what holds by keyed reference, corrections resolved; none is there twice."""
    events = on_ledger(network, session)
    effective, _ = resolve(events)
    by_ref = {events[each.original].ref: each for each in effective}
    assert len(by_ref) == len(effective), "two events hold under one reference"
    return by_ref


def expected(session: Session, rows: Sequence[Row]) -> dict[bytes, tuple[str, int]]:
    """Return day and amount that must hold by keyed reference: those of the last of each."""
    ref = session.keystore.references.ref
    return {ref(row.ref): (row.day, row.amount) for row in rows}


def held(network: Network, session: Session) -> dict[bytes, tuple[str, int]]:
    """Return day and amount that hold on the ledger by keyed reference."""
    return {
        ref: (each.occurred_on, each.fields[1]) for ref, each in standing(network, session).items()
    }


def counted(store: JobStore, job: Job) -> dict[str, int]:
    """Return what was counted of a job, all months together."""
    total: dict[str, int] = {}
    rows = store.chunk_rows(job)
    chunks = [store.chunk(job, first) for first in rows]
    for counts in [each.counts for each in (*chunks, *store.batches(job)) if each is not None]:
        for numbers in counts.values():
            for what, number in numbers.items():
                total[what] = total.get(what, 0) + number
    return total
