"""
A file of statements to receipts, end to end: read, mapped, keyed, planned, sealed, submitted.

The file is read in a process of its own, as by `tradeline import`; nodes run in theirs.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_client.bench.imports import MAPPING, write_statements
from tradeline_client.bench.stopwatch import rss_mib
from tradeline_client.bench.trial import Trial
from tradeline_client.demo.consortium import MEMBERS, Engine
from tradeline_client.errors import StoryError
from tradeline_client.imports import job_desk
from tradeline_client.imports.job_file import open_file
from tradeline_client.imports.job_store import STORAGE_NAME, JobStore
from tradeline_ledger.measured import Measured

if TYPE_CHECKING:
    from tradeline_client.client import Client
    from tradeline_client.imports.job import Progress

ONE_NODE: Final = ("bank",)
_MIB: Final = 1 << 10
"""KiB."""


def measure_import_run(rows: int, engine: Engine, *, batch_events: int, cleanse: bool) -> Measured:
    """
    Return what it takes to bring a file of so many rows to the ledger.

    Into one node where `engine` is local, else into four validators. Laps are the time between
    batches that are placed. `resume_s` is how long the job takes, once it was killed half-way, from
    its start until a batch is placed again; it is run by the command line for that.
    """
    members = ONE_NODE if engine is Engine.LOCAL else MEMBERS
    with Trial(engine, members) as trial, tempfile.TemporaryDirectory() as folder:
        path, mapping = Path(folder) / "statements.csv", Path(folder) / "bench.toml"
        mapping.write_bytes(MAPPING)
        client = trial.clients[ONE_NODE[0]]
        write_statements(path, rows)
        file = open_file(path, str(mapping), {}, "", trial.today)
        key = client.session.keystore.storage_key(STORAGE_NAME)
        with closing(JobStore(client.session.folder.path, key)) as store:
            laps = _Laps()
            own_s, nodes_s, started = time.process_time(), trial.node_cpu_s(), time.perf_counter()
            worker_s = _children_s()
            job = job_desk.begin(store, client, file, "bench", None)
            ended = job_desk.run(
                store,
                client,
                job,
                file,
                batch_events=batch_events,
                in_flight=8,
                cleanse=cleanse,
                show=laps.show,
            )
            seconds = time.perf_counter() - started
            cpu_s = {
                "client_seal_and_submit": time.process_time() - own_s,
                "client_read_map_key": _children_s() - worker_s,
                "nodes": trial.node_cpu_s() - nodes_s,
            }
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
        reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _MIB
        more = {
            "engine": engine.value,
            "nodes": len(members),
            "state": ended.state.value,
            "rss_mib_peak": round(peak, 1),
            "rss_mib_peak_reader": round(reader, 1),
            "node_rss_mib": round(trial.node_rss_mib(), 1),
            "resume_s": _resume_s(trial, client, path, mapping),
        }
    return Measured("import-run", rows, seconds, laps.laps_ms, cpu_s, rss_mib(), more)


class _Laps:
    """Measures the time between placed batches."""

    def __init__(self) -> None:
        self.laps_ms: list[float] = []
        self._placed = 0
        self._before_s = time.perf_counter()

    def show(self, progress: Progress) -> None:
        """Take how far the job is."""
        if progress.placed > self._placed:
            now_s = time.perf_counter()
            self.laps_ms.append((now_s - self._before_s) * 1000)
            self._placed, self._before_s = progress.placed, now_s


def _resume_s(trial: Trial, client: Client, path: Path, mapping: Path) -> float:
    """Kill a job about another file as large, half-way, and return how long it takes to go on."""
    other = path.with_name("killed.csv")
    # Other accounts: nothing of it was sent.
    other.write_bytes(path.read_bytes().replace(b"\n0", b"\n9"))
    command = [
        *(sys.executable, "-m", "tradeline_client", "import", str(other)),
        *("--mapping", str(mapping), "--no-cleanse", "--folder", str(client.session.folder.path)),
        *("--passphrase-file", str(trial.consortium.passphrase_file)),
    ]
    key = client.session.keystore.storage_key(STORAGE_NAME)
    with closing(JobStore(client.session.folder.path, key)) as store:
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        while _placed(store) < _half(store) or not _placed(store):
            if running.poll() is not None:
                raise StoryError("the job ended before it could be killed; measure more rows")
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        before, started = _placed(store), time.perf_counter()
        again = [*command, "--resume"]
        with subprocess.Popen(again, stdout=subprocess.DEVNULL, start_new_session=True) as resumed:
            while _placed(store) <= before and resumed.poll() is None:
                time.sleep(0.02)
            seconds = time.perf_counter() - started
            os.killpg(resumed.pid, signal.SIGKILL)
    return round(seconds, 2)


def _placed(store: JobStore) -> int:
    """Return how many batches of the job that is killed are placed."""
    jobs = [job for job in store.jobs() if job.name == "killed"]
    batches = store.batches(jobs[0]) if jobs else []
    return sum(1 for each in batches if each.log_index is not None)


def _half(store: JobStore) -> int:
    """Return half as many batches as the first job has."""
    return len(store.batches(store.job("bench"))) // 2


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
