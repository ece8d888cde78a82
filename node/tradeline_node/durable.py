"""
Files that are there, whole, or not at all, whatever happens to the machine.

A file is written under a temporary name, flushed to the disk, given its name, and then its folder
is flushed. What a crash leaves under a temporary name is removed when the folder is opened again.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PART_SUFFIX: Final = ".part"
"""End of temporary names."""
FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700

_numbers = itertools.count()


def write_file(path: Path, content: bytes) -> None:
    """
    Write `content` to `path` durably, in place of any file there; only its owner reads it.

    Raises:
        OSError: the disk is full or failed; nothing is left under `path` but what was there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.{next(_numbers)}{PART_SUFFIX}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(handle, "wb", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def remove_file(path: Path) -> None:
    """
    Remove the file at `path` durably, if there is one.

    Raises:
        OSError: the disk failed.
    """
    path.unlink(missing_ok=True)
    flush_folder(path.parent)


def make_folders(parent: Path, names: Iterable[str]) -> None:
    """
    Make those folders of `names` in `parent` that are missing; only their owner reads them.

    Raises:
        OSError: `parent` is missing, or the disk is full or failed.
    """
    missing = [parent / name for name in names if not (parent / name).is_dir()]
    for folder in missing:
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    if missing:
        flush_folder(parent)


def make_way(path: Path, below: Path) -> None:
    """
    Make those folders from `below`, which is there, to `path` that are missing, as `make_folders`.

    Raises:
        OSError: the disk is full or failed.
    """
    for name in path.relative_to(below).parts:
        make_folders(below, [name])
        below = below / name


def remove_parts(folder: Path) -> int:
    """Remove what a crash left under temporary names in `folder`; return how many there were."""
    parts = list(folder.glob(f"*{PART_SUFFIX}"))
    for part in parts:
        part.unlink(missing_ok=True)
    return len(parts)


def flush_folder(folder: Path) -> None:
    """
    Flush the names in `folder` to the disk.

    Raises:
        OSError: the disk failed.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
