"""
Write the help texts in docs/cli.md, which are made from the commands, or say that they differ.

    python scripts/cli_help.py           writes them
    python scripts/cli_help.py --check   exits with 1 if the document is not up to date

Each text stands between a line `<!-- help: COMMAND -->` and the next `<!-- end -->`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer.main

from tradeline_client.cli import app

DOCUMENT: Final = Path(__file__).parents[1] / "docs/cli.md"
COLUMNS: Final = "80"

_PART: Final = re.compile(r"(<!-- help: ([a-z0-9 -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> dict[str, Any]:
    """Return every command of the client by its words, groups that do nothing left out."""
    return dict(_walk(typer.main.get_command(app), ()))


def help_of(words: str) -> str:
    """Return what `tradeline WORDS --help` prints on a terminal of 80 columns."""
    command = typer.main.get_command(app)
    printed = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    try:
        with contextlib.redirect_stdout(printed):
            arguments = [*words.split(), "--help"]
            command.main(arguments, prog_name="tradeline", standalone_mode=False)
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def fill(document: str) -> str:
    """Return the document with every help text as it is now."""
    return _PART.sub(
        lambda found: f"{found[1]}```text\n{help_of(found[2])}```\n{found[3]}", document
    )


def documented(document: str) -> list[str]:
    """Return the commands whose help stands in the document, in its order."""
    return [found[2] for found in _PART.finditer(document)]


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None or command.invoke_without_command:
        yield " ".join(words), command
    if below is None:
        return
    for name, each in below.items():
        yield from _walk(each, (*words, name))


def main() -> None:
    """Write the texts, or compare them."""
    document = DOCUMENT.read_text(encoding="utf-8")
    filled = fill(document)
    if filled == document:
        return
    if "--check" in sys.argv[1:]:
        raise SystemExit("docs/cli.md differs from the commands: run scripts/cli_help.py")
    DOCUMENT.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
