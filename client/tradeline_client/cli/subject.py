"""
Who a command is about. An identifier is read from a file or typed unseen, never an argument:
arguments show in process lists and shell histories.
"""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tradeline_client.errors import FileError

if TYPE_CHECKING:
    from tradeline_ledger.identifier import SubjectId

IDENTIFIERS_MAX: Final = 8
"""Most identifiers of one person or firm."""
FILE_BYTES_MAX: Final = 16 * 1024

SubjectOption = Annotated[
    Path | None,
    typer.Option(
        "--subject-file",
        metavar="FILE",
        help='JSON {"type": ..., "id": "..."} of the subject, or a list of several identifiers of '
        "one subject; - for standard input; asked for on a terminal.",
    ),
]


def read_subject(file: Path | None, current_year: int) -> tuple[SubjectId, ...]:
    """
    Return the subject's identifiers, checked, from `file` or asked for.

    Args:
        file: JSON, `-` for standard input; None to ask.
        current_year: last year in which a person can be born.

    Raises:
        FileError: the file can't be read or is no JSON, or there is no terminal to ask on.
        IdentifierError: an identifier is wrong. It is never shown.
    """
    from tradeline_ledger.identifier import subject_from_json  # noqa: PLC0415

    value = _ask() if file is None else _read(file)
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= IDENTIFIERS_MAX:
        raise FileError(
            f"{len(listed)} identifiers are given, expected 1 to {IDENTIFIERS_MAX} of one subject"
        )
    return tuple(dict.fromkeys(subject_from_json(each, current_year) for each in listed))


def _read(file: Path) -> object:
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with file.open("rb") as opened:
                content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FileError(f"subject file {file} can't be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise FileError(f"subject file {file} has more than {FILE_BYTES_MAX} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        # The reason is not repeated: it may quote the identifier.
        raise FileError(
            f'subject file {file} is no JSON, expected {{"type": "uscc", "id": "..."}}'
        ) from None


def _ask() -> object:
    from tradeline_ledger.identifier import IdType  # noqa: PLC0415

    if not sys.stdin.isatty():
        raise FileError(
            "no subject is given; name a file with --subject-file, or - for standard input, since "
            "there is no terminal to ask on"
        )
    names = ", ".join(each.name.lower() for each in IdType)
    listed = []
    while True:
        name = typer.prompt(f"Type of identifier ({names})", err=True).strip().lower()
        text = getpass.getpass("Identifier (not shown): ")
        listed.append({"type": name, "id": text})
        if not typer.confirm("Has the subject another identifier?", default=False, err=True):
            return listed
