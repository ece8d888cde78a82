"""
Four validators on CometBFT, with all their processes and the load on this machine.

Plain events are sealed, taken into custody by the committee, ordered, indexed on four nodes and
covered by a cosigned checkpoint; a lap of the load is a batch from being sealed to that.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradeline_client.bench.ingest import accepted
from tradeline_client.bench.read import ask_about
from tradeline_client.bench.stopwatch import Stopwatch, rss_mib
from tradeline_client.bench.trial import Trial
from tradeline_client.bench.workload import SUBJECTS, reports, subjects, year_of
from tradeline_client.demo.consortium import Engine
from tradeline_client.flows.report import read_inquiry
from tradeline_ledger.measured import Measured, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tradeline_client.client import Client
    from tradeline_client.seal import SealedBatch
    from tradeline_ledger.event import Report
    from tradeline_ledger.identifier import SubjectId

FILINGS: Final = 40_000
"""Made before the clock runs, and filed again and again, under fresh keys."""
PACE: Final = 0.8
"""Of the rate that was taken at most, the rate at which latencies are measured."""
DEAD_SHARE: Final = 0.8
"""Of that pace, while one of four is dead."""
SINGLES: Final = 40
"""Submissions of one event, one after the other."""
READS: Final = 20
KILLED: Final = "court"
"""Whose node is killed for the last part: the load goes through another one."""
_LOOPBACK: Final = Path("/sys/class/net/lo/statistics/tx_bytes")


def measure_network(seconds: float, in_flight: int, batch_events: int, rate: int = 0) -> Measured:
    """
    Return what four validators do: all that they take for `seconds`, `in_flight` batches of
    `batch_events` at a time.

    Then *paced*: batches filed at `rate` events/s (0: `PACE` of what was taken), a lap of which
    includes what a batch waits for its turn, so that no latency is left out because the batches
    before it were slow. Then single submissions, consented reads, and at last the load again while
    one of the four is dead.
    """
    with Trial(Engine.COMETBFT) as trial:
        client = trial.clients["bank"]
        load = _Load(trial, client, batch_events)
        load.run(2.0, in_flight, 0)  # warms up
        cpu, own, sent = trial.cpu_s(), time.process_time(), _loopback_bytes()
        whole = load.run(seconds, in_flight, 0)
        sent = _loopback_bytes() - sent
        cpu_s = {what: after - cpu[what] for what, after in trial.cpu_s().items()}
        cpu_s["client"] = time.process_time() - own
        pace = rate or round(PACE * whole.rate)
        paced = load.run(seconds, in_flight, pace)
        more: dict[str, Any] = {
            "p95_ms": round(percentile(whole.laps_ms, 95), 1),
            "in_flight": in_flight,
            "batch_events": batch_events,
            "loopback_bytes_per_event": round(sent / whole.events),
            "cores": os.cpu_count(),
            "cpu_share": {what: round(each / whole.seconds, 2) for what, each in cpu_s.items()},
            "node_rss_mib": round(trial.node_rss_mib(), 1),
            "paced": {"offered_events_per_s": pace, **paced.to_json()},
            "single": _singles(trial, client),
            "read": _reads(trial),
        }
        os.kill(trial.consortium.supervisor(KILLED), signal.SIGSTOP)
        for pid in trial.consortium.pids([KILLED]).values():
            os.kill(pid[0], signal.SIGKILL)
        load.run(2.0, in_flight, 0)
        left = load.run(seconds, in_flight, 0)
        left_paced = load.run(seconds, in_flight, round(DEAD_SHARE * pace))
        os.kill(trial.consortium.supervisor(KILLED), signal.SIGCONT)
    more["one_dead"] = {
        **left.to_json(),
        "share": round(left.rate / whole.rate, 3),
        "paced": {"offered_events_per_s": round(DEAD_SHARE * pace), **left_paced.to_json()},
    }
    return Measured("network", whole.events, whole.seconds, whole.laps_ms, cpu_s, rss_mib(), more)


class _Run:
    """Figures of one stretch of load."""

    def __init__(self) -> None:
        self.events = 0
        self.seconds = 0.0
        self.laps_ms: list[float] = []

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    def to_json(self) -> dict[str, float]:
        return {"events_per_s": round(self.rate), **_quantiles(self.laps_ms)}


class _Load:
    """Files batches of one client for some time."""

    def __init__(self, trial: Trial, client: Client, batch_events: int) -> None:
        self._client, self._batch_events = client, batch_events
        filings = reports(FILINGS, subjects(SUBJECTS), trial.today)
        self._batches = itertools.cycle(
            filings[start : start + batch_events] for start in range(0, FILINGS, batch_events)
        )

    def run(self, seconds: float, in_flight: int, rate: int) -> _Run:
        run = _Run()
        due: list[float] = []
        started = time.perf_counter()
        for result in self._client.submit_many(self._sealed(seconds, rate, due), in_flight):
            run.events += accepted(result).count
            run.laps_ms.append((time.perf_counter() - due[len(run.laps_ms)]) * 1000)
        run.seconds = time.perf_counter() - started
        return run

    def _sealed(self, seconds: float, rate: int, due: list[float]) -> Iterator[SealedBatch]:
        """Yield sealed batches until the time is over; `due` gets when each was to begin."""
        started = time.perf_counter()
        while (now := time.perf_counter()) < started + seconds:
            if rate:
                at = started + len(due) * self._batch_events / rate
                if at > now:
                    time.sleep(at - now)
            else:
                at = now
            due.append(at)
            yield _sealed(self._client, next(self._batches))


def _sealed(client: Client, filings: Sequence[tuple[Report, SubjectId]]) -> SealedBatch:
    plain = [client.plain(report, subject) for report, subject in filings]
    (sealed,) = client.batches(plain, len(plain))
    return sealed


def _singles(trial: Trial, client: Client) -> dict[str, float]:
    """Submit events one by one, each to its verified place."""
    watch = Stopwatch()
    for filing in reports(SINGLES, subjects(SINGLES), trial.today, "single "):
        with watch.lap():
            accepted(client.submit(_sealed(client, [filing])))
    return _quantiles(watch.laps_ms)


def _reads(trial: Trial) -> dict[str, float]:
    """Read a report of twelve months again and again, after the inquiry is final."""
    reader, filer, watch = trial.clients["bank"], trial.clients["payment"], Stopwatch()
    person = subjects(SUBJECTS + 1)[-1]
    for filing in year_of(person, trial.today):
        accepted(filer.submit(_sealed(filer, [filing])))
    posted = ask_about(trial, person)
    bundle = reader.run(read_inquiry(reader.session, posted)).bundle
    for _ in range(READS):
        with watch.lap():
            reader.run(read_inquiry(reader.session, posted))
    return {**_quantiles(watch.laps_ms), "bundle_bytes": len(bundle)}


def _quantiles(laps_ms: Sequence[float]) -> dict[str, float]:
    return {f"p{rank}_ms": round(percentile(laps_ms, rank), 1) for rank in (50, 95, 99)}


def _loopback_bytes() -> int:
    return int(_LOOPBACK.read_text(encoding="ascii"))
