"""A client folder opened for one command."""

from __future__ import annotations

import getpass
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeline_client.errors import FolderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tradeline_client.client import Client
    from tradeline_ledger.genesis import Ledger

PASSPHRASE_BYTES_MAX: Final = 4096
FOLDER: Final = Path("client")
"""Client folder where neither option nor environment names one."""

FolderOption = Annotated[
    Path,
    typer.Option("--folder", metavar="DIR", envvar="TRADELINE_CLIENT", help="Your client folder."),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        envvar="TRADELINE_PASSPHRASE_FILE",
        help="File with the passphrase of the folder's keys; asked for on a terminal.",
    ),
]


@contextmanager
def open_client(folder: Path, passphrase_file: Path | None) -> Iterator[Client]:
    """
    Yield the client of a folder, closed at the end.

    Raises:
        FolderError: the folder can't be used, or there is no passphrase.
    """
    from tradeline_client.client import Client  # noqa: PLC0415 - start-up stays fast

    if not folder.is_dir():
        raise FolderError(
            f"{folder} is no folder; name your client folder with --folder or TRADELINE_CLIENT"
        )
    with Client.open(folder, read_passphrase(passphrase_file, folder)) as client:
        yield client


def read_passphrase(file: Path | None, folder: Path) -> bytes:
    """
    Return the passphrase of a folder's keys, from `file` or asked for.

    One newline at the end of the file is not part of it.

    Raises:
        FolderError: the file can't be read, is empty or too long; or there is no terminal.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise FolderError(
                f"the keys of {folder} need their passphrase; give --passphrase-file FILE or set "
                "TRADELINE_PASSPHRASE_FILE, since there is no terminal to ask on"
            )
        where, content = "the terminal", getpass.getpass(f"Passphrase of {folder}: ").encode()
    else:
        try:
            where, content = str(file), file.read_bytes()
        except OSError as error:
            raise FolderError(f"passphrase file {file} can't be read: {error.strerror}") from error
        content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(content) <= PASSPHRASE_BYTES_MAX:
        raise FolderError(
            f"the passphrase from {where} has {len(content)} bytes, expected 1 to "
            f"{PASSPHRASE_BYTES_MAX}"
        )
    return content


def now_ms() -> int:
    """Return the clock of this machine, ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def today(ledger: Ledger) -> str:
    """Return the day that it is in the local time of `ledger`, `YYYY-MM-DD`."""
    from tradeline_ledger.calendar import date_of_day, day  # noqa: PLC0415

    return date_of_day(day(now_ms(), ledger.params.utc_offset_min))
