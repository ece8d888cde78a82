"""End to end: from plain events to places under a cosigned checkpoint, through four nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.bench.trial import Trial
from tradeline_client.bench.workload import SUBJECTS, reports, subjects
from tradeline_client.errors import RefusedError
from tradeline_client.seal import BATCH_EVENTS
from tradeline_ledger.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tradeline_client.client import Client
    from tradeline_client.flows.submit import PlacedBatch
    from tradeline_client.pipeline import Result
    from tradeline_client.seal import PlainEvent, SealedBatch
    from tradeline_ledger.event import Report
    from tradeline_ledger.identifier import SubjectId


def measure_ingest(events: int, in_flight: int) -> Measured:
    """
    Return what it takes to put so many events on the ledger, `in_flight` batches at a time.

    A lap is a batch, from being sealed to its verified place: queues in the pipeline included.
    """
    people = subjects(SUBJECTS)
    with Trial() as trial:
        client = trial.clients["bank"]
        filings = reports(events, people, trial.today)
        accepted(client.submit(next(client.batches(_plain(client, filings[:1])))))  # warms up
        feed = _Feed(client, filings)
        nodes_s, own_s, started = trial.node_cpu_s(), time.process_time(), time.perf_counter()
        done = 0
        for result in client.submit_many(feed, in_flight):
            done += accepted(result).count
            feed.returned()
        seconds = time.perf_counter() - started
        own_s, nodes_s = time.process_time() - own_s, trial.node_cpu_s() - nodes_s
        node_rss_mib = trial.node_rss_mib()
    cpu_s = {
        **feed.watch.cpu_s,
        "client_network_and_checks": own_s - sum(feed.watch.cpu_s.values()),
        "four_nodes": nodes_s,
    }
    more = {"node_rss_mib": round(node_rss_mib, 1), "in_flight": in_flight}
    return Measured("ingest", done, seconds, feed.watch.laps_ms, cpu_s, rss_mib(), more)


def accepted(result: Result) -> PlacedBatch:
    """Return a batch that has its place and its effect; raises what it was refused with."""
    if isinstance(result, RefusedError):
        raise result
    return result


class _Feed:
    """Seals batches as they are asked for, and measures when they come back."""

    def __init__(self, client: Client, filings: Sequence[tuple[Report, SubjectId]]) -> None:
        self.watch = Stopwatch()
        self._client = client
        self._filings = filings
        self._sealed_at: list[float] = []

    def __iter__(self) -> Iterator[SealedBatch]:
        for start in range(0, len(self._filings), BATCH_EVENTS):
            with self.watch.stage("client_encode", time.thread_time):
                plain = list(_plain(self._client, self._filings[start : start + BATCH_EVENTS]))
            with self.watch.stage("client_seal", time.thread_time):
                (sealed,) = self._client.batches(plain)
            self._sealed_at.append(time.perf_counter())
            yield sealed

    def returned(self) -> None:
        """Note that the next batch in order has its verified place."""
        sealed_at = self._sealed_at[len(self.watch.laps_ms)]
        self.watch.laps_ms.append((time.perf_counter() - sealed_at) * 1000)


def _plain(client: Client, filings: Sequence[tuple[Report, SubjectId]]) -> Iterator[PlainEvent]:
    return (client.plain(report, subject) for report, subject in filings)
