"""What commands print: JSON on demand, tables for people, progress on terminals only."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]

_PIPE_COLUMNS: Final = 200


def print_json(value: Any) -> None:
    """Print one JSON value, keys in their order."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; on a terminal as wide as that, in a pipe as wide as its longest cells."""
    from rich.console import Console  # noqa: PLC0415 - start-up stays fast
    from rich.table import Table  # noqa: PLC0415

    if title:
        typer.echo(title)
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    console = Console(highlight=False, markup=False, width=_PIPE_COLUMNS)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line, values aligned."""
    listed = [(name, str(value)) for name, value in pairs]
    width = max(len(name) for name, _ in listed)
    for name, value in listed:
        typer.echo(f"{name:<{width}}  {value}")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error while it is a terminal; yields a function of done and total."""
    if not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def rate(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """Show a bar as `progress` does, and how many a second; the third argument is shown, too."""
    if not sys.stderr.isatty():
        yield _show_nothing
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=None, rate="", note="")

        def show(done: int, total: int | None, note: str) -> None:
            speed = bar.tasks[task].speed or 0
            bar.update(
                task,
                completed=done,
                total=None if total is None else max(total, done),
                rate=f"{speed:,.0f}/s",
                note=note,
            )

        yield show


def _show_nothing(*_: object) -> None:
    pass
