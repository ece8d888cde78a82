"""
Which height the engine of this folder has had applied, kept in a file inside the engine's folder.

An engine that begins again from nothing loses the file with its folder, and so gets every block
answered from height 1 on, whatever the ledger store holds. The file is written without a flush:
if a crash takes it back, the engine only has some blocks answered again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tradeline_node.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "applied-height"
_FILE_MODE: Final = 0o600
_DIGITS: Final = 20


class AppliedHeight:
    """The file, open for writing."""

    def __init__(self, folder: Path) -> None:
        """
        Open the file in `folder`, made if it is missing.

        Raises:
            EngineError: it can't be opened.
        """
        path = folder / FILE_NAME
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        except OSError as error:
            raise EngineError(f"{path} can't be opened: {error.strerror}") from error

    def read(self) -> int:
        """Return the height, 0 if there is none that can be read."""
        text = os.pread(self._handle, _DIGITS, 0).strip()
        return int(text) if text.isdigit() else 0

    def write(self, height: int) -> None:
        """Keep the height."""
        os.pwrite(self._handle, str(height).rjust(_DIGITS).encode(), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
