"""
Reading, mapping and preparing in a process of its own, while this one seals and submits.

Both halves keep an interpreter busy: in one process they would share its lock, and with it one
core. The keys go to the other process through a pipe, as everything does; none is in its command
line, environment or a file.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tradeline_client.errors import ClientError, FileError
from tradeline_client.imports.job_cleansing import CleansingStep
from tradeline_client.imports.job_prepare import PreparedChunk, Preparer
from tradeline_client.imports.job_source import LocalSource
from tradeline_client.keystore import Keystore
from tradeline_client.session import clock_ms
from tradeline_ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from multiprocessing.connection import Connection

    from tradeline_client.imports.job_cleansing import Cleansing
    from tradeline_client.imports.job_source import ChunkSource
    from tradeline_ledger.member_files import ClientKeys

STOP_S = 5.0
"""How long the other process has to end by itself."""


class WorkerSource:
    """Prepares the chunks of a source in another process, one chunk ahead."""

    def __init__(
        self, source: ChunkSource, keystore: Keystore, cleansing: Cleansing | None = None
    ) -> None:
        """Prepare under the keys of `keystore` what `source`, which can be pickled, yields."""
        self._source = source
        self._keys = keystore.opened()
        self._cleansing = cleansing

    def __repr__(self) -> str:
        return f"WorkerSource({self._source})"

    def prepared(
        self, complete: Mapping[int, int], planned: Collection[int] = ()
    ) -> Iterator[PreparedChunk]:
        """
        Yield the chunks of the file; see `PreparedSource`.

        Raises:
            ClientError, LedgerError: as the source.
            FileError: the other process ended, for lack of memory most likely.
        """
        # A fork of a process with threads may hang; a spawned one starts anew.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        skipped = set(complete)
        part = set(planned) - skipped
        task = _Task(self._source, self._keys, self._cleansing, dict(complete), frozenset(part))
        process = context.Process(target=_work, args=(sender, task), daemon=True)
        process.start()
        sender.close()
        try:
            while True:
                try:
                    received: Any = pickle.loads(receiver.recv_bytes())  # noqa: S301 - own process
                except EOFError:
                    process.join(STOP_S)
                    raise FileError(
                        f"the process that reads the file ended with code {process.exitcode}; go "
                        "on with --resume"
                    ) from None
                if received is None:
                    return
                if isinstance(received, Exception):
                    raise received
                yield received
        finally:
            receiver.close()  # whatever it sends next ends it
            process.join(STOP_S)
            if process.is_alive():
                process.kill()
                process.join()


@dataclass(frozen=True, slots=True)
class _Task:
    """What the other process is to do."""

    source: ChunkSource
    keys: ClientKeys
    cleansing: Cleansing | None
    complete: dict[int, int]
    planned: frozenset[int]

    def __repr__(self) -> str:
        return f"_Task({self.source})"


def _work(sender: Connection, task: _Task) -> None:
    """Send every chunk, then None; or the error that ended it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process is asked, and ends this one
    with suppress(BrokenPipeError), sender:
        try:
            for chunk in _prepared(task):
                sender.send_bytes(pickle.dumps(chunk, protocol=5))
            sender.send_bytes(pickle.dumps(None))
        except (ClientError, LedgerError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            sender.send_bytes(pickle.dumps(error))


def _prepared(task: _Task) -> Iterator[PreparedChunk]:
    keystore = Keystore(task.keys)
    preparer = Preparer(keystore)
    with ExitStack() as opened:
        source = LocalSource(task.source, preparer)
        if task.cleansing is not None:
            step = opened.enter_context(CleansingStep(task.cleansing, keystore, clock_ms))
            source = LocalSource(task.source, preparer, step.cleanse)
        yield from source.prepared(task.complete, task.planned)
