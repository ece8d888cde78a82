"""
A backup of a simulated node, and what a restore of it brings back.

As the product's: the log, attachments, tag keys and the node's own small files, without indexes
that are made again, and nothing of the engine.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from tradeline_node.custody import INDEX_NAME
from tradeline_node.custody_backlog import FILE_NAME as BACKLOG_NAME

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = ".sqlite"


class Copy(NamedTuple):
    """What a node had at one moment."""

    height: int
    rows: dict[bytes, bytes]
    folder: Path
    """With `outbox.sqlite`, and `custody` if the node keeps any."""


def take(height: int, rows: dict[bytes, bytes], outbox: Path, custody: Path, to: Path) -> Copy:
    """Copy a node that runs into the folder `to`."""
    to.mkdir()
    _copy_database(outbox, to / "outbox.sqlite")
    if custody.exists():
        left_out = shutil.ignore_patterns(f"{INDEX_NAME}*", f"{BACKLOG_NAME}*", "*.sqlite*")
        shutil.copytree(custody, to / "custody", ignore=left_out)
        for file in custody.glob(f"*{SUFFIX}"):
            if file.name not in (INDEX_NAME, BACKLOG_NAME):
                _copy_database(file, to / "custody" / file.name)
    return Copy(height, dict(rows), to)


def bring_back(copy: Copy, outbox: Path, custody: Path) -> None:
    """Put the files of a copy in place."""
    shutil.copy(copy.folder / "outbox.sqlite", outbox)
    if (copy.folder / "custody").exists():
        shutil.copytree(copy.folder / "custody", custody)


def _copy_database(path: Path, to: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
