"""Entries that were decoded and whose signature was verified lately, so that it is done once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tradeline_ledger.transition import Opened

ENTRY_BYTES_MAX: Final = 16 << 20
"""Of entries remembered; opened, they take about five times as much."""


class EntryMemory:
    """A `Memory` of the entries opened last. Any thread may use it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._opened: OrderedDict[bytes, Opened] = OrderedDict()
        self._bytes = 0

    def get(self, encoded: bytes) -> Opened | None:
        """Return what these bytes were opened to, None if that is not remembered."""
        with self._lock:
            return self._opened.get(encoded)

    def put(self, encoded: bytes, opened: Opened) -> None:
        """Remember an opened entry; the oldest are forgotten."""
        with self._lock:
            if encoded not in self._opened:
                self._bytes += len(encoded)
            self._opened[encoded] = opened
            while self._bytes > ENTRY_BYTES_MAX:
                self._bytes -= len(self._opened.popitem(last=False)[0])
