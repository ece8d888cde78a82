"""Members that submit one small batch after the other, and write down what is acknowledged."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from tests.client.network import payment
from tests.network.journal import Acked, AckJournal
from tests.world import subject

from tradeline_client.client import Client
from tradeline_client.errors import ClientError, RefusedError, StaleCheckpointError
from tradeline_ledger.errors import LedgerError, VerificationError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tradeline_client.flows.entry import Placement

EVENTS: Final = 2
PAUSE_S: Final = 0.05
AGAIN_S: Final = 0.5
JOIN_S: Final = 180.0
SUBJECTS: Final = 20


class Load:
    """A thread a member, from entering the context until `stop`."""

    def __init__(self, folders: Sequence[Path], passphrase: bytes, journal: AckJournal) -> None:
        """Submit from client folders; `journal` gets what is acknowledged."""
        self._folders, self._passphrase, self._journal = folders, passphrase, journal
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name=f"load {each.parent.name}")
            for each in folders
        ]
        self._lock = threading.Lock()
        self.errors: Counter[str] = Counter()
        """Requests that were not fulfilled, by kind: no fault, while nodes are away."""
        self.lies: list[str] = []
        """What was answered and is not true."""
        self.unsettled = 0
        """Statements that were signed and whose fate is not known at the end."""
        self.latencies_ms: list[float] = []
        """From sealing to the verified place, in order of their ends."""
        self.acked_at: dict[int, float] = {}
        """Time of the last acknowledgement, by member, of the monotonic clock."""

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End; what is signed is settled first, if the nodes let it. Safe to call twice."""
        self._stopping.set()
        until = time.monotonic() + JOIN_S
        for each in self._threads:
            each.join(max(0.0, until - time.monotonic()))
            assert not each.is_alive(), f"{each.name} does not end"

    def _run(self, folder: Path) -> None:
        number = 0
        with Client.open(folder, self._passphrase) as client:
            while not self._stopping.is_set():
                number += 1
                self._attempt(partial(self._submit, client, f"{time.time_ns()}-{number}"))
                if client.pending():
                    self._attempt(partial(self._resume, client))
                self._stopping.wait(PAUSE_S)
            until = time.monotonic() + JOIN_S / 2
            while client.pending() and time.monotonic() < until:
                self._attempt(partial(self._resume, client))
            with self._lock:
                self.unsettled += len(client.pending())

    def _attempt(self, what: Callable[[], None]) -> None:
        try:
            what()
        except StaleCheckpointError:
            self._failed("stale checkpoint")
        except VerificationError as error:
            self._failed("lie", str(error))
        except (ClientError, LedgerError) as error:
            self._failed(type(error).__name__)

    def _failed(self, what: str, lie: str | None = None) -> None:
        with self._lock:
            self.errors[what] += 1
            if lie is not None:
                self.lies.append(lie)
        self._stopping.wait(AGAIN_S)

    def _submit(self, client: Client, salt: str) -> None:
        started = time.monotonic()
        events = [
            client.plain(payment(f"{salt}-{i}"), subject(i % SUBJECTS)) for i in range(EVENTS)
        ]
        (sealed,) = client.batches(events)
        placed = client.submit(sealed).placement
        latency_ms = (time.monotonic() - started) * 1000
        self._acked(client, placed)
        with self._lock:
            self.latencies_ms.append(latency_ms)

    def _resume(self, client: Client) -> None:
        hashes = [each.hash for each in client.pending()]
        for hash_, result in zip(hashes, client.resume(), strict=True):
            if isinstance(result, RefusedError):
                self._note(client, hash_, result.index, accepted=False)
            else:
                self._acked(client, result)

    def _acked(self, client: Client, placed: Placement) -> None:
        accepted = placed.outcome.accepted
        self._note(client, placed.statement_hash, placed.index, accepted=accepted)

    def _note(self, client: Client, hash_: bytes, index: int, *, accepted: bool) -> None:
        member = client.session.member
        self._journal.add(Acked(member, hash_.hex(), index, accepted))
        with self._lock:
            self.acked_at[member] = time.monotonic()
