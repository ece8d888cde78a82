"""Commands for those who test a node: they break things on purpose, and only when told to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradeline_node.errors import StoreError

plumbing = typer.Typer(
    name="plumbing",
    help="Developer commands, not for operation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@plumbing.command("flip-byte")
def flip_byte(
    folder: Annotated[Path, typer.Argument(help="A member folder.", metavar="MEMBER_DIR")],
    index: Annotated[int, typer.Argument(min=1, help="Log index of the entry.")],
    at: Annotated[int, typer.Option(min=0, help="Byte of the content.")] = 0,
) -> None:
    """Change one byte of a stored content, behind the back of a stopped node."""
    before, after = flip(folder / "ledger", index, at)
    typer.echo(f"entry {index}: byte {at} of its content was {before:#04x}, is {after:#04x}")


def flip(path: Path, index: int, at: int) -> tuple[int, int]:
    """
    Flip the lowest bit of byte `at` of the stored content of entry `index`; return old and new.

    Raises:
        StoreError: the store is in use, or has no such byte.
    """
    from tradeline_node.database import Database  # noqa: PLC0415
    from tradeline_node.index import CONTENT, number  # noqa: PLC0415

    database = Database(path)
    try:
        key = CONTENT + number(index)
        content = database.get(key)
        if content is None or at >= len(content):
            raise StoreError(f"{path} has no byte {at} of a content of entry {index}")
        changed = content[at] ^ 1
        database.write([(key, content[:at] + bytes([changed]) + content[at + 1 :])])
    finally:
        database.close()
    return content[at], changed
