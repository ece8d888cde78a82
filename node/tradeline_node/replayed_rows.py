"""Rows that a replay arrives at: in memory while they are few, else in a database beside."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Final

from tradeline_node.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Self

MEMORY_BYTES_MAX: Final = 64 << 20
"""Of keys and values; beyond it they go to a temporary folder."""


class ReplayedRows:
    """A `View` of rows put so far; a context manager, which takes the temporary folder away."""

    def __init__(self, beside: Path) -> None:
        """Use a temporary folder in the folder of `beside` when they get many."""
        self._beside = beside
        self._bytes_left = MEMORY_BYTES_MAX
        self._rows: dict[bytes, bytes] = {}
        self._database: Database | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Return the rows."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Remove the temporary folder, if there is one."""
        if self._database is not None:
            self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """
        Put `rows`, in place of those under the same keys.

        Raises:
            StoreError: the temporary database can't be written.
        """
        if self._database is not None:
            self._database.write(rows, synced=False)
            return
        for key, value in rows:
            self._rows[key] = value
            self._bytes_left -= len(key) + len(value)
        if self._bytes_left < 0:
            self._folder = tempfile.TemporaryDirectory(
                prefix="replay-", dir=self._beside.parent, ignore_cleanup_errors=True
            )
            self._database = Database(self._beside.parent / self._folder.name)
            self._database.write(self._rows.items(), synced=False)
            self._rows = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the row under `key`; see `tradeline_ledger.state.View`."""
        if self._database is not None:
            return self._database.get(key)
        return self._rows.get(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all rows, ascending."""
        if self._database is not None:
            return self._database.iterate()
        return iter(sorted(self._rows.items()))
