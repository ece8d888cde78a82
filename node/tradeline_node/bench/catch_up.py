"""One node fetching a log from another over TLS: proved, executed, durable and indexed."""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradeline_ledger.measured import Measured
from tradeline_ledger.member_files import GENESIS_NAME, NODE_CONFIG_NAME, NODE_KEYS_NAME, NodeKeys
from tradeline_ledger.sample import Sample
from tradeline_node.application import Application
from tradeline_node.bench.apply import BATCH_EVENTS, BLOCK_BATCHES, Ingest, random_tags
from tradeline_node.bench.stopwatch import rss_mib
from tradeline_node.catch_up import CatchUp
from tradeline_node.config import encode_config
from tradeline_node.errors import NodeError, PeerError
from tradeline_node.keystore import seal_keystore, write_private
from tradeline_node.peers import PeerClient
from tradeline_node.store import LedgerStore
from tradeline_node.tls import generate_tls_private, tls_key, tls_pin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_node.catch_up import CaughtUp

START_S: Final = 60.0
"""Until the serving node answers."""
PEER_TIMEOUT_MS: Final = 30_000
_READER: Final = 0
"""As whom the fetching node leaves itself out of whom it asks: nobody."""


def measure_catch_up(events: int) -> Measured:
    """
    Return what it takes to fetch a log of that many events, rounded up to whole batches.

    The node that serves is a process of its own, on this machine. A lap is one chunk; the
    processor time is that of the node that fetches.
    """
    with tempfile.TemporaryDirectory(prefix="tradeline-bench-") as name:
        folder = Path(name)
        private, port = generate_tls_private(), _free_port()
        sample = Sample(1, port=port, tls_pin=tls_pin(tls_key(private)))
        passphrase = secrets.token_hex(16).encode()
        served = _make_node(folder / "served", sample, private, port, passphrase)
        written = _make_log(served, sample, events)
        laps = _Laps()
        with _serving(served, passphrase, folder):
            store = LedgerStore.open(folder / "fetched", sample.ledger)
            try:
                done = asyncio.run(_fetch(store, sample, laps))
            finally:
                store.close()
    if done.events != written:
        raise NodeError(f"{done.events} events came, {written} were served")
    more = {"leaves": done.leaves, "bytes": done.bytes}
    cpu_s = {"catch-up": laps.cpu_s}
    seconds = sum(laps.laps_ms) / 1000
    return Measured("catch-up", done.events, seconds, laps.laps_ms, cpu_s, rss_mib(), more)


class _Laps:
    """The clock of each chunk."""

    def __init__(self) -> None:
        self.laps_ms: list[float] = []
        self.cpu_s = 0.0
        self.start()

    def start(self) -> None:
        """Measure from now on."""
        self._since, self._since_cpu = time.perf_counter(), time.process_time()

    def end(self, _done: int, _total: int) -> None:
        """Take note of a chunk."""
        now = time.perf_counter()
        self.laps_ms.append((now - self._since) * 1000)
        self.cpu_s += time.process_time() - self._since_cpu
        self.start()


def _make_node(
    folder: Path, sample: Sample, tls_private: bytes, port: int, passphrase: bytes
) -> Path:
    """Return a member folder of the sample's first member."""
    folder.mkdir()
    member = sample.members[0]
    keys = NodeKeys(
        member=member.id,
        node_seed=member.seed("node"),
        note_seed=member.seed("note"),
        cosigner_seed=member.seed("cosigner"),
        hpke_private=b"".join(member.seed(f"hpke {part}") for part in range(3)),
        engine_seed=member.seed("engine"),
        peer_seed=member.seed("peer"),
        tls_private=tls_private,
        witness_seed=member.seed("witness"),
    )
    write_private(folder / NODE_KEYS_NAME, seal_keystore(keys, passphrase))
    values = {"node.member": member.id, "node.genesis": GENESIS_NAME, "http.port": port}
    (folder / NODE_CONFIG_NAME).write_text(encode_config(values), encoding="utf-8")
    (folder / GENESIS_NAME).write_bytes(sample.ledger.file)
    return folder


def _make_log(folder: Path, sample: Sample, events: int) -> int:
    """Write a log of `events` at least; return how many they are."""
    ingest = Ingest(folder, sample)
    try:
        left = -(-events // BATCH_EVENTS)
        while left > 0:
            ingest.block(min(left, BLOCK_BATCHES), random_tags)
            left -= BLOCK_BATCHES
    finally:
        ingest.close()
    return ingest.events


@contextmanager
def _serving(folder: Path, passphrase: bytes, outside: Path) -> Iterator[None]:
    """Run the node of `folder` in a process of its own until the context ends."""
    secret, ready, log = outside / "passphrase", outside / "ready", outside / "log"
    write_private(secret, passphrase)
    command = [sys.executable, "-m", "tradeline_node", "node", "run", str(folder)]
    command += ["--passphrase-file", str(secret), "--ready-file", str(ready)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(encoding="utf-8", errors="replace")[-400:]
                raise NodeError(f"the node that serves did not start: {tail}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


async def _fetch(store: LedgerStore, sample: Sample, laps: _Laps) -> CaughtUp:
    member = sample.members[0]
    client = PeerClient(member.node, member.id, sample.ledger.ledger_id, PEER_TIMEOUT_MS)
    deadline = time.monotonic() + START_S
    try:
        while True:
            laps.start()
            try:
                return await CatchUp(Application(store), client, _READER, progress=laps.end).run()
            except PeerError:  # it has not signed its log yet
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
    finally:
        await client.close()


def _free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        port: int = own.getsockname()[1]
        return port
