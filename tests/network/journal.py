"""What was acknowledged, written down outside of all nodes: one synced line an entry."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Acked:
    """An entry that was answered with its log index, and proven to its client."""

    member: int
    statement: str
    """Its hash in hexadecimal digits."""
    index: int
    accepted: bool
    """False: refused, which takes a place as well."""


class AckJournal:
    """Appends to a file; any thread may."""

    def __init__(self, path: Path) -> None:
        """Append to `path`, and know what it holds already."""
        self._lock = threading.Lock()
        self._entries = read_journal(path) if path.exists() else []
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)

    def add(self, acked: Acked) -> None:
        """Write one entry down; it is on the disk when this returns."""
        with self._lock:
            os.write(self._handle, json.dumps(asdict(acked)).encode() + b"\n")
            os.fsync(self._handle)
            self._entries.append(acked)

    @property
    def entries(self) -> list[Acked]:
        """All entries so far, as they came."""
        with self._lock:
            return list(self._entries)


def read_journal(path: Path) -> list[Acked]:
    """Return the entries of a journal, as they came."""
    return [Acked(**json.loads(line)) for line in path.read_text().splitlines()]
