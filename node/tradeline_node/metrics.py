"""Prometheus metrics of one node; each node has a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tradeline_node.errors import RequestError

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "tradeline_"
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@contextmanager
def counted(counter: Counter) -> Iterator[None]:
    """Count what happens within as `done`, or under the code that it is refused with."""
    result = "failed"
    try:
        yield
        result = "done"
    except RequestError as error:
        result = error.code
        raise
    finally:
        counter.labels(result).inc()


class Metrics:
    """
    What an operator watches.

    Labels are outcomes, routes, kinds and member ids of peers: never a subject, tag or consent.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self.log_size = self._gauge("log_size", "Leaves in the log.")
        self.block_height = self._gauge("block_height", "Height of the last block.")
        self.block_time = self._gauge("block_time_seconds", "Time of the last block, since 1970.")
        self.append_seconds = self._histogram(
            "append_seconds", "From the hand-over of an own entry to its place in the log."
        )
        self.entries = self._counter("entries_total", "Entries executed.", "outcome")
        self.events = self._counter("events_total", "Events of accepted submissions.")
        self.checkpoint_size = self._gauge(
            "checkpoint_size", "Size of the newest checkpoint with a quorum."
        )
        self.checkpoint_age = self._gauge(
            "checkpoint_age_seconds", "Since the newest checkpoint got its quorum."
        )
        self.peer_up = self._gauge("peer_up", "1 if the peer answered the last question.", "peer")
        self.peer_size = self._gauge(
            "peer_checkpoint_size", "Largest size the peer cosigned.", "peer"
        )
        self.verify_failures = self._counter(
            "verify_failures_total", "What others sent and did not hold.", "where"
        )
        self.evidence = self._counter("evidence_total", "Evidence files written.", "type")
        self.requests = self._counter(
            "requests_total", "HTTP requests.", "route", "method", "status"
        )
        self.request_seconds = self._histogram("request_seconds", "HTTP requests.", "route")
        self.streams = self._gauge("streams", "Open event streams.")
        self.custody_bytes = self._gauge("custody_bytes", "Attachments on disk.")
        self.custody_batches = self._counter(
            "custody_batches_total", "Batches handed over for custody.", "result"
        )
        self.releases = self._counter("releases_total", "Release requests.", "result")
        self.erased = self._counter("erased_events_total", "Bodies erased by sweeps.")
        self.outbox_pending = self._gauge("outbox_pending", "Entries on their way into a block.")
        self.halted = self._gauge("halted", "1 if the node takes no writes.")
        self.applied_height = self._gauge("applied_height", "Of the engine's last block here.")
        self.engine_stalled = self._gauge(
            "engine_stalled", "1 if what was decided may not be known here."
        )
        self.engine_waiting = self._gauge("engine_waiting", "Entries in the engine's pool.")
        self.engine_waiting_bytes = self._gauge("engine_waiting_bytes", "Their bytes.")

    def text(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(_PREFIX + name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, about, labels, registry=self.registry, buckets=_BUCKETS)
