"""The state that an audit rebuilds, kept in a temporary file so that memory stays flat."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

_ROWS_HELD_MAX: Final = 50_000
"""Rows written since the last flush."""


class ReplayState:
    """A `View` over an SQLite file that vanishes when it is closed."""

    def __init__(self) -> None:
        """Start empty."""
        self._held: dict[bytes, bytes] = {}
        # An empty name makes a private file on disk that SQLite deletes by itself. Losing it in a
        # crash costs nothing, so nothing is synced.
        self._rows = sqlite3.connect("", isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=OFF")
        self._rows.execute("PRAGMA synchronous=OFF")
        self._rows.execute("PRAGMA cache_size=-32768")
        self._rows.execute("CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rows.close()

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, None if there is none."""
        held = self._held.get(key)
        if held is not None:
            return held
        row = self._rows.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, writes: dict[bytes, bytes]) -> None:
        """Write the rows of one block."""
        self._held |= writes
        if len(self._held) > _ROWS_HELD_MAX:
            self._rows.execute("BEGIN")
            self._rows.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?)", sorted(self._held.items())
            )
            self._rows.execute("COMMIT")
            self._held.clear()
