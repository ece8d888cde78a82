"""Four nodes on loopback, and clients of theirs, for as long as a benchmark runs."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tradeline_client.client import Client
from tradeline_client.demo.consortium import MEMBERS, Consortium, Engine

if TYPE_CHECKING:
    from types import TracebackType

_CPU_FIELDS = (11, 12)
"""Of the fields of /proc/PID/stat after the name: ticks in user and kernel mode."""


class Trial:
    """A running consortium in a temporary folder; leaving it stops and removes everything."""

    def __init__(self, engine: Engine = Engine.LOCAL, members: tuple[str, ...] = MEMBERS) -> None:
        """Let `engine` order what `members`, each with a node, submit."""
        self._engine = engine
        self._members = members

    def __enter__(self) -> Self:
        """Found it, start the nodes, open a client for each member."""
        self._folder = tempfile.TemporaryDirectory(prefix="tradeline-bench-")
        self.consortium = Consortium(Path(self._folder.name) / "nodes", self._engine, self._members)
        self.clients: dict[str, Client] = {}
        try:
            self.consortium.found()
            self.consortium.start()
            for name in self._members:
                folder = self.consortium.client(name)
                self.clients[name] = Client.open(folder, self.consortium.passphrase)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop and remove everything."""
        self._close()

    @property
    def today(self) -> str:
        """The ledger's local day."""
        session = self.clients[self._members[0]].session
        local = timezone(timedelta(minutes=session.ledger.params.utc_offset_min))
        return datetime.fromtimestamp(session.clock_ms() / 1000, local).date().isoformat()

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time of all four nodes so far, by what their processes do."""
        return {what: sum(map(_cpu_s, pids)) for what, pids in self.consortium.pids().items()}

    def node_cpu_s(self) -> float:
        """Return the processor time of all four nodes so far."""
        return sum(self.cpu_s().values())

    def node_rss_mib(self) -> float:
        """Return the resident memory of all four nodes."""
        return sum(_rss_mib(pid) for pids in self.consortium.pids().values() for pid in pids)

    def _close(self) -> None:
        for client in self.clients.values():
            client.close()
        self.consortium.stop()
        self._folder.cleanup()


def _cpu_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    return sum(int(fields[at]) for at in _CPU_FIELDS) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
